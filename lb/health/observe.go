package health

import (
	"fmt"
	"time"
)

// OnError is what errors of the traffic do to a server's health (on-error).
type OnError uint8

// What errors of the traffic do.
const (
	FailCheck   OnError = iota // they count as one failed check
	FastInter                  // the next check comes soon
	SuddenDeath                // the next failed check takes the server out
	MarkDown                   // the server is taken out at once
)

// Trouble is a row of errors of the traffic.
type Trouble struct {
	Do     OnError
	Errors int
	Last   string // what the last one was
}

// Trouble reports a row of errors. It never waits, and drops what comes while
// the row before it has not been dealt with yet.
func (c *Checker) Trouble(t Trouble) {
	if c.sched == nil || c.ctx.Err() != nil || !c.troubled.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer c.troubled.Store(false)
		if r, ok := c.trouble(t); ok {
			c.publish(&r)
		}
		if c.eager {
			c.sched.sooner(c, time.Now().Add(c.interval()))
		}
	}()
}

// trouble makes errors of the traffic part of the server's health. ok is false
// when there is nothing to report.
func (c *Checker) trouble(t Trouble) (r Report, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused {
		return Report{}, false
	}
	c.hurry = true
	switch t.Do {
	case FastInter:
		return Report{}, false
	case SuddenDeath:
		if c.health > c.spec.Rise {
			c.health = c.spec.Rise + 1
		}
	case MarkDown:
		if c.health > c.spec.Rise {
			c.health = c.spec.Rise
		}
	}
	c.epoch++ // a check in flight began before
	return c.move(result{
		status: Observed, took: -time.Millisecond,
		info: fmt.Sprintf("Detected %d consecutive errors, last one was: %s", t.Errors, t.Last),
	}), true
}
