package health

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Checker checks one server.
type Checker struct {
	inter  time.Duration // Immutable after New, as eager is.
	eager  bool          // a fastinter was set
	report func(Report)  // called with reporting held
	probe  func(ctx context.Context, s *Spec, up bool) result
	offset time.Duration // until the first turn, see Spread

	// Owned by the Scheduler; its mu guards due, place and removed.
	sched *Scheduler // nil before Run
	ctx   context.Context
	due   time.Time
	place int // in its heap, from 1; 0 while it does not wait

	removed bool // guarded as due is: it has no more turns

	reporting sync.Mutex  // Lock order: before mu, and before the locks of whoever is reported to.
	troubled  atomic.Bool // a row of errors is being dealt with

	mu sync.Mutex
	// mu guards the fields below.
	spec    Spec
	health  int // 0..Rise+Fall-1; up from Rise on
	paused  bool
	parked  bool               // has no turn, because it was paused when its turn came
	epoch   uint               // grows with every override, so that a check begun before it is void
	checked bool               // at least one check has ended
	cancel  context.CancelFunc // ends the check in flight; nil when there is none
	hurry   bool               // the traffic met errors: the next check comes soon
}

// New prepares the checks of one server. health is what is known of it: Rise
// of the spec for "up until a check fails", which is how HAProxy starts, or
// what an earlier process handed over. report is called after every check, by
// one goroutine at a time; the next check waits for it.
func New(spec Spec, health int, report func(Report)) *Checker {
	spec.Inter = positive(spec.Inter, 2*time.Second)
	eager := spec.FastInter > 0
	spec.FastInter = positive(spec.FastInter, spec.Inter)
	spec.DownInter = positive(spec.DownInter, spec.Inter)
	spec.Rise = positive(spec.Rise, 2)
	spec.Fall = positive(spec.Fall, 3)
	c := &Checker{
		spec:   spec,
		report: report,
		inter:  spec.Inter,
		eager:  eager,
		health: min(max(health, 0), spec.Rise+spec.Fall-1),
	}
	c.spec.resolve()
	return c
}

func positive[T ~int | ~int64](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Run checks until ctx ends, for a server that has no Scheduler.
func (c *Checker) Run(ctx context.Context) { new(Scheduler).Run(ctx, c) }

// turn begins a check. It does not wait for the network.
func (c *Checker) turn(ctx context.Context) {
	begun := time.Now()
	c.mu.Lock()
	if c.paused {
		c.parked = true
		c.mu.Unlock()
		return
	}
	epoch := c.epoch
	c.hurry = false
	if c.probe != nil || !c.spec.quick {
		spec, up := c.spec, c.health >= c.spec.Rise
		asking, cancel := context.WithCancel(ctx)
		c.cancel = cancel
		c.mu.Unlock()
		check := func() {
			if spec.InService != nil {
				up = spec.InService()
			}
			ask := c.probe
			if ask == nil {
				ask = probe
			}
			res := ask(asking, &spec, up)
			if spec.Program != nil { // a process costs more than a connection: there is a pause between two
				c.finish(asking, epoch, res, time.Now())
			} else {
				c.finish(asking, epoch, res, begun)
			}
			cancel()
		}
		if spec.Program != nil && c.sched != nil {
			c.sched.programs.Go(check)
			return
		}
		go check()
		return
	}
	conn, res, done := c.spec.begin(begun)
	if done {
		c.mu.Unlock()
		res.took = time.Since(begun)
		c.finish(ctx, epoch, res, begun)
		return
	}
	waiting, cancel := context.WithCancel(ctx)
	c.cancel = cancel
	c.mu.Unlock()
	go func() {
		res := conn.wait(waiting)
		res.took = time.Since(begun)
		c.finish(waiting, epoch, res, begun)
		cancel()
	}()
}

// finish reports a check that began at a time, and gives the next one its
// turn: counted from there, so one that took the whole interval is followed by
// the next at once.
func (c *Checker) finish(ctx context.Context, epoch uint, res result, begun time.Time) {
	if ctx.Err() != nil { // paused or ended meanwhile: what it found is not the server's fault
		c.again(begun)
		return
	}
	r, ok := c.count(epoch, res)
	switch {
	case !ok:
	case r.Passed && !r.Changed && !r.First: // nothing that a log or a lock could keep up
		c.publish(&r)
	default:
		go c.publishAndRepeat(r, begun)
		return
	}
	c.again(begun)
}

func (c *Checker) publishAndRepeat(r Report, begun time.Time) {
	c.publish(&r)
	c.again(begun)
}

// again gives c its next turn after a check that began at a time.
func (c *Checker) again(begun time.Time) { c.sched.at(c, begun.Add(c.interval())) }

func (c *Checker) publish(r *Report) {
	c.reporting.Lock()
	defer c.reporting.Unlock()
	c.report(*r)
}

// count makes the result of a check part of the server's health. A result that
// an override has overtaken does not count.
func (c *Checker) count(epoch uint, res result) (Report, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return Report{}, false
	}
	return c.move(res), true
}

