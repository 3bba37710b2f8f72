package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/cmd/internal/buildinfo"
	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/cmd/internal/orphans"
	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/master"
	"lbsyslogd/lb/worker"
)

// serve chooses between a master with workers and a single process, and
// between the foreground and the background.
func serve(o *options, args []string, out *console.Writer) int {
	defer orphans.Reap()()
	background := signal.Ignored(unix.SIGINT)
	signals := catch()
	if !o.master && !o.foreground {
		// The configuration may say daemon or master-worker.
		l := o.loader(out)
		l.Quiet = true
		cfg, _, err := l.Config()
		if err != nil {
			return status(err, out)
		}
		o.master = cfg.Global.MasterWorker
		o.daemon = o.daemon || cfg.Global.Daemon && !o.master
	}
	if os.Getenv(master.UpgradeEnv) != "" {
		// As the former program this very process has gone to the background and
		// replaced its predecessors; another process may have their ids by now.
		o.daemon, o.takeFrom, o.finish, o.end = false, "", nil, nil
	}
	if o.daemon && !o.foreground && !o.systemd && !isDaemon() {
		return status(daemonize(args), out)
	}
	inherited := closeOnExec()
	opener := &handoff.Opener{
		Inherited: func(n int) (int, bool) { return n, slices.Contains(inherited, n) },
		Old:       slices.Concat(o.finish, o.end),
	}
	if err := takeSockets(o, opener, out); err != nil {
		return status(err, out)
	}
	if o.master {
		code, err := beMaster(o, args, opener, signals, out)
		if err != nil {
			return status(err, out)
		}
		return code
	}
	if background { // a shell's "lb &" or nohup: Ctrl-C is not for it, as with HAProxy
		signal.Ignore(unix.SIGINT)
	}
	return beSingle(o, opener, signals, out)
}

// catch has the signals that lb knows delivered to a channel. SIGPIPE is
// caught so that a standard error nobody reads does not end the process.
func catch() <-chan os.Signal {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, unix.SIGUSR1, unix.SIGUSR2, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGTTOU, unix.SIGTTIN, unix.SIGPIPE, master.Part)
	return signals
}

// takeSockets is -x. Its failure is fatal, except for a master, which can do
// without.
func takeSockets(o *options, opener *handoff.Opener, out io.Writer) error {
	if o.takeFrom == "" || o.takeFrom == "/dev/null" {
		return nil
	}
	taken, err := handoff.TakeSockets(o.takeFrom)
	if err == nil {
		opener.Taken = taken
		return nil
	}
	if !o.master {
		return fmt.Errorf("-x: %w", err)
	}
	fmt.Fprintf(out, "[WARNING]  (%d) : -x: %v\n", os.Getpid(), err)
	return nil
}

// beSingle serves in this process.
func beSingle(o *options, opener *handoff.Opener, signals <-chan os.Signal, out *console.Writer) int {
	pid := os.Getpid()
	l := o.loader(out)
	named := &pidfile{Source: worker.Local{Opener: opener}, path: func(configured string) string {
		if o.pidfile == "" && (o.daemon || o.foreground) {
			return configured
		}
		return o.pidfile
	}}
	p := worker.Process{
		Load:    l.Plan,
		Sockets: named,
		Env: assemble.Env{
			Generation: 1, Pid: pid, Started: time.Now(), Version: buildinfo.Version(), Released: buildinfo.Date(),
			Logger: console.Logger(out, pid, o.quiet),
		},
		Signals: signals,
		Out:     out,
		BeforeReady: func(handoff.Facts) error {
			if err := named.write(); err != nil {
				return err
			}
			if err := opener.Settled(); err != nil {
				return fmt.Errorf("put a unix socket in its place: %w", err)
			}
			replaceOld(o)
			return notifyParent()
		},
	}
	code := p.Run()
	opener.Resume()
	named.remove()
	switch code {
	case worker.Terminated:
		die(unix.SIGTERM)
	case worker.Interrupt:
		die(unix.SIGINT)
	}
	return code
}

// die ends the process by a signal, as whoever sent it expects to see: a shell
// ends its script on SIGINT only then. It returns in a container's process 1,
// which the kernel spares.
func die(sig unix.Signal) {
	signal.Reset(sig)
	_ = unix.Kill(os.Getpid(), sig)
	time.Sleep(100 * time.Millisecond) // it is delivered at once
}

// replaceOld is the end of -sf and -st: the new process serves, the old ones
// may go.
func replaceOld(o *options) {
	for _, old := range []struct {
		pids []int
		sig  unix.Signal
	}{{o.finish, unix.SIGUSR1}, {o.end, unix.SIGTERM}} {
		for _, pid := range old.pids {
			// One that is gone already has done what it was asked for.
			_ = unix.Kill(pid, old.sig)
		}
	}
}

// closeOnExec marks every descriptor that this process was started with, but
// for the standard ones, so that no child holds a pipe or a socket open that
// it does not know of. It returns them: fd@N may name only these.
func closeOnExec() []int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var inherited []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil || n < 3 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue // the directory itself, or the runtime's own
		}
		unix.CloseOnExec(n)
		inherited = append(inherited, n)
	}
	return inherited
}

// program is the path this program was started by, which after an upgrade is
// the new program; /proc/self/exe would be the old one, deleted.
func program() (string, error) {
	path := os.Args[0]
	if filepath.Base(path) == path {
		if found, err := exec.LookPath(path); err == nil {
			path = found
		}
	}
	abs, err := filepath.Abs(path)
	if err == nil {
		if _, err := os.Stat(abs); err == nil {
			return abs, nil
		}
	}
	abs, err = os.Executable()
	if err != nil {
		return "", errors.New("cannot tell which file this program was started from")
	}
	return abs, nil
}
