package worker

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/test/tape"
)

// serving is an engine that serves until it is stopped, or told to drain.
type serving struct {
	Engine
	done    chan struct{}
	stopped bool
}

func (e *serving) Start() error                 { return nil }
func (e *serving) Done() <-chan struct{}        { return e.done }
func (e *serving) Clients() (open, moved int64) { return 1, 0 }
func (e *serving) Flights() *os.File            { return nil }
func (e *serving) Drain()                       { close(e.done) }
func (e *serving) Stop()                        { e.stopped = true; close(e.done) }

// build is Plan.Build: the start is over at once.
func (e *serving) build(_ *handoff.Set, env assemble.Env) (Engine, error) {
	env.Settled()
	return e, nil
}

// sockets is a Source of none.
type sockets struct{}

func (sockets) Open(*Plan) (*handoff.Set, error) { return new(handoff.Set), nil }

// TestReadyWithoutAMaster: a master that is killed just before its worker says that it is ready costs nothing of what the worker has accepted by then. The
// worker serves on for the next master; without a rendezvous it finishes what is open.
func TestReadyWithoutAMaster(t *testing.T) {
	row := func(what string, meet *net.UnixListener, signal os.Signal, stopped bool) {
		t.Helper()
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(pair[1]) // the master's end
		link, err := handoff.NewConn(os.NewFile(uintptr(pair[0]), "link"))
		if err != nil {
			t.Fatal(err)
		}
		signals := make(chan os.Signal, 1)
		e := &serving{done: make(chan struct{})}
		p := &Process{
			Load: func() (*Plan, error) {
				return &Plan{UID: -1, GID: -1, Build: e.build}, nil
			},
			Sockets: sockets{}, Link: link, Rendezvous: meet, Signals: signals, Out: t.Output(), Env: assemble.Env{Logger: slog.New(slog.DiscardHandler)},
		}
		if signal != nil {
			signals <- signal
		}
		if status := p.Run(); status != 0 && !stopped || e.stopped != stopped {
			t.Errorf("%s: status %d, stopped at once: %v", what, status, e.stopped)
		}
	}
	row("without a rendezvous", nil, nil, false)
	meet := func() *net.UnixListener {
		l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "meet"), Net: "unixpacket"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	row("until SIGUSR1", meet(), unix.SIGUSR1, false)
	row("until SIGTERM", meet(), unix.SIGTERM, true)
}

// TestServingAsRootIsSaid: also where `chroot` confines the process (F8): without a
// user it is root all the same.
func TestServingAsRootIsSaid(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root serves as root")
	}
	var said strings.Builder
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	e := &serving{done: make(chan struct{})}
	p := &Process{
		Load: func() (*Plan, error) {
			return &Plan{UID: -1, GID: -1, Build: e.build}, nil
		},
		Sockets: sockets{}, Signals: signals, Out: t.Output(), Env: assemble.Env{Logger: slog.New(slog.NewTextHandler(&said, nil))},
	}
	if status := p.Run(); status != 0 && !e.stopped {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(said.String(), "serves as root") {
		t.Errorf("it says %q", said.String())
	}
}
