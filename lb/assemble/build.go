package assemble

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/netns"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stream"
	"lbsyslogd/lb/succession"
)

// builder turns a configuration into what runs. All it refuses is reported
// at once, each with its line.
type builder struct {
	cfg   *config.Config
	env   Env
	eng   *stream.Engine
	rt    *Runtime
	nodes map[string]*stream.Backend // by proxy name
	errs  []error
	notes []string // warnings that have been logged already, where there is a logger
	logs  logTargets
	saved savedStates
	spec  health.Spec // of the server whose checks are being prepared

	namespaces map[string]*netns.Namespace // that servers are in
}

// Check refuses what Build would refuse although the text is right: a missing
// certificate, a server name that does not resolve. notes are what it would
// warn of.
func Check(cfg *config.Config) (notes []string, err error) {
	b := newBuilder(cfg, Env{})
	b.something()
	b.backends()
	for _, p := range b.proxies() {
		for i := range p.Binds {
			b.tls(&p.Binds[i])
		}
	}
	for _, s := range b.cfg.Peers {
		for i := range s.Binds {
			b.tls(&s.Binds[i])
		}
		for i := range s.Nodes {
			if _, err := b.peer(&s.Nodes[i]); err != nil {
				b.refuse(s.Nodes[i].Pos, err)
			}
		}
	}
	return b.notes, errors.Join(b.errs...)
}

// Build makes the engine for a configuration over its sockets, which it takes
// out of the set. Nothing runs before Start.
func Build(cfg *config.Config, socks *handoff.Set, env Env) (*Runtime, error) {
	b := newBuilder(cfg, env)
	b.something()
	asked := b.ask()
	b.saved = b.readSaved()
	b.tables()
	b.backends()
	b.rt.Set.Track(func(s *servercheck.Server, err error) {
		b.refuse(b.rt.serverConfigs[s.Target().Index].Pos, err)
	})
	b.frontends(socks)
	b.full()
	b.offloads()
	b.askedNames()
	b.caches()
	b.control(socks)
	b.peers(socks)
	b.eng.Names = b.nodes
	b.gauges()
	b.eng.Targets, b.rt.receivers = b.logs.sets, b.logs.health
	b.rt.streams, b.rt.rings = b.logs.streams, b.logs.rings
	b.rt.ledger = b.logs.ledger(b.env)
	b.eng.Estate.Size, b.eng.Estate.Keep = b.rt.ledger.EstateSize(), b.rt.ledger.Bequeath
	b.rt.logs = b.logs
	if err := errors.Join(b.errs...); err != nil {
		return nil, err
	}
	rt := b.rt
	rt.applySaved(b.saved)
	for _, fe := range rt.eng.Frontends {
		rt.configuredLimits = append(rt.configuredLimits, fe.Limit())
	}
	rt.generation = succession.New(succession.Options{
		Changes: rt.encodeChanges, LateChanges: rt.lateChanges, Apply: rt.applyChanges,
		Asked: asked, Engine: rt.eng, Servers: &rt.Set, Tables: rt.tables, Peers: rt.peers, Tickets: &rt.tickets, Policy: rt.cfg.Global.Handover,
		Count: rt.count, Rows: len(rt.frontends) + len(rt.backends) + len(rt.serverConfigs), Clear: rt.clearOwn, Warn: rt.note, Running: rt.ctx, Serving: rt.serving,
	})
	return rt, nil
}

// ask asks the worker before, which answers while this one is built; nil if there is none, or nothing will be built.
func (b *builder) ask() *succession.Answer {
	if b.env.Former == nil || len(b.errs) > 0 {
		return nil
	}
	return succession.Ask(b.env.Former, b.cfg.Global.Handover)
}

