package http1

import "testing"

// TestEdits makes one edit each and renders.
func TestEdits(t *testing.T) {
	const in = "GET /a HTTP/1.1\r\nHost: h\r\nX:1\r\nY: 2\r\nx: 3\r\n\r\n"
	for _, c := range []struct {
		name string
		edit func(*Head)
		want string
	}{
		{"nothing", func(*Head) {}, in},
		{"del", func(h *Head) { h.Del("X") }, "GET /a HTTP/1.1\r\nHost: h\r\nY: 2\r\n\r\n"},
		{"del what is not there", func(h *Head) { h.Del("Z") }, in},
		{"del the last", func(h *Head) { h.DelAt(3) }, "GET /a HTTP/1.1\r\nHost: h\r\nX:1\r\nY: 2\r\n\r\n"},
		{"del all", func(h *Head) { h.Del("host"); h.Del("x"); h.Del("y") }, "GET /a HTTP/1.1\r\n\r\n"},
		{"add", func(h *Head) { h.Add([]byte("Z"), []byte("4")) }, in[:len(in)-2] + "Z: 4\r\n\r\n"},
		{"add string", func(h *Head) { h.AddString("Z", "") }, in[:len(in)-2] + "Z: \r\n\r\n"},
		{"add and del", func(h *Head) { h.AddString("Z", "4"); h.Del("z") }, in},
		{"set", func(h *Head) { h.Set([]byte("x"), []byte("9")) }, "GET /a HTTP/1.1\r\nHost: h\r\nY: 2\r\nx: 9\r\n\r\n"},
		{"set twice", func(h *Head) { h.Set([]byte("X"), []byte("8")); h.Set([]byte("X"), []byte("9")) }, "GET /a HTTP/1.1\r\nHost: h\r\nY: 2\r\nX: 9\r\n\r\n"},
		{"set to itself", func(h *Head) { h.Set([]byte("Y"), h.Get("Y")) }, "GET /a HTTP/1.1\r\nHost: h\r\nX:1\r\nx: 3\r\nY: 2\r\n\r\n"},
		{"set value", func(h *Head) { h.SetValue(2, []byte("9")) }, "GET /a HTTP/1.1\r\nHost: h\r\nX:1\r\nY: 9\r\nx: 3\r\n\r\n"},
		{"set value twice", func(h *Head) { h.SetValue(0, []byte("i")); h.SetValue(0, []byte("j")) }, "GET /a HTTP/1.1\r\nHost: j\r\nX:1\r\nY: 2\r\nx: 3\r\n\r\n"},
		{"set value from an added one", func(h *Head) { h.AddString("Z", "4"); h.SetValue(0, h.Get("Z")) }, "GET /a HTTP/1.1\r\nHost: 4\r\nX:1\r\nY: 2\r\nx: 3\r\nZ: 4\r\n\r\n"},
		{"method", func(h *Head) { h.SetMethod([]byte("PUT")) }, "PUT" + in[3:]},
		{"uri", func(h *Head) { h.SetURI([]byte("/b?c")) }, "GET /b?c" + in[6:]},
		{"minor", func(h *Head) { h.SetMinor(0) }, "GET /a HTTP/1.0" + in[15:]},
		{"all", func(h *Head) {
			h.SetMethod([]byte("PUT"))
			h.SetURI([]byte("/b"))
			h.Del("x")
			h.AddString("Z", "4")
			h.SetValue(2, []byte("9"))
		}, "PUT /b HTTP/1.1\r\nHost: h\r\nY: 9\r\nZ: 4\r\n\r\n"},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte(in)); err != nil {
			t.Fatal(err)
		}
		var was Head
		h.AddString("A", "b")
		h.Save(&was) // for the second time into the same memory below
		h.DelAt(h.Len() - 1)
		h.Save(&was)
		c.edit(&h)
		if got := string(h.Append([]byte("before"))); got != "before"+c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if h.Size() != len(c.want) {
			t.Errorf("%s: its size is %d, not %d", c.name, h.Size(), len(c.want))
		}
		h.AddString("B", "c")
		h.Restore(&was)
		if got := string(h.Append(nil)); got != in || h.Size() != len(in) {
			t.Errorf("%s: restored it is %q of %d bytes", c.name, got, h.Size())
		}
	}
}

func TestDelCounts(t *testing.T) {
	var h Head
	if _, err := h.ParseRequest([]byte("GET / HTTP/1.1\r\nX: 1\r\nY: 2\r\nx: 3\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if n := h.Del("X"); n != 2 || !h.Deleted(0) || h.Deleted(1) || h.Get("x") != nil {
		t.Errorf("%d deleted", n)
	}
	if n := h.Del("X"); n != 0 {
		t.Errorf("%d deleted again", n)
	}
}

func TestResponseEdits(t *testing.T) {
	for _, c := range []struct {
		in   string
		edit func(*Head)
		want string
	}{
		{"HTTP/1.1 200\r\nX: 1\r\n\r\n", func(*Head) {}, "HTTP/1.1 200 \r\nX: 1\r\n\r\n"},
		{"HTTP/1.0 200 OK\r\nX: 1\r\n\r\n", func(h *Head) { h.SetMinor(1) }, "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\n\r\n", func(h *Head) { h.SetStatus(503, []byte("Gone away")) }, "HTTP/1.1 503 Gone away\r\n\r\n"},
		{"HTTP/1.1 200\r\n\r\n", func(h *Head) { h.SetStatus(204, nil) }, "HTTP/1.1 204 \r\n\r\n"},
	} {
		var h Head
		if _, err := h.ParseResponse([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		c.edit(&h)
		if got := string(h.Append(nil)); got != c.want {
			t.Errorf("%q comes out as %q, want %q", c.in, got, c.want)
		}
	}
}

// TestNormalised: what is allowed but unusual is passed on in its usual form.
func TestNormalised(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\r\n\nGET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r\n"},
		{"GET / HTTP/1.1\nA:b\nC: d\r\nE: f \n\n", "GET / HTTP/1.1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"},
		{"GET / HTTP/1.5\r\nA: b\r\n\n", "GET / HTTP/1.1\r\nA: b\r\n\r\n"},
		{"POST / HTTP/1.1\r\nHost:\ta\r\nTransfer-Encoding: chunked \t\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"POST / HTTP/1.1\r\nContent-Length:  5\r\nX:y\r\nY: \t\r\nZ:\r\nA: b\tc\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 5\r\nX:y\r\nY: \r\nZ:\r\nA: b\tc\r\n\r\n"},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		if got := string(h.Append(nil)); got != c.want {
			t.Errorf("%q comes out as %q, want %q", c.in, got, c.want)
		}
	}
	var h Head
	if _, err := h.ParseResponse([]byte("HTTP/1.9 200 OK\nA: b\r\nTransfer-Encoding:\tchunked \r\n\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := string(h.Append(nil)), "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEqualFold(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"aB-c", "Ab-C", true},
		{"a", "b", false},
		{"a", "ab", false},
		{"k", "\u212a", false},
		{"[", "{", false},
		{"@", "`", false},
		{"\xe4", "\xc4", false},
	} {
		if EqualFold([]byte(c.a), c.b) != c.want {
			t.Errorf("%q and %q: not %v", c.a, c.b, c.want)
		}
	}
}
