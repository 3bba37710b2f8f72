package stream

import "lbsyslogd/lb/wire"

// The body of a long answer to a client that speaks TLS is read, sealed and sent in pieces of wire.WideMost: a quarter of the calls, and of the times that
// client and server are woken and acknowledgements are sent, at which a server's kernel sends more (docs/performance.md).
//
//   - What is read is sealed at once, so one buffer does for all connections of a loop.
//   - What is sealed and not taken is all that waits, in a buffer of loop.Wide. Those are few: whoever comes next, and a client that has no room when the server
//     has something, gets ordinary ones.

// wideTurns is how many turns a wide piece counts as.
const wideTurns = 4

// widens reports whether what the server sends next may pass in a wide piece.
func (t *txn) widens() bool {
	return t.unseen() && t.s.Kind() == wire.Secure && t.s.MayWrite() && !t.s.Pending() && !t.s.sh.Loop.Wide.Short()
}

// moveWide moves a wide piece of the body.
func (t *txn) moveWide() step {
	sh := t.s.sh
	if !t.c.MayRead() && !t.c.EOF() {
		return waits
	}
	if t.res != nil { // the head's
		sh.Loop.Buffers.Put(t.res)
		t.res = nil
	}
	if sh.wideIn == nil {
		sh.wideIn = make([]byte, wire.WideMost)
	}
	n, st := t.c.Read(sh.wideIn[:min(t.resLeft, wire.WideMost)])
	switch st {
	case wire.Again:
		return waits
	case wire.EOF, wire.Error:
		return t.serverEnded(st)
	}
	t.srvAct = sh.Loop.Now()
	t.took(n)
	t.tookBody(n)
	sent, st := t.s.writeWide(sh.wideIn[:n])
	if st := t.wroteResponse(sent, st); st != onward {
		return st
	}
	if rest := sh.wideIn[sent:n]; len(rest) > 0 { // a few bytes, whose room a key update took
		t.res = sh.Loop.Buffers.Get()
		t.res.W = copy(t.res.Data, rest)
		t.resReady = t.res.W
		return waits
	}
	return onward
}
