package main

import (
	"slices"
	"testing"
	"time"

	"lbsyslogd/test/backend"
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
	ahead := broken
	ahead.dialled, ahead.unread = at+50*time.Millisecond, true
	row("what was sent ahead to a worker that leaves, and its next one was killed", "kill-worker", true, ahead, served{}, logged{})
	row("what was sent ahead", "reload", false, ahead, served{}, logged{})
	row("what was sent ahead and read", "kill-worker", false, ahead, served{seen: 1, rules: 1}, logged{})
	ahead.dialled = at + 200*time.Millisecond
	row("what was sent ahead when another worker served", "kill-worker", false, ahead, served{}, logged{})
	row("502", "", false, refused, served{}, said502)
	row("502", "server-slow", false, refused, served{}, said502)
	row("502", "server-dies", true, refused, served{}, said502)
	row("502 although a server has answered", "server-dies", true, refused, once, said502) // it died before that had arrived
	row("502 although a server has answered", "server-cuts", false, refused, once, said502)
	again := line
	again.retries = 1
	row("two answers", "server-dies", true, fine, served{seen: 2, answered: 2, rules: 1}, again)
	row("two answers without a retry", "server-dies", false, fine, served{seen: 2, answered: 2, rules: 1}, line)
	row("two answers", "server-slow", false, fine, served{seen: 2, answered: 2, rules: 1}, again)
	noDescriptor := refused
	noDescriptor.status = 503
	row("503 for want of a descriptor", "few-descriptors", true, noDescriptor, served{}, logged{lines: 1, status: 503, state: [4]byte{'S', 'C', '-', '-'}, server: "web2"})
	row("503 for want of a descriptor", "reload", false, noDescriptor, served{}, logged{lines: 1, status: 503, state: [4]byte{'S', 'C', '-', '-'}, server: "web2"})
	row("503 for want of a descriptor, without its line", "few-descriptors", false, noDescriptor, served{}, logged{})
	row("502 for want of a descriptor", "few-descriptors", false, refused, served{}, said502)
	row("another status than the line's", "server-dies", false, refused, served{}, line)
	unsure := served{seen: 1, unsure: 1, rules: 1}
	row("an answer whose server does not know whether it has left", "", true, fine, unsure, line)
	row("an answer whose server does not know whether it has left, and that did not come", "", false, broken, unsure, lost)
	row("one that was seen twice", "", false, fine, served{seen: 2, unsure: 1, rules: 1}, line)
	ended := line
	ended.state = [4]byte{'S', 'D', '-', '-'}
	row("a whole answer without its stream's end", "server-dies", true, fine, once, ended)
	row("a whole answer without its stream's end", "server-cuts", false, fine, once, ended)
	retried := lost
	retried.status, retried.server = 200, "web1"
	row("a line of a killed worker that does not know the retry", "kill-worker", false, fine, served{seen: 2, answered: 1, cut: 1, rules: 1}, retried) // no server was in trouble
}

// TestTwoDeeds holds what two deeds permit together and neither alone.
func TestTwoDeeds(t *testing.T) {
	const at = 10 * time.Second
	a := asked{known: true, outcome: load.OK, status: 200, dialled: at - 2*time.Second, begun: at - time.Millisecond, ended: at}
	once := served{seen: 1, answered: 1, rules: 1}
	broken := a
	broken.outcome, broken.status = load.Reset, 0
	refused := a
	refused.outcome, refused.status = load.BadStatus, 502
	during := func(deedName string, begin, end time.Duration) window {
		return window{deed(t, deedName), begin, end, end, "web1"}
	}
	for _, c := range []struct {
		what     string
		one, two window
		a        asked
		s        served
		l        logged
	}{
		{"the line of a frozen worker, with which syslogd was killed when it had come", during("freeze-worker", at, at+2*time.Second), during("kill-syslogd", at+2*time.Second, at+3*time.Second),
			a, once, logged{}},
		{"the line of a killed worker, with which syslogd was killed when the next had begun", during("kill-worker", at, at+4*time.Second), during("kill-syslogd", at+4*time.Second, at+5*time.Second),
			broken, served{seen: 1, rules: 1}, logged{}},
		{"a broken request whose line, which names the server, is lost", during("server-dies", at, at+time.Second), during("kill-syslogd", at, at+time.Second),
			broken, served{seen: 1, rules: 1}, logged{}},
		{"a refused request whose line, which names the server, is lost", during("server-dies", at, at+time.Second), during("kill-syslogd", at, at+time.Second),
			refused, served{seen: 1, rules: 1}, logged{}},
		{"a retry that the line of a killed worker does not know", during("kill-worker", at, at+time.Second), during("server-cuts", at, at+time.Second),
			a, served{seen: 2, answered: 1, cut: 1, rules: 1}, logged{lines: 1, status: -1, state: justLeft}},
	} {
		for _, windows := range [][]window{{c.one}, {c.two}, {c.one, c.two}} {
			j := &judge{excused: map[string]int{}, windows: windows}
			j.request(&run{}, "/r/x-1/1", c.a, c.s, c.l)
			if (j.count == 0) != (len(windows) == 2) {
				t.Errorf("%s, with %v: %v", c.what, windows, j.problems)
			}
		}
	}
}

