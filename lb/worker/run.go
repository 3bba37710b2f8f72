package worker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
)

// Plan is an accepted configuration: what a process needs to know of it.
type Plan struct {
	Wants []handoff.Want
	Facts handoff.Facts // Digest, Pidfile and HardStop; Run fills in the rest

	// UID and GID are what the process becomes before it serves; -1 stays.
	UID, GID int

	// Chroot is the directory that the process confines itself to before it
	// serves; "" is none. Paths are looked up in it from then on.
	Chroot string

	// Hide keeps the memory of the process, with the keys of its TLS
	// connections in it, from core dumps and from other users.
	Hide bool
	// Dump lets the process leave core dumps although it changes users, which
	// the kernel takes for a reason to leave none (set-dumpable).
	Dump bool

	// Files is how many descriptors the configuration's maxconn asks for; 0
	// when it names none.
	Files uint64

	// Fit is how many connections so many descriptors are enough for.
	Fit func(files uint64) (conns int)

	// Snapshot is the configuration's text in a form that Load can read again;
	// the master keeps it for the day the next configuration crashes.
	Snapshot []byte

	// Build makes the engine. The engine owns the set from then on.
	Build func(*handoff.Set, assemble.Env) (Engine, error)
}

// Source is where a worker's listening sockets come from.
type Source interface {
	// Open returns the wanted sockets by their keys. The error is a
	// SocketErrors when wants cannot be met.
	Open(*Plan) (*handoff.Set, error)
}

// SocketErrors lists all wanted sockets that cannot be had.
type SocketErrors []handoff.WantError

func (e SocketErrors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", e[0], len(e)-1)
}

// Process is one serving process. Set the fields, then call Run.
type Process struct {
	// Load reads the configuration. It has said what is wrong when it returns
	// ErrSaid; any other error is printed by Run.
	Load func() (*Plan, error)

	Sockets Source
	Env     assemble.Env
	Signals <-chan os.Signal

	// Out is where messages for the operator go in HAProxy's form.
	Out io.Writer

	// BeforeReady is called when everything serves, before anybody is informed:
	// the pid file, signals to old processes. It is called as the user that the
	// process was started as. An error ends the process.
	BeforeReady func(handoff.Facts) error

	// Link is the connection to the master; nil without one.
	Link *handoff.Conn

	// Rendezvous is where a new master finds this process after its own died.
	// With a Link but without a Rendezvous the process drains when the master
	// is gone. Run closes it.
	Rendezvous *net.UnixListener

	// Abandoned says that the service which this process belongs to is not
	// running, so that there may be no next master. It is asked while there is
	// none; nil is never.
	Abandoned func() bool

	// Owned by Run.
	plan   *Plan
	set    *handoff.Set // copies of the engine's listeners
	engine Engine
	facts  handoff.Facts
}

// ErrSaid stands for an error that was reported to the operator already.
var ErrSaid = errors.New("the reason is printed above")

// Exit statuses besides 0.
const (
	Failed     = 1
	Terminated = 128 + int(unix.SIGTERM)
	Interrupt  = 128 + int(unix.SIGINT)
)

// Run does what the package describes and returns the exit status.
func (p *Process) Run() int {
	if err := p.prepare(); err != nil {
		p.Env.Settled()
		p.complain(err)
		return Failed
	}
	return p.serve()
}

// startGC is GOGC until the engine has settled (assemble.Env): almost nothing that is allocated until then is garbage, and looking for it would cost
// a fifth of a reload, on the processors that traffic needs. Collections begin at 128 MB then, in place of 4. The first one ends it as well: the next
// would come at 33 times what lives by then.
const startGC = 3200

// collected is an object that the first collection finds dead. With a pointer it shares its memory with no other.
type collected struct{ _ *collected }

