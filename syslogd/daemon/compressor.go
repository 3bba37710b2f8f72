package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
)

// CompressArg is the hidden first argument with which syslogd starts itself to compress a file. The form follows.
const CompressArg = "compress-child"

// compressWith makes a rotate Compressor that starts executable. The child gets the two files as its standard input and
// output and no name of anything.
func compressWith(executable string) func(ctx context.Context, dst, src *os.File, form rotate.Compression) error {
	return func(ctx context.Context, dst, src *os.File, form rotate.Compression) error {
		cmd := exec.CommandContext(ctx, executable, CompressArg, string(form))
		cmd.Stdin, cmd.Stdout = src, dst
		var said bytes.Buffer
		cmd.Stderr = &said
		cmd.Env = []string{"GOMAXPROCS=1", "GOMEMLIMIT=32MiB"}
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
		// The kernel keeps a policy for each thread, and the Go runtime has started some already. After an exec there is one
		// thread, the one that called it, which hands its policy down to all others: it must be the one that stepped back.
		runtime.LockOSThread()
		if err := stepBack(); err != nil {
			return err
		}
		return unix.Exec("/proc/self/exe", []string{os.Args[0], CompressArg, args[0], "now"}, os.Environ())
	}
	if len(args) != 2 {
		return fmt.Errorf("%s is not for people; it wants a form of compression", CompressArg)
	}
	return rotate.CompressInProcess(context.Background(), os.Stdout, os.Stdin, rotate.Compression(args[0]))
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
