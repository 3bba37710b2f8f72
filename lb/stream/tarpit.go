package stream

import (
	"bytes"

	"lbsyslogd/lb/sample"
)

// heldReply is an answer that http-request tarpit holds back.
type heldReply struct {
	until int64 // ms on the loop's clock
	reply sample.Reply
}

// tarpit keeps the answer in the context's Reply until timeout tarpit is over.
func (t *txn) tarpit() {
	s, sh := t.s, t.s.sh
	wait := s.fe.Timeouts.Tarpit
	if t.be != nil {
		wait = t.be.Timeouts.Tarpit
	}
	r := sh.ctx.Reply
	r.Header, r.Body, r.Reason = bytes.Clone(r.Header), bytes.Clone(r.Body), bytes.Clone(r.Reason)
	t.held = &heldReply{until: sh.Loop.Now() + wait, reply: r}
	t.phase = phaseTarpit
	t.rec.Term, t.rec.TR = [4]byte{'P', 'T', '-', '-'}, -1 // as HAProxy's, for which the request is not complete then
	s.watch()                                              // its abort must be noticed
}

// release answers after the time in the tarpit.
func (t *txn) release() {
	t.s.sh.ctx.Reply = t.held.reply
	t.held = nil
	t.rec.Tw = int32(t.s.sh.Loop.Now() - t.start)
	t.replyRule()
}
