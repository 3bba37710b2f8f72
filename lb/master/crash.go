package master

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
)

// crashes is what a master remembers of workers that died while they served.
// Owned by the goroutine of Run.
type crashes struct {
	row  int       // crashes without a quiet minute between them
	last time.Time // the newest one
	ever int       // since the master started
	how  string    // of the newest one

	// config is what a replacement runs: the very text that the dead worker
	// ran, whatever has happened to the files meanwhile. nil is the files.
	config *os.File

	// former is the configuration before the current one; nil when there was
	// none or when it is not known.
	former *os.File
}

// quiet is how long a worker must live for its crash to be a first one.
const quiet = time.Minute

// serves hears of every worker that comes into service, and which one it
// takes over from (nil after a crash).
func (c *crashes) serves(w why, former *worker) {
	if w != reloading || former == nil || former.snapshot == nil {
		return
	}
	if c.former != nil {
		c.former.Close()
	}
	c.former, former.snapshot = former.snapshot, nil
}

// crashed replaces the current worker, which is gone. The sockets are open as
// ever: what connects meanwhile waits in their queues.
func (r *run) crashed(w *worker, how string) {
	if r.stopping {
		return
	}
	r.switched(r.attempt.former)
	c := &r.crashes
	if time.Since(c.last) > quiet {
		c.row = 0
	}
	c.row++
	c.ever++
	c.last, c.how = time.Now(), how
	blamed := c.former != nil && time.Since(w.readyAt) < r.Probation
	if c.former != nil && !blamed {
		// The configuration has stood its test. What kills the workers that
		// follow, however soon, came from elsewhere.
		c.former.Close()
		c.former = nil
	}
	if c.config != nil {
		c.config.Close()
	}
	c.config, w.snapshot = w.snapshot, nil
	if r.starting != nil {
		// It serves in a moment, or cannotServe goes on.
		r.reportCrash(event.WorkerCrashed, w, "another one is being started already")
		return
	}
	if blamed {
		r.reportCrash(event.TakenBack, w, fmt.Sprintf("the new configuration lived for %v only, going back to the former one", time.Since(w.readyAt).Round(time.Millisecond)))
		r.failed++
		c.config.Close()
		c.config, c.former = c.former, nil
		r.begin(attempt{why: returning, snapshot: c.config})
		return
	}
	if d := delay(c.row); d > 0 {
		r.reportCrash(event.CrashLoop, w, r.waitLine(d))
	} else {
		r.reportCrash(event.WorkerCrashed, w, "the next one starts at once on the same sockets")
	}
	r.replace()
}

// waitLine says why no worker is being started.
func (r *run) waitLine(d time.Duration) string {
	return fmt.Sprintf("%d crashes in a row, the next worker is started in %v", r.crashes.row, d)
}

// cannotServe is called when there is no worker and one did not come up.
func (r *run) cannotServe(a attempt, o Outcome) {
	if a.why == starting {
		if a.taken && r.awaitLeft() {
			return
		}
		r.Opener.Resume()
		r.status = 1
		r.stopping, r.stopped = true, true
		r.refuseWaiting()
		return
	}
	// Requests for a reload may bring a better configuration than retries.
	if len(r.waiting) > 0 {
		r.nextReload()
		return
	}
	r.crashes.row++
	r.logEvent(slog.LevelWarn, event.CrashLoop, r.waitLine(delay(r.crashes.row)))
	r.replace()
}

// replace starts a worker for one that died, the later the more of them died
// in a row.
func (r *run) replace() {
	d := delay(r.crashes.row)
	if d == 0 {
		r.begin(attempt{why: replacing, snapshot: r.crashes.config})
		return
	}
	r.notify("STATUS=No worker serves: " + r.waitLine(d) + "; the last one " + r.crashes.how)
	r.after(d, func() {
		if r.current == nil && r.starting == nil && !r.stopping {
			r.begin(attempt{why: replacing, snapshot: r.crashes.config})
		}
	})
}

// delay before the replacement for the nth crash in a row: none, then 100 ms
// doubled up to 10 s.
func delay(row int) time.Duration {
	if row <= 1 {
		return 0
	}
	return min(100*time.Millisecond<<min(row-2, 10), 10*time.Second)
}

// keepFlights keeps what a killed worker had in flight for the worker that serves
// now, or for the next one: it knows where the log goes.
func (r *run) keepFlights(w *worker, how string) {
	if w.flights == nil {
		return
	}
	// One that ended well has nothing in flight.
	if how == "" && !w.stranger || r.stopping {
		w.flights.Close()
		return
	}
	r.lostFlights = append(r.lostFlights, w.flights)
	if r.current != nil {
		r.sendLostFlights()
	}
}

// sendLostFlights hands the records of killed workers to the current one.
func (r *run) sendLostFlights() {
	for _, f := range r.lostFlights {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		f.Close()
		if err != nil {
			r.Log.Warn("give the record of a killed worker on: " + err.Error())
			continue
		}
		r.send(r.current, parcel{order: handoff.Order{Kind: handoff.LostFlights}, fds: []int{fd}, own: true})
	}
	r.lostFlights = nil
}
