package backend

// State is what a server is at run time: what the next process takes over.
type State struct {
	Weight   int   `json:"weight"`
	Admin    Admin `json:"admin"`
	Health   bool  `json:"health"`
	Stopping bool  `json:"stopping,omitempty"`
	Credit   int   `json:"credit"` // the round robin position

	// As the configuration had them: a value an operator changed is kept only
	// while the configuration's own stays the same.
	InitialWeight int   `json:"initial_weight"`
	InitialAdmin  Admin `json:"initial_admin"`
}

// State gives s's state for the next process.
func (s *Server) State() State {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	return State{
		Weight: s.weight, Admin: s.admin, Health: s.health, Stopping: s.stop, Credit: s.credit,
		InitialWeight: s.Initial, InitialAdmin: s.InitialAdmin,
	}
}

// Restore takes an earlier process's state over.
func (s *Server) Restore(st State) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.transition(func() {
		if st.InitialWeight == s.Initial {
			s.weight = st.Weight
		}
		if st.InitialAdmin == s.InitialAdmin {
			s.admin = st.Admin
		}
		s.stop, s.credit = st.Stopping, st.Credit
		if s.Checked {
			s.health = st.Health
		}
	})
}

// Admit takes a place on s for a connection that is there already, whatever
// s's state and maxconn: one that came from an earlier process.
func (b *Backend) Admit(s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(s)
}

// SetOthers tells how many places on s earlier processes hold: they count for
// maxconn and for the choice of the least loaded server as those of this one.
func (s *Server) SetOthers(n int) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	freed := n < s.others
	s.others = n
	if freed {
		s.b.grant(s)
	}
}
