package handover

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/rig"
)

// TestHardStop bounds an old worker with requests that take too long and a tunnel that may not move: it ends at its time, and what it cut
// off has its line.
func TestHardStop(t *testing.T) {
	s := start(t, "GLOBAL\n", "    hard-stop-after 700ms\n    handover drain\n")
	const held = 10
	var conns []*raw
	for i := range held {
		c := s.dial(s.http)
		c.send("GET /delay/30000?held-%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		conns = append(conns, c)
	}
	tunnel, err := openTunnel(s.tcp, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Conn.Close()
	if _, err := tunnel.Write([]byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(tunnel.r, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	s.until("the requests to be with the backend", func() bool { return s.stat("be", "b1", "scur") == held })
	old, began := s.worker(), time.Now()
	s.reload()
	if left := s.gone(old).Sub(began); left < 600*time.Millisecond {
		t.Errorf("the old worker left after %v, before its time", left)
	}
	for _, c := range conns {
		c.ended()
	}
	cut := 0
	for _, e := range s.logged("fe", held) {
		if e.term == "KH" && strings.HasPrefix(e.path, "/delay/30000?held-") {
			cut++
		}
	}
	if cut != held {
		t.Errorf("%d of %d requests that were cut off have their line", cut, held)
	}
	for _, e := range s.logged("echo", 1) {
		if e.term != "KD" || e.received != 8 || e.sent != 8 {
			t.Errorf("the tunnel's line is %+v", e)
		}
	}
	s.until("the old worker to say what was cut off", func() bool {
		return strings.Contains(s.lb.Output(), fmt.Sprintf("%d cut off by hard-stop-after 700ms", held+1))
	})
}

// TestStuckWorkerIsReplaced stops the worker that serves, as if it hung, and reloads: the next one serves without it, and what hangs is ended
// some seconds after its time.
func TestStuckWorkerIsReplaced(t *testing.T) {
	s := start(t, "GLOBAL\n", "    hard-stop-after 100ms\n")
	old := s.worker()
	if err := syscall.Kill(old, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if now := s.reload(); now == old {
		t.Error("the worker that hangs serves")
	}
	c := s.dial(s.http)
	c.get("/r/stuck/1")
	s.gone(old)
	for _, said := range []string{"is stuck, most likely", "is stuck: it has not left"} {
		s.until("somebody to say "+said, func() bool { return strings.Contains(s.lb.Output(), said) })
	}
}

// TestQueueOfRemovedListenerIsServed takes a bind line away while more clients wait in its accept queue than a loop takes in a turn, each with
// its request sent: all are answered.
func TestQueueOfRemovedListenerIsServed(t *testing.T) {
	s := start(t)
	old := s.worker()
	if err := syscall.Kill(old, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const waiting = 3000
	var clients []*raw
	for i := range waiting {
		c := s.dial(s.http)
		c.send("GET /r/queue/%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		clients = append(clients, c)
	}
	s.configure(strings.Replace(defaultConfig, "    bind HTTP\n", "", 1))
	s.reload()
	if err := syscall.Kill(old, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		c.wantAny(small(fmt.Sprintf("/r/queue/%d", i)))
	}
	s.until("the listener to be gone", s.refuses)
}

// refuses says whether nobody listens on the HTTP address.
func (s *site) refuses() bool {
	c, err := net.Dial("tcp", s.http)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// TestPausedListenersListenAgain pauses the balancer, as a process that wants its addresses does, and lets it go on; a reload does so too.
func TestPausedListenersListenAgain(t *testing.T) {
	s := start(t)
	for _, resume := range []func(){
		func() { s.lb.Signal(syscall.SIGTTIN) },
		func() { s.reload() },
	} {
		if err := s.lb.Signal(syscall.SIGTTOU); err != nil {
			t.Fatal(err)
		}
		s.until("the address to be free", s.refuses)
		resume()
		s.until("the address to be served", func() bool { return !s.refuses() })
		s.dial(s.http).get("/r/paused/1")
	}
}

// TestPolicies reloads into configurations that do not let connections move: idle ones end after their next answer, or at once, or within
// close-spread-time, and tunnels are served to their end by the worker that has them.
func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		global string
		served bool // an idle connection has one more answer
	}{
		{"    handover drain\n", true},
		{"    handover close\n", false},
		{"    handover drain\n    close-spread-time 300ms\n", false},
	} {
		t.Run(strings.Join(strings.Fields(c.global), " "), func(t *testing.T) {
			s := start(t, "GLOBAL\n", c.global)
			const n = 20
			var errs errorsOf
			idles := idle(s.http, n, &errs)
			defer leave(idles)
			tunnel, err := openTunnel(s.tcp, false)
			if err != nil {
				t.Fatal(err)
			}
			old := s.worker()
			s.reload()
			for i, k := range idles {
				if c.served {
					err := k.get(fmt.Sprintf("/r/policy/%d", i))
					if err == nil || !strings.Contains(err.Error(), "the balancer closes the connection") {
						t.Errorf("connection %d: %v, want an answer that is the last", i, err)
					}
				}
				k.c.SetReadDeadline(time.Now().Add(20 * time.Second))
				if _, err := k.r.ReadByte(); err != io.EOF {
					t.Errorf("connection %d: %v, want its end", i, err)
				}
			}
			echo := make([]byte, 8)
			if _, err := tunnel.Write([]byte("12345678")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(tunnel.r, echo); err != nil || string(echo) != "12345678" {
				t.Errorf("the tunnel: %q %v", echo, err)
			}
			if !rig.Alive(old) {
				t.Error("the old worker has left its tunnel")
			}
			tunnel.Conn.Close()
			s.gone(old)
			errs.report(t, "idle connections before")
		})
	}
}
