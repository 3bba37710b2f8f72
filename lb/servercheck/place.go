package servercheck

import (
	"cmp"
	"net"
	"strconv"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/health"
)

// Where a server, its checks and its agent are can be changed while the process
// serves: set server addr, check-addr, check-port, agent-addr, agent-port.

// Places are where the checks and the agent of a server connect to, as far as it
// is not where the server is: "" and 0.
type Places struct {
	CheckAddr string `json:"check_addr,omitempty"`
	CheckPort int    `json:"check_port,omitempty"`
	AgentAddr string `json:"agent_addr,omitempty"`
	AgentPort int    `json:"agent_port,omitempty"`
}

// String is for operators.
func (p Places) String() string {
	word := func(addr string, port int) string {
		if addr == "" && port == 0 {
			return "the server's address"
		}
		return net.JoinHostPort(cmp.Or(addr, "*"), strconv.Itoa(port))
	}
	text := word(p.CheckAddr, p.CheckPort)
	if p.AgentAddr != "" || p.AgentPort != 0 {
		text += " (agent " + word(p.AgentAddr, p.AgentPort) + ")"
	}
	return text
}

// Configured are the places that the configuration has.
func (s *Server) Configured() Places {
	return Places{s.opt.CheckAddr, s.opt.CheckPort, s.opt.AgentAddr, s.opt.AgentPort}
}

// Places are the present ones.
func (s *Server) Places() Places {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places
}

// SetPlaces changes them.
func (s *Server) SetPlaces(p Places) {
	s.mu.Lock()
	s.places = p
	s.mu.Unlock()
	s.aim()
}

// Added reports whether an operator added the server.
func (s *Server) Added() bool { return s.opt.Added }

// Checked reports whether the configuration has checks for it.
func (s *Server) Checked() bool { return s.checks != nil }

// Moved is called when an operator has given the server another address: its
// checks go there, and it has one.
func (s *Server) Moved() {
	s.aim()
	s.resolved(s.srv.Addr().Path != "" || s.srv.Addr().IP.Addr().IsValid())
}

// aim points the checks and the agent to their places.
func (s *Server) aim() {
	p := s.Places()
	if s.checks != nil {
		s.checks.Change(func(spec *health.Spec) {
			at, ok := reach(s.srv.Addr(), p.CheckAddr, p.CheckPort)
			switch {
			case spec.Where != nil:
				spec.Where = func() string { at, _ := reach(s.srv.Addr(), p.CheckAddr, p.CheckPort); return at }
			case ok:
				spec.Network, spec.Address = "tcp", at
			}
		})
	}
	if s.agent != nil {
		s.agent.Change(func(spec *health.Spec) {
			if at, ok := reach(s.srv.Addr(), p.AgentAddr, p.AgentPort); ok {
				spec.Address = at
			}
		})
	}
}

// reach is a place as far as it is given, and the server's own otherwise; false
// for one at the path of a socket.
func reach(own *backend.Addr, host string, port int) (string, bool) {
	if host == "" {
		if own.Path != "" {
			return "", false
		}
		host = own.IP.Addr().String()
	}
	if port == 0 {
		port = int(own.IP.Port())
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), true
}
