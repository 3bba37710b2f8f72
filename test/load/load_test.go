package load

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/port"
)

func TestEveryNumberIsSentOnce(t *testing.T) {
	b, err := backend.Start("b1", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	run := func(opt Options) {
		t.Helper()
		before := b.Counts.Requests.Load()
		opt.Addr, opt.Run = b.Addr(), "t"
		r := New(opt).Run(context.Background())
		if r.OK() != uint64(opt.Requests) || r.Failed() != 0 {
			t.Errorf("%+v: %v", opt, r)
		}
		if got := b.Counts.Requests.Load() - before; got != uint64(opt.Requests) {
			t.Errorf("%+v: the backend got %d requests", opt, got)
		}
	}
	run(Options{Requests: 1})
	run(Options{Requests: 5000, Conns: 20})
	run(Options{Requests: 1000, Conns: 20, PostEach: 3, BodySize: 5000})
	run(Options{Requests: 300, Conns: 20, PerConn: 1, PostEach: 2})
	run(Options{Requests: 100, Conns: 3, PerConn: 7, Rate: 2000})
	run(Options{Requests: 300, Conns: 3, PostEach: 2, BodySize: 5000, Chunked: true})
	run(Options{Requests: 301, Conns: 3, PerConn: 7, PostEach: 2, Chunked: true, Pipeline: 4})
	if n := b.Counts.Malformed.Load() + b.Counts.Aborted.Load(); n != 0 {
		t.Errorf("the backend saw %d malformed or aborted requests", n)
	}
}

// serve answers every connection on its listener with f.
func serve(t *testing.T, f func(net.Conn)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f(c)
		}
	}()
	return ln.Addr().String()
}

// TestLeast sends so many although it is to end at once.
func TestLeast(t *testing.T) {
	b, err := backend.Start("b1", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := New(Options{Addr: b.Addr(), Run: "t", Requests: math.MaxInt, Least: 50, Conns: 3}).Run(ctx)
	if r.OK() < 50 || r.OK() > 53 || r.Failed() != 0 {
		t.Error(r)
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	answer := func(text string) string {
		return serve(t, func(c net.Conn) {
			c.Read(make([]byte, 4096))
			io.WriteString(c, text)
			c.Close()
		})
	}
	row := func(want Outcome, addr string) {
		t.Helper()
		r := New(Options{Addr: addr, Run: "t", Requests: 3, Timeout: 200 * time.Millisecond}).Run(context.Background())
		if r.Counts[want] != 3 || len(r.Failures) != 3 {
			t.Errorf("want 3 times %q, got %v", want, r)
		}
	}
	row(Refused, port.Reserve(t))
	row(EarlyClose, answer(""))
	row(EarlyClose, answer("HTTP/1.1 200 OK\r\n"))
	row(EarlyClose, answer("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf"))
	row(EarlyClose, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"))
	row(BadStatus, answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"))
	row(WrongBody, answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"))
	row(WrongBody, answer("HTTP/1.1 200 OK\r\n\r\nno length"))
	row(BadResponse, answer("SSH-2.0-OpenSSH_9.2\r\n"))
	row(BadResponse, answer("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nno"))
	row(Reset, serve(t, func(c net.Conn) {
		c.Read(make([]byte, 1))
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}))
	var kept []net.Conn
	row(Timeout, serve(t, func(c net.Conn) { kept = append(kept, c) }))
}

func TestBuckets(t *testing.T) {
	for d := time.Duration(8); d < time.Hour; d = d*9/8 + 1 {
		i := bucket(d)
		if end := bucketEnd(i); d >= end || d < end*7/8 {
			t.Errorf("%d ns is in the bucket that ends at %d", d, end)
		}
	}
}

// FuzzResponse holds that an answer reads the same however the network cuts it.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
		"HTTP/1.0 200 OK\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n3;x=y\r\nody\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nffffffff\n",
		"HTTP/1.1 200",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read := func(src io.Reader) (*response, error) {
			var p response
			p.reset()
			return &p, p.read(src, []byte("body"))
		}
		a, errA := read(strings.NewReader(text))
		b, errB := read(iotest.OneByteReader(strings.NewReader(text)))
		if Classify(errA) != Classify(errB) || a.close != b.close || string(a.body) != string(b.body) {
			t.Errorf("whole: %v %v %q\nbyte by byte: %v %v %q", errA, a.close, a.body, errB, b.close, b.body)
		}
		if errA != nil && Classify(errA) == OtherError && !errors.Is(errA, io.ErrNoProgress) {
			t.Errorf("no outcome for %v", errA)
		}
	})
}
