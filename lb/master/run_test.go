package master

import (
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// manager is a service manager that remembers what it was told.
type manager struct{ heard []string }

func (m *manager) Send(state string) error { m.heard = append(m.heard, state); return nil }
func (*manager) Store(string, int) error   { return nil }
func (*manager) Remove(string) error       { return nil }

// TestTheWatchdogIsFedFromTheFirst: the program that a master was before an upgrade may have fed it almost an interval ago, and this one
// does so again half an interval from now.
func TestTheWatchdogIsFedFromTheFirst(t *testing.T) {
	link, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	sm := new(manager)
	m := &Master{Binary: "/nonexistent", Log: slog.New(slog.DiscardHandler), Out: io.Discard, Notify: sm, Watchdog: time.Hour, Links: []*handoff.Conn{link}}
	if got := m.Run(nil); got != 1 {
		t.Errorf("exit status %d", got)
	}
	if len(sm.heard) == 0 || !strings.Contains(sm.heard[0], "WATCHDOG=1") {
		t.Errorf("the service manager hears %q", sm.heard)
	}
	// Then while workers are being adopted, which has a limit of its own.
	r := &run{Master: m, adopting: []*worker{{}}}
	sm.heard = nil
	r.feedWatchdog()
	if len(sm.heard) != 1 {
		t.Errorf("while a worker is being adopted the service manager hears %q", sm.heard)
	}
}

// TestAKilledWorkerIsNotReady, although it has just said so: the one that serves goes on.
func TestAKilledWorkerIsNotReady(t *testing.T) {
	serves, late := new(worker), &worker{timer: time.NewTimer(time.Hour)}
	defer late.timer.Stop()
	r := &run{Master: &Master{Log: slog.New(slog.DiscardHandler)}, current: serves, starting: late}
	late.kill()
	r.isReady(late)
	if r.current != serves || r.starting != late {
		t.Error("it took over")
	}
}

// TestTheEndOfAConnectionIsNoWarning, whether the sender notices it first or the receiver.
func TestTheEndOfAConnectionIsNoWarning(t *testing.T) {
	var said strings.Builder
	r := &run{Master: &Master{Log: slog.New(slog.NewTextHandler(&said, nil))}, over: make(chan struct{}), events: make(chan func())}
	defer close(r.over)
	for range 100 {
		link, theirs, err := handoff.Pair()
		if err != nil {
			t.Fatal(err)
		}
		w := r.newWorker(link)
		theirs.Close()
		r.order(w, handoff.Adopt)
		for !w.hungUp {
			(<-r.events)()
		}
	}
	if said.Len() > 0 {
		t.Error(said.String())
	}
}

// TestFlush: what a worker was to be told has been sent when flush returns; a program that this one becomes does not know of it.
func TestFlush(t *testing.T) {
	link, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	r := &run{Master: &Master{Log: slog.New(slog.DiscardHandler)}, over: make(chan struct{})}
	defer close(r.over)
	r.current = r.newWorker(link)
	const orders = 50
	for range orders {
		r.order(r.current, handoff.Pause)
	}
	r.flush()
	for i := range orders {
		if _, _, err := unix.Recvfrom(int(theirs.Fd()), make([]byte, 1024), unix.MSG_DONTWAIT); err != nil {
			t.Fatalf("after %d orders: %v", i, err)
		}
	}
}

// TestAnUpgradeWaitsForWhatEnds: a worker that ends in the moment of an upgrade is waited for, as only this program knows what it had in flight, and one whose
// connection is gone for good is no reason to refuse.
func TestAnUpgradeWaitsForWhatEnds(t *testing.T) {
	link, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	client, _, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	raw, err := client.Dup()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(raw), "client")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := &run{Master: &Master{Log: slog.New(slog.DiscardHandler), Binary: "/nonexistent", Opener: new(handoff.Opener)}, over: make(chan struct{}), events: make(chan func()), sockets: new(handoff.Set)}
	defer close(r.over)
	ending := r.newWorker(link)
	r.old = []*worker{ending}
	theirs.Close()
	for _, gone := range []bool{true, false} {
		errs := make(chan error, 1)
		until := time.Now().Add(time.Hour)
		if !gone {
			until = time.Now() // it never is
		}
		r.becomeWhenIdle(c.(*net.UnixConn), errs, until)
		if gone {
			for range 3 {
				(<-r.events)()
			}
			select {
			case err := <-errs:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			r.old = nil
			for len(errs) == 0 {
				(<-r.events)()
			}
			r.old = []*worker{ending}
		}
		if err := <-errs; err == nil || !strings.HasPrefix(err.Error(), "become /nonexistent: ") {
			t.Errorf("%v: %v", gone, err)
		}
	}
}
