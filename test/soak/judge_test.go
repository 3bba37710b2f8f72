package main

import (
	"testing"
	"time"

	"lbsyslogd/test/load"
)

// deed finds a row of the table.
func deed(t *testing.T, name string) *fault {
	t.Helper()
	for _, f := range faults {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("there is no deed %q", name)
	return nil
}

// TestJudge holds what is a difference, and which deed permits it.
func TestJudge(t *testing.T) {
	const at = 10 * time.Second
	fine := asked{known: true, outcome: load.OK, status: 200, dialled: at - 2*time.Second, begun: at - time.Millisecond, ended: at + time.Millisecond}
	once := served{seen: 1, answered: 1, rules: 1}
	line := logged{lines: 1, status: 200, state: quiet, server: "web1"}
	broken, cut := fine, once
	broken.outcome, broken.status = load.Reset, 0
	cut.answered = 0
	refused := fine
	refused.outcome, refused.status = load.BadStatus, 502
	said502 := logged{lines: 1, status: 502, state: [4]byte{'S', 'H', '-', '-'}, server: "web1"}
	lost := logged{lines: 1, status: -1, state: [4]byte{'X', 'H', '-', '-'}}
	leaving := line
	leaving.lines, leaving.second = 2, justLeft
	twice := line
	twice.lines = 2
	late := fine
	late.dialled, late.begun, late.ended = at+4*time.Second, at+4*time.Second, at+5*time.Second
	brokenLate := late
	brokenLate.outcome, brokenLate.status = load.Reset, 0

	row := func(what string, deedName string, ok bool, a asked, s served, l logged) {
		t.Helper()
		j := &judge{excused: map[string]int{}}
		if deedName != "" {
			j.windows = []window{{deed(t, deedName), at - 100*time.Millisecond, at, at + 100*time.Millisecond, "web1"}}
		}
		j.request(&run{}, "/r/x-1/1", a, s, l)
		if (j.count == 0) != ok {
			t.Errorf("%s, while %q: %v", what, deedName, j.problems)
		}
	}
	row("all is well", "", true, fine, once, line)
	row("no line", "", false, fine, once, logged{})
	row("no line", "kill-worker", false, fine, once, logged{})
	row("no line", "kill-syslogd", true, fine, once, logged{})
	row("no line, much later", "kill-syslogd", false, late, once, logged{})
	row("two lines", "kill-worker", false, fine, once, twice)
	row("two lines", "reload", false, fine, once, twice)
	row("its line and XL", "kill-worker", true, fine, once, leaving)
	row("its line and XL", "reload", false, fine, once, leaving)
	row("no server has answered", "", false, fine, cut, line)
	row("the rules ran twice", "server-cuts", false, fine, served{seen: 1, answered: 1, rules: 2}, line)
	row("a reset", "reload", false, broken, cut, lost)
	row("a reset", "kill-master", false, broken, cut, lost)
	row("a reset", "kill-worker", true, broken, cut, lost)
	row("a reset on a connection made afterwards", "kill-worker", false, brokenLate, cut, lost)
	row("a reset without a line that a server has seen", "kill-worker", false, broken, cut, logged{})
	row("a reset before anybody had read it", "kill-worker", true, broken, served{}, logged{})
	row("502", "", false, refused, served{}, said502)
	row("502", "server-slow", false, refused, served{}, said502)
	row("502", "server-dies", true, refused, served{}, said502)
	row("502 although a server has answered", "server-dies", false, refused, once, said502)
	row("another status than the line's", "server-dies", false, refused, served{}, line)
}
