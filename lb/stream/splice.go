package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// The long body of an answer or of a request does not come into this process where nobody here looks at it: it is moved from its sender's socket into a pipe, and
// from the pipe into its receiver's (splice(2)). 10 MiB cost two thirds of what they do with a buffer in between (docs/performance.md). In a tunnel nobody knows
// what is to come: what one side sends is spliced while it fills buffers. So is a request's body: most clients are far away, and their small pieces are cheaper with a
// buffer, where a short read says that nothing more is there.
//
//   - A pipe is lent for one move. What the receiver does not take at once stays in it, and is the first to go when the receiver takes more (txn.resPipe, txn.reqPipe).
//   - What is read slowly goes through a buffer: its receiver has no room when the sender has something.
//   - Of a request's body no more goes into a pipe than belongs to it: what follows is the next request. Once some of it has, the request cannot be sent again
//     (txn.gone), as when it is longer than a buffer.
//   - An exchange with a body under way ends where it began (docs/reload.md), so nothing of it in a pipe has to be handed over. A tunnel moves to the next
//     process: no more is in its pipes than a buffer takes each, and into those it goes before that (unpiped).

// leastSplice is from which length on of what is to come the two calls and the pipe are worth it.
const leastSplice = 64 << 10

// leastStream is how much one move of a tunnel or a request must bring for the next one to be spliced, too.
const leastStream = 16 << 10

// unseen reports whether nobody here looks at what the server sends next, and much is to come.
func (t *txn) unseen() bool {
	return t.resKind == http1.LengthBody && t.resLeft >= leastSplice && t.said == asIs && t.packer == nil && t.cached == nil && t.answer == nil
}

// splices reports whether what the server sends next may pass through a pipe.
func (t *txn) splices() bool {
	return (t.unseen() || t.resStreams && t.resKind == http1.Tunnel && t.lookUntil == 0) && t.piped() && t.s.MayWrite()
}

// requestSplices reports whether what the client sends next may: rules have seen what they wait for of a request that is on its way to its server.
func (t *txn) requestSplices() bool {
	return t.reqStreams && (t.reqKind == http1.LengthBody && t.reqLeft >= leastSplice || t.tunnel()) && t.piped() && t.c.MayWrite()
}

// piped reports whether pipes may be used between the two sides.
func (t *txn) piped() bool {
	return t.c.Kind() == wire.Plain && t.s.Kind() == wire.Plain && !t.s.sh.eng.Limits.NoSplice && !t.s.sh.Loop.Pipes.Unable()
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
	n, st := t.c.FillPipe(p, sh.pipeMost(t.resKind, t.resLeft))
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
	t.resPipe = p
	t.srvAct = sh.Loop.Now()
	t.took(n)
	if t.s.http {
		sh.Back[t.be.Index].H1.SplicedIn += uint64(n)
	}
	if t.resKind == http1.Tunnel {
		t.resStreams = n >= leastStream
	} else {
		t.tookBody(n)
	}
	return t.drainPipe()
}

// spliceRequest moves as much of the request's body as one pipe takes.
func (t *txn) spliceRequest() step {
	s, sh := t.s, t.s.sh
	if !s.MayRead() && !s.EOF() {
		t.releaseRelay()
		s.watch()
		return waits
	}
	p := sh.Loop.Pipes.Get()
	if p == nil {
		return t.fromClient()
	}
	n, st := s.fillPipe(p, sh.pipeMost(t.reqKind, t.reqLeft))
	if st != wire.OK {
		sh.Loop.Pipes.Put(p)
	}
	switch {
	case st == wire.OK:
	case sh.Loop.Pipes.Unable():
		return t.fromClient()
	case st == wire.Again:
		t.releaseRelay()
		return waits
	default:
		return t.clientEnded(st)
	}
	t.releaseRelay()
	t.reqPipe, t.gone = p, true
	t.rec.Received += uint64(n)
	t.reqStreams = n >= leastStream
	if !t.tunnel() {
		t.reqLeft -= int64(n)
		t.reqDone = t.reqLeft == 0
	}
	return t.drainRequest()
}

// pipeMost is how much a pipe may take of a message of which left is to come.
func (sh *Shard) pipeMost(kind http1.Body, left int64) int {
	if kind == http1.Tunnel {
		return min(sh.Loop.Buffers.Size(), loop.PipeMost)
	}
	return int(min(left, loop.PipeMost))
}

// putRes gives the response's buffer back, in which nothing is.
func (t *txn) putRes() {
	if t.res != nil && t.resReady == 0 {
		t.s.sh.Loop.Buffers.Put(t.res)
		t.res = nil
	}
}

// unpiped puts what a tunnel has in its pipes into its buffers; false if something is left in one.
func (t *txn) unpiped() bool {
	sh := t.s.sh
	if t.resPipe != nil && t.resReady == 0 {
		sh.unpipe(&t.resPipe, &t.res)
		t.resReady = t.res.W
	}
	if t.reqPipe != nil && t.ready == 0 {
		sh.unpipe(&t.reqPipe, &t.relay)
		t.src, t.ready = t.relay, t.relay.W
	}
	return t.resPipe == nil && t.reqPipe == nil
}

// unpipe puts what is in a pipe into a buffer that holds nothing else. What it has no room for stays in the pipe.
func (sh *Shard) unpipe(p **loop.Pipe, b **loop.Buffer) {
	if *b == nil {
		*b = sh.Loop.Buffers.Get()
	}
	(*b).Reset()
	(*b).W = (*p).Read((*b).Data)
	if (*p).Len() == 0 {
		sh.Loop.Pipes.Put(*p)
		*p = nil
	}
}

// drainRequest gives the server what it takes of the pipe.
func (t *txn) drainRequest() step {
	sh := t.s.sh
	n, st := t.c.DrainPipe(t.reqPipe)
	switch st {
	case wire.Again:
		return waits
	case wire.Error:
		return t.serverWriteFailed()
	}
	t.gave(n)
	t.srvAct = sh.Loop.Now()
	if t.s.http {
		sh.Back[t.be.Index].H1.SplicedOut += uint64(n)
	}
	if t.reqPipe.Len() > 0 {
		return waits
	}
	sh.Loop.Pipes.Put(t.reqPipe)
	t.reqPipe = nil
	return onward
}

// drainPipe gives the client what it takes of the pipe.
func (t *txn) drainPipe() step {
	n, st := t.s.drain(t.resPipe)
	if st := t.wroteResponse(n, st); st != onward {
		return st
	}
	if t.resPipe.Len() > 0 {
		return waits
	}
	t.s.sh.Loop.Pipes.Put(t.resPipe)
	t.resPipe = nil
	return onward
}
