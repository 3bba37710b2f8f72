package sink

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"lbsyslogd/syslogd/queue"
	"lbsyslogd/syslogd/seldom"
)

// Sender sends a queue to a peer. Set the exported fields before Start.
type Sender struct {
	Peer    Peer
	Queue   *queue.Queue
	Limits  Limits
	Backoff time.Duration // longest pause between attempts; 0: 30 s

	firstPause time.Duration // 0: 200 ms
	cancel     context.CancelFunc
	ended      chan struct{}

	state  seldom.Trouble // of the peer
	asides seldom.Trouble // of records that are set aside
	lost   seldom.Trouble // of the file for them

	// Owned by run.
	batch    batch
	pause    time.Duration // before the next attempt
	suspects []suspect
	patience int    // suspects without a record between them that is taken, before it is the peer's fault; see deliver.go
	good     Record // one that the peer has taken, with a line of its own; nil Line: none yet
	found    int    // suspects since the start
	room     int    // bytes of lines that the peer may take at a time; 0: it has not found anything too large
	easy     int    // requests that were taken since room has changed

	// mu guards the field below.
	mu     sync.Mutex
	counts Counts
}

// Counts say what a Sender did. Sent = Confirmed + Again + what is not decided yet.
type Counts struct {
	Sent        uint64 // lines
	Confirmed   uint64 // taken by the peer
	Again       uint64 // sent in vain, as far as we know; those that were not refused were sent again or will be
	Refused     uint64 // lines that were set aside or dropped because the peer refuses them
	Requests    uint64 // calls of Deliver
	Split       uint64 // requests that were halved because the peer found them too large, or refused something in them
	Throttled   uint64 // pauses that the peer asked for
	Connected   bool   // the last request was answered with yes
	Missed      uint64 // times that a file was gone or emptied before it was read
	MissedBytes uint64 // how much that was, as far as it is known
	Behind      int64  // bytes that are not confirmed
	Error       string // what does not work right now
	LastError   string // what did not work last
	LastErrorAt time.Time
}

const (
	firstPause     = 200 * time.Millisecond
	defaultBackoff = 30 * time.Second
	longestAfter   = 10 * time.Minute // that a peer can ask for
	stopTime       = 2 * time.Second  // for a request that is under way when we are stopped
)

// Start begins to send: from the stored position, or else from where the file ended when it was opened. Whatever is wrong is reported and tried
// again.
func (s *Sender) Start() {
	s.Backoff = cmp.Or(s.Backoff, defaultBackoff)
	s.firstPause = min(cmp.Or(s.firstPause, firstPause), s.Backoff)
	s.pause, s.patience = s.firstPause, leastPatience
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended = cancel, make(chan struct{})
	// The usual case is done before the first line of this process can be rotated away.
	if err := s.begin(); err != nil {
		s.Queue.Note(&s.state, err)
	}
	go s.run(ctx)
}

// Close ends the request that is under way, if it does not end soon, and stores how far the peer has got. What is not sent yet stays in the file
// for the next Start.
func (s *Sender) Close() error {
	if s.cancel == nil {
		return s.Peer.Close() // never started
	}
	s.cancel()
	<-s.ended
	return errors.Join(s.Queue.Close(), s.Peer.Close())
}

// Counts is a look at the counters.
func (s *Sender) Counts() Counts {
	s.mu.Lock()
	c := s.counts
	s.mu.Unlock()
	q := s.Queue.Counts(s.state.Text(), s.lost.Text())
	c.Missed, c.MissedBytes, c.Behind = q.Missed, q.MissedBytes, q.Behind
	c.Error, c.LastError, c.LastErrorAt = q.Error, q.LastError, q.LastErrorAt
	return c
}

func (s *Sender) run(ctx context.Context) {
	defer close(s.ended)
	// What is under way when ctx ends has the stopTime to end by itself.
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-s.ended:
		case <-time.After(stopTime):
			cancel()
		}
	})()
	for ctx.Err() == nil {
		err := s.turn(ctx, requests)
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.Queue.Note(&s.state, err)
		s.suspects = nil
		s.wait(ctx, 0)
		if s.Queue.Begun() {
			if err := s.Queue.Rewind(); err != nil {
				s.Queue.Note(&s.state, err)
			}
			s.batch.last = placeOf(s.Queue.Position())
		}
	}
}

func (s *Sender) begin() error {
	if err := s.Queue.Begin(); err != nil {
		return err
	}
	s.batch.last = placeOf(s.Queue.Position())
	return nil
}

// turn sends one batch.
func (s *Sender) turn(ctx, requests context.Context) error {
	if !s.Queue.Begun() {
		if err := s.begin(); err != nil {
			return err
		}
		s.Queue.Note(&s.state, nil)
	}
	if err := s.gather(ctx); err != nil {
		return err
	}
	if len(s.batch.records) == 0 {
		return s.settle(ctx, requests)
	}
	if err := s.deliver(ctx, requests, s.batch.records, false); err != nil {
		return err
	}
	if len(s.suspects) == 0 {
		s.Queue.Confirm(s.batch.end)
	}
	return nil
}

// wait pauses after a failure, each time longer, and at least as long as the peer wants.
func (s *Sender) wait(ctx context.Context, after time.Duration) {
	// Peers of one receiver that comes back must not all come at the same moment.
	pause := s.pause/2 + rand.N(s.pause/2+1)
	s.pause = min(2*s.pause, s.Backoff)
	if after > 0 {
		after = min(after, longestAfter)
		pause = max(pause, after+rand.N(after/10+1))
		s.count(func(c *Counts) { c.Throttled++ })
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// count changes the counters.
func (s *Sender) count(change func(c *Counts)) {
	s.mu.Lock()
	change(&s.counts)
	s.mu.Unlock()
}
