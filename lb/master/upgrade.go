package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
)

// UpgradeEnv is the environment variable that holds an Estate as JSON.
const UpgradeEnv = "LB_UPGRADE"

// Estate is what a master leaves to the program that it turns into: numbers of
// open descriptors. The process stays the same, so its workers stay its
// children.
type Estate struct {
	Sockets map[string]int `json:"sockets"`
	Links   []int          `json:"links"`
	Configs map[int]int    `json:"configs,omitempty"` // configurations by their workers' pids
	Given   []int          `json:"given"`             // by the service manager
	CLI     int            `json:"cli"`               // -1: none
	Client  int            `json:"client"`            // who asked for the upgrade
}

// upgradeNow checks the program on disk, then becomes it. The new program
// answers the client when its first worker serves.
func (s *session) upgradeNow([]string) {
	client, ok := s.w.(*net.UnixConn)
	if !ok {
		s.say("Upgrade failed: it can be asked for over a unix socket only.")
		return
	}
	if err := s.checkBinary(); err != nil {
		s.say("Upgrade failed, nothing has changed: %v", err)
		return
	}
	errs := make(chan error, 1)
	if s.post(func() { s.upgrade(client, errs) }) {
		// There is no answer but a failure.
		select {
		case err := <-errs:
			s.say("Upgrade failed, nothing has changed: %v", err)
		case <-s.over:
			s.say("Upgrade failed: the master has ended")
		}
	}
}

// upgrade becomes the program on disk when nothing else is under way.
func (r *run) upgrade(client *net.UnixConn, errs chan<- error) {
	if r.trial != nil {
		errs <- errors.New(r.onTrial())
		return
	}
	r.becomeWhenIdle(client, errs, time.Now().Add(lastWordsWait))
}

// becomeWhenIdle becomes the program on disk when nothing else is under way and no
// worker is ending: how that went, and what it had in flight, only this program
// knows. One whose process stays without a connection is not waited for after until.
func (r *run) becomeWhenIdle(client *net.UnixConn, errs chan<- error, until time.Time) {
	r.whenIdle(func() {
		if time.Now().Before(until) && slices.ContainsFunc(r.workers(), (*worker).ending) {
			r.after(endingPause, func() { r.becomeWhenIdle(client, errs, until) })
			return
		}
		errs <- r.become(client)
	})
}

// endingPause is how long an upgrade waits before it looks again whether a worker
// has ended.
const endingPause = 10 * time.Millisecond

// ending reports whether w's connection or its process has ended, which is not all
// known yet.
func (w *worker) ending() bool {
	return w.hungUp || w.gone != nil || w.link.Ended()
}

// checkBinary lets the program on disk check the configuration: one that does
// not even start, or that does not understand it, must not take over.
func (r *run) checkBinary() error {
	cmd := exec.Command(r.Binary, append([]string{"-c", "-q"}, r.Args...)...)
	cmd.Env = workerEnviron()
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	reason := firstAlert(string(out))
	if reason == "" {
		reason = strings.TrimSpace(string(out))
	}
	return fmt.Errorf("%s -c: %w: %s", r.Binary, err, reason)
}

