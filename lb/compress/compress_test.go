package compress

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"lbsyslogd/lb/http1"
)

func request(t testing.TB, fields ...string) *http1.Head {
	t.Helper()
	var h http1.Head
	if _, err := h.ParseRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(fields, "\r\n"), "\r\n"))); err != nil {
		t.Fatal(err)
	}
	return &h
}

// TestChoose has the choices that HAProxy 2.6 makes.
func TestChoose(t *testing.T) {
	both := []Algorithm{Gzip, Deflate}
	choose := func(want Algorithm, from []Algorithm, fields ...string) {
		t.Helper()
		if got := Choose(request(t, fields...), from); got != want {
			t.Errorf("%q: %v, want %v", fields, got, want)
		}
	}
	choose(None, both)
	choose(None, both, "Accept-Encoding: br, zstd")
	choose(Gzip, both, "Accept-Encoding: br, GZIP")
	choose(Gzip, both, "Accept-Encoding: gzip, deflate")
	choose(Deflate, both, "Accept-Encoding: deflate, gzip")
	choose(Deflate, both, "Accept-Encoding: gzip;q=0.5, deflate;q=0.501")
	choose(Deflate, both, "Accept-Encoding: gzip;q=0.5", "Accept-Encoding: deflate ; x=1 ; q=0.7")
	choose(Gzip, both, "Accept-Encoding: gzip;q=x, deflate")
	choose(None, both, "Accept-Encoding: gzip;q=0, deflate;q=0.000")
	choose(Deflate, both, "Accept-Encoding: *")
	choose(RawDeflate, []Algorithm{Deflate, RawDeflate}, "Accept-Encoding: deflate")
	choose(Identity, []Algorithm{Identity}, "Accept-Encoding: gzip")
	choose(None, both, "Accept-Encoding: gzip", "User-Agent: Mozilla/4.08 [en] (WinNT; U ;Nav)")
	choose(None, both, "Accept-Encoding: gzip", "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)")
	choose(Gzip, both, "Accept-Encoding: gzip", "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)")
	choose(Gzip, both, "Accept-Encoding: gzip", "User-Agent: Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)")
}

func TestFits(t *testing.T) {
	fits := func(want bool, types []string, status string, fields ...string) {
		t.Helper()
		var h http1.Head
		if _, err := h.ParseResponse([]byte("HTTP/1.1 " + status + " x\r\n" + strings.Join(append(fields, "\r\n"), "\r\n"))); err != nil {
			t.Fatal(err)
		}
		if got := Fits(&h, types); got != want {
			t.Errorf("%s %q: %v", status, fields, got)
		}
	}
	text := []string{"text/", "application/json"}
	for status, want := range map[string]bool{"200": true, "201": true, "203": true, "204": false, "206": false, "404": false} {
		fits(want, nil, status)
	}
	fits(false, text, "200")
	fits(true, text, "200", "Content-Type: TEXT/html; charset=utf-8")
	fits(false, text, "200", "Content-Type: image/png")
	fits(false, nil, "200", "Content-Type: multipart/mixed")
	fits(false, nil, "200", "Content-Encoding: br")
	fits(false, nil, "200", "Cache-Control: private", "Cache-Control: max-age=1, No-Transform")
	fits(true, nil, "200", `ETag: "a"`)
	fits(true, nil, "200", `ETag: W/"a"`)
	fits(false, nil, "200", `ETag: a`)
	fits(false, nil, "200", `ETag: "a"`, `ETag: "b"`)
}

// unpack is what a receiver makes of a body.
func unpack(t testing.TB, a Algorithm, b []byte) ([]byte, error) {
	t.Helper()
	var r io.Reader
	var err error
	switch a {
	case Gzip:
		r, err = gzip.NewReader(bytes.NewReader(b))
	case Deflate:
		r, err = zlib.NewReader(bytes.NewReader(b))
	case RawDeflate:
		r = flate.NewReader(bytes.NewReader(b))
	default:
		r = bytes.NewReader(b)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// pieces are bodies of all kinds in pieces of all sizes.
func pieces(seed uint64) (list [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range r.IntN(6) {
		p := make([]byte, []int{0, 1, 5, 13, 14, 200, 5000, 32 << 10}[r.IntN(8)])
		for i := range p {
			p[i] = "the quick brown fox "[i%20]
			if seed%3 == 0 {
				p[i] = byte(r.Uint32())
			}
		}
		list = append(list, p)
	}
	return list
}

// TestWriter: what was compressed in pieces is read as it was, grows by no more
// than Growth, and each piece can be read before the next is there.
func TestWriter(t *testing.T) {
	for seed := range uint64(300) {
		a := Identity + Algorithm(seed%4)
		w := Writer{Algorithm: a}
		var whole, packed []byte
		list := pieces(seed)
		for i, p := range list {
			before := len(packed)
			packed = w.Append(packed, p, i == len(list)-1)
			whole = append(whole, p...)
			if grown := len(packed) - before - len(p); grown > Growth {
				t.Errorf("%v: %d bytes grew by %d", a, len(p), grown)
			}
			if got, err := unpack(t, a, packed); !bytes.Equal(got, whole) || i == len(list)-1 && err != nil {
				t.Fatalf("%v: after piece %d: %d bytes for %d, %v", a, i, len(got), len(whole), err)
			}
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	p := bytes.Repeat([]byte(`{"name":"value of some length","number":12345678,"list":[1,2,3]},`), 480)
	w := &Writer{Algorithm: Gzip}
	dst := make([]byte, 0, 64<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		dst = w.Append(dst[:0], p, false)
	}
}

func FuzzChoose(f *testing.F) {
	for _, v := range []string{"gzip, deflate, br", "gzip;q=1.0, *;q=0.5", "*;q=0", "deflate ; q = 1", ";q=", "identity;q=0.999", "gzip;q=0.1;q=0.2", ",,,;", "*gzip"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		var h http1.Head
		if _, err := h.ParseRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: " + v + "\r\n\r\n")); err != nil {
			return
		}
		a := Choose(&h, []Algorithm{Gzip, RawDeflate})
		if a != None && !strings.Contains(strings.ToLower(v), a.Coding()) && !strings.Contains(v, "*") {
			t.Errorf("%q chose %v", v, a)
		}
		if q := Weight([]byte(v)); q < 0 || q > 1000 {
			t.Errorf("%q weighs %d", v, q)
		}
	})
}