// move moves the health by one result. mu is held.
func (c *Checker) move(res result) Report {
	before, passed := c.health, res.status.Passed()
	// That an agent is out of reach, or does not speak of the health, leaves
	// the health as it is.
	neutral := c.spec.Agent && !passed && res.status != L7STS
	if !neutral {
		c.health = next(c.health, c.spec.Rise, c.spec.Fall, passed)
	}
	up := c.health >= c.spec.Rise
	r := Report{
		Up: up, Changed: up != (before >= c.spec.Rise), Passed: passed, First: !c.checked,
		Counted: !neutral && !passed && before > 0, Agent: c.spec.Agent, Orders: res.orders,
		Status: res.status, Code: res.code, Duration: res.took, Info: res.info,
		Health: c.health, Rise: c.spec.Rise, Fall: c.spec.Fall,
	}
	c.checked = true
	return r
}

// next is HAProxy's counting: one step up or down, and over the border (rise)
// at once to the far end, so that the next change takes rise or fall checks in
// a row.
func next(health, rise, fall int, passed bool) int {
	if passed {
		if health++; health >= rise {
			health = rise + fall - 1
		}
		return health
	}
	if health--; health < rise {
		health = 0
	}
	return health
}

// interval until the next check: inter while the server is surely up,
// downinter while it is surely down, fastinter on the way.
func (c *Checker) interval() time.Duration {
	c.mu.Lock()
	health, hurry := c.health, c.hurry
	c.mu.Unlock()
	d := c.spec.FastInter
	switch {
	case hurry && c.eager:
	case health == c.spec.Rise+c.spec.Fall-1:
		d = c.spec.Inter
	case health == 0:
		d = c.spec.DownInter
	}
	if share := int64(d) * int64(c.spec.SpreadPct) / 100; share > 0 {
		d += time.Duration(rand.Int64N(2*share) - share)
	}
	return d
}

// Health is what is known now, and how it counts: 0..rise+fall-1, up from rise
// on.
func (c *Checker) Health() (health, rise, fall int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health, c.spec.Rise, c.spec.Fall
}

// Override sets the server's health, as an operator says: 0 is surely down,
// rise+fall-1 surely up, rise up until a check fails. Later checks count from
// there; one in flight is void.
func (c *Checker) Override(health int) {
	c.mu.Lock()
	c.health = min(max(health, 0), c.spec.Rise+c.spec.Fall-1)
	c.epoch++
	c.mu.Unlock()
}

// Change changes how the server is checked from the next check on: where, and
// with what.
func (c *Checker) Change(f func(*Spec)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.spec)
	c.spec.resolve()
}

// Up reports whether the server is up as far as these checks know.
func (c *Checker) Up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health >= c.spec.Rise
}

// Pause stops the checks (a server in maintenance) or lets them go on, the
// next one at once. A check in flight is given up.
func (c *Checker) Pause(on bool) {
	c.mu.Lock()
	changed := c.paused != on
	c.paused = on
	if changed {
		c.epoch++
	}
	resume := !on && c.parked
	c.parked = c.parked && on
	if on && c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	if resume {
		c.sched.at(c, time.Now())
	}
}
