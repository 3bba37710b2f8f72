package handoff

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTooManyInFlight sends more descriptors than an ordinary user may have in flight (RLIMIT_NOFILE of them) to a receiver that is slow to take
// them: the kernel refuses (ETOOMANYREFS), Send waits, and all arrive.
func TestTooManyInFlight(t *testing.T) {
	const limit, each, messages = 120, 4, 60
	// The kernel counts before it adds: the message that passes the limit still goes.
	const refused = limit/each + 1
	from, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := NewConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fds := make([]int, each)
	for i := range fds {
		fds[i] = int(null.Fd())
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)

	var sent atomic.Int32
	done := make(chan error, 1)
	go func() {
		// The thread alone becomes an ordinary user's, and ends with this goroutine.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			const nobody = 65534
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
				done <- errno
				return
			}
		}
		for range messages {
			if err := from.Send(Report{Kind: Adopted}, fds, time.Minute); err != nil {
				done <- err
				return
			}
			sent.Add(1)
		}
		done <- nil
	}()
	for end := time.Now().Add(20 * time.Second); sent.Load() < refused; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d messages were sent", sent.Load())
		}
	}
	if n := sent.Load(); n != refused {
		t.Fatalf("%d messages went out unread, more than the kernel lets through: nothing was tested", n)
	}
	for range messages {
		var r Report
		got, err := to.Receive(&r)
		if err != nil || len(got) != each {
			t.Fatalf("%d descriptors, %v", len(got), err)
		}
		for _, fd := range got {
			unix.Close(fd)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
