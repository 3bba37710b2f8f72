package receive

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// frames feeds text to a framer in pieces of the given length.
func frames(text string, size, piece int) (out []string) {
	f := framer{size: size}
	emit := func(msg []byte, n int) {
		if n > len(msg) {
			out = append(out, fmt.Sprintf("%s+%d", msg, n-len(msg)))
		} else {
			out = append(out, string(msg))
		}
	}
	var rest []byte
	for len(text) > 0 {
		n := min(piece, len(text))
		rest = append([]byte(nil), f.take(append(rest, text[:n]...), emit)...)
		text = text[n:]
	}
	f.end(rest, emit)
	return out
}

func TestFraming(t *testing.T) {
	row := func(text string, want ...string) {
		t.Helper()
		for piece := 1; piece <= len(text)+1; piece++ {
			if got := frames(text, 20, piece); !reflect.DeepEqual(got, want) {
				t.Fatalf("%q in pieces of %d is %q; want %q", text, piece, got, want)
			}
		}
	}
	row("<13>one\n<13>two\n", "<13>one", "<13>two")
	row("7 <13>one7 <13>two", "<13>one", "<13>two")
	row("7 <13>one<13>line\n8 <13>on\ne<13>end", "<13>one", "<13>line", "<13>on\ne", "<13>end")
	row("\n\n<13>x\n\n", "<13>x")
	row("5 abc\n<13>x\n", "5 abc", "<13>x")
	row("-5 abc\n", "-5 abc")
	row("0 <13>\n", "0 <13>")
	row("07 <13>one\n", "07 <13>one")
	row("99999999999 <13>x\n<13>y\n", "99999999999 <13>x", "<13>y")
	row("30 <13>"+strings.Repeat("x", 26)+"7 <13>one", "<13>"+strings.Repeat("x", 16)+"+10", "<13>one")
	row("<13>"+strings.Repeat("x", 26)+"\n<13>one\n", "<13>"+strings.Repeat("x", 16)+"+10", "<13>one")
	row("12", "12")
	row("12 <13>cut", "<13>cut+5")
	row(strings.Repeat("y", 20)+"\n", strings.Repeat("y", 20))
}

// FuzzFraming holds that how a stream is cut into reads changes nothing, and that no message is larger than it may be.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"<13>one\n7 <13>two", "5 abc\n", "-5 abc", "9223372036854775807 <x", "30 <13>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "1 <2 <3 <", "\n\n\n", "1234567", "0 <",
	} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, piece int) {
		if len(text) > 4096 {
			return
		}
		whole := frames(text, 20, len(text)+1)
		if cut := frames(text, 20, 1+(piece&0xff)); !reflect.DeepEqual(whole, cut) {
			t.Errorf("%q: whole %q, in pieces of %d %q", text, whole, 1+(piece&0xff), cut)
		}
	})
}
