package assemble

import (
	"syscall"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// sum is what all shards count, added up.
type sum struct {
	nowMs   int64
	front   []stream.FrontCounters
	back    []stream.ServerCounters
	server  []stream.ServerCounters
	pools   []stream.PoolState
	idle    []int // of each server, the idle connections of each shard
	dropped uint64
}

// add up the counters of all shards.
func (rt *Runtime) sum() sum {
	s := sum{
		front:  make([]stream.FrontCounters, len(rt.eng.Frontends)),
		back:   make([]stream.ServerCounters, len(rt.eng.Backends)),
		server: make([]stream.ServerCounters, len(rt.eng.Servers)),
		pools:  make([]stream.PoolState, len(rt.eng.Servers)),
		idle:   make([]int, len(rt.eng.Servers)*len(rt.eng.Shards)),
	}
	for n, sh := range rt.eng.Shards {
		c := sh.Read()
		s.nowMs = max(s.nowMs, c.NowMs)
		for i := range c.Front {
			s.front[i].Merge(&c.Front[i].Counters)
			s.front[i].Open.Merge(c.Front[i].Open)
			s.front[i].Latency.Merge(c.Front[i].Latency)
			s.front[i].Conns.Merge(c.Front[i].Conns, c.NowMs)
			s.front[i].Requests.Merge(c.Front[i].Requests, c.NowMs)
		}
		merge(s.back, c.Back, c.NowMs)
		merge(s.server, c.Server, c.NowMs)
		for i, p := range c.Pools {
			s.pools[i].Merge(p)
			s.idle[i*len(rt.eng.Shards)+n] = p.Idle
		}
		s.dropped += c.DroppedLogs
	}
	for _, out := range rt.streams {
		s.dropped += out.Lost()
	}
	return s
}

func merge(into, from []stream.ServerCounters, nowMs int64) {
	for i := range from {
		a, b := &into[i], &from[i]
		a.Merge(&b.Counters)
		a.Sessions.Merge(b.Sessions, nowMs)
		for j := range a.Times {
			a.Times[j].Merge(b.Times[j])
		}
		a.Latency.Merge(b.Latency)
		a.LastMs = max(a.LastMs, b.LastMs)
	}
}

// Snapshot implements control.Runtime.
func (rt *Runtime) Snapshot() *stats.Snapshot { return rt.generation.Snapshot() }

// count gives each row of what this worker counts itself, which is valid until
// the next.
func (rt *Runtime) count(each func(*stats.Row)) stats.Info {
	rt.changing.RLock()
	defer rt.changing.RUnlock()
	s := rt.sum()
	// Both halves are in the order of the configuration.
	f, b := 0, 0
	for _, p := range rt.cfg.Proxies {
		if f < len(rt.frontends) && rt.frontends[f] == p {
			r := rt.frontRow(f, &s)
			each(&r)
			f++
		}
		if b < len(rt.backends) && rt.backends[b] == p {
			rt.backRows(each, b, &s)
			b++
		}
	}
	return rt.info(&s)
}

func (rt *Runtime) info(s *sum) stats.Info {
	in := stats.Info{
		Name: "HAProxy", Version: rt.env.Version, BuildInfo: "lb " + rt.env.Version, ReleaseDate: rt.env.Released, Node: rt.Set.Node, Description: rt.cfg.Global.Description,
		Threads: len(rt.eng.Shards), Pid: rt.env.Pid, Start: rt.env.Started, Now: time.Now(),
		MaxConn: rt.eng.Limit(), HardMaxConn: rt.hardMaxConn, CurConns: rt.eng.Conns(),
		DroppedLogs: s.dropped, Stopping: rt.eng.Draining(),
	}
	in.MaxSSLConns, in.CurSSLConns, in.SSLRateLimit = rt.cfg.Global.MaxTLSConn, rt.eng.TLSConns.Now(), rt.eng.Rates.TLS.Limit()
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) == nil {
		in.ULimitN = int(min(lim.Cur, 1<<30))
		in.MaxSock = in.ULimitN
	}
	var conns, reqs stats.Rate
	for i := range s.front {
		in.CumConns += s.front[i].ConnTotal
		in.CumReqs += s.front[i].ReqTotal
		in.TotalBytesOut += s.front[i].BytesOut
		in.SplicedBytesOut += s.front[i].H1.SplicedOut
		in.CumSSLConns += s.front[i].SSLSessions
		conns.Merge(s.front[i].Conns, s.nowMs)
		reqs.Merge(s.front[i].Requests, s.nowMs)
		in.Listeners += len(rt.eng.Frontends[i].Listeners)
	}
	in.Listeners += len(rt.controls) // which HAProxy counts, too
	for _, section := range rt.peers {
		in.Listeners += len(section.Listeners)
	}
	for i := range s.back {
		in.SplicedBytesOut += s.back[i].H1.SplicedOut
	}
	in.ConnRate, in.MaxConnRate = int(conns.Value(s.nowMs)), int(conns.Max)
	in.SessRate, in.MaxSessRate = in.ConnRate, in.MaxConnRate
	in.ConnRateLimit, in.SessRateLimit = rt.eng.Rates.Conns.Limit(), rt.eng.Rates.Sessions.Limit()
	in.Jobs = in.CurConns + in.Listeners
	in.CompressIn, in.CompressOut = rt.eng.Compression.Rates()
	in.CompressLimit = rt.eng.Compression.Limit()
	in.ConnectedPeers, in.ActivePeers = rt.peers.Connected()
	for _, n := range rt.Nameservers() {
		in.FailedResolutions += n.NX + n.Refused + n.Timeout + n.Other + n.Invalid
	}
	rt.pulse.fill(&in)
	return in
}

