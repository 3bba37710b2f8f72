package backend

import "time"

// This file holds what a server may carry while it, or its backend, warms up:
// slowstart and minconn.

// warmth is how far a server is that came up and starts slowly.
type warmth struct {
	since   time.Time
	percent int // of its share; 100 when it has all of it
	timer   *time.Timer
}

// heat begins a slow start when the server comes up, and ends it when it goes
// down. One that is up from the beginning has its share at once. mu is held.
func (s *Server) heat(was, is bool) {
	switch {
	case was == is || s.SlowStart <= 0:
	case is:
		s.begin(time.Now())
	case s.warm.timer != nil: // the share that it had shows while it is down
		s.warm.timer.Stop()
	}
}

// begin starts slowly from a time on; the caller rebuilds. mu is held.
func (s *Server) begin(since time.Time) {
	s.warm.since = since
	s.warm.percent = s.heated(time.Now())
	if s.warm.timer != nil {
		s.warm.timer.Stop()
	}
	if s.warm.percent < 100 {
		s.warm.timer = time.AfterFunc(s.pace(), s.warmer)
	}
}

// heated is the percentage at a time.
func (s *Server) heated(now time.Time) int {
	gone := now.Sub(s.warm.since)
	return int(min(max(gone*100/s.SlowStart, 1), 100))
}

// pace is how often the share grows: twenty times, but not more often than it
// can be noticed.
func (s *Server) pace() time.Duration { return max(s.SlowStart/20, 20*time.Millisecond) }

// warmer lets the share grow.
func (s *Server) warmer() {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if !s.usable() || s.warm.percent == 100 {
		return
	}
	s.warm.percent = s.heated(time.Now())
	if s.warm.percent < 100 {
		s.warm.timer.Reset(s.pace())
	}
	s.b.rebuild()
	s.b.grant(s)
}

// steps are those in which a server's weight grows; the first is there at
// once.
const steps = 16

// step is how many of them a server has made: all where the algorithm does not
// follow changes of weights. mu is held.
func (s *Server) step() int {
	if s.b.static() {
		return steps
	}
	return min(1+s.warm.percent*steps/100, steps)
}

// part is the server's share in the balancing, in steps of its weight where a
// server of the backend may start slowly. mu is held.
func (s *Server) part() int {
	if s.b.scale == 1 {
		return s.weight
	}
	return s.weight * s.step()
}

// shown is the share as a weight, at least 1. mu is held.
func (s *Server) shown() int { return (s.weight*s.step() + steps - 1) / steps }

// throttle is the share in percent of the weight, as HAProxy rounds it. mu is held.
func (s *Server) throttle() int {
	if s.weight == 0 {
		return 100
	}
	return (100*s.weight*s.step() + steps - 1) / (steps * s.weight)
}

// room is how many places the server has now: its maxconn, or less of it while
// the backend is not full (minconn) or the server starts slowly. Once another
// process serves it is what that one has. mu is held.
func (s *Server) room() int {
	if s.others.Room != 0 {
		return s.others.Room
	}
	n := s.most()
	if n == Unlimited {
		return n
	}
	if s.MinConn > 0 && s.MinConn < n && s.b.cur < s.b.FullConn {
		n = max(s.MinConn, int(int64(s.b.cur)*int64(n)/int64(s.b.FullConn)))
	}
	if s.warm.percent < 100 {
		n = max(n*s.warm.percent/100, 1)
	}
	return n
}

// most is the limit of a server that is warm. mu is held.
func (s *Server) most() int {
	if s.limit != 0 {
		return s.limit
	}
	return s.MaxConn
}

// grown hands out the places that one more session in the backend gives its
// servers. mu is held.
func (b *Backend) grown() {
	for _, s := range b.Servers {
		if s.MinConn > 0 && (b.queue.head != nil || s.queue.head != nil) {
			b.grant(s)
		}
	}
}
