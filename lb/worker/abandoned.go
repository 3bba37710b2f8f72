package worker

import (
	"log/slog"
	"time"

	"lbsyslogd/lb/event"
)

// A service can be stopped in the moment in which it has no master: systemd
// waits before it starts a unit again, and a stop during that wait runs no
// command and sends no signal. What it does is to give up what it kept for the
// next master, so that the worker's connection ends. There will be no next
// master, unless the manager had never got the connection to keep. So the
// worker looks for a while, then leaves as at any stop.

const (
	// abandonedWait is how long a service must be gone to be gone for good:
	// longer than systemd takes to start a unit again.
	abandonedWait = 3 * time.Second

	// abandonedLimit is how long it may finish then, as at a stop.
	abandonedLimit = 80 * time.Second

	abandonedLook = 100 * time.Millisecond
)

// watchService begins to look whether there will be a next master.
func (l *life) watchService() {
	if l.Abandoned != nil {
		l.goneSince = time.Time{}
		l.look = time.After(abandonedLook)
	}
}

// checkService looks once, and again later if it is not decided.
func (l *life) checkService() {
	l.look = nil
	if l.Link != nil || l.draining {
		return
	}
	switch now := time.Now(); {
	case !l.Abandoned():
		l.goneSince = time.Time{}
	case l.goneSince.IsZero():
		l.goneSince = now
	case now.Sub(l.goneSince) >= abandonedWait:
		l.say(slog.LevelWarn, event.MasterGone, "the service was stopped while it had no master, finishing what is open")
		l.drain()
		if l.facts.HardStop == 0 || l.facts.HardStop > abandonedLimit {
			l.hardStop = time.After(abandonedLimit)
		}
		return
	}
	l.look = time.After(abandonedLook)
}
