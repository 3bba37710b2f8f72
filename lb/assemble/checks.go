package assemble

import (
	"cmp"
	"net"
	"os"
	"strconv"
	"sync"

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
	if p.Check.External { // servers may be added later, in a chroot
		if _, err := devNull(); err != nil {
			b.refuse(p.Pos, err)
			return nil
		}
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
		Backend: be.Backend, BackendID: be.ID, ForcedIDs: [2]bool{p.OwnID, cs.OwnID}, Server: srv, Rise: cs.Rise, TLS: cs.TLS.On, SendState: p.Check.SendState,
		CheckAddr: cs.CheckAddr, CheckPort: cs.CheckPort, AgentAddr: cmp.Or(cs.AgentAddr, cs.CheckAddr), AgentPort: cs.AgentPort,
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
		o.Name, o.Resolved, o.Port = cs.Host, resolved(cs), cs.Port
	}
	if cs.Check {
		b.spec, err = b.checkSpec(p, cs, srv)
		if err != nil {
			return nil, err
		}
		b.spec.SpreadPct = b.cfg.Global.SpreadChecks
		o.Check = &b.spec
	}
	if cs.Agent {
		spec := agentSpec(p, cs, srv)
		if spec.Dial, err = b.dial(p, cs); err != nil {
			return nil, err
		}
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
	spec.Scope = health.Scope{Backend: p.Name, Server: cs.Name, Hostname: b.eng.Hostname, Proc: b.eng.Vars}
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
	if p.Check.External {
		return spec, b.external(&spec, p, cs, srv)
	}
	if resolved(cs) {
		spec.Where = where(srv, cs.CheckAddr, cs.CheckPort)
	}
	var err error
	if spec.Dial, err = b.dial(p, cs); err != nil {
		return spec, err
	}
	spec.SOCKS4, spec.ViaSOCKS4 = cs.SOCKS4, cs.CheckViaSOCKS4
	// A check that goes where requests go begins as they do.
	if own := cs.CheckAddr == "" && cs.CheckPort == 0; cs.CheckProxy || own {
		spec.ProxyHeader, spec.NeverLocal = cs.Proxy.Version, b.cfg.Global.NeverLocal
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
	o.Of = cs
	o.SNI, o.ALPN = cs.TLS.SNI, cs.TLS.ALPN
	if o.ALPN == nil { // without check-alpn, what requests offer; h2 is for those that ask for it
		if o.ALPN = cs.TLS.Offer; !spec.HTTP2 {
			o.ALPN = withoutHTTP2(o.ALPN)
		}
	}
	if cs.CheckProto == "h1" { // what is offered must be spoken
		o.ALPN = withoutHTTP2(o.ALPN)
	}
	spec.TLS, err = b.certificates().Client(o)
	return spec, err
}

// agentSpec says how a server's agent is asked.
func agentSpec(p *config.Proxy, cs *config.Server, srv *backend.Server) health.Spec {
	host := cmp.Or(cs.AgentAddr, cs.CheckAddr, srv.Addr().IP.Addr().String())
	spec := health.Spec{
		Agent: true, Network: "tcp", Address: net.JoinHostPort(host, strconv.Itoa(cs.AgentPort)),
		Inter: cs.AgentInter, Rise: 1, Fall: 1, Connect: p.Timeouts.Connect, Check: p.Timeouts.Check,
	}
	spec.Ask(cs.AgentSend)
	return spec
}

// devNull is opened once, while the worker sees all files: in a chroot there
// may be none.
var devNull = sync.OnceValues(func() (*os.File, error) { return os.OpenFile(os.DevNull, os.O_RDWR, 0) })

// notUsed takes the place of arguments that there is nothing for.
const notUsed = "NOT_USED"

// external makes a check run the proxy's program. Arguments and variables are
// HAProxy's.
func (b *builder) external(spec *health.Spec, p *config.Proxy, cs *config.Server, srv *backend.Server) error {
	null, err := devNull()
	if err != nil {
		return err
	}
	g := &b.cfg.Global.Programs
	spec.Program = &health.Program{Command: p.Check.Command, Path: p.Check.Path, SetUID: g.SetUID, Null: null}
	if g.Environ {
		spec.Program.Environ = b.cfg.Environ
	}
	host, port := proxyAddress(p)
	fixed := []string{ // immutable
		"HAPROXY_PROXY_NAME=" + p.Name,
		"HAPROXY_PROXY_ID=" + strconv.Itoa(p.ID),
		"HAPROXY_PROXY_ADDR=" + host,
		"HAPROXY_PROXY_PORT=" + port,
		"HAPROXY_SERVER_NAME=" + cs.Name,
		"HAPROXY_SERVER_ID=" + strconv.Itoa(cs.ID),
		"HAPROXY_SERVER_MAXCONN=" + strconv.Itoa(cs.MaxConn),
		"HAPROXY_SERVER_SSL=" + strconv.Itoa(bit(cs.TLS.On)),
		"HAPROXY_SERVER_PROTO=" + spoken(p, cs),
	}
	spec.Subject = func() (args, env []string) {
		at, to := srv.Addr().Path, ""
		if at == "" {
			ip := srv.Addr().IP
			at, to = ip.Addr().String(), strconv.Itoa(int(ip.Port()))
		}
		env = append(env, fixed...)
		env = append(env, "HAPROXY_SERVER_ADDR="+at, "HAPROXY_SERVER_PORT="+to, "HAPROXY_SERVER_CURCONN="+strconv.Itoa(int(srv.Load())))
		return []string{orNotUsed(host), orNotUsed(port), at, orNotUsed(to)}, env
	}
	return nil
}

// proxyAddress is where the proxy can be reached: its first listener with an
// IP address or a path.
func proxyAddress(p *config.Proxy) (host, port string) {
	for i := range p.Binds {
		switch l := &p.Binds[i]; l.Network {
		case "tcp", "tcp4", "tcp6":
			host, port, _ = net.SplitHostPort(l.Address)
			return host, port
		case "unix":
			return l.Address, ""
		}
	}
	return "", ""
}

// spoken is what HAPROXY_SERVER_PROTO says of the server.
func spoken(p *config.Proxy, cs *config.Server) string {
	switch {
	case p.Mode != config.HTTP:
		return "tcp"
	case cs.Proto == "h2":
		return "h2"
	}
	return "h1"
}

func orNotUsed(s string) string {
	if s == "" {
		return notUsed
	}
	return s
}

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}
