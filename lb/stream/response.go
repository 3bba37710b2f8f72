package stream

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/compress"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// headroom is kept free before a response's head, so that the head we send,
// usually a little longer, still ends where the body begins and both leave in
// one write.
const headroom = 1024

// headFromServer reads until the response head is complete, or an interim one
// is, which goes out first.
func (t *txn) headFromServer() step {
	sh := t.s.sh
	if t.answer != nil {
		return t.fillSaid()
	}
	for {
		for t.res != nil && t.res.Len() > 0 {
			sh.res.Lax = t.be.Lax
			n, err := sh.res.ParseResponse(t.res.Bytes())
			if err == http1.ErrIncomplete && t.res.Len() < sh.eng.Limits.head() {
				break
			}
			if err == nil && n > sh.eng.Limits.head() || err == http1.ErrIncomplete {
				t.badResponse('P', bad{"the answer's head is larger than tune.bufsize", t.res.Bytes(), sh.eng.Limits.head()})
				return left
			}
			if err != nil {
				t.badResponse('P', bad{err.Error(), t.res.Bytes(), sh.res.BadAt()})
				return left
			}
			if st := t.gotHead(n); st != onward {
				return st
			}
			if t.resHeadDone || t.resReady > 0 {
				return onward
			}
		}
		n, st := t.readHead()
		switch st {
		case wire.Again:
			return waits
		case wire.OK:
			t.srvAct = sh.Loop.Now()
			t.took(n)
		default:
			t.headMissing()
			return left
		}
	}
}

// readHead reads bytes of a response head after those that are there.
func (t *txn) readHead() (int, wire.Status) {
	pool := &t.s.sh.Loop.Buffers
	if t.res == nil {
		if !t.c.MayRead() {
			return 0, wire.Again
		}
		t.res = pool.Get()
		t.res.R, t.res.W = headroom, headroom
	}
	if len(t.res.Space()) == 0 { // interim responses have passed before it
		t.res.W = headroom + copy(t.res.Data[headroom:], t.res.Bytes())
		t.res.R = headroom
	}
	n, st := t.c.Read(t.res.Space())
	t.res.W += n
	if t.res.Len() == 0 {
		pool.Put(t.res)
		t.res = nil
	}
	return n, st
}

// headMissing handles a server that ended before its response head did.
func (t *txn) headMissing() {
	if s := t.c.stream; s != nil && s.Malformed() {
		t.badResponse('P', bad{reason: s.Reason()})
		return
	}
	if t.res != nil {
		t.badResponse('S', bad{"the server ended in the middle of its answer's head", t.res.Bytes(), t.res.Len()})
		return
	}
	t.serverFailed()
}

// badResponse ends the exchange with a server that talks nonsense ('P') or
// stopped in the middle of its head ('S').
func (t *txn) badResponse(who byte, b bad) {
	t.badAnswer(b)
	if !t.resBegun && t.resReady == 0 && t.sendAgain() {
		t.rec.Fault = ""
		return
	}
	if on := &t.be.RetryOn; (who == 'P' && on.Junk || who == 'S' && on.Empty) && t.replay() {
		t.rec.Fault = ""
		return
	}
	t.countServer(func(c *ServerCounters) { c.ErrResp++ })
	t.srv.Watch.Failed(backend.InvalidHead)
	t.fail(who, 'H', 502)
}

// gotHead takes the response head in sh.res, n bytes at res.R.
func (t *txn) gotHead(n int) step {
	s, sh, h := t.s, t.s.sh, &t.s.sh.res
	if h.Status()/100 == 1 && h.Status() != 101 {
		return t.interim(n)
	}
	if h.Status() == 101 && !t.agreed(h) {
		t.badResponse('P', bad{"a 101 that was not asked for, or does not say what it switches to", t.res.Bytes(), 0})
		return left
	}
	if t.be.RetryOn.status(h.Status()) && t.replay() {
		return left
	}
	now := sh.Loop.Now()
	t.headAt = now
	t.rec.Tr = int32(now - t.sentAt)
	t.rec.Status = h.Status()
	t.flightPhase('D')
	sh.Server[t.srv.Index].CountStatus(t.rec.Status)
	sh.Server[t.srv.Index].ReqTotal++
	t.srv.Watch.Answered(t.rec.Status)
	t.countAnswer(t.rec.Status)

	t.serverSaid(h)
	t.challenged(h)
	if len(s.fe.ResCaptures) > 0 {
		t.rec.ResCaptures = capture(t.rec.ResCaptures, h, s.fe.ResCaptures)
	}
	t.stuck()
	h.DropHops()
	if t.codec != compress.None && t.compresses(h) {
		t.compressed(h) // before the rules, as in HAProxy
	}
	t.bodyAt = t.res.R + n
	if !t.responseContent() {
		return left
	}
	return t.answerRules(n)
}

