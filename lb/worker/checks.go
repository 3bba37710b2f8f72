package worker

import (
	"context"
	"log/slog"
	"sync"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/stream"
	"lbsyslogd/syslogd/message"
)

// check is one server with its health checks and its agent, and what they
// found last.
type check struct {
	*health.Checker // nil without checks
	agent           *health.Checker
	cfg             *config.Server
	be              *stream.Backend
	srv             *backend.Server
	who             health.Who
	kind            string // what the log calls the proxy when its last server is gone
	logs            *sideLog
	each            bool // option log-health-checks
	rt              *Runtime
	tracks          *check   // the server it follows; nil for none
	followers       []*check // the servers that follow it. Immutable after Build, as tracks is.

	acting sync.Mutex // held while the server's state changes. Lock order: the tracked server's before its followers'.

	mu sync.Mutex
	// mu guards the fields below.
	last, lastAgent   health.Report
	known, agentKnown bool
	agentOff          bool // disable agent
}

// checks prepares the health checks of a backend's servers; servers without
// `check` have an entry too, for operators' changes.
func (b *builder) checks(p *config.Proxy, be *stream.Backend) []*check {
	var logs *sideLog
	if len(p.Logs) > 0 {
		var err error
		if logs, err = b.rt.side.open(b.logs.targets(p.Logs)); err != nil {
			b.refuse(p.Pos, err)
			return nil
		}
	}
	kind := "backend"
	if p.Frontend {
		kind = "proxy"
	}
	var list []*check
	for i, srv := range be.Servers {
		cs := serverConfig(p, srv.Name)
		c := &check{
			cfg: cs, be: be, srv: srv, kind: kind, logs: logs, each: p.LogHealthCheck, rt: b.rt,
			who: health.Who{Backend: p.Name, Server: srv.Name, Backup: srv.Backup, Via: cs.Track},
		}
		if cs.Check {
			spec, err := c.spec(p)
			if err != nil {
				b.refuse(cs.Pos, err)
				continue
			}
			spec.SpreadPct = b.cfg.Global.SpreadChecks
			c.Checker = health.New(spec, cs.Rise, health.Spread(i, len(be.Servers), spec.Inter), c.report)
		}
		if cs.Agent {
			spec := c.agentSpec(p)
			spec.SpreadPct = b.cfg.Global.SpreadChecks
			c.agent = health.New(spec, 1, health.Spread(i, len(be.Servers), spec.Inter), c.report)
		}
		if cs.Observe != "" && c.Checker != nil {
			srv.Watch = c.watch()
		}
		list = append(list, c)
	}
	return list
}

func serverConfig(p *config.Proxy, name string) *config.Server {
	for i := range p.Servers {
		if p.Servers[i].Name == name {
			return &p.Servers[i]
		}
	}
	return nil
}

// run checks until ctx ends.
func (c *check) run(ctx context.Context) {
	var both sync.WaitGroup
	if c.Checker != nil {
		both.Go(func() { c.Checker.Run(ctx) })
	}
	if c.agent != nil {
		both.Go(func() { c.agent.Run(ctx) })
	}
	both.Wait()
}

// report takes one check's outcome over, the agent's too.
func (c *check) report(r health.Report) {
	c.mu.Lock()
	last, known := &c.last, &c.known
	if r.Agent {
		last, known = &c.lastAgent, &c.agentKnown
	}
	before, told := *last, *known
	*last, *known = r, true
	c.mu.Unlock()
	if r.Counted {
		c.srv.CheckFailed()
	}
	if r.Agent {
		c.obey(&r.Orders)
	}
	if r.Passed {
		c.srv.Watch.Reset()
	}
	if c.each {
		var prev *health.Report
		if told {
			prev = &before
		}
		if r.Logged(prev) {
			c.log(message.Notice, health.AppendCheck(nil, c.who, &r))
		}
	}
	c.apply(&r)
}

// obey does what an agent says beside the health.
func (c *check) obey(o *health.Orders) {
	switch o.Admin {
	case health.OrderReady:
		c.admin(control.Ready)
	case health.OrderDrain:
		c.admin(control.Drain)
	case health.OrderMaint:
		c.admin(control.Maint)
	}
	if o.Weight >= 0 {
		c.srv.SetWeight(min(c.srv.Initial*o.Weight/100, 256))
	}
	if o.MaxConn >= 0 {
		c.srv.SetMaxConn(limit(o.MaxConn))
	}
	switch {
	case o.Health > 0:
		c.override(c.cfg.Rise + c.cfg.Fall - 1)
	case o.Health < 0:
		c.override(0)
	}
}

