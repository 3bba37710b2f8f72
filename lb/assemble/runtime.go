package assemble

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/peers"
	"lbsyslogd/lb/resolve"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/stream"
	"lbsyslogd/lb/succession"
	"lbsyslogd/lb/syslog"
)

// Runtime is one built configuration, running or about to: the engine on its
// loops, and the health checks and control sockets on goroutines. It is what
// the process (Engine) and the stats socket (control.Runtime) act on.
type Runtime struct {
	tlsFiles
	servercheck.Set // the servers, by backend.Server.Index, and what operators do with them

	cfg           *config.Config
	env           Env
	eng           *stream.Engine
	frontends     []*config.Proxy  // by stream.Frontend.Index
	backends      []*config.Proxy  // by stream.Backend.Index
	serverConfigs []*config.Server // by backend.Server.Index
	controls      []*control.Server
	reports       reports
	exposed       *handoff.Set // what _getsocks gives away
	tickets       succession.Tickets
	tables        []*stick.Table // in the order of the configuration
	peers         peers.Set
	receivers     []*syslog.Health // of log lines
	streams       []*syslog.Stream // log lines that are written; they end after whatever logs
	rings         []*syslog.Ring
	resolvers     []*resolve.Resolver
	names         []*resolve.Group                // of servers, which are asked for while the process serves
	ledger        *syslog.Ledger                  // what receivers are to hear they were sent
	beating       chan struct{}                   // closed when the ledger's goroutine has ended; nil: there is none
	side          sideLogs                        // log lines that no loop writes
	reloads       atomic.Pointer[handoff.Reloads] // nil without a master
	generation    *succession.Generation
	pulse         pulse
	history       stats.History

	byOperators

	ctx     context.Context // ends with Stop
	cancel  context.CancelFunc
	serving context.Context // ends with Drain: the next generation answers on the stats sockets
	retire  context.CancelFunc
	done    chan struct{}
	jobs
	drain sync.Once
	stop  sync.Once
}

// jobs are what goes on besides the loops.
type jobs struct {
	work    sync.WaitGroup
	checks  sync.WaitGroup // the run of Set
	answers sync.WaitGroup // the stats sockets
}

func newRuntime(cfg *config.Config, env Env, eng *stream.Engine) *Runtime {
	rt := &Runtime{cfg: cfg, env: env, eng: eng, done: make(chan struct{})}
	rt.hardMaxConn, rt.proxyLogs = int(eng.MaxConn), map[*config.Proxy]*sideLog{}
	rt.operated = operated{added: map[*servercheck.Server][]string{}, moved: map[*servercheck.Server]bool{}, plain: map[*servercheck.Server]*stream.ServerTLS{}}
	rt.ctx, rt.cancel = context.WithCancel(context.Background())
	rt.serving, rt.retire = context.WithCancel(rt.ctx)
	rt.reports.logger = env.Logger
	rt.Set = servercheck.Set{Serving: rt.serving, MaxSpread: cfg.Global.MaxSpread, Node: cmp.Or(cfg.Global.Node, eng.Hostname), Cut: eng.CutServer, Maintain: eng.Maintain, Announce: rt.logEvent}
	return rt
}

// note warns an operator.
func (rt *Runtime) note(text string) { rt.logEvent(slog.LevelWarn, "", text) }

// logEvent tells an operator of an event.
func (rt *Runtime) logEvent(level slog.Level, kind event.Kind, text string, about ...slog.Attr) {
	if rt.env.Logger == nil {
		return
	}
	if kind != "" {
		about = append(about, kind.Attr())
	}
	rt.env.Logger.LogAttrs(context.Background(), level, text, about...)
}

// spareThreads is how many goroutines may run besides the loops (handshakes, checks,
// control, state for the next worker). A loop that comes back from waiting needs a
// place at once: with all places taken it would wait for the Go scheduler to
// interrupt somebody, for 10 ms; the kernel lets it run at once.
const spareThreads = 3

