package worker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"sync"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/stream"
	"lbsyslogd/syslogd/message"
)

// check is one server with its health checks and what they found last.
type check struct {
	*health.Checker
	cfg  *config.Server
	be   *stream.Backend
	srv  *backend.Server
	who  health.Who
	kind string // what the log calls the proxy when its last server is gone
	logs *sideLog
	each bool // option log-health-checks
	rt   *Runtime

	mu sync.Mutex
	// mu guards the fields below.
	last  health.Report
	known bool
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
			who: health.Who{Backend: p.Name, Server: srv.Name, Backup: srv.Backup},
		}
		if cs.Check {
			spec, err := checkSpec(p, cs, srv)
			if err != nil {
				b.refuse(cs.Pos, err)
				continue
			}
			spec.SpreadPct = b.cfg.Global.SpreadChecks
			c.Checker = health.New(spec, cs.Rise, health.Spread(i, len(be.Servers), spec.Inter), c.report)
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

// checkSpec says how a server is checked.
func checkSpec(p *config.Proxy, cs *config.Server, srv *backend.Server) (health.Spec, error) {
	spec := health.Spec{
		Network: "tcp", Address: srv.Addr.String(),
		Inter: cs.Inter, FastInter: cs.FastInter, DownInter: cs.DownInter, Rise: cs.Rise, Fall: cs.Fall,
		Connect: p.Timeouts.Connect, Check: p.Timeouts.Check,
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
	if !p.Check.HTTP {
		return spec, nil
	}
	h := &health.HTTPSpec{
		Method: p.Check.Method, URI: p.Check.URI, Version: p.Check.Version, Headers: p.Check.Headers,
		Body: p.Check.Body, Expect: health.Expect{String: p.Check.ExpectString, Not: p.Check.ExpectNot},
	}
	var err error
	if p.Check.ExpectStatus != "" {
		if h.Expect.Status, err = health.ParseStatuses(p.Check.ExpectStatus); err != nil {
			return spec, err
		}
	}
	if p.Check.ExpectRegex != "" {
		if h.Expect.Regexp, err = regexp.Compile(p.Check.ExpectRegex); err != nil {
			return spec, fmt.Errorf("http-check expect: %w", err)
		}
	}
	spec.HTTP = h
	return spec, nil
}

// run checks until ctx ends.
func (c *check) run(ctx context.Context) {
	if c.Checker != nil {
		c.Checker.Run(ctx)
	}
}

// report takes one check's outcome over.
func (c *check) report(r health.Report) {
	c.mu.Lock()
	before, known := c.last, c.known
	c.last, c.known = r, true
	c.mu.Unlock()
	if r.Counted {
		c.srv.CheckFailed()
	}
	if c.each {
		var prev *health.Report
		if known {
			prev = &before
		}
		if r.Logged(prev) {
			c.log(message.Notice, health.AppendCheck(nil, c.who, &r))
		}
	}
	if !r.Changed {
		return
	}
	c.srv.SetHealth(r.Up)
	if c.rt.serving.Err() != nil {
		return // the next worker checks this server too, and tells
	}
	told := &r
	if c.each {
		told = nil
	}
	sev := message.Notice
	if !r.Up {
		sev = message.Alert
	}
	around := c.around()
	c.log(sev, health.AppendChange(nil, c.who, r.Up, told, around))
	c.tell(r.Up, string(health.AppendChange(nil, c.who, r.Up, &r, around)))
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

// event logs what an operator changed.
func (c *check) event(e health.Event) {
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
