package peers

import (
	"bytes"
	"testing"
)

// Numbers at the ends of what each length holds, and the protocol's own example.
func TestNumbers(t *testing.T) {
	row := func(n uint64, want ...byte) {
		t.Helper()
		b := appendNumber(nil, n)
		if want != nil && !bytes.Equal(b, want) {
			t.Errorf("%d is written %x, want %x", n, b, want)
		}
		c := cursor{rest: b}
		if got := c.number(); got != n || c.bad || len(c.rest) > 0 {
			t.Errorf("%x is read as %d, want %d", b, got, n)
		}
		for cut := range b {
			if c := (cursor{rest: b[:cut]}); c.number() != 0 || !c.bad {
				t.Errorf("%x, of which %d bytes are there, is read", b, cut)
			}
		}
	}
	row(0, 0)
	row(239, 239)
	row(240, 0xf0, 0)
	row(0x1234, 0xf4, 0x94, 0x01)
	row(2287, 0xff, 0x7f)
	row(2288, 0xf0, 0x80, 0)
	for shift := range 64 {
		row(1<<shift - 1)
		row(1 << shift)
		row(1<<shift + 240)
	}
	row(1<<64 - 1)
	c := cursor{rest: bytes.Repeat([]byte{0xff}, 100)}
	if c.number(); !c.bad {
		t.Error("a number without an end is read")
	}
}

func FuzzNumber(f *testing.F) {
	f.Add([]byte{0xf4, 0x94, 0x01})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := cursor{rest: b}
		n := c.number()
		if c.bad {
			return
		}
		again := cursor{rest: appendNumber(nil, n)}
		if got := again.number(); got != n {
			t.Errorf("%x is %d, which is read back as %d", b, n, got)
		}
	})
}