// prepare goes all the way to an engine that serves.
func (p *Process) prepare() error {
	usual := debug.SetGCPercent(startGC)
	p.Env.Settled = sync.OnceFunc(func() { debug.SetGCPercent(usual) })
	runtime.AddCleanup(new(collected), func(settled func()) { settled() }, p.Env.Settled)
	plan, err := p.Load()
	if err != nil {
		return err
	}
	p.plan, p.facts = plan, plan.Facts
	p.facts.Pid = p.Env.Pid
	p.facts.Generation = p.Env.Generation
	p.facts.Reloads = p.Env.Reloads
	p.facts.Version = p.Env.Version
	p.facts.Started = p.Env.Started
	p.facts.Shares = true
	plan.Facts = p.facts

	if plan.Hide {
		leanDump()
	}
	if err := raiseFiles(plan.Files, plan.Fit); err != nil {
		p.say(slog.LevelWarn, event.FewFiles, err.Error())
	}
	if p.set, err = p.Sockets.Open(plan); err != nil {
		return err
	}
	if p.Link != nil {
		p.Env.Gave = p.gave
	}
	if err := p.build(); err != nil {
		return err
	}
	if p.Link != nil { // without a master there are still paths to be put in place
		if err := confine(plan.Chroot); err != nil {
			p.engine.Stop()
			return err
		}
	}
	if err := become(plan.UID, plan.GID, p.BeforeReady != nil); err != nil {
		p.engine.Stop()
		return err
	}
	if err := p.engine.Start(); err != nil {
		p.engine.Stop()
		return err
	}
	if p.BeforeReady != nil {
		err := asRoot(func() error {
			if err := p.BeforeReady(p.facts); err != nil || p.Link != nil {
				return err
			}
			return confine(plan.Chroot)
		})
		if err != nil {
			p.engine.Stop()
			return err
		}
	}
	if plan.Hide || plan.Dump { // each change of users has undone it
		if err := dumpable(plan.Dump); err != nil {
			p.engine.Stop()
			return err
		}
	}
	switch {
	case os.Geteuid() == 0:
		p.Env.Logger.Warn(rootWarning)
	case os.Getegid() == 0 && plan.UID > 0:
		p.Env.Logger.Warn(groupWarning)
	}
	if p.Link != nil {
		if err := p.Link.Send(handoff.Report{Kind: handoff.Ready}, nil, linkWait); err != nil {
			// Clients are being served already. A master that died now is no other case than one that died a moment later: serve finds
			// out, and the next master chooses among the workers that it finds.
			p.Env.Logger.Warn("tell the master that this worker is ready: " + err.Error())
			return nil
		}
		p.leaveRecord()
	}
	return nil
}

// rootWarning is for a process that serves strangers as root.
const rootWarning = "this process serves as root, as the global section has no `user` line: whoever finds a fault in it has the machine; name a `user` and a `group`"

// groupWarning is for a process that only half left root.
const groupWarning = "this process serves in group root, as the global section has a `user` line and no `group`: name a `group`"

// gave tells the master whose paths it must not remove any more. Should it not
// hear of it, it removes them when it ends.
func (p *Process) gave(names []string) {
	for part := range slices.Chunk(names, handoff.Batch) {
		if err := p.Link.Send(handoff.Report{Kind: handoff.Gave, Names: part}, nil, linkWait); err != nil {
			p.Env.Logger.Warn("tell the master of sockets that were given away: " + err.Error())
		}
	}
}

// leaveRecord gives the master what it needs should this process be killed.
// Without it requests are served as well.
func (p *Process) leaveRecord() {
	f := p.engine.Flights()
	if f == nil {
		return
	}
	if err := p.Link.Send(handoff.Report{Kind: handoff.Flights}, []int{int(f.Fd())}, linkWait); err != nil {
		p.Env.Logger.Warn("leave the record of requests in flight with the master: " + err.Error())
	}
}

// build makes the engine. The sockets are kept as well, for the next master
// and for Pause.
func (p *Process) build() error {
	socks := p.set
	if fd, ok := socks.Take(handoff.Former); ok {
		former, err := handoff.NewConn(os.NewFile(uintptr(fd), "former"))
		if err != nil {
			return err
		}
		p.Env.Former = former
	}
	if fd, ok := socks.Take(handoff.Back); ok {
		back, err := handoff.NewConn(os.NewFile(uintptr(fd), "back"))
		if err != nil {
			return err
		}
		p.Env.Back = back
	}
	kept, err := socks.Clone()
	if err != nil {
		socks.Close()
		return err
	}
	p.set = kept
	engine, err := p.plan.Build(socks, p.Env)
	if err != nil {
		socks.Close()
		return err
	}
	p.engine = engine
	return nil
}

// linkWait bounds a send to the master, which reads all the time.
const linkWait = 10 * time.Second

// complain prints why the process cannot serve.
func (p *Process) complain(err error) {
	if errors.Is(err, ErrSaid) {
		return
	}
	var sockets SocketErrors
	if !errors.As(err, &sockets) {
		fmt.Fprintf(p.Out, "[ALERT]    (%d) : %v\n", p.Env.Pid, err)
		return
	}
	for _, one := range sockets {
		fmt.Fprintf(p.Out, "[ALERT]    (%d) : %v\n", p.Env.Pid, one)
	}
	fmt.Fprintf(p.Out, "[ALERT]    (%d) : %d of %d listeners cannot be opened\n", p.Env.Pid, len(sockets), len(p.plan.Wants))
}
