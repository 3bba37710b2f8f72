package http2

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"lbsyslogd/lb/http1"
)

// block encodes fields given as name, value, name, value.
func block(fields ...string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

var get = []string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/x?y"}

func with(more ...string) []string { return append(get[:len(get):len(get)], more...) }

func TestRequest(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		end    bool
		head   string
		fault  string
	}{
		{"a get", with("accept", "*/*", "x-empty", ""), true, "GET https://a.example/x?y HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\nx-empty: \r\n\r\n", ""},
		{"cookies in pieces", with("cookie", "a=1", "z", "0", "cookie", "b=2"), true, "GET https://a.example/x?y HTTP/1.1\r\nhost: a.example\r\nz: 0\r\ncookie: a=1; b=2\r\n\r\n", ""},
		{"a body without a length", with("te", "trailers"), false, "GET https://a.example/x?y HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n", ""},
		{"a body with a length", with("content-length", "5"), false, "GET https://a.example/x?y HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n", ""},
		{"host for the authority", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "b"}, true, "GET / HTTP/1.1\r\nhost: b\r\n\r\n", ""},
		{"both the same", with("host", "A.example"), true, "GET https://a.example/x?y HTTP/1.1\r\nhost: a.example\r\n\r\n", ""},
		{"options of the server", []string{":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "b"}, true, "OPTIONS http://b HTTP/1.1\r\nhost: b\r\n\r\n", ""},
		{"another host, which counts for nothing", with("host", "evil"), true, "GET https://a.example/x?y HTTP/1.1\r\nhost: a.example\r\n\r\n", ""},
		{"two hosts", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "a", "host", "b"}, true, "", "hosts"},
		{"no path", []string{":method", "GET", ":scheme", "http", ":authority", "b"}, true, "", "missing"},
		{"an empty path", []string{":method", "GET", ":scheme", "http", ":path", ""}, true, "", "missing"},
		{"two paths", with(":path", "/z"), true, "", "twice"},
		{"an unknown pseudo-header", with(":protocol", "websocket"), true, "", "unknown"},
		{"a pseudo-header after a field", []string{":method", "GET", ":scheme", "http", "x", "y", ":path", "/"}, true, "", "wrong place"},
		{"a line in the path", []string{":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1\r\nx: y"}, true, "", "forbidden"},
		{"a space in the path", []string{":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1"}, true, "", "forbidden"},
		{"a space in the method", []string{":method", "GET /", ":scheme", "http", ":path", "/"}, true, "", "forbidden"},
		{"a space in the authority", []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a b"}, true, "", "forbidden"},
		{"a path without a slash", []string{":method", "GET", ":scheme", "http", ":path", "x"}, true, "", "slash"},
		{"a line in a value", with("x", "y\r\nz: 1"), true, "", "value"},
		{"a space before a value", with("x", " y"), true, "", "value"},
		{"a capital in a name", with("X", "y"), true, "", "name"},
		{"a colon in a name", with("x:y", "z"), true, "", "name"},
		{"a byte above ASCII in a name", with("x\xe9", "z"), true, "", "name"},
		{"a byte above ASCII in the method", []string{":method", "G\xc9T", ":scheme", "http", ":path", "/"}, true, "", "forbidden"},
		{"connection", with("connection", "close"), true, "", "HTTP/1"},
		{"transfer-encoding", with("transfer-encoding", "chunked"), false, "", "HTTP/1"},
		{"upgrade", with("upgrade", "h2c"), true, "", "HTTP/1"},
		{"te", with("te", "gzip"), true, "", "te"},
		{"two lengths", with("content-length", "1", "content-length", "1"), false, "", "content-length"},
		{"a negative length", with("content-length", "-1"), false, "", "content-length"},
		{"a length and no body", with("content-length", "1"), true, "", "no content"},
	} {
		r, err := NewDecoder().Request(block(c.fields...), c.end)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if string(r.Head) != c.head || (r.Fault == "") != (c.fault == "") || !strings.Contains(r.Fault, c.fault) {
			t.Errorf("%s: %q, %q", c.name, r.Head, r.Fault)
		}
	}
}

// TestWebSocketKeys: one that has come from HTTP/1 stays, where it is one.
func TestWebSocketKeys(t *testing.T) {
	const good = "dGhlIHNhbXBsZSBub25jZQ=="
	for _, c := range []struct {
		name string
		keys []string
		kept bool
	}{
		{"none", nil, false},
		{"a good one", []string{good}, true},
		{"two", []string{good, "AAECAwQFBgcICQoLDA0ODw=="}, true},
		{"short", []string{"dGhlIHNhbXBsZSBub25jZQ="}, false},
		{"not base64", []string{"what is no key, however!"}, false},
		{"18 bytes", []string{"dGhlIHNhbXBsZSBub25jZQAA"}, false},
		{"bits after the last byte", []string{"dGhlIHNhbXBsZSBub25jZR=="}, false},
	} {
		fields := []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/ws"}
		for _, key := range c.keys {
			fields = append(fields, "sec-websocket-key", key)
		}
		d := NewDecoder()
		d.Connect = true
		r, err := d.Request(block(fields...), false)
		if err != nil || r.Fault != "" {
			t.Fatalf("%s: %+v, %v", c.name, r, err)
		}
		_, after, _ := strings.Cut(string(r.Head), "sec-websocket-key: ")
		key, rest, _ := strings.Cut(after, "\r\n")
		if (key == good) != c.kept || r.KeyMade == c.kept || !properKey(key) || strings.Contains(rest, "sec-websocket-key") {
			t.Errorf("%s: %q, %v", c.name, r.Head, r.KeyMade)
		}
	}
}

func TestLargeRequest(t *testing.T) {
	d := NewDecoder()
	if r, err := d.Request(block(with("x", strings.Repeat("y", MaxFields))...), true); err != nil || !r.TooLarge || r.Head != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := d.Request(block(with("x", strings.Repeat("y", 2*MaxFields))...), true); err != nil || !r.TooLarge {
		t.Errorf("one value that is too large: %+v, %v", r, err)
	}
	if d.hp.EmitEnabled() {
		t.Error("the rest of a block that is too large is looked at")
	}
	// What it put into the table at its end is there.
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	next := func(fields ...string) []byte {
		b.Reset()
		for i := 0; i < len(fields); i += 2 {
			if err := e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	if r, err := d.Request(next(with("x", strings.Repeat("y", MaxFields), "late", "entry")...), true); err != nil || !r.TooLarge {
		t.Errorf("a large one with more in it: %+v, %v", r, err)
	}
	indexed := next(with("late", "entry")...)
	if len(indexed) > 8 {
		t.Fatalf("the fields are not in the encoder's table: %x", indexed)
	}
	if r, err := d.Request(indexed, true); err != nil || !bytes.Contains(r.Head, []byte("late: entry\r\n")) {
		t.Errorf("the one after it: %q, %v", r.Head, err)
	}
	if _, err := d.Request([]byte{0xff, 0xff, 0xff}, true); err == nil || err.Code != CompressionError {
		t.Errorf("a broken block: %v", err)
	}
}

func TestResponse(t *testing.T) {
	var h http1.Head
	if _, err := h.ParseResponse([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\nKeep-Alive: x\r\nTransfer-Encoding: x\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n")); err == nil {
		t.Fatal("both framings")
	}
	if _, err := h.ParseResponse([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\nKeep-Alive: x\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	fields, err := hpack.NewDecoder(4096, nil).DecodeFull(NewEncoder().Response(&h))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range fields {
		got.WriteString(f.Name + "=" + f.Value + " ")
	}
	if got.String() != ":status=404 content-length=3 set-cookie=a set-cookie=b " {
		t.Errorf("got %q", got.String())
	}
}

// FuzzRequest holds that whatever a block says becomes one request head that HTTP/1.1's parser reads to its end in the same way, or none.
func FuzzRequest(f *testing.F) {
	f.Add(block(get...), true)
	f.Add(block(with("content-length", "3", "cookie", "a", "cookie", "b")...), false)
	f.Add(block(":method", "CONNECT", ":authority", "a:1"), true)
	f.Add(block(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/ws", "sec-websocket-key", "x"), false)
	f.Add([]byte{0x82, 0x87, 0x84, 0x3f, 0xe1, 0x1f}, false)
	f.Fuzz(func(t *testing.T, b []byte, end bool) {
		d := NewDecoder()
		d.Connect = true
		r, err := d.Request(b, end)
		if err != nil || r.Head == nil {
			return
		}
		if r.Fault != "" || r.TooLarge {
			t.Fatalf("%+v", r)
		}
		var h http1.Head
		n, perr := h.ParseRequest(r.Head)
		if perr != nil {
			return // what is not checked twice is refused by that parser
		}
		if n != len(r.Head) {
			t.Fatalf("%q ends at %d", r.Head, n)
		}
		if h.Chunked != r.Chunked || h.Length != r.Length {
			t.Fatalf("%q: %v %d, %+v", r.Head, h.Chunked, h.Length, r)
		}
		if r.WebSocket && (!h.Upgrade || len(h.Get("sec-websocket-key")) != 24) {
			t.Fatalf("%q asks for no WebSocket", r.Head)
		}
		if lines, fault, err := d.Trailers(b); err == nil && fault == "" && bytes.Contains(lines, []byte("\r\n\r\n")) {
			t.Fatalf("trailers %q", lines)
		}
	})
}
