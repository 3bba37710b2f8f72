package health

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Checker checks one server.
type Checker struct {
	spec   Spec         // Immutable but for what Change changes, under mu.
	eager  bool         // a fastinter was set. Immutable after New.
	report func(Report) // Called by Run only.
	probe  func(ctx context.Context, s *Spec, up bool) result
	offset time.Duration
	errors chan Trouble // of the traffic; Run counts them as a failed check

	mu sync.Mutex
	// mu guards the fields below.
	health  int // 0..Rise+Fall-1; up from Rise on
	paused  bool
	epoch   uint               // grows with every override, so that a check begun before it is void
	checked bool               // at least one check has ended
	cancel  context.CancelFunc // ends the check in flight; nil when there is none
	hurry   bool               // the traffic met errors: the next check comes soon
}

// New prepares the checks of one server. health is what is known of it: Rise
// of the spec for "up until a check fails", which is how HAProxy starts, or
// what an earlier process handed over. offset is when the first check comes
// (see Spread). report is called after every check on Run's goroutine, which
// waits for it.
func New(spec Spec, health int, offset time.Duration, report func(Report)) *Checker {
	spec.Inter = positive(spec.Inter, 2*time.Second)
	eager := spec.FastInter > 0
	spec.FastInter = positive(spec.FastInter, spec.Inter)
	spec.DownInter = positive(spec.DownInter, spec.Inter)
	spec.Rise = positive(spec.Rise, 2)
	spec.Fall = positive(spec.Fall, 3)
	return &Checker{
		spec:   spec,
		report: report,
		probe:  probe,
		offset: offset,
		errors: make(chan Trouble, 1),
		eager:  eager,
		health: min(max(health, 0), spec.Rise+spec.Fall-1),
	}
}

func positive[T ~int | ~int64](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Spread is when the first check of server i of n comes: the first turns are
// spread evenly over the interval, so that all servers are never asked at
// once.
func Spread(i, n int, inter time.Duration) time.Duration {
	if n < 1 {
		return 0
	}
	return inter * time.Duration(i) / time.Duration(n)
}

// Run checks until ctx ends.
func (c *Checker) Run(ctx context.Context) {
	turn := time.NewTimer(c.offset)
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-c.errors:
			if r, ok := c.trouble(t); ok {
				c.report(r)
			}
			if c.eager {
				turn.Reset(c.interval())
			}
			continue
		case <-turn.C:
		}
		begun := time.Now()
		c.check(ctx)
		// A turn is counted from the beginning of the one before; a check that
		// took the whole interval is followed by the next at once.
		turn.Reset(time.Until(begun.Add(c.interval())))
	}
}

// check does one check, unless paused, and reports it.
func (c *Checker) check(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	epoch, paused, up, spec := c.epoch, c.paused, c.health >= c.spec.Rise, c.spec
	c.cancel = cancel
	c.hurry = false
	c.mu.Unlock()
	if paused {
		return
	}
	res := c.probe(ctx, &spec, up)
	if ctx.Err() != nil {
		return // paused or ended meanwhile: what it found is not the server's fault
	}
	if r, ok := c.count(epoch, res); ok {
		c.report(r)
	}
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
}

// Up reports whether the server is up as far as these checks know.
func (c *Checker) Up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health >= c.spec.Rise
}

// Pause stops the checks (a server in maintenance) or lets them go on. A check
// in flight is given up.
func (c *Checker) Pause(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = on
	c.epoch++
	if on && c.cancel != nil {
		c.cancel()
	}
}
