package stream

import "lbsyslogd/lb/sample"

// A frontend in mode tcp can serve HTTP: a rule says so (tcp-request content
// switch-mode http), or its rules choose a backend in mode http. The connection
// is then one of requests until it ends, and the bytes that rules have looked
// into are the first request's beginning. That request has gone through the
// frontend's tcp-request content rules; those after it go through all rules, as
// requests do. HTTP/2 begins anew with each stream.

// spoken is what a session's client speaks.
type spoken struct {
	http     bool         // requests are read: in mode http, and after an upgrade
	upgraded *upgrade     // its frontend is in mode tcp; nil almost always
	kept     *sample.Vars // those of an exchange that was taken back, for the next one
}

// upgrade is what an upgraded connection has besides.
type upgrade struct {
	looked bool     // the next request has gone through the frontend's content rules
	to     *Backend // which they have chosen, too; nil: not yet
}

// toHTTP takes the exchange back that was to be a tunnel, and has the session
// read requests: the first one goes to be, if that is not nil.
func (t *txn) toHTTP(be *Backend) step {
	s := t.s
	t.takeBack()
	s.dropHalf()
	s.dropLookups()
	s.http, s.upgraded, s.state = true, &upgrade{looked: true, to: be}, reading
	s.sh.Front[s.fe.Index].H1.Conns++
	return onward
}

// takeBack undoes the exchange but for what rules have tracked and set, which
// the next one has.
func (t *txn) takeBack() {
	s := t.s
	t.suspend()
	if t.rec.Vars.Any() {
		kept := t.rec.Vars
		s.kept, t.rec.Vars = &kept, sample.Vars{}
	}
	s.requests--
	s.t = nil
	s.sh.freeTxn(t)
}

// forgetRaw drops what rules have tracked and set before a connection of HTTP/2
// began: each of its streams goes through them.
func (s *session) forgetRaw() {
	if s.upgraded == nil {
		return
	}
	if s.suspended != nil {
		s.suspended.Release(s.sh.stickNow())
	}
	s.kept, s.suspended, s.upgraded = nil, nil, &upgrade{}
}

// looked reports whether the request has gone through the frontend's
// tcp-request content rules before it was one.
func (s *session) looked() bool {
	u := s.upgraded
	if u == nil || !u.looked {
		return false
	}
	u.looked = false
	return true
}

// chosen is the backend that was chosen before there was a request, and else
// what the rules say.
func (t *txn) chosen(x *sample.Ctx) *Backend {
	if u := t.s.upgraded; u != nil && u.to != nil {
		be := u.to
		u.to = nil
		return be
	}
	return t.choose(x)
}

// mayUpgrade reports whether connections of the frontend may be, or become,
// connections of requests.
func (fe *Frontend) mayUpgrade() bool { return fe.HTTP || fe.Upgrades }
