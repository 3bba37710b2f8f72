package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// maxTurns is how many buffers one direction moves before others have their
// turn.
const maxTurns = 8

// forward moves bytes both ways until neither side goes on.
func (t *txn) forward() step {
	gen := t.gen
	switch t.phase {
	case phaseForward:
		if t.toServer() == left || t.gen != gen {
			return left
		}
	case phaseBody:
		return t.fillBody()
	case phaseForm:
		return t.collect()
	case phaseDiscard:
		return t.discard()
	}
	if t.toClient() == left || t.gen != gen {
		return left
	}
	return waits
}

// toServer moves the request.
func (t *txn) toServer() step {
	s, c := t.s, t.c
	if s.http && !t.reqSent {
		if st := t.sendHead(); st != onward {
			return st
		}
	}
	for range maxTurns {
		if len(t.head) > 0 {
			if st := t.writeHead(); st != onward {
				return st
			}
		}
		if t.ready > 0 {
			n, st := c.Write(t.src.Data[t.src.R : t.src.R+t.ready])
			switch st {
			case wire.Again:
				return waits
			case wire.Error:
				return t.serverWriteFailed()
			}
			t.gave(n)
			t.srvAct = s.sh.Loop.Now()
			t.sentBody(n)
			if t.ready > 0 {
				return waits
			}
		}
		if t.reqPipe != nil {
			if st := t.drainRequest(); st != onward {
				return st
			}
		}
		if t.reqDone {
			if t.tunnel() && s.EOF() {
				c.Shutdown()
			}
			t.releaseRelay()
			return waits
		}
		if st := t.moreRequest(); st != onward {
			return st
		}
	}
	s.sh.Loop.Again(s)
	return waits
}

// dropUnsent forgets what the client sent and the server has not been given.
func (t *txn) dropUnsent() {
	if t.src != nil {
		t.src.R += t.ready
	}
	t.ready = 0
	if t.reqPipe != nil {
		t.s.sh.Loop.Pipes.Put(t.reqPipe)
		t.reqPipe = nil
	}
}

// tunnel reports whether bytes flow without framing.
func (t *txn) tunnel() bool { return t.reqKind == http1.Tunnel }

// writeHead sends what was left of the head.
func (t *txn) writeHead() step {
	n, st := t.c.Write(t.head)
	switch st {
	case wire.Again:
		return waits
	case wire.Error:
		return t.serverWriteFailed()
	}
	t.gave(n)
	t.srvAct = t.s.sh.Loop.Now()
	if t.head = t.head[n:]; len(t.head) > 0 {
		return waits
	}
	return onward
}

// sentBody advances past n body bytes that the server's kernel took.
func (t *txn) sentBody(n int) {
	if n > 0 {
		t.src.R += n
		t.ready -= n
	}
}

// serverWriteFailed handles a server that takes no more. It may have answered
// already: what it said is still to be read, so only if it said nothing the
// exchange fails.
func (t *txn) serverWriteFailed() step {
	t.keepServer = false
	switch {
	case t.tunnel():
		t.reqDone, t.unread, t.head = true, true, nil
		t.dropUnsent()
		return waits
	case t.resHeadDone:
		return waits // responseSent sees to the rest of the request
	}
	t.c.Retry()
	if t.headFromServer() == left {
		return left
	}
	return waits
}

// moreRequest has more of the request body, or of a tunnel, come from the client.
func (t *txn) moreRequest() step {
	if t.requestSplices() {
		return t.spliceRequest()
	}
	return t.fromClient()
}

// fromClient reads it into a buffer.
func (t *txn) fromClient() step {
	s := t.s
	if t.relay == nil {
		if !s.MayRead() && !s.EOF() {
			s.watch()
			return waits
		}
		t.relay = s.sh.Loop.Buffers.Get()
	}
	if t.src == s.in && !s.http && s.in != nil && s.in.Len() == 0 { // what rules looked into is sent
		s.putIn()
	}
	t.src, t.gone = t.relay, t.gone || t.reqKind != http1.NoBody
	t.relay.Reset()
	space := t.relay.Data[:]
	if t.reqKind == http1.LengthBody && t.reqLeft < int64(len(space)) {
		space = space[:t.reqLeft] // what follows is the next request's
	}
	n, st := s.read(space)
	switch st {
	case wire.Again:
		t.releaseRelay()
		return waits
	case wire.EOF, wire.Error:
		return t.clientEnded(st)
	}
	t.relay.W = n
	t.rec.Received += uint64(n)
	t.reqStreams = n == len(space)
	if err := t.take(t.relay); err != nil {
		t.refuseBody(err)
		return left
	}
	return onward
}

// clientEnded handles the client's end within a body, which is a loss, or the end of a tunnel's direction.
func (t *txn) clientEnded(st wire.Status) step {
	if t.tunnel() && st == wire.EOF {
		t.reqDone = true
		return onward
	}
	t.clientAborted()
	return left
}

