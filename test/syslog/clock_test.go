package syslog_test

import (
	"context"
	bits "encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/config"
	syslogd "lbsyslogd/syslogd/daemon"
)

// A clock is what a daemon takes the time from, which nobody else has to share: eight bytes of a file, the nanoseconds that it is off by.
type clock struct {
	t    *testing.T
	path string
}

// newClock makes d run in a child of this test, with a clock of its own.
func newClock(t *testing.T, d *daemon) clock {
	c := clock{t, filepath.Join(t.TempDir(), "clock")}
	c.set(0)
	d.command = func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], d.config)
		cmd.Env = append(os.Environ(), "SYSLOGD_CLOCK="+c.path)
		return cmd
	}
	return c
}

// set sets the clock to the beginning of a year; 0: to what it is.
func (c clock) set(year int) {
	c.t.Helper()
	var off int64
	if year > 0 {
		off = int64(time.Until(time.Date(year, 1, 1, 0, 0, 30, 0, time.UTC)))
	}
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bits.NativeEndian.AppendUint64(nil, uint64(off))); err != nil {
		c.t.Fatal(err)
	}
}

// runWithClock is syslogd in this process, with such a clock.
func runWithClock(path, file string) int {
	cfg, err := config.Load(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	f, err := os.Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer f.Close()
	off, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	d := syslogd.Daemon{
		Config: cfg, File: file, Version: "test", Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Executable: binary(),
		Now: func() time.Time { return time.Unix(0, time.Now().UnixNano()+int64(bits.NativeEndian.Uint64(off))) },
	}
	if err := d.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
