package stream

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/rule"
)

// headroom is kept free before a response's head, so that the head we send,
// usually a little longer, still ends where the body begins and both leave in
// one write.
const headroom = 1024

// headFromServer reads until the response head is complete. False when the
// exchange ended or changed.
func (t *txn) headFromServer() (alive bool) {
	sh := t.s.sh
	for {
		for t.res != nil && t.res.Len() > 0 {
			n, err := sh.res.ParseResponse(t.res.Bytes())
			if err == http1.ErrIncomplete && t.res.Len() < MaxHead {
				break
			}
			if err != nil || n > MaxHead {
				t.badResponse('P')
				return false
			}
			if !t.gotHead(n) {
				return false
			}
			if t.resHeadDone || t.resReady > 0 { // an interim response goes out first
				return true
			}
		}
		if n, st := t.readHead(); st == ioAgain {
			return true
		} else if st != ioOK {
			t.headMissing()
			return false
		} else {
			t.srvAct = sh.Loop.Now()
			sh.Server[t.srv.Index].BytesOut += uint64(n)
		}
	}
}

// readHead reads bytes of a response head behind those that are there.
func (t *txn) readHead() (int, ioStatus) {
	pool := &t.s.sh.Loop.Buffers
	if t.res == nil {
		if !t.c.canRead {
			return 0, ioAgain
		}
		t.res = pool.Get()
		t.res.R, t.res.W = headroom, headroom
	}
	if len(t.res.Space()) == 0 { // interim responses have passed before it
		t.res.W = headroom + copy(t.res.Data[headroom:], t.res.Bytes())
		t.res.R = headroom
	}
	n, st := t.c.read(t.res.Space())
	t.res.W += n
	if t.res.Len() == 0 {
		pool.Put(t.res)
		t.res = nil
	}
	return n, st
}

// headMissing handles a server that ended before its response head did.
func (t *txn) headMissing() {
	if t.res != nil {
		t.badResponse('S')
		return
	}
	t.serverFailed()
}

// badResponse ends the exchange with a server that talks nonsense ('P') or
// stopped in the middle of its head ('S').
func (t *txn) badResponse(who byte) {
	if !t.resBegun && t.resReady == 0 && t.sendAgain() {
		return
	}
	t.countServer(func(c *ServerCounters) { c.ErrResp++ })
	t.srv.Watch.Failed(backend.InvalidHead)
	t.fail(who, 'H', 502)
}

// gotHead takes the response head in sh.res, n bytes at res.R. False when the
// exchange ended or changed.
func (t *txn) gotHead(n int) (alive bool) {
	s, sh, h := t.s, t.s.sh, &t.s.sh.res
	if h.Status()/100 == 1 && h.Status() != 101 {
		return t.interim(n)
	}
	if h.Status() == 101 && !t.upgrade {
		t.badResponse('P') // nobody asked: a tunnel would lead past all rules
		return false
	}
	now := sh.Loop.Now()
	t.headAt = now
	t.rec.Tr = int32(now - t.sentAt)
	t.rec.Status = h.Status()
	t.flightPhase('D')
	sh.Server[t.srv.Index].CountStatus(t.rec.Status)
	t.srv.Watch.Answered(t.rec.Status)
	t.countAnswer(t.rec.Status)

	t.resKind = h.ResponseBody(t.rec.Method)
	t.resLeft = max(h.Length, 0)
	t.resHeadDone = true
	t.keepServer = h.Persistent() && t.resKind != http1.UntilClose
	if t.resKind == http1.Tunnel {
		t.openTunnel()
	}
	mode := max(t.be.ConnMode, s.fe.ConnMode)
	if mode >= ServerClose {
		t.keepServer = false
	}
	t.dechunk = t.resKind == http1.ChunkedBody && (t.clientMinor == 0 || s.stream != nil)
	if mode == Close || s.closing() || t.resKind == http1.UntilClose || t.dechunk || t.resKind == http1.Tunnel {
		t.keep = false
	}
	if len(s.fe.ResCaptures) > 0 {
		t.rec.ResCaptures = capture(h, s.fe.ResCaptures)
	}
	if len(t.be.Sticks) > 0 {
		t.stuck(true)
	}
	if !t.responseRules() {
		return false
	}
	if c := &s.fe.CookieCapture; c.Len > 0 {
		t.rec.SCookie = c.cookie(h, "set-cookie")
	}
	t.editResponse(h)
	t.logEarly()
	if !t.placeHead(n) {
		t.noResponse()
		t.fail('P', 'H', 500)
		return false
	}
	if err := t.takeResponse(); err != nil {
		t.brokenBody()
		return false
	}
	return true
}

// interim passes a 1xx response on; HTTP/1.0 clients do not know them.
func (t *txn) interim(n int) (alive bool) {
	if t.clientMinor == 0 {
		t.res.R += n
		return true
	}
	t.resReady = n
	return true
}

// openTunnel lets bytes flow freely from here, behind the response's head.
func (t *txn) openTunnel() {
	t.reqKind, t.reqDone, t.keepServer = http1.Tunnel, t.s.eof, false
	if t.src != nil { // what the client sent ahead
		t.ready = t.src.Len()
	}
	t.s.sh.Loop.Again(t.s) // this turn has passed the client's side already
}

