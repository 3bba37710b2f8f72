package lookup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(t testing.TB, text string, isMap bool) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path, isMap)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func text(f *File) string {
	var b strings.Builder
	for _, e := range f.Entries() {
		b.WriteString(e.Key + "=" + e.Value + ";")
	}
	return b.String()
}

func key(k string) func(*Entry) bool { return func(e *Entry) bool { return e.Key == k } }

func TestRead(t *testing.T) {
	const lines = "# no\n\n  a  1 2\t\r\nb\tc\nalone\n \n # a key\n"
	if got := text(file(t, lines, true)); got != "a=1 2;b=c;alone=;#=a key;" {
		t.Errorf("map: %s", got)
	}
	if got := text(file(t, lines, false)); got != "a  1 2\t=;b\tc=;alone=;# a key=;" {
		t.Errorf("patterns: %q", got)
	}
	if _, err := Read("/nonexistent", true); err == nil {
		t.Error("a file that is not there is read")
	}
}

// TestChanges: a change reaches all who use the file, or none.
func TestChanges(t *testing.T) {
	f := file(t, "a 1\nb 2\na 3\n", true)
	var first, second string
	show := func(list []Entry) (s string) {
		for _, e := range list {
			s += e.Key + e.Value + " "
		}
		return s
	}
	refused := errors.New("refused")
	f.OnChange(func(list []Entry) error { first = show(list); return nil })
	f.OnChange(func(list []Entry) error {
		if s := show(list); !strings.Contains(s, "bad") {
			second = s
			return nil
		}
		return refused
	})
	for _, step := range []struct {
		do   error
		want string
	}{
		{f.Add(Entry{Key: "c", Value: "4"}), "a1 b2 a3 c4 "},
		{f.Set(key("a"), "9"), "a9 b2 a9 c4 "},
		{f.Delete(key("b")), "a9 a9 c4 "},
		{f.Delete(func(e *Entry) bool { return e.ID == 1 }), "a9 c4 "},
	} {
		if step.do != nil {
			t.Error(step.do)
		}
	}
	if want := "a9 c4 "; first != want || second != want {
		t.Errorf("%q, %q; want %q", first, second, want)
	}
	if err := f.Add(Entry{Key: "bad"}); err != refused || first != "a9 c4 " || second != first || text(f) != "a=9;c=4;" {
		t.Errorf("a refused change: %v, %q, %q", err, first, second)
	}
	if f.Set(key("x"), "1") != ErrNoEntry || f.Delete(key("x")) != ErrNoEntry {
		t.Error("a key that is not there")
	}
	if err := f.Clear(); err != nil || first != "" || len(f.Entries()) != 0 {
		t.Errorf("%v, %q", err, first)
	}
	if err := f.OnChange(func([]Entry) error { return refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
}

// What is read and written as lines reads the same again.
func FuzzRead(f *testing.F) {
	f.Add("a b\n# c\n d\te f \n")
	f.Fuzz(func(t *testing.T, s string) {
		one, two := &File{Map: true}, &File{Map: true}
		if one.read(strings.NewReader(s)) != nil {
			return
		}
		var b strings.Builder
		for _, e := range one.entries {
			b.WriteString(" " + e.Key + " " + e.Value + "\n")
		}
		if err := two.read(strings.NewReader(b.String())); err != nil {
			t.Fatal(err)
		}
		if g, w := text(two), text(one); g != w {
			t.Fatalf("%q, then %q", w, g)
		}
	})
}
