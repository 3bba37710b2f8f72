package cfgfile

import (
	"strings"
	"testing"
)

func condEnv() *Env {
	e := NewEnv([]string{"HOME=/root", "EMPTY="})
	e.Version, e.Features = "2.6.12", []string{"OPENSSL", "THREAD"}
	return e
}

func TestConditions(t *testing.T) {
	test := func(text string, want bool) {
		t.Helper()
		if got, err := condEnv().Eval(text); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	test("", false)
	test("  ", false)
	test("0", false)
	test("1", true)
	test("-3", true)
	test("!0", true)
	test("!!1", true)
	test("(1)", true)
	test("! ( 0 || 1 )", false)
	test("1 && 0 || 1 && 1", true)
	test("0 && 1 || 0", false)
	test("1||0&&0", true)
	test("defined(HOME)", true)
	test("defined(EMPTY)", true)
	test("defined(NOPE)", false)
	test("feature(OPENSSL)", true)
	test("feature(LUA)", false)
	test("!feature(LUA) && streq(a,a)", true)
	test("streq(a,b)", false)
	test("streq( a , a )", true)
	test(`streq("$HOME","/root")`, true) // as -cc has it, where nothing was expanded before
	test(`streq("${HOME}x",/rootx)`, true)
	test(`streq('$HOME','/root')`, false)
	test("streq($HOME,/root)", false)
	test("enabled(EPOLL) && !enabled(KQUEUE)", true)
	test("openssl_version_atleast(1.1.1k) && openssl_version_before(9.9) && ssllib_name_startswith(OpenSSL)", true)
	test(`streq("a,)",'a,)')`, true)
	test(`streq(a\,b,"a,b")`, true)
	test("streq(,)", true)
	test("strneq(a,b)", true)
	test("version_atleast(2.6)", true)
	test("version_atleast(2.6.12)", true)
	test("version_atleast(2.6.13)", false)
	test("version_atleast(2.6-dev3)", true)
	test("version_atleast(2.7-dev1)", false)
	test("version_atleast(3)", false)
	test("version_before(2.7)", true)
	test("version_before(2.6.12)", false)
	test("version_before(2.6.12-1+deb12u4)", false)
	test("version_before(2.10)", true)
}

func TestConditionErrors(t *testing.T) {
	test := func(text, part string) {
		t.Helper()
		if got, err := condEnv().Eval(text); err == nil {
			t.Errorf("%q: accepted as %v", text, got)
		} else if !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v, want %q in it", text, err, part)
		}
	}
	test("foo", "unparsable conditional expression 'foo'")
	test("foo(a)", "unparsable conditional expression 'foo(a)'")
	test("defind(a)", "did you mean 'defined'")
	test("defined", "expected '('")
	test("defined(a,b)", "takes 1 argument(s), not 2")
	test("streq(a,b", "expected ')'")
	test("(1", "expected ')'")
	test("1)", "garbage ')'")
	test("1 2", "garbage '2'")
	test("1 &&", "unparsable")
	test("0 && nonsense", "unparsable") // the side that does not count, too
	test("version_atleast(x)", "no version")
	test("&& 1", "unparsable")
	test(strings.Repeat("!", 300)+"1", "nested")
	test(strings.Repeat("(", 300), "nested")
}

func FuzzCondition(f *testing.F) {
	for _, seed := range []string{"1", "!(0||1)&&defined(HOME)", `streq("a",b)`, "version_atleast(2.4-dev19)", "((((", "a(b", "!", "99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := condEnv().Eval(text)
		if err != nil {
			if err.Col < 1 || err.Col > len(text)+1 {
				t.Fatalf("%q: error at %d, outside of the text", text, err.Col)
			}
			return
		}
		// A condition's opposite is a condition with the opposite result.
		if strings.Trim(text, " \t\n\v\f\r") == "" || strings.Count(text, "(")+strings.Count(text, "!") > 200 {
			return
		}
		if opposite, err := condEnv().Eval("!(" + text + ")"); err != nil || opposite == got {
			t.Fatalf("%q is %v, its opposite %v (%v)", text, got, opposite, err)
		}
	})
}
