package config

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lbsyslogd/lb/logformat"
)

// TLS to servers: the words of a server line and the global defaults for them.

// serverTLSTable holds the words about TLS to servers that checks do not share
// (servercheck.go). Without ssl they have no effect, as in HAProxy.
func serverTLSTable() []row[*Server] {
	text := func(set func(s *Server, w string)) func(*call, *Server) error {
		return func(c *call, s *Server) error { set(s, c.args[0]); return nil }
	}
	flag := func(set func(s *Server)) func(*call, *Server) error {
		return func(_ *call, s *Server) error { set(s); return nil }
	}
	table := []row[*Server]{
		{name: "alpn", args: "<protocols>", min: 1, apply: (*call).serverALPN},
		{name: "ciphers", args: "<list>", min: 1, apply: func(c *call, s *Server) (err error) {
			s.TLS.Ciphers, err = c.ciphers(c.args[0])
			return c.withTLS(s, err)
		}},
		{name: "ciphersuites", args: "<list>", min: 1, status: Ignored, apply: func(c *call, s *Server) error {
			return c.withTLS(s, suites13(c))
		}, doc: "servers are offered AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305, and choose"},
		{name: "crl-file", args: "<file>", min: 1, apply: func(c *call, s *Server) error {
			s.TLS.CRLFile = c.p.under(c.p.cfg.Global.CABase, c.args[0])
			return nil
		}},
		{name: "no-ssl", apply: flag(func(s *Server) { s.TLS.On = false })},
		{name: "no-ssl-reuse", apply: flag(func(s *Server) { s.TLS.NoReuse = true })},
		{name: "no-tls-tickets", apply: flag(func(s *Server) { s.TLS.NoTickets = true }), doc: "sessions are resumed by tickets only, so none is; HAProxy goes on resuming those of TLS 1.3"},
		{name: "sni", args: "<expression>", min: 1, apply: text(func(s *Server, w string) { s.TLS.Ask = w })},
		{name: "ssl", apply: flag(func(s *Server) { s.TLS.On = true })},
		{name: "ssl-reuse", apply: flag(func(s *Server) { s.TLS.NoReuse = false })},
		{name: "tls-tickets", apply: flag(func(s *Server) { s.TLS.NoTickets = false })},

		{name: "allow-0rtt", status: Ignored, doc: "requests are not sent as early data, which can be replayed"},
		{name: "npn", args: "<protocols>", min: 1, status: Ignored, doc: "ALPN has taken its place"},
	}
	for _, name := range tlsSwitches() {
		table = append(table, row[*Server]{name: name, apply: func(c *call, s *Server) error {
			return c.chooseVersion(c.name, "", &s.TLS.MinVersion, &s.TLS.MaxVersion, &s.TLS.Without)
		}})
	}
	return table
}

// serverVersion applies ssl-min-ver and ssl-max-ver.
func serverVersion(c *call, s *Server) error {
	return c.chooseVersion(c.name, c.args[0], &s.TLS.MinVersion, &s.TLS.MaxVersion, &s.TLS.Without)
}

// withTLS keeps what is wrong with a word of a server's until it is known whether
// the server has ssl. The last word of a name counts.
func (c *call) withTLS(s *Server, err error) error {
	t := &c.p.tls
	before := t.faultsOf(s)
	s.tlsFault = 0
	for _, f := range before { // servers share them, by default-server: what stays is new
		if f.word == c.name {
			continue
		}
		if full := t.addFault(s, f); full != nil {
			return full
		}
	}
	if err == nil {
		return nil
	}
	return t.addFault(s, wordFault{word: c.name, err: err})
}

// addFault adds one to a server's, or gives it as an error where there are too
// many.
func (t *tlsDefaults) addFault(s *Server, f wordFault) error {
	if len(t.faults) == math.MaxUint16 {
		return f.err
	}
	f.next = s.tlsFault
	t.faults = append(t.faults, f)
	s.tlsFault = uint16(len(t.faults))
	return nil
}

// faultsOf gives a server's, the last one first.
func (t *tlsDefaults) faultsOf(s *Server) (all []wordFault) {
	for i := s.tlsFault; i > 0; i = t.faults[i-1].next {
		all = append(all, t.faults[i-1])
	}
	return all
}

// serverALPN takes the protocols that are offered to a server.
func (c *call) serverALPN(s *Server) error {
	s.TLS.Offer = strings.Split(c.args[0], ",")
	if slices.Contains(s.TLS.Offer, "") {
		return fmt.Errorf("'alpn %s' has an empty name; write alpn h2,http/1.1", c.args[0])
	}
	return nil
}

