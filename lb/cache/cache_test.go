package cache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/lb/http1"
)

func ask(t testing.TB, text ...string) *Request {
	t.Helper()
	var h http1.Head
	if _, err := h.ParseRequest([]byte(strings.Join(text, "\r\n") + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var r Request
	r.Read(&h, true)
	r.ReadVariant(&h)
	return &r
}

func get(t testing.TB, uri string, fields ...string) *Request {
	t.Helper()
	return ask(t, append([]string{"GET " + uri + " HTTP/1.1", "Host: a.test"}, fields...)...)
}

func said(t testing.TB, fields ...string) *http1.Head {
	t.Helper()
	h := new(http1.Head)
	if _, err := h.ParseResponse([]byte(strings.Join(append([]string{"HTTP/1.1 200 OK"}, fields...), "\r\n") + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return h
}

func open(t testing.TB, s Settings) *Cache {
	t.Helper()
	if s.MaxAge == 0 {
		s.MaxAge = DefaultMaxAge
	}
	if s.MaxSecondary == 0 {
		s.MaxSecondary = DefaultMaxSecondary
	}
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// keep stores a response, or reports that it is not to be kept.
func keep(c *Cache, r *Request, h *http1.Head, body []byte, now int64) bool {
	var scratch []byte
	o := c.Store(r, h, int64(len(body)), now, &scratch)
	if o == nil {
		return false
	}
	if !o.Append(body) {
		o.Discard()
		return false
	}
	o.Commit()
	return true
}

// body is what the cache has for a request; ok is false when it has nothing.
func body(c *Cache, r *Request, now int64) (b []byte, ok bool) {
	o := c.Find(r, now)
	if o == nil {
		return nil, false
	}
	defer o.Release()
	rd := o.Reader()
	b = make([]byte, 0, o.Size())
	for piece := make([]byte, 700); rd.Left() > 0; {
		b = append(b, piece[:rd.Read(piece)]...)
	}
	return b[o.Head():], true
}

func TestWhatIsKept(t *testing.T) {
	for _, c := range []struct {
		want   bool
		fields string
	}{
		{true, "Cache-Control: max-age=5"},
		{true, "Cache-Control: public, max-age=5"},
		{true, "Cache-Control: max-age=0, s-maxage=5"},
		{true, "Cache-Control: s-maxage=5, max-age=0"},
		{true, "Expires: Wed, 21 Oct 2099 07:28:00 GMT"},
		{true, `ETag: "a"`},
		{true, "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT"},
		{true, "Cache-Control: max-age=5|Set-Cookie: a=b"},
		{true, "Cache-Control: max-age=5|Age: 5"},

		{true, `Cache-Control: max-age="5"`},
		{true, "Cache-Control: max-age=99999999999999999999"},

		{false, "X: y"},
		{false, "Cache-Control: max-age=-1"},
		{false, "Cache-Control: max-age=soon"},
		{false, "Cache-Control: max-age="},
		{false, "Cache-Control: s-maxage=-1, max-age=5"},
		{false, "Cache-Control: public"},
		{false, "Cache-Control: max-age=0"},
		{false, "Cache-Control: s-maxage=0"},
		{false, "Cache-Control: no-store, max-age=5"},
		{false, "Cache-Control: max-age=5|Cache-Control: private"},
		{false, "Cache-Control: private=\"x, y\", max-age=5"},
		{false, "Cache-Control: no-cache, max-age=5"},
		{false, "Cache-Control: no-cache=\"set-cookie\", max-age=5"},
		{false, "Pragma: no-cache|Cache-Control: max-age=5"},
		{false, "Cache-Control: max-age=5|Vary: accept-encoding"},
		{false, "Cache-Control: max-age=5|Age: 6"},
		{false, "Cache-Control: max-age=5|Age: x"},
	} {
		if got := keep(open(t, Settings{Size: 1 << 20}), get(t, "/"), said(t, strings.Split(c.fields, "|")...), []byte("x"), 1000); got != c.want {
			t.Errorf("%s: kept %v", c.fields, got)
		}
	}
	for fields, want := range map[string]bool{"Cache-Control: max-age=5": false, "Cache-Control: s-maxage=5": false, "Cache-Control: public, max-age=5": true, "Cache-Control: public": false} {
		c := open(t, Settings{Size: 1 << 20})
		authorized := get(t, "/", "Authorization: x")
		if got := keep(c, authorized, said(t, fields), []byte("x"), 1000); got != want || authorized.Look {
			t.Errorf("%s: kept %v for one who was authorized, who looks for it: %v", fields, got, authorized.Look)
		}
	}
}

func TestWhatIsAsked(t *testing.T) {
	c := open(t, Settings{Size: 1 << 20})
	keep(c, get(t, "/a"), said(t, "Cache-Control: max-age=30"), []byte("kept"), 1000)
	for _, one := range []struct {
		want bool
		r    *Request
	}{
		{true, get(t, "/a")},
		{true, ask(t, "GET /a HTTP/1.1", "Host: A.Test")},
		{true, ask(t, "HEAD /a HTTP/1.1", "Host: a.test")},
		{true, get(t, "/a", "Pragma: no-cache", "Cache-Control: foo")},
		{false, get(t, "/a?")},
		{false, ask(t, "GET /a HTTP/1.1", "Host: b.test")},
		{false, ask(t, "POST /a HTTP/1.1", "Host: a.test")},
		{false, get(t, "/a", "Authorization: x")},
		{false, get(t, "/a", "Cache-Control: no-cache")},
		{false, get(t, "/a", "Cache-Control: max-age=10")},
		{false, get(t, "/a", "Cache-Control: no-store")},
		{false, get(t, "/a", "Pragma: no-cache")},
	} {
		_, ok := body(c, one.r, 1001)
		if got := ok && one.r.Look; got != one.want {
			t.Errorf("%+v: answered %v", one.r, got)
		}
	}
	if _, ok := body(c, get(t, "/a"), 1030); ok {
		t.Error("answers after it has expired")
	}
	keep(c, get(t, "/a"), said(t, "Cache-Control: max-age=300"), []byte("kept"), 1000)
	if _, ok := body(c, get(t, "/a"), 1060); ok {
		t.Error("answers after the section's max-age")
	}
	c.Forget(get(t, "/a").Key)
	if _, ok := body(c, get(t, "/a"), 1001); ok {
		t.Error("answers after it was forgotten")
	}
}

func TestVary(t *testing.T) {
	c := open(t, Settings{Size: 1 << 20, Vary: true, MaxSecondary: 3})
	store := func(want bool, r *Request, text string, fields ...string) {
		t.Helper()
		if got := keep(c, r, said(t, append(fields, "Cache-Control: max-age=60")...), []byte(text), 1000); got != want {
			t.Errorf("%s: kept %v", text, got)
		}
	}
	find := func(want string, fields ...string) {
		t.Helper()
		if b, _ := body(c, get(t, "/", fields...), 1001); string(b) != want {
			t.Errorf("%q: %q, want %q", fields, b, want)
		}
	}
	store(true, get(t, "/", "Accept-Encoding: gzip, br"), "zipped", "Vary: accept-encoding", "Content-Encoding: gzip")
	find("zipped", "Accept-Encoding: GZip;q=0.5")
	find("zipped")
	find("zipped", "Accept-Encoding: *")
	find("", "Accept-Encoding: br")
	find("", "Accept-Encoding: ")
	find("", "Accept-Encoding: gzip;q=0.000, *")
	store(true, get(t, "/", "Accept-Encoding: br"), "plain", "Vary: Accept-Encoding")
	find("plain", "Accept-Encoding: br")
	find("", "Accept-Encoding: identity;q=0")
	store(false, get(t, "/", "Accept-Encoding: x"), "odd", "Vary: Accept-Encoding", "Content-Encoding: x")
	store(false, get(t, "/"), "by cookie", "Vary: Accept-Encoding, Cookie")
	store(false, get(t, "/"), "by all", "Vary: *")
	c.Forget(get(t, "/").Key)

	for i := range 3 {
		store(true, get(t, "/", fmt.Sprintf("Referer: %d", i)), fmt.Sprint("from ", i), "Vary: Referer")
	}
	store(false, get(t, "/", "Referer: 3"), "from 3", "Vary: Referer")
	find("from 1", "Referer: 1")
	find("", "Referer: 3")
	find("")
	store(true, get(t, "/", "Referer: 1"), "from 1 again", "Vary: Referer")
	find("from 1 again", "Referer: 1")
	store(true, get(t, "/"), "for all")
	find("for all", "Referer: 1")
}

func TestNotModified(t *testing.T) {
	c := open(t, Settings{Size: 1 << 20})
	keep(c, get(t, "/"), said(t, `ETag: W/"a,b"`, "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT"), nil, 1000)
	for fields, want := range map[string]bool{
		"X: y": false, `If-None-Match: "a,b"`: true, `If-None-Match: "a", W/"a,b"`: true, "If-None-Match: *": true, `If-None-Match: "a", "b"`: false,
		"If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT": true, "If-Modified-Since: Wed, 21 Oct 2015 07:27:59 GMT": false, "If-Modified-Since: x": false,
		"If-None-Match: \"x\"\r\nIf-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT": false,
	} {
		var h http1.Head
		if _, err := h.ParseRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		o := c.Find(get(t, "/"), 1001)
		if got := o.NotModified(&h); got != want {
			t.Errorf("%s: %v", fields, got)
		}
		o.Release()
	}
}

// TestRoom: what was not used for longest makes room, what is being read stays,
// and all of the memory comes back.
func TestRoom(t *testing.T) {
	c := open(t, Settings{Size: 1 << 20, MaxObject: 1 << 19})
	big := bytes.Repeat([]byte("x"), 200<<10)
	for i := range 5 {
		keep(c, get(t, fmt.Sprint("/", i)), said(t, `ETag: "a"`), big, 1000)
	}
	o := c.Find(get(t, "/0"), 1001)
	for i := 5; i < 9; i++ {
		if !keep(c, get(t, fmt.Sprint("/", i)), said(t, `ETag: "a"`), big, 1000) {
			t.Errorf("no room for %d", i)
		}
	}
	for i, want := range []bool{true, false, false, false, false, true, true, true, true} {
		if _, ok := body(c, get(t, fmt.Sprint("/", i)), 1001); ok != want {
			t.Errorf("%d is there: %v", i, ok)
		}
	}
	c.Forget(get(t, "/0").Key)
	if r := o.Reader(); r.Left() != o.Size() {
		t.Errorf("%d of %d bytes", r.Left(), o.Size())
	}
	o.Release()
	if keep(c, get(t, "/large"), said(t, `ETag: "a"`), make([]byte, 600<<10), 1000) {
		t.Error("an object over max-object-size was kept")
	}
	for i := 5; i < 9; i++ {
		c.Forget(get(t, fmt.Sprint("/", i)).Key)
	}
	if rows, left := c.Rows(1001); len(rows) != 0 || left != 1024 {
		t.Errorf("%d objects and %d free blocks at the end", len(rows), left)
	}
}

// TestTurmoil has many loops use one small cache: each object that is found is
// whole, and no block is lost.
func TestTurmoil(t *testing.T) {
	c := open(t, Settings{Size: 1 << 20, MaxObject: 100 << 10})
	var wg sync.WaitGroup
	for loop := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(loop), 1))
			for range 500 {
				n := r.IntN(40)
				req := get(t, fmt.Sprint("/", n))
				switch r.IntN(6) {
				case 0:
					c.Forget(req.Key)
				case 1, 2:
					text := bytes.Repeat([]byte{byte(n)}, n*n*50)
					var scratch []byte
					o := c.Store(req, said(t, "Cache-Control: max-age=60"), -1, 1000, &scratch)
					if o == nil {
						continue
					}
					if r.IntN(8) == 0 || !o.Append(text[:len(text)/2]) || !o.Append(text[len(text)/2:]) {
						o.Discard()
						continue
					}
					o.Commit()
				default:
					if b, ok := body(c, req, 1001); ok && (len(b) != n*n*50 || len(bytes.Trim(b, string([]byte{byte(n)}))) != 0) {
						t.Errorf("%d: %d bytes of another object", n, len(b))
						return
					}
				}
			}
		})
	}
	wg.Wait()
	for n := range 40 {
		c.Forget(get(t, fmt.Sprint("/", n)).Key)
	}
	if rows, left := c.Rows(1001); len(rows) != 0 || left != 1024 || len(c.objects) != 0 {
		t.Errorf("%d objects, %d keys and %d free blocks at the end", len(rows), len(c.objects), left)
	}
}

