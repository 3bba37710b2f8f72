package assemble

import (
	"net"
	"strconv"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stream"
)

// checks prepares the checks of a backend's servers. Those without `check` are
// among them: operators change them too.
func (b *builder) checks(p *config.Proxy, be *stream.Backend) []*servercheck.Server {
	if _, err := b.sideLog(p); err != nil {
		b.refuse(p.Pos, err)
		return nil
	}
	var list []*servercheck.Server
	for _, srv := range be.Servers {
		cs := b.rt.serverConfigs[srv.Index]
		s, err := b.check(p, be, srv, cs, false)
		if err != nil {
			b.refuse(cs.Pos, err)
			continue
		}
		list = append(list, s)
	}
	return list
}

// check prepares the checks of one server.
func (b *builder) check(p *config.Proxy, be *stream.Backend, srv *backend.Server, cs *config.Server, added bool) (*servercheck.Server, error) {
	o := servercheck.Options{
		Backend: be.Backend, BackendID: be.ID, Server: srv, SendState: p.Check.SendState,
		CheckAddr: cs.CheckAddr, CheckPort: cs.CheckPort, AgentAddr: cs.AgentAddr, AgentPort: cs.AgentPort,
		Track: cs.Track, ShutdownDown: cs.OnMarkedDownShutdown, ShutdownUp: cs.OnMarkedUpShutdown,
		LogEach: p.LogHealthCheck, ProxyLog: "backend", Added: added,
	}
	if p.Frontend {
		o.ProxyLog = "proxy"
	}
	logs, err := b.sideLog(p)
	if err != nil {
		return nil, err
	}
	if logs != nil {
		o.Log = logs.write
	}
	if !cs.Addr.IsValid() {
		o.Name, o.Resolved = cs.Host, resolved(cs)
	}
	if cs.Check {
		spec, err := b.checkSpec(p, cs, srv)
		if err != nil {
			return nil, err
		}
		spec.SpreadPct = b.cfg.Global.SpreadChecks
		o.Check = &spec
	}
	if cs.Agent {
		spec := agentSpec(p, cs, srv)
		spec.SpreadPct = b.cfg.Global.SpreadChecks
		o.Agent = &spec
	}
	if cs.Observe != "" {
		o.Observe = &servercheck.Observe{Layer7: cs.Observe == "layer7", Limit: cs.ErrorLimit, Do: cs.OnError}
	}
	return servercheck.New(o), nil
}

// sideLog is where a proxy logs what becomes of its servers; nil for nowhere.
func (b *builder) sideLog(p *config.Proxy) (*sideLog, error) {
	if len(p.Logs) == 0 {
		return nil, nil
	}
	if l := b.rt.proxyLogs[p]; l != nil {
		return l, nil
	}
	l, err := b.rt.side.open(b.logs.targets(p.Logs))
	if err == nil {
		b.rt.proxyLogs[p] = l
	}
	return l, err
}

// checkSpec says how a server is checked.
func (b *builder) checkSpec(p *config.Proxy, cs *config.Server, srv *backend.Server) (health.Spec, error) {
	spec := health.Spec{
		Network: "tcp", Address: srv.Addr().String(),
		Inter: cs.Inter, FastInter: cs.FastInter, DownInter: cs.DownInter, Rise: cs.Rise, Fall: cs.Fall,
		Connect: p.Timeouts.Connect, Check: p.Timeouts.Check,
		Script: p.Check.Script, DisableOn404: p.Check.DisableOn404, Secure: cs.CheckTLS,
		HTTP2: cs.CheckProto == "h2" || cs.CheckProto == "" && cs.Proto == "h2",
	}
	switch {
	case cs.Network != "tcp" && cs.CheckAddr == "":
		spec.Network = "unix"
	case cs.CheckAddr != "" || cs.CheckPort != 0:
		host, port := srv.Addr().IP.Addr().String(), int(srv.Addr().IP.Port())
		if cs.CheckAddr != "" {
			host = cs.CheckAddr
		}
		if cs.CheckPort != 0 {
			port = cs.CheckPort
		}
		spec.Address = net.JoinHostPort(host, strconv.Itoa(port))
	}
	if resolved(cs) {
		spec.Where = where(srv, cs.CheckAddr, cs.CheckPort)
	}
	// A check that goes where requests go begins as they do.
	if own := cs.CheckAddr == "" && cs.CheckPort == 0; cs.CheckProxy || own {
		spec.ProxyHeader = cs.Proxy.Version
		if cs.CheckProxy && spec.ProxyHeader == 0 {
			spec.ProxyHeader = 1
		}
	}
	secure := cs.CheckTLS
	for _, step := range p.Check.Script.Steps {
		secure = secure || step.Connect != nil && step.Connect.Secure
	}
	if !secure {
		return spec, nil
	}
	o := clientOptions(&cs.TLS)
	o.SNI, o.ALPN = cs.TLS.SNI, cs.TLS.ALPN
	var err error
	spec.TLS, err = b.certificates().Client(o)
	return spec, err
}

// agentSpec says how a server's agent is asked.
func agentSpec(p *config.Proxy, cs *config.Server, srv *backend.Server) health.Spec {
	host := srv.Addr().IP.Addr().String()
	if cs.AgentAddr != "" {
		host = cs.AgentAddr
	}
	spec := health.Spec{
		Agent: true, Network: "tcp", Address: net.JoinHostPort(host, strconv.Itoa(cs.AgentPort)),
		Inter: cs.AgentInter, Rise: 1, Fall: 1, Connect: p.Timeouts.Connect, Check: p.Timeouts.Check,
	}
	spec.Ask(cs.AgentSend)
	return spec
}
