package worker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/stream"
	"lbsyslogd/lb/syslog"
)

// Runtime is one built configuration, running or about to: the engine on its
// loops, and the health checks and control sockets on goroutines. It is what
// the process (Engine) and the stats socket (control.Runtime) act on.
type Runtime struct {
	cfg       *config.Config
	env       Env
	eng       *stream.Engine
	frontends []*config.Proxy // by stream.Frontend.Index
	backends  []*config.Proxy // by stream.Backend.Index
	checks    []*check        // by backend.Server.Index
	controls  []*control.Server
	reports   reports
	exposed   *handoff.Set // what _getsocks gives away
	tickets   tickets
	tables    []*stick.Table                  // in the order of the configuration
	telling   sync.Mutex                      // guards listener, and the order of what is told of tables
	listener  *successor                      // hears of the tables
	leaves    []served                        // certificates
	receivers []*syslog.Health                // of log lines
	side      sideLogs                        // log lines that no loop writes
	reloads   atomic.Pointer[handoff.Reloads] // nil without a master
	counting  sync.Mutex                      // guards last, and the making of snapshots
	last      *stats.Snapshot                 // what was told to the next worker first; nil before
	former    former                          // what the workers before have counted
	next      *successor                      // the worker that will take over, once there is one
	ready     chan struct{}                   // closed when former has what there is
	inherited sync.Once

	ctx     context.Context // ends with Stop
	cancel  context.CancelFunc
	serving context.Context // ends with Drain: the next generation answers on the stats sockets
	retire  context.CancelFunc
	done    chan struct{}
	work    sync.WaitGroup
	answers sync.WaitGroup // the stats sockets
	drain   sync.Once
	parting sync.Once
	stop    sync.Once
}

func newRuntime(cfg *config.Config, env Env, eng *stream.Engine) *Runtime {
	rt := &Runtime{cfg: cfg, env: env, eng: eng, done: make(chan struct{}), ready: make(chan struct{})}
	rt.ctx, rt.cancel = context.WithCancel(context.Background())
	rt.serving, rt.retire = context.WithCancel(rt.ctx)
	rt.reports.logger = env.Logger
	return rt
}

// note warns an operator.
func (rt *Runtime) note(text string) { rt.tell(slog.LevelWarn, "", text) }

// tell tells an operator of an event.
func (rt *Runtime) tell(level slog.Level, kind event.Kind, text string, about ...slog.Attr) {
	if rt.env.Logger == nil {
		return
	}
	if kind != "" {
		about = append(about, kind.Attr())
	}
	rt.env.Logger.LogAttrs(context.Background(), level, text, about...)
}

// Start implements Engine.
func (rt *Runtime) Start() error {
	threads := rt.cfg.Global.NbThread
	if threads == 0 {
		threads = cpus()
	}
	if rt.env.Former != nil {
		if err := rt.inherit(); err != nil {
			rt.note("take the state of the former worker over: " + err.Error())
		}
	}
	// A loop keeps its thread busy: the goroutines beside it (handshakes,
	// checks, control) must not wait for it to rest.
	runtime.GOMAXPROCS(threads + 1)
	if err := rt.eng.Start(threads); err != nil {
		return err
	}
	if rt.env.Former != nil {
		before := rt.former.meet(rt.env.Former) // here, so that a drain does not miss it
		rt.work.Go(func() { rt.takeOver(before) })
	}
	rt.work.Go(func() { rt.tickets.run(rt.ctx) })
	rt.work.Go(func() { rt.sweepTables(rt.ctx) })
	rt.work.Go(func() { rt.watchCertificates(rt.serving) })
	for _, c := range rt.checks {
		if c.tracks != nil {
			c.follow()
		}
	}
	for _, c := range rt.checks {
		rt.work.Go(func() { c.run(rt.ctx) })
	}
	for _, c := range rt.controls {
		rt.answers.Go(func() {
			if !rt.awaitCounts() {
				return
			}
			if err := c.Serve(rt.serving); err != nil {
				rt.note("stats socket " + c.Listener.Addr().String() + ": " + err.Error())
			}
		})
	}
	go func() {
		select {
		case <-rt.eng.Empty():
			rt.farewell()
			rt.answered()
			rt.Stop()
		case <-rt.ctx.Done():
		}
	}()
	return nil
}

