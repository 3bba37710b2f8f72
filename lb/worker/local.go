package worker

import "lbsyslogd/lb/handoff"

// Local is the Source of a process without a master: it opens the sockets
// itself, or takes them from another process.
type Local struct {
	Opener *handoff.Opener
}

// Open opens all that the plan wants, or nothing.
func (s Local) Open(plan *Plan) (*handoff.Set, error) {
	refused := SocketErrors(handoff.Twice(plan.Wants))
	set := new(handoff.Set)
	for _, w := range handoff.PathsLast(plan.Wants) {
		if w.Network == "unix" && len(refused) > 0 {
			break
		}
		fd, err := s.Opener.Open(w)
		if err != nil {
			refused = append(refused, handoff.WantError{Where: w.Where, Text: err.Error()})
			continue
		}
		set.Add(w.Key(), fd)
	}
	if len(refused) > 0 {
		set.Close()
		s.Opener.Resume()
		return nil, refused
	}
	return set, nil
}
