package orphans

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// TestReap lets processes become orphans of this one, and has children of its own at the same time.
func TestReap(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	// Longer than a busy machine keeps whoever waits for a child of his own from being told.
	stop := reap(time.Second)
	defer stop()
	var orphans []int
	for range 20 {
		// The shell ends before its child does, which becomes ours. Its number is said before.
		out, err := exec.Command("sh", "-c", "(exec sleep 0.05) >/dev/null 2>&1 & echo $!").Output()
		if err != nil {
			t.Fatal(err)
		}
		var orphan int
		if _, err := fmt.Sscan(strings.TrimSpace(string(out)), &orphan); err != nil {
			t.Fatal(err)
		}
		orphans = append(orphans, orphan)
		var exit *exec.ExitError
		if err := exec.Command("sh", "-c", "exit 7").Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
			t.Errorf("the end of a child of our own: %v", err)
		}
	}
	for _, orphan := range orphans {
		wait.Until(t, "the orphan to be gone", func() bool {
			return errors.Is(unix.Kill(orphan, 0), unix.ESRCH)
		})
	}
	if z := zombies(); len(z) > 0 {
		t.Errorf("left: %v", z)
	}
}