func newBuilder(cfg *config.Config, env Env) *builder {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	b := &builder{cfg: cfg, env: env, nodes: map[string]*stream.Backend{}}
	b.logs = logTargets{tag: cfg.Global.LogTag, host: cfg.Global.LogSendHost, pid: env.Pid, sections: cfg.Rings}
	b.eng = &stream.Engine{Pid: env.Pid, Hostname: host, MaxConn: int32(maxConn(cfg))}
	if b.eng.Formats, err = accesslog.NewFormats(); err != nil {
		b.errs = append(b.errs, err)
	}
	b.eng.Userlists, b.eng.Vars = cfg.Userlists, cmp.Or(cfg.Global.Vars, &sample.ProcVars{})
	b.eng.Vars.Begin()
	b.eng.Rates = stream.NewRates(cfg.Global.Rates.Conns, cfg.Global.Rates.Sessions, cfg.Global.Rates.TLS)
	b.eng.TLSConns.Max = int32(min(cfg.Global.MaxTLSConn, 1<<30))
	b.eng.Leaving.Spread = cfg.Global.CloseSpread
	b.eng.Limits = stream.Limits{Head: cfg.Global.MaxHead, Fields: cfg.Global.MaxFields, Hello: cfg.Global.CaptureHello, NoSplice: cfg.Global.NoSplice, NoTunnels: cfg.Global.NoH2WebSocket}
	b.eng.Compression.SetLimit(cfg.Global.CompressionRate)
	b.eng.Compression.Idle = cfg.Global.CompressionIdle
	b.eng.Compression.SetIdle(100)
	b.rt = newRuntime(cfg, env, b.eng)
	b.eng.Report = b.rt.reports.report
	b.logs.report = b.rt.reportLogs
	b.eng.Metrics = b.rt.metricsPage()
	return b
}

// ErrNothing is a configuration that may be right, but serves nothing.
var ErrNothing = errors.New("no bind line in any frontend or listen section: nothing would be served; is it the right file?")

// something refuses a configuration that serves nothing: an emptied file must
// not take a balancer's listeners away.
func (b *builder) something() {
	for _, p := range b.proxies() {
		if len(p.Binds) > 0 {
			return
		}
	}
	if len(b.cfg.Global.StatsSockets) > 0 {
		return
	}
	b.errs = append(b.errs, ErrNothing)
}

func (b *builder) refuse(pos fmt.Stringer, err error) {
	if pos != (cfgfile.Pos{}) { // a server that a command adds has no line
		err = fmt.Errorf("%s: %w", pos, err)
	}
	b.errs = append(b.errs, err)
}

// proxies are those that are not disabled.
func (b *builder) proxies() []*config.Proxy {
	return slices.DeleteFunc(slices.Clone(b.cfg.Proxies), func(p *config.Proxy) bool { return p.Disabled })
}

// addressField is option forwardfor or option originalto; nil if it is off.
func addressField(f *config.AddressField) *stream.AddressField {
	if f == nil {
		return nil
	}
	return &stream.AddressField{Except: f.Except, Name: []byte(f.Header), IfNone: f.IfNone}
}

// restricts are the words of option http-restrict-req-hdr-names.
var restricts = map[string]stream.Restrict{"delete": stream.DeleteNames, "reject": stream.RejectNames}

// common is what both halves of a proxy share.
func (b *builder) common(p *config.Proxy) stream.Proxy {
	c := stream.Proxy{
		Name: p.Name, ID: p.ID, HTTP: p.Mode == config.HTTP,
		Timeouts: timeouts(&p.Timeouts), ConnMode: stream.ConnMode(p.ConnMode),
		Rules: p.Rules, Redirects: p.Redirects, Inspect: p.InspectDelay.Milliseconds(), InspectAnswer: p.ResponseDelay.Milliseconds(), Compress: p.Compression, BufferRequest: p.BufferRequest, Restrict: restricts[p.RestrictNames],
	}
	c.ForwardFor, c.OriginalTo = addressField(p.ForwardFor), addressField(p.OriginalTo)
	for status, file := range p.ErrorFiles {
		page, err := &stream.Page{Status: status, Rule: file.Rule}, error(nil)
		if file.Rule == nil {
			page, err = stream.ParsePage(file.Data)
		}
		if err != nil {
			b.refuse(p.Pos, fmt.Errorf("errorfile %d %s is not an HTTP response: %w", status, file.Path, err))
			continue
		}
		if c.Pages == nil {
			c.Pages = stream.Pages{}
		}
		c.Pages[status] = page
	}
	if p.Stats != nil {
		c.Page = b.rt.statsPage(p)
	}
	return c
}

func timeouts(t *config.Timeouts) stream.Timeouts {
	ms := time.Duration.Milliseconds
	return stream.Timeouts{
		Connect: ms(t.Connect), Client: ms(t.Client), Server: ms(t.Server), Request: ms(t.HTTPRequest),
		KeepAlive: ms(t.HTTPKeepAlive), Queue: ms(t.Queue), Tunnel: ms(t.Tunnel),
		ClientFin: ms(t.ClientFin), ServerFin: ms(t.ServerFin), Tarpit: ms(cmp.Or(t.Tarpit, t.Connect)),
		ClientHandshake: ms(t.ClientHandshake), ServerHandshake: ms(t.ServerHandshake),
	}
}

