package loop

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestBriskWaits: a loop whose waits are short keeps its place with the scheduler while it waits, an idle one gives it away.
func TestBriskWaits(t *testing.T) {
	l := start(t)
	after := func(d time.Duration) bool {
		was := make(chan bool)
		time.AfterFunc(d, func() { l.Post(func() { was <- l.brisk }) })
		return <-was
	}
	for !after(time.Millisecond) { // a busy machine may make a long wait of a short one
	}
	if after(20 * brisk * time.Millisecond) {
		t.Error("after a long wait the loop still expects short ones")
	}
}

// TestCollectionInterruptsWait: a garbage collection does not depend on how long a wait takes that the runtime does not know of.
func TestCollectionInterruptsWait(t *testing.T) {
	l, err := New(0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var collected atomic.Bool
	waiting, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		close(waiting)
		for !collected.Load() {
			l.epollWait(-1, true) // until a signal or the stop below
		}
		l.Run()
	}()
	<-waiting
	for range 10 {
		runtime.GC()
	}
	collected.Store(true)
	l.Stop()
	<-ended
}
