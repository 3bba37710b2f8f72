package stream

import (
	"bytes"

	"lbsyslogd/lb/rule"
)

// http-after-response rules see every response that goes to a client, after all
// else has been decided: a server's, and ours (errors, redirects, returns,
// pages), which are made a head again for them.

// afterRules are those of the backend and those of the frontend.
func (t *txn) afterRules() (own, shared rule.Rules) {
	if t.be != nil && t.be.ID != t.s.fe.ID {
		own = t.be.Rules[rule.AfterResponse]
	}
	return own, t.s.fe.Rules[rule.AfterResponse]
}

// afterResponse runs the rules on the head in the shard's res.
func (t *txn) afterResponse() {
	own, shared := t.afterRules()
	if len(own) == 0 && len(shared) == 0 {
		return
	}
	x := t.context()
	x.Req, x.Res = nil, &t.s.sh.res
	own.Eval(x)
	shared.Eval(x)
	t.rec.Status = t.s.sh.res.Status()
}

// edits reports whether rules see a reply of ours. An answer to what was no
// request comes after none.
func (t *txn) edits() bool {
	own, shared := t.afterRules()
	return !t.rec.BadReq && len(own)+len(shared)+len(t.s.fe.ClientNames) > 0
}

// editReply lets the rules edit a reply's head, as b begins it: its last line
// and what becomes of the connection are still missing. It gives the whole head.
func (t *txn) editReply(b []byte) []byte {
	sh := t.s.sh
	h := &sh.res
	b = append(b, "\r\n"...)
	if _, err := h.ParseResponse(b); err != nil {
		return b // an errorfile's odd head is sent as it is
	}
	status, phrase := h.Status(), bytes.Clone(h.Reason())
	t.rec.Answered = true
	t.rec.Vars.EndRequest()
	t.afterResponse()
	switch now := h.Status(); {
	case now == 204: // RFC 9110 section 8.6
		h.Del("content-length")
	case now < 200: // an answer must follow it, and none does
		h.SetStatus(status, phrase)
		t.rec.Status = status
	}
	t.keep = t.keep && !h.TakeOptions().Close
	switch {
	case !t.keep:
		h.AddString("Connection", "close")
	case t.clientMinor == 0:
		h.AddString("Connection", "keep-alive")
	}
	if t.s.stream == nil {
		rename(h, t.s.fe.ClientNames)
	}
	sh.headBuf = h.Append(sh.headBuf[:0])
	return append(b[:0], sh.headBuf...)
}

// responseContent asks tcp-response content rules about a response's head;
// false when they ended the exchange.
func (t *txn) responseContent() (goOn bool) {
	rules := t.be.Rules[rule.TCPResponse]
	if len(rules) == 0 {
		return true
	}
	x := t.context()
	x.Req, x.Res = nil, &t.s.sh.res
	switch rules.Eval(x) {
	case rule.Continue, rule.Allow:
		return true
	}
	t.noResponse()
	t.rec.Status, t.rec.ResCaptures = -1, nil
	t.denyAnswer()
	return false
}
