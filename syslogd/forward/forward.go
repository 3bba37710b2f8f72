package forward

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"lbsyslogd/rotate"
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
	Address string         // host:port
	File    *rotate.Writer // opened with Options.Hold; it must stay open until Close
	Log     *slog.Logger
	TLS     *tls.Config // nil: plain TCP

	Confirm Confirmation  // empty: ByClose
	Session time.Duration // after which the peer is asked whether it has taken what was sent; 0: 10 s
	Settle  time.Duration // for which a peer must live on before that is believed; 0: 5 s
	Backoff time.Duration // longest pause between attempts to connect; 0: 10 s

	closeTime time.Duration // in which a peer must close its side; 0: 30 s
	cancel    context.CancelFunc
	ended     chan struct{}

	// Owned by run.
	follower *rotate.Follower
	frames   []byte
	sent     uint64 // lines that were sent after the position, other than to be sent again
	settling []taken
	next     *link     // connected for the next session
	unclosed int       // sessions in a row whose connection the peer did not close
	dialing  bool      // the trouble of the connection is that there is none
	unstored bool      // the position in the file is older than ours
	tried    time.Time // when storing was last tried
	missed   rotate.Missed
	circle   circle
	refusals refusals

	// mu guards the fields below.
	mu       sync.Mutex
	position rotate.Position // confirmed
	counts   Counts
	state    trouble // of the connection
	storing  trouble // of the file with the position
	gaps     trouble // of lines that were gone before they were read
	refusing trouble // of lines that the peer refuses
	turning  trouble // of lines that come back
	doubt    string  // why the peer's kernel has to be believed; empty: it is not, or was configured
	anew     string  // why everything is sent again, until the peer has taken something; empty: it is not
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
	storeAgain     = 5 * time.Second // between attempts to store a position that could not be stored
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
	if err := f.begin(); err != nil {
		f.note(&f.state, err)
	}
	go f.run(ctx)
}

// begin finds where to go on.
func (f *Forwarder) begin() error {
	from, loadErr := load(f.path())
	if loadErr != nil {
		// Where the last process was is not known. Nothing that waits is left out: lines may arrive again.
		from = new(rotate.Position)
		err := fmt.Errorf("the position cannot be read, so forwarding begins with the oldest file that is not compressed: %w", loadErr)
		f.mu.Lock()
		f.anew = err.Error()
		f.mu.Unlock()
		f.note(&f.storing, err)
	}
	follower, found, err := f.File.Follow(from)
	if err != nil {
		return err
	}
	f.follower = follower
	f.mu.Lock()
	f.position = follower.Position()
	f.mu.Unlock()
	if !found && loadErr == nil {
		f.miss(1, 0)
	}
	// Without this a crash before the first session has ended would begin anew where the file ends then.
	f.store()
	return nil
}

// Close ends the session and stores how far it came. What is not sent yet stays in the file for the next Start.
func (f *Forwarder) Close() error {
	if f.cancel == nil {
		return nil // never started
	}
	f.cancel()
	<-f.ended
	if f.follower == nil {
		return nil
	}
	return f.follower.Close()
}

// Counts is a look at the counters.
func (f *Forwarder) Counts() Counts {
	f.mu.Lock()
	c, p := f.counts, f.position
	c.Error = cmp.Or(f.state.text, f.storing.text, f.turning.text, f.doubt)
	if f.anew != "" && c.Error != "" {
		c.Error += "; "
	}
	c.Error += f.anew
	f.mu.Unlock()
	behind, err := f.File.Behind(p)
	if err != nil && c.Error == "" {
		c.Error = err.Error()
	}
	c.Behind = behind
	return c
}

func (f *Forwarder) path() string { return f.File.Path() + Suffix }

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
	if f.unstored {
		f.store()
	}
	f.hangUp()
}

