package stream

import (
	"syscall"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// A tunnel in which nothing is under way, both sides in the clear, passes a small piece without the steps that everything else needs. Pieces that come together pass together:
// the event of such a tunnel is put off until the others of its turn have been handled, or enough have been put off; then one system call reads from all such tunnels,
// one sends what was read (loop.Calls), and what became of it is noted. What does not go smoothly is left to session.run. Whatever happens to a tunnel in between
// happens before its bytes are touched, so the event is as good later; and between the reads and the notes nothing else runs.

// flowing reports whether a tunnel is in that state: nothing of it is held, looked into, spliced or ended. Its deadline is set and only moves away, which its timer
// finds out when it expires.
func (t *txn) flowing() bool {
	s, c := t.s, t.c
	return t.phase == phaseForward && t.reqKind == http1.Tunnel && t.resKind == http1.Tunnel && t.resHeadDone && !t.reqDone && !t.resDone &&
		t.ready == 0 && t.resReady == 0 && len(t.head) == 0 && s.in == nil && t.relay == nil && t.res == nil && t.resHead == nil &&
		t.reqPipe == nil && t.resPipe == nil && !t.reqStreams && !t.resStreams && t.lookUntil == 0 && t.cached == nil && t.packer == nil &&
		s.Kind() == wire.Plain && !s.PeerEnded() && !s.Broken() && c != nil && c.Kind() == wire.Plain && !c.PeerEnded() && !c.Broken()
}

// bytesAlone are the events that say no more than that there is something to read.
func bytesAlone(ev loop.Events) bool { return ev&^loop.Out == loop.In }

// piece is what one side of a tunnel that flows has sent. Between two system calls that carry many pieces each, the caches lose what lies about in memory: so it has
// all that the second one needs, and the exchange is looked at before the first one and after the second one only.
type piece struct {
	s     *session
	b     *loop.Buffer
	gen   uint32 // of s
	to    int32  // the descriptor that it goes to; < 0: that takes nothing now
	call  int    // its number in loop.Calls; < 0: it has none
	n     int    // bytes received
	errno syscall.Errno
	up    bool        // from the client to the server
	done  bool        // nothing is left to do
	st    wire.Status // of its read
}

// putOff has a piece pass with the others of this turn.
func (sh *Shard) putOff(s *session, up bool) {
	sh.pieces = append(sh.pieces, piece{s: s, gen: s.gen, up: up})
	if len(sh.pieces) == loop.CallsMost {
		sh.passPieces()
	}
}

// passPieces passes what was put off.
func (sh *Shard) passPieces() {
	if len(sh.pieces) == 0 {
		return
	}
	for i := range sh.pieces {
		sh.pieces[i].read()
	}
	sh.Loop.Calls.Make()
	for i := range sh.pieces {
		sh.pieces[i].send(&sh.Loop.Calls)
	}
	sh.Loop.Calls.Make()
	for i := range sh.pieces {
		sh.pieces[i].note(&sh.Loop.Calls)
	}
	for i := range sh.pieces { // only now, as it may end any session
		if p := &sh.pieces[i]; !p.done && p.s.gen == p.gen {
			p.goOn()
		}
	}
	sh.pieces = sh.pieces[:0]
}

// ends are where a piece comes from and goes to.
func (p *piece) ends() (from, to *wire.Conn) {
	if p.up {
		return &p.s.Conn, &p.s.t.c.Conn
	}
	return &p.s.t.c.Conn, &p.s.Conn
}

// read has a piece read, if the tunnel still flows.
func (p *piece) read() {
	s := p.s
	if s.gen != p.gen || s.state != exchanging || !s.t.flows || s.sh.mover != nil {
		return
	}
	from, to := p.ends()
	if !from.MayRead() {
		return
	}
	p.b = s.sh.Loop.Buffers.Get()
	p.call = s.sh.Loop.Calls.Recv(from.FD(), p.b.Data)
	if p.to = -1; to.MayWrite() {
		p.to = int32(to.FD())
	}
}

// send has what was read of a piece sent.
func (p *piece) send(calls *loop.Calls) {
	if p.b == nil {
		return
	}
	p.n, p.errno = calls.Result(p.call)
	if p.call = -1; p.n > 0 && p.to >= 0 {
		p.call = calls.Send(int(p.to), p.b.Data[:p.n])
	}
}

// note notes what was read of a piece and what was sent of it, and leaves the rest to run.
func (p *piece) note(calls *loop.Calls) {
	b, s, t := p.b, p.s, p.s.t
	if b == nil {
		return
	}
	p.b = nil
	from, to := p.ends()
	if b.W, p.st = from.Received(p.n, len(b.Data), p.errno); p.up {
		s.hasRead(p.st)
	}
	if p.st != wire.OK {
		s.sh.Loop.Buffers.Put(b)
		return
	}
	n, st := 0, wire.Again
	if p.call >= 0 {
		sent, errno := calls.Result(p.call)
		n, st = to.Sent(sent, b.W, errno)
	}
	if p.up {
		s.took(b.W)
		t.gone = true
		t.rec.Received += uint64(b.W)
	} else {
		t.srvAct = s.sh.Loop.Now()
		t.took(b.W)
		s.wrote(n, b.W, st)
	}
	switch {
	case st != wire.OK:
	case p.up:
		t.srvAct = s.sh.Loop.Now()
		t.gave(n)
	default:
		s.gave(n)
		t.resBegun = true
		t.rec.Sent += uint64(n)
	}
	full := b.W == len(b.Data)
	if p.done = n == b.W && !full; p.done {
		s.sh.Loop.Buffers.Put(b)
		return
	}
	b.R = n
	if p.up {
		t.relay, t.src, t.ready, t.reqStreams = b, b, b.Len(), full
	} else {
		t.res, t.resReady, t.resStreams = b, b.Len(), full
	}
}

// goOn does for a piece what is done for any other event.
func (p *piece) goOn() {
	switch t := p.s.t; {
	case t == nil || p.st != wire.Error: // the other piece of this session may have ended the exchange
	case p.up:
		t.clientAborted()
	default:
		t.serverEnded(p.st)
	}
	p.s.goOn()
}