// frontends builds the client sides; backends came first.
func (b *builder) frontends(socks *handoff.Set) {
	for _, p := range b.proxies() {
		if !p.Frontend {
			continue
		}
		fe := &stream.Frontend{
			Proxy: b.common(p), Index: len(b.eng.Frontends), MaxConn: int32(p.MaxConn),
			Default: b.nodes[p.DefaultBackend], MonitorURI: p.MonitorURI, NoH2Upgrade: p.NoH2Upgrade, Upgrades: p.Upgrades,
			ReqCaptures: captures(p.ReqCaptures), ResCaptures: captures(p.ResCaptures),
			CookieCapture: stream.Capture(p.CookieCapture), MonitorFails: p.MonitorFails, UniqueID: p.UniqueID,
		}
		fe.Rate, fe.Lax = stream.NewRate(p.SessionRate), p.LaxRequests
		if p.ClientCase {
			fe.ClientNames = b.cfg.Global.HeaderCase
		}
		if p.UniqueHeader != "" {
			fe.UniqueHeader = []byte(p.UniqueHeader)
		}
		if fe.MaxConn == 0 {
			fe.MaxConn = b.eng.MaxConn
		}
		if p.Backend && fe.Default == nil { // also without servers: what nobody serves is counted there
			fe.Default = b.nodes[p.Name]
		}
		for _, u := range p.UseBackends {
			fe.Switches = append(fe.Switches, stream.Switch{Cond: u.Cond, To: b.nodes[u.Backend], Name: u.Name})
		}
		b.logging(fe, p)
		b.eng.Frontends = append(b.eng.Frontends, fe)
		b.rt.frontends = append(b.rt.frontends, p)
		for i := range p.Binds {
			b.listener(fe, &p.Binds[i], socks)
		}
	}
}

func (b *builder) listener(fe *stream.Frontend, bind *config.Bind, socks *handoff.Set) {
	fd, err := take(socks, bind)
	if err != nil {
		b.errs = append(b.errs, err)
		return
	}
	ln := &stream.Listener{
		Frontend: fe, Name: want(bind).String(), Label: cmp.Or(bind.Name, strconv.Itoa(bind.ID)), FD: fd, TLS: b.tls(bind),
		Unix: bind.Network == "unix" || bind.Network == "abns", MaxConn: int32(bind.MaxConn), Backlog: bind.Backlog,
		ID: bind.ID, Bind: bind.Name,
		Preface: preface(bind), CIPMagic: bind.CIPMagic,
	}
	fe.Listeners = append(fe.Listeners, ln)
}

// logging chooses the frontend's log targets and its format.
func (b *builder) logging(fe *stream.Frontend, p *config.Proxy) {
	fe.Access = accesslog.Policy{
		Format: p.LogFormat, HTTP: fe.HTTP,
		Errors: p.ErrorLogFormat, Data: p.LogData, Asap: p.LogAsap,
		DontLogNull: p.DontLogNull, DontLogNormal: p.DontLogNormal, SeparateErrors: p.LogSeparateErrors,
	}
	switch {
	case p.LogFormat != nil:
	case fe.HTTP:
		fe.Access.Format, fe.Access.Connects = b.eng.Formats.ConnectHTTP, true
	default:
		fe.Access.Format, fe.Access.Connects = b.eng.Formats.ConnectTCP, true
	}
	fe.Logs = -1
	if len(p.Logs) > 0 {
		fe.Logs = b.logs.add(p.Logs)
	}
	fe.Needs = p.Needs
	for _, be := range b.cfg.Proxies { // a request may reach any backend
		if be.Backend {
			fe.Needs |= be.Needs
		}
	}
	if fe.Logs >= 0 {
		fe.Needs |= p.LogNeeds
		if p.LogFormat == nil {
			fe.Needs |= b.eng.Formats.ConnectNeeds
		}
	}
}

func captures(list []config.Capture) []stream.Capture {
	var out []stream.Capture
	for _, c := range list {
		out = append(out, stream.Capture{Header: c.Header, Len: c.Len})
	}
	return out
}