// TestRoutesOverRounds: what a worker took along in the round before is still gone in this one.
func TestRoutesOverRounds(t *testing.T) {
	kill := window{fault: deed(t, "kill-worker"), begin: 14 * time.Second, cut: 14 * time.Second, end: 14 * time.Second}
	for _, past := range [][]window{nil, {kill}} {
		j := &judge{excused: map[string]int{}, past: past}
		r := &run{name: "mapped-2", kind: mapped, asked: []asked{{known: true, begun: 40 * time.Second, ended: 41 * time.Second}}, served: make([]served, 1),
			logged: []logged{{lines: 1, state: quiet, backend: red}}}
		j.routed(r, []*route{{name: mapped, changes: []change{{begin: 10 * time.Second, end: 11 * time.Second, to: blue, file: red}}}})
		if (j.count == 0) != (past != nil) {
			t.Errorf("after %v: %v", past, j.problems)
		}
	}
}

// TestATunnelInBetween: a tunnel that was on its way between two workers, one of which was killed, may have no line, whether its client missed something or
// not.
func TestATunnelInBetween(t *testing.T) {
	const at = 10 * time.Second
	kill := window{fault: deed(t, "kill-worker"), begin: at, cut: at, end: at}
	reload := window{fault: deed(t, "reload"), begin: at, cut: at, end: at}
	for _, outcome := range []load.Outcome{load.OK, load.EarlyClose} {
		for _, plain := range []bool{false, true} {
			for _, windows := range [][]window{{kill}, {reload}, {kill, reload}} {
				j := &judge{excused: map[string]int{}, windows: windows}
				a := asked{known: true, outcome: outcome, dialled: at - time.Second, begun: at - time.Second, ended: at}
				j.request(&run{tunnel: true, plain: plain}, "/r/ws-1/1", a, served{seen: 1, answered: 1, rules: 1}, logged{})
				if (j.count == 0) != (len(windows) == 2) {
					t.Errorf("%v, plain %v, after %v: %v", outcome, plain, windows, j.problems)
				}
			}
		}
	}
}

// TestTornLines: SIGKILL of syslogd may tear one line of a file.
func TestTornLines(t *testing.T) {
	kill := window{fault: deed(t, "kill-syslogd")}
	for _, c := range []struct {
		windows []window
		torn    int
		ok      bool
	}{{nil, 0, true}, {nil, 1, false}, {[]window{kill}, 1, true}, {[]window{kill}, 2, false}, {[]window{kill, kill}, 2, true}, {[]window{{fault: deed(t, "rotate")}}, 1, false}} {
		j := &judge{excused: map[string]int{}, windows: c.windows}
		j.torn(make([]string, c.torn))
		if (j.count == 0) != c.ok {
			t.Errorf("%d after %v: %v", c.torn, c.windows, j.problems)
		}
	}
}

