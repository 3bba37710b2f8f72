package receive

import (
	"sync"
	"time"
)

// seldom reports something that may happen all the time: the first time at once, and what follows once a period with its number.
// The period doubles while it goes on. The zero value is ready once say is set.
type seldom struct {
	// say is called without a lock. n is how often it happened since the last call, and why is of the last time.
	say func(n int, why error)

	// mu guards the fields below.
	mu     sync.Mutex
	n      int
	why    error
	period time.Duration
	timer  *time.Timer // set during a period
}

const (
	firstPeriod = 10 * time.Second
	lastPeriod  = time.Hour
)

// note takes one more time.
func (s *seldom) note(why error) {
	s.mu.Lock()
	s.n++
	s.why = why
	if s.timer != nil {
		s.mu.Unlock()
		return
	}
	s.period = firstPeriod
	s.timer = time.AfterFunc(s.period, s.next)
	s.mu.Unlock()
	s.flush()
}

// next is the end of a period. One without anything is the last.
func (s *seldom) next() {
	s.mu.Lock()
	if s.n == 0 {
		s.timer = nil
		s.mu.Unlock()
		return
	}
	s.period = min(2*s.period, lastPeriod)
	s.timer = time.AfterFunc(s.period, s.next)
	s.mu.Unlock()
	s.flush()
}

// flush reports what was not reported yet.
func (s *seldom) flush() {
	s.mu.Lock()
	n, why := s.n, s.why
	s.n = 0
	s.mu.Unlock()
	if n > 0 {
		s.say(n, why)
	}
}

// stop reports what is left. Nothing may be noted any more.
func (s *seldom) stop() {
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.flush()
}
