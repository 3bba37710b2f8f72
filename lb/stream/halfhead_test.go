package stream

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/test/wait"
)

// halfHeads tells what the engine's sessions hold of heads they wait for: how
// many lie parked, how many hold a whole buffer.
func (r *rig) halfHeads() (parked, buffers int) {
	for _, sh := range r.Shards {
		sh.Loop.Call(func() {
			parked += len(sh.halfHeads)
			for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
				if s.in != nil {
					buffers++
				}
			}
		})
	}
	return parked, buffers
}

// TestHalfHeadsHoldNoBuffer: clients in the middle of a head hold what they
// sent and no whole buffer; each head arrives as it was sent, wherever it was
// cut, and nothing is left of it afterwards.
func TestHalfHeadsHoldNoBuffer(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path+r.Header.Get("X-Mark")) })
	r := newRig(t, true, []string{srv}, nil)
	head := "GET /whole HTTP/1.1\r\nHost: a\r\nX-Mark: +kept\r\nConnection: close\r\n\r\n"

	conns := make([]net.Conn, 0, len(head)-1)
	for cut := 1; cut < len(head); cut++ {
		c, _ := dial(t, r.addr)
		io.WriteString(c, head[:cut])
		conns = append(conns, c)
	}
	wait.Until(t, "every half to be parked", func() bool {
		parked, buffers := r.halfHeads()
		return parked == len(conns) && buffers == 0
	})
	for i, c := range conns {
		io.WriteString(c, head[i+1:])
		answer, _ := io.ReadAll(c)
		if !strings.HasSuffix(string(answer), "\r\n\r\n/whole+kept") {
			t.Fatalf("cut at byte %d, the client got %q", i+1, answer)
		}
	}
	wait.Until(t, "the halfHeads to be gone", func() bool {
		parked, _ := r.halfHeads()
		return parked == 0
	})
}

// TestHalfHeadOfOneThatLeaves: nothing is kept of a head whose client went away.
func TestHalfHeadOfOneThatLeaves(t *testing.T) {
	r := newRig(t, true, []string{serve(t, func(http.ResponseWriter, *http.Request) {})}, nil)
	c, _ := dial(t, r.addr)
	io.WriteString(c, "GET / HT")
	wait.Until(t, "the half to be parked", func() bool {
		parked, _ := r.halfHeads()
		return parked == 1
	})
	c.Close()
	wait.Until(t, "the half to be gone", func() bool {
		parked, _ := r.halfHeads()
		return parked == 0
	})
}