// serverProto takes the protocol that a server is spoken to in, whatever TLS
// agrees on.
func (c *call) serverProto(s *Server) error {
	switch s.Proto = c.args[0]; s.Proto {
	case "h1", "h2":
	case "fcgi", "spop":
		return fmt.Errorf("'proto %s' is known to HAProxy, but not supported by lb yet: servers are spoken to in HTTP/1.1 and HTTP/2; put a web server that speaks it between", s.Proto)
	default:
		return oneOf(c.name, s.Proto, "h1", "h2")
	}
	return nil
}

// HTTP2 tells how a server of a proxy in mode http is spoken to in HTTP/2: at
// all, if TLS agrees on it, and for WebSockets too.
func (s *Server) HTTP2() (any, agreed, websocket bool) {
	offered := s.TLS.On && slices.Contains(s.TLS.Offer, "h2")
	switch {
	case s.Proto == "h2":
		return true, false, s.WebSocket != "h1"
	case s.Proto == "" && offered:
		return true, true, s.WebSocket == "h2"
	}
	return false, false, false
}

// checkProto looks at what a server is spoken to in.
func (p *parser) checkProto(d *draft, s *Server) {
	if s.CheckProto != "" && d.check.kind != httpCheck {
		if s.CheckProto != "h1" {
			p.report.Errorf(s.Pos, "'server %s/%s' : 'check-proto %s' is for HTTP checks only; write 'option httpchk', or remove it", d.Name, s.Name, s.CheckProto)
		} else {
			p.report.Notef(s.Pos, "'server %s/%s' : 'check-proto h1' has no effect: its checks are no HTTP checks", d.Name, s.Name)
		}
	}
	if d.Mode != HTTP && s.Proto != "" {
		p.report.Errorf(s.Pos, "'server %s/%s' : 'proto %s' is not usable in mode tcp, where bytes pass as they are; remove it, or write 'mode http'", d.Name, s.Name, s.Proto)
	}
}

// defaultServerOptions applies ssl-default-server-options.
func (c *call) defaultServerOptions(*Global) error {
	t := &c.p.tls.server
	return c.defaultTLSOptions(&t.MinVersion, &t.MaxVersion, &t.Without, "'no-tls-tickets'", func(name string) bool {
		if name != "no-tls-tickets" {
			return false
		}
		t.NoTickets = true
		return true
	})
}

// serverWords begin a message about a server, should there be one.
type serverWords struct{ proxy, server string }

func (w serverWords) String() string { return "'server " + w.proxy + "/" + w.server + "' : " }

// checkServerTLS completes what a server's line says about TLS.
func (p *parser) checkServerTLS(d *draft, s *Server) {
	t, global := &s.TLS, &p.tls.server
	what := serverWords{d.Name, s.Name}
	without := t.Without
	checked := d.checksOverTLS(s)
	used := t.On || checked && s.Check
	if used {
		without |= global.Without
		if t.MinVersion == 0 && t.MaxVersion == 0 {
			t.MinVersion, t.MaxVersion = global.MinVersion, global.MaxVersion
		}
	}
	if ignored, err := without.settle(&t.MinVersion, &t.MaxVersion, false); err != nil {
		p.report.Errorf(s.Pos, "%s%v", what, err)
	} else if ignored {
		p.report.Advisef(s.Pos, "%s%s", what, versionsIgnored)
	}
	for _, fault := range p.tls.faultsOf(s) {
		if t.On || checked {
			p.report.Errorf(s.Pos, "%s%v", what, fault.err)
		} else {
			p.report.Advisef(s.Pos, "%s%v (no error, as the line has no 'ssl')", what, fault.err)
		}
	}
	if used && t.Ciphers == nil {
		p.tls.serverFault.counts(p)
		t.Ciphers = slices.Clone(global.Ciphers)
	}
	if !t.On {
		return
	}
	t.NoTickets = t.NoTickets || global.NoTickets
	if t.Verify == "" && p.cfg.Global.SSLServerVerifyNone {
		t.Verify = "none"
	}
	if t.Verify != "none" && t.CAFile == "" {
		p.report.Errorf(s.Pos, "%sverify is enabled by default but no CA file specified: name one with 'ca-file <file>' (@system-ca for the system's), or write 'verify none' where you are certain to trust the server", what)
	}
	// As with HAProxy the checks go over TLS, too, unless they go elsewhere.
	if s.Check && s.CheckPort == 0 && s.CheckAddr == "" && !s.NoCheckTLS {
		s.CheckTLS = true
	}
	if t.Ask == "" {
		return
	}
	f, err := logformat.ParseText("%["+t.Ask+"]", &d.acls.Uses)
	if err != nil {
		p.report.Errorf(s.Pos, "%s'sni %s' : %v", what, t.Ask, err)
		return
	}
	t.AskFormat = f
}
