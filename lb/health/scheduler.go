package health

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Scheduler runs the checks of any number of servers. One goroutine waits for
// the next turn of all of them; a check has a goroutine of its own only while
// it waits for the network. The zero value is ready.
type Scheduler struct {
	mu sync.Mutex
	// mu guards the fields below. Lock order: no other lock is taken with it.
	turns turns
	begun time.Time
	ended bool

	programs sync.WaitGroup // checks that run one

	wake chan struct{} // the first turn may be another; made by Run
}

// Spread gives the checkers their first turns: each at its place in its own
// interval, or in a limit (0: none) if that is shorter, so that the servers of
// all backends are never asked at once.
func Spread(checkers []*Checker, limit time.Duration) {
	for i, c := range checkers {
		apart := c.spec.FastInter // the interval of what was not checked yet
		if limit > 0 {
			apart = min(apart, limit)
		}
		c.offset = apart * time.Duration(i) / time.Duration(len(checkers))
	}
}

// Run checks until ctx ends. A check under way is given up then, and reports
// nothing.
func (s *Scheduler) Run(ctx context.Context, checkers ...*Checker) {
	s.Begin(ctx, checkers...)
	s.Turn(ctx)
}

// Begin is the first half of Run: from here on checkers may be added.
func (s *Scheduler) Begin(ctx context.Context, checkers ...*Checker) {
	s.mu.Lock()
	s.begun, s.wake = time.Now(), make(chan struct{}, 1)
	s.turns = make(turns, 0, len(checkers))
	for _, c := range checkers {
		c.sched, c.ctx = s, ctx
		c.due = s.round(s.begun.Add(c.offset), c.inter)
		heap.Push(&s.turns, c)
	}
	s.mu.Unlock()
}

// Add checks one more server, the first time soon. Begin came before.
func (s *Scheduler) Add(ctx context.Context, c *Checker) {
	c.sched, c.ctx = s, ctx
	s.at(c, time.Now())
}

// Remove ends the checks of a server for good. One under way is given up.
func (s *Scheduler) Remove(c *Checker) {
	c.Pause(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.removed = true
	if c.place > 0 {
		heap.Remove(&s.turns, c.place-1)
	}
}

// Turn is the second half of Run.
func (s *Scheduler) Turn(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due []*Checker
	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.ended, s.turns = true, nil
			s.mu.Unlock()
			s.programs.Wait() // each is killed now
			return
		case <-s.wake:
		case <-timer.C:
		}
		var wait time.Duration
		due, wait = s.due(due[:0])
		for _, c := range due {
			c.turn(ctx)
		}
		timer.Reset(wait)
	}
}

// due takes those whose turn it is, and how long it is until the next.
func (s *Scheduler) due(list []*Checker) ([]*Checker, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.turns) > 0 {
		if wait := s.turns[0].due.Sub(now); wait > 0 {
			return list, wait
		}
		list = append(list, heap.Pop(&s.turns).(*Checker))
	}
	return list, time.Hour
}

// at gives c its next turn, in place of the one that it may have.
func (s *Scheduler) at(c *Checker, due time.Time) {
	s.mu.Lock()
	if s.ended || c.removed {
		s.mu.Unlock()
		return
	}
	c.due = s.round(due, c.inter)
	if c.place > 0 {
		heap.Fix(&s.turns, c.place-1)
	} else {
		heap.Push(&s.turns, c)
	}
	first := s.turns[0] == c
	s.mu.Unlock()
	if !first {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sooner moves the turn that c waits for; a check under way gives it one.
func (s *Scheduler) sooner(c *Checker, due time.Time) {
	s.mu.Lock()
	waits := c.place > 0
	s.mu.Unlock()
	if waits {
		s.at(c, due)
	}
}

// round puts a turn off by at most 10 ms, or half a percent of the interval, so
// that with many servers each awakening does several checks.
func (s *Scheduler) round(due time.Time, inter time.Duration) time.Time {
	step := min(inter/200, 10*time.Millisecond)
	if step <= 0 {
		return due
	}
	if over := due.Sub(s.begun) % step; over > 0 {
		return due.Add(step - over)
	}
	return due
}

// turns is a heap of the checkers that wait, by their turn.
type turns []*Checker

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t turns) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (t *turns) Push(x any) {
	c := x.(*Checker)
	*t = append(*t, c)
	c.place = len(*t)
}

// Pop implements heap.Interface.
func (t *turns) Pop() any {
	last := len(*t) - 1
	c := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	c.place = 0
	return c
}
