package stick

import (
	"math/rand/v2"
	"testing"
)

// reference is the definition: every event is kept, periods are counted from
// the first event of a busy time.
type reference struct {
	tick   int64
	events []int64
	began  bool
}

func (r *reference) turn(now, period int64) {
	if !r.began || now-r.tick >= 2*period {
		r.tick, r.events, r.began = now, nil, true
	} else if now-r.tick >= period {
		r.tick += period
	}
}

func (r *reference) add(now, period int64, n uint32) {
	r.turn(now, period)
	for range n {
		r.events = append(r.events, now)
	}
}

// read weighs the period before by how much of it is less than a period ago.
func (r *reference) read(now, period int64) uint64 {
	tick := r.tick
	if now-tick > period {
		tick += period
	}
	if now-tick > period {
		return 0
	}
	cur, past := int64(0), int64(0)
	for _, e := range r.events {
		switch {
		case e >= tick:
			cur++
		case e >= tick-period:
			past++
		}
	}
	if cur == 0 && past <= 1 {
		return uint64(past)
	}
	return uint64((past*(tick+period-now) + cur*period) / period)
}

func TestFreqAgainstEveryEventKept(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		period := 1 + rnd.Int64N(2000)
		now := int64(1_000_000)
		var f freq
		var r reference
		for step := range 300 {
			now += rnd.Int64N(period/2 + 1)
			if rnd.IntN(40) == 0 {
				now += rnd.Int64N(4 * period)
			}
			if rnd.IntN(3) > 0 {
				n := rnd.Uint32N(5)
				f.add(now, period, n)
				r.add(now, period, n)
			}
			if got, want := f.read(now, period), r.read(now, period); got != want {
				t.Fatalf("period %d, step %d at %d: %d, want %d (%+v)", period, step, now, got, want, f)
			}
		}
	}
}

// What two processes count separately, one of them reporting to the other now and
// then, is what one alone would have counted.
func TestFreqToldInParts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	const period = 1000
	worst := int64(0)
	for range 300 {
		now := int64(1_000_000)
		var one, old, next, told freq // told is what next knows of old
		for range 4 {                 // both begin with the same
			one.add(now, period, 10)
			now += 200
		}
		old, next, told = one, one, one
		for range 40 {
			now += rnd.Int64N(100)
			switch n := rnd.Uint32N(4) + 1; rnd.IntN(3) {
			case 0:
				one.add(now, period, n)
				old.add(now, period, n)
			case 1:
				one.add(now, period, n)
				next.add(now, period, n)
			default:
				next.merge(old.since(told, period), now, period)
				told = old
			}
		}
		next.merge(old.since(told, period), now, period)
		worst = max(worst, int64(next.read(now, period))-int64(one.read(now, period)), int64(one.read(now, period))-int64(next.read(now, period)))
	}
	if worst > 2 {
		t.Errorf("the rates differ by up to %d", worst)
	}
}
