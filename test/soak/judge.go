package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lbsyslogd/test/load"
)

// window is the time in which a deed was done, and what it may cost.
type window struct {
	fault  *fault
	begin  time.Duration
	cut    time.Duration // when what it breaks was broken
	end    time.Duration
	server string // whom it happened to
}

func (w window) String() string {
	text := fmt.Sprintf("%s from %v to %v, done at %v", w.fault.name, w.begin.Round(time.Millisecond), w.end.Round(time.Millisecond), w.cut.Round(time.Millisecond))
	if w.server != "" {
		text += ", to " + w.server
	}
	return text
}

// slack is by how much the clocks of those who write books may differ: each looks at its own moment, and all wait for busy processors.
const slack = 1500 * time.Millisecond

// judge compares the books of one round.
type judge struct {
	windows []window
	past    []window // of the rounds before, in which a worker took along what it had been told
	// excused counts the differences that each fault was permitted, by what they are.
	excused map[string]int
	// problems are those that no fault explains: the first few of count.
	problems []problem
	count    int
	at       time.Duration // when the first request ended that one is about; 0 if they are about none
}

// problem is a difference that nothing permits.
type problem struct {
	path string // "" if it is about no request
	text string
}

func (p problem) String() string {
	if p.path == "" {
		return p.text
	}
	return p.path + ": " + p.text
}

func (j *judge) complain(path, format string, args ...any) {
	if j.count++; len(j.problems) < kept {
		j.problems = append(j.problems, problem{path, fmt.Sprintf(format, args...)})
	}
}

// excuse looks for a window that ok accepts, and counts what it is used for.
func (j *judge) excuse(what string, ok func(w window) bool) bool {
	for _, w := range j.windows {
		if ok(w) {
			j.excused[w.fault.name+": "+what]++
			return true
		}
	}
	return false
}

// twice complains when more requests have two lines than kills explain.
func (j *judge) twice() {
	kills := 0
	n := map[string]int{}
	seen := map[string]bool{}
	for _, w := range j.windows {
		if !w.fault.permits.breaks {
			continue
		}
		kills++
		if seen[w.fault.name] {
			continue
		}
		seen[w.fault.name] = true
		for _, what := range []string{twoLines, inBetween} {
			n[what] += j.excused[w.fault.name+": "+what]
		}
	}
	for _, what := range []string{twoLines, inBetween} {
		if n[what] > kills*mostTwoLines {
			j.complain("", "%d times %s, after %d kills", n[what], what, kills)
		}
	}
}

// torn complains about torn lines of one file: SIGKILL may end a write in the middle, so there may be one for each time that syslogd was killed. It ends
// the line when it starts again, and the request lacks its own.
func (j *judge) torn(lines []string) {
	for _, w := range j.windows {
		if len(lines) > 0 && w.fault.permits.lines {
			j.excused[w.fault.name+": a torn line"]++
			lines = lines[1:]
		}
	}
	for _, text := range lines {
		j.complain("", "%s", text)
	}
}

// run compares the three books about one run.
func (j *judge) run(r *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.served) > len(r.asked) {
		j.complain("", "run %s: servers have seen request %d, which was not sent", r.name, len(r.served)-1)
	}
	for n := range r.asked {
		var s served
		if n < len(r.served) {
			s = r.served[n]
		}
		j.request(r, fmt.Sprintf("/r/%s/%d", r.name, n), r.asked[n], s, r.logged[n])
	}
}

// begunBy counts the requests that had begun when the first difference was there to be seen: all, if no request shows one.
func (j *judge) begunBy(runs []*run) (n int) {
	for _, r := range runs {
		for i := range r.asked {
			if j.at == 0 || r.asked[i].begun <= j.at {
				n++
			}
		}
	}
	return n
}

// quiet is the state of what ended well.
var quiet = [4]byte{'-', '-', '-', '-'}

// request compares what the three books say of one request.
func (j *judge) request(r *run, path string, a asked, s served, l logged) {
	var wrong string
	switch {
	case !a.known:
		wrong = "the client has no outcome"
	case s.foreign:
		wrong = "a server has seen it with a header of another run"
	case a.server != "" && l.server != "" && a.server != l.server:
		wrong = "the answer is of another server (" + a.server + ") than its line says"
	case s.seen > 0 && s.rules != 1:
		wrong = fmt.Sprintf("the rule ran %d times", s.rules)
	case a.outcome == load.OK && r.tunnel && l.lines == 0 && j.between(a): // all was said, and its client waited for the end alone
	case a.outcome == load.OK && r.plain:
		wrong = j.line(a, l, func() bool { return l.state == quiet && l.bytes == a.bytes }, "a tunnel")
	case a.outcome == load.OK:
		wrong = j.answered(r, a, s, l)
	case a.outcome == load.BadStatus:
		wrong = j.refused(r, a, s, l)
	case a.broken():
		wrong = j.broken(r.tunnel, a, s, l)
	default:
		wrong = "nothing permits this"
	}
	if wrong != "" {
		if j.at == 0 || a.ended < j.at {
			j.at = a.ended
		}
		j.complain(path, "%s. Client: %v %d %q, %v to %v on a connection of %v. Servers: %+v. Log: %d lines, %d %s %s retries %d", wrong, a.outcome, a.status, a.err,
			a.begun.Round(time.Millisecond), a.ended.Round(time.Millisecond), a.dialled.Round(time.Millisecond), s, l.lines, l.status, l.state, l.server, l.retries)
	}
}