// TestStrays: what a server reads of an earlier round is nobody's, unless its connection broke then.
func TestStrays(t *testing.T) {
	b := &books{}
	b.begin(1, []*run{{name: "x-1", asked: []asked{{known: true}, {known: true, outcome: load.Reset}}}})
	b.begin(2, []*run{{name: "x-2"}})
	for _, path := range []string{"/r/x-2/0", "/r/x-1/1", "/r/x-1/0", "/r/x-1/2", "/r/y-1/1", "/r/", "/"} {
		b.meet(0, path, 1, "", backend.Answer)
	}
	if want := []string{"/r/x-1/0", "/r/x-1/2", "/r/y-1/1", "/r/"}; !slices.Equal(b.strays, want) {
		t.Errorf("%q, want %q", b.strays, want)
	}
}

// TestProgress: it is of use to wait as long as one of the books grows.
func TestProgress(t *testing.T) {
	p := new(progress)
	for _, now := range [][]int{{0, -9}, {1, -9}, {1, -8}} {
		if p.end = time.Now().Add(-time.Second); p.over(now...) {
			t.Errorf("over at %v", now)
		}
	}
	if p.end = time.Now().Add(-time.Second); !p.over(1, -8) {
		t.Error("not over when nothing comes")
	}
	if p.begun = time.Now().Add(-2 * tooLong); !p.over(2, -7) {
		t.Error("not over after so long")
	}
}

// TestRoutes holds where a request may have gone: to the new backend from the begin of a change on, to the old one up to its end.
func TestRoutes(t *testing.T) {
	kill := window{fault: deed(t, "kill-worker"), begin: 14 * time.Second, cut: 14 * time.Second, end: 14 * time.Second}
	row := func(begun, ended time.Duration, backend string, failed, ok bool, windows ...window) {
		t.Helper()
		r := &route{name: mapped, changes: []change{{to: red, file: red}, {begin: 10 * time.Second, end: 11 * time.Second, to: blue, file: red, failed: failed}}}
		if got := r.permitted(asked{begun: begun, ended: ended}, backend, windows); got != ok {
			t.Errorf("%v to %v to %s: %v", begun, ended, backend, got)
		}
	}
	row(8*time.Second, 9*time.Second, red, false, true)
	row(8*time.Second, 9*time.Second, blue, false, false)
	row(9*time.Second, 12*time.Second, red, false, true)
	row(9*time.Second, 12*time.Second, blue, false, true)
	row(12*time.Second, 13*time.Second, red, false, false)
	row(12*time.Second, 13*time.Second, blue, false, true)
	row(12*time.Second, 13*time.Second, red, true, true) // whether it was done nobody knows
	row(15*time.Second, 16*time.Second, red, false, true, kill)
	row(12*time.Second, 13*time.Second, red, false, false, kill)
	row(15*time.Second, 16*time.Second, "be", false, false, kill)
	reload := window{fault: deed(t, "reload"), begin: 5 * time.Second, cut: 6 * time.Second, end: 6 * time.Second}
	row(12*time.Second, 13*time.Second, red, false, true, reload) // its connection may still be with the worker that leaves
	reload.begin, reload.end = 12*time.Second, 12*time.Second
	row(12*time.Second, 13*time.Second, red, false, false, reload)
	for _, c := range []struct {
		begun, restarted time.Duration
		ok               bool
	}{{12 * time.Second, 9 * time.Second, true}, {13 * time.Second, 9 * time.Second, false}, {12 * time.Second, 8 * time.Second, false}} {
		r := &route{name: mapped, changes: []change{{to: red, file: red}, {begin: 10 * time.Second, end: 11 * time.Second, to: blue, file: red}}}
		restart := window{fault: deed(t, "restart"), begin: c.restarted, cut: c.restarted, end: c.restarted}
		// The worker that takes over after a restart hears of it a moment later.
		if got := r.permitted(asked{dialled: c.begun, begun: c.begun, ended: c.begun + time.Millisecond}, red, []window{restart}); got != c.ok {
			t.Errorf("after a restart at %v, at %v: %v", c.restarted, c.begun, got)
		}
	}
}

