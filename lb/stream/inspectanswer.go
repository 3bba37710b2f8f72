package stream

import (
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/wire"
)

// In mode tcp, tcp-response content rules may look into what the server says
// first. The client's bytes flow meanwhile; the server's are held, in the
// tunnel's own buffer, until the rules have decided, the buffer is full, the
// server has ended or tcp-response inspect-delay is over. Then stick
// store-response rules see the same bytes, and they go to the client.

// beginLooking has rules look into what the server says, if there are any.
func (t *txn) beginLooking(now int64) {
	if len(t.be.Rules[rule.TCPResponse]) == 0 {
		t.stuck()
		return
	}
	t.lookUntil = max(now+t.be.InspectAnswer, 1)
}

// lookAtAnswer asks the rules about what has come; onward means that they have
// let it pass.
func (t *txn) lookAtAnswer() step {
	sh := t.s.sh
	st := wire.Again
	if t.be.InspectAnswer > 0 { // else they are asked before anything is read
		st = t.fillAnswer()
	}
	ended := st == wire.EOF || st == wire.Error
	x := t.context()
	x.Buf = t.heard()
	x.Partial = !ended && st != wire.OK && sh.Loop.Now() < t.lookUntil
	v := t.be.Rules[rule.TCPResponse].Eval(x)
	switch v {
	case rule.Wait:
		if t.res != nil && t.res.Len() == 0 {
			sh.Loop.Buffers.Put(t.res)
			t.res = nil
		}
		return waits
	case rule.Continue, rule.Allow, rule.Close:
	default:
		t.unread = true
		if !t.s.outer().silent {
			t.rec.Sent += uint64(len(t.heard())) // as in HAProxy, which counts what it receives
		}
		t.denyAnswer()
		return left
	}
	t.lookUntil = 0
	t.stuck()
	if t.res != nil {
		t.resReady = t.res.Len()
	}
	switch {
	case v == rule.Close: // nothing more goes to the server either
		t.resDone, t.reqDone, t.unread = true, true, true
		t.dropUnsent()
	case ended:
		return t.serverEnded(st)
	}
	return onward
}

// denyAnswer ends an exchange whose server's bytes tcp-response content rules
// reject, or silent-drop drops, which HAProxy counts and logs as a request's.
func (t *txn) denyAnswer() {
	if t.s.outer().silent {
		t.drop()
		return
	}
	t.deniedAnswer()
	t.abort('P', 'D')
}

// drop ends an exchange for silent-drop, as the server's answer was about to
// go to the client.
func (t *txn) drop() {
	t.denied()
	t.unread = true
	t.abort('P', 'R')
}

// heard is what the server has sent so far.
func (t *txn) heard() []byte {
	if t.res == nil {
		return []byte{}
	}
	return t.res.Bytes()
}

// fillAnswer reads what the server has sent, after what is there; OK means that
// no more fits.
func (t *txn) fillAnswer() wire.Status {
	sh, c := t.s.sh, t.c
	for {
		if t.res == nil {
			if !c.MayRead() && !c.EOF() {
				return wire.Again
			}
			t.res = sh.Loop.Buffers.Get()
			t.res.Reset()
		}
		if len(t.res.Space()) == 0 {
			return wire.OK
		}
		n, st := c.Read(t.res.Space())
		if st != wire.OK {
			return st
		}
		t.res.W += n
		t.srvAct = sh.Loop.Now()
		t.took(n)
	}
}