// answerRules has the rules judge the answer, from where they stopped, and places
// the head that they make of it before the body.
func (t *txn) answerRules(n int) step {
	s, h := t.s, &t.s.sh.res
	if st := t.responseRules(); st != onward {
		return st
	}
	if c := &s.fe.CookieCapture; c.Len > 0 {
		t.rec.SCookie = c.cookie(h, "set-cookie")
	}
	keepable := t.be.CheckCache && h.Find("set-cookie", 0) >= 0
	if fault := t.say(h); fault != "" {
		t.badAnswer(bad{fault, t.res.Bytes(), 0})
		t.noResponse()
		t.fail('P', 'H', 502)
		return left
	}
	if keepable && cacheable(t.askedFor, h) { // also after our own cookie, which may forbid that
		t.blockCookie()
		return left
	}
	t.logEarly()
	if !t.placeHead(n) {
		t.noResponse()
		t.fail('P', 'H', 500)
		return left
	}
	t.countSaid()
	if err := t.takeResponse(); err != nil {
		t.brokenBody()
		return left
	}
	return onward
}

// serverSaid takes what the server's head says of its body and connection, by
// what the server was asked.
func (t *txn) serverSaid(h *http1.Head) {
	t.resKind = h.ResponseBody(t.askedFor == methodHead, t.askedFor == methodConnect)
	t.resLeft = max(h.Length, 0)
	t.resHeadDone = true
	mode := max(t.be.ConnMode, t.s.fe.ConnMode)
	t.keepServer = h.Persistent() && t.resKind != http1.UntilClose && mode < ServerClose && !t.askedClose
	if t.resKind == http1.Tunnel {
		t.openTunnel()
	}
	// A backend's httpclose closes a client only as the server's "close" does.
	closes := t.s.fe.ConnMode == Close || t.be.ConnMode == Close && !t.be.HideClose && !h.Persistent()
	if closes || t.s.closing() || t.resKind == http1.Tunnel {
		t.keep = false
	}
	if t.expects && !t.reqDone && !t.continued {
		t.keep = false // the client may send its body, or not: what follows could be either
	}
}

// maxInterims is how many 1xx responses one exchange may have: a server that sends
// nothing else would never be done. One every 20 seconds lasts for hours.
const maxInterims = 1000

// interim passes a 1xx response on; HTTP/1.0 clients do not know them. What it
// says of a body or a connection would be true of the answer that follows.
func (t *txn) interim(n int) step {
	h := &t.s.sh.res
	t.continued = t.continued || h.Status() == 100
	if t.interims++; t.interims > maxInterims {
		t.badResponse('P', bad{"more than 1000 interim answers to one request", t.res.Bytes(), 0})
		return left
	}
	said := &t.s.sh.Server[t.srv.Index]
	said.CountStatus(h.Status())
	said.ReqTotal++
	if t.clientMinor == 0 {
		t.res.R += n
		return onward
	}
	h.DropHops()
	h.Del("connection")
	h.Del("upgrade")
	h.Del("content-length")
	h.Del("transfer-encoding")
	h.SetMinor(1)
	if !t.placeHead(n) || t.resHead != nil { // a head that nothing was added to fits
		t.badResponse('P', bad{"an interim answer whose head is larger than tune.bufsize", t.res.Bytes(), t.s.sh.eng.Limits.head()})
		return left
	}
	return onward
}