// answered is about a request whose answer was right.
func (j *judge) answered(r *run, a asked, s served, l logged) string {
	if s.answered == 0 && s.unsure > 0 {
		s.answered = 1 // the client has compared every byte
	}
	counts := l.lines > 0 && l.state[0] != 'X' // the line of a killed worker does not know how often it has tried
	switch {
	case s.answered == 0 && r.tunnel && j.excuse("a tunnel's end was not seen by its server", func(w window) bool { return (w.fault.permits.breaks || w.fault.permits.server) && w.meets(a) }):
	case s.answered == 0:
		return "no server has answered it"
	case s.answered > 1 && (counts && s.answered-1 > l.retries || !j.excuse(diedWith, func(w window) bool { return w.fault.permits.dies && w.meets(a) })):
		return "servers have answered it more than once"
	case s.seen > 1 && counts && int(s.seen-s.answered) > int(l.retries):
		return "servers have seen it more often than lb says it tried"
	case s.seen > 1 && !j.excuse("tried again", func(w window) bool { return w.fault.permits.server && w.meets(a) }):
		return "servers have seen it more than once"
	}
	fits := func() bool {
		// An answer that is whole by its length may lack the end of its stream, or of its tunnel, with which the server died.
		ended := l.state == quiet || l.state[0] == 'S' && l.state[1] == 'D' && j.excuse("the end after an answer", func(w window) bool { return w.fault.permits.dies && w.meets(a) && w.server == l.server })
		return l.status == a.status && ended && (a.bytes == 0 || a.bytes == l.bytes)
	}
	return j.line(a, l, fits, "an answered request")
}

// diedWith names an answer that a dying server took along.
const diedWith = "an answer that the server died with"

// justLeft is the state of a line that the next worker writes for a request whose own line may have left or not when the worker was killed.
var justLeft = [4]byte{'X', 'L', '-', '-'}

// twoLines names what is permitted of it, mostTwoLines how many for each kill: those of one turn of the loop.
const (
	twoLines     = "its line and XL"
	mostTwoLines = 64
)

// inBetween names a tunnel without a line: it was going from one worker to the next, which had said that it has it and was killed before it went on with
// it. There are mostTwoLines of them for each kill at most, too.
const inBetween = "no line of a tunnel that was on its way to the next worker"

// diedToo names a request without a line, because the worker that was to write the lines of a killed one was killed itself.
const diedToo = "no line, as the next worker was killed, too"

// again reports whether the worker that followed a killed one was killed in its first seconds.
func (j *judge) again(kill window) bool {
	return slices.ContainsFunc(j.windows, func(w window) bool {
		return w.fault.permits.breaks && w.begin > kill.begin && w.begin <= kill.end+3*time.Second
	})
}

// between reports whether a tunnel may have no line, as it was on its way from one worker to the next.
func (j *judge) between(a asked) bool {
	return j.excuse(inBetween, func(w window) bool { return w.fault.permits.breaks && w.open(a) && j.changing(w) })
}

// changing reports whether one worker took over from another when it was killed.
func (j *judge) changing(kill window) bool {
	return slices.ContainsFunc(j.windows, func(w window) bool {
		return w.fault.replaces && w.begin <= kill.end && w.end+slack >= kill.begin
	})
}

// stood reports whether the worker that was killed had been stopped from about the request's end on: a line that it had not written by then it never wrote.
func (j *judge) stood(a asked, kill window) bool {
	return slices.ContainsFunc(j.windows, func(w window) bool {
		return w.fault.permits.late && w.ends(a) && w.begin <= kill.begin && w.end+slack >= kill.begin
	})
}

// line wants one line that fits.
func (j *judge) line(a asked, l logged, fits func() bool, what string) string {
	switch {
	case l.lines == 2 && l.second == justLeft && fits() && j.excuse(twoLines, func(w window) bool { return w.fault.permits.breaks && w.ends(a) }):
		return ""
	case l.lines > 1:
		return "more than one line"
	case l.lines == 0:
		at := j.written(a)
		if j.excuse("no line", func(w window) bool { return j.loses(w, at) }) {
			return ""
		}
		if j.excuse(diedToo, func(w window) bool { return w.fault.permits.breaks && w.open(a) && j.again(w) }) {
			return ""
		}
		return "no line for " + what
	case fits():
		return ""
	case l.state[0] == 'X' && j.excuse("a line of a killed worker", func(w window) bool { return w.fault.permits.breaks && (w.meets(a) || j.stood(a, w)) }):
		return ""
	}
	return "the line of " + what + " does not fit"
}

