package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// In mode tcp, tcp-request content rules may look into what the client sends
// first: they are asked whenever more has come, until they have decided or
// tcp-request inspect-delay is over. Then a server is chosen, which gets those
// bytes. Nothing but the bytes and the time is kept meanwhile, so that the
// session can wait in the next process as well.

// inspect reads what has come and tries to begin the tunnel.
func (s *session) inspect() step {
	if !s.sh.eng.looks {
		return s.startTunnel()
	}
	if s.in == nil && s.scanned > 0 {
		s.unpark()
	}
	for !s.EOF() && (s.in == nil || len(s.in.Bytes()) < len(s.in.Data)) {
		if s.in == nil {
			if !s.MayRead() {
				break
			}
			s.unpark()
		}
		n, st := s.fill()
		if st == wire.Error {
			s.leaveInspection('C')
			return onward
		}
		if n == 0 {
			break
		}
		s.act = s.sh.Loop.Now()
	}
	if next := s.startTunnel(); next != waits {
		return next
	}
	s.watch()
	if s.in != nil && s.in.Len() > 0 {
		s.park()
		s.scanned = int32(len(s.sh.halfHeads[s]))
	} else {
		s.putIn()
	}
	return waits
}

// undecided takes the exchange back whose rules want to see more bytes, for ms
// from the beginning.
func (t *txn) undecided(ms int64) step {
	s, sh := t.s, t.s.sh
	if t.entered {
		t.be.Leave()
		sh.Back[t.be.Index].SessTotal--
	}
	t.takeBack()
	s.lookUntil, s.state = s.since+ms, inspecting
	return waits
}

// look prepares a context for rules that look into content and may wait ms.
func (t *txn) look(x *sample.Ctx, ms int64) {
	s := t.s
	x.Buf = nil
	if s.in != nil {
		x.Buf = s.in.Bytes()
	}
	x.Partial = ms > 0 && !s.EOF() && len(x.Buf) < s.sh.Loop.Buffers.Size() && s.sh.Loop.Now() < s.since+ms
	x.Req, x.HeadPartial = nil, x.Partial
	if len(x.Buf) > 0 {
		_, err := s.sh.req.ParseRequest(x.Buf)
		if err == nil {
			x.Req = &s.sh.req
		}
		x.HeadPartial = x.Partial && err == http1.ErrIncomplete
	}
}

// leaveInspection logs a client that left, or was too slow, before a server was
// chosen.
func (s *session) leaveInspection(who byte) {
	t := s.sh.newTxn(s)
	r := &t.rec
	r.Frontend, r.Backend, r.Server = s.fe.Name, s.fe.Name, NoServer
	s.t, s.state = t, exchanging
	t.reqKind, t.resKind, t.resHeadDone = http1.Tunnel, http1.Tunnel, true
	t.abort(who, 'R')
}
