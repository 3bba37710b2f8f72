package handover

import (
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// agentConfig has a server whose agent is asked often, one whose agent is asked again after an hour, and one that starts slowly.
const agentConfig = `global
    stats socket STATS mode 600 level admin
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend fe
    bind HTTP
    default_backend be
backend be
    server asked BACKEND weight 100 agent-check agent-port AGENT agent-addr 127.0.0.1 agent-inter 50ms
    server unasked BACKEND agent-check agent-port AGENT agent-addr 127.0.0.1 agent-inter 50ms
    server slow BACKEND slowstart 1h weight 100 maxconn 50
    server follows BACKEND track asked
`

// TestAgentsStateSurvives lets an agent take its server out and go away, an operator forget another agent, and a server start slowly:
// all of it is so in the next workers.
func TestAgentsStateSurvives(t *testing.T) {
	var line atomic.Value
	line.Store("down 40%\n")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, line.Load().(string))
			c.Close()
		}
	}()
	s := start(t)
	s.configure(agentConfig, "AGENT", strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
	s.reload()
	status := func(server string) string { return s.word("be", server, "status") }
	s.until("the agent to take its server out", func() bool {
		return status("asked") == "DOWN (agent)" && s.word("be", "asked", "weight") == "40" && status("follows") == "DOWN (agent)"
	})
	s.until("the second one, too", func() bool { return status("unasked") == "DOWN (agent)" })
	ln.Close()
	for _, command := range []string{
		"disable agent be/unasked", "set server be/unasked health up", "set server be/slow state maint", "set server be/slow state ready",
		"set maxconn server be/slow 30",
	} {
		if out, err := s.lb.Command(command); err != nil || strings.TrimSpace(out) != "" {
			t.Fatalf("%s: %q %v", command, out, err)
		}
	}
	for range 3 {
		s.reload()
		s.until("the new worker to have asked", func() bool { return s.word("be", "asked", "agent_status") == "L4CON" })
		for _, c := range []struct{ server, column, want string }{
			{"asked", "status", "DOWN (agent)"}, {"asked", "weight", "40"}, {"follows", "status", "DOWN (agent)"},
			{"unasked", "status", "no check"}, {"unasked", "agent_status", ""},
			{"slow", "throttle", "6"}, {"slow", "weight", "7"}, {"slow", "slim", "30"},
		} {
			if got := s.word("be", c.server, c.column); got != c.want {
				t.Errorf("after a reload the %s of %s is %q, want %q", c.column, c.server, got, c.want)
			}
		}
	}
}
