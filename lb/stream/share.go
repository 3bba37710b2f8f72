package stream

import (
	"net/netip"
	"sync/atomic"

	"lbsyslogd/lb/loop"
)

// How a share of the new connections goes to another process, which is on trial
// (a canary). This one accepts all of them and passes some on before a byte has been
// read, so that the share is exact, and what the other one cannot take is served
// here:
//
//  1. accept counts, and keeps every n-th connection for the other one
//  2. at the end of the turn those are sent, one batch at a time per shard
//  3. what was taken is closed here without a word to the client; the rest is
//     served as if it had just come

// shareUnit is what a share is counted in: a hundredth of a percent.
const shareUnit = 10_000

// share is how many of the new connections go to another process.
type share struct {
	carry Carrier
	of    uint64 // of shareUnit connections
	seen  atomic.Uint64
}

// takes decides over one connection. Out of shareUnit in a row it takes s.of,
// evenly spread.
func (s *share) takes() bool {
	n := s.seen.Add(1)
	return n*s.of/shareUnit != (n-1)*s.of/shareUnit
}

// Share sends of in shareUnit of the new connections to the process at the other
// end of carry, until it is gone; 0 ends this. What is on its way is not affected.
func (e *Engine) Share(of int, carry Carrier) {
	if of <= 0 {
		e.share.Store(nil)
		return
	}
	e.share.Store(&share{carry: carry, of: uint64(min(of, shareUnit))})
}

// sharer is a shard's side of it. Owned by the loop.
type sharer struct {
	fresh []freshConn // not sent yet
	busy  bool        // a batch is on its way
}

// freshConn is one connection of which nothing has been read.
type freshConn struct {
	ln   *Listener
	fd   int
	peer netip.AddrPort
	to   *share
}

// keepFresh takes the connection that was just accepted, if it belongs to the
// other process. It keeps its place among those that are open.
func (sh *Shard) keepFresh(ln *Listener, fd int) bool {
	to := sh.eng.share.Load()
	if to == nil || !to.takes() {
		return false
	}
	sh.sharer.fresh = append(sh.sharer.fresh, freshConn{ln, fd, sh.peerOf(ln), to})
	return true
}

// sendFresh sends the next batch, at the end of a turn.
func (sh *Shard) sendFresh() {
	if len(sh.sharer.fresh) == 0 || sh.sharer.busy {
		return
	}
	n := min(len(sh.sharer.fresh), BatchFDs)
	batch := append([]freshConn(nil), sh.sharer.fresh[:n]...)
	sh.sharer.fresh = append(sh.sharer.fresh[:0], sh.sharer.fresh[n:]...)
	parcels := make([]*Parcel, n)
	for i, a := range batch {
		parcels[i] = &Parcel{
			Kind: FreshParcel, FDs: []int{a.fd}, Frontend: a.ln.Frontend.Proxy.Name, Listener: a.ln.Name, Peer: a.peer, Accepted: sh.Loop.Time(),
		}
	}
	sh.sharer.busy = true
	go func() {
		taken, err := batch[0].to.carry(parcels)
		if err != nil { // there is nobody to share with
			sh.eng.share.CompareAndSwap(batch[0].to, nil)
			taken = make([]bool, len(batch))
		}
		sh.Loop.Post(func() { sh.settleFresh(batch, taken) })
	}()
}

// settleFresh lets go of what was taken and serves the rest.
func (sh *Shard) settleFresh(batch []freshConn, taken []bool) {
	sh.sharer.busy = false
	for i, a := range batch {
		if !taken[i] {
			sh.greet(a.ln, a.fd, a.peer)
			continue
		}
		loop.CloseRaw(a.fd)
		a.ln.count(&sh.eng.TLSConns, -1)
		sh.eng.leave(a.ln.Frontend)
	}
	sh.sendFresh()
}

// adoptFresh takes a connection of which nothing has been read.
func (sh *Shard) adoptFresh(p *Parcel) (start func()) {
	ln := sh.eng.listenerAt(p)
	if ln == nil {
		return nil
	}
	sh.eng.admit(ln.Frontend)
	ln.count(&sh.eng.TLSConns, 1)
	return func() { sh.greet(ln, p.FDs[0], p.Peer) }
}

// listenerAt finds the bind line with the address that the client came to, in
// whatever frontend it is now.
func (e *Engine) listenerAt(p *Parcel) (found *Listener) {
	for _, fe := range e.Frontends {
		for _, ln := range fe.Listeners {
			if ln.Name == p.Listener && (found == nil || fe.Proxy.Name == p.Frontend) {
				found = ln
			}
		}
	}
	return found
}
