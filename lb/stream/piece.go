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
	b := t.s.sh.Loop.Buffers.Get()
	n, st := t.s.Read(b.Data)
	if !t.tookPiece(b, n, st) {
		t.clientFails(st)
		return false
	}
	sent, st := t.c.Write(b.Bytes())
	return t.gavePiece(b, sent, st)
}

// tookPiece notes what a read from the client into b gave, if that was anything.
func (t *txn) tookPiece(b *loop.Buffer, n int, st wire.Status) bool {
	s := t.s
	s.hasRead(st)
	if st != wire.OK {
		s.sh.Loop.Buffers.Put(b)
		return false
	}
	s.took(n)
	t.gone = true
	t.rec.Received += uint64(n)
	b.W = n
	return true
}

func (t *txn) clientFails(st wire.Status) {
	if st == wire.Error {
		t.clientAborted()
	}
}

// gavePiece notes what the server was given of a piece; false if run is to go on.
func (t *txn) gavePiece(b *loop.Buffer, sent int, st wire.Status) bool {
	if st == wire.OK {
		t.gave(sent)
		t.srvAct = t.s.sh.Loop.Now()
	}
	if sent == b.W && sent < len(b.Data) {
		t.s.sh.Loop.Buffers.Put(b)
		return true
	}
	b.R = sent
	t.relay, t.src, t.ready, t.reqStreams = b, b, b.W-sent, b.W == len(b.Data)
	return false
}

// pieceToClient passes what the server of a tunnel that flows has sent; false if run is to go on.
func (t *txn) pieceToClient() bool {
	b := t.s.sh.Loop.Buffers.Get()
	n, st := t.c.Read(b.Data)
	if !t.gotPiece(b, n, st) {
		t.serverFails(st)
		return false
	}
	sent, st := t.s.Write(b.Bytes())
	return t.passedPiece(b, sent, st)
}

// gotPiece notes what a read from the server into b gave, if that was anything.
func (t *txn) gotPiece(b *loop.Buffer, n int, st wire.Status) bool {
	if st != wire.OK {
		t.s.sh.Loop.Buffers.Put(b)
		return false
	}
	t.srvAct = t.s.sh.Loop.Now()
	t.took(n)
	b.W = n
	return true
}

func (t *txn) serverFails(st wire.Status) {
	if st == wire.Error {
		t.serverEnded(st)
	}
}

// passedPiece notes what the client was given of a piece; false if run is to go on.
func (t *txn) passedPiece(b *loop.Buffer, sent int, st wire.Status) bool {
	t.s.wrote(sent, b.W, st)
	if st == wire.OK {
		t.s.gave(sent)
		t.resBegun = true
		t.rec.Sent += uint64(sent)
	}
	if sent == b.W && sent < len(b.Data) {
		t.s.sh.Loop.Buffers.Put(b)
		return true
	}
	b.R = sent
	t.res, t.resReady, t.resStreams = b, b.W-sent, b.W == len(b.Data)
	return false
}
