package main

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLoopDrivesItself lets the clients talk to the loop's own backend, with no balancer between them.
func TestLoopDrivesItself(t *testing.T) {
	var cores unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cores); err != nil {
		t.Fatal(err)
	}
	core := 0
	for !cores.IsSet(core) {
		core++
	}
	for _, c := range cases {
		if c.perConn || c.toHTTP2 || c.client != byLoop {
			continue // the loop's backend leaves closing to the balancer
		}
		c.log, c.conns, c.requests = false, min(c.conns, 8), 40
		l, err := newLoop(c)
		if err != nil {
			t.Fatal(err)
		}
		addr, err := net.ResolveTCPAddr("tcp", l.backendAddr())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := l.drive(addr, core); err != nil || l.ended != 40 {
				t.Errorf("%s: %d answers, %v", c.what, l.ended, err)
			}
		}
		l.close()
	}
}

func TestContentLength(t *testing.T) {
	row := func(head string, want int) {
		t.Helper()
		if got := contentLength([]byte(head)); got != want {
			t.Errorf("%q: got %d, want %d", head, got, want)
		}
	}
	row("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 200\r\n", 200)
	row("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\nServer: x\r\n", 1<<20)
	row("HTTP/1.1 503 No\r\nContent-Length: 200\r\n", -1)
	row("HTTP/1.1 200 OK\r\nServer: x\r\n", -1)
}

func TestMedian(t *testing.T) {
	got := median([]cost{{cpu: 9, rate: 1}, {cpu: 1, rate: 2}, {cpu: 2, rate: 3}, {cpu: 3, rate: 10}})
	if got.cpu != 2.5 || got.rate != 2.5 {
		t.Errorf("%+v", got)
	}
}