// openTunnel lets bytes flow freely from here, after the response's head.
func (t *txn) openTunnel() {
	t.reqKind, t.reqDone, t.keepServer = http1.Tunnel, t.s.EOF(), false
	if t.src != nil { // what the client sent ahead
		if t.src == t.s.in {
			t.rec.Received += uint64(t.src.Len() - t.ready)
		}
		t.ready = t.src.Len()
	}
	t.s.sh.Loop.Again(t.s) // this turn has passed the client's side already
}

// responseRules runs http-response rules, from where they stopped; left when they
// gave another answer, waits when they wait for the body.
func (t *txn) responseRules() step {
	s := t.s
	shared := s.fe.Rules[rule.Response]
	var own rule.Rules
	if t.be != nil && t.be.ID != s.fe.ID {
		own = t.be.Rules[rule.Response]
	}
	if len(own) == 0 && len(shared) == 0 {
		return onward
	}
	x := t.context()
	x.Req, x.Res = nil, &s.sh.res
	from := 0
	if a := t.answer; a != nil {
		from, t.answer = a.rule, nil
		if a.shared {
			own = nil
		}
	}
	if len(own) > 0 {
		if st := t.responseSet(own, from, x); st != onward {
			return st
		}
		from = 0
	}
	if st := t.responseSet(shared, from, x); st != onward {
		if t.answer != nil {
			t.answer.shared = true
		}
		return st
	}
	t.rec.Status = s.sh.res.Status()
	return onward
}

// responseSet runs the rules of one proxy; left when they gave another answer,
// waits when they wait for the body.
func (t *txn) responseSet(rules rule.Rules, next int, x *sample.Ctx) step {
	for {
		var v rule.Verdict
		v, next = rules.EvalFrom(next, x)
		switch v {
		case rule.StoreCache:
			t.storeInCache(x.Await.Cache)
		case rule.AwaitBody:
			if t.awaitSaid(x.Await, next) == waits {
				return waits
			}
			x.Said = t.bodySaid()
		default:
			if !t.obeyResponse(v) {
				return left
			}
			return onward
		}
	}
}

// say completes the head of what we say to the client: the framing of its body
// by the status that is said and the method that the client asked with, and
// what becomes of its connection. It gives the reason when that cannot be said.
func (t *txn) say(h *http1.Head) (fault string) {
	if t.be != nil && t.be.Cookie != nil && !t.hit() {
		t.setCookie(h)
	}
	t.afterResponse()
	t.nameResponse(h)
	status := h.Status()
	tunnel := status == 101 || t.method == methodConnect && status/100 == 2
	switch {
	case tunnel != (t.resKind == http1.Tunnel) || status < 200 && !tunnel:
		return "rules made of it a tunnel for one side only"
	case tunnel:
	case t.method == methodHead || status == 204 || status == 304:
		t.sayNothing(h, status)
	case t.packer != nil:
		t.sayPacked(h)
	case t.resKind == http1.NoBody && h.Length != 0:
		// The server had none to send, but said how long it would be, or nothing.
		h.Del("content-length")
		h.Del("transfer-encoding")
		h.AddString("Content-Length", "0")
	case t.resKind == http1.ChunkedBody && h.Coded && (t.clientMinor == 0 || t.s.stream != nil):
		return "a transfer coding beneath chunked, which a client of HTTP/1.0 or HTTP/2 cannot know of [RFC 9112 7.4]"
	case t.resKind == http1.ChunkedBody && (t.clientMinor == 0 || t.s.stream != nil):
		t.said, t.keep = plain, false
		h.Del("transfer-encoding")
	case t.resKind == http1.UntilClose:
		t.keep = false
	}
	if tunnel || t.s.stream != nil || h.Find("transfer-encoding", 0) >= 0 { // else it stays what the server's is, as in HAProxy
		h.SetMinor(1)
	}
	o := h.TakeOptions()
	t.keep = t.keep && !o.Close
	switch {
	case status == 101 && !o.Upgrade: // which a rule has deleted
		h.AddString("Connection", "Upgrade")
	case tunnel:
	case !t.keep && h.Minor() > 0: // an older one ends it anyway
		h.AddString("Connection", "close")
	case t.keep && (t.clientMinor == 0 || h.Minor() == 0):
		h.AddString("Connection", "keep-alive")
	}
	if t.s.stream == nil {
		rename(h, t.s.fe.ClientNames)
	}
	return ""
}

