package master

import (
	"bytes"
	"strings"
	"testing"

	"lbsyslogd/lb/handoff"
)

// Whoever may only look changes nothing, whatever they ask.
func TestOnlookers(t *testing.T) {
	r := hearer(t)
	go func() { // the master's goroutine
		for event := range r.events {
			event()
		}
	}()
	defer close(r.events)
	for _, c := range commands() {
		var out bytes.Buffer
		s := &session{run: r, w: &out, onlooker: true}
		if !c.acts {
			if s.command(strings.Fields(c.name)); strings.HasPrefix(out.String(), "Refused") {
				t.Errorf("%s: %s", c.name, out.String())
			}
			continue
		}
		s.command(strings.Fields(c.name))
		if !strings.HasPrefix(out.String(), "Refused: '"+c.name+"' is for root and for the user of the master") {
			t.Errorf("%s: %q", c.name, out.String())
		}
	}
}

func TestStatusNamesTroubledBackends(t *testing.T) {
	for _, tt := range []struct {
		st   handoff.Status
		want string
	}{
		{handoff.Status{}, ""},
		{handoff.Status{Backends: 1}, "servers: all are up, in one backend\n"},
		{handoff.Status{Backends: 3}, "servers: all are up, in 3 backends\n"},
		{handoff.Status{Backends: 30, Trouble: 2, Troubled: []handoff.BackendStatus{{Name: "a\x1b[2J", Up: 0, Of: 2}, {Name: "b", Up: 1, Of: 2}}},
			"servers: 2 of 30 backends have some that are not up\n  backend a?[2J: 0 of 2 up\n  backend b: 1 of 2 up\n"},
		{handoff.Status{Backends: 30, Trouble: 4, Troubled: []handoff.BackendStatus{{Name: "a", Up: 0, Of: 2}}},
			"servers: 4 of 30 backends have some that are not up\n  backend a: 0 of 2 up\n  and 3 more: see `show stat`\n"},
	} {
		var out bytes.Buffer
		(&session{w: &out}).sayServers(&tt.st)
		if out.String() != tt.want {
			t.Errorf("%q, want %q", out.String(), tt.want)
		}
	}
}
