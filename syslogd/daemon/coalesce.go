package daemon

import (
	"context"
	"fmt"
	"sync"
)

// A coalescer carries out one command at a time for each key, and once for all who asked while the one before was under way: what they
// get began after they had asked, so it is as true for each of them as if it had been alone.
type coalescer struct {
	mu   sync.Mutex
	keys map[string]*pending // those in use
}

// Its fields are guarded by the mu of its coalescer.
type pending struct {
	turning bool   // there is a goroutine
	next    *round // for who asks now
}

// A round is one time that a command is carried out. lines and err are valid when done is closed.
type round struct {
	done  chan struct{}
	lines []string
	err   error
}

// do carries out what, or waits for somebody else's that begins later than now. It runs in a goroutine of its own, started with spawn: it
// goes on for the others when ctx, which is this caller's alone, is done.
func (t *coalescer) do(ctx context.Context, key string, spawn func(func()), what func() ([]string, error)) ([]string, error) {
	r := t.join(key, spawn, func(r *round) {
		defer close(r.done)
		r.lines, r.err = what()
	})
	select {
	case <-r.done:
		return r.lines, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s is not done yet: %w", key, ctx.Err())
	}
}

func (t *coalescer) join(key string, spawn func(func()), carryOut func(*round)) *round {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys == nil {
		t.keys = make(map[string]*pending)
	}
	of := t.keys[key]
	if of == nil {
		of = &pending{}
		t.keys[key] = of
	}
	if of.next == nil {
		of.next = &round{done: make(chan struct{})}
		if !of.turning {
			of.turning = true
			spawn(func() { t.turn(key, of, carryOut) })
		}
	}
	return of.next
}

// turn carries out rounds until nobody asks any more.
func (t *coalescer) turn(key string, of *pending, carryOut func(*round)) {
	for {
		t.mu.Lock()
		r := of.next
		of.next = nil
		if r == nil {
			delete(t.keys, key)
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		carryOut(r)
	}
}
