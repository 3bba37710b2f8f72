package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// The body of a long answer does not come into this process where nobody here looks at it: it is moved from the server's socket into a pipe, and from the
// pipe into the client's (splice(2)). 10 MiB cost two thirds of what they do with a buffer in between (docs/performance.md). In a tunnel nobody knows what
// is to come: what the server sends is spliced while it fills buffers.
//
//   - A pipe is lent for one move. What the client does not take at once stays in it, and is the first to go when the client takes more (txn.pipe).
//   - What a client reads slowly goes through a buffer: it has no room when the server has something.
//   - An exchange with a body under way ends where it began (docs/reload.md), so nothing of it in a pipe has to be handed over. A tunnel moves to the next
//     process: no more is in its pipe than a buffer takes, and into one it goes before that (unpiped).

// leastSplice is from which length on of what is to come the two calls and the pipe are worth it.
const leastSplice = 64 << 10

// leastStream is how much one move of a tunnel must bring for the next one to be spliced, too.
const leastStream = 16 << 10

// unseen reports whether nobody here looks at what the server sends next, and much is to come.
func (t *txn) unseen() bool {
	return t.resKind == http1.LengthBody && t.resLeft >= leastSplice && t.said == asIs && t.packer == nil && t.cached == nil && t.answer == nil
}

// splices reports whether what the server sends next may pass through a pipe.
func (t *txn) splices() bool {
	return (t.unseen() || t.streams && t.resKind == http1.Tunnel && t.lookUntil == 0) && !t.s.sh.eng.Limits.NoSplice &&
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
	n, st := t.c.FillPipe(p, t.pipeMost())
	if st != wire.OK {
		sh.Loop.Pipes.Put(p)
	}
	switch {
	case st == wire.OK:
	case sh.Loop.Pipes.Unable():
		return t.copyFromServer()
	case st == wire.Again:
		t.putRes()
		return waits
	default:
		return t.serverEnded(st)
	}
	t.pipe = p
	t.srvAct = sh.Loop.Now()
	t.took(n)
	if t.s.http {
		sh.Back[t.be.Index].H1.SplicedIn += uint64(n)
	}
	if t.resKind == http1.Tunnel {
		t.streams = n >= leastStream
	} else {
		t.tookBody(n)
	}
	return t.drainPipe()
}

// pipeMost is how much of what is to come a pipe may take.
func (t *txn) pipeMost() int {
	if t.resKind == http1.Tunnel {
		return min(t.s.sh.Loop.Buffers.Size(), loop.PipeMost)
	}
	return int(min(t.resLeft, loop.PipeMost))
}

// putRes gives the response's buffer back, in which nothing is.
func (t *txn) putRes() {
	if t.res != nil && t.resReady == 0 {
		t.s.sh.Loop.Buffers.Put(t.res)
		t.res = nil
	}
}

// unpiped puts what a tunnel has in its pipe into its buffer; false if something is left in the pipe.
func (t *txn) unpiped() bool {
	if t.pipe == nil {
		return true
	}
	if t.resReady > 0 {
		return false
	}
	if t.res == nil {
		t.res = t.s.sh.Loop.Buffers.Get()
	}
	t.res.Reset()
	t.res.W = t.pipe.Read(t.res.Data)
	t.resReady = t.res.W
	if t.pipe.Len() > 0 {
		return false
	}
	t.s.sh.Loop.Pipes.Put(t.pipe)
	t.pipe = nil
	return true
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
