package stream

import (
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
	"lbsyslogd/syslogd/message"
)

// abort ends the exchange without a proper end of its response.
func (t *txn) abort(who, where byte) {
	if t.rec.Term[0] == '-' {
		t.rec.Term[0], t.rec.Term[1] = who, where
	}
	t.keep, t.keepServer = false, false
	t.leaveQueue()
	t.end()
}

// unserved reports whether a connection ends because no server took it, by its
// termination state: not a single attempt of several, and no client that left.
func (t *txn) unserved() bool {
	who, where := t.rec.Term[0], t.rec.Term[1]
	return (where == 'C' || where == 'Q') && (who == 'S' || who == 's' || who == 'R' || who == 'I')
}

// countAbort counts a client that leaves before its exchange is over.
func (t *txn) countAbort() {
	sh := t.s.sh
	sh.Front[t.s.fe.Index].CliAborts++
	if t.be != nil {
		sh.Back[t.be.Index].CliAborts++
	}
	if t.srv != nil {
		sh.Server[t.srv.Index].CliAborts++
	}
}

// clientAborted ends the exchange because the client is gone.
func (t *txn) clientAborted() {
	t.countAbort()
	if s := t.s; t.c != nil && t.c.stream == nil && s.stream == nil && s.Broken() && (t.tunnel() || t.unsent()) {
		loop.ResetOnClose(t.c.FD()) // its reset, which an end would hide from the server
	}
	// A stream's reset is how its client leaves, and a unix socket knows no other end.
	reset := t.s.Broken() && t.s.stream == nil && !t.s.ln.Unix
	if t.tunnel() && t.resHeadDone && t.rec.Term[0] == '-' && t.s.http && (t.reqDone || !reset) {
		t.abort('-', '-') // a tunnel's client may end it as it likes, but for a reset
		return
	}
	where := t.phaseLetter()
	if t.phase == phaseConnect && reset && !t.s.http {
		where = 'D'
	}
	if where == 'H' && reset && t.be != nil && t.be.AbortOnClose { // as HAProxy, which looks for it among the data then
		where = 'D'
	}
	t.abort('C', where)
}

// clientEndedEarly ends an exchange whose client has ended its side, for option abortonclose.
func (t *txn) clientEndedEarly() {
	if t.resHeadDone {
		t.clientAborted()
		return
	}
	t.countAbort()
	t.rec.Term[0], t.rec.Term[1] = 'C', 'H'
	t.replyError(400) // it may still read
}

// end finishes the exchange: the log line, the counters, the connections.
func (t *txn) end() {
	s, sh := t.s, t.s.sh
	t.times(sh.Loop.Now())
	t.dropAnswer()
	t.releaseServer()
	t.countBytes()
	sh.Front[s.fe.Index].times(&t.rec)
	if t.entered {
		t.rec.BeConn = t.be.Leave()
		sh.Back[t.be.Index].BytesIn += t.rec.Received
		sh.Back[t.be.Index].BytesOut += t.rec.Sent
		sh.Back[t.be.Index].times(&t.rec)
		if s.http {
			sh.Back[t.be.Index].ReqTotal++
		}
	}
	if s.http {
		sh.countStatus(t) // -1, for those that got no answer, is another status
	}
	if !s.http && t.unserved() {
		sh.Front[s.fe.Index].Unserved++
	}
	sh.log(t)

	// What followed this request on the connection is the next one's; of its
	// own body nothing may stay that could be taken for a request.
	if t.reqDone && t.ready > 0 {
		t.src.R += t.ready
	}
	if t.relay != nil && t.relay.Len() > 0 {
		s.putIn()
		s.in, t.relay = t.relay, nil
	} else if s.in != nil && s.in.Len() == 0 {
		s.putIn()
	}
	if s.stream != nil {
		s.stream.complete = t.whole()
		if t.said != nothing { // a head that stands alone has no trailers either [RFC 9110 9.3.2, 15.3.5, 15.4.5]
			s.stream.after = t.trailers
		}
	}
	unread := t.unread || !t.reqDone
	keep := t.keep && !unread && !s.Broken()
	if t.pipelines || s.in != nil || s.MayRead() {
		unread = true // more may be on its way: a close would reset the connection
	}
	s.t = nil
	sh.freeTxn(t)
	if !keep {
		s.closeGently(unread)
		return
	}
	s.state = reading
	s.since = sh.Loop.Now()
	s.began, s.scanned, s.hsTime, s.waiting = -1, 0, 0, 0
	if s.in != nil { // pipelined: others have their turn first
		sh.Loop.Again(s)
	}
}

// times completes the timers of the record (HAProxy configuration manual,
// section 8.4).
func (t *txn) times(now int64) {
	r, s := &t.rec, t.s
	began := s.began
	if began < 0 {
		began = s.since
	}
	if r.TR >= 0 {
		r.Tq = r.Th + r.Ti + r.TR
	}
	if t.headAt > 0 {
		r.Td = int32(now - t.headAt)
	}
	r.Ta = int32(now - began)
	r.Tt = int32(now - s.since)
}

