package stream

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/compress"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/userlist"
)

// phase is how far an exchange has come.
type phase uint8

const (
	phaseRoute   phase = iota // rules run, a server is being chosen
	phaseBody                 // rules wait for more of the body
	phaseForm                 // the form that was posted to a page of ours is read
	phaseWait                 // a goroutine prepares our own answer
	phaseTarpit               // our answer is held back
	phaseQueue                // every server is full
	phaseRetry                // a moment's rest before the same server is tried again
	phaseConnect              // the connection is being made
	phaseForward              // both directions flow
	phaseReply                // our own answer is being sent
	phaseDiscard              // answered; the rest of the request is read and thrown away
)

// txn is one exchange: a request and its response, or a tunnel. Pooled by the
// shard, owned by its loop.
//
// Four messages make one: what the client asked, what we ask the server (the
// first as rules have changed it), what the server says, and what we say to the
// client. Each decision takes the one that it is about: the framing of what the
// server sends, retries, reuse and hashing go by what was asked; the client's
// connection and whether there is a body for it go by what the client asked and
// what is said; log lines show what the client asked.
type txn struct {
	clock
	s        *session
	phase    phase
	flows    bool // a tunnel with nothing under way (piece.go)
	gone     bool // body bytes of the request were dropped: it cannot be sent again
	resBegun bool // some of the response was given to the client's kernel
	keep     bool // the client's connection outlives the exchange
	unread   bool // the client may still send: close gently
	unlogged bool // monitor requests
	lined    bool // its log line has been written
	h1       bool // of a client that speaks HTTP/1: counted as open
	placement
	request
	response

	flight *flight // what is left of the request should this process be killed
	rec    sample.Record
	held   *heldReply      // while it is in the tarpit
	doubt  *userlist.Doubt // what was computed of the client's password
	track  sample.Tracks   // entries of stick tables that it is counted in
	again  bool            // the rules ran for this request before a reload
	cached *caching        // nil: no rule has asked a cache

	posted *form // to a page of ours; nil almost always

	gen  uint32
	next *txn // in Shard.freeTxns
}

// request is the request on its way to the server.
type request struct {
	// What the client asked.
	method      method
	clientMinor int
	wants       bool // to switch protocols
	pipelines   bool // it counts on its connection being kept: it may have sent more
	expects     bool // 100 Continue before it sends the body

	// What we ask (asked.go).
	asked      []byte // the head as it goes to the server, rendered once
	askedURI   []byte // in asked
	askedAs    http2.Target
	askedFor   method
	upgrade    bool // to switch protocols
	askedClose bool // to close the connection
	auth       bool // with credentials that authenticate the connection
	offers     protocols
	accept     [28]byte // Sec-WebSocket-Accept that the key asks for; 0 none

	src        *loop.Buffer // where unsent bytes lie: session.in, then relay
	relay      *loop.Buffer // body bytes beyond what came with the head
	head       []byte       // what is unsent of asked while it is being sent; empty almost always
	headOff    int          // where the client's head lies in session.in
	headLen    int
	parked     []byte // what session.in held, while the request is in a queue (budget.go)
	parkedR    int
	parkedW    int
	ready      int        // bytes of src checked and unsent
	reqPipe    *loop.Pipe // bytes that the server has not taken yet, after those of src (splice.go); nil: none
	reqLeft    int64
	reqKind    http1.Body
	reqCh      http1.Chunks
	reqDone    bool // nothing more to read of the request
	reqSent    bool // some of it was given to the server's kernel
	reqStreams bool // the client sends much at a time (splice.go)

	await  awaiting   // what rules wait for
	agents consulting // which agents were asked
}

