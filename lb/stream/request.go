package stream

import (
	"bytes"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/wire"
)

// Limits bound the heads of messages; zero values are HAProxy's defaults.
type Limits struct {
	Head   int // bytes: tune.bufsize
	Fields int // header fields: tune.http.maxhdr
	Hello  int // bytes kept of what TLS clients say first: tune.ssl.capture-buffer-size

	NoSplice bool // long bodies go through a buffer, too

	NoTunnels bool // clients of HTTP/2 are not offered any (RFC 8441)
}

// DefaultHead is Limits.Head when that is 0.
const DefaultHead = 16 << 10

func (l *Limits) head() int {
	if l.Head > 0 {
		return l.Head
	}
	return DefaultHead
}

// readRequest reads until a request head is complete and begins its exchange.
func (s *session) readRequest() step {
	sh := s.sh
	if s.in == nil {
		if !s.MayRead() {
			s.watch()
			return waits
		}
		s.unpark()
	}
	if s.in.Len() == int(s.scanned) { // nothing is there that was not looked at
		n, st := s.fill()
		switch st {
		case wire.Again:
			if s.in.Len() == 0 {
				s.putIn()
			} else {
				s.park()
			}
			return waits
		case wire.EOF, wire.Error:
			s.clientLeft()
			return onward // its answer or its end
		}
		_ = n
	}
	if s.began < 0 {
		s.began = sh.Loop.Now()
	}
	b := s.in.Bytes()
	if s.requests == 0 && s.stream == nil && !s.fe.NoH2Upgrade && b[0] == http2.Preface[0] && bytes.HasPrefix(b, []byte(http2.Preface[:min(len(b), len(http2.Preface))])) {
		if len(b) < len(http2.Preface) {
			return s.headIncomplete()
		}
		s.dropHalf()
		h1 := &sh.Front[s.fe.Index].H1 // which it is not
		h1.Conns--
		h1.In -= uint64(len(b))
		s.startMux()
		return onward
	}
	if s.scanned > 0 && bytes.IndexByte(b[s.scanned:], '\n') < 0 { // what is there has been read; each line that is complete may be a mistake
		return s.headIncomplete()
	}
	sh.req.Lax = s.fe.Lax
	n, err := sh.req.ParseRequest(b)
	switch {
	case err == http1.ErrIncomplete:
		return s.headIncomplete()
	case err != nil:
		s.badRequest(err.(*http1.Error), sh.req.BadAt())
		return onward
	case n > sh.eng.Limits.head():
		s.badRequest(errHeadTooLarge, s.sh.eng.Limits.head())
		return onward
	case sh.req.Minor() >= 1 && !sh.req.HasHost:
		s.badRequest(http1.ErrNoHost, 0)
		return onward
	}
	sh.req.Whole = s.stream != nil
	s.startExchange(n)
	return onward
}

var errHeadTooLarge = &http1.Error{Status: 400, Text: "the request head is larger than tune.bufsize"}

// fill reads more of a head into in.
func (s *session) fill() (int, wire.Status) {
	if len(s.in.Space()) == 0 {
		s.in.Compact()
	}
	n, st := s.read(s.in.Space())
	s.in.W += n
	return n, st
}

func (s *session) headIncomplete() step {
	if s.in.Len() >= s.sh.eng.Limits.head() {
		s.badRequest(errHeadTooLarge, s.sh.eng.Limits.head())
		return onward
	}
	s.scanned = int32(s.in.Len())
	return onward // to read on, until there is no more
}

// clientLeft handles the end of the stream while a head was awaited. A client
// that leaves between requests, or never sent any, is not an error.
func (s *session) clientLeft() {
	if s.in.Len() == 0 {
		if s.requests == 0 && !s.fe.Access.DontLogNull {
			s.saidNothing(400, 'C')
			return
		}
		s.closeGently(false) // over TLS it is told that we have heard it
		return
	}
	s.sh.Front[s.fe.Index].ErrReq++
	s.refuse(errTruncated, 'C', 0)
}

var errTruncated = &http1.Error{Status: 400, Text: "the client left in the middle of a request head"}

// readDeadline is when the wait for a request head is over: for the first
// byte timeout http-keep-alive (between requests) or http-request, for the
// rest of the head timeout http-request; timeout client stands in for both.
func (s *session) readDeadline() int64 {
	to := &s.fe.Timeouts
	switch {
	case s.leaveAt > 0 && s.began < 0:
		return s.leaveAt
	case s.began >= 0 && to.Request > 0:
		return s.began + to.Request
	case s.began >= 0:
		return after(s.act, to.Client)
	case s.requests > 0 && to.KeepAlive > 0:
		return s.since + to.KeepAlive
	case to.Request > 0:
		return s.since + to.Request
	}
	return after(s.since, to.Client)
}

var errSlow = &http1.Error{Status: 408, Text: "no complete request head within timeout http-request"}

