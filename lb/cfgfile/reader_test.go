package cfgfile

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// read gives what a reader lets through, each line as "LINE: words".
func read(t *testing.T, text string, env *Env) (lines []string, report *Report) {
	t.Helper()
	report = &Report{}
	r := NewReader(Source{Name: "t.cfg", Data: []byte(text)}, env, report)
	for {
		line, ok := r.Next()
		if !ok {
			return lines, report
		}
		r.Section = line.Keyword()
		lines = append(lines, line.Pos.String()+": "+string(Append(nil, texts(line.Words)...)))
	}
}

// TestReader runs testdata/read/NAME: in.cfg is read, lines is what comes
// through, messages what an operator sees.
func TestReader(t *testing.T) {
	dirs, err := filepath.Glob("testdata/read/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			file := func(name string) string {
				data, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
			lines, report := read(t, file("in.cfg"), condEnv())
			var messages strings.Builder
			if e, ok := report.Err().(*Errors); ok {
				err = e.Write(&messages, 1)
			} else {
				err = WriteNotes(&messages, 1, report.Notes())
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(append(lines, ""), "\n"), file("lines"); got != want {
				t.Errorf("lines:\n%swant:\n%s", got, want)
			}
			if want := file("messages"); messages.String() != want {
				t.Errorf("messages:\n%swant:\n%s", messages.String(), want)
			}
		})
	}
}

func TestReaderDamage(t *testing.T) {
	test := func(text, part string) {
		t.Helper()
		_, report := read(t, text, NewEnv(nil))
		err := report.Err()
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.40q: %v, want %q in it", text, err, part)
		}
	}
	test("global", "Missing LF on last line")
	test("global\nmode\x00http\n", "t.cfg:2: stray NUL character at position 5")
	test("global\n"+strings.Repeat("a", maxLine+1)+"\n", "t.cfg:2: line too long")
}

func TestReaderTakesAnyLineUpToTheLimit(t *testing.T) {
	lines, report := read(t, strings.Repeat("a", maxLine)+"\nb\n", NewEnv(nil))
	if err := report.Err(); err != nil || len(lines) != 2 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

func TestVariablesOfALineCountForTheNext(t *testing.T) {
	env := NewEnv([]string{"A=old"})
	report := &Report{}
	r := NewReader(Source{Name: "t.cfg", Data: []byte("x \"$A\"\ny \"$A ${.FILE} ${.LINE} ${.SECTION}\"\n")}, env, report)
	line, _ := r.Next()
	first := line.Texts()
	env.Set("A", "new")
	r.Section = "global"
	line, _ = r.Next()
	if got := first[1]; got != "old" {
		t.Errorf("first line: %q", got)
	}
	if got := line.Texts()[1]; got != "new t.cfg 2 global" {
		t.Errorf("second line: %q", got)
	}
}

func TestEnv(t *testing.T) {
	e := NewEnv([]string{"A=1", "B=2", "C=x=y", "broken"})
	if v, _ := e.Get("C"); v != "x=y" {
		t.Errorf("C = %q", v)
	}
	for in, want := range map[string]string{
		"fd@${A}": "fd@1", "${A}${B}": "12", "${NO}:80": ":80", "${A": "${A", "plain": "plain", "x${": "x${",
		"*:$A": "*:1", "$A:$B": "1:2", "$A_B.x": ".x", "$A.$NO.": "1..", "$": "$", "a$1": "a$1", `\$A`: `\$A`, "${A}b$B": "1b2",
	} {
		if got := e.Expand(in); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
	e.Unset("A")
	e.Keep([]string{"B", "Z"})
	if _, set := e.Get("C"); set {
		t.Error("C survived Keep")
	}
	if v, set := e.Get("B"); !set || v != "2" {
		t.Error("B is gone")
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.cfg", "a.cfg", "B.cfg", ".hidden.cfg", "c.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("\ufeff"+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	single := filepath.Join(dir, "c.txt")
	sources, err := ReadFiles([]string{single, dir})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sources {
		names = append(names, filepath.Base(s.Name))
		if string(s.Data) != filepath.Base(s.Name)+"\n" {
			t.Errorf("%s holds %q", s.Name, s.Data)
		}
	}
	if want := []string{"c.txt", "B.cfg", "a.cfg", "b.cfg"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if _, err := ReadFiles([]string{filepath.Join(dir, "none")}); err == nil || !strings.Contains(err.Error(), "none: no such file") {
		t.Errorf("missing file: %v", err)
	}
}

func TestErrorsAreSortedAndCounted(t *testing.T) {
	r := &Report{}
	r.Opened("a")
	r.Opened("b")
	r.Errorf(Pos{}, "whole")
	r.Errorf(Pos{File: "b", Line: 1}, "first of b")
	r.Errorf(Pos{File: "a", Line: 9}, "second of a")
	r.Errorf(Pos{File: "a", Line: 2}, "first of a")
	err := r.Err()
	if got, want := err.Error(), "a:2: first of a (and 3 more)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var texts []string
	for _, e := range err.(*Errors).Unwrap() {
		texts = append(texts, e.Error())
	}
	if want := []string{"a:2: first of a", "a:9: second of a", "b:1: first of b", "whole"}; !reflect.DeepEqual(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
}

func TestNotesAreSaidOnce(t *testing.T) {
	r := &Report{}
	for range 3 {
		r.Warnf(Pos{File: "a", Line: 1}, "same")
	}
	r.Notef(Pos{File: "a", Line: 1}, "same")
	if n := len(r.Notes()); n != 2 {
		t.Errorf("%d notes, want one warning and one notice", n)
	}
}

func FuzzReader(f *testing.F) {
	f.Add("global\n maxconn 1\n.if defined(A)\n x\n.elif 1\n y\n.else\n z\n.endif\n.warning \"w\"\n")
	f.Add(".if 1\n.if 0\n.endif\n.else\n.else\n.elif\n")
	f.Add("a\r\n\"\n'\\\n.endif\n\x00\n")
	f.Fuzz(func(t *testing.T, text string) {
		report := &Report{}
		r := NewReader(Source{Name: "f", Data: []byte(text)}, condEnv(), report)
		last := 0
		for {
			line, ok := r.Next()
			if !ok {
				break
			}
			if line.Pos.Line <= last || len(line.Words) == 0 {
				t.Fatalf("line %d with %d words after line %d", line.Pos.Line, len(line.Words), last)
			}
			last = line.Pos.Line
		}
		if e, ok := report.Err().(*Errors); ok {
			var out strings.Builder
			if err := e.Write(&out, 1); err != nil {
				t.Fatal(err)
			}
		}
	})
}
