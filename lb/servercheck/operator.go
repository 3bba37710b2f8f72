package servercheck

import (
	"fmt"
	"strconv"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/health"
	"lbsyslogd/syslogd/message"
)

// What operators do with a server's agent, and with what an agent may change.

// SetAgent implements control.Runtime.
func (set *Set) SetAgent(be, server string, up bool) error {
	s, err := set.Find(be, server)
	if err != nil {
		return err
	}
	if _, _, off := s.agentState(); s.agent == nil || off {
		return control.ErrNoAgent
	}
	value, event := 0, health.SetDown
	if up {
		value, event = 1, health.SetUp
	}
	s.agent.Override(value)
	s.change(func() {
		if up != s.srv.Stats().Health {
			was := s.srv.Stats()
			s.srv.SetHealth(up)
			if up {
				s.srv.SetStopping(false)
			}
			s.event(event, false, severity(event, &was))
		}
	})
	return nil
}

// EnableAgent implements control.Runtime.
func (set *Set) EnableAgent(be, server string, on bool) error {
	s, err := set.Find(be, server)
	switch {
	case err != nil:
		return err
	case s.agent == nil && on:
		return control.ErrNoAgentConfigured
	case s.agent == nil:
		return nil
	}
	s.enableAgent(on)
	return nil
}

func (s *Server) enableAgent(on bool) {
	s.mu.Lock()
	s.agentOff = !on
	s.mu.Unlock()
	s.agent.Pause(!on)
}

// EnableHealth implements control.Runtime.
func (set *Set) EnableHealth(be, server string, on bool) error {
	s, err := set.Find(be, server)
	switch {
	case err != nil:
		return err
	case s.checks == nil && on:
		return control.ErrNoCheck
	case s.checks == nil:
		return nil
	}
	s.enableChecks(on)
	return nil
}

// enableChecks begins to check, or stops: enable health, disable health. What
// the checks found last stays.
func (s *Server) enableChecks(on bool) {
	s.mu.Lock()
	s.checksOff = !on
	s.mu.Unlock()
	s.checks.Pause(!on || s.inMaintenance())
}

func (s *Server) areChecksOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checksOff
}

// ShutServer implements control.Runtime.
func (set *Set) ShutServer(be, server string) error {
	s, err := set.Find(be, server)
	if err == nil && set.Cut != nil {
		set.Cut(s.srv, 'K')
	}
	return err
}

// AgentTarget implements control.Runtime.
func (set *Set) AgentTarget(be, server, addr string, port int) error {
	s, err := set.Find(be, server)
	if err != nil {
		return err
	}
	if s.agent == nil {
		return control.ErrNoAgent
	}
	p := s.Places()
	if addr != "" {
		p.AgentAddr = addr
	}
	if port != 0 {
		p.AgentPort = port
	}
	s.SetPlaces(p)
	return nil
}

// CheckTarget implements control.Runtime.
func (set *Set) CheckTarget(be, server, addr string, port int) error {
	s, err := set.Find(be, server)
	switch {
	case err != nil:
		return err
	case s.checks == nil:
		return control.ErrNotChecked
	}
	p := s.Places()
	if addr != "" {
		p.CheckAddr = addr
	}
	if port != 0 {
		p.CheckPort = port
	}
	s.SetPlaces(p)
	return nil
}

// AgentSend implements control.Runtime.
func (set *Set) AgentSend(be, server, text string) error {
	s, err := set.Find(be, server)
	if err != nil {
		return err
	}
	if s.agent == nil {
		return control.ErrNoAgent
	}
	s.agent.Change(func(s *health.Spec) { s.Ask(text) })
	return nil
}

// SetMaxConn implements control.Runtime.
func (set *Set) SetMaxConn(be, server string, n int) error {
	s, err := set.Find(be, server)
	if err == nil {
		s.srv.SetMaxConn(places(n))
	}
	return err
}

// SetAdmin implements control.Runtime.
func (set *Set) SetAdmin(be, server string, a control.AdminChange) error {
	s, err := set.Find(be, server)
	if err != nil {
		return err
	}
	s.admin(a)
	return nil
}

// admin changes the administrative state, because an operator or the agent
// says so.
func (s *Server) admin(a control.AdminChange) {
	s.change(func() {
		was := s.srv.Stats()
		before := was.Admin
		after := before & (backend.Tracked | backend.ConfigMaint | backend.NoAddress)
		switch a {
		case control.Drain:
			after |= backend.ForcedDrain
		case control.Maint:
			after |= backend.ForcedMaint
		}
		if before == after {
			return
		}
		if s.checks != nil {
			s.checks.Pause(a == control.Maint || s.areChecksOff())
		}
		const own = backend.ForcedMaint
		switch { // leaving maintenance, a server is up until a check fails
		case after&own != 0:
			s.override(0)
		case before&own != 0:
			s.override(s.rise())
			s.srv.SetHealth(s.up() && (s.tracks == nil || s.tracks.srv.Stats().Health))
			s.srv.SetStopping(s.tracks != nil && s.tracks.srv.Stats().Stopping)
		}
		s.srv.SetAdmin(after)
		s.wasInMaintenance() // notes it
		s.administered(was)
	})
}

