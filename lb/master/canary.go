package master

import (
	"fmt"
	"log/slog"
	"time"

	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
)

// A canary: a reload whose new worker serves a share of the new connections for a
// while, alongside the old one, and is judged by what it answers.
//
//  1. it is started as at every reload, but told that it is on trial: it is given
//     connections by the old worker and accepts none itself      child.go, sockets.go
//  2. when it is ready the old worker begins to share, and both are asked what they
//     have counted, twice a second                               here
//  3. a condition that holds at two looks in a row, a crash, silence, or an operator
//     ends it: the old worker stops sharing, and the new one gives its connections back
//  4. when its time is up, it takes over as after every reload   reload.go

// trial is a canary that is under way. Owned by the goroutine of Run.
type trial struct {
	*Canary
	w      *worker
	began  time.Time
	timer  *time.Timer
	held   string // the condition that held at the last look; "" none did
	asked  time.Time
	silent bool // one of the two has not answered the last question

	fresh, old             figures // since the beginning, at the last look
	freshBefore, oldBefore *handoff.Figures
}

const (
	// lookEvery is how often the two generations are compared.
	lookEvery = 500 * time.Millisecond
	// silence is how long a worker on trial may leave the master, or the worker that
	// shares with it, without an answer.
	silence = 5 * time.Second
)

// try asks for a canary. It is refused while anything else is under way: nobody
// could say what it is compared with.
func (r *run) try(waiter chan Outcome, c *Canary) {
	refused := ""
	switch {
	case r.stopping:
		refused = "the master is stopping"
	case r.current == nil:
		refused = "nothing serves that it could be compared with"
	case r.trial != nil:
		refused = r.onTrial()
	case r.attempt.why != "" || len(r.waiting) > 0 || len(r.adopting) > 0:
		refused = "another reload is under way"
	case !r.current.facts.Shares:
		refused = fmt.Sprintf("generation %d was started by an older version, which cannot share its connections: reload once without --canary", r.current.facts.Generation)
	}
	if refused != "" {
		answer(waiter, Outcome{Reason: refused, When: time.Now(), Generation: r.generation})
		return
	}
	r.begin(attempt{why: reloading, waiters: []chan Outcome{waiter}, canary: c})
}

// onTrial is why nothing else can be done now.
func (r *run) onTrial() string {
	return fmt.Sprintf("generation %d is on trial until %s: wait, or end that with `lb canary promote` or `lb canary abort`",
		r.trial.w.facts.Generation, r.trial.ends().Format(time.TimeOnly))
}

func (t *trial) ends() time.Time { return t.began.Add(t.For) }

// beginTrial is called when the worker of a canary is ready.
func (r *run) beginTrial(w *worker) {
	r.trial = &trial{Canary: r.attempt.canary, w: w, began: time.Now()}
	r.attempt.tried = true
	r.sendLostFlights()
	r.send(r.current, parcel{order: handoff.Order{Kind: handoff.Share, Share: r.trial.Share}})
	r.logEvent(slog.LevelInfo, event.TrialBegun, fmt.Sprintf("reload %d: generation %d (worker %d) is on trial: it gets %s of the new connections of generation %d for %v",
		r.reloads, w.facts.Generation, w.pid, r.trial.words(), r.current.facts.Generation, r.trial.For),
		event.Reload(r.reloads), event.Generation(w.facts.Generation), event.Worker(w.pid))
	r.notify("READY=1\n" + r.statusLine())
	r.look()
}

// words is the share.
func (c *Canary) words() string { return c.Words()[0] }

// look asks both workers, and comes back.
func (r *run) look() {
	t := r.trial
	if t == nil {
		return
	}
	var fresh, old *handoff.Status
	if t.silent {
		if time.Since(t.asked) > silence {
			r.takeBackTrial(fmt.Sprintf("no answer from the workers for %v", silence))
			t.w.kill() // what it was given and has not taken is served by the old one
			return
		}
	} else {
		t.silent, t.asked = true, time.Now()
		both := func() {
			if r.trial == t && fresh != nil && old != nil {
				t.silent = false
				r.compare(fresh, old)
			}
		}
		r.ask(t.w, func(st *handoff.Status) { fresh = st; both() })
		r.ask(r.current, func(st *handoff.Status) { old = st; both() })
	}
	if r.trial == t {
		t.timer = r.after(lookEvery, r.look)
	}
}

