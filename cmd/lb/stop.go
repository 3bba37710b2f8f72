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

// stop ends the master.
func stop(args []string, out, _ io.Writer) error {
	r, err := requested("stop", args, 0, "-now", "-or-detach", "-left-over")
	if err != nil || r.help {
		return helped(out, err)
	}
	command := "stop"
	switch {
	case r.flags["-left-over"]:
		return endLeftOver(r.timeout)
	case r.flags["-or-detach"] && job() == "restart":
		command = "detach"
	case r.flags["-now"]:
		command = "stop now"
	}
	answer, err := r.ask(command)
	if err != nil {
		return err
	}
	if text, ok := strings.CutPrefix(answer, "Refused: "); ok {
		return errors.New(strings.TrimSpace(text))
	}
	return nil
}

// job is what systemd is doing to the unit that this process runs in, as
// "restart" or "stop"; "" is nothing, or not to be found out.
func job() string {
	out, err := exec.Command("systemctl", "list-jobs", "--no-legend", "--plain").Output()
	if err != nil {
		return ""
	}
	unit := unitOf("self")
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // job, unit, type, state
		if len(f) >= 3 && f[1] == unit {
			return f[2]
		}
	}
	return ""
}

// leftOverWait is how long workers without a master may finish what is open
// when the unit stops: it gives a stop 90 seconds.
const leftOverWait = 80 * time.Second

// endLeftOver ends the workers that serve on in this process's unit, if that
// is being stopped: softly, and after a while at once.
func endLeftOver(wait time.Duration) error {
	if job() != "stop" {
		return nil
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
