package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lbsyslogd/lb/health"
)

// serverCheckTable holds the words of server lines about what is known of the
// server: agents, the TLS of checks, what the traffic tells, tracking.
func serverCheckTable() []row[*Server] {
	text := func(set func(s *Server, word string)) func(*call, *Server) error {
		return func(c *call, s *Server) error { set(s, c.args[0]); return nil }
	}
	flag := func(set func(s *Server)) func(*call, *Server) error {
		return func(_ *call, s *Server) error { set(s); return nil }
	}
	span := func(unit, least time.Duration, set func(s *Server, d time.Duration)) func(*call, *Server) error {
		return func(c *call, s *Server) error {
			d, err := duration(c.name, c.args[0], unit)
			if err == nil && d < least {
				err = fmt.Errorf("'%s' must be more than 0", c.name)
			}
			set(s, d)
			return err
		}
	}
	const big = 1<<31 - 1
	return []row[*Server]{
		{name: "agent-addr", args: "<address>", min: 1, apply: func(c *call, s *Server) error {
			host, port, err := c.p.probeAddress(c.name, c.args[0])
			if err == nil && port != 0 {
				err = fmt.Errorf("'%s' has no port: write 'agent-port %d'", c.name, port)
			}
			s.AgentAddr = host
			return err
		}},
		{name: "agent-check", apply: flag(func(s *Server) { s.Agent = true })},
		{name: "agent-inter", args: "<time>", min: 1, apply: span(time.Millisecond, 1, func(s *Server, d time.Duration) { s.AgentInter = d })},
		{name: "agent-port", loose: cutsTail, args: "<port>", min: 1, apply: func(c *call, s *Server) (err error) {
			s.AgentPort, err = portNumber(c.name, c.args[0])
			return err
		}},
		{name: "agent-send", args: "<text>", min: 1, apply: text(func(s *Server, w string) { s.AgentSend = w })},
		{name: "ca-file", args: "<file>", min: 1, apply: func(c *call, s *Server) error {
			s.TLS.CAFile = c.args[0]
			if !strings.HasPrefix(c.args[0], "@") {
				s.TLS.CAFile = c.p.under(c.p.cfg.Global.CABase, c.args[0])
			}
			return nil
		}},
		{name: "check-alpn", args: "<protocols>", min: 1, apply: text(func(s *Server, w string) { s.TLS.ALPN = strings.Split(w, ",") })},
		{name: "check-send-proxy", apply: flag(func(s *Server) { s.CheckProxy = true })},
		{name: "check-sni", args: "<name>", min: 1, apply: text(func(s *Server, w string) { s.TLS.SNI = w })},
		{name: "check-ssl", apply: flag(func(s *Server) { s.CheckTLS, s.NoCheckTLS = true, false })},
		{name: "crt", args: "<file>", min: 1, apply: func(c *call, s *Server) error {
			s.TLS.Cert = c.p.under(c.p.cfg.Global.CrtBase, c.args[0])
			return nil
		}},
		{name: "error-limit", loose: cutsTail, args: "<count>", min: 1, apply: func(c *call, s *Server) (err error) {
			s.ErrorLimit, err = number(c.name, c.args[0], 1, big)
			return err
		}},
		{name: "minconn", loose: cutsTail | wordIsZero, args: "<number>", min: 1, apply: func(c *call, s *Server) (err error) {
			s.MinConn, err = number(c.name, c.args[0], 0, big)
			return err
		}},
		{name: "no-agent-check", apply: flag(func(s *Server) { s.Agent = false })},
		{name: "no-check-send-proxy", apply: flag(func(s *Server) { s.CheckProxy = false })},
		{name: "no-check-ssl", apply: flag(func(s *Server) { s.CheckTLS, s.NoCheckTLS = false, true })},
		{name: "observe", args: "layer4|layer7", min: 1, apply: func(c *call, s *Server) error {
			if s.Observe = c.args[0]; s.Observe == "none" {
				s.Observe = ""
				return nil
			}
			return oneOf(c.name, s.Observe, "none", "layer4", "layer7")
		}},
		{name: "on-error", args: "fastinter|fail-check|sudden-death|mark-down", min: 1, apply: (*call).onError},
		{name: "on-marked-down", args: "shutdown-sessions", min: 1, apply: func(c *call, s *Server) error {
			s.OnMarkedDownShutdown = true
			return oneOf(c.name, c.args[0], "shutdown-sessions")
		}},
		{name: "on-marked-up", args: "shutdown-backup-sessions", min: 1, apply: func(c *call, s *Server) error {
			s.OnMarkedUpShutdown = true
			return oneOf(c.name, c.args[0], "shutdown-backup-sessions")
		}},
		{name: "slowstart", args: "<time>", min: 1, apply: span(time.Second, 0, func(s *Server, d time.Duration) { s.SlowStart = d })},
		{name: "ssl-max-ver", args: "<version>", min: 1, apply: serverVersion},
		{name: "ssl-min-ver", args: "<version>", min: 1, apply: serverVersion},
		{name: "track", args: "[<proxy>/]<server>", min: 1, apply: text(func(s *Server, w string) { s.Track = w })},
		{name: "verify", args: "none|required", min: 1, apply: func(c *call, s *Server) error {
			s.TLS.Verify = c.args[0]
			return oneOf(c.name, c.args[0], "none", "required")
		}},
		{name: "verifyhost", args: "<name>", min: 1, apply: text(func(s *Server, w string) { s.TLS.VerifyHost = w })},
	}
}

