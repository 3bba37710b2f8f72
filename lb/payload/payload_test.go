package payload

import (
	"bytes"
	"strings"
	"testing"
)

// after says what follows a line's first command, by the scan.
func after(line string) Follows {
	var s Scan
	for i := range len(line) {
		if f := s.Feed(line[i]); f != Nothing {
			return f
		}
	}
	return Nothing
}

func TestScan(t *testing.T) {
	for line, want := range map[string]Follows{
		"add map m k v\n":          Line,
		"add map m k v;":           Another,
		"a <<":                     Nothing,
		"a <<\n":                   Payload,
		"a <<  \t\n":               Payload,
		"a <<\r\n":                 Payload,
		"a <<;":                    Payload,
		"a<<\n":                    Payload,
		"<<\n":                     Payload,
		"a <<EOF\n":                Unknown,
		"a << EOF \n":              Unknown,
		"a <<EOF;":                 Unknown,
		"a <<<\n":                  Unknown,
		"<< EOF\n":                 Unknown,
		"<<EOF\n":                  Line,
		"a <<EOF b\n":              Line,
		"a << b c\n":               Line,
		"a < <\n":                  Line,
		`a\; <<EOF` + "\n":         Unknown,
		`a \\;`:                    Another,
		"a " + "<<E;" + "b <<;x\n": Unknown,
	} {
		if got := after(line); got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}

// FuzzScan: a command that is not kept is understood as one that is.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{"", "a <<", "a << EOF", "a <<EOF b", " <<< ", "<<", "a\t<<\t", "a <\r<"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, command []byte) {
		command = bytes.Map(func(r rune) rune {
			if r == '\n' || r == ';' {
				return ' '
			}
			return r
		}, command)
		text := string(command)
		want := Line
		switch trimmed := strings.TrimRight(text, " \t\r"); {
		case WordAfter(text):
			want = Unknown
		case strings.HasSuffix(trimmed, Mark):
			want = Payload
		}
		if got := after(text + "\n"); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
		if all := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }); WordAfter(text) != (len(all) > 1 &&
			(strings.HasPrefix(all[len(all)-1], Mark) && len(all[len(all)-1]) > len(Mark) || all[len(all)-2] == Mark)) {
			t.Errorf("%q: %t", text, WordAfter(text))
		}
	})
}
