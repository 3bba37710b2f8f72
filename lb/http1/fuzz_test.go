package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// seeds are heads of all kinds, good and bad.
func seeds(f *testing.F) {
	for _, s := range []string{
		browserRequest, smallRequest, usualResponse,
		"GET / HTTP/1.1\nHost: a\n\n",
		"\r\n\nPOST http://a:80/b HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nA: b\r\n\r\nnext",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"GET / HTTP/1.7\r\nHost:\ta \r\nConnection: close, upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n",
		"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.0 304\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
}

// FuzzHead: what is accepted, rendered and parsed again is the same, needs no
// further rendering, and was incomplete until its last byte.
func FuzzHead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		var a, b Head
		for _, parse := range []func(*Head, []byte) (int, error){(*Head).ParseRequest, (*Head).ParseResponse} {
			n, err := parse(&a, in)
			var refused *Error
			if err != nil {
				if n != 0 || !errors.Is(err, ErrIncomplete) && !errors.As(err, &refused) {
					t.Fatalf("%d, %v", n, err)
				}
				continue
			}
			if _, err := parse(&b, in[:n-1]); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("%q without its last byte: %v", in[:n], err)
			}
			if in[n-1] != '\n' { // only then is a head looked at again
				t.Fatalf("%q does not end with a line", in[:n])
			}
			out := a.Append(nil)
			if a.Size() != len(out) {
				t.Fatalf("%q: its size is %d, not %d", out, a.Size(), len(out))
			}
			if m, err := parse(&b, out); err != nil || m != len(out) {
				t.Fatalf("%q comes out as %q: %d, %v", in[:n], out, m, err)
			}
			sameHead(t, &a, &b)
			if again := b.Append(nil); !bytes.Equal(again, out) {
				t.Fatalf("%q is rendered as %q, and that as %q", in[:n], out, again)
			}
			// Every field anew: the runs of untouched lines end everywhere.
			for i := range b.Len() {
				b.SetValue(i, b.Value(i))
			}
			b.SetURI(b.URI())
			rendered := b.Append(nil)
			if _, err := parse(&a, rendered); err != nil {
				t.Fatalf("%q comes out as %q: %v", out, rendered, err)
			}
			sameHead(t, &a, &b)
		}
	})
}

func sameHead(t *testing.T, a, b *Head) {
	t.Helper()
	if string(a.Method()) != string(b.Method()) || string(a.URI()) != string(b.URI()) || a.Minor() != b.Minor() ||
		a.Status() != b.Status() || string(a.Reason()) != string(b.Reason()) {
		t.Fatalf("start lines differ: %+v, %+v", a, b)
	}
	if a.Length != b.Length || a.Chunked != b.Chunked || !a.Repaired && a.Persistent() != b.Persistent() || a.Upgrade != b.Upgrade ||
		a.Expect != b.Expect || a.HasHost != b.HasHost {
		t.Fatalf("framing differs: %+v, %+v", a, b)
	}
	j := 0
	for i := range a.Len() {
		if a.Deleted(i) {
			continue
		}
		if j >= b.Len() || string(a.Name(i)) != string(b.Name(j)) || string(a.Value(i)) != string(b.Value(j)) {
			t.Fatalf("field %d differs", i)
		}
		j++
	}
	if j != b.Len() {
		t.Fatalf("%d fields became %d", j, b.Len())
	}
}

// FuzzAgainstNetHTTP: a request that both we and net/http accept ends at the
// same byte and has the same body for both, as it came and as we pass it on.
func FuzzAgainstNetHTTP(f *testing.F) {
	seeds(f)
	f.Fuzz(againstNetHTTP)
}

func againstNetHTTP(t *testing.T, in []byte) {
	var h Head
	n, err := h.ParseRequest(in)
	if err != nil {
		return
	}
	kind, length := h.RequestBody(), h.Length
	if h.Repaired && h.Minor() == 0 { // net/http does not look for chunks there; nor may a server have to
		h.SetMinor(1)
	} else {
		compare(t, in, n, kind, length)
	}
	out := append(h.Append(nil), in[n:]...)
	compare(t, out, len(out)-(len(in)-n), kind, length)
}

