package stream

import (
	"bytes"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// Rules can wait for a request's body: option http-buffer-request has all of
// them wait, wait-for-body those after it. The body is read into the buffer that
// the head came in, after it, up to what HAProxy's buffers hold. Meanwhile the
// head, as rules have changed it so far, is set aside: the shard's is another
// request's by then.

// reserve is what HAProxy keeps free of a buffer: tune.maxrewrite. Rules can see
// tune.bufsize without it of head and body together.
const reserve = 1024

// awaiting is where the rules stopped, and for what.
type awaiting struct {
	at    stop
	rule  int   // of the set that is running: which one is next
	until int64 // ms on the loop's clock
	least int   // bytes; 0: all
	held  int   // counted in the budget

	head *http1.Head // set aside
}

// awaitBody has the rules wait for the body; onward means that there is nothing
// to wait for.
func (t *txn) awaitBody(a sample.Await) step {
	s, w := t.s, &t.await
	now := s.sh.Loop.Now()
	switch to := &s.fe.Timeouts; {
	case a.Time > 0:
		w.until = now + a.Time
	case to.Request > 0 && s.began >= 0:
		w.until = s.began + to.Request
	default:
		w.until = after(now, to.Client)
	}
	w.least = a.AtLeast
	if t.bodyThere() {
		return onward
	}
	if t.expects && t.ready == 0 && !t.continued && !t.invite() {
		t.clientAborted()
		return left
	}
	t.setAside()
	t.phase = phaseBody
	s.watch()
	return waits
}

// invite tells the client to send its body, which it waits to be asked for: the
// server is not asked before it is there.
func (t *txn) invite() (sent bool) {
	if t.clientMinor == 0 {
		return true
	}
	const text = "HTTP/1.1 100 Continue\r\n\r\n"
	n, _ := t.s.write([]byte(text))
	t.continued, t.expects = true, false
	t.s.sh.req.Del("expect")
	return n == len(text)
}

// hint sends the client what early-hint rules say; false when the client is
// gone. In HTTP/1.0 there are no such responses.
func (t *txn) hint(x *sample.Ctx) (goOn bool) {
	text := x.Hints
	x.Hints = text[:0]
	if t.clientMinor == 0 && !t.rec.HTTP2 {
		return true
	}
	for len(text) > 0 {
		head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		one := text[:min(len(head)+4, len(text))] // HTTP/2 takes one head at a time
		if n, _ := t.s.write(one); n < len(one) { // a client that has read nothing for long
			t.clientAborted()
			return false
		}
		text = text[len(one):]
	}
	return true
}

// bodyThere reports whether as much of the body is there as the rules wait for,
// or as there is room for.
func (t *txn) bodyThere() bool {
	return t.reqDone || t.await.least > 0 && t.bodySize() >= t.await.least || t.headLen+t.ready >= t.s.sh.eng.Limits.head()-reserve || len(t.s.in.Space()) == 0
}

// bodySize is how much of the body is there, without the framing of chunks.
func (t *txn) bodySize() int {
	if t.reqKind != http1.ChunkedBody || t.src == nil {
		return t.ready
	}
	n, _ := content(t.src.Data[t.src.R : t.src.R+t.ready])
	return n
}

// fillBody reads on until the rules can.
func (t *txn) fillBody() step {
	s := t.s
	for !t.bodyThere() {
		if !s.MayRead() && !s.EOF() {
			s.watch()
			return waits
		}
		space := s.in.Space()
		if t.reqKind == http1.LengthBody && t.reqLeft < int64(len(space)) {
			space = space[:t.reqLeft] // what follows is the next request's
		}
		n, st := s.read(space)
		switch st {
		case wire.Again:
			s.watch()
			return waits
		case wire.EOF, wire.Error:
			t.endAwait()
			t.clientAborted()
			return left
		}
		s.in.W += n
		t.rec.Received += uint64(n)
		if err := t.take(s.in); err != nil {
			t.endAwait()
			t.refuseBody(err)
			return left
		}
	}
	t.phase = phaseRoute
	t.endAwait()
	t.proceed(t.context())
	return left
}

// endAwait makes the head the shard's again.
func (t *txn) endAwait() {
	w := &t.await
	if w.head == nil {
		return
	}
	t.s.sh.req, w.head = *w.head, nil
	t.s.sh.eng.hold(-w.held)
	w.held = 0
}

// showBody lets rules see what is there of the body.
func (t *txn) showBody(x *sample.Ctx) {
	x.Chunked, x.BodySize = t.reqKind == http1.ChunkedBody, t.reqLeft+int64(t.ready)
	if t.src != nil {
		x.Body = t.src.Data[t.src.R : t.src.R+t.ready]
	}
}
