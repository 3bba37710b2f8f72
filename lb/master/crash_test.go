package master

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDelayGrows(t *testing.T) {
	for row, want := range map[int]time.Duration{
		0: 0, 1: 0, 2: 100 * time.Millisecond, 3: 200 * time.Millisecond, 7: 3200 * time.Millisecond, 8: 6400 * time.Millisecond,
		9: 10 * time.Second, 1000: 10 * time.Second,
	} {
		if got := delay(row); got != want {
			t.Errorf("crash %d in a row waits %v, want %v", row, got, want)
		}
	}
}

// TestCrashesInARow kills one worker after the other: the first is replaced at once, the next ones after a wait that is said, and what connects
// meanwhile waits and is answered.
func TestCrashesInARow(t *testing.T) {
	r := newRig(t)
	r.start("listen " + r.addr)
	for n, said := range []string{"starts at once", "started in 100ms", "started in 200ms"} {
		_, pid := r.mustCall()
		unix.Kill(pid, unix.SIGKILL)
		r.await("crash "+said, func() bool { return strings.Contains(r.out.String(), said) })
		r.await("the next worker serves", func() bool {
			g, _, err := r.call()
			if errors.Is(err, unix.ECONNREFUSED) {
				t.Fatal(err)
			}
			// It answers a moment before the master hears that it is ready.
			return err == nil && g == n+2 && strings.Contains(r.ask("status"), fmt.Sprintf("generation %d ", g))
		})
	}
}
