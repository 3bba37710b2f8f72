package http2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/net/http2/hpack"

	"lbsyslogd/lb/http1"
)

// TestWriter: a decoder of another make reads what the writer writes, whatever sizes its table has, and the table of both holds the same.
func TestWriter(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	names := []string{":status", ":method", "server", "content-type", "x-a", "x-b", "set-cookie", "accept-encoding", "via"}
	values := []string{"200", "404", "GET", "", "gzip, deflate", "text/plain", "\x00\xff~~", "=;,"}
	for range 200 {
		var w writer
		w.init()
		peer := hpack.NewDecoder(tableSize, nil)
		for range 60 {
			switch rnd.IntN(6) {
			case 0:
				w.resize(0) // this decoder takes a second update only after one to nothing
				fallthrough
			case 1:
				w.resize(uint32(rnd.IntN(tableSize + 1)))
			}
			w.begin()
			var want []hpack.HeaderField
			for range 1 + rnd.IntN(12) {
				f := hpack.HeaderField{Name: names[rnd.IntN(len(names))], Value: values[rnd.IntN(len(values))], Sensitive: rnd.IntN(9) == 0}
				switch rnd.IntN(6) {
				case 0:
					f.Value = fmt.Sprintf("%0*d", rnd.IntN(900), rnd.IntN(1000))
				case 1:
					f.Name = fmt.Sprintf("x-%d", rnd.IntN(300))
				}
				w.put(f)
				want = append(want, f)
			}
			got, err := peer.DecodeFull(w.buf)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%v\n%v\n%v", err, got, want)
			}
			if w.size > w.max || int(w.next-w.oldest) > tableSize/entryOverhead {
				t.Fatalf("%d bytes in %d entries, of %d", w.size, w.next-w.oldest, w.max)
			}
		}
	}
}

// put writes a field.
func (w *writer) put(f hpack.HeaderField) {
	w.lower([]byte(f.Name))
	w.lowered([]byte(f.Value), f.Sensitive)
}

// TestWriterNumbersWrap: the entries of a connection are counted in 32 bits.
func TestWriterNumbersWrap(t *testing.T) {
	var w writer
	w.init()
	peer := hpack.NewDecoder(tableSize, nil)
	w.oldest, w.next = 1<<32-300, 1<<32-300
	for i := range 700 {
		w.begin()
		f := hpack.HeaderField{Name: "x-a", Value: fmt.Sprint(i / 2)}
		w.put(f)
		got, err := peer.DecodeFull(w.buf)
		if err != nil || !slices.Equal(got, []hpack.HeaderField{f}) {
			t.Fatalf("field %d: %v, %v", i, got, err)
		}
		if i%2 == 1 && len(w.buf) != 1 {
			t.Fatalf("field %d: a block of %d bytes for what is in the table", i, len(w.buf))
		}
	}
}

// TestSecretsInNoTable: what a client proves itself with is in no table, and no peer may keep it.
func TestSecretsInNoTable(t *testing.T) {
	var h http1.Head
	if _, err := h.ParseRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\nProxy-Authorization: Basic eDp5\r\nCookie: s=1\r\nX-A: b\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	e := NewEncoder()
	peer := hpack.NewDecoder(tableSize, nil)
	for range 2 {
		fields, err := peer.DecodeFull(e.Request(&h, Target{}, ""))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			if secret := f.Name == "authorization" || f.Name == "proxy-authorization" || f.Name == "cookie"; f.Sensitive != secret {
				t.Errorf("%v: is it a secret? %v", f, f.Sensitive)
			}
		}
	}
	for i := range e.w.ring {
		switch e := &e.w.ring[i]; e.text[:e.name] {
		case "authorization", "proxy-authorization", "cookie":
			t.Errorf("%q is in the table", e.text)
		}
	}
}

var answerHead = []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 30 Nov 2026 03:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 200\r\nX-Frame-Options: DENY\r\n\r\n")

// TestAnswersOfAKind: an answer with the fields of the one before takes a byte for each, and no allocation.
func TestAnswersOfAKind(t *testing.T) {
	var h http1.Head
	if _, err := h.ParseResponse(answerHead); err != nil {
		t.Fatal(err)
	}
	e := NewEncoder()
	e.Response(&h)
	if n := len(e.Response(&h)); n != 6 {
		t.Errorf("%d bytes", n)
	}
	if n := testing.AllocsPerRun(100, func() { e.Response(&h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkResponse(b *testing.B) {
	var h http1.Head
	if _, err := h.ParseResponse(answerHead); err != nil {
		b.Fatal(err)
	}
	e := NewEncoder()
	b.ReportAllocs()
	for b.Loop() {
		e.Response(&h)
	}
}

func BenchmarkRequest(b *testing.B) {
	var e writer
	e.init()
	d := NewDecoder()
	one := func() []byte {
		e.begin()
		for i := 0; i < len(get); i += 2 {
			e.field([]byte(get[i]), []byte(get[i+1]))
		}
		e.field([]byte("user-agent"), []byte("h2load nghttp2/1.52.0"))
		return e.buf
	}
	if _, err := d.Request(one(), true); err != nil {
		b.Fatal(err)
	}
	block := one()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Request(block, true); err != nil {
			b.Fatal(err)
		}
	}
}