// backends builds the server sides.
func (b *builder) backends() {
	for _, p := range b.proxies() {
		if !p.Backend {
			continue
		}
		servers := b.servers(p)
		draws := 0
		if p.Balance.Algo == "random" && p.Balance.Arg != "" {
			draws, _ = strconv.Atoi(p.Balance.Arg) // lb/config has seen that it is a number
		}
		be := &stream.Backend{
			Proxy: b.common(p), Index: len(b.eng.Backends),
			Backend: backend.New(backend.Options{
				Name: p.Name, Algo: algorithms[p.Balance.Algo], Draws: draws, Fixed: p.Balance.Algo == "static-rr",
				Consistent: p.Balance.HashConsistent, BalanceFactor: p.Balance.Factor, AllBackups: p.AllBackups,
			}, servers),
			Retries: p.Retries, RetryOn: stream.RetryOn(p.RetryOn), CheckCache: p.CheckCache, RDPCookie: p.RDPCookie, Redispatch: p.Redispatch, Reuse: reuses[p.HTTPReuse],
			AbortOnClose: p.AbortOnClose, HideClose: p.HideClose, Persist: p.Persist, HashURI: uriHash(&p.Balance), HashAddr: addrHash(&p.Balance), HashKey: p.Balance.Key, HashBytes: keyHash(&p.Balance), Sticks: p.Sticks,
		}
		if p.Cookie != nil {
			be.Cookie = cookie(p.Cookie, p.CookieKey)
			be.Cookie.Bind(servers)
		}
		for _, s := range servers {
			be.Use(s, b.use(p, b.rt.serverConfigs[s.Index]))
		}
		be.NameHeader, be.Lax = p.NameHeader, p.LaxResponses
		if p.ServerCase {
			be.ServerNames = b.cfg.Global.HeaderCase
		}
		for _, u := range p.UseServers {
			be.ServerRules = append(be.ServerRules, stream.ServerRule{Cond: u.Cond, Name: u.Name, To: serverNamed(servers, u.Server)})
		}
		for _, r := range p.Persistence {
			be.Persistence = append(be.Persistence, stream.PersistRule(r))
		}
		b.nodes[p.Name] = be
		b.eng.Backends = append(b.eng.Backends, be)
		b.rt.backends = append(b.rt.backends, p)
		list := b.checks(p, be)
		b.rt.Set.Add(be.Backend, list)
		b.groups(p, list)
	}
}

// full sets at how many sessions each backend is full. HAProxy's automatic
// fullconn is a tenth of what the frontends that lead there may bring.
func (b *builder) full() {
	brought := make([]int, len(b.eng.Backends))
	for _, fe := range b.eng.Frontends {
		seen := map[*stream.Backend]bool{nil: true}
		lead := func(be *stream.Backend) {
			if !seen[be] {
				seen[be] = true
				brought[be.Index] += int(fe.MaxConn)
			}
		}
		lead(fe.Default)
		for _, sw := range fe.Switches {
			lead(sw.To)
		}
	}
	for i, be := range b.eng.Backends {
		be.FullConn = b.rt.backends[i].FullConn
		if be.FullConn == 0 {
			be.FullConn = max((brought[i]+9)/10, 1)
		}
	}
}

// serverNamed finds a server; nil for a name that is made by each request.
func serverNamed(servers []*backend.Server, name string) *backend.Server {
	for _, s := range servers {
		if s.Name == name {
			return s
		}
	}
	return nil
}

var reuses = map[config.HTTPReuse]stream.Reuse{
	config.ReuseNever: stream.ReuseNever, config.ReuseSafe: stream.ReuseSafe,
	config.ReuseAggressive: stream.ReuseAggressive, config.ReuseAlways: stream.ReuseAlways,
}

func cookie(c *config.Cookie, key string) *stream.Cookie {
	suffix := ""
	if c.Domain != "" {
		suffix += "; domain=" + c.Domain
	}
	if c.HTTPOnly {
		suffix += "; HttpOnly"
	}
	if c.Secure {
		suffix += "; Secure"
	}
	for _, a := range c.Attrs {
		suffix += "; " + a
	}
	k := &stream.Cookie{
		Name: c.Name, Indirect: c.Indirect, NoCache: c.NoCache, PostOnly: c.PostOnly, Preserve: c.Preserve,
		MaxIdle: int64(c.MaxIdle / time.Second), MaxLife: int64(c.MaxLife / time.Second), Suffix: suffix,
	}
	switch {
	case c.Insert:
		k.Mode = stream.InsertCookie
	case c.Rewrite:
		k.Mode = stream.RewriteCookie
	case c.Prefix:
		k.Mode = stream.PrefixCookie
	}
	k.Make(c.Dynamic, key)
	return k
}

