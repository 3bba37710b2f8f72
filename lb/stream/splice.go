package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// The body of a long answer does not come into this process where nobody here looks at it: it is moved from the server's socket into a pipe, and from the
// pipe into the client's (splice(2)). 10 MiB cost two thirds of what they do with a buffer in between (docs/performance.md).
//
//   - A pipe is lent for one move. What the client does not take at once stays in it, and is the first to go when the client takes more (txn.pipe).
//   - What a client reads slowly goes through a buffer: it has no room when the server has something.
//   - An exchange with a body under way ends where it began (docs/reload.md), so nothing in a pipe ever has to be handed over.

// leastSplice is from which length on of what is to come the two calls and the pipe are worth it.
const leastSplice = 64 << 10

// unseen reports whether nobody here looks at what the server sends next, and much is to come.
func (t *txn) unseen() bool {
	return t.resKind == http1.LengthBody && t.resLeft >= leastSplice && t.said == asIs && t.packer == nil && t.cached == nil && t.answer == nil
}

// splices reports whether what the server sends next may pass through a pipe.
func (t *txn) splices() bool {
	return t.unseen() && !t.s.sh.eng.Limits.NoSplice &&
		t.c.Kind() == wire.Plain && t.s.Kind() == wire.Plain && t.s.MayWrite() && !t.s.sh.Loop.Pipes.Unable()
}

// splice moves as much of the body as one pipe takes.
func (t *txn) splice() step {
	if !t.c.MayRead() && !t.c.EOF() {
		return waits
	}
	sh := t.s.sh
	p := sh.Loop.Pipes.Get()
	if p == nil {
		return t.copyFromServer()
	}
	n, st := t.c.FillPipe(p, int(min(t.resLeft, loop.PipeMost)))
	if st != wire.OK {
		sh.Loop.Pipes.Put(p)
	}
	switch {
	case st == wire.OK:
	case sh.Loop.Pipes.Unable():
		return t.copyFromServer()
	case st == wire.Again:
		return waits
	default:
		return t.serverEnded(st)
	}
	t.pipe = p
	t.srvAct = sh.Loop.Now()
	t.took(n)
	sh.Back[t.be.Index].H1.SplicedIn += uint64(n)
	t.tookBody(n)
	return t.drainPipe()
}

// drainPipe gives the client what it takes of the pipe.
func (t *txn) drainPipe() step {
	n, st := t.s.drain(t.pipe)
	if st := t.wroteResponse(n, st); st != onward {
		return st
	}
	if t.pipe.Len() > 0 {
		return waits
	}
	t.s.sh.Loop.Pipes.Put(t.pipe)
	t.pipe = nil
	return onward
}
