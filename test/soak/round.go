package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"lbsyslogd/test/rig"
)

// result is what a round came to.
type result struct {
	plan     plan
	requests map[string]int // by kind
	done     map[string]int // by fault
	excused  map[string]int
	problems []problem
	count    int      // of the problems
	first    int      // requests that were begun before the first difference was there to be seen
	evidence []string // lines of the log about them
	vitals   []vitals
}

// play plays one round. The error is of what must not fail for a verdict to be possible.
func (s *site) play(ctx context.Context, p plan, rate int) (result, error) {
	runs := newRuns(p.round)
	s.books.begin(p.round, runs)
	for _, r := range s.routes {
		r.begin()
	}
	d := &diary{done: map[string]int{}}
	before, err := s.counters()
	if err != nil {
		return result{}, err
	}
	round, cancel := context.WithTimeout(ctx, p.length)
	defer cancel()
	begun := time.Now()
	var all sync.WaitGroup
	for h := range hands {
		all.Go(func() { s.work(round, d, hand(h), begun, p.events) })
	}
	if s.disk != nil {
		all.Go(func() {
			if err := s.audit.send(round, s, p.round); err != nil {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.failed = append(d.failed, command{name: "a program's lines", err: err})
			}
		})
	}
	s.send(round, runs, rate)
	all.Wait()
	if ctx.Err() != nil {
		return result{}, errors.New("interrupted")
	}
	return s.settle(ctx, p, runs, d, before)
}

// settle compares the books when everything has come to rest.
func (s *site) settle(ctx context.Context, p plan, runs []*run, d *diary, before counters) (result, error) {
	leaving, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res := result{plan: p, done: d.done, requests: map[string]int{}}
	err := rig.Until(leaving, "the old workers to leave", func() bool {
		_, old, err := s.lb.Workers()
		return err == nil && len(old) == 0
	})
	stuck := err != nil
	var j *judge
	for coming := new(progress); ; time.Sleep(250 * time.Millisecond) {
		if text, err := s.log.Verb(ctx, "flush"); err != nil {
			return res, told(text, err)
		}
		g, err := s.books.readLog(s.log.Log)
		if err != nil {
			return res, err
		}
		after, err := s.counters()
		if err != nil {
			return res, err
		}
		j = s.compare(runs, d, g)
		if stuck {
			j.complain("", "an old worker does not leave")
		}
		j.counted(runs, before, after)
		if s.disk != nil {
			j.audited(s)
		}
		if j.count == 0 || coming.over(g.lines, int(s.sink.lines.Load()), -j.count) {
			break
		}
	}
	for i, r := range runs {
		res.requests[kinds[i].name] = r.requests()
	}
	for _, w := range d.windows {
		if w.forgets() {
			s.past = append(s.past, w)
		}
	}
	res.excused, res.problems, res.count, res.first = j.excused, j.problems, j.count, j.begunBy(runs)
	if res.count > 0 {
		paths := map[string]bool{}
		for _, p := range res.problems {
			paths[p.path] = true
		}
		res.evidence = linesOf(s.log.Log, paths, 3*kept)
		for _, w := range d.windows {
			res.evidence = append(res.evidence, w.String())
		}
	}
	var wrong string
	if res.vitals, wrong, err = s.vitals(ctx); err != nil {
		return res, err
	}
	if wrong != "" {
		res.count++
		res.problems = append(res.problems, problem{text: wrong})
	}
	if text, err := s.log.Verb(ctx, "rotate"); err != nil {
		return res, told(text, err)
	}
	if s.disk != nil {
		if err := removeRotated(auditLog(s.disk.dir)); err != nil {
			return res, err
		}
	}
	return res, removeRotated(s.log.Log)
}

// progress is of books that fill: lines are written a moment later than answers, and sent on another moment later, whatever that is on a busy machine. What
// is missing when nothing has come for a while is missing.
type progress struct {
	most       [3]int
	begun, end time.Time
}

// Times after which nothing more is waited for: nothing came, or it comes without end.
const (
	nothingCame = 30 * time.Second
	tooLong     = 10 * time.Minute
)

// over reports whether it is of no use to wait: none of what can only grow has grown.
func (p *progress) over(now ...int) bool {
	first := p.begun.IsZero()
	if first {
		p.begun = time.Now()
	}
	for i, n := range now {
		if first || n > p.most[i] {
			p.most[i] = n
			p.end = time.Now().Add(nothingCame)
		}
	}
	return time.Now().After(p.end) || time.Since(p.begun) > tooLong
}

// compare makes a judge read all books.
func (s *site) compare(runs []*run, d *diary, g reading) *judge {
	j := &judge{windows: d.windows, past: s.past, excused: map[string]int{}}
	for _, text := range g.wrong {
		j.complain("", "%s", text)
	}
	j.count += max(g.count-len(g.wrong), 0)
	j.torn(g.torn)
	for _, path := range s.books.strays {
		j.complain(path, "a server has seen a request of nobody")
	}
	for _, w := range s.servers {
		if n := w.malformed(); n > 0 {
			j.complain("", "%s has seen %d malformed requests", w.name, n)
		}
	}
	for _, c := range d.failed {
		j.command(c)
	}
	if text := s.crashed(); text != "" {
		j.complain("", "%s", text)
	}
	for _, r := range runs {
		j.run(r)
		j.sunk(r)
		j.routed(r, s.routes)
	}
	j.twice()
	return j
}

func (r result) total() (n int) {
	for _, k := range r.requests {
		n += k
	}
	return n
}

func (r result) String() string {
	deeds := 0
	for _, n := range r.done {
		deeds += n
	}
	return fmt.Sprintf("round %d: %d requests, %d deeds, %d differences", r.plan.round, r.total(), deeds, r.count)
}

// mostStarved is how many threads of a process may say that there is no memory before the first of them ends it.
const mostStarved = 8

// outOfMemory is what Go prints when it ends for want of memory.
var outOfMemory = regexp.MustCompile(`^fatal error: .*(memory|cannot map pages)`)

// crashed is the first line that reports a crash or a data race in what the daemons have printed.
func (s *site) crashed() string {
	text, _ := os.ReadFile(s.said.Name())
	starved := s.starved.Load() * mostStarved
	for line := range strings.Lines(string(text) + s.log.Output()) {
		if starved > 0 && outOfMemory.MatchString(line) {
			starved--
			continue
		}
		for _, word := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if strings.Contains(line, word) {
				return "a daemon says: " + strings.TrimSpace(line)
			}
		}
	}
	return ""
}
