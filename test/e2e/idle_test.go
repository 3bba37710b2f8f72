package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// TestIdleConnections holds what a kept connection costs while nothing happens on it: less than 1 KiB of the worker's memory.
func TestIdleConnections(t *testing.T) {
	const conns = 10_000
	s := start(t, options{maxconn: 11_000})
	worker := s.worker(t)

	ask := []byte("GET /r/idle/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	want := []byte(small("/r/idle/1"))
	var kept []net.Conn
	defer func() {
		for _, c := range kept {
			c.Close()
		}
	}()
	open := func(n int) {
		answer := make([]byte, 4096)
		for range n {
			c, err := net.Dial("tcp", s.http)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, c)
			c.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := c.Write(ask); err != nil {
				t.Fatal(err)
			}
			for got := 0; !bytes.HasSuffix(answer[:got], want); {
				m, err := c.Read(answer[got:])
				if err != nil {
					t.Fatal(err)
				}
				got += m
			}
		}
	}
	open(500) // what a worker allocates once is there after these
	before := rss(t, worker)
	open(conns)
	after := rss(t, worker)
	each := (after - before) / conns
	t.Logf("%d idle connections: RSS from %d to %d KiB, %d bytes each", conns, before>>10, after>>10, each)
	if each >= 1024 {
		t.Errorf("an idle connection costs %d bytes", each)
	}
}

// TestBackpressure holds that an answer nobody reads is not kept by the balancer: it stops reading from the server.
func TestBackpressure(t *testing.T) {
	s := start(t, options{})
	worker := s.worker(t)
	const size = 64 << 20
	before := rss(t, worker)
	c := dial(t, s.http)
	c.SetReadBuffer(64 << 10)
	c.send("GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n", size)
	if _, err := c.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	// The balancer has taken what it will take when its own traffic stands still.
	read := func() string {
		text, err := s.lb.Command("show stat")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	last, same := read(), 0
	wait.Until(t, "the answer to stand still", func() bool {
		now := column(read(), "be,BACKEND", 9)
		if now == last {
			same++
		} else {
			last, same = now, 0
		}
		return same > 40
	})
	if grown := rss(t, worker) - before; grown > 16<<20 {
		t.Errorf("with 64 MiB under way to a client that does not read, the worker has grown by %d KiB", grown>>10)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	a, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, a.Body); n != size || err != nil {
		t.Errorf("then %d of %d bytes came, %v", n, size, err)
	}
}

// column returns field i of the line of `show stat` that begins with start.
func column(csv, start string, i int) string {
	for line := range strings.Lines(csv) {
		if strings.HasPrefix(line, start+",") {
			return strings.Split(line, ",")[i]
		}
	}
	return ""
}

// rss is the resident memory of a process in bytes.
func rss(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no VmRSS of process %d", pid)
	return 0
}
