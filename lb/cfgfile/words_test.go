package cfgfile

import (
	"reflect"
	"strings"
	"testing"
)

// vars is a Lookup over a map.
func vars(m map[string]string) Lookup {
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}

func texts(words []Word) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = w.Text
	}
	return all
}

func TestSplit(t *testing.T) {
	env := vars(map[string]string{"A": "one", "LIST": " x  y\tz ", "EMPTY": "", "SP": "a b"})
	test := func(line string, want ...string) {
		t.Helper()
		words, err := Split(line, env)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			return
		}
		if got := texts(words); !reflect.DeepEqual(got, append([]string{}, want...)) {
			t.Errorf("%q:\n got %q\nwant %q", line, got, want)
		}
	}
	test("")
	test("   \t ")
	test("# only a comment")
	test("  mode\thttp  # comment", "mode", "http")
	test("mode http#comment", "mode", "http")
	test(`log-format %{+Q}o\ %t\ %s`, "log-format", "%{+Q}o %t %s")
	test(`log-format "%{+Q}o %t"' %s %{-Q}r'`, "log-format", "%{+Q}o %t %s %{-Q}r")
	test(`a \# \\ \' \" \t \n \r \x41\x7a`, "a", "#", `\`, "'", `"`, "\t", "\n", "\r", "Az")
	test(`reqrep ^([^\ ]*)\ /a/(.*) \1\ /b/\2`, "reqrep", "^([^ ]*) /a/(.*)", `\1 /b/\2`)
	test(`a \q \1 trailing\`, "a", `\q`, `\1`, `trailing\`)
	test(`'a\n"b"$A #' x`, `a\n"b"$A #`, "x")
	test(`"'a' # \"q\" \$A \\"`, `'a' # "q" $A \`)
	test(`a $A ${A}`, "a", "$A", "${A}") // only double quotes expand
	test(`"$A" "${A}b" "${NO}" "${NO-dflt}" "${A-dflt}" "${EMPTY-dflt}"`, "one", "oneb", "", "dflt", "one", "")
	test(`"${NO-127.0.0.1}:514"`, "127.0.0.1:514")
	test(`s "${LIST[*]}" e`, "s", "x", "y", "z", "e")
	test(`s "${EMPTY[*]}" e`, "s", "e")
	test(`s "p${LIST[*]}q"`, "s", "px", "y", "zq")
	test(`s "$SP"`, "s", "a b")
	test(`"" a`, "", "a")
	test("mode http\r", "mode", "http")
	test("mode http\r garbage after", "mode", "http")
	test("a\vb\fc", "a", "b", "c")
}

func TestSplitColumns(t *testing.T) {
	words, err := Split(`  bind  "a b" \ c`, vars(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []Word{{"bind", 3}, {"a b", 9}, {" c", 15}}
	if !reflect.DeepEqual(words, want) {
		t.Errorf("got %v, want %v", words, want)
	}
}

func TestSplitErrors(t *testing.T) {
	test := func(line string, col int, part string) {
		t.Helper()
		words, err := Split(line, vars(nil))
		if err == nil {
			t.Errorf("%q: accepted as %q", line, texts(words))
		} else if err.Col != col || !strings.Contains(err.Text, part) {
			t.Errorf("%q: %q at %d, want %q at %d", line, err.Text, err.Col, part, col)
		}
	}
	test(`mode "http`, 6, "unmatched quote")
	test(`mode 'http`, 6, "unmatched quote")
	test("mode 'http\r'", 6, "unmatched quote")
	test(`a\x4`, 2, "hexadecimal")
	test(`a\xzz`, 2, "hexadecimal")
	test(`a\x00`, 2, "cannot be part")
	test(`"${A"`, 3, "unmatched brace")
	test(`"${A B}"`, 3, "unmatched brace")
	test(`"$1"`, 3, "invalid character")
	test(`"$"`, 3, "invalid character")
	test(`"${A[1]}"`, 5, "word expansion")
	test("acl x path"+strings.Repeat(" /p", 70), 195, "too many words")
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		"", "mode http", `a "b c" 'd e' \x41 \  # x`, `"${A}" "${B-c}" "${L[*]}"`, `bind "fd@${FD}"`, "a\r", `'`, `"${`, "\\", "\"$", `"$.LINE"`,
		`option httpchk GET / HTTP/1.1\r\nHost:\ www`, "acl x path_reg '^/(a|b)$'",
	} {
		f.Add(seed)
	}
	env := vars(map[string]string{"A": "one", "L": "x y z", "B": "\\ \"'#$\n\v"})
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line, env)
		if err != nil {
			if err.Col < 1 || err.Col > len(line)+1 {
				t.Fatalf("%q: error at %d, outside of the line", line, err.Col)
			}
			return
		}
		for _, w := range words {
			if w.Col < 1 || w.Col > len(line) {
				t.Fatalf("%q: word %q at %d, outside of the line", line, w.Text, w.Col)
			}
		}
		printed := Append(nil, texts(words)...)
		again, err := Split(string(printed), env)
		if err != nil {
			t.Fatalf("%q printed as %q: %v", line, printed, err)
		}
		if !reflect.DeepEqual(texts(again), texts(words)) {
			t.Fatalf("%q printed as %q:\nfirst %q\nagain %q", line, printed, texts(words), texts(again))
		}
	})
}