// become replaces this program while no worker is on its way: what it has not
// reported yet nobody but this program could take over. It returns only when that
// failed.
func (r *run) become(client *net.UnixConn) error {
	if r.stopping {
		return errors.New("the master is stopping")
	}
	r.flush()
	var keep []int
	hold := func(conn syscall.Conn) (int, error) {
		fd, err := inheritable(conn)
		if err == nil {
			keep = append(keep, fd)
		}
		return fd, err
	}
	defer func() { closeAll(keep) }()
	e := Estate{Sockets: make(map[string]int), Configs: make(map[int]int), CLI: -1}
	for name, fd := range r.sockets.All() {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 3)
		if err != nil {
			return fmt.Errorf("keep listener %s: %w", name, err)
		}
		keep = append(keep, dup)
		e.Sockets[name] = dup
	}
	for _, fd := range r.Opener.Activated.FDs() {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 3)
		if err != nil {
			return fmt.Errorf("keep a socket of the service manager: %w", err)
		}
		keep = append(keep, dup)
		e.Given = append(e.Given, dup)
	}
	var err error
	for _, w := range r.workers() {
		fd, err := hold(w.link)
		if errors.Is(err, net.ErrClosed) {
			continue // it has ended in this moment
		}
		if err != nil {
			return fmt.Errorf("keep worker %d: %w", w.pid, err)
		}
		e.Links = append(e.Links, fd)
		if w.snapshot == nil {
			continue
		}
		if fd, err = hold(w.snapshot); err != nil {
			return fmt.Errorf("keep the configuration of worker %d: %w", w.pid, err)
		}
		e.Configs[w.pid] = fd
	}
	if cli, ok := r.CLI.(syscall.Conn); ok {
		if e.CLI, err = hold(cli); err != nil {
			return fmt.Errorf("keep the command socket: %w", err)
		}
	}
	if e.Client, err = hold(client); err != nil {
		return fmt.Errorf("keep the client: %w", err)
	}
	estate, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r.logEvent(slog.LevelInfo, event.Upgrading, "upgrading: this process becomes the program in "+r.Binary)
	r.notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nWATCHDOG=1\nSTATUS=Upgrading", monotonic()))
	env := append(os.Environ(), UpgradeEnv+"="+string(estate))
	err = syscall.Exec(r.Binary, append([]string{os.Args[0]}, os.Args[1:]...), env)
	r.notify("READY=1\n" + r.statusLine())
	return fmt.Errorf("become %s: %w", r.Binary, err)
}

// inheritable duplicates a descriptor so that it outlives an exec.
func inheritable(conn syscall.Conn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	dup, derr := -1, error(nil)
	if err := raw.Control(func(fd uintptr) { dup, derr = unix.FcntlInt(fd, unix.F_DUPFD, 3) }); err != nil {
		return -1, err
	}
	return dup, derr
}

// Inherit takes what a master left in the environment; nil when there is
// nothing. The variable is removed.
func Inherit() (*Estate, error) {
	text := os.Getenv(UpgradeEnv)
	if text == "" {
		return nil, nil
	}
	if err := os.Unsetenv(UpgradeEnv); err != nil {
		return nil, err
	}
	e := new(Estate)
	if err := json.Unmarshal([]byte(text), e); err != nil {
		return nil, fmt.Errorf("what the former master left (%s): %w", UpgradeEnv, err)
	}
	return e, nil
}

// Take gives the estate to the new master.
func (e *Estate) Take(m *Master) error {
	m.Sockets = new(handoff.Set)
	for name, fd := range e.Sockets {
		unix.CloseOnExec(fd)
		m.Sockets.Add(name, fd)
	}
	for _, fd := range e.Given {
		m.Opener.Activated.Add(fd)
	}
	for _, fd := range e.Links {
		link, err := handoff.NewConn(os.NewFile(uintptr(fd), "worker"))
		if err != nil {
			return err
		}
		m.Links = append(m.Links, link)
	}
	m.Snapshots = make(map[int]*os.File, len(e.Configs))
	for pid, fd := range e.Configs {
		unix.CloseOnExec(fd)
		m.Snapshots[pid] = os.NewFile(uintptr(fd), "configuration")
	}
	if e.CLI >= 0 {
		f := os.NewFile(uintptr(e.CLI), "command socket")
		defer f.Close()
		l, err := net.FileListener(f)
		if err != nil {
			return fmt.Errorf("take over the command socket: %w", err)
		}
		m.CLI = l
	}
	f := os.NewFile(uintptr(e.Client), "client")
	defer f.Close()
	client, err := net.FileConn(f)
	if err != nil {
		return nil // it has hung up
	}
	m.Upgraded = make(chan Outcome, 1)
	go func(outcome <-chan Outcome) {
		defer client.Close()
		select {
		case o := <-outcome:
			SayOutcome(client, o)
		case <-time.After(10 * time.Minute):
		}
	}(m.Upgraded)
	return nil
}
