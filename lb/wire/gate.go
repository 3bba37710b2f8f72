package wire

import (
	"runtime"
	"sync/atomic"
)

// Gate bounds how many goroutines compute for handshakes at once. Those that
// do not get in wait in the order they came.
type Gate struct {
	places  chan struct{}
	waiting atomic.Int32
}

// NewGate has a place for each core.
func NewGate() *Gate { return &Gate{places: make(chan struct{}, runtime.GOMAXPROCS(0))} }

// Load tells how many handshakes are being computed, and how many wait.
func (g *Gate) Load() (computing, waiting int) { return len(g.places), int(g.waiting.Load()) }

// enter waits for a place.
func (g *Gate) enter() {
	select {
	case g.places <- struct{}{}:
	default:
		g.waiting.Add(1)
		g.places <- struct{}{}
		g.waiting.Add(-1)
	}
}

// leave gives the place back.
func (g *Gate) leave() { <-g.places }
