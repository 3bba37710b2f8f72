package backend

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start("b1", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRoutes(t *testing.T) {
	s := start(t)
	row := func(method, path, body string, code int, want string) {
		t.Helper()
		q, err := http.NewRequest(method, "http://"+s.Addr()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Errorf("%s %s: %v", method, path, err)
			return
		}
		defer a.Body.Close()
		got, err := io.ReadAll(a.Body)
		if err != nil || a.StatusCode != code || string(got) != want {
			t.Errorf("%s %s: %d %q, %v; want %d %q", method, path, a.StatusCode, got, err, code, want)
		}
		if a.Header.Get("X-Backend") != "b1" {
			t.Errorf("%s %s: headers %v", method, path, a.Header)
		}
	}
	pattern := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = Pattern(i)
		}
		return string(b)
	}
	body := strings.Repeat("x", 70000)
	row("GET", "/r/run/17", "", 200, string(AppendSmall(nil, "/r/run/17", 0, 0)))
	row("POST", "/r/run/18", body, 200, string(AppendSmall(nil, "/r/run/18", crc32.ChecksumIEEE([]byte(body)), 70000)))
	row("GET", "/bytes/20000", "", 200, pattern(20000))
	row("HEAD", "/bytes/20000", "", 200, "")
	row("GET", "/chunked/3000000", "", 200, pattern(3000000))
	row("GET", "/chunked/0", "", 200, "")
	row("GET", "/unsized/300", "", 200, pattern(300))
	row("GET", "/drip/3", "", 200, pattern(3))
	row("GET", "/delay/1", "", 200, pattern(SmallBody))
	row("POST", "/echo", body, 200, body)
	row("GET", "/status/204", "", 204, "")
	row("GET", "/status/503", "", 503, pattern(SmallBody))
	row("GET", "/nothing", "", 404, pattern(SmallBody))
	if n := s.Counts.Malformed.Load(); n != 0 {
		t.Errorf("%d well-formed requests were counted as malformed", n)
	}
}

func TestMalformedRequestsAreCounted(t *testing.T) {
	row := func(text string) {
		t.Helper()
		s := start(t)
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, text)
		io.ReadAll(c)
		if n := s.Counts.Malformed.Load(); n != 1 {
			t.Errorf("%q: %d malformed requests", text, n)
		}
	}
	row("GET /\r\n\r\n")
	row("GET / HTTP/1.1\r\n\r\n")
	row("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	row("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n")
	row("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
	row("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1")
	row("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	row("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n\r\n")
	row("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n")
}

func TestUpgradeBecomesAnEcho(t *testing.T) {
	s := start(t)
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
	r := bufio.NewReader(c)
	a, err := http.ReadResponse(r, nil)
	if err != nil || a.StatusCode != 101 || a.Header.Get("Upgrade") != "echo" {
		t.Fatalf("%+v %v", a, err)
	}
	io.WriteString(c, " late")
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(r); err != nil || string(got) != "early late" {
		t.Errorf("echoed %q, %v", got, err)
	}
}

func TestEchoEndsItsSideAfterItsPeer(t *testing.T) {
	e, err := StartEcho("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c, err := net.Dial("tcp", e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "hello")
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
		t.Errorf("echoed %q, %v", got, err)
	}
}

// FuzzRequest holds that reading a request ends, and that what is accepted has one meaning.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var q request
		r := bufio.NewReader(bytes.NewReader(text))
		if err := q.read(r, bufio.NewWriter(io.Discard)); err != nil {
			return
		}
		n, err := q.body(r, io.Discard)
		if err == nil && q.length >= 0 && n != q.length {
			t.Errorf("a body of %d bytes was announced as %d", n, q.length)
		}
	})
}
