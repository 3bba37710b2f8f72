package master

import (
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"lbsyslogd/lb/handoff"
)

// Master is what a master needs to know. Immutable after Run has begun.
type Master struct {
	// Binary is the program that workers are started from: a path, so that an
	// upgrade is taken up by the next reload.
	Binary string

	// Args are the operator's own arguments, as a worker reads them again.
	Args []string

	Version string
	Started time.Time

	Log *slog.Logger
	Out io.Writer // what a worker prints before it is ready goes here too

	// Terse is for a journal, where each fact stands once: what a worker that
	// does not become ready says against itself is reported with the outcome.
	Terse bool

	// Stdout and Stderr are what a worker that is ready writes to.
	Stdout, Stderr *os.File

	// CLI answers commands; nil without -S. Run closes it.
	CLI net.Listener
	// Onlookers says that whoever connects there, and is neither root nor this
	// process's user, may look and change nothing.
	Onlookers bool

	// Rendezvous is the beginning of the paths where workers can be found by
	// the next master; empty when they are not to outlive this one.
	Rendezvous string

	// Notify tells the service manager; nil without one.
	Notify Notifier

	// Watchdog is how often the service manager wants to hear; 0 never.
	Watchdog time.Duration

	// Pidfile is from the command line; the configuration may name another.
	Pidfile string

	// Opener opens the sockets.
	Opener *handoff.Opener

	// FirstReady is called once, when the first worker is ready: the daemon's
	// parent, signals to old processes. nil does nothing.
	FirstReady func()

	// Limits; zero values are the defaults.
	StartTimeout time.Duration // a worker must be ready by then: 60 s
	Probation    time.Duration // a worker that dies earlier is blamed on its configuration: 5 s
	StopWait     time.Duration // workers that were stopped are killed then: 10 s
	Introduction time.Duration // what a former master left must have said by then what it is: 5 s

	// What a former master left.
	Sockets *handoff.Set    // listening sockets by name; nil is empty
	Links   []*handoff.Conn // connections to workers that still serve
	// Snapshots are the workers' configurations by pid, where the former master
	// could leave them. Run closes those that it does not need.
	Snapshots map[int]*os.File

	// Upgraded gets the outcome of the reload that follows an adoption; it has
	// room for it. nil when nobody waits.
	Upgraded chan Outcome
}

// Notifier is the service manager.
type Notifier interface {
	// Send sends assignments, one in a line.
	Send(state string) error
	// Store gives a descriptor to keep for the next master.
	Store(name string, fd int) error
	// Remove takes it back.
	Remove(name string) error
}

// run is the state of a running master. Owned by the goroutine of Run.
type run struct {
	*Master
	events chan func()
	over   chan struct{} // closed when Run is about to return

	// answering is held for reading by whatever answers a command, so that nobody is
	// left without the outcome because the process ended a moment earlier.
	answering sync.RWMutex

	sockets  *handoff.Set
	retiring *handoff.Set // no longer wanted, and open until nothing waits in them

	retireTimer *time.Timer // ends that
	unwanted    string      // what of the service manager's sockets nobody asks for

	current  *worker   // serves
	starting *worker   // will serve, or not
	trial    *trial    // a worker that serves a share of what is new; nil as a rule
	old      []*worker // finish what they have
	adopting []*worker // have not said who they are yet
	looks    int       // for them, after the first

	generation int // of the newest worker that was started
	reloads    int
	failed     int // reloads since the last one that worked
	failures   int // reloads that failed, ever

	attempt attempt        // what starting is for; its why is empty when there is none
	waiting []chan Outcome // asked for the next reload
	pace    pace           // of reloads
	idle    []func()       // wait until no attempt is under way
	last    Outcome

	waitingAnyway bool      // one of them wants it whether or not anything has changed
	good          time.Time // when the last start or reload worked

	crashes     crashes
	lostFlights []*os.File // requests in flight in killed workers, for the next that serves

	served   bool // FirstReady was called
	stopping bool
	parting  bool // detached as soon as somebody serves
	detached bool // leave the workers and sockets to the next master
	owing    bool // somebody waits for the outcome of the start
	stopped  bool // nothing is left
	status   int  // to exit with
	pidfile  string
}

// Run starts the first worker and goes on until it is told to stop. It returns
// the exit status.
func (m *Master) Run(signals <-chan os.Signal) int {
	m.defaults()
	r := &run{
		Master:  m,
		events:  make(chan func()),
		over:    make(chan struct{}),
		sockets: m.Sockets, retiring: new(handoff.Set),
	}
	if r.sockets == nil {
		r.sockets = new(handoff.Set)
	}
	defer r.answered()
	defer close(r.over)
	defer r.leave()
	if m.CLI != nil {
		go r.serveCLI(m.CLI)
	}
	r.owing = r.owed()
	tick := r.watchdog()
	r.notify("WATCHDOG=1") // a program that this one was before may have done so long ago
	if !r.adopt(r.Links) {
		r.begin(attempt{why: starting})
	}
	for !r.stopped {
		select {
		case event := <-r.events:
			event()
		case sig := <-signals:
			r.signal(sig)
		case <-tick:
			r.feedWatchdog()
		}
	}
	return r.status
}

func (m *Master) defaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&m.StartTimeout, 60 * time.Second},
		{&m.Probation, 5 * time.Second},
		{&m.StopWait, 10 * time.Second},
		{&m.Introduction, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if m.Opener == nil {
		m.Opener = new(handoff.Opener)
	}
}

// post has event run by the goroutine that owns the state. After the end of
// Run events fall away; post says so.
func (r *run) post(event func()) bool {
	select {
	case r.events <- event:
		return true
	case <-r.over:
		return false
	}
}

// after posts event when d has passed.
func (r *run) after(d time.Duration, event func()) *time.Timer {
	return time.AfterFunc(d, func() { r.post(event) })
}

// workers lists all that live.
func (r *run) workers() []*worker {
	all := make([]*worker, 0, len(r.old)+2)
	for _, w := range append([]*worker{r.current, r.starting}, r.old...) {
		if w != nil {
			all = append(all, w)
		}
	}
	if r.trial != nil {
		all = append(all, r.trial.w)
	}
	return all
}
