package forward

import (
	"context"
	"errors"
	"time"
)

// A peer may end the connection for a line that it does not like: a strict one, or one with a fault. Everything after the stored position would be sent
// again, and refused again, for ever. So:
//
//  1. after some sessions in a row that the peer has ended and that brought nothing forward, sessions become short, each an eighth of the one before,
//     and each waits until the one before it counts; those without the line go through, and become longer again,
//  2. a session of one line that is refused as often has found it,
//  3. unless the peer also ends a connection on which nothing is sent: then it is the peer, and not the line,
//  4. and the line is left out, counted and named.

// refusals is what is known of a peer that ends connections. Owned by run.
type refusals struct {
	row   int // sessions in a row that it has ended
	bound int // lines of a session; 0: any number
}

const (
	refusedOften  = 3
	boundAtFirst  = 4096
	boundAtLast   = 1 << 20
	silenceFactor = 2 // times Settle that a connection without lines must stand
)

// refused notes that the peer has ended a session in which lines were sent. It says whether the one line of it is to be left out.
func (r *refusals) refused(lines uint64) (guilty bool) {
	if r.row++; r.row < refusedOften {
		return false
	}
	if r.bound == 1 {
		return true
	}
	r.row = 0
	if r.bound == 0 {
		r.bound = boundAtFirst
	}
	r.bound = max(min(r.bound, int(min(lines, boundAtFirst)))/8, 1)
	return false
}

// accepted notes that lines were confirmed.
func (r *refusals) accepted() {
	r.row = 0
	if r.bound *= 2; r.bound > boundAtLast {
		r.bound = 0
	}
}

// errEnded is what errors wrap that say that the peer has ended a connection.
var errEnded = errors.New("the peer ended the connection")

// judge decides what a session that the peer has ended means.
func (f *Forwarder) judge(ctx context.Context, lines uint64) {
	if !f.refusals.refused(lines) || !f.standsInSilence(ctx) {
		return
	}
	if err := f.rewind(); err != nil {
		return
	}
	f.Queue.Bound(1)
	text, err := f.Queue.Read()
	if err != nil || len(text) == 0 {
		return
	}
	f.refusals = refusals{bound: 1}
	f.mu.Lock()
	f.counts.Refused++
	all := f.counts.Refused
	f.mu.Unlock()
	f.Queue.Confirm(f.Queue.Position())
	if f.refusing.Due("refused") {
		f.Queue.Log.Error("the peer ends the connection for a line, which is left out", "to", f.Queue.To, "path", f.Queue.File.Path(), "line",
			string(text[:min(len(text), 200)]), "since_start", all)
	}
}

// standsInSilence says whether the peer leaves a connection alone on which nothing is sent.
func (f *Forwarder) standsInSilence(ctx context.Context) bool {
	c, err := f.connectTo(ctx, f.target)
	if err != nil {
		return false
	}
	defer c.Close()
	select {
	case <-ctx.Done():
		return false
	case <-c.gone:
		return false
	case <-time.After(silenceFactor * f.Settle):
		return c.alive()
	}
}
