package servercheck

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/stats"
)

// State is what the next worker takes over of a server.
type State struct {
	Server backend.State `json:"state"`
	Checks int           `json:"checks"`         // health as the checks count it
	Off    bool          `json:"off,omitempty"`  // disable health
	Down   bool          `json:"down,omitempty"` // without a check: set server health down
	Agent  *AgentState   `json:"agent,omitempty"`

	// Kept is of a state that is sent once more: only what is set is another, and not what was found of the server's health. Who checks it
	// since knows that better.
	Kept bool `json:"kept,omitempty"`

	// Found is what the last check found, for those who look; nil if there was
	// none, and from builds that did not send it.
	Found *Found `json:"found,omitempty"`
}

// Found is the outcome of a check as it is shown. It decides nothing.
type Found struct {
	Status   health.Status `json:"status"`
	Code     int           `json:"code,omitempty"`
	Duration time.Duration `json:"duration"`
	Info     string        `json:"info,omitempty"`
}

// found is nil if nothing is known.
func found(r health.Report, known bool) *Found {
	if !known {
		return nil
	}
	return &Found{r.Status, r.Code, r.Duration, r.Info}
}

// report is the outcome without what it meant for the server's health.
func (f *Found) report() health.Report {
	return health.Report{Status: f.Status, Code: f.Code, Duration: f.Duration, Info: f.Info}
}

// AgentState is what is known of a server's agent.
type AgentState struct {
	Health int  `json:"health"`
	Off    bool `json:"off,omitempty"` // disable agent

	// Heard is what its last answer said besides the health; nil from builds
	// that did not send it.
	Heard *health.Orders `json:"heard,omitempty"`

	Found *Found `json:"found,omitempty"` // by its last check
}

// State gives the server's state for the next worker.
func (s *Server) State() State {
	st := State{Server: s.srv.State(), Down: s.saidDown()}
	if s.checks != nil {
		st.Checks, _, _ = s.checks.Health()
		st.Off = s.areChecksOff()
		st.Found = found(s.state())
	}
	if s.agent != nil {
		st.Agent = new(AgentState)
		st.Agent.Health, _, _ = s.agent.Health()
		s.mu.Lock()
		heard := s.heard
		st.Agent.Off, st.Agent.Heard, st.Agent.Found = s.agentOff, &heard, found(s.lastAgent, s.agentKnown)
		s.mu.Unlock()
	}
	return st
}

// saidDown reports whether an operator's word alone keeps the server down, which nothing checks.
func (s *Server) saidDown() bool { return !s.srv.Checked && s.opt.Track == "" && !s.srv.State().Health }

// Restore gives the server the state that it had in the worker before. None of
// it is an event. backend.Backend.Restored must follow.
func (s *Server) Restore(st State) {
	if st.Down && !s.srv.Checked && s.opt.Track == "" {
		s.srv.SetHealth(false)
	}
	s.srv.Restore(st.Server)
	if s.agent != nil && st.Agent != nil {
		s.agent.Override(st.Agent.Health)
		s.enableAgent(!st.Agent.Off)
		s.restoreFound(&s.lastAgent, &s.agentKnown, st.Agent.Found)
		if h := st.Agent.Heard; h != nil {
			s.restoreHeard(*h, &st.Server)
		}
	}
	if s.checks != nil {
		s.checks.Override(st.Checks)
		s.enableChecks(!st.Off)
		s.restoreFound(&s.last, &s.known, st.Found)
	}
}

// Standing tells states apart that are worth sending once more: what operators, checks and agents made of a server.
type Standing struct {
	set   [2]int // weight, maxconn
	off   [2]bool
	found standing
}

// standing is what goes with the health.
type standing struct {
	admin                  backend.Admin
	health, stopping, down bool
}

// Standing is that of st, which the server had.
func (s *Server) Standing(st *State) Standing {
	x := Standing{set: [2]int{st.Server.Weight, st.Server.MaxConn}, off: [2]bool{st.Off, st.Agent != nil && st.Agent.Off}}
	x.found.admin = st.Server.Admin &^ (backend.Tracked | backend.NoAddress)
	if s.tracks == nil {
		x.found.health, x.found.stopping, x.found.down = st.Server.Health, st.Server.Stopping, st.Down
	}
	return x
}

// Healthy reports whether the two do not differ in what goes with the health.
func (x Standing) Healthy(before Standing) bool { return x.found == before.found }

