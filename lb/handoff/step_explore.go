//go:build explore

package handoff

import (
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A build for test/handover alone, which kills a process at each of its messages: LB_EXPLORE names a file that appears when the counting begins, and
// says which process dies, and at which step: a process id, or "new" for a worker that was started after that.

var (
	exploreFile = os.Getenv("LB_EXPLORE")
	exploreNew  = born()
	explored    atomic.Int64
)

func born() bool {
	_, err := os.Stat(exploreFile)
	return err == nil && len(os.Args) > 1 && os.Args[1] == "@worker"
}

func step() {
	text, err := os.ReadFile(exploreFile)
	if err != nil {
		return
	}
	var who string
	var n int64
	if _, err := fmt.Sscan(string(text), &who, &n); err != nil || who != fmt.Sprint(os.Getpid()) && !(who == "new" && exploreNew) {
		return
	}
	if explored.Add(1) == n {
		// An error shows in the test, which does not find the file.
		_ = os.WriteFile(exploreFile+".done", nil, 0o600)
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // until it arrives
	}
}
