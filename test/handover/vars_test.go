package handover

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestVariablesMove holds that the line of a tunnel that moved shows the variables and captures that rules set when it was opened.
func TestVariablesMove(t *testing.T) {
	config := strings.NewReplacer(`%HU"
frontend fe`, `%HU %hr %[var(txn.who)] %[var(txn.from)]"
frontend fe
    capture request header X-Who len 20
    http-request set-var(txn.who) req.hdr(X-Who),upper
    http-request set-var(txn.from) src`).Replace(defaultConfig)
	s := start(t)
	s.configure(config)
	s.reload()
	c := s.dial(s.http)
	c.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nX-Who: someone\r\n\r\n")
	a, err := http.ReadResponse(c.r, nil)
	if err != nil || a.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", a, err)
	}
	for range 2 {
		old := s.worker()
		s.reload()
		s.gone(old)
		c.send("hello")
		c.wantText("hello")
	}
	c.CloseWrite()
	c.ended()
	s.logged("fe", 1)
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if want := " {someone} SOMEONE 127.0.0.1"; !slices.ContainsFunc(s.log.lines, func(line string) bool { return strings.HasSuffix(strings.TrimSpace(line), want) }) {
		t.Errorf("no line ends in %q: %q", want, s.log.lines)
	}
}
