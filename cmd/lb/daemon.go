package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/worker"
)

// daemonEnv holds the number of the descriptor on which a daemon tells its
// parent that it serves.
const daemonEnv = "LB_DAEMON"

// highFD is where that descriptor is put: below it are those that fd@N may
// name.
const highFD = 200

func isDaemon() bool { return os.Getenv(daemonEnv) != "" }

// daemonize starts this program again in a session of its own and waits until
// it serves. The daemon says itself why it could not. Go cannot fork without
// exec, so the configuration is read again there.
func daemonize(args []string) error {
	self, err := program()
	if err != nil {
		return err
	}
	hear, say, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe to the daemon: %w", err)
	}
	defer hear.Close()
	// Inherited by its number, not through ExtraFiles, which would be put over
	// descriptors that the configuration may name.
	high, err := unix.FcntlInt(say.Fd(), unix.F_DUPFD, highFD)
	say.Close()
	if err != nil {
		return fmt.Errorf("pipe to the daemon: %w", err)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), daemonEnv+"="+strconv.Itoa(high))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	unix.Close(high)
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	if _, err := bufio.NewReader(hear).ReadByte(); err == nil {
		return nil
	}
	if err := cmd.Wait(); err == nil {
		return errors.New("the daemon ended before it served")
	}
	return worker.ErrSaid
}

// notifyParent says that this process serves, and lets go of the terminal. It
// does nothing in a process that is no daemon.
func notifyParent() error {
	fd, err := strconv.Atoi(os.Getenv(daemonEnv))
	if err != nil {
		return nil
	}
	if err := os.Unsetenv(daemonEnv); err != nil {
		return err
	}
	if err := discardOutput(); err != nil {
		return err
	}
	parent := os.NewFile(uintptr(fd), "parent")
	defer parent.Close()
	if _, err := parent.Write([]byte{'1'}); err != nil {
		return fmt.Errorf("tell the parent: %w", err)
	}
	return nil
}

// discardOutput turns the standard descriptors into /dev/null: whoever started
// the daemon sees their end.
func discardOutput() error {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("let go of descriptor %d: %w", fd, err)
		}
	}
	return nil
}
