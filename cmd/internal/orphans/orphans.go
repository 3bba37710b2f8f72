// Package orphans does the duty of a process 1 that nobody else does in a container: when a process dies whose parent is gone, its
// entry in the process table stays until its adoptive parent has asked for its end.
//
//  1. a child ends                        SIGCHLD
//  2. look for dead children in /proc     zombies
//  3. look again after the grace          a child of our own was waited for meanwhile, by the one who started it
//  4. ask for the end of those that stay  wait4(2)
package orphans

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long a dead child may wait for the one who started it.
const grace = 2 * time.Second

// Reap begins, in a process 1, to take care of orphans, until stop is called. In any other process it does nothing.
func Reap() (stop func()) {
	if os.Getpid() != 1 {
		return func() {}
	}
	return reap(grace)
}

func reap(grace time.Duration) (stop func()) {
	died, quit, done := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(died, unix.SIGCHLD)
	go func() {
		defer close(done)
		again := time.NewTimer(0) // what died before the signal was asked for
		defer again.Stop()
		waiting := true // for again
		var before map[process]bool
		for {
			select {
			case <-quit:
				return
			case <-died:
				if !waiting {
					waiting = true
					again.Reset(grace)
				}
				continue // nothing is certain before the grace is over
			case <-again.C:
			}
			now := zombies()
			for p := range now {
				if before[p] {
					// What is gone meanwhile has been waited for by somebody else.
					_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
					delete(now, p)
				}
			}
			before, waiting = now, len(now) > 0
			if waiting {
				again.Reset(grace)
			}
		}
	}()
	return func() {
		signal.Stop(died)
		close(quit)
		<-done
	}
}

// process is one process there ever was: ids come again, but not with the same time of birth.
type process struct {
	pid  int
	born string
}

// zombies are the dead children of this process.
func zombies() map[process]bool {
	found := make(map[process]bool)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return found // nothing to be seen, nothing to be done
	}
	parent := fmt.Appendf(nil, "%d", os.Getpid())
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// The name in parentheses may hold anything; after it come the state, the parent, and as the 20th the time of birth: proc(5).
		if f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]); len(f) > 19 && string(f[0]) == "Z" && bytes.Equal(f[1], parent) {
			found[process{pid, string(f[19])}] = true
		}
	}
	return found
}
