package stream

import (
	"slices"

	"lbsyslogd/lb/secret"
)

// How connections move to the next generation:
//
//  1. Handover makes every shard look at its sessions. One that stands at a
//     boundary (idle, in the middle of a head, queued, a tunnel) is packed into
//     a Parcel (parcel.go); from then on nobody reads from it here, because two readers of
//     one socket would tear its stream.
//  2. Parcels leave in small batches, one at a time per shard. Idle sessions
//     are packed only when their batch is next, so that a request that comes
//     meanwhile is served at once.
//  3. The receiver's Adopt (adopt.go) makes sessions of them and says which it took; it
//     starts them only when it has said so. One that is killed before has read
//     nothing, and the sender can go on with all of the batch.
//  4. What was taken is closed here without a word to the peer: the other
//     process holds the same socket. What was refused is served on here, and
//     ends politely.
//  5. A session that is busy is looked at again whenever it has moved on.

// Carrier takes a batch to the receiver and tells which parcels it took, in
// their order. An error means that none was, and that there is no receiver any
// more. It is called from several goroutines, one batch at a time each.
type Carrier func([]*Parcel) (taken []bool, err error)

// BatchFDs is how many descriptors one batch holds at most. The kernel takes
// 253 in a message; fewer are on their way for a shorter time.
const BatchFDs = 64

// batchSize is about how many bytes one batch has, encoded, before it is full;
// maxBatch is how many it may have at most, below what one message carries
// (handoff.MaxMessage). A tunnel with two full buffers takes two thirds of it.
const (
	batchSize = 48 << 10
	maxBatch  = 150 << 10
)

// mover is a shard's side of a handover. Owned by the loop.
type mover struct {
	sh    *Shard
	carry Carrier
	batch []*moving // packed
	fds   int       // in batch
	size  int       // of batch
	more  bool      // not all sessions were looked at
	busy  bool      // a batch is on its way
	dead  bool      // the receiver is gone, or the time is up: everything stays

	quiet chan struct{} // closed when nothing is on its way; nil before recall
}

// moving is a parcel with what it was made of.
type moving struct {
	Parcel
	s *session
	c *serverConn

	waited []*flight // of requests that were taken out of a queue; in flight here until the parcel leaves
}

// Handover stops accepting and moves every connection that can be moved to
// the process that carry leads to; the others end politely, as with Drain.
func (e *Engine) Handover(carry Carrier) {
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			sh.mover = &mover{sh: sh, carry: carry}
			sh.Loop.AtTurnEnd(sh.mover.turn)
		})
	}
	e.Drain()
	for _, sh := range e.Shards {
		sh.Loop.Post(sh.mover.begin)
	}
}

// begin looks at all idle server connections and all sessions, in this order:
// when the last client has moved, this process ends.
func (m *mover) begin() {
	m.more = true
	m.turn()
}

// full reports whether the next batch holds all it may.
func (m *mover) full() bool { return m.fds >= BatchFDs || m.size >= batchSize }

// consider packs s if it stands at a boundary. One that gets there must be
// packed at once, room or not: a busy client's next request comes soon, and
// the process would never be rid of it.
func (m *mover) consider(s *session) {
	switch {
	case m.dead || s.fixed || !s.whole():
		return
	case s.movable():
	case s.state == multiplexing:
		s.mux.finishFirst()
		return
	default:
		return
	}
	v := &moving{s: s}
	switch {
	case s.state == multiplexing:
		v.Parcel = s.muxParcel()
	case s.state == reading || s.state == inspecting:
		v.Parcel = s.parcel()
		s.packOwn(&v.Parcel)
	case s.t.phase == phaseQueue:
		s.unqueue()
		v.Parcel = s.parcel()
		s.packOwn(&v.Parcel)
	default:
		v.Parcel = s.tunnelParcel()
	}
	v.waited, m.sh.unqueued = m.sh.unqueued, nil
	v.secure(s)
	if s.state == multiplexing && v.size() > maxBatch {
		v.clear()
		v.land(m.sh)
		s.mux.unpack()
		s.mux.finishFirst() // until frames have left that are unsent
		return
	}
	if s.state == exchanging && v.size() > maxBatch {
		// With variables or captures without measure; under TLS perhaps with
		// full buffers only, and then it is looked at again.
		s.fixed = v.TLS == nil && v.BackTLS == nil
		v.clear()
		return
	}
	s.before, s.state = s.state, movingAway
	m.sh.Loop.Disarm(&s.timer)
	m.add(v)
}

// whole reports whether all connections that would go along with s could go on
// in another process.
func (s *session) whole() bool {
	return s.Movable() && (s.own == nil || s.own.Movable()) && (s.t == nil || s.t.c == nil || s.t.c.Movable())
}

// movable reports whether s stands at a boundary.
func (s *session) movable() bool {
	return s.state == reading || s.state == inspecting || s.state == multiplexing && s.mux.movable() || s.state == exchanging && (s.t.phase == phaseQueue && s.http || s.t.movableTunnel())
}

func (m *mover) add(v *moving) {
	m.batch = append(m.batch, v)
	m.fds += len(v.FDs)
	m.size += v.size()
}

// turn sends the next batch, at the end of a turn of the loop.
func (m *mover) turn() {
	if m.busy || m.dead {
		return
	}
	m.takeIdle()
	if m.more {
		m.look()
	}
	if len(m.batch) == 0 {
		return
	}
	send := m.next()
	parcels := make([]*Parcel, len(send))
	for i, v := range send {
		parcels[i] = &v.Parcel
		v.land(m.sh)
		if v.s != nil {
			v.s.flightsAway()
		}
	}
	m.busy = true
	go func() {
		taken, err := m.carry(parcels)
		secure := false
		for _, p := range parcels {
			secure = secure || len(p.Secrets()) > 0
			p.clear()
		}
		if secure {
			secret.SignalStacks()
		}
		m.sh.Loop.Post(func() { m.answered(send, taken, err) })
	}()
}

