package handover

import (
	"strings"
	"testing"
)

// TestQueuedTunnel holds that a TCP session that waits for a place on a server outlives reloads: it has no request that the next worker could
// read again, so it stays where it is until it has its server, and then moves as any tunnel does. The server takes one at a time, whichever worker has it.
func TestQueuedTunnel(t *testing.T) {
	s := start(t)
	s.configure(strings.Replace(defaultConfig, "server e1 ECHO", "server e1 ECHO maxconn 1", 1))
	s.reload()
	first := s.dial(s.tcp)
	first.send("first")
	first.wantText("first")
	second := s.dial(s.tcp)
	second.send("second")
	s.until("the second session to wait", func() bool { return s.stat("echo", "e1", "qcur") == 1 || s.stat("echo", "BACKEND", "qcur") == 1 })
	s.reload()
	s.reload()
	third := s.dial(s.tcp)
	third.send("third")
	waits := func() bool { return s.stat("echo", "e1", "qcur") == 1 || s.stat("echo", "BACKEND", "qcur") == 1 }
	s.until("the third session to wait in the newest worker", waits)
	first.send("still here")
	first.wantText("still here")
	if n := s.stat("echo", "e1", "scur"); n != 1 {
		t.Errorf("the server has %d sessions", n)
	}
	first.Close()
	second.wantText("second")
	if !waits() {
		t.Error("the third session has got a place together with the second")
	}
	s.reload()
	second.send("and on")
	second.wantText("and on")
	second.Close()
	third.wantText("third")
}
