package master

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"lbsyslogd/lb/handoff"
)

// row is one process of `show proc`.
type row struct {
	pid, reloads int
	kind, extra  string
	started      time.Time
	version      string
}

// String is HAProxy's line: tools read it by columns.
func (p row) String() string {
	reloads := fmt.Sprint(p.reloads)
	if p.extra != "" {
		reloads += " " + p.extra
	}
	return fmt.Sprintf("%-15d %-15s %-15s %-15s %-15s\n", p.pid, p.kind, reloads, uptime(time.Since(p.started)), p.version)
}

// uptime writes 0d00h00m07s.
func uptime(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	return fmt.Sprintf("%dd%02dh%02dm%02ds", s/86400, s/3600%24, s/60%60, s%60)
}

func (s *session) showProc([]string) {
	text := make(chan string, 1)
	if s.post(func() { text <- s.procTable() }) {
		fmt.Fprint(s.w, <-text)
	}
}

func (r *run) procTable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-15s %-15s %-15s %-15s %-15s\n", "#<PID>", "<type>", "<reloads>", "<uptime>", "<version>")
	b.WriteString(row{os.Getpid(), r.reloads, "master", fmt.Sprintf("[failed: %d]", r.failed), r.Started, r.Version}.String())
	line := func(w *worker) {
		// A worker's count is the number of reloads it has lived through.
		b.WriteString(row{w.pid, r.reloads - w.facts.Reloads, "worker", "", w.facts.Started, w.facts.Version}.String())
	}
	b.WriteString("# workers\n")
	if r.current != nil {
		line(r.current)
	}
	if r.trial != nil {
		line(r.trial.w)
	}
	if len(r.old) > 0 {
		b.WriteString("# old workers\n")
		for _, w := range r.old {
			line(w)
		}
	}
	b.WriteString("# programs\n")
	return b.String()
}

// showStatus tells an operator how things are. It asks every worker, so it
// waits for the slowest, but not for long.
func (s *session) showStatus([]string) {
	type answer struct {
		pid    int
		status *handoff.Status
	}
	answers := make(chan answer, 64)
	text := make(chan string, 1)
	asked := make(chan []int, 1)
	if !s.post(func() {
		var pids []int
		for _, w := range s.workers() {
			if w == s.starting || len(pids) == cap(answers) {
				continue
			}
			pids = append(pids, w.pid)
			s.ask(w, func(st *handoff.Status) { answers <- answer{w.pid, st} })
		}
		text <- s.statusText()
		asked <- pids
	}) {
		return
	}
	fmt.Fprint(s.w, <-text)
	pids := <-asked
	got := make(map[int]*handoff.Status)
	timeout := time.After(2 * time.Second)
	for late := false; len(got) < len(pids) && !late; {
		select {
		case a := <-answers:
			got[a.pid] = a.status
		case <-timeout:
			late = true
		}
	}
	for _, pid := range pids {
		st, heard := got[pid]
		switch {
		case !heard:
			s.say("worker %d: does not answer", pid)
		case st == nil:
			s.say("worker %d: has just ended", pid)
		case st.Draining:
			s.say("worker %d: %d connections open, finishing", pid, st.Connections)
		default:
			s.say("worker %d: %d connections open, %d connections and %d requests so far%s", pid, st.Connections, st.Total, st.Requests, printable(st.Detail))
			s.sayServers(st)
			for _, l := range st.Logs {
				s.say("log lines of this worker to %s: %d sent, %d lost", printable(l.Target), l.Sent, l.Lost)
			}
		}
	}
}

// sayServers reports the backends' servers, those that have trouble by name.
func (s *session) sayServers(st *handoff.Status) {
	switch {
	case st.Backends == 0:
	case st.Trouble == 0 && st.Backends == 1:
		s.say("servers: all are up, in one backend")
	case st.Trouble == 0:
		s.say("servers: all are up, in %d backends", st.Backends)
	default:
		s.say("servers: %d of %d backends have some that are not up", st.Trouble, st.Backends)
		for _, b := range st.Troubled {
			s.say("  backend %s: %d of %d up", printable(b.Name), b.Up, b.Of)
		}
		if more := st.Trouble - len(st.Troubled); more > 0 {
			s.say("  and %d more: see `show stat`", more)
		}
	}
}

// printable keeps what a worker says from steering an operator's terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}

func (r *run) statusText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lb %s, master %d, up %s, %d reloads%s\n", r.Version, os.Getpid(), uptime(time.Since(r.Started)), r.reloads, failedReloads(r.failures))
	switch {
	case r.stopping:
		b.WriteString("stopping\n")
	case r.current == nil:
		b.WriteString("no worker serves\n")
	default:
		fmt.Fprintf(&b, "generation %d (worker %d) serves since %s\n", r.current.facts.Generation, r.current.pid, r.good.Format(time.DateTime))
	}
	if line := r.trialLine(); line != "" {
		b.WriteString(line + "\n")
	}
	for _, w := range r.old {
		fmt.Fprintf(&b, "generation %d (worker %d) finishes what it has\n", w.facts.Generation, w.pid)
	}
	switch {
	case r.last.When.IsZero():
	case r.last.OK:
		fmt.Fprintf(&b, "last load: good, at %s\n", r.last.When.Format(time.DateTime))
	default:
		fmt.Fprintf(&b, "last load: failed at %s: %s\n", r.last.When.Format(time.DateTime), r.last.Reason)
	}
	return b.String()
}

// failedReloads says how many of the reloads failed, if any.
func failedReloads(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of them failed", n)
}