// releaseServer gives up the server side: its connection is kept if it may
// be, its place is given back.
func (t *txn) releaseServer() {
	if c := t.c; c != nil {
		if c.stream != nil {
			t.leaveLink(c)
		} else if t.keepServer && !t.early && t.resDone && !t.unsent() && !c.Broken() && !c.PeerEnded() && !c.saidMore() {
			t.keepIdle(c)
		} else if t.tunnel() { // whose ends were passed on, or there was none
			c.close()
		} else {
			c.bye()
		}
		t.c = nil
	}
	if t.srv != nil {
		sh := t.s.sh
		n := &sh.Server[t.srv.Index]
		n.times(&t.rec)
		t.rec.SrvConn = t.srv.Load() - 1
		t.be.Release(t.srv)
		t.srv = nil
	}
}

// dropServer gives up the server side in the middle of an exchange.
func (t *txn) dropServer() {
	t.keepServer = false
	t.releaseServer()
}

// countServer counts one event on the exchange's server and backend.
func (t *txn) countServer(count func(*ServerCounters)) {
	if t.srv != nil {
		count(&t.s.sh.Server[t.srv.Index])
	}
	if t.be != nil {
		count(&t.s.sh.Back[t.be.Index])
	}
}

// log writes the exchange's line.
func (sh *Shard) log(t *txn) {
	s := t.s
	fe, r := s.fe, &t.rec
	if fe.Logs < 0 || t.unlogged || r.BadReq && fe.Access.Connects {
		return
	}
	sev, wanted := fe.Access.Severity(r)
	if !wanted {
		return
	}
	r.Asap = fe.Access.Asap
	r.ActConn = sh.eng.cur.Load()
	r.FeConn = fe.cur.Load()
	x := &sh.ctx
	x.Req, x.Res, x.Rec, x.ID = nil, nil, r, fe.id()
	if r.BadReq { // it never was a request
		x.ID = nil
	}
	x.Txn, x.Session, x.Now = &t.track, s.tracks(), sh.stickNow()
	s.introduce(x)
	if t.be != nil {
		x.Back = &t.be.side
	}
	if s.http && !r.BadReq {
		t.completeCookieLetters()
	}
	r.LogCount = fe.countLine()
	r.Vars.EndRequest()
	sh.logBuf = fe.Access.Append(sh.logBuf[:0], x)
	line := len(sh.logBuf)
	if fe.Access.Data != nil {
		sh.logBuf = fe.Access.Data.Append(sh.logBuf, x)
	}
	sh.senders[fe.Logs].LogData(sev, sh.logBuf[line:], sh.logBuf[:line])
	t.lined = true
}

// countLine is how many lines the frontend has logged before this one since
// this worker began, for frontends that show it.
func (fe *Frontend) countLine() uint32 {
	if fe.Needs&sample.NeedsLogCount == 0 {
		return 0
	}
	return fe.lines.Add(1) - 1
}

// logEarly writes the line now that all is known but how much is transferred:
// option logasap.
func (t *txn) logEarly() {
	if sh := t.s.sh; t.s.fe.Access.Asap && !t.unlogged {
		t.times(sh.Loop.Now())
		if t.entered {
			t.rec.BeConn = t.be.Sessions()
		}
		if t.srv != nil {
			t.rec.SrvConn = t.srv.Load()
		}
		sh.log(t)
		t.endFlight(sh)
		t.unlogged = true
	}
}

// logEmbryonic writes the line of a connection that ended before it could
// carry anything, with what is known of its handshake.
func (sh *Shard) logEmbryonic(s *session, severity message.Severity, f *sample.Fault, i *wire.Info) {
	fe := s.fe
	if fe.Logs < 0 {
		return
	}
	r := &sample.Record{LogCount: fe.countLine(), Term: [4]byte{'P', 'R', '-', '-'}}
	r.Client, r.FrontAddr, r.Accept, r.TLS = s.peer, s.frontAddr(), s.accepted, s.ln.TLS != nil
	r.Frontend, r.Backend, r.Server = fe.Name, fe.Name, NoServer
	if r.NotMade = f; r.TLS {
		s.ln.TLS.describeFailed(&r.TLSFacts, i)
	}
	x := sh.aboutSession(s, r)
	if format := fe.Access.Errors; format != nil {
		sh.logBuf = format.Append(sh.logBuf[:0], x)
	} else {
		sh.logBuf = sh.eng.Formats.AppendEmbryonic(sh.logBuf[:0], x, s.ln.Label, f.What)
	}
	sh.senders[fe.Logs].Log(severity, sh.logBuf)
}
