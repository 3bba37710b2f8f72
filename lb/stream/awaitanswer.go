package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// http-response rules can wait for the response's body, too (wait-for-body). It is
// read into the buffer that the head came in, after it. Meanwhile the head, as rules
// have changed it so far, is set aside: the shard's is another answer's by then.

// heldAnswer is where the rules stopped, and for what.
type heldAnswer struct {
	rule   int  // which one is next
	shared bool // of the frontend's, else of the backend's
	until  int64
	least  int // bytes; 0: all

	head http1.Head // set aside
	size int        // of the head that the server has sent
	held int        // counted in the budget
}

// awaitSaid has the rules wait for the body; onward means that there is nothing to
// wait for.
func (t *txn) awaitSaid(a sample.Await, next int) step {
	sh := t.s.sh
	if t.hit() || t.readSaid(a.AtLeast) == onward {
		return onward
	}
	w := &heldAnswer{rule: next, until: sh.Loop.Now() + a.Time, least: a.AtLeast, size: t.bodyAt - t.res.R}
	w.head, sh.res = sh.res, http1.Head{MaxFields: sh.res.MaxFields}
	w.held = sh.Loop.Buffers.Size()
	sh.eng.hold(w.held)
	t.answer, t.resHeadDone = w, false
	return waits
}

// saidThere reports whether as much of the body is there as the rules wait for, or
// as there is room for.
func (t *txn) saidThere(least int) bool {
	b := t.bodySaid()
	switch {
	case t.resKind == http1.NoBody || t.resKind == http1.Tunnel, t.c.EOF():
		return true
	case t.res.Len() >= t.s.sh.eng.Limits.head()-reserve || len(t.res.Space()) == 0:
		return true
	case t.resKind == http1.ChunkedBody:
		n, whole := content(b.Bytes)
		return whole || least > 0 && n >= least
	}
	return least > 0 && len(b.Bytes) >= least || t.resKind == http1.LengthBody && int64(len(b.Bytes)) >= t.resLeft
}

// content counts the bytes in chunks, and reports whether they are all there, or
// never will be.
func content(b []byte) (size int, whole bool) {
	var ch http1.Chunks
	for len(b) > 0 && !ch.Done() {
		n, data, err := ch.Next(b)
		if err != nil {
			return size, true // whoever takes the body will say so
		}
		if data {
			size += n
		}
		b = b[n:]
	}
	return size, ch.Done()
}

// bodySaid is what is there of the response's body while rules see it.
func (t *txn) bodySaid() sample.Body {
	if t.bodyAt == 0 || t.res == nil {
		return sample.Body{Size: -1}
	}
	end := min(t.res.W, max(t.bodyAt, t.res.R+t.s.sh.eng.Limits.head()-reserve))
	b := sample.Body{Bytes: t.res.Data[t.bodyAt:end], Chunked: t.resKind == http1.ChunkedBody, Size: -1}
	switch t.resKind {
	case http1.LengthBody:
		b.Bytes, b.Size = b.Bytes[:min(int64(len(b.Bytes)), t.resLeft)], t.resLeft
	case http1.NoBody:
		b.Bytes = nil
	}
	return b
}

// fillSaid reads on until the rules can go on, and has them do so.
func (t *txn) fillSaid() step {
	if t.readSaid(t.answer.least) != onward {
		return waits
	}
	size := t.answer.size
	t.endAnswer()
	return t.answerRules(size)
}

// readSaid reads of the body what rules wait for; onward means that it is there, or
// that no more will come.
func (t *txn) readSaid(least int) step {
	sh := t.s.sh
	for !t.saidThere(least) {
		n, st := t.c.Read(t.res.Space())
		switch st {
		case wire.Again:
			return waits
		case wire.OK:
			t.res.W += n
			t.srvAct = sh.Loop.Now()
			t.took(n)
		default: // what is missing is found when the body is sent on
			return onward
		}
	}
	return onward
}

// endAnswer makes the head the shard's again.
func (t *txn) endAnswer() {
	w, sh := t.answer, t.s.sh
	sh.res, w.head = w.head, http1.Head{}
	sh.eng.hold(-w.held)
	t.resHeadDone = true
}

// dropAnswer forgets that the rules wait: the exchange ends otherwise.
func (t *txn) dropAnswer() {
	if t.answer != nil {
		t.s.sh.eng.hold(-t.answer.held)
		t.answer = nil
	}
}
