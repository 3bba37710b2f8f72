package main

import (
	"errors"
	"sync"
)

// gate lets goroutines that work in turns be paused, resumed and ended. They begin paused.
type gate struct {
	mu     sync.Mutex
	passes sync.Cond // for those who wait at the gate
	parks  sync.Cond // for whoever waits for them
	// mu guards the fields below.
	open    bool
	ending  bool
	parked  int // goroutines that wait at the gate
	running int
	err     error
}

// start runs work on n goroutines; it must call pass before each turn, and return when that says so.
func (g *gate) start(n int, work func() error) {
	g.passes.L, g.parks.L = &g.mu, &g.mu
	g.running = n
	for range n {
		go func() {
			err := work()
			g.mu.Lock()
			defer g.mu.Unlock()
			g.running--
			g.err = errors.Join(g.err, err)
			g.parks.Broadcast()
		}()
	}
}

// pass waits while the gate is closed, and reports whether to go on.
func (g *gate) pass() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.open && !g.ending {
		g.parked++
		g.parks.Broadcast()
		g.passes.Wait()
		g.parked--
	}
	return !g.ending
}

func (g *gate) resume() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
	g.passes.Broadcast()
	return g.err
}

// pause returns when all wait.
func (g *gate) pause() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = false
	for g.parked < g.running && g.err == nil {
		g.parks.Wait()
	}
	return g.err
}

// end returns when all have ended, with what they returned.
func (g *gate) end() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ending = true
	g.passes.Broadcast()
	for g.running > 0 {
		g.parks.Wait()
	}
	return g.err
}