// compare judges by what the two have counted up to now.
func (r *run) compare(fresh, old *handoff.Status) {
	t := r.trial
	if fresh.Own == nil || old.Own == nil {
		r.takeBackTrial("the workers do not say what they have counted")
		return
	}
	if t.oldBefore == nil {
		t.freshBefore, t.oldBefore = fresh.Own, old.Own
	}
	t.fresh, t.old = since(fresh.Own, t.freshBefore), since(old.Own, t.oldBefore)
	holds := ""
	for i := range t.AbortIf {
		if c := &t.AbortIf[i]; c.holds(&t.fresh, &t.old) {
			holds = fmt.Sprintf("%s: %s, and in generation %d %s", c, c.say(&t.fresh), r.current.facts.Generation, c.say(&t.old))
			break
		}
	}
	over := !time.Now().Before(t.ends())
	switch {
	case holds != "" && (t.held != "" || over):
		r.takeBackTrial(holds)
	case over:
		r.promote("its time is up")
	}
	t.held = holds
}

// promote ends the trial well: the worker takes over.
func (r *run) promote(why string) {
	t := r.trial
	r.endTrial()
	r.logEvent(slog.LevelInfo, event.TrialEnded, fmt.Sprintf("generation %d is promoted after %v, as %s: %s; generation %d: %s", t.w.facts.Generation,
		time.Since(t.began).Round(time.Millisecond), why, &t.fresh, r.current.facts.Generation, &t.old), event.Reload(r.reloads),
		event.Generation(t.w.facts.Generation), event.Worker(t.w.pid))
	r.attempt.verdict = fmt.Sprintf("It was on trial for %v: %s; generation %d: %s.", time.Since(t.began).Round(time.Second), &t.fresh, r.current.facts.Generation, &t.old)
	t.w.readyAt = time.Now()
	r.order(t.w, handoff.Promote)
	r.keepLink(t.w)
	r.succeed(t.w)
}

// takeBackTrial ends it badly: the worker gives back what it has, and goes.
func (r *run) takeBackTrial(why string) {
	t := r.trial
	r.endTrial()
	if r.current != nil {
		r.send(r.current, parcel{order: handoff.Order{Kind: handoff.Share}})
	}
	r.takeBack(t.w)
	r.old = append(r.old, t.w)
	r.drain(t.w)
	r.ended(Outcome{Reason: fmt.Sprintf("generation %d was taken back after %v: %s", t.w.facts.Generation, time.Since(t.began).Round(time.Second), why)})
}

// lostTrial is called when the process on trial is gone.
func (r *run) lostTrial(how string) {
	if how == "" {
		how = "exited although nobody asked it to"
	}
	w := r.trial.w
	r.takeBackTrial(fmt.Sprintf("worker %d %s", w.pid, how))
}

func (r *run) endTrial() {
	if r.trial.timer != nil {
		r.trial.timer.Stop()
	}
	r.trial = nil
}

// trialLine is what `lb status` and `lb canary status` say.
func (r *run) trialLine() string {
	t := r.trial
	if t == nil {
		return ""
	}
	line := fmt.Sprintf("canary: generation %d (worker %d) gets %s of the new connections until %s", t.w.facts.Generation, t.w.pid, t.words(), t.ends().Format(time.TimeOnly))
	if t.oldBefore != nil {
		line += fmt.Sprintf(": %s; generation %d: %s", &t.fresh, r.current.facts.Generation, &t.old)
	}
	for _, c := range t.AbortIf {
		line += fmt.Sprintf("; ends early if %s", c)
	}
	return line
}

// canaryNow is `canary status|promote|abort`.
func (s *session) canaryNow(words []string) {
	what := "status"
	if len(words) > 0 {
		what = words[0]
	}
	if what != "status" && s.onlooker {
		s.say("Refused: '%s' is for root and for the user of the master.", "canary "+what)
		return
	}
	said := make(chan string, 1)
	if !s.post(func() { said <- s.endCanary(what) }) {
		return
	}
	s.say("%s", <-said)
}

func (r *run) endCanary(what string) string {
	switch {
	case what != "status" && what != "promote" && what != "abort":
		return fmt.Sprintf("Refused: %q is not one of status, promote and abort.", what)
	case r.trial == nil && what == "status":
		return "No canary is under way."
	case r.trial == nil:
		return "Refused: no canary is under way."
	case what == "promote":
		generation := r.trial.w.facts.Generation
		r.promote("an operator asked for it")
		return fmt.Sprintf("Generation %d is promoted.", generation)
	case what == "abort":
		generation := r.trial.w.facts.Generation
		r.takeBackTrial("an operator asked for it")
		return fmt.Sprintf("Generation %d is taken back.", generation)
	}
	return r.trialLine()
}
