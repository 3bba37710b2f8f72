package e2e

import (
	"strings"
	"testing"
)

// TestSmuggling offers requests that two servers may read differently (RFC 9112, sections 2.2, 5.1, 5.2, 6.3 and 7.1). Each is refused with 400
// (422 if there is a coding beneath chunked), or passed on with one framing; the connection ends, and what follows on it is never taken for a request.
func TestSmuggling(t *testing.T) {
	s := start(t, options{})
	const hidden = "GET /r/smuggled/1 HTTP/1.1\r\nHost: a\r\n\r\n"
	try := func(name string, code int, text string) {
		t.Run(name, func(t *testing.T) {
			before, malformed := s.requests(), s.malformed()
			c := dial(t, s.http)
			c.send("%s", text+hidden)
			a, body, err := c.tryAnswer("POST")
			if err != nil || a.StatusCode != code {
				t.Fatalf("want %d, got %+v %q %v", code, a, body, err)
			}
			if a, body, err := c.tryAnswer("GET"); err == nil {
				t.Errorf("then another answer: %+v %q", a, body)
			}
			// The head of a body with a bad chunk may have reached a backend, which then sees its connection cut; a second
			// request or a malformed one may not.
			if n := s.requests() - before; n > 1 || n == 1 && code != 200 && !strings.HasPrefix(name, "chunk") {
				t.Errorf("%d requests reached the backends", n)
			}
			if n := s.malformed() - malformed; n > 0 {
				t.Errorf("%d malformed requests reached a backend", n)
			}
		})
	}
	row := func(name, text string) { try(name, 400, text) }
	post := func(headers, body string) string {
		return "POST /r/x/1 HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body
	}
	try("length and coding", 200, post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"))
	try("coding and length", 200, post("Transfer-Encoding: chunked\r\nContent-Length: 45\r\n", "0\r\n\r\n"))
	try("coding in HTTP/1.0", 200, "POST /r/x/1 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	row("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"))
	row("two lengths in one", post("Content-Length: 5, 6\r\n", "12345"))
	row("negative length", post("Content-Length: -1\r\n", ""))
	row("signed length", post("Content-Length: +5\r\n", "12345"))
	row("hexadecimal length", post("Content-Length: 0x5\r\n", "12345"))
	row("length with a space", post("Content-Length: 1 0\r\n", "12345"))
	row("empty length", post("Content-Length:\r\n", ""))
	row("length beyond 64 bits", post("Content-Length: 18446744073709551621\r\n", "12345"))
	try("coding beneath chunked", 422, post("Transfer-Encoding: xchunked, chunked\r\n", "0\r\n\r\n"))
	row("unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"))
	row("chunked is not last", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"))
	row("chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"))
	row("coding with a control character", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"))
	row("folded header", post("X-A: b\r\n c\r\n", ""))
	row("folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"))
	row("space before the first header", "POST /echo HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n")
	row("space before the colon", post("Content-Length : 5\r\n", "12345"))
	row("tab before the colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"))
	row("header without a colon", post("Content-Length 5\r\n", "12345"))
	row("header without a name", post(": 5\r\n", ""))
	row("bare CR in a value", post("X-A: b\rContent-Length: 5\r\n", ""))
	row("bare CR as line end", "POST /echo HTTP/1.1\rHost: a\r\n\r\n")
	row("NUL in a value", post("X-A: b\x00c\r\n", ""))
	row("two hosts", "GET /r/x/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	row("request line of two words", "GET /r/x/1\r\nHost: a\r\n\r\n")
	row("two spaces in the request line", "GET /r/x/1  HTTP/1.1\r\nHost: a\r\n\r\n")
	row("bare CR in the request line", "GET /r/x/1\r HTTP/1.1\r\nHost: a\r\n\r\n")
	row("NUL in the path", "GET /r/\x001 HTTP/1.1\r\nHost: a\r\n\r\n")
	row("method with a colon", "GE:T /r/x/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	row("protocol HTTP/1.10", "GET /r/x/1 HTTP/1.10\r\nHost: a\r\n\r\n")

	chunked := func(name, body string) { row("chunk: "+name, post("Transfer-Encoding: chunked\r\n", body)) }
	chunked("size is not hexadecimal", "g\r\n")
	chunked("size with 0x", "0x5\r\n12345\r\n0\r\n\r\n")
	chunked("negative size", "-5\r\n12345\r\n0\r\n\r\n")
	chunked("empty size", "\r\n12345\r\n0\r\n\r\n")
	chunked("size beyond 64 bits", "10000000000000005\r\n12345\r\n0\r\n\r\n")
	chunked("size with a leading space", " 5\r\n12345\r\n0\r\n\r\n")
	chunked("size ended by a bare LF", "5\n12345\r\n0\r\n\r\n")
	chunked("size ended by a bare CR", "5\rX12345\r\n0\r\n\r\n")
	chunked("more data than the size", "5\r\n123456\r\n0\r\n\r\n")
	chunked("data ended by a bare LF", "5\r\n12345\n0\r\n\r\n")
	chunked("LF in an extension", "5;a\nb\r\n12345\r\n0\r\n\r\n")
}
