package stick

import "math"

// A rate is two words of an entry: the time at which its current period began,
// and the events of that period (low half) and of the one before (high half).
// The rate is the current period's events and the share of the former ones
// that still is less than a period ago, as HAProxy's freq_ctr_period has it.
type freq struct {
	tick      int64
	cur, prev uint32
}

func loadFreq(w []uint64) freq {
	return freq{tick: int64(w[0]), cur: uint32(w[1]), prev: uint32(w[1] >> 32)}
}

func (f freq) store(w []uint64) { w[0], w[1] = uint64(f.tick), uint64(f.prev)<<32|uint64(f.cur) }

// turn begins the period that now is in.
func (f *freq) turn(now, period int64) {
	switch age := now - f.tick; {
	case age < period:
	case age < 2*period:
		f.prev, f.cur, f.tick = f.cur, 0, f.tick+period
	default:
		f.prev, f.cur, f.tick = 0, 0, now
	}
}

// add counts n events.
func (f *freq) add(now, period int64, n uint32) {
	f.turn(now, period)
	f.cur += n
}

// read is the rate: events over the last period.
func (f freq) read(now, period int64) uint64 {
	cur, past := uint64(f.cur), uint64(f.prev)
	remain := f.tick + period - now
	if remain < 0 {
		remain += period
		past, cur = cur, 0
		if remain < 0 {
			past = 0
		}
	}
	if cur == 0 && past <= 1 {
		return past // or a client that comes once in a period would flap
	}
	return (past*uint64(max(remain, 0)) + cur*uint64(period)) / uint64(period)
}

// events are what was counted since some moment, in the periods of the counter;
// fewer than none when it was cleared meanwhile.
type events struct {
	tick      int64
	cur, prev int64
}

// since is what was counted after the counter stood at base.
func (f freq) since(base freq, period int64) events {
	e := events{f.tick, int64(f.cur), int64(f.prev)}
	// Periods follow each other, but what a peer sends has periods of its own.
	e.without(int64(base.cur), f.tick-base.tick, period)
	e.without(int64(base.prev), f.tick-base.tick+period, period)
	return e
}

// without takes n events out of the period that began age before e's, or mostly
// overlaps with it.
func (e *events) without(n, age, period int64) {
	switch {
	case 2*age < period:
		e.cur -= n
	case 2*age < 3*period:
		e.prev -= n
	}
}

// merge adds events that were counted elsewhere, each to the period that it
// falls into mostly.
func (f *freq) merge(o events, now, period int64) {
	if f.tick == 0 && f.cur == 0 && f.prev == 0 {
		*f = freq{o.tick, moved(0, o.cur), moved(0, o.prev)}
		return
	}
	f.turn(now, period)
	f.at(o.tick, o.cur, period)
	f.at(o.tick-period, o.prev, period)
}

// at adds the n events of a period that began at tick.
func (f *freq) at(tick, n, period int64) {
	switch d := f.tick - tick; {
	case 2*d < period:
		f.cur = moved(f.cur, n)
	case 2*d < 3*period:
		f.prev = moved(f.prev, n)
	}
}

// moved adds n, and stays within what a counter can hold.
func moved(have uint32, n int64) uint32 {
	return uint32(min(max(int64(have)+n, 0), math.MaxUint32))
}
