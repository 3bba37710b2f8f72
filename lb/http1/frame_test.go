package http1

import "testing"

func TestRequestFraming(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		minor       byte
		body        Body
		length      int64
		persistent  bool
		upgrade     bool
		expect      bool
	}{
		{"nothing", "", '1', NoBody, -1, true, false, false},
		{"nothing in 1.0", "", '0', NoBody, -1, false, false, false},
		{"length", "Content-Length: 5\r\n", '1', LengthBody, 5, true, false, false},
		{"length 0", "Content-Length: 0\r\n", '1', NoBody, 0, true, false, false},
		{"length with zeros", "Content-Length: 005\r\n", '1', LengthBody, 5, true, false, false},
		{"chunked", "Transfer-Encoding: chunked\r\n", '1', ChunkedBody, -1, true, false, false},
		{"the same length twice", "Content-Length: 5\r\nContent-Length: 05\r\n", '1', LengthBody, 5, true, false, false},
		{"a list of one length", "Content-Length: 5, 5 ,5\r\n", '1', LengthBody, 5, true, false, false},
		{"length and coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", '1', ChunkedBody, -1, false, false, false},
		{"coding and length", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", '1', ChunkedBody, -1, false, false, false},
		{"coding in 1.0", "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", '0', ChunkedBody, -1, false, false, false},
		{"close", "Connection: close\r\n", '1', NoBody, -1, false, false, false},
		{"close in a list", "Connection: x, ClOsE ,y\r\n", '1', NoBody, -1, false, false, false},
		{"close and keep-alive", "Connection: keep-alive\r\nConnection: close\r\n", '1', NoBody, -1, false, false, false},
		{"not quite close", "Connection: closed, xclose\r\n", '1', NoBody, -1, true, false, false},
		{"keep-alive in 1.0", "Connection: Keep-Alive\r\n", '0', NoBody, -1, true, false, false},
		{"both in 1.0", "Connection: keep-alive, close\r\n", '0', NoBody, -1, false, false, false},
		{"upgrade", "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", '1', NoBody, -1, true, true, false},
		{"upgrade, the other way round", "Upgrade: x\r\nConnection: keep-alive, Upgrade\r\n", '1', NoBody, -1, true, true, false},
		{"upgrade not offered", "Connection: upgrade\r\n", '1', NoBody, -1, true, false, false},
		{"upgrade not meant", "Upgrade: websocket\r\n", '1', NoBody, -1, true, false, false},
		{"upgrade to HTTP/2", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", '1', NoBody, -1, true, false, false},
		{"HTTP/2 in a list", "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", '1', NoBody, -1, true, false, false},
		{"HTTP/2 in a second field", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", '1', NoBody, -1, true, false, false},
		{"upgrade with length and coding", "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", '1', ChunkedBody, -1, false, false, false},
		{"upgrade with coding in 1.0", "Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n", '0', ChunkedBody, -1, false, false, false},
		{"expect", "Expect: 100-Continue\r\nContent-Length: 1\r\n", '1', LengthBody, 1, true, false, true},
		{"expect in 1.0", "Expect: 100-continue\r\n", '0', NoBody, -1, false, false, false},
		{"expect something else", "Expect: miracles\r\n", '1', NoBody, -1, true, false, false},
	} {
		var h Head
		in := []byte("POST / HTTP/1.x\r\n" + c.lines + "\r\n")
		in[14] = c.minor
		if _, err := h.ParseRequest(in); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if h.RequestBody() != c.body || h.Length != c.length || h.Persistent() != c.persistent || h.Upgrade != c.upgrade || h.Expect != c.expect {
			t.Errorf("%s: body %d, length %d, persistent %v, upgrade %v, expect %v",
				c.name, h.RequestBody(), h.Length, h.Persistent(), h.Upgrade, h.Expect)
		}
	}
}

func TestResponseFraming(t *testing.T) {
	for _, c := range []struct {
		status, lines, method string
		body                  Body
		length                int64
	}{
		{"200", "", "GET", UntilClose, -1},
		{"200", "Content-Length: 0\r\n", "GET", NoBody, 0},
		{"200", "Content-Length: 7\r\n", "GET", LengthBody, 7},
		{"200", "Content-Length: 7\r\nContent-Length: 7\r\n", "GET", LengthBody, 7},
		{"200", "Transfer-Encoding: chunked\r\n", "GET", ChunkedBody, -1},
		{"200", "Transfer-Encoding: gzip, chunked\r\n", "GET", ChunkedBody, -1},
		{"200", "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", "GET", ChunkedBody, -1},
		{"200", "Content-Length: 7\r\n", "HEAD", NoBody, 7},
		{"200", "Transfer-Encoding: chunked\r\n", "HEAD", NoBody, -1},
		{"204", "Content-Length: 7\r\n", "GET", NoBody, 7},
		{"304", "Content-Length: 7\r\n", "GET", NoBody, 7},
		{"304", "Transfer-Encoding: chunked\r\n", "GET", NoBody, -1},
		{"100", "", "POST", NoBody, -1},
		{"103", "Content-Length: 7\r\n", "GET", NoBody, 7},
		{"101", "", "GET", Tunnel, -1},
		{"200", "Content-Length: 7\r\n", "CONNECT", Tunnel, 7},
		{"403", "Content-Length: 7\r\n", "CONNECT", LengthBody, 7},
	} {
		var h Head
		if _, err := h.ParseResponse([]byte("HTTP/1.1 " + c.status + " X\r\n" + c.lines + "\r\n")); err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		if got := h.ResponseBody(c.method == "HEAD", c.method == "CONNECT"); got != c.body || h.Length != c.length {
			t.Errorf("%v: body %d, length %d", c, got, h.Length)
		}
	}
}

// TestOneLengthIsPassedOn: what a receiver after us could misread is taken
// out of a message.
func TestOneLengthIsPassedOn(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"Content-Length: 7\r\nX: y\r\nContent-Length: 7\r\n", "Content-Length: 7\r\nX: y\r\n"},
		{"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n"},
		{"Content-Length: 7\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n"},
		{"Content-Length: 7 , 07\r\nX: y\r\nContent-Length: 7,7\r\n", "Content-Length: 7\r\nX: y\r\n"},
	} {
		var h Head
		if _, err := h.ParseResponse([]byte("HTTP/1.1 200 OK\r\n" + c.in + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if got, want := string(h.Append(nil)), "HTTP/1.1 200 OK\r\n"+c.out+"\r\n"; got != want {
			t.Errorf("%q comes out as %q", c.in, got)
		}
		if _, err := h.ParseRequest([]byte("PUT / HTTP/1.1\r\n" + c.in + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if got, want := string(h.Append(nil)), "PUT / HTTP/1.1\r\n"+c.out+"\r\n"; got != want {
			t.Errorf("%q of a request comes out as %q", c.in, got)
		}
	}
}

// TestHops: what is for one hop is read and dropped; what rules write then is
// read once more when the head leaves.
func TestHops(t *testing.T) {
	for _, c := range []struct{ in, dropped, taken string }{
		{"A: b\r\n", "A: b\r\n", ""},
		{"Connection: keep-alive\r\nKeep-Alive: 5\r\nA: b\r\n", "A: b\r\n", ""},
		{"Connection: close, x\r\nProxy-Connection: y\r\n", "", ""},
		{"Connection: keep-alive, UPGRADE\r\nConnection: Upgrade\r\nUpgrade: a\r\n", "Connection: UPGRADE\r\nUpgrade: a\r\n", "upgrade"},
		{"Connection: upgrade\r\nUpgrade: h2c\r\n", "", ""},
		{"Connection: upgrade\r\n", "", ""},
		{"Upgrade: a\r\n", "", ""},
		{"TE: trailers\r\n", "TE: trailers\r\n", ""},
		{"TE: gzip, Trailers;q=1, trailers\r\n", "TE: trailers\r\n", ""},
		{"TE: gzip\r\nTest: x\r\n", "Test: x\r\n", ""},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte("GET / HTTP/1.1\r\n" + c.in + "\r\n")); err != nil {
			t.Fatal(err)
		}
		h.DropHops()
		if got, want := string(h.Append(nil)), "GET / HTTP/1.1\r\n"+c.dropped+"\r\n"; got != want {
			t.Errorf("%q became %q", c.in, got)
		}
		o := h.TakeOptions()
		taken := ""
		for name, is := range map[string]bool{"close": o.Close, "keep-alive": o.KeepAlive, "upgrade": o.Upgrade} {
			if is {
				taken += name
			}
		}
		if taken != c.taken {
			t.Errorf("%q has options %q", c.in, taken)
		}
	}
	var h Head
	head := []byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x\r\nKeep-Alive: 5\r\nTE: gzip\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := h.ParseRequest(head); err != nil {
			t.Error(err)
		}
		h.DropHops()
		h.TakeOptions()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
