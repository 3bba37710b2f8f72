package stream

import "lbsyslogd/lb/http1"

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
	sh.parsed = nil
	be := t.choose(t.context())
	if be == nil {
		t.abort('S', 'C')
		return
	}
	t.enter(be)
	t.balance()
}
