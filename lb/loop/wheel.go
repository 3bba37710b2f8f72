package loop

import "math/bits"

// Timer is one deadline. The zero value is unarmed; OnExpire must be set
// before Arm. Owned by the loop.
type Timer struct {
	OnExpire   Expirer
	next, prev *Timer // nil when unarmed
	at         int64  // ms, on the loop's clock
	level      uint8
	slot       uint8
}

// Expirer is called when its timer is due.
type Expirer interface {
	Expire()
}

// Armed reports whether the timer is in the wheel.
func (t *Timer) Armed() bool { return t.next != nil }

// At is when an armed timer is due.
func (t *Timer) At() int64 { return t.at }

// The wheel has levels of 64 slots: a slot of level n spans 64^n ms. A timer
// sits on the lowest level that can tell it from now and moves down as its
// time comes near, so arming, disarming and finding the next deadline cost
// the same however many timers there are.
const (
	wheelBits   = 6
	wheelSlots  = 1 << wheelBits
	wheelMask   = wheelSlots - 1
	wheelLevels = 6 // 64^6 ms: two years
)

type wheel struct {
	now      int64 // everything due at or before it has expired
	occupied [wheelLevels]uint64
	slots    [wheelLevels][wheelSlots]Timer // list heads
}

func (w *wheel) init() {
	for l := range w.slots {
		for s := range w.slots[l] {
			h := &w.slots[l][s]
			h.next, h.prev = h, h
		}
	}
}

// Arm sets t to expire d milliseconds after this turn's time, replacing an
// earlier deadline.
func (l *Loop) Arm(t *Timer, d int64) { l.ArmAt(t, l.now+d) }

// ArmAt sets t to expire at a time of the loop's clock.
func (l *Loop) ArmAt(t *Timer, at int64) {
	if t.next != nil {
		l.wheel.remove(t)
	}
	t.at = at
	l.wheel.insert(t)
}

// Disarm takes t out of the wheel.
func (l *Loop) Disarm(t *Timer) {
	if t.next != nil {
		l.wheel.remove(t)
	}
}

func (w *wheel) insert(t *Timer) {
	at := min(max(t.at, w.now+1), w.now+1<<(wheelBits*wheelLevels)-1)
	// The highest bit in which at differs from now names the level.
	level := (bits.Len64(uint64(at^w.now)) - 1) / wheelBits
	level = min(level, wheelLevels-1)
	slot := at >> (wheelBits * level) & wheelMask
	t.level, t.slot = uint8(level), uint8(slot)
	h := &w.slots[level][slot]
	t.prev, t.next = h.prev, h
	h.prev.next, h.prev = t, t
	w.occupied[level] |= 1 << slot
}

func (w *wheel) remove(t *Timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	h := &w.slots[t.level][t.slot]
	if h.next == h {
		w.occupied[t.level] &^= 1 << t.slot
	}
}

// next is when the wheel has work: a deadline, or a slot to move down.
func (w *wheel) next() (int64, bool) {
	for level := range wheelLevels {
		if w.occupied[level] == 0 {
			continue
		}
		shift := wheelBits * level
		cur := w.now >> shift & wheelMask
		// Slots ahead of now on this level, nearest first; the slot of now
		// itself comes last, a full round away.
		ahead := bits.RotateLeft64(w.occupied[level], -int(cur+1))
		dist := int64(bits.TrailingZeros64(ahead)) + 1
		return (w.now>>shift + dist) << shift, true
	}
	return 0, false
}

// expire runs every timer due at or before now.
func (w *wheel) expire(now int64) {
	for {
		at, ok := w.next()
		if !ok || at > now {
			w.now = max(w.now, now)
			return
		}
		w.now = at
		for level := wheelLevels - 1; level >= 0; level-- {
			shift := wheelBits * level
			if at&(1<<shift-1) != 0 {
				continue
			}
			w.drain(level, int(at>>shift&wheelMask))
		}
	}
}

// drain empties one slot whose span begins now: what is due expires, the rest
// moves to a lower level.
func (w *wheel) drain(level, slot int) {
	h := &w.slots[level][slot]
	// Taken off as a whole: a timer armed meanwhile is for a later slot.
	for n := w.length(h); n > 0 && h.next != h; n-- {
		t := h.next
		w.remove(t)
		if t.at <= w.now {
			t.OnExpire.Expire()
		} else {
			w.insert(t)
		}
	}
}

func (w *wheel) length(h *Timer) (n int) {
	for t := h.next; t != h; t = t.next {
		n++
	}
	return n
}
