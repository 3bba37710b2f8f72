package master

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Names in the service manager's store.
const (
	listenerPrefix = "listener."
	linkPrefix     = "worker."
)

func linkName(pid int) string { return fmt.Sprint(linkPrefix, pid) }

func (r *run) notify(state string) {
	if r.Notify == nil {
		return
	}
	if err := r.Notify.Send(state); err != nil {
		r.Log.Warn(fmt.Sprintf("tell the service manager: %v", err))
	}
}

func (r *run) store(name string, fd int) {
	if r.Notify == nil {
		return
	}
	if err := r.Notify.Store(name, fd); err != nil {
		r.Log.Warn(fmt.Sprintf("give %s to the service manager to keep: %v", name, err))
	}
}

func (r *run) unstore(name string) {
	if r.Notify == nil {
		return
	}
	if err := r.Notify.Remove(name); err != nil {
		r.Log.Warn(fmt.Sprintf("take %s back from the service manager: %v", name, err))
	}
}

// keepLink stores the connection to a worker: when this master dies the next
// one goes on talking over it, and the worker does not even notice.
func (r *run) keepLink(w *worker) {
	if r.Notify == nil {
		return
	}
	fd, err := w.link.Dup()
	if err != nil {
		r.Log.Warn(fmt.Sprintf("keep the connection to worker %d: %v", w.pid, err))
		return
	}
	defer unix.Close(fd)
	r.store(linkName(w.pid), fd)
}

// watchdog ticks twice in the interval that the service manager watches.
func (r *run) watchdog() <-chan time.Time {
	if r.Notify == nil || r.Watchdog <= 0 {
		return nil
	}
	return time.Tick(r.Watchdog / 2)
}

// feedWatchdog says that this loop runs and that somebody serves, or is about
// to: a start in progress has a limit of its own, and so have an adoption and a
// backoff.
func (r *run) feedWatchdog() {
	if r.current != nil || r.starting != nil || len(r.adopting) > 0 || r.crashes.row > 0 || r.stopping {
		r.notify("WATCHDOG=1")
	}
}

// monotonic is the clock that systemd compares RELOADING=1 with, in µs.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano() / 1000
}
