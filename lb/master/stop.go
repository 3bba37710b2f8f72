package master

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/safefile"
)

// signal obeys what HAProxy's master obeys.
func (r *run) signal(sig os.Signal) {
	switch sig {
	case unix.SIGUSR2, unix.SIGHUP:
		r.reload(nil, false)
	case unix.SIGTERM:
		r.stopHard(0)
	case unix.SIGINT:
		r.stopHard(128 + int(unix.SIGINT))
	case unix.SIGUSR1:
		r.stopSoft()
	case unix.SIGTTOU:
		r.pause(handoff.Pause)
	case unix.SIGTTIN:
		r.pause(handoff.Resume)
	case Part:
		if r.stopping || r.detach() != nil {
			r.stopHard(0)
		}
	}
}

func (r *run) pause(kind string) {
	if r.current != nil {
		r.order(r.current, kind)
	}
}

// stopSoft lets the workers finish what is open. Later requests to stop may
// still be harder.
func (r *run) stopSoft() {
	r.beginStop()
	for _, w := range r.workers() {
		if !w.draining && w != r.starting {
			r.drain(w)
		}
	}
	for _, w := range r.adopting {
		r.order(w, handoff.Drain)
	}
	r.closeSockets() // the workers serve what waits in their copies' queues
	r.maybeStopped()
}

// stuckWait is how much longer than hard-stop-after a worker may take, which
// keeps that limit itself unless it is stuck.
const stuckWait = 5 * time.Second

// drain tells a worker to finish what it has and leave.
func (r *run) drain(w *worker) { r.drainAfter(w, nil, false) }

// drainAfter is drain when it is the worker's turn. retire says that some of its sockets are retired.
func (r *run) drainAfter(w *worker, turn *turn, retire bool) {
	w.draining = true
	r.send(w, parcel{order: handoff.Order{Kind: handoff.Drain, Retire: retire}, after: turn})
	if limit := w.facts.HardStop; limit > 0 {
		r.after(limit+stuckWait, func() {
			if slices.Contains(r.workers(), w) {
				r.Log.Warn(fmt.Sprintf("worker %d (generation %d) is stuck: it has not left %v after hard-stop-after, killing it", w.pid, w.facts.Generation, stuckWait))
				w.kill()
			}
		})
	}
}

func (r *run) closeSockets() {
	r.closeRetired()
	for _, name := range r.sockets.Names() {
		r.drop(name)
		r.unstore(listenerPrefix + name)
	}
}

// stopHard ends the workers now; those that do not end are killed.
func (r *run) stopHard(status int) {
	r.beginStop()
	r.status = status
	for _, w := range append(r.workers(), r.adopting...) {
		if w != r.starting {
			r.order(w, handoff.Stop)
		}
	}
	r.after(r.StopWait, func() {
		for _, w := range r.workers() {
			r.Log.Warn(fmt.Sprintf("worker %d did not end within %v, killing it", w.pid, r.StopWait))
			w.kill()
		}
	})
	r.maybeStopped()
}

func (r *run) beginStop() {
	if r.stopping {
		return
	}
	r.stopping = true
	r.notify("STOPPING=1\nSTATUS=Stopping")
	if r.trial != nil {
		r.takeBackTrial("the master is stopping")
	}
	if r.starting != nil {
		r.starting.kill()
	}
	r.refuseWaiting()
	r.maybeIdle()
}

// maybeStopped ends Run when nothing is left to wait for. What a former master
// left ends too; one that does not say who it is cannot be waited for longer.
func (r *run) maybeStopped() {
	if r.stopping && len(r.workers()) == 0 && len(r.adopting) == 0 {
		r.stopped = true
	}
}

// leave closes what Run leaves open, or leaves it to the next master.
func (r *run) leave() {
	if r.CLI != nil {
		r.CLI.Close()
	}
	if r.detached {
		return
	}
	r.closeSockets()
	if r.pidfile != "" {
		if text, err := os.ReadFile(r.pidfile); err == nil && string(text) == pidText() {
			_ = os.Remove(r.pidfile) // a stale one does no harm
		}
	}
}

func pidText() string { return strconv.Itoa(os.Getpid()) + "\n" }

// writePidfile writes this process's pid once a worker serves.
func (r *run) writePidfile() {
	path := r.Pidfile
	if path == "" {
		path = r.current.facts.Pidfile
	}
	if path == "" || path == r.pidfile {
		return
	}
	if err := WritePidfile(path); err != nil {
		r.Log.Warn(err.Error())
		return
	}
	r.pidfile = path
}

// WritePidfile writes this process's pid to path. A link that is there is
// replaced, as whoever may write the directory could have planted it.
func WritePidfile(path string) error {
	if err := safefile.Write(path, []byte(pidText()), 0o644); err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	return nil
}