// land ends the flights of requests that waited, before another process begins some
// for them or this one does anew.
func (v *moving) land(sh *Shard) {
	for _, f := range v.waited {
		sh.freeFlight(sh.slotOf(f))
	}
	v.waited = nil
}

// look packs sessions that were at a boundary all along, as long as there is
// room. Those that were packed before are gone from the list.
func (m *mover) look() {
	for s := m.sh.sessions.head.next; s != &m.sh.sessions.head; s = s.next {
		if m.full() {
			return
		}
		m.consider(s)
	}
	m.more = false
}

// next takes one message's worth out of the batch.
func (m *mover) next() []*moving {
	n, fds, size := 0, 0, 0
	for n < len(m.batch) && fds < BatchFDs && size < batchSize {
		more := m.batch[n].size()
		if n > 0 && size+more > maxBatch {
			break
		}
		fds += len(m.batch[n].FDs)
		size += more
		n++
	}
	send := slices.Clone(m.batch[:n])
	m.batch = slices.Delete(m.batch, 0, n)
	m.fds, m.size = m.fds-fds, m.size-size
	return send
}

// takeIdle packs idle server connections.
func (m *mover) takeIdle() {
	for i := range m.sh.pools {
		for m.sh.pools[i].head != nil && !m.full() {
			c := m.sh.pools[i].head
			m.sh.pools[i].remove(c)
			if !c.Movable() || !c.current() { // the next process would take it for one to the present address
				c.bye()
				continue
			}
			c.leaving = true
			v := &moving{c: c, Parcel: Parcel{
				Kind: ServerParcel, FDs: []int{c.FD()}, Began: -1,
				Backend: c.be.Proxy.Name, Server: c.srv.Name, Address: c.be.reached(c.srv, c.srv.Addr().String()), Need: m.sh.pools[i].need,
			}}
			v.secureBack(c)
			v.setKind()
			m.add(v)
		}
	}
}

// answered takes the receiver's word for one batch.
func (m *mover) answered(sent []*moving, taken []bool, err error) {
	m.busy = false
	if err != nil {
		if !m.dead {
			m.sh.eng.Report("hand connections over: " + err.Error() + "; they are served here until they end")
		}
		m.dead = true
		sent = append(sent, m.batch...)
		m.batch = nil
		taken = make([]bool, len(sent))
	}
	m.settle(sent, taken)
	if m.dead {
		m.sh.releaseMuxes()
	}
	if l := m.sh.eng.Leaving; slices.Contains(taken, false) && (l.CloseIdle || l.Spread > 0) {
		m.sh.sendAway(l.Spread.Milliseconds()) // those that stay have not been
	}
	if m.quiet != nil {
		close(m.quiet)
	}
	m.turn()
}

// settle lets go of what was taken and goes on with the rest.
func (m *mover) settle(sent []*moving, taken []bool) {
	for i, v := range sent {
		v.clear()
		v.land(m.sh)
		switch {
		case v.c != nil:
			v.c.forget()
		case taken[i]:
			v.s.forget()
		default:
			v.s.stay()
		}
	}
}

// closing reports whether s is to be closed after its response, because this
// process leaves and s cannot go along to the next.
func (s *session) closing() bool {
	sh := s.sh
	return sh.draining && (sh.mover == nil || sh.mover.dead || s.fixed || !s.portable())
}

// portable reports whether s could go on in another process after its exchange:
// the connection to the server goes along only if it is this client's.
func (s *session) portable() bool {
	if !s.Movable() || s.own != nil && !s.own.Movable() {
		return false
	}
	t := s.t
	return t == nil || t.c == nil || t.c.Movable() || !t.tunnel() && !t.c.private && t.be.Reuse != ReuseNever
}

// stay goes on with a session that the receiver did not take.
func (s *session) stay() {
	s.t.flightAway(false)
	s.state, s.fixed = s.before, true
	if s.own != nil {
		s.own.leaving = false
	}
	s.Retry()
	switch s.state {
	case exchanging:
		s.t.c.Retry()
	case multiplexing:
		s.mux.stay()
	}
	s.watch()
	s.run()
}

// forget lets go of a session that lives on in another process: no shutdown,
// no log line.
func (s *session) forget() {
	s.forgetExchange()
	s.track.Forget()
	if s.suspended != nil {
		s.suspended.Forget()
	}
	if s.own != nil {
		s.own.forget()
		s.own = nil
	}
	if s.mux != nil {
		s.mux.forget()
	}
	s.Forget()
	s.close()
}

// forgetExchange lets go of a tunnel that lives on in another process.
func (s *session) forgetExchange() {
	t := s.t
	if t == nil {
		return
	}
	if t.c != nil {
		t.c.forget()
		t.c = nil
	}
	t.be.Release(t.srv)
	t.be.Leave()
	t.track.Forget()
	s.sh.freeTxn(t)
	s.t = nil
}

// flightsAway notes that what is in flight on s is on its way to another process.
func (s *session) flightsAway() {
	s.t.flightAway(true)
	if s.mux != nil {
		for _, st := range s.mux.streams {
			st.s.t.flightAway(true)
		}
	}
}

// forget lets go of a server connection that lives on in another process.
func (c *serverConn) forget() {
	c.Forget()
	c.close()
}
