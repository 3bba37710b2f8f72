package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/http2/hpack"

	"lbsyslogd/lb/http1"
)

// TestTableMoves: a decoder that goes on with another's table reads what the
// peer sends as the other would have, whatever sizes the table had.
func TestTableMoves(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var buf bytes.Buffer
	for range 300 {
		buf.Reset()
		enc, d := hpack.NewEncoder(&buf), NewDecoder()
		for range 1 + rnd.IntN(12) {
			buf.Reset()
			for range rnd.IntN(3) {
				enc.SetMaxDynamicTableSize(uint32(rnd.IntN(tableSize + 1)))
			}
			fields := append([]string{}, get...)
			for range rnd.IntN(8) {
				fields = append(fields, fmt.Sprintf("x-%d", rnd.IntN(5)), fmt.Sprintf("%0*d", rnd.IntN(900), rnd.IntN(9)))
			}
			for i := 0; i < len(fields); i += 2 {
				_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
			}
			block := d.AppendTable(nil)
			next := NewDecoder()
			if err := next.RestoreTable(block); err != nil {
				t.Fatalf("%x: %v", block, err)
			}
			if again := next.AppendTable(nil); !bytes.Equal(again, block) {
				t.Fatalf("%x becomes %x", block, again)
			}
			want, err := d.Request(buf.Bytes(), true)
			got, err2 := next.Request(buf.Bytes(), true)
			if err != nil || err2 != nil || !bytes.Equal(got.Head, want.Head) || len(want.Head) == 0 {
				t.Fatalf("%q %v, unmoved %q %v", got.Head, err2, want.Head, err)
			}
			if rnd.IntN(2) == 0 {
				d = next
			}
		}
	}
}

// TestTableSize: an update of the size stands at the beginning of a block, and is
// no larger than what we allow (RFC 7541 section 4.2).
func TestTableSize(t *testing.T) {
	ok := block(get...)
	for name, c := range map[string]struct {
		block []byte
		good  bool
	}{
		"smaller":           {append([]byte{0x20 | 10}, ok...), true},
		"none, then all":    {append([]byte{0x20, 0x3f, 0xe1, 0x1f}, ok...), true},
		"too large":         {append([]byte{0x3f, 0xe2, 0x1f}, ok...), false},
		"in the middle":     {append(ok[:1:1], append([]byte{0x20 | 10}, ok[1:]...)...), false},
		"at the end":        {append(ok[:len(ok):len(ok)], 0x20|10), false},
		"cut short":         {[]byte{0x3f, 0xe1}, false},
		"without an end":    {[]byte{0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, false},
		"alone":             {[]byte{0x20 | 10}, true}, // it is a request without fields then
		"nothing, empty it": {append([]byte{0x20}, ok...), true},
	} {
		if _, err := NewDecoder().Request(c.block, true); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEncoderRenewed: a peer that has fields in its table reads what a new
// encoder sends.
func TestEncoderRenewed(t *testing.T) {
	var h http1.Head
	if _, err := h.ParseResponse([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\nX-C: d\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for _, size := range []uint32{0, 64, tableSize, 1 << 20} {
		peer := hpack.NewDecoder(tableSize, nil)
		old := NewEncoder()
		old.SetTableSize(size)
		for range 3 {
			for range 2 {
				fields, err := peer.DecodeFull(old.Response(&h))
				if err != nil || len(fields) != 4 || fields[2].Value != "b" || fields[3].Value != "d" {
					t.Fatalf("size %d: %v, %v", size, fields, err)
				}
			}
			next := NewEncoder()
			next.Renew(old.TableSize())
			old = next
		}
	}
}

// FuzzTable holds that a table that a peer made moves, or was refused with the
// block.
func FuzzTable(f *testing.F) {
	f.Add(block(get...))
	f.Add(block("x-a", "b", "x-c", "d"))
	f.Add([]byte{0x20, 0x3f, 0xe1, 0x1f, 0x40, 1, 'a', 1, 'b', 0x80 | 62})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewDecoder()
		if _, err := d.Request(b, true); err != nil {
			return
		}
		table := d.AppendTable(nil)
		next := NewDecoder()
		if err := next.RestoreTable(table); err != nil {
			t.Fatalf("%x: %v", table, err)
		}
		if again := next.AppendTable(nil); !bytes.Equal(again, table) {
			t.Fatalf("%x becomes %x", table, again)
		}
	})
}