// SetWeight implements control.Runtime.
func (set *Set) SetWeight(be, server string, weight int) error {
	s, err := set.Find(be, server)
	if err == nil {
		s.change(func() { s.srv.SetWeight(weight) })
	}
	return err
}

// SetHealth implements control.Runtime.
func (set *Set) SetHealth(be, server string, h control.Health) error {
	s, err := set.Find(be, server)
	if err != nil {
		return err
	}
	if s.tracks != nil {
		return control.ErrTracking
	}
	event, up, value := health.SetUp, true, fullHealth
	switch h {
	case control.HealthStopping:
		event = health.SetStopping
	case control.HealthDown:
		event, up, value = health.SetDown, false, 0
	}
	stopping := h == control.HealthStopping
	s.override(value)
	s.change(func() {
		was := s.srv.Stats()
		if was.Admin&backend.Maint != 0 || was.Health == up && was.Stopping == stopping {
			return
		}
		s.srv.SetHealth(up)
		s.srv.SetStopping(stopping)
		s.event(event, false, severity(event, &was))
	})
	return nil
}

// severity is that of the lines about what an operator made of a server's health.
func severity(e health.Event, was *backend.ServerStats) message.Severity {
	if e == health.SetDown && !leaving(was) {
		return message.Alert
	}
	return message.Notice
}

// ChangedByOperators says what of the server is other than the configuration
// has it, because an operator or an agent said so.
func (s *Server) ChangedByOperators() []string {
	st := s.srv.Stats()
	var list []string
	if st.Weight != s.srv.Initial {
		list = append(list, fmt.Sprintf("weight %d, configured %d", st.Weight, s.srv.Initial))
	}
	if st.MaxConn != s.srv.MaxConn {
		list = append(list, fmt.Sprintf("maxconn %s, configured %s", shownPlaces(st.MaxConn), shownPlaces(s.srv.MaxConn)))
	}
	const forced = backend.ForcedMaint | backend.ForcedDrain | backend.ConfigMaint
	if now := st.Admin & forced; now != s.srv.InitialAdmin&forced {
		list = append(list, "state "+adminName(now)+", configured "+adminName(s.srv.InitialAdmin))
	}
	if s.saidDown() {
		list = append(list, "health down")
	}
	if now, was := s.Places(), s.Configured(); now != was {
		list = append(list, "checks at "+now.String()+", configured "+was.String())
	}
	if s.areChecksOff() && !s.Added() {
		list = append(list, "health checks disabled")
	}
	if _, _, off := s.agentState(); off && s.agent != nil && !s.Added() {
		list = append(list, "agent checks disabled")
	}
	return list
}

func shownPlaces(n int) string {
	if n == backend.Unlimited {
		return "none"
	}
	return strconv.Itoa(n)
}

func adminName(a backend.Admin) string {
	switch {
	case a&backend.Maint != 0:
		return "maint"
	case a&backend.Drain != 0:
		return "drain"
	}
	return "ready"
}

// ForgetOperators makes of the server what the configuration says.
func (s *Server) ForgetOperators() {
	st := s.srv.Stats()
	if st.Weight != s.srv.Initial {
		s.change(func() { s.srv.SetWeight(s.srv.Initial) })
	}
	if st.MaxConn != s.srv.MaxConn {
		s.srv.SetMaxConn(s.srv.MaxConn)
	}
	const forced = backend.ForcedMaint | backend.ForcedDrain | backend.ConfigMaint
	if now, was := st.Admin&forced, s.srv.InitialAdmin&forced; now != was {
		switch {
		case was&backend.Maint != 0:
			s.admin(control.Maint)
		case was&backend.Drain != 0:
			s.admin(control.Drain)
		default:
			s.admin(control.Ready)
		}
	}
	if s.saidDown() {
		s.change(func() { s.srv.SetHealth(true) })
	}
	if s.Places() != s.Configured() {
		s.SetPlaces(s.Configured())
	}
	if s.checks != nil && s.areChecksOff() {
		s.enableChecks(true)
	}
	if _, _, off := s.agentState(); off && s.agent != nil {
		s.enableAgent(true)
	}
}
