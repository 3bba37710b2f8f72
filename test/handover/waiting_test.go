package handover

import (
	"strings"
	"testing"
)

// TestQueuedTunnel holds that a TCP session that waits for a place on a server outlives reloads: it has no request that the next worker could
// read again, so it stays where it is until it has its server, and then moves as any tunnel does.
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
	first.send("still here")
	first.wantText("still here")
	first.Close()
	second.wantText("second")
	s.reload()
	second.send("and on")
	second.wantText("and on")
}
