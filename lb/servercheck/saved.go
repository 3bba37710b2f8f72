package servercheck

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/stats"
)

// Saved is a server's line in a server state file: what `show servers state` has
// written, HAProxy's or lb's, for a process that begins with no worker before it.
type Saved struct {
	Backend, Server string
	Addr            netip.Addr // invalid: none, or a socket's path
	FQDN            string     // the name that Addr came from; "" for none
	Port            int        // 0: none

	state        stats.State
	admin        stats.Admin
	weight       int
	configured   int           // the weight that the configuration had
	since        time.Duration // the last change of state is so long ago
	health       int
	checksOff    bool
	agentOff     bool
	places       Places
	configMaint  bool
	operatorsOff bool // in maintenance by an operator, or by the configuration
}

// ParseSaved reads a server state file of version 1. One line with another number
// of fields than the format has spoils the file; refused names the servers whose
// fields make no sense.
func ParseSaved(text []byte) (list []Saved, refused []error, err error) {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if v := strings.TrimSpace(string(first)); v != "1" {
		return nil, nil, fmt.Errorf("line 1: expected the version of the format, 1, but got %q; write the file with 'show servers state'", v)
	}
	n := 1
	for line := range bytes.Lines(rest) {
		n++
		f := strings.Fields(string(line))
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		if len(f) < 20 || len(f) > 25 {
			return nil, nil, fmt.Errorf("line %d: %d fields, a server has 20 to 25; write the file with 'show servers state'", n, len(f))
		}
		v, err := parseSaved(f)
		if err != nil {
			refused = append(refused, fmt.Errorf("line %d: server %s/%s: %w", n, f[1], f[3], err))
			continue
		}
		list = append(list, v)
	}
	return list, refused, nil
}

// parseSaved reads one line of 20 to 25 fields.
func parseSaved(f []string) (v Saved, err error) {
	field := func(i int, name string, high int) (n int) {
		if i >= len(f) {
			return 0
		}
		m, bad := strconv.ParseUint(f[i], 10, 31)
		if (bad != nil || int(m) > high) && err == nil {
			err = fmt.Errorf("%s is '%s', expected a number from 0 to %d", name, f[i], high)
		}
		return int(m)
	}
	text := func(i int) string {
		if i >= len(f) || f[i] == "-" {
			return ""
		}
		return f[i]
	}
	const big = 1<<31 - 1
	v = Saved{Backend: f[1], Server: f[3], FQDN: text(17)}
	v.Addr, _ = netip.ParseAddr(f[4])
	v.state = stats.State(field(5, "srv_op_state", 3))
	v.admin = stats.Admin(field(6, "srv_admin_state", 127))
	v.weight, v.configured = field(7, "srv_uweight", 256), field(8, "srv_iweight", 256)
	v.since = time.Duration(field(9, "srv_time_since_last_change", big)) * time.Second
	v.health = field(12, "srv_check_health", big)
	checks, agent := field(13, "srv_check_state", 15), field(14, "srv_agent_state", 31)
	v.Port = field(18, "srv_port", 65535)
	v.places = Places{CheckPort: field(21, "srv_check_port", 65535), CheckAddr: text(22), AgentAddr: text(23), AgentPort: field(24, "srv_agent_port", 65535)}
	const configured, enabled = 2, 4
	v.checksOff, v.agentOff = checks&(configured|enabled) == configured, agent&(configured|enabled) == configured
	v.configMaint = v.admin&stats.ConfigMaint != 0
	v.operatorsOff = v.admin&stats.ForcedMaint != 0
	if v.operatorsOff && v.admin&stats.ForcedDrain != 0 && err == nil {
		err = fmt.Errorf("srv_admin_state is '%s', which is maintenance and drain at once", f[6])
	}
	return v, err
}

// Load gives the server the state of a file. What the configuration has changed
// since is the configuration's: its weight, and whether it says `disabled`. None of
// it is an event. backend.Backend.Restored must follow.
func (s *Server) Load(v *Saved) {
	now := time.Now()
	st := State{Server: backend.State{
		Weight: v.weight, InitialWeight: v.configured, Admin: s.savedAdmin(v), InitialAdmin: s.srv.InitialAdmin,
		Health: v.state != stats.Stopped, Stopping: v.state == stats.Stopping, Change: now.Add(-v.since).UnixMilli(),
	}}
	if v.state == stats.Starting {
		st.Server.Started = st.Server.Change
	}
	if s.checks != nil {
		_, rise, fall := s.checks.Health()
		st.Off, st.Checks = v.checksOff, savedHealth(v, rise, fall)
		st.Server.Health = st.Checks >= rise || v.state == stats.Starting
		st.Server.Stopping = st.Server.Stopping && fall > 1
	}
	if s.agent != nil {
		health, _, _ := s.agent.Health()
		st.Agent = &AgentState{Health: health, Off: v.agentOff}
	}
	// Without checks only an operator's word keeps it down: one that was in
	// maintenance, for whatever reason, is up once the reason is gone.
	if !s.srv.Checked && s.opt.Track == "" && v.state == stats.Stopped && !v.admin.Maint() && !v.configMaint {
		s.srv.SetHealth(false)
	}
	s.Restore(st)
	p := s.Places()
	if v.places.CheckPort != 0 {
		p.CheckPort = v.places.CheckPort
	}
	if v.places.CheckAddr != "" {
		p.CheckAddr = v.places.CheckAddr
	}
	if v.places.AgentPort != 0 && s.agent != nil {
		p.AgentPort = v.places.AgentPort
	}
	if v.places.AgentAddr != "" && s.agent != nil {
		p.AgentAddr = v.places.AgentAddr
	}
	if p != s.Places() {
		s.SetPlaces(p)
	}
}

// savedAdmin is the administrative state that the server begins with.
func (s *Server) savedAdmin(v *Saved) backend.Admin {
	admin := s.srv.InitialAdmin
	if disabled := admin&backend.ConfigMaint != 0; disabled == v.configMaint {
		switch {
		case v.operatorsOff:
			admin |= backend.ForcedMaint
		default:
			admin &^= backend.ForcedMaint
		}
	}
	// A server of weight 0 drains by itself: with a weight again it does not.
	if admin&backend.ForcedMaint == 0 && v.admin&stats.ForcedDrain != 0 && (v.configured > 0 || s.srv.Initial == 0) {
		admin |= backend.ForcedDrain
	}
	return admin | s.srv.Stats().Admin&backend.NoAddress
}

// savedHealth is the health that the checks go on from.
func savedHealth(v *Saved, rise, fall int) int {
	full := rise + fall - 1
	switch v.state {
	case stats.Stopped:
		return 0
	case stats.Starting:
		if rise == 1 {
			return full
		}
		return min(max(v.health, 1), rise-1)
	case stats.Stopping:
		if fall == 1 {
			return 0
		}
		return min(max(v.health, rise), full-1)
	}
	return full
}