// Drain implements Engine.
func (rt *Runtime) Drain() {
	rt.drain.Do(func() {
		rt.retire()
		for _, c := range rt.controls {
			c.Listener.Close() // now: who asks later must not meet figures older than the next worker's
		}
		if rt.next != nil && rt.next.alive() {
			rt.handover(rt.next)
		} else {
			rt.eng.Drain()
		}
		rt.exposed.Close()
	})
}

// Done implements Engine.
func (rt *Runtime) Done() <-chan struct{} { return rt.done }

// Stop implements Engine.
func (rt *Runtime) Stop() {
	rt.stop.Do(func() {
		rt.eng.Cut()
		rt.lastWords()
		rt.cancel()
		logged := make(chan struct{})
		go func() {
			rt.side.finish()
			close(logged)
		}()
		rt.eng.Stop()
		if rt.next != nil {
			rt.next.link.Close()
		}
		rt.former.close()
		<-logged
		close(rt.done)
	})
}

// lastAnswers bounds how long a worker that has nothing else to do waits for
// those who are being answered on its stats sockets.
const lastAnswers = time.Second

// answered waits until the stats sockets are done.
func (rt *Runtime) answered() {
	done := make(chan struct{})
	go func() {
		rt.answers.Wait()
		close(done)
	}()
	wait := time.NewTimer(lastAnswers)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
	case <-rt.ctx.Done():
	}
}

// farewell tells the next worker the last counts.
func (rt *Runtime) farewell() {
	if rt.next == nil || !rt.next.alive() {
		return
	}
	rt.parting.Do(func() {
		if _, err := rt.tellTables(rt.next); err != nil && !nobody(err) {
			rt.note("tell the next worker the last of the stick tables: " + err.Error())
		}
		if err := rt.sendCounts(rt.next); err != nil && !nobody(err) {
			rt.note("tell the next worker the last counters: " + err.Error())
		}
	})
}

// nobody reports whether a letter was not sent because its receiver has ended:
// then there is nobody who would have to know.
func nobody(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)
}

// lastWordsWait bounds how long a worker that is to end at once waits for the
// next one to take what it counted.
const lastWordsWait = time.Second

// lastWords is the farewell of a worker that was leaving and is cut off.
func (rt *Runtime) lastWords() {
	if rt.serving.Err() == nil || rt.next == nil {
		return
	}
	giveUp := time.AfterFunc(lastWordsWait, func() { rt.next.link.Close() })
	defer giveUp.Stop()
	rt.farewell()
}

// Pause implements Engine.
func (rt *Runtime) Pause(on bool) { rt.eng.Pause(on) }

// Status implements Engine.
func (rt *Runtime) Status() Status {
	st := Status{Connections: int64(rt.eng.Conns())}
	if rt.next != nil {
		st.Moved = rt.next.moved.Load()
	}
	for _, sh := range rt.eng.Shards {
		c := sh.Read()
		for i := range c.Front {
			st.Total += int64(c.Front[i].ConnTotal)
			st.Requests += int64(c.Front[i].ReqTotal)
		}
	}
	return st
}