// apply makes an outcome the server's state: it is up when neither its checks
// nor its agent say otherwise.
func (c *check) apply(r *health.Report) {
	if !r.Agent && !r.Changed && r.Passed && r.Status != health.L7OKC && !c.srv.Stats().Stopping {
		return // nothing new, almost always
	}
	c.change(func() {
		was := c.srv.Stats()
		up := c.up()
		switch {
		case !r.Passed:
			// An agent that is out of reach, or says nothing of the health, changes
			// nothing; nor does a failure that leaves health.
			if up || r.Agent && r.Status != health.L7STS {
				return
			}
		case !up || r.Agent && was.Stopping:
			return
		}
		c.srv.SetHealth(up)
		stopping := up && r.Status == health.L7OKC
		if stopping != was.Stopping && !r.Agent {
			c.srv.SetStopping(stopping)
		}
		if now := c.srv.Stats(); now.Health != was.Health || now.Stopping != was.Stopping {
			c.changed(up, now.Stopping, r)
		}
	})
}

// up is what checks and agent say together.
func (c *check) up() bool {
	c.mu.Lock()
	off := c.agentOff
	c.mu.Unlock()
	return (c.Checker == nil || c.Checker.Up()) && (c.agent == nil || off || c.agent.Up())
}

// change does something to the server's state, and what follows from it.
func (c *check) change(do func()) {
	c.acting.Lock()
	defer c.acting.Unlock()
	was := c.srv.Stats()
	do()
	is := c.srv.Stats()
	switch {
	case was.Usable && !is.Usable && c.cfg.OnMarkedDownShutdown:
		c.rt.eng.CutServer(c.srv, 'D')
	case !was.Usable && is.Usable && c.cfg.OnMarkedUpShutdown && !c.srv.Backup && is.Weight > 0:
		for _, s := range c.be.Servers {
			if s.Backup {
				c.rt.eng.CutServer(s, 'U')
			}
		}
	}
	for _, f := range c.followers {
		f.follow()
	}
}

// follow takes over what became of the server it tracks.
func (c *check) follow() {
	c.change(func() {
		st, was := c.tracks.srv.Stats(), c.srv.Stats()
		var a backend.Admin
		if st.Admin&backend.Maint != 0 {
			a |= backend.TrackedMaint
		}
		if st.Admin&backend.Drain != 0 {
			a |= backend.TrackedDrain
		}
		if was.Health == st.Health && was.Stopping == st.Stopping && was.Admin&backend.Tracked == a {
			return
		}
		c.srv.SetTracked(st.Health, st.Stopping, a)
		now := c.srv.Stats()
		switch {
		case now.Admin&backend.Tracked&^was.Admin&backend.TrackedMaint != 0:
			c.event(health.IntoMaint)
		case was.Usable != now.Usable || was.Stopping != now.Stopping:
			c.changed(now.Usable, now.Stopping, nil)
		}
	})
}

// changed tells that the server went up or down, or wants no new clients. r is
// nil when no check is the reason.
func (c *check) changed(up, stopping bool, r *health.Report) {
	if c.rt.serving.Err() != nil {
		return // the next worker checks this server too, and tells
	}
	told := r
	if c.each {
		told = nil
	}
	sev, around := message.Notice, c.around()
	line := func(r *health.Report) []byte {
		if up && stopping {
			return health.AppendStopping(nil, c.who, r, around)
		}
		return health.AppendChange(nil, c.who, up, r, around)
	}
	if !up {
		sev = message.Alert
	}
	c.log(sev, line(told))
	c.tell(up, string(line(r)))
	c.noServer()
}

// tell tells the process's own messages of a change.
func (c *check) tell(up bool, text string) {
	level, kind := slog.LevelInfo, event.ServerUp
	if !up {
		level, kind = slog.LevelWarn, event.ServerDown
	}
	c.rt.tell(level, kind, text, event.Proxy(c.who.Backend), event.Server(c.who.Backend, c.who.Server), slog.String("LB_SERVER_ADDRESS", c.srv.Addr.String()))
}

// override sets the health that the checks go on from.
func (c *check) override(health int) {
	if c.Checker != nil {
		c.Override(health)
	}
}

// event logs what an operator, or an agent, changed.
func (c *check) event(e health.Event) {
	if c.rt.serving.Err() != nil {
		return // the next worker hears the agent too, and tells
	}
	sev := message.Notice
	if e == health.IntoMaint || e == health.SetDown {
		sev = message.Alert
	}
	line := health.AppendEvent(nil, c.who, e, c.around())
	c.log(sev, line)
	c.tell(sev == message.Notice, string(line))
	c.noServer()
}

func (c *check) noServer() {
	if !c.be.Stats().Up {
		line := health.AppendNoServer(nil, c.kind, c.who.Backend)
		c.log(message.Emerg, line)
		c.rt.tell(event.Alert, event.NoServer, string(line)+" Clients get 503.", event.Proxy(c.who.Backend))
	}
}

func (c *check) around() health.Around {
	st := c.be.Stats()
	return health.Around{Active: st.Active, Backup: st.Backup, Sessions: int(c.srv.Load()), Queued: st.Queued}
}

func (c *check) log(sev message.Severity, line []byte) {
	if c.logs != nil {
		c.logs.write(sev, string(line))
	}
}

// state is what was found last; known is false before the first check.
func (c *check) state() (last health.Report, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.known
}

// agentState is what the agent said last.
func (c *check) agentState() (last health.Report, known, off bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastAgent, c.agentKnown, c.agentOff
}