// Start implements worker.Engine.
func (rt *Runtime) Start() error {
	threads := rt.cfg.Global.NbThread
	if threads == 0 {
		threads = cpus()
	}
	if rt.env.Former != nil {
		rt.peers.Hold()
		if err := rt.generation.Inherit(rt.generation.Asked); err != nil {
			rt.note("take the state of the former worker over: " + err.Error())
		}
	}
	runtime.GOMAXPROCS(threads + spareThreads)
	rt.eng.Roomy = true
	rt.eng.Alone = threads >= cpus()
	rt.eng.Hold = rt.env.Back != nil
	rt.ledger.Beat(false)
	if err := rt.eng.Start(threads); err != nil {
		return err
	}
	beating := make(chan struct{})
	go func() { defer close(beating); rt.ledger.Run(rt.ctx) }()
	rt.beating = beating
	if rt.env.Former != nil {
		rt.generation.Follow(rt.env.Former)
	} else {
		rt.peers.Begin(nil)
	}
	if rt.env.Back != nil {
		rt.generation.Try(rt.env.Back)
	}
	rt.work.Go(func() { rt.tickets.Run(rt.serving) })
	rt.work.Go(func() { rt.sweepTables(rt.serving) })
	rt.work.Go(func() { rt.pulse.run(rt.serving, rt.eng) })
	rt.work.Go(func() { rt.chronicle(rt.serving) })
	rt.work.Go(func() { rt.watchCertificates(rt.serving) })
	for _, g := range rt.names {
		rt.work.Go(func() { g.Run(rt.serving) })
	}
	rt.Set.FollowTracked()
	rt.Set.Maintained()
	rt.checks.Go(func() { rt.Set.Run(rt.serving) })
	if rt.env.Back == nil {
		rt.answer()
	}
	rt.work.Go(rt.tidy)
	go func() {
		select {
		case <-rt.eng.Empty():
			rt.generation.SendLast()
			rt.answered()
			rt.generation.SendTables()
			rt.Stop()
		case <-rt.ctx.Done():
		}
	}()
	return nil
}

// answer begins to answer on the stats sockets.
func (rt *Runtime) answer() {
	for _, c := range rt.controls {
		rt.answers.Go(func() {
			if !rt.generation.AwaitCounts() {
				return
			}
			if err := c.Serve(rt.serving); err != nil {
				rt.note("stats socket " + c.Listener.Addr().String() + ": " + err.Error())
			}
		})
	}
}

// tidy returns the memory that the start has left over, once all has come from the
// worker before: with thousands of servers it is as much as is needed.
func (rt *Runtime) tidy() {
	if rt.generation.AwaitCounts() {
		debug.FreeOSMemory()
	}
	if rt.env.Settled != nil {
		rt.env.Settled()
	}
}

// Drain implements worker.Engine.
func (rt *Runtime) Drain() {
	rt.drain.Do(func() {
		rt.retire()
		for _, c := range rt.controls {
			c.Listener.Close() // now: whoever asks later must not meet figures older than the next worker's
		}
		if !rt.generation.Leave() {
			rt.peers.End()
			rt.eng.Drain()
		}
		rt.exposed.Close()
	})
}

// Done implements worker.Engine.
func (rt *Runtime) Done() <-chan struct{} { return rt.done }

// Stop implements worker.Engine.
func (rt *Runtime) Stop() {
	rt.stop.Do(func() {
		rt.eng.Cut()
		rt.peers.End()
		rt.generation.CutShort()
		rt.cancel()
		logged := make(chan struct{})
		go func() {
			rt.side.finish()
			close(logged)
		}()
		rt.eng.Stop()
		rt.generation.Close()
		<-logged
		rt.endChecks()
		if rt.beating != nil {
			<-rt.beating
			rt.ledger.Beat(true)
		}
		rt.endStreams()
		close(rt.done)
	})
}

// lastAnswers bounds how long a worker that has nothing else to do waits for
// those who are being answered on its stats sockets.
const lastAnswers = time.Second

// answered waits until the stats sockets are done.
func (rt *Runtime) answered() { waitFor(rt.ctx, &rt.answers) }

// endChecks waits until no program of a check is left, which is soon: they are
// killed.
func (rt *Runtime) endChecks() { waitFor(context.Background(), &rt.checks) }

// waitFor waits for jobs to end, but not longer than lastAnswers or ctx.
func waitFor(ctx context.Context, jobs *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		jobs.Wait()
		close(done)
	}()
	ctx, cancel := context.WithTimeout(ctx, lastAnswers)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Successor implements worker.Engine.
func (rt *Runtime) Successor(next *handoff.Conn) { rt.generation.Successor(next) }

// Succeeded implements worker.Engine.
func (rt *Runtime) Succeeded() bool { return rt.generation.Succeeded() }

