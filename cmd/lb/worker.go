package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/cmd/internal/buildinfo"
	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/master"
	"lbsyslogd/lb/worker"
)

// beWorker is a process that a master started: its listening sockets, orders
// and identity come from there.
func beWorker(args []string, out *console.Writer) int {
	signals := catch()
	o, birth, err := born(args)
	if err != nil {
		return status(err, out)
	}
	link, err := handoff.NewConn(os.NewFile(master.LinkFD, "master"))
	if err != nil {
		return status(err, out)
	}
	out.Carry = birth.Journal
	pid := os.Getpid()
	l := o.loader(out)
	if birth.Snapshot {
		if l.Snapshot, err = snapshot(); err != nil {
			return status(err, out)
		}
	}
	p := worker.Process{
		Load:    l.Plan,
		Sockets: worker.FromMaster{Link: link},
		Env: assemble.Env{
			Generation: birth.Generation, Reloads: birth.Reloads, Pid: pid, Master: birth.Master,
			Started: time.Now(), Version: buildinfo.Version(), Released: buildinfo.Date(),
			Logger: console.Logger(out, pid, o.quiet).With("LB_GENERATION", birth.Generation, "LB_WORKER_PID", pid),
		},
		Signals:     signals,
		Out:         out,
		Link:        link,
		BeforeReady: func(handoff.Facts) error { return outputOfMaster() },
	}
	if unit := unitOf("self"); birth.Kept && unit != "" {
		p.Abandoned = func() bool { return stopped(unit, systemdUnits) }
	}
	if birth.Rendezvous != "" {
		if p.Rendezvous, err = rendezvous(master.RendezvousPath(birth.Rendezvous, pid)); err != nil {
			return status(err, out)
		}
	}
	return profiled(p.Run)
}

// born reads what the master says about this worker.
func born(args []string) (*options, *master.Birth, error) {
	birth := new(master.Birth)
	if err := json.Unmarshal([]byte(os.Getenv(master.WorkerEnv)), birth); err != nil {
		return nil, nil, fmt.Errorf("%s is what a master starts its workers with, not for people: %w", master.WorkerArg, err)
	}
	if err := os.Unsetenv(master.WorkerEnv); err != nil {
		return nil, nil, err
	}
	for _, fd := range []int{master.LinkFD, master.StdoutFD, master.StderrFD} {
		unix.CloseOnExec(fd)
	}
	o, err := parse(args)
	return o, birth, err
}

// snapshot reads the former configuration from its beginning: the descriptor's
// offset is shared with everybody who has it.
func snapshot() (io.Reader, error) {
	f := os.NewFile(master.SnapshotFD, "configuration")
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("the former configuration: %w", err)
	}
	text := make([]byte, st.Size())
	if _, err := f.ReadAt(text, 0); err != nil {
		return nil, fmt.Errorf("the former configuration: %w", err)
	}
	return bytes.NewReader(text), nil
}

// outputOfMaster ends the pipe in which the master gathered what this worker
// said, and makes the master's own outputs the worker's.
func outputOfMaster() error {
	for _, d := range []struct{ from, to int }{{master.StdoutFD, 1}, {master.StderrFD, 2}} {
		if err := unix.Dup3(d.from, d.to, 0); err != nil {
			return fmt.Errorf("take over the master's output: %w", err)
		}
		unix.Close(d.from)
	}
	return nil
}

// rendezvous listens where the next master looks for this worker. Nobody but
// this user, and root, may ever connect there: the file is made with the
// socket's mode.
func rendezvous(path string) (*net.UnixListener, error) {
	_ = os.Remove(path) // left by an earlier process with this id
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		err := c.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmod)
	}}
	l, err := config.Listen(context.Background(), "unixpacket", path)
	if err != nil {
		return nil, fmt.Errorf("wait for the next master: %w", err)
	}
	return l.(*net.UnixListener), nil
}
