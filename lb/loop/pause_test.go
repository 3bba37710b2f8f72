package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// TestEventsBeforeTimers: what lies in a socket counts before a timer that has run
// out meanwhile: nobody gets 504 for an answer that is there.
func TestEventsBeforeTimers(t *testing.T) {
	l := start(t)
	ours, theirs := pair(t)
	defer unix.Close(theirs)
	var timer Timer
	came, expired := make(chan bool, 1), make(chan bool, 1)
	timer.OnExpire = expire(func() { expired <- true })
	l.Call(func() {
		if err := l.Add(ours, handler(func(Events) {
			l.Disarm(&timer)
			came <- true
		})); err != nil {
			t.Error(err)
		}
		l.Arm(&timer, 1)
		if _, err := unix.Write(theirs, []byte("answer")); err != nil {
			t.Error(err)
		}
		for begun := time.Now(); time.Since(begun) < 5*time.Millisecond; { // the time is up
		}
	})
	<-came
	l.Call(func() { l.CloseFD(ours) })
	select {
	case <-expired:
		t.Error("the timer went first")
	default:
	}
}
