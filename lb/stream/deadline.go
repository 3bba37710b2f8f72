package stream

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/http1"
)

// How long an exchange waits, for which side, and what becomes of it then.

// deadline is when the exchange's present wait is over.
func (t *txn) deadline() int64 {
	s := t.s
	// Whoever is waited for was perhaps held up by the other side until then:
	// the wait begins with the last progress on either.
	last := max(s.act, t.srvAct)
	client := after(last, s.fe.Timeouts.Client)
	switch t.phase {
	case phaseTarpit:
		return t.held.until
	case phaseBody:
		return t.await.until
	case phaseWait:
		return noDeadline // what is waited for has one
	}
	if t.be == nil || t.phase == phaseReply || t.phase == phaseDiscard {
		return client
	}
	to := &t.be.Timeouts
	switch t.phase {
	case phaseWait:
		return noDeadline
	case phaseQueue:
		if to.Queue == 0 {
			return after(t.queuedAt, to.Connect)
		}
		return t.queuedAt + to.Queue
	case phaseRetry:
		return t.againAt
	case phaseConnect:
		return after(t.tryAt, to.Connect)
	}
	if t.answer != nil {
		return t.answer.until
	}
	if t.resKind == http1.Tunnel && t.resHeadDone {
		return t.tunnelDeadline()
	}
	if t.waitsForClient() {
		return client
	}
	return after(last, t.serverTimeout())
}

// waitsForClient reports which side is to move: the client, by taking what is
// there or by sending, or the server.
func (t *txn) waitsForClient() bool {
	switch {
	case t.resReady > 0 || t.resHead != nil || t.resPipe != nil || t.s.Pending():
		return true
	case t.ready > 0 || len(t.head) > 0 || t.reqPipe != nil:
		return false
	}
	return !t.reqDone
}

// tunnelDeadline is when the present wait of a tunnel is over.
func (t *txn) tunnelDeadline() int64 {
	d := t.silenceDeadline()
	if t.lookUntil > 0 {
		return min(d, t.lookUntil)
	}
	return d
}

// silenceDeadline is when a tunnel ends in which nothing moves: timeout tunnel
// replaces the others once both sides are open; a half-closed side has its own.
func (t *txn) silenceDeadline() int64 {
	s, to := t.s, &t.be.Timeouts
	last := max(s.act, t.srvAct)
	switch {
	case s.Shut() && s.fe.Timeouts.ClientFin > 0: // the client is to end, too
		return last + s.fe.Timeouts.ClientFin
	case t.c != nil && t.c.Shut() && to.ServerFin > 0:
		return last + to.ServerFin
	case t.tunnelTimeout() > 0:
		return last + t.tunnelTimeout()
	}
	return min(after(last, s.fe.Timeouts.Client), after(last, t.serverTimeout()))
}

// serverTimeout is timeout server, or what set-timeout asked for.
func (t *txn) serverTimeout() int64 {
	if n := t.rec.ServerTimeout; n > 0 {
		return n
	}
	return t.be.Timeouts.Server
}

// tunnelTimeout is timeout tunnel, or what set-timeout asked for.
func (t *txn) tunnelTimeout() int64 {
	if n := t.rec.TunnelTimeout; n > 0 {
		return n
	}
	return t.be.Timeouts.Tunnel
}

// tunnelSide tells whose time in a tunnel is up: that of the side which is to
// end, or else of the one with the shorter timeout.
func (t *txn) tunnelSide() byte {
	s, to := t.s, &t.be.Timeouts
	switch {
	case s.Shut() && s.fe.Timeouts.ClientFin > 0:
		return 'c'
	case t.c != nil && t.c.Shut() && to.ServerFin > 0:
		return 's'
	case t.tunnelTimeout() == 0 && after(0, t.serverTimeout()) < after(0, s.fe.Timeouts.Client):
		return 's'
	}
	return 'c'
}

// timeout ends the wait whose deadline has passed.
func (t *txn) timeout() {
	switch t.phase {
	case phaseTarpit:
		t.release()
		return
	case phaseBody:
		t.s.sh.Front[t.s.fe.Index].ErrReq++
		t.rec.TR = -1 // as HAProxy's, for which the request is not complete then
		t.fail('c', 'R', 408)
		return
	case phaseQueue:
		if srv := t.be.LineOf(t.queued); srv != nil {
			t.s.sh.Server[srv.Index].ErrConn++
		}
		t.s.sh.Back[t.be.Index].ErrConn++
		t.leaveQueue()
		t.fail('s', 'Q', 503)
		return
	case phaseRetry:
		t.dial()
		return
	case phaseConnect:
		t.connectFailed('s')
		return
	case phaseReply, phaseDiscard:
		t.abort('c', 'D')
		return
	}
	if t.answer != nil {
		t.countServer(func(c *ServerCounters) { c.ErrResp++ })
		t.noResponse()
		t.fail('s', 'R', 504)
		return
	}
	if t.resHeadDone && t.resKind == http1.Tunnel {
		if t.lookUntil > 0 && t.silenceDeadline() > t.s.sh.Loop.Now() {
			return // run asks the rules for the last time
		}
		if t.rec.Term[0] == '-' {
			t.abort(t.tunnelSide(), 'D')
		} else {
			t.end()
		}
		return
	}
	switch waits := t.waitsForClient(); {
	case waits && t.resHeadDone:
		t.abort('c', 'D')
	case waits:
		t.fail('c', 'D', 408)
	case t.resHeadDone:
		t.countServer(func(c *ServerCounters) { c.SrvAborts++ })
		t.abort('s', 'D')
	case t.be.RetryOn.Timeout && t.replay():
	default:
		t.countServer(func(c *ServerCounters) { c.ErrResp++ })
		t.srv.Watch.Failed(backend.ReadTimeout)
		t.fail('s', 'H', 504)
	}
}

// phaseLetter is the second letter of the termination state: what the
// exchange was doing.
func (t *txn) phaseLetter() byte {
	switch {
	case t.phase == phaseQueue:
		return 'Q'
	case t.phase == phaseBody:
		return 'R'
	case t.phase == phaseConnect || t.phase == phaseRetry:
		return 'C'
	case t.resHeadDone && t.resDone && t.reqDone:
		return 'L'
	case t.resHeadDone || t.phase == phaseReply:
		return 'D'
	case !t.reqDone:
		return 'D'
	}
	return 'H'
}