// TestAllocates: an answer from a cache costs no allocation here.
func TestAllocates(t *testing.T) {
	c := open(t, Settings{Size: 1 << 20, Vary: true})
	var h http1.Head
	if _, err := h.ParseRequest([]byte("GET /a HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip, br\r\nCache-Control: no-transform\r\nIf-None-Match: \"b\"\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var r Request
	r.Read(&h, true)
	r.ReadVariant(&h)
	if !keep(c, &r, said(t, `ETag: "a"`, "Vary: accept-encoding"), []byte("x"), 1000) {
		t.Fatal("not kept")
	}
	buf := make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() {
		r.Read(&h, true)
		r.ReadVariant(&h)
		o := c.Find(&r, 1001)
		if o.NotModified(&h) {
			t.Fatal("not modified")
		}
		rd := o.Reader()
		rd.Read(buf)
		o.Release()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFields: whatever stands in the fields, reading them ends, and what a
// request's own response is kept as answers the same request.
func FuzzFields(f *testing.F) {
	for _, seed := range [][2]string{
		{"Accept-Encoding: gzip, deflate, br;q=0", "Cache-Control: max-age=60, no-cache=\"a, b\"\r\nVary: Accept-Encoding"},
		{"If-None-Match: \"a\\\"b\", W/\"c\"", "ETag: W/\"c\"\r\nAge: 3"}, {"Referer: x\r\nCache-Control: max-age", "Vary: referer,,\r\nExpires: 0\r\nContent-Encoding: x-gzip"},
		{"Accept-Encoding: *;q=0.0, identity ; q=0", "Cache-Control: s-maxage=\"9999999999\""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, asked, answered string) {
		var req, res http1.Head
		if _, err := req.ParseRequest([]byte("GET /a HTTP/1.1\r\nHost: a\r\n" + asked + "\r\n\r\n")); err != nil {
			return
		}
		if _, err := res.ParseResponse([]byte("HTTP/1.1 200 OK\r\n" + answered + "\r\n\r\n")); err != nil {
			return
		}
		c := open(t, Settings{Size: 1 << 20, MaxObject: 1 << 19, Vary: true})
		var r Request
		r.Read(&req, true)
		r.ReadVariant(&req)
		if !keep(c, &r, &res, []byte("body"), 1000) {
			return
		}
		o := c.Find(&r, 1000)
		if o == nil { // it was stale at once, or is coded as the client has not asked for
			return
		}
		defer o.Release()
		o.NotModified(&req)
		b := make([]byte, o.Size())
		rd := o.Reader()
		var again http1.Head
		if n, err := again.ParseResponse(b[:rd.Read(b)]); err != nil || n != o.Head() || string(b[n:]) != "body" {
			t.Errorf("%q: %v", b, err)
		}
	})
}