func (s *session) readTimeout() {
	switch {
	case s.began >= 0:
		if s.in == nil {
			s.unpark()
		}
		s.sh.Front[s.fe.Index].ErrReq++
		s.refuse(errSlow, 'c', 0)
	case s.requests == 0 && s.leaveAt == 0 && !s.fe.Access.DontLogNull:
		s.saidNothing(408, 'c')
	default:
		s.closeGently(false)
	}
}

// saidNothing logs and counts a connection that ends without a byte as a bad request.
func (s *session) saidNothing(status int, who byte) {
	s.sh.Front[s.fe.Index].ErrReq++
	s.sh.Front[s.fe.Index].ReqTotal++
	s.badRequestLog(status, who, "")
}

// badRequest refuses what cannot be parsed; at is where in the input.
func (s *session) badRequest(e *http1.Error, at int) {
	s.sh.Front[s.fe.Index].ErrReq++
	s.refuse(e, 'P', at)
}

// refuse answers an unreadable request with e's status and ends the session.
func (s *session) refuse(e *http1.Error, who byte, at int) {
	t := s.sh.newTxn(s)
	t.rec.BadReq = true
	t.rec.Fault = e.Text
	t.rec.Frontend, t.rec.Backend, t.rec.Server = s.fe.Name, s.fe.Name, NoServer
	t.rec.Received = uint64(s.in.Len())
	s.sh.Front[s.fe.Index].request(s.sh.Loop.Now(), t)
	t.reqDone, t.keep, t.unread = true, false, true
	t.rec.Term = [4]byte{who, 'R', '-', '-'}
	s.t, s.state = t, exchanging
	t.countBadRequest()
	if who == 'P' {
		t.badRequest(bad{e.Text, s.in.Bytes(), at})
	}
	t.replyError(e.Status)
}

// badRequestLog logs a connection on which nothing came, or a stream whose
// fields are no request, and closes it.
func (s *session) badRequestLog(status int, who byte, fault string) {
	t := s.sh.newTxn(s)
	t.rec.BadReq = true
	t.rec.Frontend, t.rec.Backend, t.rec.Server = s.fe.Name, s.fe.Name, NoServer
	t.rec.Term = [4]byte{who, 'R', '-', '-'}
	t.rec.Status = status
	s.t, s.state = t, exchanging
	t.keep = false
	if fault != "" {
		t.badRequest(bad{reason: fault})
	}
	t.end()
}

// NoServer stands in logs where no server was chosen.
const NoServer = "<NOSRV>"

// startExchange begins the exchange of the request parsed into sh.req, whose
// head is n bytes long.
func (s *session) startExchange(n int) {
	sh := s.sh
	t := sh.newTxn(s)
	s.t, s.state = t, exchanging
	s.requests++
	t.rec.First = s.requests == 1
	s.dropHalf()
	if s.kept != nil {
		t.rec.Vars, s.kept = *s.kept, nil
	}
	h := &sh.req
	t.headOff, t.headLen = s.in.R, n
	s.in.R += n
	t.src = s.in

	r := &t.rec
	r.Frontend, r.Backend, r.Server = s.fe.Name, s.fe.Name, NoServer
	r.Method, r.URI, r.Minor = h.Method(), h.URI(), h.Minor()
	r.Received = uint64(n)
	now := sh.Loop.Now()
	r.TR = int32(t.start - s.began)
	t.method = methodOf(r.Method)
	t.clientMinor = h.Minor()
	t.reqKind = h.RequestBody()
	t.reqLeft = max(h.Length, 0)
	t.reqDone = t.reqKind == http1.NoBody
	t.wants, t.expects = h.Upgrade, h.Expect
	t.keep = h.Persistent() && s.stream == nil // each stream is one request's
	r.HTTP2 = s.stream != nil
	t.pipelines = t.keep

	sh.Front[s.fe.Index].request(now, t)
	s.fe.Paces.Requests.count()
	t.recordFlight()
	if err := t.take(s.in); err != nil { // what came with the head
		t.refuseBody(err)
		return
	}
	r.Received += uint64(t.ready)
	t.reqStreams = len(s.in.Space()) == 0
	t.route()
}

// method is what the data path needs to know of a request's method.
type method uint8

const (
	methodOther method = iota
	methodGet
	methodHead
	methodConnect
	methodPost
	methodPut
	methodDelete
	methodOptions
	methodTrace
)

func methodOf(m []byte) method {
	switch string(m) {
	case "GET":
		return methodGet
	case "HEAD":
		return methodHead
	case "POST":
		return methodPost
	case "CONNECT":
		return methodConnect
	case "PUT":
		return methodPut
	case "DELETE":
		return methodDelete
	case "OPTIONS":
		return methodOptions
	case "TRACE":
		return methodTrace
	}
	return methodOther
}

// idempotent reports whether a request with this method may be sent again
// when it is not known whether the server saw it (RFC 9110 section 9.2.2).
func (m method) idempotent() bool {
	return m != methodOther && m != methodPost && m != methodConnect
}