// refused is about an answer with another status.
func (j *judge) refused(r *run, a asked, s served, l logged) string {
	fits := func() bool {
		return l.status == a.status && (l.state[0] == 'S' || l.state[0] == 'P' || l.state[0] == 's')
	}
	switch {
	case a.status != 502 && a.status != 503 && a.status != 504:
		return "a status that no server's trouble explains"
	case s.answered > 0 && !j.excuse(diedWith, func(w window) bool { return w.fault.permits.dies && w.meets(a) && j.names(a, l, w) }):
		return "a server has answered it"
	case s.garbage+s.cut > 0: // the server's own book explains it
	case a.status == 503 && r.kind == named && j.excuse("refused by a worker that did not have the server's address yet", func(w window) bool { return w.fault.permits.breaks && w.meets(a) }):
	case a.status == 503 && j.excuse("refused for want of a descriptor", func(w window) bool { return w.fault.permits.scarce && w.meets(a) }):
	case !j.excuse("refused", func(w window) bool {
		return w.fault.permits.server && w.meets(a) && (j.names(a, l, w) || r.kind == streamed && l.server == "<NOSRV>")
	}):
		return "no server's trouble explains it"
	}
	return j.line(a, l, fits, "a refused request")
}

// streamed is the kind that has two servers alone: checks may have found one down when the other fails.
const streamed = "grpc"

// names reports whether a request's line names the server that something happened to. One that syslogd was killed with could have named any.
func (j *judge) names(a asked, l logged, w window) bool {
	return w.server == l.server || l.lines == 0 && j.lost(a)
}

// lost reports whether syslogd can have been killed with a request's line.
func (j *judge) lost(a asked) bool {
	at := j.written(a)
	return slices.ContainsFunc(j.windows, func(w window) bool { return j.loses(w, at) })
}

// broken is about a connection that ended before the answer had come.
func (j *judge) broken(tunnel bool, a asked, s served, l logged) string {
	// The end of a tunnel is nothing unusual to lb, whoever it comes from.
	byServer := func(w window) bool {
		return w.fault.permits.server && w.meets(a) && j.names(a, l, w) && (l.lines == 0 || l.state[0] == 'S' || tunnel && l.state == quiet)
	}
	byWorker := func(w window) bool { return w.fault.permits.breaks && w.open(a) }
	switch {
	case a.unread && s.seen == 0 && l.lines == 0 && j.excuse("not read after a refusal", func(w window) bool { return w.fault.permits.server && w.meets(a) }):
		return ""
	case s.seen == 0 && l.lines == 0 && j.excuse("not read for want of a descriptor", func(w window) bool { return w.fault.permits.scarce && w.meets(a) }):
		return ""
	case tunnel && l.lines == 1 && l.state == [4]byte{'S', 'C', '-', '-'} && j.excuse("refused for want of a descriptor", func(w window) bool { return w.fault.permits.scarce && w.meets(a) }):
		return ""
	// lb waits a second for a client to read that the connection ends.
	case a.unprocessed && s.seen == 0 && l.lines == 0 && a.ended-a.begun > time.Second && j.excuse("not processed, as its client was slow", func(w window) bool { return w.fault.replaces && w.meets(a) }):
		return ""
	// A worker that leaves finishes what it has, and what waits to be accepted, when the next one has been killed.
	case (a.unread || a.unprocessed) && s.seen == 0 && l.lines == 0 && j.excuse("not read, as the next worker was killed", func(w window) bool { return w.fault.permits.breaks && w.meets(a) && a.dialled <= w.end }):
		return ""
	case j.excuse("broken", byServer):
	case !j.excuse("broken", byWorker):
		return "nothing permits that its connection ended"
	case l.lines == 0 && s.seen == 0:
		return "" // nobody had read it
	case tunnel && l.lines == 0 && j.between(a):
		return ""
	}
	return j.line(a, l, func() bool { return l.lines == 1 }, "a request that a server has seen")
}

// meets reports whether the request was on its way in the window.
func (w window) meets(a asked) bool { return a.begun <= w.end+slack && a.ended >= w.begin-slack }

// ends reports whether the request ended when its line could be lost.
func (w window) ends(a asked) bool { return a.ended <= w.end+slack && a.ended >= w.begin-slack }

// open reports whether the request's connection was there in the window, and was used afterwards.
func (w window) open(a asked) bool { return a.dialled <= w.cut && a.ended >= w.begin }

// command judges a command that failed.
func (j *judge) command(c command) {
	if errors.Is(c.err, errLost) || !j.excuse("failed command of "+hands[c.hand].name, func(w window) bool {
		return slices.Contains(w.fault.permits.commands, c.hand) && c.begin <= w.end && c.end >= w.begin
	}) {
		j.complain("", "%s at %v: %v", c.name, c.begin.Round(time.Millisecond), c.err)
	}
}
