package master

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// A master may be killed between any two messages: of two that two workers must
// not have the wrong one of alone, the second waits for the first.

// stalled is a worker that does not read, and cannot be sent anything more.
func stalled(t *testing.T, r *run) (w *worker, theirs *os.File) {
	t.Helper()
	w, theirs = linked(t, r)
	fd, err := w.link.Dup()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		if err := unix.Sendto(fd, []byte(`{"kind":"ask"}`), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil); errors.Is(err, unix.EAGAIN) {
			return w, theirs
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func linked(t *testing.T, r *run) (w *worker, theirs *os.File) {
	t.Helper()
	link, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return r.newWorker(link), theirs
}

// next is what a worker is sent next, and nil if that takes longer than wait.
func next(t *testing.T, theirs *os.File, wait time.Duration) []byte {
	t.Helper()
	fd := int(theirs.Fd())
	for end := time.Now().Add(wait); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(time.Until(end), 0).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			t.Fatal(err)
		case n == 0:
			return nil
		}
		buf := make([]byte, 4096)
		got, _, _, _, err := unix.Recvmsg(fd, buf, make([]byte, 256), unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		return buf[:got]
	}
}

// until reads what a worker is sent, up to an order.
func until(t *testing.T, theirs *os.File, kind string) {
	t.Helper()
	for m := []byte{}; !bytes.Contains(m, []byte(kind)); {
		if m = next(t, theirs, enough); m == nil {
			t.Fatalf("no %s is sent", kind)
		}
	}
}

const (
	// nothing is how long a wrong message gets to arrive: a short wait can only hide a fault, not invent one.
	nothing = 50 * time.Millisecond
	enough  = 20 * time.Second
)

func TestTheNewWorkerMeetsNobodyWhoHasNotHeardOfIt(t *testing.T) {
	for _, dies := range []bool{false, true} {
		r := hearer(t)
		old, toOld := stalled(t, r)
		fresh, toFresh := linked(t, r)
		r.current, r.starting = old, fresh
		r.provide(fresh)
		if m := next(t, toFresh, nothing); m != nil {
			t.Fatalf("the new worker is sent %s before the old one has heard of it", m)
		}
		if dies {
			toOld.Close()
		} else {
			until(t, toOld, handoff.Successor)
		}
		if m := next(t, toFresh, enough); !bytes.Contains(m, []byte(handoff.Former)) {
			t.Errorf("the new worker is sent %q", m)
		}
		close(r.over)
	}
}

func TestNobodyLeavesForATrialThatHasNotHeardOfItsPromotion(t *testing.T) {
	r := hearer(t)
	r.Out = io.Discard
	defer close(r.over)
	old, toOld := linked(t, r)
	fresh, toFresh := stalled(t, r)
	r.current, r.attempt = old, attempt{why: reloading, canary: new(Canary)}
	r.trial = &trial{Canary: r.attempt.canary, w: fresh, began: time.Now()}
	r.promote("its time is up")
	if m := next(t, toOld, nothing); m != nil {
		t.Fatalf("the old worker is sent %s before the new one knows that it serves", m)
	}
	until(t, toFresh, handoff.Promote)
	if m := next(t, toOld, enough); !bytes.Contains(m, []byte(handoff.Drain)) {
		t.Errorf("the old worker is sent %q", m)
	}
}
