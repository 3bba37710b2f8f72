package receive

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// frames feeds text to a framer in pieces of the given length.
func frames(text string, size, piece int) (out []string) {
	out, _ = framesOf(text, size, piece, true)
	return out
}

// framesOf is frames, with how often the stream was out of step. An open stream does not end.
func framesOf(text string, size, piece int, end bool) (out []string, lost uint64) {
	f := framer{size: size}
	emit := func(msg []byte, n int) {
		if n < 0 {
			out = append(out, fmt.Sprintf("%s of %d", msg, -n))
		} else if n > len(msg) {
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
	if end {
		f.end(rest, emit)
	}
	return out, f.lost
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
	row("07 <13>one\n", "<13>one")
	row("8  <13>one007 <13>two", "<13>one", "<13>two")
	row("7 <13>one\r\n7 <13>two\r\n", "<13>one", "<13>two")
	row("300000 <13>one\n<13>two\n", "300000 <13>one", "<13>two")
	row("3 <13>one\n", "<13", ">one")
	row("1 <7 <13>one", "<", "<13>one")
	// Empty ones are signs of life, and a tab is as good as a blank.
	row("0 7 <13>one0 0 7 <13>two", "<13>one", "<13>two")
	row("7 <13>one0 "+strings.Repeat("0 ", 50)+"7 <13>two0 0 ", "<13>one", "<13>two")
	row("0 7 things\n<13>x\n", "0 7 things", "<13>x")
	row(strings.Repeat("0 ", 40)+"things\n", strings.Repeat("0 ", 10)+"+66") // all bytes have a number
	row("7\t<13>one7\t<13>two", "<13>one", "<13>two")
	// The end of lines that a stream shows is its own.
	row("<13>one\x00<13>two\x00", "<13>one", "<13>two")
	row("<13>one\x00<13>a\nb\x00<13>c\n<13>d\x00", "<13>one", "<13>a\nb", "<13>c", "<13>d")
	if got := frames("<13>one\n<13>a\x00b\n<13>c\x00<13>d\n", 20, 100); !reflect.DeepEqual(got, []string{"<13>one", "<13>a\x00b", "<13>c", "<13>d\n"}) {
		t.Errorf("a NUL in a line: %q", got)
	}
	row("<13>one\x00\n<13>two\x00\n", "<13>one", "<13>two")
	row("<13>one\x006 <1>a\x00b<13>two\x00", "<13>one", "<1>a\x00b", "<13>two")
	row("7 <13>one\n7 <13>two\n", "<13>one", "<13>two")
	// Byte order marks.
	row("\xef\xbb\xbf7 <13>one7 <13>two", "<13>one", "<13>two")
	row("\xef\xbb\xbf<13>one\n\xef\xbb\xbf<13>two\n", "<13>one", "<13>two")
	row("\xef\xbb<13>one\n", "\xef\xbb<13>one")
	row("10 \xef\xbb\xbf<13>one10 \xef\xbb\xbf<13>two7 <13>end", "\xef\xbb\xbf<13>one", "\xef\xbb\xbf<13>two", "<13>end")
	row("7 <13>one10 \xef\xbb\xbf<13>two<13>line\n", "<13>one", "\xef\xbb\xbf<13>two", "<13>line")
	row("10 \xef\xbb\xbfline\n<13>x\n", "10 \xef\xbb\xbfline", "<13>x")
	row("99999999999 <13>x\n<13>y\n", "99999999999 <13>x", "<13>y")
	row("30 <13>"+strings.Repeat("x", 26)+"7 <13>one", "<13>"+strings.Repeat("x", 16)+"+10", "<13>one")
	row("<13>"+strings.Repeat("x", 26)+"\n<13>one\n", "<13>"+strings.Repeat("x", 16)+"+10", "<13>one")
	row("12", "12")
	row("12 <13>cut", "<13>cut of 12")
	// Of one that is too large and breaks off, what came is what was dropped.
	row("1000 <13>"+strings.Repeat("x", 36), "<13>"+strings.Repeat("x", 16)+"+20")
	row("28 <13>"+strings.Repeat("x", 18), "<13>"+strings.Repeat("x", 16)+"+2")
	row(strings.Repeat("y", 20)+"\n", strings.Repeat("y", 20))
}

// TestStep holds that a wrong length costs nothing when what follows has arrived too, and at most its neighbour otherwise, and that it is counted.
func TestStep(t *testing.T) {
	good := func(n int) string { return fmt.Sprintf("32 <14>Nov 21 03:04:05 h-a app: n %d", n%10) }
	row := func(what string, piece, kept int, wrong string) {
		t.Helper()
		text, want := wrong, []string(nil)
		for n := range 400 {
			text += good(n)
			want = append(want, good(n)[3:])
		}
		out, lost := framesOf(text, 8192, piece, false)
		if lost == 0 && kept < len(want) {
			t.Errorf("%s: nothing is counted", what)
		}
		found := 0
		for i := len(out) - 1; i >= 0 && found < len(want) && out[i] == want[len(want)-1-found]; i-- {
			found++
		}
		if found < kept {
			t.Errorf("%s in pieces of %d: the last %d messages are right, want %d; the first are %.150q", what, piece, found, kept, out[:3])
		}
		if all := strings.Join(out, ""); !strings.Contains(all, "WRONG") {
			t.Errorf("%s in pieces of %d: the message itself is lost", what, piece)
		}
	}
	const body = " <14>Nov 21 03:04:05 h-a app: WRONG" // 34
	for _, piece := range []int{1, 2, 7, 35, 36, 37, 38, 100, 1000, 1 << 20} {
		for _, length := range []int{4, 5, 10, 30, 31, 32, 33, 35, 36, 37, 38, 39, 40, 41, 60, 70, 71, 72} {
			row(fmt.Sprint("length ", length), piece, 397, fmt.Sprint(length, body))
		}
	}
	for _, length := range []int{340, 350, 3434, 3500, 9999} {
		row(fmt.Sprint("length ", length), 1<<20, 399, fmt.Sprint(length, body))
		row(fmt.Sprint("length ", length), 1000, 399-length/35, fmt.Sprint(length, body))
	}
	// What must be meant for a length, at the beginning of a stream.
	for _, odd := range []string{"0", "-5", "+34", "999999999999", "300000", "34\t", " 34", "\t34", "000"} {
		for _, piece := range []int{7, 37, 1000} {
			row("length "+odd, piece, 397, odd+body)
		}
	}
	for _, right := range []string{"034", "0034", "35 "} {
		row("length "+right, 100, 400, right+body)
	}
	row("length 34 and no blank", 1000, 397, "34"+body[1:])
	row("no length", 1000, 399, "32 <14>Nov 21 03:04:05 h-a app: n 0"+body[1:])
	row("a line", 1000, 399, "32 <14>Nov 21 03:04:05 h-a app: n 0WRONG and then\n")
}

// TestCharactersCounted has senders that count characters where octets are meant, and others that are wrong by as much each time: each message is
// whole where the one after it has come, and otherwise the rest of it is a line.
func TestCharactersCounted(t *testing.T) {
	for _, message := range []string{"15 <14>app: b\xc3\xbcr %dx", "17 <14>app: b\xc3\xbc\xc3\xbco %d.x", "16 <14>app: \xe6\x97\xa5\xe6\x9c\xac %d end", "13 <14>app: short %d by some"} {
		text, all := "", ""
		var want []string
		for n := range 300 {
			one := fmt.Sprintf(message, n%10)
			text, all, want = text+one, all+one[3:], append(want, one[3:])
		}
		for _, piece := range []int{1, 7, 20, 100, 1000, 1 << 20} {
			out, lost := framesOf(text, 8192, piece, true)
			whole := 0
			for _, line := range out {
				if slices.Contains(want[:10], line) {
					whole++
				}
			}
			if len(out) < 299 || len(strings.Join(out, "")) < len(all) || lost == 0 || piece >= 100 && whole < 240 || piece > 1000 && whole < 298 {
				t.Errorf("%q in pieces of %d: %d lines, %d of them whole, %d times out of step: %.200q", message, piece, len(out), whole, lost, out)
			}
		}
	}
}

// FuzzFraming holds that how a stream is cut into reads changes nothing as long as it is in step, that no message is larger than it may be,
// and that right messages are read again after whatever came before them, unless that was the length of a message still to come.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"<13>one\n7 <13>two", "5 abc\n", "-5 abc", "9223372036854775807 <x", "30 <13>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "1 <2 <3 <", "\n\n\n", "1234567", "0 <",
		"<13>one\x00<13>two\n<13>three\x00", "8 <13>one7 <13>two", "6 <13>one7 <13>two", "\xef\xbb\xbf7 <13>one", "<1>\x00 \n<1",
	} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, piece int) {
		if len(text) > 4096 {
			return
		}
		piece = 1 + (piece & 0xff)
		whole, lost := framesOf(text, 20, len(text)+1, true)
		cut, lostCut := framesOf(text, 20, piece, true)
		mixed := strings.ContainsRune(text, 0) && strings.ContainsRune(text, '\n') // a NUL at the end of what is there is an end
		if !reflect.DeepEqual(whole, cut) && lost+lostCut == 0 && !mixed {
			t.Errorf("%q: whole %q, in pieces of %d %q", text, whole, piece, cut)
		}
		if strings.ContainsAny(text, "0123456789") {
			return // it may ask for what follows
		}
		out, _ := framesOf(text+"\n"+strings.Repeat("7 <13>one", 9), 20, piece, false)
		if n := len(out); n < 9 || !reflect.DeepEqual(out[n-8:], strings.Split(strings.Repeat("<13>one ", 8), " ")[:8]) {
			t.Errorf("%q and then messages that are right, in pieces of %d: %q", text, piece, out)
		}
	})
}