// turn is a session, once it is known where to begin.
func (f *Forwarder) turn(ctx context.Context) error {
	if f.follower == nil {
		if err := f.begin(); err != nil {
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
	if f.follower == nil {
		return nil
	}
	f.mu.Lock()
	f.counts.Again += f.sent
	p := f.position
	f.mu.Unlock()
	f.sent, f.settling = 0, nil
	f.circle.forget()
	found, err := f.follower.Seek(p)
	if err == nil && !found {
		f.miss(1, 0)
	}
	return err
}

// miss counts lines that were gone before they were read.
func (f *Forwarder) miss(times, bytes uint64) {
	f.mu.Lock()
	f.counts.Missed += times
	f.counts.MissedBytes += bytes
	all := f.counts
	say := f.gaps.due(time.Now(), "missed")
	f.mu.Unlock()
	if say {
		f.Log.Error("the file that is forwarded is gone before all of it was sent; going on with the next one", "to", f.Address,
			"path", f.File.Path(), "times", all.Missed, "bytes", all.MissedBytes)
	}
}

// next lines of the file; what was missed before them is counted.
func (f *Forwarder) read() ([]byte, error) {
	text, err := f.follower.Next()
	if m := f.follower.Missed(); m != f.missed {
		f.miss(m.Times-f.missed.Times, m.Bytes-f.missed.Bytes)
		f.missed = m
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.File.Path(), err)
	}
	return text, nil
}

// leaveOut takes out lines that come back, and reports it.
func (f *Forwarder) leaveOut(text []byte) []byte {
	text = f.circle.leaveOut(text, time.Now())
	var err error
	if f.circle.turning {
		err = errCircle
	}
	f.mu.Lock()
	f.counts.Looped = f.circle.left
	same := (f.turning.text != "") == f.circle.turning
	f.mu.Unlock()
	if !same {
		f.note(&f.turning, err)
	}
	return text
}

var errCircle = errors.New("what is sent comes back: the peer, or one after it, forwards to this syslogd; lines that come back are not sent again")

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
	f.position = last
	f.anew = ""
	f.mu.Unlock()
	f.store()
	// Released even if it could not be stored, for want of space perhaps: then only this makes some. A crash before it is stored costs lines
	// that are sent again.
	f.follower.Release(last)
}

// store writes the confirmed position to the disk.
func (f *Forwarder) store() {
	f.mu.Lock()
	p := f.position
	f.mu.Unlock()
	f.tried = time.Now()
	err := store(f.path(), p)
	f.unstored = err != nil
	if err != nil {
		err = fmt.Errorf("store the position: %w", err)
	}
	f.note(&f.storing, err)
}

// storeLate tries again what could not be stored.
func (f *Forwarder) storeLate(now time.Time) {
	if f.unstored && now.Sub(f.tried) >= storeAgain {
		f.store()
	}
}

// A trouble is something that does not work, and what the log has heard of it.
type trouble struct {
	text   string // empty: it works
	said   string // what was logged last; empty: nothing, or that it works again
	saidAt time.Time
}

// quiet is how long the log hears nothing of a trouble that it knows already, whatever becomes of it.
const quiet = time.Minute

// due says whether to log text now.
func (t *trouble) due(now time.Time, text string) bool {
	if t.said == text || !t.saidAt.IsZero() && now.Sub(t.saidAt) < quiet {
		return false
	}
	t.said, t.saidAt = text, now
	return true
}

// note notes what does not work, and logs it if that is news; nil: it works.
func (f *Forwarder) note(t *trouble, err error) {
	now := time.Now()
	f.mu.Lock()
	recovered, news := false, false
	if err == nil {
		recovered = t.said != ""
		t.text, t.said = "", ""
	} else {
		t.text = plain(err)
		f.counts.LastError, f.counts.LastErrorAt = t.text, now
		news = t.due(now, t.text)
	}
	f.mu.Unlock()
	switch {
	case news:
		f.Log.Warn("forwarding waits", "to", f.Address, "path", f.File.Path(), "err", err)
	case recovered:
		f.Log.Info("forwarding", "to", f.Address, "path", f.File.Path())
	}
}

// plain is err without the port that was ours: that is another one each time.
func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		return strings.ReplaceAll(err.Error(), op.Source.String()+"->", "")
	}
	return err.Error()
}