// response is the response on its way to the client.
type response struct {
	res         *loop.Buffer
	resHead     *loop.Buffer // a rendered head that did not fit before its body
	resPipe     *loop.Pipe   // bytes that the client has not taken yet, after those of res (splice.go); nil: none
	resReady    int
	resLeft     int64
	resKind     http1.Body // how the body ends that the server sends
	resCh       http1.Chunks
	said        body               // what the client gets of it (body.go)
	codec       compress.Algorithm // that the client understands
	packer      *compress.Writer   // nil: the body is not compressed
	resHeadDone bool
	resDone     bool        // nothing more to read of the response
	resStreams  bool        // a tunnel's server sends much at a time (splice.go)
	page        []byte      // the unsent rest of our own answer
	trailers    []byte      // lines after the chunks, where something needs them (body.go)
	keepServer  bool        // the server's connection outlives the exchange
	continued   bool        // 100 Continue came
	interims    int         // 1xx answers that came
	lookUntil   int64       // rules look into what the server says, for so long; 0 not (any more)
	bodyAt      int         // where the body begins in res, while rules see it; else 0
	answer      *heldAnswer // http-response rules wait for its body; nil: they do not
	early       bool        // unless this: the response was complete before the request
}

// placement is where the request goes.
type placement struct {
	be      *Backend
	srv     *backend.Server // a place on it is taken; released exactly once
	c       *serverConn     // the connection to it
	avoid   *backend.Server
	left    *backend.Server // by a redispatch, until another one, or it again, is assigned
	queued  *backend.Waiter
	sni     string // what TLS asks t.srv for
	stuckTo stuckKeys
	keyHash uint32 // of the backend's HashKey, where keyed

	keyed     bool // the request has a key
	fresh     bool // its connection to the server is being made
	bound     bool // the server was chosen by its cookie, a stick table or a rule
	forced    bool // force-persist: by those also a server that is down
	ignored   bool // ignore-persist: not by its cookie, nor by a stick table
	hadCookie bool // the client came with a cookie of ours, valid or not

	cookieLast, cookieFirst int64 // its dates, Unix time; 0 none
	entered                 bool  // counted in backend.Enter
}

// clock has the milestones in ms on the loop's clock; 0 until reached.
type clock struct {
	start    int64 // the request was complete
	queuedAt int64
	dialAt   int64 // the first attempt to connect
	tryAt    int64 // this attempt
	againAt  int64 // the next one, in phaseRetry
	sentAt   int64 // connected
	headAt   int64 // the response's head was complete
	srvAct   int64 // last progress on the server side
}

// newTxn takes an exchange from the pool, for s.
func (sh *Shard) newTxn(s *session) *txn {
	t := sh.freeTxns
	if t == nil {
		t = new(txn)
	} else {
		sh.freeTxns = t.next
	}
	gen, vars, stuckTo, id, cached := t.gen, t.rec.Vars, t.stuckTo, t.rec.UniqueID[:0], t.cached
	*t = txn{s: s, gen: gen, cached: cached}
	t.stuckTo = stuckTo
	t.start, t.srvAct = sh.Loop.Now(), sh.Loop.Now()
	if t.h1 = s.http && s.stream == nil; t.h1 {
		sh.Front[s.fe.Index].Open.H1Streams++
	}
	if s.waiting > 0 {
		t.start = s.waiting
	}
	t.resume()
	r := &t.rec
	r.Vars = vars
	r.Vars.Reset()
	r.UniqueID = id
	r.Counter = sh.counter
	sh.counter += uint32(len(sh.eng.Shards))
	r.Client, r.TLS = s.peer, s.ln.TLS != nil
	r.Accept, r.Request = s.accepted, sh.Loop.Time()
	r.Status = -1
	r.Term = [4]byte{'-', '-', '-', '-'}
	r.Th, r.Ti, r.TR, r.Tq, r.Tw, r.Tc, r.Tr, r.Td = s.hsTime, 0, -1, -1, -1, -1, -1, -1
	r.Pid, r.Hostname = sh.eng.Pid, sh.eng.Hostname
	if s.began >= 0 {
		r.Ti = int32(s.began-s.since) - s.hsTime
		r.Request = sh.Loop.Time().Add(-msec(sh.Loop.Now() - s.began))
	}
	r.FrontAddr, r.Proxied = s.frontAddr(), s.announced()
	s.describeTLS(r)
	return t
}