// fragments are what smuggling is made of.
var fragments = [...]string{
	"POST / HTTP/1.1", "GET /a HTTP/1.1", "GET / HTTP/1.0", "POST http://a/ HTTP/1.1", "\r\n", "\n", "\r", "\r\n\r\n", "Host: a\r\n",
	"Content-Length", "Transfer-Encoding", "content-length", ": ", ":", " ", "\t", ",", ";", "\x00", "\v", "\xa0", "_", "+", "-", "0x",
	"chunked", "identity", "gzip", "Chunked", "0", "1", "5", "05", "a", "hello", "0\r\n\r\n", "5\r\nhello\r\n", "5;a=b\r\nhello\r\n",
	"Content-Length: 5\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "X: y\r\n",
	"Content-Length:", "Transfer-Encoding:", "Trailer: X\r\n", "0\r\nX: y\r\n\r\n", "GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
}

// FuzzFragments is FuzzAgainstNetHTTP with requests put together from
// fragments, one for each byte: it comes to the rare combinations sooner.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 4, 8, 38, 40, 4, 35, 47})
	f.Add([]byte{0, 4, 8, 10, 14, 12, 25, 16, 4, 38, 4, 36, 35})
	f.Add([]byte{1, 5, 8, 9, 13, 31, 16, 31, 7, 34, 47})
	f.Fuzz(func(t *testing.T, picks []byte) {
		var in []byte
		for _, p := range picks[:min(len(picks), 64)] {
			in = append(in, fragments[int(p)%len(fragments)]...)
		}
		againstNetHTTP(t, in)
	})
}

func compare(t *testing.T, in []byte, head int, kind Body, length int64) {
	t.Helper()
	body, used, complete, err := ourBody(in[head:], kind, length)
	if err != nil {
		return // we are the stricter one
	}
	r := bufio.NewReader(bytes.NewReader(in))
	req, err := http.ReadRequest(r)
	if err != nil {
		return // net/http is the stricter one
	}
	if req.Method == "CONNECT" {
		return // net/http reads no body there, nor do we: it is a tunnel
	}
	if kind == ChunkedBody && (bytes.Contains(in[head:], []byte(" ;")) || bytes.Contains(in[head:], []byte("\t;"))) {
		return // white space before an extension is allowed, but not by net/http
	}
	theirs, err := io.ReadAll(req.Body)
	if complete != (err == nil) && !stricter(err) {
		t.Fatalf("%q: our body is complete: %v, net/http: %v", in, complete, err)
	}
	if err != nil {
		return
	}
	rest, _ := io.ReadAll(r)
	if !bytes.Equal(theirs, body) || len(rest) != len(in)-head-used {
		t.Fatalf("%q: we read body %q and leave %d bytes, net/http reads %q and leaves %d",
			in, body, len(in)-head-used, theirs, len(rest))
	}
}

// stricter reports whether net/http refuses something of a chunked body that
// does no harm: trailers that are well formed and extensions that are long.
func stricter(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "excessive overhead") || strings.Contains(err.Error(), "malformed MIME header"))
}

// ourBody reads a body as the data path does.
func ourBody(b []byte, kind Body, length int64) (body []byte, used int, complete bool, err error) {
	switch kind {
	case LengthBody:
		used = int(min(length, int64(len(b))))
		return b[:used], used, int64(used) == length, nil
	case ChunkedBody:
		var c Chunks
		for used < len(b) && !c.Done() {
			n, data, err := c.Next(b[used:])
			if err != nil {
				return nil, used, false, err
			}
			if data {
				body = append(body, b[used:used+n]...)
			}
			used += n
		}
		return body, used, c.Done(), nil
	}
	return nil, 0, true, nil
}

// FuzzChunks: how the bytes are cut makes no difference, and what is accepted
// net/http reads the same way.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{
		plainChunks, "0\r\nA: b\r\nHosts: c\r\n\r\nnext", "5 ;a=\"b\"\r\nhello\r\n00\r\n\r\n", "5\nhello\n0\n\n",
		"1000000000000000\r\n", "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var whole, parts Chunks
		n, err := whole.Pass(in)
		m, partsErr := 0, error(nil)
		for size := int(step%17) + 1; m < len(in) && partsErr == nil && !parts.Done(); {
			var k int
			k, partsErr = parts.Pass(in[m:min(m+size, len(in))])
			m += k
		}
		if n != m || err != partsErr || whole != parts {
			t.Fatalf("as a whole: %d, %v, %+v; in parts: %d, %v, %+v", n, err, whole, m, partsErr, parts)
		}
		const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		if whole.Done() {
			compare(t, append([]byte(head), in...), len(head), ChunkedBody, -1)
		}
	})
}
