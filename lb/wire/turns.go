package wire

import (
	"iter"
	"net"

	"lbsyslogd/lb/loop"
)

// Turns are the handshakes that a loop computes itself. Each is a coroutine:
// it runs until it has to wait for its peer, and goes on there when the socket
// may be ready, without another thread that would have to be woken each time.
// One step takes a fraction of a millisecond, so the loop takes one a turn:
// everybody else's events lie between two of them.
type Turns struct {
	Loop *loop.Loop
	Gate *Gate // counts those that wait

	ready []*Handshake // to be gone on with, in the order they came
	idle  []*coroutine // stacks that have grown to what crypto/tls needs; maxIdle at most, until the process ends
}

// turn is what a handshake needs that a loop computes.
type turn struct {
	queued bool // among Turns.ready
	on     *coroutine
	err    error
}

// coroutine runs one handshake after another.
type coroutine struct {
	h      *Handshake // nil between two
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
}

// add has h go on when its turn comes.
func (t *Turns) add(h *Handshake) {
	if h.queued {
		return
	}
	h.queued = true
	t.ready = append(t.ready, h)
	t.Gate.waiting.Add(1)
	if len(t.ready) == 1 {
		t.Loop.Again(t)
	}
}

// Ready implements loop.Handler: the next one takes its step.
func (t *Turns) Ready(loop.Events) {
	h := t.ready[0]
	n := copy(t.ready, t.ready[1:])
	t.ready[n] = nil
	t.ready = t.ready[:n]
	t.Gate.waiting.Add(-1)
	if n > 0 {
		t.Loop.Again(t)
	}
	h.queued = false
	if h.c.hs == h { // it has not been given up since
		h.step()
	}
}

// maxIdle is how many coroutines are kept for the next handshakes.
const maxIdle = 8

// step goes on until the handshake waits, or ends.
func (h *Handshake) step() {
	if h.on == nil {
		h.on = h.Turns.coroutine()
		h.on.h = h
	}
	h.on.resume()
	if h.on.h == nil {
		h.release()
		h.finish(h.err)
	}
}

// coroutine returns one that is idle, or a new one.
func (t *Turns) coroutine() *coroutine {
	if n := len(t.idle); n > 0 {
		co := t.idle[n-1]
		t.idle[n-1] = nil
		t.idle = t.idle[:n-1]
		return co
	}
	co := new(coroutine)
	co.resume, co.stop = iter.Pull(co.run)
	return co
}

// run is the coroutine.
func (co *coroutine) run(yield func(struct{}) bool) {
	co.yield = yield
	for ok := true; ok; ok = yield(struct{}{}) {
		co.h.err = co.h.shake()
		co.h = nil
		wipe()
	}
}

// elsewhere has a goroutine compute what would keep the loop from everybody else for long, and waits for it.
func (h *Handshake) elsewhere(compute func() ([]byte, error)) (result []byte, err error) {
	type outcome struct {
		result []byte
		err    error
	}
	var done *outcome // the loop's
	l := h.Turns.Loop
	go func() {
		h.Gate.enter()
		result, err := compute()
		h.Gate.leave()
		l.Post(func() {
			done = &outcome{result, err}
			h.Turns.add(h)
		})
	}()
	for done == nil {
		if err := h.pause(); err != nil {
			return nil, err
		}
	}
	return done.result, done.err
}

// wipe overwrites what crypto/tls has left on the stack: secrets of the handshake.
//
//go:noinline
func wipe() {
	var below [12 << 10]byte
	touch(&below)
}

// touch keeps the compiler from leaving out what it is given.
//
//go:noinline
func touch(*[12 << 10]byte) {}

// pause gives control back to the loop until the next step.
func (h *Handshake) pause() error {
	if !h.on.yield(struct{}{}) {
		return net.ErrClosed
	}
	return nil
}

// leave ends a handshake that is given up.
func (h *Handshake) leave() {
	if h.on != nil {
		h.on.stop()
		h.on = nil
	}
}

// release keeps the coroutine for another handshake.
func (h *Handshake) release() {
	co, t := h.on, h.Turns
	h.on = nil
	if len(t.idle) == maxIdle {
		co.stop()
		return
	}
	t.idle = append(t.idle, co)
}
