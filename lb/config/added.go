package config

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/cfgfile"
)

// Servers that operators add while the process serves: `add server` on the
// stats socket.

// plainServer is what a server line says that says nothing.
func plainServer() Server {
	return Server{
		Weight:      1,
		PoolMaxConn: -1,
		MaxReuse:    -1,
		ErrorLimit:  10,
		ServerCheck: ServerCheck{
			Inter:      2 * time.Second,
			Rise:       2,
			Fall:       3,
			AgentInter: 2 * time.Second,
		},
	}
}

// ErrNoAddress is a server that is only named.
var ErrNoAddress = errors.New("'server' expects <name> and <addr>[:<port>] as arguments")

// forAdded are the words that `add server` takes: those of HAProxy's.
var forAdded = []string{
	"addr", "agent-addr", "agent-check", "agent-inter", "agent-port", "agent-send", "allow-0rtt", "alpn", "backup", "ca-file",
	"check", "check-alpn", "check-proto", "check-send-proxy", "check-sni", "check-ssl", "check-via-socks4", "ciphers", "ciphersuites",
	"crl-file", "crt", "disabled", "downinter", "enabled", "error-limit", "fall", "fastinter",
	"force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13", "id", "inter", "maxconn", "maxqueue", "minconn",
	"no-ssl-reuse", "no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13", "no-tls-tickets", "npn", "observe", "on-error",
	"on-marked-down", "on-marked-up", "pool-low-conn", "pool-max-conn", "pool-purge-delay", "port", "proto", "proxy-v2-options", "rise",
	"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn", "slowstart", "sni", "source", "ssl", "ssl-max-ver",
	"ssl-min-ver", "tfo", "tls-tickets", "track", "usesrc", "verify", "verifyhost", "weight", "ws",
}

// outOfWeight is a number that is no weight.
type outOfWeight int

func (n outOfWeight) Error() string {
	return fmt.Sprintf("'weight' must be between 0 and 256, not %d", int(n))
}

// AddedServer reads the words of `add server`: a name, an address, and options.
// Nothing of default-server is in it, as with HAProxy. Before anything enables
// it, it is in maintenance.
func (c *Config) AddedServer(to *Proxy, name string, words []string) (s Server, notes []string, err error) {
	if len(words) == 0 {
		return s, nil, ErrNoAddress
	}
	if err := serverName(name); err != nil {
		return s, nil, err
	}
	p := newParser(Options{Environ: []string{}})
	p.cfg, p.tls = c, c.tls
	d := &draft{Proxy: new(*to), section: "backend", acls: acl.NewACLs()}
	s = plainServer()
	s.Name, s.Disabled = name, true
	if err := p.serverAddress(&s, words[0]); err != nil {
		return s, nil, err
	}
	if err := p.onlyForAdded(words[1:]); err != nil {
		return s, nil, err
	}
	one := &call{p: p}
	err = one.serverOptions(&s, words[1:], "add server")
	if n := outOfWeight(0); errors.As(err, &n) { // in HAProxy's words, and with its dots
		return s, nil, fmt.Errorf("weight of server %s is not within 0 and 256 (%d)%s", name, n, "..")
	}
	if err != nil {
		return s, nil, err
	}
	s.OwnID = s.ID != 0
	if !s.Addr.IsValid() && s.Network == "tcp" {
		s.InitAddr = "none" // as HAProxy: nobody waits for a name here
	}
	p.checkServerTLS(d, &s)
	p.checkUseSource(d, "add server", s.Pos, &s.UseSource)
	p.checkChecks(d, &s)
	if s.Check && s.Network == "tcp" && s.Port == 0 && s.CheckPort == 0 {
		p.report.Errorf(s.Pos, "'check' needs a port: add one to the address, or 'port <port>'")
	}
	for _, n := range p.report.Notes() {
		notes = append(notes, n.Text)
	}
	var all *cfgfile.Errors
	if err := p.report.Err(); errors.As(err, &all) && len(all.List) > 0 {
		return s, notes, errors.New(all.List[0].Text)
	}
	return s, notes, nil
}

// onlyForAdded refuses the words of server lines that a server of an operator
// cannot have.
func (p *parser) onlyForAdded(words []string) error {
	for len(words) > 0 {
		r, n := p.servers.find(words[:1])
		if r == nil {
			return nil // which is refused where it is applied
		}
		if !slices.Contains(forAdded, r.name) {
			return fmt.Errorf("'%s' option is not accepted for dynamic server", r.name)
		}
		words = words[min(n+r.min, len(words)):]
	}
	return nil
}
