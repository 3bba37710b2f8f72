package main

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// TestProcessCPUKnowsThreadsThatEnded: what a thread has used stays in the sum when it is gone.
func TestProcessCPUKnowsThreadsThatEnded(t *testing.T) {
	const burn = 30 * time.Millisecond
	before := cpuOf(t)
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for begin := threadTime(); threadTime()-begin < burn; {
		}
		close(done)
	}()
	<-done
	wait.Until(t, "the processor time of a thread that ended", func() bool { return cpuOf(t)-before >= burn })
}

// TestProcessCPUKnowsChildrenThatEnded: so does what a child has used that was waited for, in ticks.
func TestProcessCPUKnowsChildrenThatEnded(t *testing.T) {
	before := cpuOf(t)
	cmd := exec.Command("/bin/sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if got := cpuOf(t) - before; got < used-20*time.Millisecond {
		t.Errorf("a child used %v, and %v was counted", used, got)
	}
}

// threadTime is what the thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

func cpuOf(t *testing.T) time.Duration {
	t.Helper()
	used, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return used
}