// control makes the stats sockets' servers.
func (b *builder) control(socks *handoff.Set) {
	rt := b.rt
	rt.exposed = &handoff.Set{}
	var all []control.Socket
	for i := range b.cfg.Global.StatsSockets {
		s := &b.cfg.Global.StatsSockets[i]
		fd, err := take(socks, &s.Bind)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		rt.expose(want(&s.Bind).Key(), fd)
		f := os.NewFile(uintptr(fd), s.Bind.Address)
		ln, err := net.FileListener(f)
		f.Close()
		if err != nil {
			b.refuse(s.Bind.Pos, err)
			continue
		}
		if u, ok := ln.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // other generations answer there too
		}
		rt.controls = append(rt.controls, &control.Server{
			Listener: ln, Runtime: rt, Level: levels[s.Level], ExposeFD: s.Expose, Timeout: b.cfg.Global.StatsTimeout,
			Version: b.env.Version,
		})
		all = append(all, control.Socket{Address: want(&s.Bind).String(), Level: levels[s.Level]})
	}
	for _, c := range rt.controls {
		c.Sockets = all
	}
	for _, fe := range b.eng.Frontends {
		p := rt.frontends[fe.Index]
		for i, ln := range fe.Listeners {
			rt.expose(want(&p.Binds[i]).Key(), ln.FD)
		}
	}
}

// levels maps the configuration's words.
var levels = map[string]control.Level{
	"user": control.User, "": control.Operator, "operator": control.Operator, "admin": control.Admin,
}

// expose keeps a copy of a listening socket for _getsocks.
func (rt *Runtime) expose(name string, fd int) {
	if dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err == nil {
		rt.exposed.Add(name, dup)
	}
}

// SendSockets implements control.Runtime.
func (rt *Runtime) SendSockets(c *net.UnixConn) error {
	if rt.env.Gave != nil {
		rt.env.Gave(rt.exposed.Names())
	}
	return handoff.SendSockets(c, rt.exposed)
}

// Backends implements control.Runtime.
func (rt *Runtime) Backends() []control.BackendID {
	var list []control.BackendID
	for _, be := range rt.eng.Backends {
		list = append(list, control.BackendID{Name: be.Proxy.Name, ID: be.ID})
	}
	return list
}

// find looks a server up.
func (rt *Runtime) find(be, server string) (*check, error) {
	known := false
	for _, c := range rt.checks {
		if c.be.Proxy.Name != be {
			continue
		}
		known = true
		if c.srv.Name == server || "#"+strconv.Itoa(c.srv.ID) == server {
			return c, nil
		}
	}
	if !known && rt.backend(be) == nil {
		return nil, control.ErrNoBackend
	}
	return nil, control.ErrNoServer
}

func (rt *Runtime) backend(name string) *stream.Backend {
	for _, be := range rt.eng.Backends {
		if be.Proxy.Name == name {
			return be
		}
	}
	return nil
}

// Servers implements control.Runtime.
func (rt *Runtime) Servers(name string) ([]control.ServerState, error) {
	if name != "" && rt.backend(name) == nil {
		return nil, control.ErrNoBackend
	}
	var list []control.ServerState
	for _, c := range rt.checks {
		if name == "" || c.be.Proxy.Name == name {
			list = append(list, c.serverState())
		}
	}
	return list, nil
}

func (c *check) serverState() control.ServerState {
	st := c.srv.Stats()
	s := control.ServerState{
		BackendID: c.be.ID, Backend: c.be.Proxy.Name, ID: c.srv.ID, Name: c.srv.Name,
		State: operational(st), Admin: stats.Admin(st.Admin), Weight: st.Weight, InitialWeight: c.srv.Initial,
		LastChange: int(time.Since(st.Change) / time.Second), CheckPort: c.cfg.CheckPort, CheckAddr: c.cfg.CheckAddr,
	}
	if c.srv.Addr.Path != "" {
		s.Addr = c.srv.Addr.Path
	} else {
		s.Addr, s.Port = c.srv.Addr.IP.Addr().String(), int(c.srv.Addr.IP.Port())
		if !c.cfg.Addr.IsValid() {
			s.FQDN = c.cfg.Host
		}
	}
	if c.agent != nil {
		s.AgentState = control.CheckConfigured | control.CheckAgent
		if _, _, off := c.agentState(); !off {
			s.AgentState |= control.CheckEnabled
		}
		s.AgentAddr, s.AgentPort = c.cfg.AgentAddr, c.cfg.AgentPort
	}
	if c.Checker != nil {
		s.CheckState = control.CheckConfigured | control.CheckEnabled
		s.CheckHealth, _, _ = c.Health()
		s.CheckStatus = int(health.INI)
		if st.Admin&backend.Maint != 0 {
			s.CheckState |= control.CheckPaused
		}
		if r, known := c.state(); known {
			s.CheckStatus, s.CheckResult = int(r.Status), r.Status.Result()
		}
	}
	return s
}

