package circle

import (
	"fmt"
	"testing"
	"time"
)

// TestNoCircle sends what is said again and again, with other times or none: all of it.
func TestNoCircle(t *testing.T) {
	var c Circle
	now := time.Now()
	for i := range 100 * Lines {
		for _, line := range []string{
			"<13>1 - h a - - - the same\n", "plain\n", fmt.Sprintf("<13>1 2026-11-21T03:04:%02dZ h a - - - the same\n", i/1000),
		} {
			if got := c.LeaveOut([]byte(line), now); string(got) != line {
				t.Fatalf("%q becomes %q", line, got)
			}
		}
		now = now.Add(time.Millisecond)
	}
}

// TestWhatComesBackIsLeftOut sends lines that all come back, and forgets it when some of them are sent again for another reason.
func TestWhatComesBackIsLeftOut(t *testing.T) {
	var c Circle
	now := time.Now()
	send := func() (left int) {
		for i := range Lines {
			if c.Back(fmt.Appendf(nil, "<13>1 2026-11-21T03:04:05Z h a - - - n=%d", i), now) {
				left++
			}
		}
		return left
	}
	if n := send(); n > 0 || c.Turning() {
		t.Errorf("%d lines are left out the first time", n)
	}
	now = now.Add(circleTime)
	send()
	if n := send(); !c.Turning() || n != Lines || c.Left() < Lines {
		t.Errorf("%d of %d lines are left out", n, Lines)
	}
	c.Forget()
	if n := send(); n > 0 || c.Turning() {
		t.Errorf("%d lines are left out after Forget", n)
	}
}
