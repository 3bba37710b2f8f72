package stream

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/rule"
)

// startTunnel begins a TCP mode session: the backend is chosen and the server
// connected at once, before the client has sent anything.
func (s *session) startTunnel() {
	sh := s.sh
	t := sh.newTxn(s)
	s.t, s.state = t, exchanging
	s.requests++
	r := &t.rec
	r.Frontend, r.Backend, r.Server = s.fe.Name, s.fe.Name, noServer
	t.reqKind, t.resKind, t.resHeadDone = http1.Tunnel, http1.Tunnel, true
	t.unread = true
	t.recordFlight()
	x := t.context()
	if !t.content(s.fe.Rules[rule.Content], x) {
		return
	}
	be := t.choose(x)
	if be == nil {
		t.abort('S', 'C')
		return
	}
	t.enter(be)
	if be.ID != s.fe.ID && !t.content(be.Rules[rule.Content], x) {
		return
	}
	t.direct(x)
	t.stick(x)
	x.UniqueID()
	t.balance()
}
