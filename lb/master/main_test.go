package master

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/handoff"
	process "lbsyslogd/lb/worker"
)

// The tests run real processes: this binary is the master when its first
// argument is masterArg, and a worker when it is WorkerArg. The worker's
// engine is a line server: each line is answered with generation and pid.
const masterArg = "@test-master"

// probation is the master's.
const probation = 3 * time.Second

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case masterArg:
			os.Exit(testMaster(os.Args[2:]))
		case WorkerArg:
			os.Exit(testWorker(os.Args[2:]))
		case "-c":
			os.Exit(testCheck(os.Args[3]))
		}
	}
	os.Exit(m.Run())
}

func catch() <-chan os.Signal {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGUSR1, unix.SIGUSR2, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGTTOU, unix.SIGTTIN, unix.SIGPIPE, Part)
	return signals
}

// testMaster runs a master: CONFIG SOCKET INTRODUCTION.
func testMaster(args []string) int {
	config, socket := args[0], args[1]
	introduction, err := time.ParseDuration(args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	m := &Master{
		Binary: os.Args[0], Args: []string{config}, Version: "1.0", Started: time.Now(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Out: os.Stderr, Stdout: os.Stdout, Stderr: os.Stderr,
		Rendezvous: socket, Pidfile: socket + ".pid", Opener: new(handoff.Opener),
		StartTimeout: 5 * time.Second, Probation: probation, StopWait: 3 * time.Second, Introduction: introduction,
	}
	estate, err := Inherit()
	if err == nil && estate != nil {
		err = estate.Take(m)
	}
	if err == nil && m.CLI == nil {
		m.Links = FindWorkers(socket)
		var fd int
		if fd, err = m.Opener.Open(handoff.Want{Network: "unix", Address: socket, UID: -1, GID: -1}); err == nil {
			f := os.NewFile(uintptr(fd), socket)
			m.CLI, err = net.FileListener(f)
			f.Close()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run(catch())
}

// testCheck is what `-c -q CONFIG` does. It leaves a file that says that it was called.
func testCheck(config string) int {
	if err := os.WriteFile(config+".checked", nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if _, err := readPlan(config, nil); err != nil {
		fmt.Fprintf(os.Stderr, "[ALERT]    (%d) : config : %v\n", os.Getpid(), err)
		return 1
	}
	return 0
}

// testWorker runs a worker as cmd/lb does.
func testWorker(args []string) int {
	var b Birth
	if err := json.Unmarshal([]byte(os.Getenv(WorkerEnv)), &b); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fd, err := unix.FcntlInt(LinkFD, unix.F_DUPFD_CLOEXEC, 10)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	stolen, err := handoff.NewConn(os.NewFile(uintptr(fd), "link"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	link, err := handoff.NewConn(os.NewFile(LinkFD, "link"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	path := RendezvousPath(b.Rendezvous, os.Getpid())
	meet, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	config := args[0]
	if b.Snapshot {
		config = fmt.Sprintf("/proc/self/fd/%d", SnapshotFD)
	}
	p := process.Process{
		Load:    func() (*process.Plan, error) { return readPlan(config, stolen) },
		Sockets: process.FromMaster{Link: link},
		Env: assemble.Env{Generation: b.Generation, Reloads: b.Reloads, Pid: os.Getpid(), Master: b.Master, Version: "1.0",
			Started: time.Now(), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))},
		Signals: catch(), Out: os.Stderr, Link: link, Rendezvous: meet,
		Abandoned: func() bool { // so is one whose test is over
			_, stopped := os.Stat(args[0] + ".stopped")
			_, there := os.Stat(filepath.Dir(args[0]))
			return stopped == nil || there != nil
		},
		BeforeReady: func(handoff.Facts) error {
			return errors.Join(unix.Dup3(StdoutFD, 1, 0), unix.Dup3(StderrFD, 2, 0))
		},
	}
	return p.Run()
}

// readPlan reads a test configuration, a word and its value in each line.
func readPlan(path string, stolen *handoff.Conn) (*process.Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	plan := &process.Plan{UID: -1, GID: -1, Snapshot: text}
	plan.Facts.Digest = string(text)
	e := &lineEngine{stolen: stolen, done: make(chan struct{}), conns: map[net.Conn]bool{}}
	for i, line := range strings.Split(string(text), "\n") {
		word, value, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "listen":
			w := handoff.Want{Network: "tcp", Address: value, UID: -1, GID: -1, Where: fmt.Sprintf("t.cfg:%d", i+1)}
			if strings.HasPrefix(value, "/") {
				w.Network = "unix"
			}
			plan.Wants = append(plan.Wants, w)
		case "hard-stop-after":
			if plan.Facts.HardStop, err = time.ParseDuration(value); err != nil {
				return nil, err
			}
		case "panic":
			panic(value)
		case "hang":
			select {}
		case "full":
			e.full = true
		case "die":
			e.die = value
		case "notice":
			fmt.Fprintf(os.Stderr, "[NOTICE]   (%d) : %s\n", os.Getpid(), value)
		default:
			return nil, fmt.Errorf("config : parsing [t.cfg:%d] : unknown keyword %q", i+1, word)
		}
	}
	plan.Build = func(socks *handoff.Set, env assemble.Env) (process.Engine, error) {
		e.env = env
		for _, w := range plan.Wants {
			fd, ok := socks.Take(w.Key())
			if !ok {
				return nil, fmt.Errorf("no socket for %s", w)
			}
			f := os.NewFile(uintptr(fd), w.Address)
			l, err := net.FileListener(f)
			f.Close()
			if err != nil {
				return nil, err
			}
			if u, ok := l.(*net.UnixListener); ok {
				u.SetUnlinkOnClose(false)
			}
			e.listeners = append(e.listeners, l)
		}
		return e, nil
	}
	return plan, nil
}

// lineEngine answers lines. One that an attacker sends ("!FILE MESSAGE") goes to the master, with FILE's descriptor.
type lineEngine struct {
	stolen    *handoff.Conn
	env       assemble.Env
	listeners []net.Listener
	die       string
	full      bool // take all descriptors there are
	done      chan struct{}

	// mu guards the fields below.
	mu       sync.Mutex
	conns    map[net.Conn]bool
	total    int64
	draining bool
	ended    bool
}

func (e *lineEngine) Start() error {
	if e.full {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		limit.Cur = 64
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		for err := error(nil); err == nil; {
			_, err = unix.Open("/dev/null", unix.O_CLOEXEC, 0)
		}
	}
	for _, l := range e.listeners {
		go e.accept(l)
	}
	return nil
}

func (e *lineEngine) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if e.die != "" {
			panic("as configured: " + e.die)
		}
		e.mu.Lock()
		e.conns[c] = true
		e.total++
		e.mu.Unlock()
		go e.serve(c)
	}
}

func (e *lineEngine) serve(c net.Conn) {
	for s := bufio.NewScanner(c); s.Scan(); {
		if evil, ok := strings.CutPrefix(s.Text(), "!"); ok {
			if err := e.attack(evil); err != nil {
				fmt.Fprintln(os.Stderr, err)
				break
			}
		}
		if _, err := fmt.Fprintf(c, "%d %d\n", e.env.Generation, e.env.Pid); err != nil {
			break
		}
	}
	c.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
	e.maybeDone()
}

// attack sends the master what a taken worker would.
func (e *lineEngine) attack(text string) error {
	path, message, _ := strings.Cut(text, " ")
	var fds []int
	if path != "" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		fds = []int{int(f.Fd())}
	}
	return e.stolen.Send(json.RawMessage(message), fds, 5*time.Second)
}

// maybeDone is called with mu held.
func (e *lineEngine) maybeDone() {
	if e.draining && len(e.conns) == 0 && !e.ended {
		e.ended = true
		close(e.done)
	}
}

func (e *lineEngine) Drain() {
	for _, l := range e.listeners {
		l.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining = true
	e.maybeDone()
}

func (e *lineEngine) Stop() {
	e.Drain()
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		c.Close()
	}
	if !e.ended {
		e.ended = true
		close(e.done)
	}
}

func (e *lineEngine) Done() <-chan struct{}      { return e.done }
func (e *lineEngine) Pause(bool)                 {}
func (e *lineEngine) SetReloads(handoff.Reloads) {}

// Converse echoes what comes, with the worker's process id.
func (e *lineEngine) Converse(c net.Conn) {
	go func() {
		defer c.Close()
		text, _ := io.ReadAll(c)
		fmt.Fprintf(c, "worker %d heard %q\n\n", os.Getpid(), text)
	}()
}

func (e *lineEngine) Flights() *os.File { return nil }

func (e *lineEngine) LogLost(f *os.File) {
	defer f.Close()
	text := make([]byte, 64)
	n, _ := f.ReadAt(text, 0)
	e.env.Logger.Info(fmt.Sprintf("in flight there: %s", text[:n]))
}

func (e *lineEngine) Successor(next *handoff.Conn) { next.Close() }

func (e *lineEngine) Status() process.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return process.Status{Connections: int64(len(e.conns)), Total: e.total}
}

func (e *lineEngine) Clients() (open, moved int64) { return e.Status().Connections, 0 }

var _ io.Writer = (*words)(nil)

func (e *lineEngine) Succeeded() bool { return false }
func (e *lineEngine) Meet(former *handoff.Conn) {
	former.Close()
	fmt.Fprintln(os.Stderr, "met a former worker")
}
func (e *lineEngine) Partner(back *handoff.Conn) { back.Close() }
func (e *lineEngine) Share(int)                  {}
func (e *lineEngine) Promote()                   {}
