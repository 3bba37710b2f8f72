package forward

import (
	"cmp"
	"context"
	"crypto/tls"
	"sync"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/circle"
	"lbsyslogd/syslogd/peers"
	"lbsyslogd/syslogd/queue"
	"lbsyslogd/syslogd/seldom"
)

// Confirmation is what says that a peer has taken lines.
type Confirmation string

const (
	// ByClose believes a peer that closes a connection after we have closed our side. One that never does is not asked again after a few
	// times: see sessionsUnclosed.
	ByClose Confirmation = "close"
	// ByCloseNotify is ByClose over TLS, and believes only the peer's own close_notify, which no proxy between can send.
	ByCloseNotify Confirmation = "close_notify"
	// ByAcknowledgement believes the acknowledgement of the peer's kernel. Lines are lost when the peer's process dies before it has read them.
	ByAcknowledgement Confirmation = "acknowledged"
)

// Forwarder sends a file to a peer. Set the exported fields before Start.
type Forwarder struct {
	Peers *peers.List
	Queue *queue.Queue
	// TLS makes the settings for peers whose certificates must have a name; nil: plain TCP.
	TLS func(name string) *tls.Config

	Confirm Confirmation  // empty: ByClose
	Session time.Duration // after which the peer is asked whether it has taken what was sent; 0: 10 s
	Settle  time.Duration // for which a peer must live on before that is believed; 0: 5 s
	Backoff time.Duration // longest pause between attempts to connect; 0: 10 s

	closeTime time.Duration // in which a peer must close its side; 0: 30 s
	cancel    context.CancelFunc
	ended     chan struct{}

	state    seldom.Trouble // of the connection
	refusing seldom.Trouble // of lines that the peer refuses
	turning  seldom.Trouble // of lines that come back

	// Owned by run.
	frames   []byte
	sent     uint64 // lines that were sent after the position, other than to be sent again
	settling []taken
	next     *link           // connected for the next session
	target   peers.Target    // of the last session
	better   <-chan struct{} // closed when one that is wanted more can be reached; nil: nobody looks
	unwatch  context.CancelFunc
	settings map[string]*tls.Config // of TLS, by the name: those of the current peer
	unclosed int                    // sessions in a row whose connection the peer did not close
	dialing  bool                   // the trouble of the connection is that there is none
	circle   circle.Circle
	refusals refusals

	// mu guards the fields below.
	mu     sync.Mutex
	counts Counts
	doubt  string // why the peer's kernel has to be believed; empty: it is not, or was configured
}

// taken is a position up to which a peer has taken everything, if it lives until due.
type taken struct {
	position rotate.Position
	lines    uint64
	due      time.Time
}

// Counts say what a Forwarder did. Sent = Confirmed + Acknowledged + Again + what is not decided yet.
type Counts struct {
	Sent         uint64 // lines
	Confirmed    uint64 // taken by the peer
	Acknowledged uint64 // taken by the peer's kernel, where the peer itself does not confirm
	Again        uint64 // sent in vain, as far as we know, so that they were sent again or will be
	Connections  uint64
	Connected    bool
	Peer         string // the one of several that has the lines
	Refused      uint64 // lines that were left out, because the peer ends the connection for them
	Looped       uint64 // lines that were not sent, because they were before and have come back
	Missed       uint64 // times that a file was gone or emptied before it was read
	MissedBytes  uint64 // how much that was, as far as it is known
	Behind       int64  // bytes that are not confirmed
	Error        string // what does not work right now
	LastError    string // what did not work last
	LastErrorAt  time.Time
}

const (
	defaultSession = 10 * time.Second
	defaultSettle  = 5 * time.Second
	defaultClose   = 30 * time.Second
	firstBackoff   = 100 * time.Millisecond
	defaultBackoff = 10 * time.Second
	// sessionsUnclosed is how many sessions a peer may leave unclosed before its kernel's acknowledgement has to do: each line was sent so many
	// times by then, and would be for ever.
	sessionsUnclosed = 3
)

