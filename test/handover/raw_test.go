package handover

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"lbsyslogd/test/backend"
)

// raw is a client that writes what it likes.
type raw struct {
	t testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func (s *site) dial(addr string) *raw {
	s.t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(60 * time.Second))
	return &raw{s.t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (c *raw) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

// get sends one request and wants its answer, on a connection that stays.
func (c *raw) get(path string) {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
	c.want("GET", small(path))
}

// want reads one response and wants it to be 200 with that body, on a connection that stays.
func (c *raw) want(method, body string) {
	c.t.Helper()
	a, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	got, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != 200 || string(got) != body || a.Close {
		c.t.Fatalf("got %d with %d bytes %.80q (close %v, %v), want 200 with %d bytes %.80q", a.StatusCode, len(got), got, a.Close, err, len(body), body)
	}
}

// wantAny reads one response and wants it to be 200 with that body, on a connection that stays or not.
func (c *raw) wantAny(body string) {
	c.t.Helper()
	a, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	got, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != 200 || string(got) != body {
		c.t.Fatalf("%d %q %v", a.StatusCode, got, err)
	}
}

// wantText reads exactly text.
func (c *raw) wantText(text string) {
	c.t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c.r, got); err != nil || string(got) != text {
		c.t.Fatalf("got %d bytes %.80q and %v, want %.80q", n, got[:n], err, text)
	}
}

// ended waits until the other end closes, and fails if anything but the close comes.
func (c *raw) ended() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("want the connection to be closed, got %.200q and %v", rest, err)
	}
}

func small(path string) string { return string(backend.AppendSmall(nil, path, 0, 0)) }

func pattern(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = backend.Pattern(i)
	}
	return string(b)
}
