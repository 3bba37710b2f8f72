package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// A tunnel in which nothing is under way, both sides in the clear, passes a small piece without the steps that everything else needs: one read, one write, and
// the counting. What does not go smoothly is left to session.run, as if that had done the first half.

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

// pieceToServer passes what the client of a tunnel that flows has sent; false if run is to go on.
func (t *txn) pieceToServer() bool {
	s, c := t.s, t.c
	b := s.sh.Loop.Buffers.Get()
	n, st := s.read(b.Data)
	if st != wire.OK {
		s.sh.Loop.Buffers.Put(b)
		if st == wire.Error {
			t.clientAborted()
		}
		return false
	}
	t.gone = true
	t.rec.Received += uint64(n)
	sent, st := c.Write(b.Data[:n])
	if st == wire.OK {
		t.gave(sent)
		t.srvAct = s.sh.Loop.Now()
	}
	if sent == n && n < len(b.Data) {
		s.sh.Loop.Buffers.Put(b)
		return true
	}
	b.R, b.W = sent, n
	t.relay, t.src, t.ready, t.reqStreams = b, b, n-sent, n == len(b.Data)
	return false
}

// pieceToClient passes what the server of a tunnel that flows has sent; false if run is to go on.
func (t *txn) pieceToClient() bool {
	s, c := t.s, t.c
	b := s.sh.Loop.Buffers.Get()
	n, st := c.Read(b.Data)
	if st != wire.OK {
		s.sh.Loop.Buffers.Put(b)
		if st == wire.Error {
			t.serverEnded(st)
		}
		return false
	}
	t.srvAct = s.sh.Loop.Now()
	t.took(n)
	sent, st := s.write(b.Data[:n])
	if st == wire.OK {
		t.resBegun = true
		t.rec.Sent += uint64(sent)
	}
	if sent == n && n < len(b.Data) {
		s.sh.Loop.Buffers.Put(b)
		return true
	}
	b.R, b.W = sent, n
	t.res, t.resReady, t.resStreams = b, n-sent, n == len(b.Data)
	return false
}