// Start begins to forward: from the stored position, or else from where the file ended when it was opened. Whatever is wrong is reported and
// tried again: it is nobody's trouble but the peer's.
func (f *Forwarder) Start() {
	f.Session = cmp.Or(f.Session, defaultSession)
	f.Settle = cmp.Or(f.Settle, defaultSettle)
	f.Backoff = cmp.Or(f.Backoff, defaultBackoff)
	f.closeTime = cmp.Or(f.closeTime, defaultClose)
	f.Confirm = cmp.Or(f.Confirm, ByClose)
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.ended = cancel, make(chan struct{})
	// The usual case is done before the first line of this process can be rotated away.
	if err := f.Queue.Begin(); err != nil {
		f.note(&f.state, err)
	}
	go f.run(ctx)
}

// Close ends the session and stores how far it came. What is not sent yet stays in the file for the next Start.
func (f *Forwarder) Close() error {
	if f.cancel == nil {
		return nil // never started
	}
	f.cancel()
	<-f.ended
	return f.Queue.Close()
}

// Counts is a look at the counters.
func (f *Forwarder) Counts() Counts {
	f.mu.Lock()
	c, doubt := f.counts, f.doubt
	f.mu.Unlock()
	q := f.Queue.Counts(f.state.Text(), cmp.Or(f.turning.Text(), doubt))
	c.Missed, c.MissedBytes, c.Behind = q.Missed, q.MissedBytes, q.Behind
	c.Error, c.LastError, c.LastErrorAt = q.Error, q.LastError, q.LastErrorAt
	return c
}

func (f *Forwarder) run(ctx context.Context) {
	defer close(f.ended)
	backoff := firstBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := f.turn(ctx)
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
		f.note(&f.state, err)
		if err := f.rewind(); err != nil {
			f.note(&f.state, err)
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
	f.leave()
}

// turn is a session, once it is known where to begin.
func (f *Forwarder) turn(ctx context.Context) error {
	if !f.Queue.Begun() {
		if err := f.Queue.Begin(); err != nil {
			return err
		}
	}
	return f.session(ctx)
}

// hangUp closes a connection that no session has begun with.
func (f *Forwarder) hangUp() {
	if f.next != nil {
		f.next.Close()
		f.next = nil
	}
}

// rewind goes back to the confirmed position: what a peer took since may have died with it.
func (f *Forwarder) rewind() error {
	if !f.Queue.Begun() {
		return nil
	}
	f.mu.Lock()
	f.counts.Again += f.sent
	f.mu.Unlock()
	f.sent, f.settling = 0, nil
	f.circle.Forget()
	return f.Queue.Rewind()
}

// leaveOut takes out lines that come back, and reports it.
func (f *Forwarder) leaveOut(text []byte) []byte {
	text = f.circle.LeaveOut(text, time.Now())
	var err error
	if f.circle.Turning() {
		err = circle.Err
	}
	f.mu.Lock()
	f.counts.Looped = f.circle.Left()
	f.mu.Unlock()
	if (f.turning.Text() != "") != f.circle.Turning() {
		f.note(&f.turning, err)
	}
	return text
}

// due says whether a position has settled by now.
func (f *Forwarder) due(now time.Time) bool {
	return len(f.settling) > 0 && !now.Before(f.settling[0].due)
}

// confirm takes the positions that have settled by now.
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
	f.refusals.accepted()
	f.mu.Lock()
	if f.Confirm == ByAcknowledgement {
		f.counts.Acknowledged += lines
	} else {
		f.counts.Confirmed += lines
	}
	f.mu.Unlock()
	f.Queue.Confirm(last)
}

// note notes what does not work, and logs it if that is news; nil: it works.
func (f *Forwarder) note(t *seldom.Trouble, err error) { f.Queue.Note(t, err) }
