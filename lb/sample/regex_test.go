package sample

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRegexp: what PCRE makes of a pattern, byte by byte, by either engine.
func TestRegexp(t *testing.T) {
	test := func(pattern, text, want string) {
		t.Helper()
		re, err := CompileRegexp(pattern, false)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			return
		}
		m := re.Submatches([]byte(text))
		if got := strings.Trim(fmt.Sprint(m), "[]"); got != want || re.Match([]byte(text)) != (m != nil) {
			t.Errorf("%s with %q: %s, want %s", pattern, text, got, want)
		}
	}
	test("b+", "abbc", "1 3")
	test("(b)(x)?", "abc", "1 2 1 2 -1 -1")
	test(".(.)", "é", "0 2 1 2") // two bytes
	test("\xc3", "aé", "1 2")
	test(`\xa9$`, "aé", "2 3")
	test("é", "aéb", "1 3")
	test("^.{3}$", "aé", "0 3")
	test("[\x80-\xff]+", "a\xfféb", "1 4")
	test("x$", "x\n", "0 1")
	test("x[$]$", "x$\n", "0 2")
	test(`x\z`, "x\n", "")
	test(`\Qx$\E(?=b)`, "x$b", "0 2")
	test("a(?=b)", "aab", "1 2")
	test("^/(?!wp-|index)(.*)$", "/wp-x", "")
	test("^/(?!wp-|index)(.*)$", "/é", "0 3 1 3")
	test(`(?P<n>a)(b)\2`, "xabb", "1 4 1 2 2 3")
	test("a++a", "aaa", "")
	test("(?<=a)b", "bab", "2 3")
	test(`\(*(?!x)[(*]`, "(*", "0 2")
	test("^a{1,1500}b", "aab", "0 3")
	test(`a\hb`, "a\xa0b", "0 3")
	test(`^[\h:]+$`, " :\t", "0 3")
	test(`\H+`, " ab ", "1 3")
	test(`\v`, "a\rb", "1 2")
	test(`[\v]`, "a\x0bb", "1 2")
	test(`\V+`, "\nab\x85", "1 3")
	test(`\N+`, "ab\nc", "0 2")
	test(`a\Rb`, "a\r\nb", "0 4")
	test(`a\R\n`, "a\r\n", "") // it takes both, and gives none back
	test(`(?=a)a\h`, "a ", "0 2")
	test(`\Q\h\E`, `\h`, "0 2")
	test(`\\h`, `\h`, "0 2")
	test(`[]\h]+`, "] ]", "0 3")
	test(`^[[:alpha:]\h]+$`, "a b", "0 3")
	test(`^[\h[:alpha:]]+$`, "a b", "0 3")
	test(`^[^[:alpha:]\v]+\v$`, "1\r", "0 2")
	test(`^[[:alpha:]$]+$(?!x)`, "a$\n", "0 2")
	test(`^[[:alpha:](?(]+(?=x)`, "a(?x", "0 3")
	test(`^[[:]\h]+`, "[ ]]", "0 4")
	test(`^[[:x[\h]+`, "[ ]", "0 2")
	test(`^\Qx\E$`, "x\n", "0 1")
	for _, pattern := range []string{`(?R)`, `a(?1)`, `(?|a|b)`, `(*UTF)a`, "(", "[", "a**", `\Ka`, `[\R]`, `[\H]`, `\N{U+41}`} {
		if _, err := CompileRegexp(pattern, false); err == nil {
			t.Errorf("%s: accepted", pattern)
		}
	}
}

// TestRegexpIsBounded: a pattern that would backtrack for ever does not match.
func TestRegexpIsBounded(t *testing.T) {
	re, err := CompileRegexp("(?!x)^(a+)+$", false)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if text := []byte(strings.Repeat("a", 60) + "b"); re.Match(text) || re.Submatches(text) != nil {
		t.Error("matches")
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %s", d)
	}
}

// TestRegexpAllocates: a text of ASCII goes to Go's engine as it is.
func TestRegexpAllocates(t *testing.T) {
	re, err := CompileRegexp("^/[a-z]+$", false)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("/abcdef")
	if n := testing.AllocsPerRun(100, func() { re.Match(text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzRegexp(f *testing.F) {
	for _, s := range []string{"a(?=b)", "(a)\\1", "[\\w-.]+", "^(?!x).*$", "é$", "\\Qa$\\E$", "(?<!a)b++"} {
		f.Add(s, "aab\xe9\n", true)
	}
	f.Fuzz(func(t *testing.T, pattern, text string, fold bool) {
		if len(pattern) > 40 || len(text) > 40 {
			return
		}
		re, err := CompileRegexp(pattern, fold)
		if err != nil {
			return
		}
		m := re.Submatches([]byte(text))
		for i, at := range m {
			if at < -1 || at > len(text) || i%2 == 1 && at < m[i-1] {
				t.Fatalf("%q with %q: %v", pattern, text, m)
			}
		}
		re.replaceAll(nil, []byte(text), `<\0\1>`, true)
	})
}
