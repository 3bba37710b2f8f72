package worker

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/stats"
)

// spec says how a server is checked.
func (c *check) spec(p *config.Proxy) (health.Spec, error) {
	cs, srv := c.cfg, c.srv
	spec := health.Spec{
		Network: "tcp", Address: srv.Addr.String(),
		Inter: cs.Inter, FastInter: cs.FastInter, DownInter: cs.DownInter, Rise: cs.Rise, Fall: cs.Fall,
		Connect: p.Timeouts.Connect, Check: p.Timeouts.Check,
		Script: p.Check.Script, DisableOn404: p.Check.DisableOn404, Secure: cs.CheckTLS,
	}
	switch {
	case cs.Network == "unix" && cs.CheckAddr == "":
		spec.Network = "unix"
	case cs.CheckAddr != "" || cs.CheckPort != 0:
		host, port := srv.Addr.IP.Addr().String(), int(srv.Addr.IP.Port())
		if cs.CheckAddr != "" {
			host = cs.CheckAddr
		}
		if cs.CheckPort != 0 {
			port = cs.CheckPort
		}
		spec.Address = net.JoinHostPort(host, strconv.Itoa(port))
	}
	if cs.CheckProxy {
		spec.ProxyHeader = 1
	}
	if p.Check.SendState {
		spec.State = c.header
	}
	secure := cs.CheckTLS
	for _, step := range p.Check.Script.Steps {
		secure = secure || step.Connect != nil && step.Connect.Secure
	}
	if !secure {
		return spec, nil
	}
	t := &cs.TLS
	o := certs.ClientOptions{
		CA: t.CAFile, Name: t.VerifyHost, SNI: t.SNI, ALPN: t.ALPN, Cert: t.Cert,
		MinVersion: t.MinVersion, MaxVersion: t.MaxVersion,
	}
	if t.Verify == "none" {
		o.CA = ""
	}
	var err error
	spec.TLS, err = certs.Client(o)
	return spec, err
}

// agentSpec says how a server's agent is asked.
func (c *check) agentSpec(p *config.Proxy) health.Spec {
	host := c.srv.Addr.IP.Addr().String()
	if c.cfg.AgentAddr != "" {
		host = c.cfg.AgentAddr
	}
	spec := health.Spec{
		Agent: true, Network: "tcp", Address: net.JoinHostPort(host, strconv.Itoa(c.cfg.AgentPort)),
		Inter: c.cfg.AgentInter, Rise: 1, Fall: 1, Connect: p.Timeouts.Connect, Check: p.Timeouts.Check,
	}
	spec.Ask(c.cfg.AgentSend)
	return spec
}

// watch hears of the server's traffic.
func (c *check) watch() *backend.Watch {
	return &backend.Watch{
		Layer7: c.cfg.Observe == "layer7", Limit: c.cfg.ErrorLimit,
		Tell: func(errors int, last string) {
			c.Trouble(health.Trouble{Do: c.cfg.OnError, Errors: errors, Last: last})
		},
	}
}

// header is the state that http-check send-state tells the server.
func (c *check) header() string {
	st, be := c.srv.Stats(), c.be.Stats()
	row := stats.Row{Kind: stats.Server, State: operational(st), Admin: stats.Admin(st.Admin), CheckConfigured: true}
	row.CheckHealth, row.CheckRise, row.CheckFall = c.Health()
	var b strings.Builder
	b.WriteString(row.StatusText())
	if ip := c.srv.Addr.IP; ip.IsValid() {
		fmt.Fprintf(&b, "; address=%s; port=%d", ip.Addr(), ip.Port())
	}
	fmt.Fprintf(&b, "; name=%s/%s; node=%s; weight=%d/%d; scur=%d/%d; qcur=%d", c.who.Backend, c.who.Server,
		c.rt.node(), st.Effective, be.Weight, st.Cur, be.Cur-be.Queued, st.Queued)
	if st.Starting {
		fmt.Fprintf(&b, "; throttle=%d%%", st.Throttle)
	}
	return b.String()
}

// track ties servers to those that they follow, when all are there.
func (b *builder) track() {
	for _, c := range b.rt.checks {
		if c.cfg.Track == "" {
			continue
		}
		be, name, _ := strings.Cut(c.cfg.Track, "/")
		t, err := b.rt.find(be, name)
		if err != nil {
			b.refuse(c.cfg.Pos, fmt.Errorf("track %s: %w", c.cfg.Track, err))
			continue
		}
		c.tracks = t
		t.followers = append(t.followers, c)
	}
}

// full tells backends whose servers have a minconn when they are full, which
// takes the frontends.
func (b *builder) full() {
	for i, be := range b.eng.Backends {
		be.FullConn = fullConn(b.cfg, b.rt.backends[i], b.eng)
	}
}
