package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"lbsyslogd/rotate"
)

// Forwarder sends a file to a peer. Set the exported fields before Start.
type Forwarder struct {
	Address string         // host:port
	TLS     *tls.Config    // nil: plain TCP
	File    *rotate.Writer // opened with Options.Hold; it must stay open until Close
	Log     *slog.Logger

	Session time.Duration // after which the peer is asked whether it has taken what was sent; 0: 10 s
	Settle  time.Duration // for which a peer must live on before that is believed; 0: 5 s
	Backoff time.Duration // longest pause between attempts to connect; 0: 10 s

	follower *rotate.Follower
	cancel   context.CancelFunc
	ended    chan struct{}

	// Owned by run.
	frames   []byte
	sent     uint64 // lines that were sent behind the position, other than to be sent again
	settling []taken
	next     *link // connected before the last session ended, for the next one

	// mu guards the fields below.
	mu       sync.Mutex
	position rotate.Position // stored, or as good as
	counts   Counts
}

// taken is a position up to which a peer has taken everything, if it lives until due.
type taken struct {
	position rotate.Position
	lines    uint64
	due      time.Time
}

// Counts say what a Forwarder did. Sent = Confirmed + Again + what is not decided yet.
type Counts struct {
	Sent        uint64 // lines
	Confirmed   uint64 // taken by the peer
	Again       uint64 // sent in vain, as far as we know, so that they were sent again or will be
	Connections uint64
	Connected   bool
	Missed      uint64 // times that a file was gone before it was read
	Behind      int64  // bytes that are not confirmed
	Error       string // what does not work right now
}

const (
	defaultSession = 10 * time.Second
	defaultSettle  = 5 * time.Second
	firstBackoff   = 100 * time.Millisecond
	defaultBackoff = 10 * time.Second
)

// Start begins to forward: from the stored position, or else from where the file ended when it was opened.
func (f *Forwarder) Start() error {
	if f.Session == 0 {
		f.Session = defaultSession
	}
	if f.Settle == 0 {
		f.Settle = defaultSettle
	}
	if f.Backoff == 0 {
		f.Backoff = defaultBackoff
	}
	from, err := load(f.state())
	if err != nil {
		return fmt.Errorf("forward to %s: %w", f.Address, err)
	}
	follower, found, err := f.File.Follow(from)
	if err != nil {
		return fmt.Errorf("forward to %s: %w", f.Address, err)
	}
	f.mu.Lock()
	f.follower, f.position = follower, follower.Position()
	f.mu.Unlock()
	if !found {
		f.missed()
	}
	// Without this a crash before the first session has ended would begin anew where the file ends then.
	if err := store(f.state(), f.position); err != nil {
		return errors.Join(fmt.Errorf("forward to %s: store the position: %w", f.Address, err), follower.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.ended = cancel, make(chan struct{})
	go f.run(ctx)
	return nil
}

// Close ends the session and stores how far it came. What is not sent yet stays in the file for the next Start.
func (f *Forwarder) Close() error {
	f.cancel()
	<-f.ended
	return f.follower.Close()
}

// Counts is a look at the counters.
func (f *Forwarder) Counts() Counts {
	f.mu.Lock()
	c, p := f.counts, f.position
	f.mu.Unlock()
	behind, err := f.File.Behind(p)
	if err != nil && c.Error == "" {
		c.Error = err.Error()
	}
	c.Behind = behind
	return c
}

func (f *Forwarder) state() string { return f.File.Path() + Suffix }

func (f *Forwarder) run(ctx context.Context) {
	defer close(f.ended)
	backoff := firstBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := f.session(ctx)
		if err == nil || time.Since(began) > backoff {
			backoff = firstBackoff // it worked for a while
		}
		if err == nil {
			continue
		}
		f.hangUp()
		if ctx.Err() != nil {
			return
		}
		f.report(err)
		if err := f.rewind(); err != nil {
			f.report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, f.Backoff)
	}
	if f.next == nil || f.next.alive() {
		f.confirm(time.Now().Add(f.Settle)) // there is no later: that the peer took it must do
	}
	f.hangUp()
}

// hangUp closes a connection that no session has begun with.
func (f *Forwarder) hangUp() {
	if f.next != nil {
		f.next.Close()
		f.next = nil
	}
}

// rewind goes back to the stored position: what a peer took since may have died with it.
func (f *Forwarder) rewind() error {
	f.mu.Lock()
	f.counts.Again += f.sent
	p := f.position
	f.mu.Unlock()
	f.sent, f.settling = 0, nil
	found, err := f.follower.Seek(p)
	if err == nil && !found {
		f.missed()
	}
	return err
}

// missed tells that the file with the position is gone, and that the next one is gone on with.
func (f *Forwarder) missed() {
	f.mu.Lock()
	f.counts.Missed++
	f.mu.Unlock()
	f.Log.Error("the file that is forwarded is gone before all of it was sent; going on with the next one", "to", f.Address, "path", f.File.Path())
}

// due says whether a position has settled by now.
func (f *Forwarder) due(now time.Time) bool {
	return len(f.settling) > 0 && !now.Before(f.settling[0].due)
}

// confirm stores the positions that have settled by now.
func (f *Forwarder) confirm(now time.Time) {
	n := 0
	for n < len(f.settling) && !now.Before(f.settling[n].due) {
		n++
	}
	if n == 0 {
		return
	}
	last := f.settling[n-1].position
	lines := uint64(0)
	for _, t := range f.settling[:n] {
		lines += t.lines
	}
	f.settling = append(f.settling[:0], f.settling[n:]...)
	f.sent -= lines
	f.mu.Lock()
	f.counts.Confirmed += lines
	f.position = last
	f.mu.Unlock()
	if err := store(f.state(), last); err != nil {
		// Not released, so that nothing is lost if we are restarted; only sent again.
		f.report(fmt.Errorf("store the position: %w", err))
		return
	}
	f.follower.Release(last)
}

// report logs err when it is news; nil clears it.
func (f *Forwarder) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	f.mu.Lock()
	news := f.counts.Error != text
	f.counts.Error = text
	f.mu.Unlock()
	switch {
	case news && err != nil:
		f.Log.Warn("forwarding waits", "to", f.Address, "path", f.File.Path(), "err", err)
	case news:
		f.Log.Info("forwarding", "to", f.Address, "path", f.File.Path())
	}
}