func (rt *Runtime) frontRow(i int, s *sum) stats.Row {
	fe, c := rt.eng.Frontends[i], &s.front[i]
	cur, highest := fe.Load()
	r := stats.Row{
		Kind: stats.Frontend, HTTP: fe.HTTP, Proxy: fe.Proxy.Name, ProxyID: fe.ID, Counters: c.Counters,
		SessCur: cur, SessMax: highest, SessLimit: fe.Limit(), Status: "OPEN",
		Rates: stats.Rates{SessRate: int(c.Conns.Value(s.nowMs)), SessRateMax: int(c.Conns.Max), ConnRate: int(c.Conns.Value(s.nowMs)), ConnRateMax: int(c.Conns.Max), ReqRate: int(c.Requests.Value(s.nowMs)), ReqRateMax: int(c.Requests.Max), SessRateLimit: fe.Rate.Limit()},

		Durations: stats.Durations{Latency: c.Latency},
		Pool:      stats.Pool{Open: c.Open},
	}
	if fe.HTTP {
		r.Open.H1Conns = cur - r.Open.H2Conns
	}
	switch {
	case rt.eng.Draining(), fe.Shut():
		r.Status = "STOP"
	case fe.Paused():
		r.Status = "PAUSED"
	case cur >= fe.Limit():
		r.Status = "FULL"
	}
	return r
}

// backRows gives a backend's servers and then the backend itself.
func (rt *Runtime) backRows(each func(*stats.Row), i int, s *sum) {
	be, p, c := rt.eng.Backends[i], rt.backends[i], &s.back[i]
	st := be.Backend.Stats()
	total := stats.Row{
		Kind: stats.Backend, HTTP: be.HTTP, Proxy: be.Proxy.Name, ProxyID: be.ID, Counters: c.Counters,
		QueueCur: st.Queued, QueueMax: st.QueueMax, SessCur: st.Cur, SessMax: st.Max,
		SessLimit: be.FullConn, Status: "UP", Weight: st.Weight, UserWeight: st.UserWeight, Active: st.Active, Backup: st.Backup,
		Servers: len(be.Servers), LastChange: seconds(st.Change), Downtime: int(st.Down / time.Second),
		Algo: algorithm(p),
	}
	if !st.Up && len(be.Servers) > 0 {
		total.Status = "DOWN"
	}
	if unnamed(be) {
		total.Servers, total.Active, total.Weight, total.UserWeight, total.Algo = 0, 0, 0, 0, "none"
	}
	if be.Cookie != nil {
		total.Cookie = be.Cookie.Name
	}
	total.LBTotal, total.CheckDown = st.Picked, st.Downs
	fillTimes(&total, c, s.nowMs)
	for _, srv := range be.Servers {
		r := rt.serverRow(be, srv, s)
		if r.State != stats.Stopped {
			total.ServersUp++
		}
		total.Connects += r.Connects
		total.Reuses += r.Reuses
		if be.HTTP {
			total.Open.Merge(s.pools[srv.Index].Open)
		}
		if srv.Unnamed {
			continue
		}
		each(&r)
	}
	each(&total)
}

