package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"lbsyslogd/test/rig"
)

// command is a deed that failed.
type command struct {
	name       string
	hand       hand
	begin, end time.Duration
	err        error
}

// diary is what was done in a round.
type diary struct {
	// mu guards the fields below.
	mu      sync.Mutex
	windows []window
	failed  []command
	done    map[string]int // by the fault's name
}

// doer does one deed.
type doer struct {
	*site
	ctx    context.Context
	server string        // whom it happened to, for the window
	mild   bool          // it did nothing that may cost anything
	cut    time.Duration // when it was done, if the deed goes on waiting for what follows
}

// errSkipped is of a deed for which there was no occasion: nothing was done.
var errSkipped = errors.New("there was no occasion")

// work does the events of one hand until the round ends.
func (s *site) work(ctx context.Context, d *diary, h hand, begun time.Time, events []event) {
	for _, e := range events {
		if e.fault.hand != h {
			continue
		}
		select {
		case <-time.After(time.Until(begun.Add(e.at))):
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.one(d, e)
	}
}

// one does one event. It has its own time: a round that ends lets it finish.
func (s *site) one(d *diary, e event) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	do := &doer{site: s, ctx: ctx}
	begin := time.Since(s.epoch)
	// The window is there from the beginning: what it permits may be over before the deed returns.
	forgets, forgot := e.fault.permits.breaks || e.fault.permits.scarce, s.forgot.Load()
	if forgets {
		s.forgot.Store(int64(begin))
	}
	err := e.fault.do(do, e.arg)
	end := time.Since(s.epoch)
	switch {
	case !forgets:
	case do.mild || errors.Is(err, errSkipped):
		s.forgot.Store(forgot)
	default:
		s.forgot.Store(int64(end))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(err, errSkipped) {
		return
	}
	if do.cut == 0 {
		do.cut = end
	}
	f := e.fault
	if do.mild {
		f = &fault{name: f.name + " (survived)", hand: f.hand}
	}
	d.windows = append(d.windows, window{f, begin, do.cut, end, do.server})
	d.done[f.name]++
	if err != nil {
		d.failed = append(d.failed, command{e.fault.name, e.fault.hand, begin, end, err})
	}
}

// told is the error of a command together with what it said.
func told(text string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", err, strings.TrimSpace(text))
}

func (h *doer) reload(arg uint32) error {
	if err := h.lb.Configure(fmt.Sprintf("# edited: %d\n%s", arg, h.config())); err != nil {
		return err
	}
	return told(h.lb.Reload(h.ctx))
}

// badReload reloads with a configuration that has to be refused, and puts the good one back.
func (h *doer) badReload(arg uint32) error {
	config, word := h.broken(arg)
	if err := h.lb.Configure(config); err != nil {
		return err
	}
	answer, err := h.lb.Reload(h.ctx)
	if back := h.lb.Configure(h.config()); back != nil {
		return back
	}
	if err == nil {
		return errors.New("a broken configuration was accepted")
	}
	if !strings.Contains(answer, word) {
		return fmt.Errorf("a refused reload does not say why (%q is not in it): %s", word, answer)
	}
	return nil
}

// broken is a configuration that a reload must refuse, and a word that its answer must hold.
func (s *site) broken(arg uint32) (config, word string) {
	good := s.config()
	switch arg % 4 {
	case 0:
		return good + "\nbackend x\n    server \"a 127.0.0.1:1\n", "lb.cfg:"
	case 1:
		return strings.Replace(good, "balance roundrobin", "balanec roundrobin", 1), "balance"
	case 2:
		return strings.Replace(good, "crt "+s.cert, "crt "+s.cert+".missing", 1), ".missing"
	}
	_, port, _ := strings.Cut(s.echo.Addr(), ":") // which is taken, whatever happens to servers
	return good + "\nfrontend x\n    bind " + host + ":" + port + "\n    default_backend be\n", port
}

func (h *doer) restart(uint32) error {
	h.master.Lock()
	defer h.master.Unlock()
	return h.lb.Restart(h.ctx)
}

func (h *doer) killMaster(uint32) error {
	h.master.Lock()
	defer h.master.Unlock()
	return h.lb.Revive(h.ctx)
}

// killWorker kills the worker that serves, and returns when another one does.
func (h *doer) killWorker(uint32) error {
	// Without a master nobody holds the listening sockets but the worker: systemd would, but there is none.
	h.master.Lock()
	defer h.master.Unlock()
	pid, _, err := h.lb.Workers()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return errSkipped // it has left
	}
	if err := h.until("its end", func() bool { return dead(pid) }); err != nil {
		return err
	}
	h.cut = time.Since(h.epoch)
	return h.until("another worker", func() bool {
		now, _, err := h.lb.Workers()
		return err == nil && now != pid
	})
}

// killSyslogd kills the log daemon and starts it again. Its socket is held meanwhile, as systemd would.
func (h *doer) killSyslogd(uint32) error {
	h.logs.Lock()
	defer h.logs.Unlock()
	if err := h.log.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-h.log.Done()
	return h.log.Start(h.ctx, h.programs.Syslogd)
}

func (h *doer) rotate(uint32) error { return told(h.log.Verb(h.ctx, "rotate")) }

// logrotate does what logrotate does: it moves the file away and tells syslogd.
func (h *doer) logrotate(uint32) error {
	h.moved++
	if err := os.Rename(h.log.Log, fmt.Sprintf("%s.%d", h.log.Log, h.moved)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return told(h.log.Verb(h.ctx, "reopen"))
}

func (h *doer) hangup(arg uint32) error {
	h.logs.Lock()
	defer h.logs.Unlock()
	sig := syscall.SIGHUP
	if arg%2 == 0 {
		sig = syscall.SIGUSR1
	}
	return h.log.Signal(sig)
}

// dead reports whether a process is gone but for its exit status.
func dead(pid int) bool {
	return inState(pid, "") || inState(pid, "Z") || inState(pid, "X")
}

// inState reports whether a process is in a state as /proc names it; "" is of one that is not there.
func inState(pid int, state string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return state == ""
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return state != "" && strings.HasPrefix(rest, state)
}

func (h *doer) until(what string, cond func() bool) error { return rig.Until(h.ctx, what, cond) }