// RestoreServing is Restore in a worker that serves already. settle must be called when backend.Backend.Restored was.
func (s *Server) RestoreServing(st State) (settle func()) {
	s.acting.Lock()
	defer s.acting.Unlock()
	was := s.srv.Stats()
	if st.Kept {
		own := s.State()
		own.Server.Weight, own.Server.MaxConn, own.Server.Admin = st.Server.Weight, st.Server.MaxConn, st.Server.Admin
		own.Server.InitialWeight, own.Server.InitialMaxConn, own.Server.InitialAdmin = st.Server.InitialWeight, st.Server.InitialMaxConn, st.Server.InitialAdmin
		own.Off = st.Off
		if own.Agent != nil && st.Agent != nil {
			own.Agent.Off, own.Agent.Heard = st.Agent.Off, st.Agent.Heard
		}
		st = own
	}
	if !st.Down && !s.srv.Checked && s.opt.Track == "" {
		s.srv.SetHealth(true)
	}
	s.Restore(st)
	return func() { s.settle(&was) }
}

// settle does what follows from a state that was restored. Nothing of it is an event: the worker before has told.
func (s *Server) settle(was *backend.ServerStats) {
	s.acting.Lock()
	defer s.acting.Unlock()
	if s.tracks != nil {
		st := s.tracks.srv.Stats()
		s.srv.SetTracked(st.Health, st.Stopping, tracked(st.Admin))
	}
	s.ensue(was)
	for _, f := range s.followers {
		before := f.srv.Stats()
		f.settle(&before)
	}
}

// restoreFound shows what the worker before found, until a check of this one has.
func (s *Server) restoreFound(last *health.Report, known *bool, f *Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f != nil && !*known {
		*last, *known = f.report(), true
	}
}

// restoreHeard notes what the agent said to the worker before. What the
// configuration has changed since is said anew.
func (s *Server) restoreHeard(h health.Orders, st *backend.State) {
	if st.InitialWeight != s.srv.Initial {
		h.Weight = nothingHeard.Weight
	}
	if st.InitialMaxConn != s.srv.MaxConn {
		h.MaxConn = nothingHeard.MaxConn
	}
	if st.InitialAdmin != s.srv.InitialAdmin {
		h.Admin = nothingHeard.Admin
	}
	s.mu.Lock()
	s.heard = h
	s.mu.Unlock()
}

// Servers implements control.Runtime.
func (set *Set) Servers(backend string) ([]control.ServerState, error) {
	servers, err := set.members(backend)
	if err != nil {
		return nil, err
	}
	var list []control.ServerState
	for _, s := range servers {
		if !s.srv.Unnamed {
			list = append(list, s.shown())
		}
	}
	return list, nil
}

// Server implements control.Runtime. Commands for one server of many cost no more
// than those for one of few.
func (set *Set) Server(backend, server string) (control.ServerState, error) {
	s, err := set.Find(backend, server)
	if err != nil {
		return control.ServerState{}, err
	}
	return s.shown(), nil
}

// members are the servers of a backend, or of all for "".
func (set *Set) members(backend string) ([]*Server, error) {
	set.mu.RLock()
	defer set.mu.RUnlock()
	if backend == "" {
		var all []*Server
		for _, m := range set.order {
			all = append(all, m.list...)
		}
		return all, nil
	}
	m := set.backends[backend]
	if m == nil {
		return nil, control.ErrNoBackend
	}
	return m.list, nil
}

// shown is the server's line of `show servers state`.
func (s *Server) shown() control.ServerState {
	st, at := s.srv.Stats(), s.Places()
	c := control.ServerState{
		BackendID: s.opt.BackendID, Backend: s.who.Backend, ID: s.srv.ID, Name: s.srv.Name,
		State: operational(st), Admin: stats.Admin(st.Admin), Weight: st.Weight, InitialWeight: s.srv.Initial,
		CheckStatus: int(health.INI), ForcedIDs: s.opt.ForcedIDs, TLS: s.opt.TLS && !s.isPlain(),
		LastChange: int(time.Since(st.Change) / time.Second), CheckPort: at.CheckPort, CheckAddr: at.CheckAddr,
	}
	if s.srv.Addr().Path != "" {
		c.Addr = s.srv.Addr().Path
	} else {
		c.Port, c.FQDN, c.Resolved = int(s.srv.Addr().IP.Port()), s.opt.Name, s.opt.Resolved
		if ip := s.srv.Addr().IP.Addr(); ip.IsValid() {
			c.Addr = ip.String()
		} else {
			c.Port = s.opt.Port
		}
	}
	if s.agent != nil {
		c.AgentState = control.CheckConfigured | control.CheckAgent
		if _, _, off := s.agentState(); !off {
			c.AgentState |= control.CheckEnabled
		}
		c.AgentAddr, c.AgentPort = at.AgentAddr, at.AgentPort
	}
	if s.checks == nil { // as HAProxy leaves it from the start on
		switch off := s.srv.InitialAdmin&backend.ForcedMaint != 0; {
		case s.opt.Added:
		case off:
			c.CheckState = control.CheckPaused
		case !s.tracksDisabled() && !s.wasInMaintenance():
			c.CheckHealth = cmp.Or(s.opt.Rise, 2) // its default of rise
		}
	} else {
		c.CheckState = control.CheckConfigured
		if !s.areChecksOff() {
			c.CheckState |= control.CheckEnabled
		}
		c.CheckHealth, _, _ = s.checks.Health()
		if st.Admin&backend.Maint != 0 {
			c.CheckState |= control.CheckPaused
		}
		if r, known := s.state(); known {
			c.CheckStatus, c.CheckResult = int(r.Status), r.Status.Result()
		}
	}
	return c
}

