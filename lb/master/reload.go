package master

import (
	"fmt"
	"os"
	"slices"
	"time"

	"lbsyslogd/lb/handoff"
)

// why says what a new worker is for.
type why string

const (
	starting  why = "start"
	reloading why = "reload"
	replacing why = "replacement of a crashed worker"
	returning why = "return to the former configuration"
)

// attempt is one new worker on its way. Owned by the goroutine of Run.
type attempt struct {
	why     why
	waiters []chan Outcome
	// snapshot is the configuration to run in place of the files; nil is the
	// files. It stays the caller's.
	snapshot *os.File
	// ifChanged gives up when the configuration is the one that serves.
	ifChanged bool
	unchanged bool    // and it was
	owing     bool    // it is a restart, and somebody waits for its outcome
	canary    *Canary // how it is tried; nil: it takes over at once
	tried     bool    // the trial has begun
	verdict   string  // of it
	taken     bool    // an address that it wants is taken
	// former is the worker that has to stop accepting before the attempt has
	// ended; nil until the new one is ready.
	former *worker
}

// Outcome is how a reload ended.
type Outcome struct {
	OK         bool
	Unchanged  bool // nothing was done, because nothing was to be done
	Generation int
	Reason     string // one sentence when it failed
	Text       string // all that the new worker said
	Verdict    string // of a trial that went well
	When       time.Time
}

// reload asks for a new worker. A request that comes while one is on its way
// joins the next one: the configuration it means may be newer than what has
// been read already. With ifChanged nothing happens when the configuration, the
// files it names and the program are those that serve already.
func (r *run) reload(waiter chan Outcome, ifChanged bool) {
	if r.stopping {
		answer(waiter, Outcome{Reason: "the master is stopping", When: time.Now()})
		return
	}
	if r.trial != nil {
		reason := r.onTrial()
		r.Log.Warn("a reload was refused: " + reason)
		answer(waiter, Outcome{Reason: reason, When: time.Now()})
		return
	}
	r.pace.ask(time.Now())
	r.waitingAnyway = r.waitingAnyway || !ifChanged
	r.waiting = append(r.waiting, waiter)
	if len(r.waiting) == 1 { // what follows the attempt, or the timer, is under way for more
		r.nextReload()
	}
}

// answer never blocks: a waiter's channel has room for its one outcome. A nil
// waiter is a signal, which waits for nothing.
func answer(waiter chan Outcome, o Outcome) {
	if waiter != nil {
		waiter <- o
	}
}

// give answers all who wait for a.
func (a *attempt) give(o Outcome) {
	for _, waiter := range a.waiters {
		answer(waiter, o)
	}
	a.waiters = nil
}

// begin starts a worker. There is none on its way.
func (r *run) begin(a attempt) {
	r.attempt = a
	if a.why == reloading {
		r.reloads++
		r.asHAProxy("Reloading")
		r.notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=%s", monotonic(), r.loadingLine()))
	}
	w, err := r.spawn(a.snapshot, a.canary != nil)
	if err != nil {
		r.ended(Outcome{Reason: err.Error()})
		return
	}
	r.starting = w
	r.asHAProxy(fmt.Sprintf("New worker (%d) forked", w.pid))
	w.timer = r.after(r.StartTimeout, func() {
		if r.starting == w {
			r.Log.Error(fmt.Sprintf("the new worker (%d) was not ready within %v, killing it", w.pid, r.StartTimeout))
			w.kill()
		}
	})
}

// isReady makes the starting worker the current one. One that was killed may
// have said so a moment before.
func (r *run) isReady(w *worker) {
	if w != r.starting || w.killed {
		return
	}
	w.timer.Stop()
	w.ready, w.readyAt = true, time.Now()
	r.starting = nil
	if r.attempt.canary != nil {
		if r.current != nil {
			r.beginTrial(w)
			return
		}
		r.order(w, handoff.Promote) // the other one has crashed
	}
	r.succeed(w)
}

// succeed makes w the worker that serves.
func (r *run) succeed(w *worker) {
	former := r.current
	r.current = w
	r.crashes.serves(r.attempt.why, former)
	r.sendLostFlights()
	retire := r.closeUnwanted(former != nil)
	if former != nil {
		r.old = append(r.old, former)
		// A trial that was promoted has to know that it serves: without a master it
		// would give everything back to the one that leaves.
		r.drainAfter(former, r.sentAll(w), retire)
	}
	r.writePidfile()
	r.firstReady()
	r.asHAProxy("Loading success.")
	if former == nil {
		r.ended(Outcome{OK: true})
		return
	}
	// Whoever asked hears of it when the old worker does not accept any more:
	// from then on all that connects meets the new configuration.
	r.attempt.former = former
	r.after(leavingWait, func() { r.switched(former) })
}

// leavingWait bounds how long an old worker may take to stop accepting. It
// goes on without a word when it is stuck.
const leavingWait = 2 * time.Second

// switched ends an attempt that waits for the old worker to stop accepting.
func (r *run) switched(former *worker) {
	if former != nil && r.attempt.former == former {
		r.ended(Outcome{OK: true})
	}
}

