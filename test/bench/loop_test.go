package main

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// anyCore is one that the test may use.
func anyCore(t *testing.T) int {
	t.Helper()
	var cores unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cores); err != nil {
		t.Fatal(err)
	}
	core := 0
	for !cores.IsSet(core) {
		core++
	}
	return core
}

// itself returns a loop whose clients talk to its own server, with no balancer between them.
func itself(t *testing.T, c benchCase) *loop {
	t.Helper()
	l, err := newLoop(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	addr, err := net.ResolveTCPAddr("tcp", l.backendAddr())
	if err != nil {
		t.Fatal(err)
	}
	l.aim(addr)
	return l
}

func TestLoopPausesAndGoesOn(t *testing.T) {
	for _, size := range []int{0, 200, 1 << 20} {
		l := itself(t, benchCase{size: size, conns: 8})
		l.start(anyCore(t))
		for range 3 {
			before, _ := l.count(context.Background())
			if err := l.resume(); err != nil {
				t.Fatal(err)
			}
			wait.Until(t, "100 answers", func() bool { n, _ := l.count(context.Background()); return n > before+100 })
			if err := l.pause(); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.gate.end(); err != nil || l.open != 8 {
			t.Errorf("%d bytes: %d connections, %v", size, l.open, err)
		}
	}
}

// TestPaceCountsFromWhenARequestWasDue pauses the server, so to speak: nobody turns the loop for a while. All requests that were due meanwhile are late, though
// only one could have been on its way.
func TestPaceCountsFromWhenARequestWasDue(t *testing.T) {
	l := itself(t, benchCase{size: 200, conns: 1})
	l.start(anyCore(t)) // first without a pace, which may leave a request on its way
	if err := l.resume(); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "an answer", func() bool { n, _ := l.count(context.Background()); return n > 0 })
	if err := l.gate.end(); err != nil {
		t.Fatal(err)
	}
	p := newPace(1000, 100*time.Millisecond)
	p.next -= int64(200 * time.Millisecond)
	p.until -= int64(200 * time.Millisecond)
	if err := l.drive(anyCore(t), p); err != nil {
		t.Fatal(err)
	}
	if len(p.took) != 100 || p.lost != 0 {
		t.Fatalf("%d requests, %d lost", len(p.took), p.lost)
	}
	for i, took := range p.took {
		if time.Duration(took) < 50*time.Millisecond-time.Duration(i)*time.Millisecond {
			t.Fatalf("request %d took %v, and was due much earlier", i, time.Duration(took))
		}
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