// servers builds a backend's servers and gives each its place among all.
func (b *builder) servers(p *config.Proxy) []*backend.Server {
	var list []*backend.Server
	for i := range p.Servers {
		cs := &p.Servers[i]
		var admin backend.Admin
		if cs.Disabled {
			admin = backend.ForcedMaint | backend.ConfigMaint
		}
		s, err := b.server(cs, admin)
		if err != nil {
			b.refuse(cs.Pos, fmt.Errorf("server %s/%s: %w", p.Name, cs.Name, err))
			continue
		}
		s.Index = len(b.eng.Servers)
		b.eng.Servers = append(b.eng.Servers, s)
		b.rt.serverConfigs = append(b.rt.serverConfigs, cs)
		list = append(list, s)
	}
	return list
}

// server makes one server, without its place among all.
func (b *builder) server(cs *config.Server, admin backend.Admin) (*backend.Server, error) {
	addr, err := b.address(cs)
	if err != nil {
		return nil, err
	}
	s := &backend.Server{
		Name: cs.Name, ID: cs.ID, Place: backend.Place{Address: addr}, Backup: cs.Backup,
		MaxConn: limit(cs.MaxConn), MinConn: cs.MinConn, MaxQueue: limit(cs.MaxQueue), Cookie: cs.Cookie,
		Checked: cs.Check || cs.Agent, SlowStart: cs.SlowStart, Unnamed: cs.Unnamed,
	}
	if s.Unnamed {
		s.Name, s.ID = stream.NoServer, 0
	}
	s.Follow = follow(cs)
	if !cs.Addr.IsValid() && cs.Resolve.Section != "" {
		s.Follow = backend.Follow{} // an answer has the port
	}
	s.SetInitial(cs.Weight, admin|nowhere(s), true)
	return s, nil
}

// use is how a backend uses one of its servers.
func (b *builder) use(p *config.Proxy, cs *config.Server) stream.ServerUse {
	out, err := b.outbound(p, cs)
	if err != nil {
		b.refuse(cs.Pos, err)
	}
	u := stream.ServerUse{NonStick: cs.NonStick, Redir: cs.Redir, Outbound: out, TLS: b.serverTLS(cs)}
	if any, agreed, websocket := cs.HTTP2(); any && p.Mode == config.HTTP {
		u.HTTP2 = &stream.ServerHTTP2{Agreed: agreed, WebSocket: websocket}
	}
	if cs.MaxReuse >= 0 || cs.PoolMaxConn >= 0 {
		u.Pooling = &stream.Pooling{MaxReuse: cs.MaxReuse, MaxIdle: cs.PoolMaxConn}
	}
	return u
}

func limit(n int) int {
	if n == 0 {
		return backend.Unlimited
	}
	return n
}

// address gives the address that a server begins with.
func (b *builder) address(s *config.Server) (backend.Addr, error) {
	switch s.Network {
	case "unix":
		return backend.UnixAddr(s.Host)
	case "abns":
		return backend.AbstractAddr(s.Host)
	}
	ip := s.Addr
	if !ip.IsValid() {
		var have bool
		var err error
		if ip, have, err = b.first(s); !have {
			return backend.Addr{}, err
		}
	}
	if s.Port == 0 {
		return backend.Addr{IP: netip.AddrPortFrom(ip, 0)}, nil // the client's, see follow
	}
	return backend.TCPAddr(netip.AddrPortFrom(ip, uint16(s.Port))), nil
}

// spareFiles are descriptors that are not connections: epoll, listeners, logs,
// checks, control sockets.
const spareFiles = 100

// ConnsFor is how many client connections so many descriptors are enough for. In mode tcp each holds two. In mode http idle ones hold one, and requests
// can wait for each other's connections to servers: a quarter of the descriptors is left for those.
func ConnsFor(cfg *config.Config, files uint64) int {
	left := int(min(files, 1<<30)) - spareFiles
	for _, p := range cfg.Proxies {
		if p.Frontend && p.Mode == config.HTTP {
			return max(left-left/4, 1)
		}
	}
	return max(left/2, 1)
}

// maxConn is the limit of client connections: the configuration's, but no more
// than the descriptors allow. Clients beyond it wait to be accepted; if they took
// the last descriptors, none would be left to serve them with.
func maxConn(cfg *config.Config) int {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return cmp.Or(cfg.Global.MaxConn, 2000) // HAProxy's default
	}
	if cfg.Global.MaxConn > 0 {
		return min(cfg.Global.MaxConn, ConnsFor(cfg, lim.Cur))
	}
	return max(int(min(lim.Cur, 1<<22))-spareFiles, 2) / 2 // as HAProxy has it
}
