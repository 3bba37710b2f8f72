package health

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/port"
)

// connects does one check that only connects.
func connects(s *Spec) result {
	s.resolve()
	c, r, done := s.begin(time.Now())
	if !done {
		return c.wait(context.Background())
	}
	return r
}

// A connection is enough, and gives the server nothing to accept.
func TestConnect(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Log(err)
			continue
		}
		defer ln.Close()
		for range 20 {
			if r := connects(&Spec{Network: "tcp", Address: ln.Addr().String()}); r.status != L4OK || r.info != "" {
				t.Errorf("%s: %+v", address, r)
			}
		}
		ln.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
		if c, err := ln.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the server got a connection: %v %v", address, c, err)
		}
	}
	if r := connects(&Spec{Network: "tcp", Address: port.Reserve(t)}); r.status != L4CON || r.info != "Connection refused" {
		t.Errorf("nobody listens: %+v", r)
	}
	path := filepath.Join(t.TempDir(), "s")
	if r := connects(&Spec{Network: "unix", Address: path}); r.status != L4CON || r.info != "No such file or directory" {
		t.Errorf("no such path: %+v", r)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if r := connects(&Spec{Network: "unix", Address: path}); r.status != L4OK {
		t.Errorf("a unix socket: %+v", r)
	}
}

// A server that does not answer is given up in time, and when the checks end.
func TestConnectWaits(t *testing.T) {
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ln)
	if err := errors.Join(unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(ln, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(ln)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(sa.(*unix.SockaddrInet4).Port))
	for range 4 { // until its queue is full: then it answers nobody any more
		if c, err := net.DialTimeout("tcp", address, 100*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	s := &Spec{Network: "tcp", Address: address, Inter: 100 * time.Millisecond}
	if r := connects(s); r.status != L4TOUT {
		t.Errorf("a server that does not answer: %+v", r)
	}
	s.Inter = time.Hour
	c, r, done := s.begin(time.Now())
	if done {
		t.Fatalf("it answers: %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := c.wait(ctx); r.status != L4TOUT {
		t.Errorf("given up: %+v", r)
	}
}

// BenchmarkConnect is what a check costs that only connects, with all that follows from it.
func BenchmarkConnect(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	reports := 0
	c := New(Spec{Network: "tcp", Address: ln.Addr().String(), Inter: time.Hour}, 2, func(Report) { reports++ })
	c.checked, c.health = true, 4
	var s Scheduler
	go s.Run(ctx, c)
	for c.sched == nil {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(10 * time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		c.turn(ctx)
	}
}