// neverReady is called when the starting worker is gone.
func (r *run) neverReady(w *worker, how string) {
	w.timer.Stop()
	r.starting = nil
	r.takeBack(w)
	if r.attempt.unchanged {
		r.reloads--
		r.ended(Outcome{OK: true, Unchanged: true})
		return
	}
	reason := firstAlert(w.words.String())
	if reason == "" {
		if how == "" {
			how = "exited before it was ready"
		}
		reason = fmt.Sprintf("the new worker (%d) %s", w.pid, how)
	}
	r.ended(Outcome{Reason: reason, Text: w.words.String()})
}

// ended is the end of an attempt, good or bad: everybody hears of it, and the
// requests that came meanwhile get their turn.
func (r *run) ended(o Outcome) {
	o.Generation, o.When = r.generation, time.Now()
	if r.current != nil && o.OK {
		o.Generation = r.current.facts.Generation
	}
	if o.OK && !o.Unchanged && r.current != nil && o.Text == "" {
		o.Text = r.current.words.String()
	}
	a := r.attempt
	o.Verdict = a.verdict
	r.attempt = attempt{}
	if a.owing && !o.OK {
		r.failRestart(a, o)
		return
	}
	if !o.Unchanged && !(o.OK && a.why == replacing) { // which ran what ran before: a reload that failed still did
		r.last = o
	}
	if o.OK {
		r.failed = 0
		if !o.Unchanged {
			r.good = o.When
		}
	} else if a.why == reloading {
		r.failed++
		r.failures++
	}
	if r.current != nil {
		r.firstReady() // an adopted worker serves even when its successor failed
		r.sendReloadCounts()
	}
	r.reportOutcome(a, o)
	a.give(o)
	switch {
	case r.parting:
		r.part()
	case r.stopping:
		r.refuseWaiting()
		r.maybeStopped()
	case !o.OK && r.current == nil:
		r.cannotServe(a, o)
	default:
		r.nextReload()
	}
	r.maybeIdle()
}

// whenIdle calls act when no attempt is under way and nobody waits for one, or
// when none will come because the master is stopping.
func (r *run) whenIdle(act func()) {
	r.idle = append(r.idle, act)
	r.maybeIdle()
}

func (r *run) maybeIdle() {
	for len(r.idle) > 0 && (r.stopping || r.attempt.why == "" && len(r.waiting) == 0 && len(r.adopting) == 0) {
		act := r.idle[0]
		r.idle = r.idle[1:]
		act()
	}
}

// mostReason is how much of the reason of a failed reload a worker hears.
const mostReason = 1000

// sendReloadCounts tells the serving worker how reloads went.
func (r *run) sendReloadCounts() {
	story := &handoff.Reloads{Total: r.reloads, Failed: r.failures, LastGood: r.good}
	if !r.last.OK {
		story.Refused = r.last.Reason[:min(len(r.last.Reason), mostReason)]
	}
	r.send(r.current, parcel{order: handoff.Order{Kind: handoff.Story, Story: story}})
}

// sameAsServing says that a starting worker is what serves already.
func (r *run) sameAsServing(w *worker) bool {
	return r.current != nil && w.facts.Digest != "" &&
		w.facts.Digest == r.current.facts.Digest && w.facts.Version == r.current.facts.Version
}

// refuseWaiting answers those whose reload will not come any more.
func (r *run) refuseWaiting() {
	for _, waiter := range r.waiting {
		answer(waiter, Outcome{Reason: "the master is stopping", When: time.Now()})
	}
	r.waiting = nil
}

// exited is called when a worker's process has ended. how is "" when it ended
// well.
func (r *run) exited(w *worker, how string) {
	r.unstore(linkName(w.pid))
	if r.Rendezvous != "" {
		// It is there only when the worker could not remove it itself.
		_ = os.Remove(RendezvousPath(r.Rendezvous, w.pid))
	}
	r.switched(w)
	switch {
	case r.trial == nil:
	case w == r.trial.w:
		r.lostTrial(how)
	case w == r.current: // there is nothing to compare with
		r.takeBackTrial(fmt.Sprintf("worker %d (generation %d), which it was compared with, is gone", w.pid, w.facts.Generation))
	}
	if w == r.current && how == "" {
		how = "exited although nobody asked it to"
	}
	switch {
	case w == r.starting:
		r.neverReady(w, how)
	case w == r.current:
		r.current = nil
		r.crashed(w, how)
	default:
		r.old = slices.DeleteFunc(r.old, func(o *worker) bool { return o == w })
		r.formerGone(w, how)
	}
	if w.snapshot != nil {
		w.snapshot.Close()
	}
	r.keepFlights(w, how)
	r.maybeStopped()
}

// firstReady tells the process's surroundings that it serves, once.
func (r *run) firstReady() {
	if r.served {
		return
	}
	r.served = true
	if err := r.Opener.Settled(); err != nil {
		r.Log.Warn(fmt.Sprintf("put a unix socket in its place: %v", err))
	}
	if r.FirstReady != nil {
		r.FirstReady()
	}
}