func (c *call) onError(s *Server) error {
	switch c.args[0] {
	case "fastinter":
		s.OnError = health.FastInter
	case "fail-check":
		s.OnError = health.FailCheck
	case "sudden-death":
		s.OnError = health.SuddenDeath
	case "mark-down":
		s.OnError = health.MarkDown
	}
	return oneOf(c.name, c.args[0], "fastinter", "fail-check", "sudden-death", "mark-down")
}

// resolveTracks makes each track word name a server of a proxy ("proxy/server"),
// which must be checked, or follow one that is.
func (p *parser) resolveTracks() {
	type place struct {
		d *draft
		s *Server
	}
	if !slices.ContainsFunc(p.drafts, func(d *draft) bool {
		return slices.ContainsFunc(d.Servers, func(s Server) bool { return s.Track != "" })
	}) {
		return
	}
	servers := map[string]place{}
	for _, d := range p.drafts {
		for i := range d.Servers {
			servers[d.Name+"/"+d.Servers[i].Name] = place{d, &d.Servers[i]}
		}
	}
	for _, d := range p.drafts {
		for i := range d.Servers {
			s := &d.Servers[i]
			if s.Track == "" {
				continue
			}
			if !strings.Contains(s.Track, "/") {
				s.Track = d.Name + "/" + s.Track
			}
			if s.Check || s.Agent {
				p.report.Errorf(s.Pos, "'server %s/%s' : unable to enable checks and tracking at the same time", d.Name, s.Name)
			}
		}
	}
	var untracked []*Server
	defer func() {
		for _, s := range untracked {
			s.Track = ""
		}
	}()
	for _, d := range p.drafts {
		for i := range d.Servers {
			s := &d.Servers[i]
			if s.Track == "" || d.Disabled || s.Check || s.Agent {
				continue
			}
			seen := map[string]bool{d.Name + "/" + s.Name: true}
			for name := s.Track; ; {
				at, known := servers[name]
				switch {
				case !known:
					p.report.Errorf(s.Pos, "'server %s/%s' : unable to find required server '%s' for tracking", d.Name, s.Name, name)
				case at.d.Disabled && (at.s.Check || at.s.Agent): // which never run
					p.report.Advisef(s.Pos, "'server %s/%s' : %s is in a disabled proxy and never checked: this one stays up, as in HAProxy", d.Name, s.Name, name)
					untracked = append(untracked, s)
				case at.d.Disabled:
					p.report.Errorf(s.Pos, "'server %s/%s' : unable to use %s for tracking: its proxy is disabled", d.Name, s.Name, name)
				case seen[name]:
					p.report.Errorf(s.Pos, "'server %s/%s' : unable to track %s as it belongs to a tracking chain looping back to %s", d.Name, s.Name, s.Track, name)
				case at.s.Track != "" && !at.s.Check && !at.s.Agent:
					seen[name] = true
					name = at.s.Track
					continue
				case !at.s.Check && !at.s.Agent:
					p.report.Errorf(s.Pos, "'server %s/%s' : unable to use %s for tracking as it does not have any check nor agent enabled", d.Name, s.Name, name)
				}
				break
			}
		}
	}
}

// checksOverTLS reports whether a server's checks need TLS, whatever else does.
// As in HAProxy, check-ssl says so even where there is no check.
func (d *draft) checksOverTLS(s *Server) bool {
	return s.CheckTLS || s.Check && slices.ContainsFunc(d.Check.Script.Steps, func(step health.Step) bool { return step.Connect != nil && step.Connect.Secure })
}

// checkChecks looks at what a server's checks need of each other.
func (p *parser) checkChecks(d *draft, s *Server) {
	what := serverWords{d.Name, s.Name}
	secure := d.checksOverTLS(s)
	t := &s.TLS
	switch {
	case s.Agent && s.AgentPort == 0:
		p.report.Errorf(s.Pos, "%sagent-check needs 'agent-port <port>'", what)
	case s.Agent && s.Network == "unix" && s.AgentAddr == "" && s.CheckAddr == "":
		p.report.Errorf(s.Pos, "%sagent-check needs 'agent-addr <address>', as the server has none of its own", what)
	case t.On:
	case !s.Check || !secure:
		if t.Verify+t.VerifyHost+t.CAFile+t.Cert+t.SNI != "" || t.ALPN != nil || t.MinVersion != 0 || t.MaxVersion != 0 {
			p.report.Notef(s.Pos, "%sits words about TLS have no effect: the server's connections are plain, and so are its checks without 'check' and 'check-ssl'", what)
		}
	case t.Verify == "" && p.cfg.Global.SSLServerVerifyNone:
		t.Verify = "none"
	}
	if secure && !t.On && t.Verify != "none" && t.CAFile == "" && (t.Verify != "" || !p.cfg.Global.SSLServerVerifyNone) {
		p.report.Errorf(s.Pos, "%sverify is enabled by default but no CA file specified: name one with 'ca-file <file>' (@system-ca for the system's), or write 'verify none' where you are certain to trust the server", what)
	}
	if s.Observe != "" && !s.Check {
		p.report.Notef(s.Pos, "%s'observe' has no effect without 'check'", what)
	}
	if s.MinConn > s.MaxConn && s.MinConn > 0 {
		s.MaxConn = s.MinConn
	}
}

// placed reports whether the rules of the checks say where they connect to.
func (k *checkDraft) placed() bool {
	if k.kind != tcpCheck && k.kind != httpCheck {
		return false
	}
	for _, s := range k.rules[k.kind] {
		if s.Connect != nil && s.Connect.Port == 0 || s.Connect == nil && (s.Expect != nil || s.Send != nil) {
			return false
		}
		if s.Connect != nil {
			return true
		}
	}
	return false
}
