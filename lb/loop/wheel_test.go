package loop

import (
	"math"
	"math/rand/v2"
	"testing"
)

// clock is a loop's wheel under a clock that the test sets.
type clock struct {
	Loop
	t     *testing.T
	fired []*alarm
}

func newClock(t *testing.T, now int64) *clock {
	c := &clock{t: t}
	c.wheel.init()
	c.wheel.now, c.now = now, now
	return c
}

// to lets the clock show now.
func (c *clock) to(now int64) {
	c.now = now
	c.wheel.expire(now)
}

// alarm is a timer that notes when it went off.
type alarm struct {
	Timer
	c     *clock
	count int
	then  func()
}

func (c *clock) alarm() *alarm {
	a := &alarm{c: c}
	a.OnExpire = a
	return a
}

func (a *alarm) Expire() {
	a.count++
	if a.Armed() {
		a.c.t.Error("a timer is armed while it expires")
	}
	if a.At() > a.c.now {
		a.c.t.Errorf("due at %d, expired at %d", a.At(), a.c.now)
	}
	a.c.fired = append(a.c.fired, a)
	if a.then != nil {
		a.then()
	}
}

// TestWheelAgainstAModel arms, disarms and lets time pass at random, over
// spans from a millisecond to years, and compares with a plain list.
func TestWheelAgainstAModel(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		span := func() int64 { return rnd.Int64N(1 << rnd.IntN(wheelBits*wheelLevels+3)) }
		c := newClock(t, span())
		alarms := make([]*alarm, 200)
		for i := range alarms {
			alarms[i] = c.alarm()
		}
		for range 3000 {
			a := alarms[rnd.IntN(len(alarms))]
			switch rnd.IntN(4) {
			case 0, 1:
				c.Arm(&a.Timer, span())
			case 2:
				c.Disarm(&a.Timer)
			case 3:
				c.checkStep(alarms, c.now+span())
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// checkStep lets the clock go to now and compares what went off.
func (c *clock) checkStep(alarms []*alarm, now int64) {
	c.t.Helper()
	due, earliest := map[*alarm]int64{}, int64(math.MaxInt64)
	for _, a := range alarms {
		if a.Armed() {
			at := max(a.At(), c.wheel.now+1) // what is due already expires next
			earliest = min(earliest, at)
			if at <= now {
				due[a] = at
			}
		}
	}
	next, any := c.wheel.next()
	switch {
	case any != (earliest < math.MaxInt64):
		c.t.Errorf("next says there is work: %v", any)
	case any && (next > earliest || next <= c.wheel.now):
		c.t.Errorf("next is %d at %d, the first deadline %d", next, c.wheel.now, earliest)
	}
	c.fired = c.fired[:0]
	c.to(now)
	last := int64(math.MinInt64)
	for _, a := range c.fired {
		at, ok := due[a]
		if !ok {
			c.t.Errorf("a timer for %d went off at %d, twice or though it was disarmed", a.At(), now)
		}
		delete(due, a)
		if at < last {
			c.t.Errorf("a timer for %d went off after one for %d", at, last)
		}
		last = at
	}
	for a := range due {
		c.t.Errorf("a timer for %d did not go off at %d", a.At(), now)
	}
}

// TestNextIsExactWhenNear: the loop does not wake for nothing right before a
// deadline, and never sleeps past one.
func TestNextIsExactWhenNear(t *testing.T) {
	for _, d := range []int64{1, 2, 63, 64, 65, 127, 4095, 4096, 4097, 262143, 262144, 1 << 30, 1 << 36, 1<<36 + 1, 1 << 40} {
		for _, start := range []int64{0, 1, 63, 64, 4095, 1<<36 - 1, 1 << 36} {
			c := newClock(t, start)
			a := c.alarm()
			c.Arm(&a.Timer, d)
			wakes := 0
			for a.count == 0 {
				at, ok := c.wheel.next()
				if !ok || at > start+d || wakes > 64+wheelLevels {
					t.Fatalf("%d from %d: next is %d, %v after %d wakes", d, start, at, ok, wakes)
				}
				c.to(at)
				wakes++
			}
			if c.now != start+d {
				t.Errorf("%d from %d: expired at %d", d, start, c.now)
			}
			if _, ok := c.wheel.next(); ok {
				t.Errorf("%d from %d: an empty wheel has work", d, start)
			}
		}
	}
}

func TestArmReplaces(t *testing.T) {
	c := newClock(t, 5)
	a := c.alarm()
	c.Arm(&a.Timer, 10)
	c.Arm(&a.Timer, 1000)
	c.to(900)
	if a.count != 0 {
		t.Error("the replaced deadline holds")
	}
	c.Arm(&a.Timer, 1)
	c.to(901)
	c.to(5000)
	if a.count != 1 {
		t.Errorf("expired %d times", a.count)
	}
	c.Disarm(&a.Timer) // not armed: nothing to do
}

func TestArmWhileExpiring(t *testing.T) {
	c := newClock(t, 0)
	// Itself, for at once: one millisecond later, not in the same moment.
	again := c.alarm()
	again.then = func() { c.Arm(&again.Timer, 0) }
	c.Arm(&again.Timer, 5)
	c.to(5)
	if again.count != 1 || !again.Armed() {
		t.Errorf("went off %d times in one moment", again.count)
	}
	c.to(6)
	if again.count != 2 {
		t.Errorf("went off %d times in two", again.count)
	}
	// After a pause it must not make up for every millisecond missed.
	c.to(1000)
	if again.count > 4 {
		t.Errorf("went off %d times after a pause", again.count)
	}
	c.Disarm(&again.Timer)

	// One that is due in the same moment, and one that comes due.
	first, second, third := c.alarm(), c.alarm(), c.alarm()
	first.then = func() {
		c.Disarm(&second.Timer)
		c.ArmAt(&third.Timer, 1101)
	}
	c.ArmAt(&first.Timer, 1100)
	c.ArmAt(&second.Timer, 1100)
	c.to(1100)
	if first.count != 1 || second.count != 0 || third.count != 0 {
		t.Errorf("%d, %d, %d expired; want only the first", first.count, second.count, third.count)
	}
	c.to(1101)
	if third.count != 1 {
		t.Error("armed while another expired, it did not go off")
	}
}

// TestDisarmAllOfASlot: a timer may take away every other that is due now.
func TestDisarmAllOfASlot(t *testing.T) {
	for _, at := range []int64{10, 64, 4096} { // of level 0, 1, 2
		c := newClock(t, 0)
		alarms := make([]*alarm, 50)
		for i := range alarms {
			alarms[i] = c.alarm()
			alarms[i].then = func() {
				for _, a := range alarms {
					c.Disarm(&a.Timer)
					c.Arm(&a.Timer, 100)
				}
			}
			c.ArmAt(&alarms[i].Timer, at)
		}
		c.to(at)
		if len(c.fired) != 1 {
			t.Errorf("at %d: %d went off, want 1", at, len(c.fired))
		}
		alarms[0].then = nil
		for _, a := range alarms {
			a.then = nil
		}
		c.to(at + 100)
		if len(c.fired) != 1+len(alarms) {
			t.Errorf("at %d: %d went off in the end", at, len(c.fired))
		}
	}
}

func TestTimersAllocateNothing(t *testing.T) {
	c := newClock(t, 0)
	a := c.alarm()
	a.c.fired = make([]*alarm, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		c.Arm(&a.Timer, 100)
		c.Arm(&a.Timer, 70)
		c.Disarm(&a.Timer)
		c.Arm(&a.Timer, 70)
		c.to(c.now + 70)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type nothing struct{}

func (nothing) Expire() {}

// BenchmarkArm sets one of 10,000 timers anew, as every request does.
func BenchmarkArm(b *testing.B) {
	var l Loop
	l.wheel.init()
	timers := make([]Timer, 10000)
	for i := range timers {
		timers[i].OnExpire = nothing{}
		l.Arm(&timers[i], int64(i)*7)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Arm(&timers[i%len(timers)], 30000)
		if i%100 == 0 {
			l.now++
			l.wheel.expire(l.now)
		}
	}
}
