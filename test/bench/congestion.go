package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TCP's congestion control decides what a long body costs, and whom. BBR paces: it sends each piece at a time of its own, by a timer, and over loopback the timers of all three
// programs run in turn on each other's cores. The subject pays for the server's, as many as chance has it: two runs of one build gave 0.6 and 1.4 of HAProxy's cost. So a run has
// Debian's default, whatever the machine has.

const (
	congestionFile = "/proc/sys/net/ipv4/tcp_congestion_control"
	insideVariable = "BENCH_NAMESPACE" // set for the run in a namespace of its own
)

// unpaced are congestion controls without pacing: Debian's default, and the one that a kernel allows in every namespace.
var unpaced = []string{"cubic", "reno"}

// congestion runs the program again, in a network namespace of its own, if the machine's congestion control paces. ran says that this was done, and all of it.
func congestion(ctx context.Context) (ran bool, err error) {
	if os.Getenv(insideVariable) != "" {
		return false, prepareNamespace()
	}
	text, err := os.ReadFile(congestionFile)
	if err != nil {
		return false, err
	}
	now := strings.TrimSpace(string(text))
	if slices.Contains(unpaced, now) {
		return false, nil
	}
	runtime.LockOSThread() // whose end is what Pdeathsig hears of
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"="+now)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute // it stops what it has started
	if err := cmd.Start(); errors.Is(err, unix.EPERM) {
		fmt.Fprintf(os.Stderr, "bench: this machine's TCP congestion control is %s, and without root it stays: if it paces, as bbr does, figures of 1 MiB and more say little\n", now)
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("run in a network namespace: %w", err)
	}
	return true, cmd.Wait()
}

// prepareNamespace makes a new network namespace usable: it has a loopback interface that is down, and the machine's congestion control.
func prepareNamespace() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("start the loopback interface: %w", err)
	}
	var failed error
	for _, name := range unpaced {
		err := os.WriteFile(congestionFile, []byte(name), 0o644)
		if err == nil {
			fmt.Fprintf(os.Stderr, "bench: TCP congestion control is %s in this run, in a network namespace of its own, and not %s, which the machine has\n", name, os.Getenv(insideVariable))
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
