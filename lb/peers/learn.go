package peers

import "time"

// learning is how a section gets everything that its peers have. It is complete
// when one of them has said that this was everything; when each has sent what it
// has, and none of them was sure; or when there is nobody to ask for a while.
//
// Section.mu guards it.
type learning struct {
	complete bool
	teacher  *Peer // was asked
	deadline time.Time
	unsure   map[*Peer]bool // what they have may not be all
	taught   int            // how often everything came
}

// assign asks a peer for everything if that is to be done. mu is held.
func (s *Section) assign() {
	if s.complete || s.teacher != nil {
		return
	}
	for _, p := range s.Peers {
		if p.session == nil || s.unsure[p] {
			continue
		}
		s.teacher = p
		p.requests.Add(1)
		one := p.session
		one.mu.Lock()
		one.todo.ask = true
		one.mu.Unlock()
		one.rouse()
		return
	}
}

// learnt hears that a peer has sent everything that it has.
func (s *Section) learnt(p *Peer, one *session, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer one.rouse()
	if s.teacher != p || p.session != one {
		return
	}
	s.teacher = nil
	s.taught++
	if all {
		s.finish()
		return
	}
	if s.unsure == nil {
		s.unsure = map[*Peer]bool{}
	}
	s.unsure[p] = true
	if len(s.unsure) == len(s.Peers) {
		s.finish() // there is nobody else
		return
	}
	s.deadline = time.Now().Add(resyncTime)
	s.assign()
}

// finish ends the learning. mu is held.
func (s *Section) finish() {
	s.complete, s.teacher, s.unsure = true, nil, nil
}

// learn gives up when nobody can be asked for a while.
func (s *Section) learn() {
	for {
		s.mu.Lock()
		wait := time.Until(s.deadline)
		switch {
		case s.complete:
			s.mu.Unlock()
			return
		case s.teacher != nil: // its end is noticed
			wait = resyncTime
		case wait <= 0:
			s.finish()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return
		}
	}
}

// isTeacher reports whether a peer is sending everything.
func (s *Section) isTeacher(p *Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.teacher == p
}

func (s *Section) isComplete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.complete
}