// TestSink holds when a line may be missing at the sink, or come twice.
func TestSink(t *testing.T) {
	at := asked{known: true, begun: 10 * time.Second, ended: 10 * time.Second}
	row := func(deedName string, lines, got uint8, ok bool) {
		t.Helper()
		j := &judge{excused: map[string]int{}}
		if deedName != "" {
			j.windows = []window{{deed(t, deedName), at.begun, at.begun, at.begun, ""}}
		}
		j.sunk(&run{name: "x-1", asked: []asked{at}, logged: []logged{{lines: lines}}, sunk: []uint8{got}})
		if (j.count == 0) != ok {
			t.Errorf("%d lines, %d at the sink while %q: %v", lines, got, deedName, j.problems)
		}
	}
	row("", 1, 1, true)
	row("", 1, 0, false)
	row("", 1, 2, false)
	row("", 0, 1, false)
	row("receiver-fails", 1, 2, true)
	row("receiver-fails", 1, 0, false)
	row("kill-syslogd", 1, 0, true)
	row("kill-syslogd", 0, 1, true)
	row("reload", 1, 0, false)
}

// TestSinkReads counts the lines of a batch.
func TestSinkReads(t *testing.T) {
	r := &run{name: "x-1"}
	k := &sink{books: &books{runs: map[string]*run{"x-1": r}}}
	for _, line := range []string{`{"text":"... \"GET /r/x-1/2 HTTP/1.1\""}`, `{"text":"... \"GET /grpc/r/x-1/2 HTTP/2.0\""}`, `{"text":"/r/y-1/1 "}`, `{"text":"/r/x-1/ "}`, `{}`} {
		k.enter([]byte(line))
	}
	if k.lines.Load() != 2 || len(r.sunk) != 3 || r.sunk[2] != 2 {
		t.Errorf("%d lines, %v", k.lines.Load(), r.sunk)
	}
}

// TestCounted: counts that a fault may take along may be short, and never too high.
func TestCounted(t *testing.T) {
	runs := []*run{
		{asked: []asked{{outcome: load.OK}, {outcome: load.BadStatus}, {outcome: load.Reset}}, logged: []logged{{lines: 1}, {lines: 1}, {}}},
		{plain: true, asked: []asked{{outcome: load.OK}}, logged: []logged{{}}},
	}
	row := func(deedName string, requests, sessions int, ok bool) {
		t.Helper()
		j := &judge{excused: map[string]int{}}
		if deedName != "" {
			j.windows = []window{{fault: deed(t, deedName)}}
		}
		j.counted(runs, counters{100, 10}, counters{100 + requests, 10 + sessions})
		if (j.count == 0) != ok {
			t.Errorf("%d requests and %d sessions, while %q: %v", requests, sessions, deedName, j.problems)
		}
	}
	row("", 2, 1, true)
	row("", 1, 1, false)
	row("", 3, 1, true) // the one without a line may have been counted
	row("", 4, 1, false)
	row("", 2, 2, false)
	row("kill-master", 1, 1, false)
	for _, name := range []string{"kill-worker", "few-descriptors", "little-memory"} {
		row(name, 2, 1, true)
		row(name, -100, 0, true)
		row(name, 3, 1, true) // the one without a line may have been counted
		row(name, 4, 1, false)
		row(name, 2, 2, false)
	}
}

// TestALineOfAFrozenWorker: one that had answered, and was stopped before it had written the line, has the X line of a worker that is killed seconds later.
func TestALineOfAFrozenWorker(t *testing.T) {
	const at = 10 * time.Second
	fine := asked{known: true, outcome: load.OK, status: 200, dialled: at - 2*time.Second, begun: at - time.Millisecond, ended: at + time.Millisecond}
	killed := logged{lines: 1, status: -1, state: [4]byte{'X', 'L', '-', '-'}, server: "web1"}
	kill := window{fault: deed(t, "kill-worker"), begin: at + 2*time.Second, cut: at + 2*time.Second, end: at + 2*time.Second}
	frozen := window{fault: deed(t, "freeze-worker"), begin: at, cut: at + 2*time.Second, end: at + 2*time.Second}
	for _, c := range []struct {
		windows []window
		ok      bool
	}{{[]window{kill, frozen}, true}, {[]window{kill}, false}, {[]window{frozen}, false}} {
		j := &judge{excused: map[string]int{}, windows: c.windows}
		j.request(&run{}, "/r/x-1/1", fine, served{seen: 1, answered: 1, rules: 1}, killed)
		if (j.count == 0) != c.ok {
			t.Errorf("%v: %v", c.windows, j.problems)
		}
	}
}
