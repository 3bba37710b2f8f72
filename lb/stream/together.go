package stream

import (
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// Pieces that come together pass together. The event of a tunnel that flows is put off until the others of its turn have been handled, or enough have been put off; then one system call reads from
// all such tunnels, one sends what was read (loop.Calls), and what became of it is noted. Whatever happens to a tunnel in between happens before its bytes are
// touched, so the event is as good later; and between the reads and the notes nothing else runs.

// fewest events in a turn for which that pays.
const fewest = 2

// piece is what one side of a tunnel has sent.
type piece struct {
	s    *session
	gen  uint32 // of s
	up   bool   // from the client to the server
	done bool   // nothing is left to do
	call int    // its number in loop.Calls; < 0: it has none
	b    *loop.Buffer
	st   wire.Status // of its read
}

// together puts off what one side of s has sent, if others may come in this turn.
func (sh *Shard) together(s *session, up bool) bool {
	if sh.Loop.Batch() < fewest || !sh.Loop.Calls.Cheaper() {
		return false
	}
	sh.pieces = append(sh.pieces, piece{s: s, gen: s.gen, up: up})
	if len(sh.pieces) == loop.CallsMost {
		sh.passPieces()
	}
	return true
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
		sh.pieces[i].send()
	}
	sh.Loop.Calls.Make()
	for i := range sh.pieces {
		sh.pieces[i].note()
	}
	for i := range sh.pieces { // only now, as it may end any session
		if p := &sh.pieces[i]; !p.done && p.s.gen == p.gen {
			p.goOn()
		}
	}
	clear(sh.pieces)
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
	if from, _ := p.ends(); from.MayRead() {
		p.b = s.sh.Loop.Buffers.Get()
		p.call = s.sh.Loop.Calls.Recv(from.FD(), p.b.Data)
	}
}

// send notes what was read of a piece, and has it sent.
func (p *piece) send() {
	if p.b == nil {
		return
	}
	t, calls := p.s.t, &p.s.sh.Loop.Calls
	from, to := p.ends()
	n, errno := calls.Result(p.call)
	n, p.st = from.Received(n, len(p.b.Data), errno)
	took := t.gotPiece
	if p.up {
		took = t.tookPiece
	}
	p.call = -1
	switch {
	case !took(p.b, n, p.st):
		p.b = nil
	case to.MayWrite():
		p.call = calls.Send(to.FD(), p.b.Bytes())
	}
}

// note notes what became of a piece that was read.
func (p *piece) note() {
	if p.b == nil {
		return
	}
	t := p.s.t
	n, st := 0, wire.Again
	if p.call >= 0 {
		_, to := p.ends()
		sent, errno := p.s.sh.Loop.Calls.Result(p.call)
		n, st = to.Sent(sent, p.b.W, errno)
	}
	if p.up {
		p.done = t.gavePiece(p.b, n, st)
	} else {
		p.done = t.passedPiece(p.b, n, st)
	}
	p.b = nil
}

// goOn does for a piece what is done for any other event.
func (p *piece) goOn() {
	switch t := p.s.t; {
	case t == nil: // the other piece of this session has ended the exchange
	case p.up:
		t.clientFails(p.st)
	default:
		t.serverFails(p.st)
	}
	p.s.goOn()
}