// Meet implements worker.Engine.
func (rt *Runtime) Meet(former *handoff.Conn) { rt.generation.Meet(former) }

// A worker on trial (a canary) serves what the one before it gives it: it accepts
// nothing, and answers on no stats socket, until it is promoted. The protocol is
// package succession's.

// Partner implements worker.Engine.
func (rt *Runtime) Partner(back *handoff.Conn) { rt.generation.Partner(back) }

// Share implements worker.Engine.
func (rt *Runtime) Share(of int) {
	if of > 0 {
		rt.generation.Share(of)
	} else {
		rt.generation.Disown()
	}
}

// Promote implements worker.Engine.
func (rt *Runtime) Promote() {
	rt.generation.Promote()
	rt.eng.Pause(false)
	rt.answer()
}

// Pause implements worker.Engine.
func (rt *Runtime) Pause(on bool) { rt.eng.Pause(on) }

// Clients implements worker.Engine.
func (rt *Runtime) Clients() (open, moved int64) {
	return int64(rt.eng.Conns()), rt.generation.Moved()
}

// Status implements worker.Engine.
func (rt *Runtime) Status() handoff.Status {
	snap := rt.Snapshot()
	st := handoff.Status{
		Connections: int64(rt.eng.Conns()), Moved: rt.generation.Moved(), Draining: rt.eng.Draining(),
		Total: int64(snap.Info.CumConns), Requests: int64(snap.Info.CumReqs), Own: rt.figures(),
	}
	for _, h := range rt.receivers[:min(len(rt.receivers), handoff.MaxTroubled)] {
		st.Logs = append(st.Logs, handoff.LogStatus{Target: h.Address, Sent: h.Sent(), Lost: h.Lost()})
	}
	for i := range snap.Rows {
		r := &snap.Rows[i]
		if r.Kind != stats.Backend || r.Servers == 0 {
			continue
		}
		st.Backends++
		if r.ServersUp < r.Servers {
			st.Troubled = append(st.Troubled, handoff.BackendStatus{Name: r.Proxy, Up: r.ServersUp, Of: r.Servers})
		}
	}
	st.Trouble = len(st.Troubled)
	slices.SortStableFunc(st.Troubled, func(a, b handoff.BackendStatus) int { return cmp.Compare(a.Up*b.Of, b.Up*a.Of) })
	st.Troubled = st.Troubled[:min(len(st.Troubled), handoff.MaxTroubled)]
	return st
}

// socketName is a socket's address as "show cli sockets" has it. A path is the one that
// the configuration names: the socket was bound to another, and renamed.
func socketName(w handoff.Want, at net.Addr) string {
	if a, ok := at.(*net.TCPAddr); ok {
		if a.IP.To4() != nil {
			return "ipv4@" + a.String()
		}
		return "ipv6@" + a.String()
	}
	if w.Network == "unix" {
		return "unix@" + w.Address
	}
	return w.String()
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
			Listener: ln, Runtime: rt, Certificates: b.commands(), Level: levels[s.Level], ExposeFD: s.Expose, Timeout: b.cfg.Global.StatsTimeout,
			Version: b.env.Version, StartupLogs: b.startupLogs(), Severity: s.Severity,
		})
		all = append(all, control.Socket{Address: socketName(want(&s.Bind), ln.Addr()), Level: levels[s.Level]})
	}
	for _, c := range rt.controls {
		c.Sockets = all
	}
	rt.forMaster = &control.Server{
		Runtime: rt, Certificates: b.commands(), Level: control.Admin, Timeout: b.cfg.Global.StatsTimeout,
		Version: b.env.Version, StartupLogs: b.startupLogs(), Sockets: all,
	}
	for _, fe := range b.eng.Frontends {
		p := rt.frontends[fe.Index]
		for i, ln := range fe.Listeners {
			rt.expose(want(&p.Binds[i]).Key(), ln.FD)
		}
	}
}

// Converse implements worker.Engine.
func (rt *Runtime) Converse(conn net.Conn) {
	go func() {
		defer conn.Close()
		rt.forMaster.Converse(rt.ctx, conn)
	}()
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

// ClearCounters implements control.Runtime.
func (rt *Runtime) ClearCounters(all bool) {
	rt.generation.ClearCounters(all)
}

// clearOwn forgets what this worker has counted.
func (rt *Runtime) clearOwn(all bool) {
	rt.pulse.clear()
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
