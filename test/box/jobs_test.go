package box

import (
	"strings"
	"testing"
	"time"
)

// TestJobsThatMeet lets an operator's commands meet: systemd does not ask the unit then, but ends the main process with a signal when a
// restart finds a reload or a start under way.
func TestJobsThatMeet(t *testing.T) {
	m := boot(t, "jobs")
	for _, c := range []struct{ name, commands string }{
		{"reload and restart", "systemctl reload lb & sleep 0.03; systemctl restart lb; wait"},
		{"restart and restart", "systemctl restart lb & sleep 0.15; systemctl restart lb; wait"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if failed := m.load(400_000, "-k", func() { m.sh("%s", c.commands) }, 500*time.Millisecond); failed != 0 {
				t.Errorf("%d requests failed", failed)
			}
			m.await("only one worker is left", `test "$(pgrep -fc '[l]b @worker')" = 1`)
		})
	}
	// A reload that comes later than the stop cancels systemd's job for it, though not the stop itself.
	m.sh("lb status; systemctl reload lb & sleep 0.03; systemctl stop lb || systemctl stop lb; wait")
	if out, err := m.try("pgrep -a lb"); err == nil {
		t.Errorf("processes are left:\n%s", out)
	}
}

// TestRestartWithABadConfiguration: the restart fails and says why, and what serves goes on, under a master again in a moment: one that
// replaces crashed workers, answers, and reloads when the file is right.
func TestRestartWithABadConfiguration(t *testing.T) {
	m := boot(t, "badrestart")
	m.sh("echo '    ballance roundrobin' >>/etc/lb/lb.cfg")
	tried := false
	if failed := m.load(100_000, "", func() {
		if tried {
			return
		}
		tried = true
		if out, err := m.try("systemctl restart lb"); err == nil {
			t.Errorf("the restart succeeded\n%s", out)
		}
		m.await("a master is in charge again", "systemctl is-active -q lb && lb status")
	}, 300*time.Millisecond); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	const reason = "[/etc/lb/lb.cfg:12]"
	if s := m.sh("systemctl show lb -p StatusText --value"); !strings.HasPrefix(s, "Generation 1 serves") || !strings.Contains(s, reason) {
		t.Errorf("status %q", s)
	}
	if log := m.journal("-u lb -p err"); !strings.Contains(log, "the restart failed, generation 1 serves on: "+reason) {
		t.Errorf("the journal's errors are\n%s", log)
	}
	restarts := m.sh("systemctl show lb -p NRestarts --value")
	m.sh(`kill -9 "$(pgrep -fn '[l]b @worker')"`)
	m.await("the worker is replaced", "curl -sf -o /dev/null http://127.0.0.1/")
	if out, err := m.try("systemctl reload lb"); err == nil {
		t.Errorf("a reload of the same file succeeded\n%s", out)
	}
	m.sh("cp %s/lb.cfg /etc/lb/; systemctl reload lb; systemctl is-active -q lb", m.dir)
	if s := m.sh("systemctl show lb -p StatusText --value"); strings.Contains(s, "failed") {
		t.Errorf("status %q", s)
	}
	if n := m.sh("systemctl show lb -p NRestarts --value"); n != restarts || n != "1" {
		t.Errorf("systemd started it again %s times, then %s", restarts, n)
	}
}
