package loop

import (
	"testing"
	"time"
)

// TestPausesDoNotCount: a process that was stopped finds its timers where they
// were; time that passed while it waited as it meant to counts.
func TestPausesDoNotCount(t *testing.T) {
	l := start(t)
	var fired bool
	var timer Timer
	timer.OnExpire = expire(func() { fired = true })
	var before int64
	l.Call(func() {
		before = l.Now()
		l.Arm(&timer, 10_000)
		l.base = l.base.Add(-30 * time.Second) // thirty seconds pass
	})
	l.Call(func() {
		if now := l.Now(); fired || now-before >= 10_000 {
			t.Errorf("after the pause %d ms have passed, and the timer has fired: %v", now-before, fired)
		}
		if l.Skipped() < 25_000 {
			t.Errorf("%d ms were skipped", l.Skipped())
		}
		l.Disarm(&timer)
	})
	rang := make(chan struct{})
	timer.OnExpire = expire(func() { close(rang) })
	l.Call(func() { l.Arm(&timer, 5) })
	<-rang
}