// unnamed reports whether be has an address in place of servers.
func unnamed(be *stream.Backend) bool { return len(be.Servers) == 1 && be.Servers[0].Unnamed }

func algorithm(p *config.Proxy) string {
	if p.Balance.Algo == "" {
		return "roundrobin"
	}
	return p.Balance.Algo
}

func (rt *Runtime) serverRow(be *stream.Backend, srv *backend.Server, s *sum) stats.Row {
	cs, n := rt.serverConfigs[srv.Index], &s.server[srv.Index]
	st := srv.Stats()
	r := stats.Row{
		Kind: stats.Server, HTTP: be.HTTP, Proxy: be.Proxy.Name, Name: srv.Name, ProxyID: be.ID, ID: srv.ID,
		Counters: n.Counters, QueueCur: st.Queued, QueueMax: st.QueueMax, SessCur: st.Cur, SessMax: st.Max,
		SessLimit: sessLimit(st.MaxConn), QLimit: cs.MaxQueue, Weight: st.Share, UserWeight: st.Weight,
		LastChange: seconds(st.Change), Downtime: int(st.Down / time.Second), Cookie: cookieOf(be, srv), Addr: srv.Addr().String(),
		Pool: pool(&s.pools[srv.Index], cs.PoolMaxConn, st.Cur),
	}
	r.LBTotal, r.CheckFail, r.CheckDown = st.Picked, st.Fails, st.Downs
	if srv.Backup {
		r.Backup = 1
	} else {
		r.Active = 1
	}
	r.IdleEach = s.idle[srv.Index*len(rt.eng.Shards):][:len(rt.eng.Shards)]
	fillTimes(&r, n, s.nowMs)
	r.Throttle = st.Throttle
	rt.Set.At(srv.Index).Fill(&r, &st)
	return r
}

// pool is what the tables show of a server's connections. One that has served one
// request is not known to be safe for the first request of a client.
func pool(p *stream.PoolState, limit, used int) stats.Pool {
	return stats.Pool{IdleLimit: limit, IdleConns: p.Idle, UnsafeConns: p.Fresh, SafeConns: p.Idle - p.Fresh, UsedConns: used, NeedConns: p.Need}
}

// sessLimit is a server's maxconn as the tables show it: 0 for none.
func sessLimit(n int) int {
	if n == backend.Unlimited {
		return 0
	}
	return n
}

func fillTimes(r *stats.Row, c *stream.ServerCounters, nowMs int64) {
	r.SessRate, r.SessRateMax = int(c.Sessions.Value(nowMs)), int(c.Sessions.Max)
	r.LastSess = -1
	if c.LastMs > 0 {
		r.LastSess = int((nowMs - c.LastMs) / 1000)
	}
	r.SetTimes(c.Times)
	r.Latency = c.Latency
}

func seconds(since time.Time) int { return int(time.Since(since) / time.Second) }

// cookieOf is the value of a backend's cookie for a server.
func cookieOf(be *stream.Backend, srv *backend.Server) string {
	if be.Cookie == nil {
		return srv.Cookie
	}
	return be.Cookie.Value(srv)
}
