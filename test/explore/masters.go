package explore

import "errors"

// order puts an order into a worker's mail.
func (s *state) order(i worker, m message) {
	if s.p[i].alive {
		s.p[i].orders.put(m)
		return
	}
	s.drop(m)
}

// bear starts a worker; by is whose successor it is.
func (s *state) bear(i, by worker, l int8) {
	p := &s.p[i]
	p.alive, p.accepting = true, true
	if by == nobody {
		return
	}
	p.before[l] = before{at: living}
	s.l[l].ends = [2]worker{inMail, i}
	s.order(by, message{kind: successor, a: l})
}

// masters gives what a master can do, and its death.
func (w world) masters(s *state, do func(string, func(*state))) {
	if s.kills < w.most && !s.second && s.master < dead {
		do("is killed", func(s *state) { s.killMaster() })
	}
	if s.master < dead || s.master > finding {
		for i := range workers {
			if s.unheard[i] {
				do(hears[i], func(s *state) { s.exited(i) })
			}
		}
	}
	switch s.master {
	case idleMaster:
		if s.p[old].alive && s.current == old {
			do("starts fresh", func(s *state) { s.begin() })
		}
	case trying:
		switch {
		case !s.p[fresh].alive || s.current != old: // neverReady, or exited
		case !s.canary:
			do("drains old", func(s *state) { s.succeed(fresh, settled) })
		default:
			do("has old share", func(s *state) {
				s.order(old, message{kind: share})
				s.master = judging
			})
		}
	case judging:
		if s.p[fresh].alive && s.current == old {
			do("promotes fresh", func(s *state) {
				s.master = promoting
				if w.fault == drainsBeforePromoting {
					s.order(old, message{kind: drain})
					return
				}
				s.order(fresh, message{kind: promote})
			})
			do("takes fresh back", func(s *state) {
				s.order(old, message{kind: unshare})
				s.master = takingBack
			})
		}
	case promoting:
		do("drains old", func(s *state) {
			if w.fault == drainsBeforePromoting {
				s.order(fresh, message{kind: promote})
			}
			s.succeed(fresh, settled)
		})
	case takingBack:
		do("drains fresh", func(s *state) {
			s.order(fresh, message{kind: drain})
			s.master = settled
		})
	case settled:
		if c := s.current; c != nobody && c != newest && s.p[c].alive && !w.once {
			do("starts newest", func(s *state) { s.reload() })
		}
	case dead:
		do("is another one from now on", func(s *state) {
			s.second, s.master = true, finding
			for i := range workers {
				s.order(i, message{kind: adopt})
			}
		})
	case finding:
		for i := range workers {
			if s.p[i].alive && !s.p[i].introduced {
				return
			}
		}
		do("has found all workers", func(s *state) { s.found() })
	case following:
		if s.p[newest].alive {
			do("drains the one before newest", func(s *state) { s.succeed(newest, finished) })
		}
	}
}

// begin starts a worker for a reload.
func (s *state) begin() {
	s.master = trying
	s.bear(fresh, old, former)
	if !s.canary {
		return
	}
	p := &s.p[fresh]
	p.trial, p.accepting, p.next = true, false, back
	p.before[former].peer = true
	s.l[back].ends = [2]worker{fresh, inMail}
	s.order(old, message{kind: partner, a: back})
}

// reload starts the worker after that.
func (s *state) reload() {
	s.master = following
	s.bear(newest, s.current, further)
}

// succeed makes a worker the one that serves.
func (s *state) succeed(i worker, then stage) {
	if before := s.current; before != nobody && before != i {
		s.order(before, message{kind: drain})
	}
	s.current, s.master = i, then
}

// exited is what a living master does about a worker that was killed: the next one logs what was in flight.
func (s *state) exited(i worker) {
	s.unheard[i] = false
	for c := range s.p[i].flight {
		if s.p[i].flight[c] == inFlight {
			s.lines[c]++
		}
	}
	trial := s.canary && (s.master == trying || s.master == judging)
	switch {
	case i == fresh && trial: // lostTrial
		s.order(old, message{kind: unshare})
		s.master = settled
	case i == fresh && s.master == trying: // neverReady
		s.master = settled
	case i == old && s.current == old && trial: // there is nothing to compare with
		s.order(fresh, message{kind: drain})
		s.replace()
	case i == old && s.current == old && s.master == trying: // the new one is ready in a moment
		s.succeed(fresh, settled)
	case i == newest && s.master == following:
		s.master = finished
	case i == s.current && s.master == following:
		s.succeed(newest, finished)
	case i == s.current && s.master != promoting:
		s.replace()
	}
}

// replace starts a worker for one that was killed.
func (s *state) replace() {
	s.current = nobody
	if s.p[newest].alive || s.died[newest] {
		s.master = finished
		return
	}
	s.bear(newest, nobody, 0)
	s.current, s.master = newest, finished
}

// killMaster ends the master. Workers notice it, but for those whose connection the service manager keeps.
func (s *state) killMaster() {
	s.kills++
	promoted := s.master >= promoting && s.current == fresh
	s.master = dead
	for i := range workers {
		if s.unheard[i] {
			s.unheard[i], s.unread = false, true
		}
		if !s.kept || i == fresh && s.canary && !promoted {
			s.order(i, message{kind: masterGone})
		}
	}
}

// found is what the next master does when all workers have introduced themselves.
func (s *state) found() {
	s.current = nobody
	for i := range workers {
		if s.p[i].alive && s.p[i].leaving == 0 {
			s.current = i
		}
	}
	for i := range workers {
		if s.p[i].alive && s.p[i].leaving == 0 && i != s.current {
			s.order(i, message{kind: drain})
		}
	}
	switch {
	case s.p[newest].alive || s.died[newest]:
		s.master = finished
	case s.current == nobody:
		s.replace()
	default:
		s.reload()
	}
}

// check is what must hold in every state, and in the last ones.
func (w world) check(s *state, last bool) error {
	if s.wrong != 0 {
		return errors.New(wrongs[s.wrong])
	}
	lost := s.died != [workers]bool{}
	accepting := false
	for i := range s.p {
		accepting = accepting || s.p[i].alive && (s.p[i].accepting || s.p[i].orders.has(promote))
		if last && s.p[i].alive && s.p[i].leaving > 0 {
			return errors.New("a worker never leaves")
		}
	}
	if !lost && !accepting {
		return errors.New("nobody accepts")
	}
	for c := range int8(clients) {
		readers, there := 0, s.come[c] && !s.gone[c] && !s.cut[c]
		for i := range s.p {
			if s.p[i].alive && s.p[i].at[c] == serving {
				readers++
			}
		}
		switch {
		case readers > 1:
			return errors.New("two workers read from one connection")
		case there && s.holders(c) == 0:
			return errors.New("nobody has a connection")
		case last && there && readers == 0:
			return errors.New("nobody reads from a connection")
		case s.lines[c] > 1:
			return errors.New("a request has two lines")
		case last && !lost && s.come[c] && s.lines[c] == 0:
			return errors.New("a request has no line")
		case last && s.cut[c] && s.busy[c] && s.read[c] != nobody && !s.dumb[c] && s.lines[c] == 0 && !s.unread && s.kills == 1:
			return errors.New("a request that a killed worker had has no line")
		}
	}
	if last && !lost && !s.gaveUp { // whoever was given up does not hear the counts
		for i := range workers {
			if s.p[i].alive && s.snapshot(i) != s.all {
				return errors.New("what the workers have counted is not what has happened")
			}
		}
	}
	return nil
}
