package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/rule"
)

// startTunnel begins a TCP mode session: the backend is chosen and the server
// connected at once, before the client has sent anything, unless rules look into
// that first (inspect.go). It waits when they want to see more.
func (s *session) startTunnel() step {
	sh := s.sh
	t := sh.newTxn(s)
	s.t, s.state = t, exchanging
	s.requests++
	r := &t.rec
	r.Frontend, r.Backend, r.Server = s.fe.Name, s.fe.Name, NoServer
	t.reqKind, t.resKind, t.resHeadDone = http1.Tunnel, http1.Tunnel, true
	t.unread = true
	if s.in != nil {
		t.src, t.ready = s.in, s.in.Len()
		r.Received = uint64(t.ready)
	}
	if s.kept != nil {
		t.rec.Vars, s.kept = *s.kept, nil
	}
	x := t.context()
	t.look(x, s.fe.Inspect)
	switch t.askContent(s.fe.Rules[rule.Content], x) {
	case rule.Wait:
		return t.undecided(s.fe.Inspect)
	case rule.Deny:
		t.denyContent()
		return onward
	case rule.SwitchHTTP:
		return t.toHTTP(nil)
	}
	x.Partial, x.HeadPartial = false, false
	be := t.choose(x)
	switch {
	case be == nil:
		t.nobody()
		return onward
	case be.HTTP:
		return t.toHTTP(be)
	}
	t.enter(be)
	if be.ID != s.fe.ID {
		t.look(x, be.Inspect)
		switch t.askContent(be.Rules[rule.Content], x) {
		case rule.Wait:
			return t.undecided(be.Inspect)
		case rule.Deny:
			t.denyContent()
			return onward
		}
		x.Partial, x.HeadPartial = false, false
	}
	s.dropHalf()
	s.dropLookups()
	t.recordFlight()
	t.direct(x)
	t.followRDP(x)
	t.stick(x)
	t.hashKey(x)
	x.UniqueID()
	t.balance()
	return onward
}