// freeTxn gives t and its buffers back. Its session has let go of it.
func (sh *Shard) freeTxn(t *txn) {
	pool := &sh.Loop.Buffers
	for _, b := range [...]*loop.Buffer{t.relay, t.res, t.resHead} {
		if b != nil {
			pool.Put(b)
		}
	}
	for _, p := range [...]*loop.Pipe{t.reqPipe, t.resPipe} {
		if p != nil {
			sh.Loop.Pipes.Put(p)
		}
	}
	t.endFlight(sh)
	if t.h1 {
		sh.Front[t.s.fe.Index].Open.H1Streams--
	}
	if t.await.head != nil {
		sh.eng.hold(-t.await.held)
	}
	t.track.Release(sh.stickNow())
	t.stuckTo.reset()
	if t.cached != nil {
		t.cached.drop()
		t.cached.asked.Reset()
	}
	gen, vars, stuckTo, id, cached := t.gen+1, t.rec.Vars, t.stuckTo, t.rec.UniqueID[:0], t.cached
	*t = txn{gen: gen, next: sh.freeTxns, cached: cached}
	t.stuckTo, t.rec.Vars, t.rec.UniqueID = stuckTo, vars, id
	sh.freeTxns = t
}

// pump goes as far as the exchange can without waiting.
func (t *txn) pump() step {
	s := t.s
	if t.clientGone() {
		t.clientAborted()
		return onward
	}
	switch t.phase {
	case phaseWait, phaseTarpit, phaseQueue, phaseRetry:
		if s.PeerEnded() && t.be != nil && t.be.AbortOnClose {
			t.clientAborted()
			return onward
		}
		return waits
	case phaseConnect:
		if s.PeerEnded() && t.be.AbortOnClose {
			t.clientAborted()
			return onward
		}
		switch t.connected() {
		case waits:
			if t.phase == phaseConnect && !s.Watched() && !t.outlives() {
				s.sh.watchLate(s)
			}
			return waits
		case left: // to another attempt, or to an answer of our own
			return onward
		}
	}
	if t.phase == phaseForward && s.PeerEnded() && t.be.AbortOnClose && t.reqDone && !t.resDone && !t.tunnel() {
		t.clientEndedEarly()
		return onward
	}
	if t.forward() == left {
		return onward
	}
	if !s.Watched() && s.state == exchanging {
		s.sh.watchLate(s)
	}
	return waits
}

// clientGone reports whether nobody is there to take the response any more.
// After our own end has been sent a hang-up is no more than the client's end;
// and what the client of a tunnel sent before it reset is still passed on.
func (t *txn) clientGone() bool {
	s := t.s
	if !s.Broken() || s.Shut() {
		return false
	}
	switch t.phase {
	case phaseForward:
		return !t.tunnel() || t.reqDone
	case phaseConnect:
		return !t.outlives()
	}
	return true
}

// outlives reports whether a request goes to its server although its client may have left while the connection was made: one that is whole, as
// with HAProxy, where nobody asks for `option abortonclose`; and what a unix socket's client has sent to a tunnel, which can only end all of its
// connection at once.
func (t *txn) outlives() bool {
	switch {
	case t.be.AbortOnClose:
		return false
	case t.s.http:
		return t.reqDone && t.s.stream == nil
	}
	return t.s.ln.Unix && (t.ready > 0 || t.s.waitingBytes() > 0)
}

// watchLate has the session registered soon, if it is still exchanging then.
func (sh *Shard) watchLate(s *session) {
	if n := len(sh.late); n > 0 && sh.late[n-1].s == s && sh.late[n-1].gen == s.gen {
		return
	}
	sh.late = append(sh.late, lateEntry{s, s.gen})
	if !sh.lateTick.Armed() {
		sh.Loop.Arm(&sh.lateTick, lateDelay)
	}
}
