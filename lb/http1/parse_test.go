package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// request is a POST with the header lines given, complete.
func request(lines ...string) string {
	return "POST /x HTTP/1.1\r\nHost: a\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// TestRequestRefused is the list of what two parsers could read differently:
// each row was, at some server or proxy, a way to hide a request in another.
func TestRequestRefused(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     *Error
	}{
		// How the body ends.
		{"two lengths and a coding", request("Content-Length: 4", "Transfer-Encoding: chunked", "Content-Length: 5"), errLengths},
		{"two lengths", request("Content-Length: 4", "Content-Length: 5"), errLengths},
		{"a list of different lengths", request("Content-Length: 5, 6"), errLengths},
		{"a list of lengths and another", request("Content-Length: 5, 5", "Content-Length: 6"), errLengths},
		{"a list with a word", request("Content-Length: 5, x"), errLength},
		{"a list with an empty end", request("Content-Length: 5,"), errLength},
		{"a list with an empty begin", request("Content-Length: ,5"), errLength},
		{"a list with a gap", request("Content-Length: 5,,5"), errLength},
		{"length with a plus", request("Content-Length: +5"), errLength},
		{"negative length", request("Content-Length: -5"), errLength},
		{"length with a unit", request("Content-Length: 5 bytes"), errLength},
		{"length of two words", request("Content-Length: 5 5"), errLength},
		{"hexadecimal length", request("Content-Length: 0x5"), errLength},
		{"length with an underscore", request("Content-Length: 1_0"), errLength},
		{"fractional length", request("Content-Length: 5.0"), errLength},
		{"exponent in a length", request("Content-Length: 1e1"), errLength},
		{"quoted length", request(`Content-Length: "5"`), errLength},
		{"empty length", request("Content-Length:"), errLength},
		{"blank length", request("Content-Length: \t "), errLength},
		{"length above 2^63", request("Content-Length: 9223372036854775808"), errLength},
		{"length above 2^64", request("Content-Length: 18446744073709551621"), errLength},
		{"length in other digits", request("Content-Length: \u0665"), errLength},
		{"length in fullwidth digits", request("Content-Length: \uff15"), errLength},
		{"coding twice", request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), errCodings},
		{"identity before chunked", request("Transfer-Encoding: identity", "Transfer-Encoding: chunked"), errBeneath},
		{"chunked before identity", request("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), errCodings},
		{"chunked twice in a list", request("Transfer-Encoding: chunked, chunked"), errCodings},
		{"chunked before another", request("Transfer-Encoding: chunked, gzip"), errCodings},
		{"chunked and a comma", request("Transfer-Encoding: chunked,"), errCodings},
		{"chunked and commas", request("Transfer-Encoding: chunked, ,"), errCodings},
		{"a comma and chunked", request("Transfer-Encoding: , chunked"), errBeneath},
		{"another before chunked", request("Transfer-Encoding: gzip, chunked"), errBeneath},
		{"identity", request("Transfer-Encoding: identity"), errCoding},
		{"xchunked", request("Transfer-Encoding: xchunked"), errCoding},
		{"chunkedx", request("Transfer-Encoding: chunkedx"), errCoding},
		{"x chunked", request("Transfer-Encoding: x chunked"), errCoding},
		{"chunk", request("Transfer-Encoding: chunk"), errCoding},
		{"cow", request("Transfer-Encoding: cow", "Transfer-Encoding: chunked"), errBeneath},
		{"a parameter", request("Transfer-Encoding: chunked;q=1"), errCoding},
		{"quoted", request(`Transfer-Encoding: "chunked"`), errCoding},
		{"single quotes", request("Transfer-Encoding: 'chunked'"), errCoding},
		{"a colon", request("Transfer-Encoding: : chunked"), errCoding},
		{"empty coding", request("Transfer-Encoding:"), errCoding},
		{"no break space", request("Transfer-Encoding: \u00a0chunked"), errCoding},
		{"a high byte", request("Transfer-Encoding: chunked\xa0"), errCoding},
		{"dotless i and long s", request("Tran\u017ffer-Encoding: chunked"), errName},
		{"vertical tab before", request("Transfer-Encoding: \vchunked"), errValue},
		{"form feed after", request("Transfer-Encoding: chunked\f"), errValue},
		{"NUL after", request("Transfer-Encoding: chunked\x00"), errValue},
		{"backspace", request("Transfer-Encoding: x\bchunked"), errValue},
		{"DEL", request("Transfer-Encoding: chunked\x7f"), errValue},
		{"other coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", errCoding},

		// What a tunnel needs.
		{"WebSocket without a key", request("Connection: Upgrade", "Upgrade: WebSocket"), errKey},
		{"WebSocket among others without a key", request("Connection: Upgrade", "Upgrade: x, websocket"), errKey},
		{"WebSocket with an empty key", request("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key:"), errKey},
		{"WebSocket with a short key", request("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="), errKey},

		// Header lines.
		{"space before the colon", request("Transfer-Encoding : chunked"), errName},
		{"tab before the colon", request("Transfer-Encoding\t: chunked"), errName},
		{"space in the name", request("Transfer Encoding: chunked"), errName},
		{"NUL in the name", request("Transfer\x00-Encoding: chunked"), errName},
		{"CR in the name", request("Foo\rTransfer-Encoding: chunked"), errName},
		{"bracket in the name", request("Transfer(Encoding: chunked"), errName},
		{"high byte in the name", request("X\xff: y"), errName},
		{"empty name", request(": chunked"), errName},
		{"no colon", request("Transfer-Encoding"), errName},
		{"only a word", request("chunked"), errName},
		{"a folded line", request("X: y", " Transfer-Encoding: chunked"), errFold},
		{"a folded value", request("Transfer-Encoding:", " chunked"), errFold},
		{"folded by a tab", request("X: y", "\tz"), errFold},
		{"a blank line that is not empty", request("X: y", " ", "Z: y"), errFold},
		{"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", errFold},
		{"bare CR in a value", request("X: y\rTransfer-Encoding: chunked"), errBareCR},
		{"two CR at a line's end", request("X: y\r"), errBareCR},
		{"CR and CR LF", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", errName},
		{"LF CR", "GET / HTTP/1.1\r\nHost: a\n\rX: y\r\n\r\n", errName},
		{"NUL in a value", request("X: a\x00b"), errValue},
		{"escape in a value", request("X: a\x1bb"), errValue},
		{"control in the middle of a long value", request("X: 0123456789abc\x010123456789abcdef"), errValue},
		{"DEL in the middle of a long value", request("X: 0123456789abc\x7f0123456789abcdef"), errValue},

		// Start line.
		{"one word", "GET\r\n\r\n", errStartLine},
		{"two words", "GET /\r\n\r\n", errStartLine},
		{"the method of HTTP/2's preface", "PRI / HTTP/1.1\r\n\r\n", errMethod},
		{"no method", " / HTTP/1.1\r\n\r\n", errStartLine},
		{"no target", "GET HTTP/1.1\r\n\r\n", errStartLine},
		{"two spaces first", "GET  / HTTP/1.1\r\n\r\n", errTarget},
		{"two spaces last", "GET /  HTTP/1.1\r\n\r\n", errTarget},
		{"tab for a space", "GET\t/ HTTP/1.1\r\n\r\n", errStartLine},
		{"tab after the target", "GET /\tHTTP/1.1\r\n\r\n", errStartLine},
		{"space at the end", "GET / HTTP/1.1 \r\n\r\n", errStartLine},
		{"space at the start", " GET / HTTP/1.1\r\n\r\n", errStartLine},
		{"another line hidden", "GET / HTTP/1.1\rHost: a\r\n\r\n", errStartLine},
		{"space in the target", "GET /a b HTTP/1.1\r\n\r\n", errTarget},
		{"version twice", "GET / HTTP/1.1 HTTP/1.1\r\n\r\n", errTarget},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\n\r\n", errTarget},
		{"high byte in the target", "GET /\xe4 HTTP/1.1\r\n\r\n", errTarget},
		{"DEL in the target", "GET /\x7f HTTP/1.1\r\n\r\n", errTarget},
		{"fragment", "GET /a#b HTTP/1.1\r\n\r\n", errTarget},
		{"relative target", "GET a/b HTTP/1.1\r\n\r\n", errTarget},
		{"a host alone", "GET @b HTTP/1.1\r\n\r\n", errTarget},
		{"relative and absolute", "GET @b/://c HTTP/1.1\r\n\r\n", errTarget},
		{"query alone", "GET ?a=http://b HTTP/1.1\r\n\r\n", errTarget},
		{"no scheme", "GET ://a/ HTTP/1.1\r\n\r\n", errTarget},
		{"no authority", "GET http:///a HTTP/1.1\r\n\r\n", errTarget},
		{"user information", "GET http://u@a/ HTTP/1.1\r\n\r\n", errTarget},
		{"backslash in the authority", `GET http://a\b/ HTTP/1.1` + "\r\n\r\n", errTarget},
		{"CONNECT to a path", "CONNECT /a HTTP/1.1\r\n\r\n", errTarget},
		{"CONNECT without a port", "CONNECT a HTTP/1.1\r\n\r\n", errTarget},
		{"CONNECT with an empty port", "CONNECT a: HTTP/1.1\r\n\r\n", errTarget},
		{"CONNECT to a URI", "CONNECT http://a:80/ HTTP/1.1\r\n\r\n", errTarget},
		{"colon in the method", "GE:T / HTTP/1.1\r\n\r\n", errMethod},
		{"NUL in the method", "GE\x00T / HTTP/1.1\r\n\r\n", errMethod},
		{"CR in the method", "GET\rX / HTTP/1.1\r\n\r\n", errMethod},
		{"HTTP/1.10", "GET / HTTP/1.10\r\n\r\n", errStartLine},
		{"HTTP/01.1", "GET / HTTP/01.1\r\n\r\n", errStartLine},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\n", errVersion},
		{"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", errVersion},
		{"HTTP/1.x", "GET / HTTP/1.x\r\n\r\n", errVersion},
		{"HTTP/1,1", "GET / HTTP/1,1\r\n\r\n", errVersion},
		{"http/1.1", "GET / http/1.1\r\n\r\n", errStartLine},
		{"HTTPS/1.1", "GET / HTTPS/1.1\r\n\r\n", errStartLine},
		{"bare CR first", "\rGET / HTTP/1.1\r\n\r\n", errBareCR},
		{"space line first", " \r\nGET / HTTP/1.1\r\n\r\n", errStartLine},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\n\r\n", errStartLine},

		// Host.
		{"two hosts", request("Host: b"), errHosts},
		{"the same host twice", request("Host: a"), errHosts},
		{"space in the host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", errHost},
		{"path in the host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", errHost},
		{"user in the host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", errHost},
		{"query in the host", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", errHost},
		{"high byte in the host", "GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n", errHost},
		{"another host in the target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", errAuthority},
		{"another port in the target", "GET http://a:8080/ HTTP/1.1\r\nHost: a\r\n\r\n", errAuthority},
		{"another scheme's port", "GET http://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n", errAuthority},
		{"an empty host", "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", errAuthority},
		{"CONNECT to another usual port", "CONNECT a:80 HTTP/1.1\r\nHost: a:443\r\n\r\n", errAuthority},
		{"CONNECT elsewhere", "CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", errAuthority},

		{"too many fields", request(strings.Repeat("X: y\r\n", MaxFields)), errTooMany},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte(c.in)); err != error(c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestRequestAccepted(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"no fields", "GET / HTTP/1.1\r\n\r\n"},
		{"no Host", "GET / HTTP/1.0\r\n\r\n"},
		{"LF alone", "GET / HTTP/1.1\nHost: a\n\n"},
		{"empty lines first", "\r\n\r\n\nGET / HTTP/1.1\r\n\r\n"},
		{"HTTP/1.2", "GET / HTTP/1.2\r\n\r\n"},
		{"no space after the colon", "GET / HTTP/1.1\r\nHost:a\r\n\r\n"},
		{"tabs around a value", "GET / HTTP/1.1\r\nX:\t y\t \r\n\r\n"},
		{"tabs in a long value", "GET / HTTP/1.1\r\nX: 0123\t56789\tabcdef\t0123456789\r\n\r\n"},
		{"empty value", "GET / HTTP/1.1\r\nX:\r\n\r\n"},
		{"high bytes in a value", "GET / HTTP/1.1\r\nX: \xe4\xf6\xfc 0123456789\xff\x80\xfe\r\n\r\n"},
		{"any token as a method", "M-SEARCH / HTTP/1.1\r\n\r\n"},
		{"signs in the target", "GET /%7Ea/?b[]={c}|\\^`\"<>&d=http://e HTTP/1.1\r\n\r\n"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"absolute target", "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"absolute target, other case", "GET HTTP://A/b HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"absolute target, usual port", "GET http://a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"absolute target, usual port in Host", "GET https://a?b HTTP/1.1\r\nHost: a:443\r\n\r\n"},
		{"absolute target without Host", "GET http://a/ HTTP/1.0\r\n\r\n"},
		{"absolute target, IPv6", "GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
		{"CONNECT, usual port", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"the longest length", "POST / HTTP/1.1\r\nContent-Length: 999999999999999999\r\n\r\n"},
		{"coding in any case, surrounded", "POST / HTTP/1.1\r\ntRANSFER-eNCODING: \t ChunKed \r\n\r\n"},
		{"as many fields as may be", "GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", MaxFields) + "\r\n"},
	} {
		var h Head
		n, err := h.ParseRequest([]byte(c.in + "next"))
		if err != nil || n != len(c.in) {
			t.Errorf("%s: %d bytes of %d, %v", c.name, n, len(c.in), err)
		}
	}
}

func TestRequestParts(t *testing.T) {
	var h Head
	in := []byte("POST /a/b?c=d HTTP/1.1\r\nHost: h:1\r\nX: 1\r\nx:  2 \r\nEmpty:\r\n\r\nbody")
	n, err := h.ParseRequest(in)
	if err != nil || string(in[n:]) != "body" {
		t.Fatal(n, err)
	}
	got := fmt.Sprintf("%s %s %s %s 1.%d %d %s %q %v", h.Method(), h.URI(), h.Path(), h.Query(), h.Minor(), h.Len(),
		h.Get("hOST"), h.Get("empty"), h.IsResponse())
	if want := `POST /a/b?c=d /a/b c=d 1.1 4 h:1 "" false`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	first := h.Find("X", 0)
	if second := h.Find("x", first+1); first != 1 || second != 2 || string(h.Value(second)) != "2" || h.Find("X", second+1) != -1 {
		t.Errorf("fields called X at %d, %d", first, second)
	}
	if h.Get("y") != nil {
		t.Error("a field that is not there has a value")
	}
}

func TestTargetParts(t *testing.T) {
	for _, c := range []struct{ target, path, query string }{
		{"/", "/", ""},
		{"/a?b?c", "/a", "b?c"},
		{"//a/b", "//a/b", ""},
		{"/a://b", "/a://b", ""},
		{"*", "", ""},
		{"http://a", "", ""},
		{"http://a/b?c", "/b", "c"},
		{"http://a?/admin", "", "/admin"},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte("GET " + c.target + " HTTP/1.1\r\n\r\n")); err != nil {
			t.Errorf("%s: %v", c.target, err)
		}
		if string(h.Path()) != c.path || string(h.Query()) != c.query {
			t.Errorf("%s: path %q, query %q", c.target, h.Path(), h.Query())
		}
	}
	var h Head
	if _, err := h.ParseRequest([]byte("CONNECT a:1 HTTP/1.1\r\n\r\n")); err != nil || h.Path() != nil {
		t.Errorf("CONNECT has path %q, %v", h.Path(), err)
	}
}

func TestResponseRefused(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     *Error
	}{
		{"no version", "200 OK\r\n\r\n", errStatusLine},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", errStatusLine},
		{"HTTP/0.9", "HTTP/0.9 200 OK\r\n\r\n", errStatusLine},
		{"lower case", "http/1.1 200 OK\r\n\r\n", errStatusLine},
		{"HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\n", errStatusLine},
		{"two digits", "HTTP/1.1 20\r\n\r\n", errStatusLine},
		{"four digits", "HTTP/1.1 2000\r\n\r\n", errStatusLine},
		{"letters", "HTTP/1.1 2OO OK\r\n\r\n", errStatusLine},
		{"099", "HTTP/1.1 099 X\r\n\r\n", errStatusLine},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", errStatusLine},
		{"CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", errStatusLine},
		{"NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", errStatusLine},
		{"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", errStatusLine},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", errLengths},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", errLength},
		{"coding twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errCodings},
		{"chunked not last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", errCodings},
		{"chunked and a comma", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n", errCodings},
		{"gzip alone", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", errCodings},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: br, chunked\r\n\r\n", errCoding},
		{"a list of different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", errLengths},
		{"folded", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", errFold},
		{"bare CR", "HTTP/1.1 200 OK\r\nX: y\rSet-Cookie: z\r\n\r\n", errBareCR},
	} {
		var h Head
		if _, err := h.ParseResponse([]byte(c.in)); err != error(c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestNoHTTP: what cannot become a head is refused before its first line ends, which may be never; what can is waited for.
func TestNoHTTP(t *testing.T) {
	for _, c := range []struct {
		in   string
		want error
		at   int
	}{
		{"", ErrIncomplete, -1},
		{"\r", ErrIncomplete, -1},
		{"\r\n", ErrIncomplete, -1},
		{"\r\nG", ErrIncomplete, -1},
		{"GET", ErrIncomplete, -1},
		{"GET\r", ErrIncomplete, -1},
		{"GET /a HT", ErrIncomplete, -1},
		{"GET /\r", ErrIncomplete, -1},
		{"GET /\x01", errTarget, 5},
		{"GET /\xff", errTarget, 5},
		{"M-SEARCH * HT", ErrIncomplete, -1},
		{"\x16\x03\x01\x02", errMethod, 0}, // TLS
		{"\r\n\x16\x03", errMethod, 2},
		{"GE\x00", errMethod, 2},
		{"G\tET /", errMethod, 1},
		{"<policy-file-request/>\x00", errMethod, 0},
		{" GET /", errStartLine, 0},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte(c.in)); err != c.want || c.at >= 0 && h.BadAt() != c.at {
			t.Errorf("request %q: %v at %d, want %v at %d", c.in, err, h.BadAt(), c.want, c.at)
		}
	}
	for in, want := range map[string]error{
		"": ErrIncomplete, "H": ErrIncomplete, "HTTP/1.": ErrIncomplete, "HTTP/1.1 200 OK": ErrIncomplete,
		"h": errStatusLine, "HTTPS": errStatusLine, "HTTP/2": errStatusLine, "\x15\x03\x01\x00\x02\x02\x46": errStatusLine, "{": errStatusLine,
	} {
		var h Head
		if _, err := h.ParseResponse([]byte(in)); err != want {
			t.Errorf("answer %q: %v, want %v", in, err, want)
		}
	}
}

func TestResponseParts(t *testing.T) {
	for _, c := range []struct {
		in     string
		minor  int
		status int
		reason string
	}{
		{"HTTP/1.1 200 OK\r\n\r\n", 1, 200, "OK"},
		{"HTTP/1.0 404 Not Found here\r\n\r\n", 0, 404, "Not Found here"},
		{"HTTP/1.1 599\r\n\r\n", 1, 599, ""},
		{"HTTP/1.1 200 \r\n\r\n", 1, 200, ""},
		{"HTTP/1.7 100 \xe4\tb\n\n", 1, 100, "\xe4\tb"},
	} {
		var h Head
		n, err := h.ParseResponse([]byte(c.in + "next"))
		if err != nil || n != len(c.in) {
			t.Errorf("%q: %d, %v", c.in, n, err)
		}
		if h.Minor() != c.minor || h.Status() != c.status || string(h.Reason()) != c.reason || !h.IsResponse() {
			t.Errorf("%q: 1.%d %d %q", c.in, h.Minor(), h.Status(), h.Reason())
		}
	}
}

// TestEverySplit: whatever part of a head has come, it is incomplete.
func TestEverySplit(t *testing.T) {
	for _, in := range []string{
		browserRequest,
		"GET / HTTP/1.1\nHost: a\n\n",
		"\r\n\r\nGET / HTTP/1.1\r\nHost: a\n\r\n",
		"\n\nGET / HTTP/1.1\n\r\n",
		"GET / HTTP/1.1\r\n\n",
	} {
		var h Head
		for n := range len(in) {
			if _, err := h.ParseRequest([]byte(in[:n])); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("%q: %v", in[:n], err)
			}
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var h Head
	req, res, dst := []byte(browserRequest), []byte(usualResponse), make([]byte, 0, 4096)
	name, value, uri := []byte("User-Agent"), []byte("x"), []byte("/other")
	round := func() {
		if _, err := h.ParseRequest(req); err != nil {
			t.Fatal(err)
		}
		h.Del("connection")
		h.Set(name, value)
		h.AddString("X-Forwarded-For", "192.0.2.1")
		h.SetURI(uri)
		dst = h.Append(dst[:0])
		if _, err := h.ParseResponse(res); err != nil {
			t.Fatal(err)
		}
		dst = h.Append(dst[:0])
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