// SetPlain notes whether an operator has connections to it go without TLS.
func (s *Server) SetPlain(on bool) {
	s.mu.Lock()
	s.plain = on
	s.mu.Unlock()
}

func (s *Server) isPlain() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plain
}

// wasInMaintenance reports whether it is in maintenance of its own, or was, or went into
// another's while it was up.
func (s *Server) wasInMaintenance() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maintained = s.maintained || s.srv.Stats().Admin&backend.ForcedMaint != 0
	return s.maintained
}

// tracksDisabled reports whether the server that it tracks began with
// `disabled` on its line.
func (s *Server) tracksDisabled() bool {
	for t := s.tracks; t != nil; t = t.tracks {
		if t.srv.InitialAdmin&backend.ForcedMaint != 0 {
			return true
		}
	}
	return false
}

// operational is a server's state as HAProxy numbers it.
func operational(st backend.ServerStats) stats.State {
	switch {
	case !st.Usable:
		return stats.Stopped
	case st.Stopping:
		return stats.Stopping
	case st.Starting:
		return stats.Starting
	}
	return stats.Running
}

// Fill writes what is known of the server's health into its row of `show stat`.
func (s *Server) Fill(r *stats.Row, st *backend.ServerStats) {
	r.State, r.Admin, r.CheckConfigured, r.CheckDuration = operational(*st), stats.Admin(st.Admin), s.checks != nil && !s.areChecksOff(), -1
	r.Tracked, r.Observed, r.HanaFail = s.opt.Track, s.srv.Watch != nil, s.srv.Watch.Told()
	if s.agent != nil {
		r.AgentConfigured = true
		r.AgentHealth, r.AgentRise, r.AgentFall = s.agent.Health()
		r.AgentStatus, r.AgentDesc, r.AgentDuration = health.INI.String(), health.INI.Describe(), -1
		last, known, off := s.agentState()
		if known {
			r.AgentStatus, r.AgentDesc, r.AgentInfo = last.Status.String(), last.Status.Describe(), health.Printable(last.Info)
			r.AgentDuration = int(last.Duration / time.Millisecond)
			r.AgentCode, r.AgentHasCode = last.Code, last.Status.HasCode()
		}
		if off {
			r.AgentStatus = ""
		}
	}
	if s.tracks != nil {
		t := s.tracks
		for t.tracks != nil {
			t = t.tracks
		}
		r.TrackedChecked = t.checks != nil
		if _, _, off := t.agentState(); t.agent != nil && !off {
			r.TrackedAgent = true
			r.AgentHealth, _, _ = t.agent.Health()
		}
		if t.checks != nil {
			r.CheckHealth, r.CheckRise, r.CheckFall = t.checks.Health()
		}
	}
	if r.CheckConfigured {
		r.CheckHealth, r.CheckRise, r.CheckFall = s.checks.Health()
		r.CheckStatus, r.CheckDesc = health.INI.String(), health.INI.Describe()
		if last, known := s.state(); known {
			r.CheckStatus, r.CheckDesc, r.CheckInfo = last.Status.String(), last.Status.Describe(), health.Printable(last.Info)
			r.CheckDuration = int(last.Duration / time.Millisecond)
			if last.Status.HasCode() {
				r.CheckCode, r.CheckHasCode = last.Code, true
			}
			if last.Duration < 0 {
				r.CheckDuration = -1
			}
		}
	}
}

// header is the state that http-check send-state tells the server.
func (s *Server) header() string {
	st, be := s.srv.Stats(), s.be.Stats()
	row := stats.Row{Kind: stats.Server, State: operational(st), Admin: stats.Admin(st.Admin), Checks: stats.Checks{CheckConfigured: true}}
	row.CheckHealth, row.CheckRise, row.CheckFall = s.checks.Health()
	var b strings.Builder
	b.WriteString(row.StatusText())
	if ip := s.srv.Addr().IP; ip.IsValid() {
		fmt.Fprintf(&b, "; address=%s; port=%d", ip.Addr(), ip.Port())
	}
	fmt.Fprintf(&b, "; name=%s/%s; node=%s; weight=%d/%d; scur=%d/%d; qcur=%d", s.who.Backend, s.who.Server,
		s.set.Node, st.Share, be.Weight, st.Cur, be.Cur-be.Queued, st.Queued)
	if st.Starting {
		fmt.Fprintf(&b, "; throttle=%d%%", st.Throttle)
	}
	return b.String()
}