// responseRules runs http-response rules; false when they gave another answer.
func (t *txn) responseRules() bool {
	s := t.s
	own, shared := t.be.ResRules, s.fe.ResRules
	if t.be.ID == s.fe.ID {
		own = nil
	}
	if len(own) == 0 && len(shared) == 0 {
		return true
	}
	x := t.context()
	x.Req, x.Res = nil, &s.sh.res
	if !t.obeyResponse(own.Eval(x)) || !t.obeyResponse(shared.Eval(x)) {
		return false
	}
	t.rec.Status = s.sh.res.Status()
	return true
}

// editResponse changes the head's hop-by-hop fields to what we do.
func (t *txn) editResponse(h *http1.Head) {
	h.Del("connection")
	h.Del("keep-alive")
	h.Del("proxy-connection")
	h.SetMinor(1)
	if t.be.Cookie != nil {
		t.setCookie(h)
	}
	if t.dechunk {
		h.Del("transfer-encoding")
	}
	switch {
	case t.resKind == http1.Tunnel:
		if h.Status() == 101 { // 2xx to CONNECT needs no word
			h.AddString("Connection", "Upgrade")
		}
	case !t.keep:
		h.AddString("Connection", "close")
	case t.clientMinor == 0:
		h.AddString("Connection", "keep-alive")
	}
}

// placeHead renders the head in front of the body bytes that came with it;
// false when rules have made it larger than a buffer.
func (t *txn) placeHead(n int) bool {
	sh := t.s.sh
	sh.headBuf = sh.res.Append(sh.headBuf[:0])
	b, body := sh.headBuf, t.res.R+n
	if len(b) <= body {
		t.res.R = body - len(b)
		copy(t.res.Data[t.res.R:], b)
		t.resReady = len(b)
		return true
	}
	if len(b) > loop.BufferSize {
		return false
	}
	t.resHead = sh.Loop.Buffers.Get()
	t.resHead.W = copy(t.resHead.Data[:], b)
	t.res.R = body
	return true
}

// fromServer reads more of the response body, or of a tunnel.
func (t *txn) fromServer() (ok, blocked bool) {
	sh, c := t.s.sh, t.c
	if t.res == nil {
		if !c.canRead && !c.eof {
			return true, true
		}
		t.res = sh.Loop.Buffers.Get()
	}
	t.res.Reset()
	n, st := c.read(t.res.Data[:])
	switch st {
	case ioAgain:
		sh.Loop.Buffers.Put(t.res)
		t.res = nil
		return true, true
	case ioEOF, ioError:
		return t.serverEnded(st), false
	}
	t.res.W = n
	t.srvAct = sh.Loop.Now()
	sh.Server[t.srv.Index].BytesOut += uint64(n)
	if err := t.takeResponse(); err != nil {
		t.brokenBody()
		return false, true
	}
	return true, false
}

// serverEnded handles the server's end within a body: the end of an
// until-close body or of a tunnel's direction, a loss otherwise.
func (t *txn) serverEnded(st ioStatus) (alive bool) {
	if t.resKind == http1.Tunnel || t.resKind == http1.UntilClose && st == ioEOF {
		t.resDone = true
		if st == ioError {
			t.reqDone, t.ready = true, 0
			t.rec.Term[0], t.rec.Term[1] = 'S', 'D'
		}
		return true
	}
	t.countServer(func(c *ServerCounters) { c.SrvAborts++ })
	t.abort('S', 'D')
	return false
}

// brokenBody ends a response whose chunks are malformed.
func (t *txn) brokenBody() {
	t.countServer(func(c *ServerCounters) { c.ErrResp++ })
	t.srv.Watch.Failed(backend.InvalidAnswer)
	if !t.resBegun {
		t.noResponse()
		t.fail('P', 'H', 502)
		return
	}
	t.abort('P', 'D')
}

// noResponse forgets a head that does not reach the client: another answer
// stands in its place.
func (t *txn) noResponse() {
	t.resHeadDone = false
	t.headAt, t.rec.Tr = 0, -1
}

// takeResponse checks the new bytes of res, those behind resReady, against
// the response's framing.
func (t *txn) takeResponse() error {
	off := t.res.R + t.resReady
	p := t.res.Data[off:t.res.W]
	switch t.resKind {
	case http1.NoBody:
		t.resDone = true
		t.keepServer = t.keepServer && len(p) == 0
	case http1.LengthBody:
		n := min(int64(len(p)), t.resLeft)
		t.resLeft -= n
		t.resReady += int(n)
		t.resDone = t.resLeft == 0
		t.keepServer = t.keepServer && int(n) == len(p)
	case http1.ChunkedBody:
		return t.takeChunks(p)
	default:
		t.resReady += len(p)
	}
	return nil
}

func (t *txn) takeChunks(p []byte) error {
	taken, kept := 0, 0
	for taken < len(p) && !t.resCh.Done() {
		n, data, err := t.resCh.Next(p[taken:])
		if err != nil {
			return err
		}
		if data || !t.dechunk {
			if kept != taken {
				copy(p[kept:], p[taken:taken+n])
			}
			kept += n
		}
		taken += n
	}
	t.resReady += kept
	t.resDone = t.resCh.Done()
	t.keepServer = t.keepServer && taken == len(p)
	return nil
}

// obeyResponse carries out what http-response rules came to; false when they
// gave another answer.
func (t *txn) obeyResponse(v rule.Verdict) (goOn bool) {
	switch v {
	case rule.Continue, rule.Allow:
		return true
	}
	t.s.sh.Back[t.be.Index].DeniedResp++
	t.noResponse()
	t.rec.Term[0], t.rec.Term[1] = 'P', 'H'
	t.replyRule()
	return false
}
