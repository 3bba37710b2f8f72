package stick

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

// since is what was counted after the counter stood at base. The result stands
// for events, not for a rate: its periods are those of f.
func (f freq) since(base freq, period int64) freq {
	switch f.tick - base.tick {
	case 0:
		f.cur, f.prev = less(f.cur, base.cur), less(f.prev, base.prev)
	case period:
		f.prev = less(f.prev, base.cur)
	}
	return f
}

// merge adds events that were counted elsewhere, each to the period that it
// falls into mostly.
func (f *freq) merge(o freq, now, period int64) {
	if f.tick == 0 && f.cur == 0 && f.prev == 0 {
		*f = o
		return
	}
	f.turn(now, period)
	f.at(o.tick, o.cur, period)
	f.at(o.tick-period, o.prev, period)
}

// at adds the n events of a period that began at tick.
func (f *freq) at(tick int64, n uint32, period int64) {
	switch d := f.tick - tick; {
	case 2*d < period:
		f.cur += n
	case 2*d < 3*period:
		f.prev += n
	}
}

func less(a, b uint32) uint32 {
	if a < b {
		return 0 // cleared meanwhile
	}
	return a - b
}