// operational is a server's state as HAProxy numbers it.
func operational(st backend.ServerStats) stats.State {
	switch {
	case !st.Usable:
		return stats.Stopped
	case st.Stopping:
		return stats.Stopping
	case st.Starting:
		return stats.Starting
	}
	return stats.Running
}

// SetAdmin implements control.Runtime.
func (rt *Runtime) SetAdmin(be, server string, a control.AdminChange) error {
	c, err := rt.find(be, server)
	if err != nil {
		return err
	}
	c.admin(a)
	return nil
}

// admin changes the administrative state, because an operator or the agent
// says so.
func (c *check) admin(a control.AdminChange) {
	c.change(func() {
		before := c.srv.Stats().Admin
		after := before & backend.Tracked
		switch a {
		case control.Drain:
			after |= backend.ForcedDrain
		case control.Maint:
			after |= backend.ForcedMaint
		}
		if before == after {
			return
		}
		if c.Checker != nil {
			c.Pause(a == control.Maint)
		}
		const own = backend.Maint &^ backend.TrackedMaint
		switch { // leaving maintenance, a server is up until a check fails
		case after&own != 0:
			c.override(0)
		case before&own != 0:
			c.override(c.cfg.Rise)
			c.srv.SetHealth(c.tracks == nil || c.tracks.srv.Stats().Health)
		}
		c.srv.SetAdmin(after)
		switch {
		case after&backend.ForcedMaint != 0:
			c.event(health.IntoMaint)
		case after&backend.ForcedDrain != 0:
			c.event(health.IntoDrain)
		case before&own != 0:
			c.event(health.OutOfMaint)
		default:
			c.event(health.OutOfDrain)
		}
	})
}

// SetWeight implements control.Runtime.
func (rt *Runtime) SetWeight(be, server string, weight int) error {
	c, err := rt.find(be, server)
	if err == nil {
		c.srv.SetWeight(weight)
	}
	return err
}

// SetHealth implements control.Runtime.
func (rt *Runtime) SetHealth(be, server string, h control.Health) error {
	c, err := rt.find(be, server)
	if err != nil {
		return err
	}
	event, up, value := health.SetUp, true, c.cfg.Rise+c.cfg.Fall-1
	switch h {
	case control.HealthStopping:
		event = health.SetStopping
	case control.HealthDown:
		event, up, value = health.SetDown, false, 0
	}
	c.override(value)
	c.change(func() {
		c.srv.SetHealth(up)
		c.srv.SetStopping(h == control.HealthStopping)
		c.event(event)
	})
	return nil
}

// SetFrontend implements control.Runtime.
func (rt *Runtime) SetFrontend(name string, on bool) error {
	for _, fe := range rt.eng.Frontends {
		switch {
		case fe.Proxy.Name != name:
		case fe.Paused() == !on:
			return control.ErrNoChange
		default:
			rt.eng.PauseFrontend(fe, !on)
			return nil
		}
	}
	return control.ErrNoFrontend
}

// ClearCounters implements control.Runtime.
func (rt *Runtime) ClearCounters(all bool) {
	for _, p := range rt.former.clear(all) {
		// An error means that it has left: what it told is cleared.
		_ = p.link.Send(letter{Kind: kindClear, All: all}, nil, linkWait)
	}
	for _, sh := range rt.eng.Shards {
		sh.Clear(all)
	}
	for _, be := range rt.eng.Backends {
		be.Clear(all)
	}
	for _, fe := range rt.eng.Frontends {
		fe.ClearMax()
	}
}
