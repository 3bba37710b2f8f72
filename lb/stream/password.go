package stream

import "lbsyslogd/lb/userlist"

// checkPassword makes sure that the rules need not compute a password's hash: that
// takes a millisecond and more, in which no other connection of the loop would
// move. It is done on a goroutine, once for each password and user; the answer
// is found by the rules afterwards. True when the exchange waits for it.
func (t *txn) checkPassword() (waits bool) {
	s, sh, gen := t.s, t.s.sh, t.gen
	if len(sh.eng.Userlists) == 0 || !s.http || t.doubt != nil {
		return false
	}
	d := userlist.Doubts(sh.eng.Userlists, sh.req.Get("authorization"))
	if d == nil {
		return false
	}
	t.phase = phaseWait
	s.watch()
	go func() {
		sh.eng.bench.Settle(d)
		sh.Loop.Post(func() {
			if t.gen != gen || t.phase != phaseWait {
				return
			}
			t.doubt, t.phase = d, phaseRoute
			t.reread()
			t.route()
			s.run()
		})
	}()
	return true
}

// reread makes sh.req this exchange's request again, as it came.
func (t *txn) reread() {
	sh := t.s.sh
	sh.req.Lax = t.s.fe.Lax
	b := t.s.in.Data[t.headOff : t.headOff+t.headLen]
	if _, err := sh.req.ParseRequest(b); err != nil {
		// It was accepted before, from the same bytes.
		sh.eng.Report("request head changed in its buffer: " + err.Error())
	}
	sh.req.Whole = t.s.stream != nil
}