// sayNothing has the head stand alone. What the server sends after its own is
// read and dropped, so that its connection can be used again.
func (t *txn) sayNothing(h *http1.Head, status int) {
	t.said, t.packer = nothing, nil
	switch {
	case status == 204, status == 304 && t.resKind != http1.NoBody:
		// RFC 9110 section 8.6, RFC 9112 section 6.1. A 304 may have the length
		// of what it stands for, but there are clients over HTTP/2 that wait.
		h.Del("content-length")
		h.Del("transfer-encoding")
	case t.clientMinor == 0 || status == 304:
		h.Del("transfer-encoding")
	}
	if t.resKind == http1.UntilClose {
		t.resKind = http1.NoBody
	}
}

// placeHead renders the head in front of the body bytes that came with it;
// false when rules have made it larger than a buffer.
func (t *txn) placeHead(n int) bool {
	sh := t.s.sh
	t.bodyAt = 0
	sh.headBuf = sh.res.Append(sh.headBuf[:0])
	b, body := sh.headBuf, t.res.R+n
	if len(b) <= body {
		t.res.R = body - len(b)
		copy(t.res.Data[t.res.R:], b)
		t.resReady = len(b)
		return true
	}
	if len(b) > sh.Loop.Buffers.Size() {
		return false
	}
	t.resHead = sh.Loop.Buffers.Get()
	t.resHead.W = copy(t.resHead.Data[:], b)
	t.res.R = body
	return true
}

// fromServer reads more of the response body, or of a tunnel.
func (t *txn) fromServer() step {
	if t.splices() {
		return t.splice()
	}
	return t.copyFromServer()
}

// copyFromServer reads it into a buffer.
func (t *txn) copyFromServer() step {
	sh, c := t.s.sh, t.c
	if t.res == nil {
		if !c.MayRead() && !c.EOF() {
			return waits
		}
		t.res = sh.Loop.Buffers.Get()
	}
	t.res.Reset()
	space := t.res.Space()
	if t.packer != nil {
		space = space[:len(space)-packRoom]
	}
	n, st := c.Read(space)
	switch st {
	case wire.Again:
		sh.Loop.Buffers.Put(t.res)
		t.res = nil
		return waits
	case wire.EOF, wire.Error:
		return t.serverEnded(st)
	}
	t.res.W += n
	t.srvAct = sh.Loop.Now()
	t.took(n)
	t.resStreams = n == len(space)
	if err := t.takeResponse(); err != nil {
		t.brokenBody()
		return left
	}
	return onward
}

// serverEnded handles the server's end within a body: the end of an
// until-close body or of a tunnel's direction, a loss otherwise.
func (t *txn) serverEnded(st wire.Status) step {
	if t.resKind == http1.Tunnel || t.resKind == http1.UntilClose && st == wire.EOF {
		t.resDone = true
		if t.cached != nil {
			t.kept()
		}
		if st == wire.Error {
			t.reqDone = true
			t.dropUnsent()
			t.rec.Term[0], t.rec.Term[1] = 'S', 'D'
		}
		return onward
	}
	t.countServer(func(c *ServerCounters) { c.SrvAborts++; c.ErrResp++ })
	t.abort('S', 'D')
	return left
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
	t.resHeadDone, t.packer, t.bodyAt = false, nil, 0
	t.dropAnswer()
	t.leaveCache()
	t.headAt, t.rec.Tr = 0, -1
}

// obeyResponse carries out what http-response rules came to; false when they
// gave another answer.
func (t *txn) obeyResponse(v rule.Verdict) (goOn bool) {
	switch v {
	case rule.Continue, rule.Allow:
		return true
	case rule.Reject: // silent-drop
		t.noResponse()
		t.drop()
		return false
	case rule.Deny:
		t.deniedAnswer()
		t.rec.Term[0], t.rec.Term[1] = 'P', 'H'
	default:
		t.rec.Term[0], t.rec.Term[1] = 'L', 'H'
	}
	t.noResponse()
	t.replyRule()
	return false
}
