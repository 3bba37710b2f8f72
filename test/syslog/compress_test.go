package syslog_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// TestCompressorStepsBack looks at the process that compresses, in both forms: all of its threads run when no other wants the processor,
// and are last in the disk's queue.
func TestCompressorStepsBack(t *testing.T) {
	for form, open := range map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
	} {
		t.Run(form, func(t *testing.T) {
			cmd := exec.Command(binary(), "compress-child", form)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out := new(bytes.Buffer)
			cmd.Stdout, cmd.Stderr = out, os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			text := bytes.Repeat([]byte("a line of a log\n"), 1<<16)
			if _, err := in.Write(text); err != nil { // more than a pipe holds: it has begun
				t.Fatal(err)
			}
			threads, err := os.ReadDir("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task")
			if err != nil || len(threads) == 0 {
				t.Fatal(err)
			}
			for _, e := range threads {
				id, err := strconv.Atoi(e.Name())
				if err != nil {
					t.Fatal(err)
				}
				attr, err := unix.SchedGetAttr(id, 0)
				if err != nil || attr.Policy != unix.SCHED_IDLE {
					t.Errorf("thread %d has policy %d, %v; want SCHED_IDLE", id, attr.Policy, err)
				}
				const whoProcess, classShift, classIdle = 1, 13, 3 // linux/ioprio.h
				class, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, uintptr(id), 0)
				if errno != 0 || class>>classShift != classIdle {
					t.Errorf("thread %d has disk priority %#x, %v; want the idle class", id, class, errno)
				}
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			plain, err := open(out)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes of %d came back, %v", len(got), len(text), err)
			}
		})
	}
}
