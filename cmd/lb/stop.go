package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/master"
)

// The end of the service. What the packaged unit runs asks systemd whether it
// is the end of the service or of the master alone:
//
//	ExecStop=+lb stop --or-detach      while the master can be asked
//	KillSignal=SIGRTMIN+1              in the middle of a start or a reload (master.Part)
//	ExecStopPost=+lb stop --left-over  for workers whose master went that way
//
// A stop that comes while systemd waits to start the unit again runs none of
// them. Workers notice it themselves (worker.Process.Abandoned).

// stop ends the master.
func stop(args []string, out, _ io.Writer) error {
	r, err := requested("stop", args, 0, "-now", "-or-detach", "-left-over")
	if err != nil || r.help {
		return helped(out, "stop", err)
	}
	command := "stop"
	switch {
	case r.flags["-left-over"]:
		return endLeftOver(r.timeout)
	case r.flags["-or-detach"] && mayDetach(job()):
		command = "detach"
	case r.flags["-now"]:
		command = "stop now"
	}
	answer, err := r.insist(command)
	if err != nil {
		return err
	}
	if text, ok := strings.CutPrefix(answer, "Refused: "); ok {
		return errors.New(strings.TrimSpace(text))
	}
	return nil
}

// mayDetach says whether the workers may be left to the next master. Where
// systemd does not answer they are, as a restart that ends them costs what a
// stop that leaves them does not: ExecStopPost asks again, and workers whose
// unit is gone leave by themselves.
func mayDetach(job string, err error) bool { return err != nil || job == "restart" }

// job is what systemd is doing to the unit that this process runs in, as
// "restart" or "stop"; "" is nothing.
func job() (string, error) {
	unit := unitOf("self")
	if unit == "" {
		return "", nil
	}
	return jobOf(unit, func() ([]byte, error) {
		return exec.Command("systemctl", "list-jobs", "--no-legend", "--plain").Output()
	})
}

// jobOf asks a few times: a manager that is busy, or just starting anew, does
// not answer at once.
func jobOf(unit string, list func() ([]byte, error)) (string, error) {
	out, err := list()
	for range 3 {
		if err == nil || errors.Is(err, exec.ErrNotFound) {
			break
		}
		time.Sleep(200 * time.Millisecond)
		out, err = list()
	}
	if err != nil {
		return "", fmt.Errorf("ask systemd for its jobs: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // job, unit, type, state
		if len(f) >= 3 && f[1] == unit {
			return f[2], nil
		}
	}
	return "", nil
}

// systemdUnits is where systemd tells journald of the units that are running.
const systemdUnits = "/run/systemd/units"

// stopped says that systemd does not run a unit: it is stopped, or waits to be
// started again. Nothing that an ordinary user may ask says more where there is
// no D-Bus. Where systemd does not tell it is false.
func stopped(unit, units string) bool {
	if st, err := os.Stat(units); err != nil || !st.IsDir() {
		return false
	}
	_, err := os.Lstat(units + "/invocation:" + unit)
	return errors.Is(err, os.ErrNotExist)
}

// leftOverWait is how long workers without a master may finish what is open
// when the unit stops: it gives a stop 90 seconds.
const leftOverWait = 80 * time.Second

// endLeftOver ends the workers that serve on in this process's unit, if that
// is being stopped: softly, and after a while at once.
func endLeftOver(wait time.Duration) error {
	if what, err := job(); what != "stop" {
		return err
	}
	if wait == 0 {
		wait = leftOverWait
	}
	workers, err := workersOf(unitOf("self"))
	if err != nil {
		return fmt.Errorf("look for workers: %w", err)
	}
	var polled []unix.PollFd
	for _, pid := range workers {
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		defer unix.Close(pidfd)
		_ = unix.PidfdSendSignal(pidfd, unix.SIGUSR1, nil, 0) // as before
		polled = append(polled, unix.PollFd{Fd: int32(pidfd), Events: unix.POLLIN})
	}
	end := time.Now().Add(wait)
	for _, p := range polled {
		if !readable(p, time.Until(end)) {
			_ = unix.PidfdSendSignal(int(p.Fd), unix.SIGTERM, nil, 0)
			readable(p, time.Second)
		}
	}
	return nil
}

// readable waits until p is, for a process until it has ended.
func readable(p unix.PollFd, wait time.Duration) bool {
	for end := time.Now().Add(wait); ; {
		n, err := unix.Poll([]unix.PollFd{p}, int(max(time.Until(end), 0).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n == 1
		}
	}
}

// workersOf lists the workers in a unit.
func workersOf(unit string) (pids []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil || unit == "" {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || unitOf(e.Name()) != unit {
			continue
		}
		words, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && bytes.Contains(words, []byte("\x00"+master.WorkerArg+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
