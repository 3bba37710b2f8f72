package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
	"lbsyslogd/rotate/archive"
	"lbsyslogd/syslogd/format"
)

// CompressArg is the hidden first argument with which syslogd starts itself to compress a file. The form follows.
const CompressArg = "compress-child"

// TimesOf is how the times of the lines of a format are read, for rotate.Options. The format and the zone are those of a checked configuration.
func TimesOf(form string, zone *time.Location) func(last time.Time) archive.Clock {
	return func(last time.Time) archive.Clock {
		r, err := format.NewReader(form, zone)
		if err != nil || !r.Has("time") {
			return nil
		}
		r.In(last)
		return r.Time
	}
}

// CompressWith makes a rotate Compressor that starts executable. The child gets the two files as its standard input and
// output and no name of anything; the format of the lines and the zone of their times are for the index.
func CompressWith(executable, lines string, zone *time.Location) func(ctx context.Context, dst, src *os.File, form rotate.Compression) error {
	where := ""
	if zone != nil {
		where = zone.String()
	}
	return func(ctx context.Context, dst, src *os.File, form rotate.Compression) error {
		cmd := exec.CommandContext(ctx, executable, CompressArg, string(form), lines, where)
		cmd.Stdin, cmd.Stdout = src, dst
		var said bytes.Buffer
		cmd.Stderr = &said
		cmd.Env = []string{"GOMAXPROCS=1", "GOMEMLIMIT=32MiB"}
		if local, ok := os.LookupEnv("TZ"); ok {
			cmd.Env = append(cmd.Env, "TZ="+local)
		}
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
		}
		return nil
	}
}

// Compress is the child: it compresses its standard input to its standard output, when no other process wants the processor or
// the disk.
func Compress(args []string) error {
	if len(args) == 1 {
		args = append(args, "raw", "")
	}
	if len(args) == 3 {
		// The kernel keeps a policy for each thread, and the Go runtime has started some already. After an exec there is one
		// thread, the one that called it, which hands its policy down to all others: it must be the one that stepped back.
		runtime.LockOSThread()
		if err := stepBack(); err != nil {
			return err
		}
		return unix.Exec("/proc/self/exe", append(append([]string{os.Args[0], CompressArg}, args...), "now"), os.Environ())
	}
	if len(args) != 4 {
		return fmt.Errorf("%s is not for people; it wants a form of compression, and perhaps a format of lines and a time zone", CompressArg)
	}
	var zone *time.Location
	if args[2] != "" {
		var err error
		if zone, err = time.LoadLocation(args[2]); err != nil {
			return err
		}
	}
	return rotate.CompressIndexed(TimesOf(args[1], zone))(context.Background(), os.Stdout, os.Stdin, rotate.Compression(args[0]))
}

// stepBack gives the calling thread the lowest priority there is for processor and disk.
func stepBack() error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("SCHED_IDLE: %w", err)
	}
	const whoProcess, classIdle = 1, 3 << 13 // linux/ioprio.h
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, classIdle); errno != 0 && errno != unix.EPERM {
		return fmt.Errorf("idle disk priority: %w", errno)
	}
	return nil
}
