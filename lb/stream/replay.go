package stream

import "slices"

// RetryOn says after which failures a request is sent again: retry-on.
type RetryOn struct {
	NoConnFailure bool // not even after a failure to connect
	Empty         bool // the server left before its response's head was complete
	Junk          bool // what it said is no response
	Timeout       bool // it said nothing for timeout server
	Statuses      []int
}

// status reports whether a response of the status is worth another attempt.
func (r *RetryOn) status(code int) bool {
	return len(r.Statuses) > 0 && slices.Contains(r.Statuses, code)
}

// replay sends a request that a server was given once more, to the same server
// or, as option redispatch says, to another one; false when it cannot be: some
// of it is not here any more, the client was told something, or there were
// attempts enough.
func (t *txn) replay() bool {
	if !t.s.http || t.rec.Once || t.tunnel() || t.resBegun || t.resReady > 0 || t.gone || !t.reqDone || t.retriesLeft() <= 0 {
		return false
	}
	sh := t.s.sh
	if t.res != nil {
		sh.Loop.Buffers.Put(t.res)
		t.res = nil
	}
	if t.c != nil {
		t.c.close()
		t.c = nil
	}
	t.rec.Retries++
	t.rec.Tc, t.rec.Tr = -1, -1
	t.rewind()
	t.flightPhase('C')
	if t.mayRedispatch() {
		t.toAnother()
	} else {
		t.retried()
		t.dial()
	}
	return true
}