// releaseRelay gives the relay buffer back while nothing is in it.
func (t *txn) releaseRelay() {
	if t.relay != nil && t.relay.Len() == 0 && t.ready == 0 {
		t.s.sh.Loop.Buffers.Put(t.relay)
		t.relay = nil
		t.src = t.s.in
	}
}

// take checks the new bytes of b against the request's framing; those that
// belong to it become ready.
func (t *txn) take(b *loop.Buffer) error {
	p := b.Data[b.R+t.ready : b.W]
	switch t.reqKind {
	case http1.LengthBody:
		n := min(int64(len(p)), t.reqLeft)
		t.reqLeft -= n
		t.ready += int(n)
		t.reqDone = t.reqLeft == 0
	case http1.ChunkedBody:
		n, err := t.reqCh.Pass(p)
		if err != nil {
			t.badRequest(bad{err.Error(), b.Data[b.R:b.W], t.ready + n})
			return err
		}
		t.ready += n
		t.reqDone = t.reqCh.Done()
	case http1.Tunnel:
		t.ready += len(p)
	}
	return nil
}

// refuseBody ends an exchange whose request body is malformed.
func (t *txn) refuseBody(err error) {
	t.s.sh.Front[t.s.fe.Index].ErrReq++
	t.unread = true
	if t.resBegun {
		t.abort('P', 'D')
		return
	}
	status := 400
	if e, ok := err.(*http1.Error); ok {
		status = e.Status
	}
	t.fail('P', t.phaseLetterOfRequest(), status)
}

// phaseLetterOfRequest tells a body refused at once from one refused while it
// was forwarded.
func (t *txn) phaseLetterOfRequest() byte {
	if t.be == nil {
		return 'R'
	}
	return 'D'
}

// toClient moves the response.
func (t *txn) toClient() step {
	s := t.s
	for turn := 0; turn < maxTurns; turn++ {
		if t.lookUntil > 0 {
			if st := t.lookAtAnswer(); st != onward {
				return st
			}
		}
		if t.resHead != nil {
			if st := t.writeResHead(); st != onward {
				return st
			}
		}
		if t.resReady > 0 {
			n, st := s.write(t.res.Data[t.res.R : t.res.R+t.resReady])
			if st := t.wroteResponse(n, st); st != onward {
				return st
			}
			t.res.R += n
			t.resReady -= n
			if t.resReady > 0 {
				return waits
			}
			if !t.resHeadDone { // an interim response, complete: any answer may follow
				t.resBegun = false
			}
		}
		if t.resPipe != nil {
			if st := t.drainPipe(); st != onward {
				return st
			}
		}
		switch {
		case t.resDone:
			return t.responseSent()
		case len(t.page) > 0:
			t.fillPage()
		case t.phase == phaseReply && t.hit():
			if t.fillCached() != nil {
				t.abort('I', 'D')
				return left
			}
		case t.phase != phaseForward:
			return waits
		case !t.resHeadDone:
			if st := t.headFromServer(); st != onward {
				return st
			}
		case t.widens():
			turn += wideTurns - 1
			if st := t.moveWide(); st != onward {
				return st
			}
		default:
			if st := t.fromServer(); st != onward {
				return st
			}
		}
	}
	s.sh.Loop.Again(s)
	return waits
}

func (t *txn) writeResHead() step {
	n, st := t.s.write(t.resHead.Bytes())
	if st := t.wroteResponse(n, st); st != onward {
		return st
	}
	t.resHead.R += n
	if t.resHead.Len() > 0 {
		return waits
	}
	t.s.sh.Loop.Buffers.Put(t.resHead)
	t.resHead = nil
	return onward
}

// wroteResponse counts what a write gave the client, or ends with it.
func (t *txn) wroteResponse(n int, st wire.Status) step {
	switch st {
	case wire.Again:
		return waits
	case wire.Error:
		t.clientAborted()
		return left
	}
	t.resBegun = true
	t.rec.Sent += uint64(n)
	return onward
}

// responseSent goes on when all of the response is with the client's kernel.
// A tunnel ends when both directions have.
func (t *txn) responseSent() step {
	s := t.s
	if s.Pending() {
		s.watch()
		return waits
	}
	if t.phase == phaseForward && t.unsent() {
		switch {
		case t.tunnel():
			s.Shutdown()
			return waits
		case !t.keep || t.unread:
		case t.keepServer && !t.c.PeerEnded() && !t.c.Broken():
			return waits // an early answer: both go on once the request is complete
		default:
			t.dropServer()
			t.phase = phaseDiscard
			return t.discard()
		}
	}
	t.end()
	return left
}

// discard reads the rest of a request that was answered before it was
// complete by a server that is gone: the client may not look at the answer
// before it has sent all, and its next request begins after it.
func (t *txn) discard() step {
	for range maxTurns {
		t.dropUnsent()
		if t.reqDone {
			t.end()
			return left
		}
		if st := t.fromClient(); st != onward {
			return st
		}
	}
	t.s.sh.Loop.Again(t.s)
	return waits
}

// unsent reports whether the server has not been given all of the request.
func (t *txn) unsent() bool {
	return !t.reqDone || t.ready > 0 || len(t.head) > 0 || t.reqPipe != nil
}
