package stream

import (
	"runtime/debug"
	"unsafe"

	"lbsyslogd/lb/loop"
)

// What waits is held in memory of its own size, and counted: one budget for the
// process. It bounds what clients can have us hold for requests that go nowhere
// (every server is full, or one does not read): HTTP/2 bodies get windows beyond
// the smallest only out of it.

// DefaultBudget is Engine.Budget when that is 0, in bytes.
const DefaultBudget = 64 << 20

// Held is how many bytes wait, or may come because a client was promised room
// for them.
func (e *Engine) Held() int64 { return e.held.Load() }

// hold counts n bytes more, or fewer.
func (e *Engine) hold(n int) {
	if n != 0 {
		e.held.Add(int64(n))
	}
}

// room is how much of n bytes the budget has, when part of it, in quarters, may
// be used up for the purpose; they are counted. Beyond it there is nothing.
func (e *Engine) room(n int, quarters int64) int {
	if n <= 0 {
		return 0
	}
	if e.held.Add(int64(n)) > e.budget()*quarters/4 {
		e.held.Add(int64(-n))
		return 0
	}
	return n
}

func (e *Engine) budget() int64 {
	if e.Budget > 0 {
		return e.Budget
	}
	return DefaultBudget
}

// parkQueued takes the request that waits for a place on a server out of the
// input buffer: the client's head, what came of its body, and the head for the
// server lie in memory of their size, and the buffer is free for others.
func (t *txn) parkQueued() {
	s := t.s
	in := s.in
	if in == nil || t.parked != nil {
		return
	}
	used := in.W
	if off, ok := within(in, t.asked); ok {
		used = off + len(t.asked)
	}
	t.parked = append([]byte(nil), in.Data[:used]...)
	t.parkedR, t.parkedW = in.R, in.W
	t.moveViews(in.Data[:used], t.parked)
	t.holdParked(1)
	if st := s.stream; st != nil && len(st.in.Head) == 0 && cap(st.head) > keptHead {
		st.head = nil // read, and held twice
	}
	s.putIn()
	t.src = nil // it was the buffer: what was read further could not be sent again
}

// unparkQueued puts it back.
func (t *txn) unparkQueued() {
	if t.parked == nil {
		return
	}
	t.holdParked(-1)
	s := t.s
	s.in = s.sh.Loop.Buffers.Get()
	copy(s.in.Data[:], t.parked)
	s.in.R, s.in.W = t.parkedR, t.parkedW
	t.moveViews(t.parked, s.in.Data[:len(t.parked)])
	t.src = s.in
	t.parked = nil
}

// holdParked counts what a request in a queue holds, or with -1 what it held: what
// was parked, and the head for the server where that lies elsewhere.
func (t *txn) holdParked(sign int) {
	n := len(t.parked)
	if _, ok := offset(t.parked, t.asked); !ok {
		n += len(t.asked)
	}
	n *= sign
	t.s.sh.eng.hold(n)
	if st := t.s.stream; st != nil {
		st.m.parked += n
	}
}

// crowdedHeads is how many bytes of requests in queues a connection may hold when
// the budget is used up: a hundred of the usual size, or a few large ones.
const crowdedHeads = 128 << 10

// crowded reports whether the connection shall have no more requests: each would
// wait in a queue, in memory that nobody has left. The client asks again.
func (m *mux) crowded() bool {
	e := m.s.sh.eng
	return m.parked > crowdedHeads && e.Held() > e.budget()
}

// moveViews has the exchange's views of from look at the same bytes of to.
func (t *txn) moveViews(from, to []byte) {
	for _, v := range [...]*[]byte{&t.asked, &t.askedURI, &t.rec.Method, &t.rec.URI} {
		if off, ok := offset(from, *v); ok {
			*v = to[off : off+len(*v)]
		}
	}
}

// within is where in a buffer a view of it begins; false when it is of
// something else.
func within(b *loop.Buffer, v []byte) (off int, ok bool) { return offset(b.Data[:], v) }

func offset(of, v []byte) (off int, ok bool) {
	if len(v) == 0 || len(of) == 0 {
		return 0, false
	}
	at := uintptr(unsafe.Pointer(&v[0])) - uintptr(unsafe.Pointer(&of[0])) // wraps when v lies before
	return int(at), at < uintptr(len(of))
}

// muchHeld is from how many bytes on memory is given back to the system at once
// when most of it has become free: Go's own pace would take minutes.
const muchHeld = 16 << 20

// giveBackMemory returns memory to the system when much was held lately and is not
// now.
func (e *Engine) giveBackMemory() {
	now, peak := e.held.Load(), e.heldPeak.Load()
	switch {
	case now >= peak/4:
		e.heldPeak.Store(max(now, peak))
	case peak >= muchHeld:
		e.heldPeak.Store(now)
		go debug.FreeOSMemory() // ends by itself
	default:
		e.heldPeak.Store(now)
	}
}
