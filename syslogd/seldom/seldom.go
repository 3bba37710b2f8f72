// Package seldom keeps the journal readable: what may happen all the time is reported the first time at once, and then ever more seldom,
// with how often it happened.
package seldom

import (
	"sync"
	"time"
)

// Report is about one thing that may happen all the time: what follows the first time is reported once a period, which doubles while it goes
// on. The zero value is ready once Say is set.
type Report struct {
	// Say is called without a lock, and by several goroutines. n is how often it happened since the last call, and why is of the last time.
	Say func(n int, why error)

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

// Note takes one more time.
func (s *Report) Note(why error) {
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
func (s *Report) next() {
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
func (s *Report) flush() {
	s.mu.Lock()
	n, why := s.n, s.why
	s.n = 0
	s.mu.Unlock()
	if n > 0 {
		s.Say(n, why)
	}
}

// Stop reports what is left. Nothing may be noted any more.
func (s *Report) Stop() {
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.flush()
}
