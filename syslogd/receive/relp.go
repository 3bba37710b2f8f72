package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/relp"
	"lbsyslogd/syslogd/seldom"
)

// The path of a message that comes by RELP:
//
//  1. the frames of one read are a batch; each must have the number after the one before (takeFrames),
//  2. the Handler makes lines of it, and Deliver returns when they are written (converse),
//  3. then all responses go out in one write (answer),
//  4. and only then the next bytes are read: whoever does not wait for responses fills its own socket, and an output that is slow slows its senders.
//
// What goes wrong before the responses are sent ends the connection without them. The client still has these messages, and sends them again.

// A Deliverer is a Handler for messages that the sender keeps until they are written.
type Deliverer interface {
	Handler
	// Deliver ends a batch in the place of End. Without an error every message of it is in the files that it belongs in, as durably as those are kept,
	// or is one that no file is to have. It waits for as long as that takes, or until ctx is done.
	Deliver(ctx context.Context) error
}

// A dialog is the server's side of RELP on a connection. It belongs to the connection's goroutine, but for pushedBack, ctx and cancel.
type dialog struct {
	parser  relp.Parser
	next    int       // the number that the next command must have
	offered int       // the version of the protocol; -1: the client has not opened the session yet
	closed  bool      // the client has closed the session
	began   time.Time // when the incomplete frame in the buffer began to come, or the connection; zero: there is none

	answers  []byte
	messages uint64 // of this batch

	// ctx is done when nobody waits for the responses any more.
	ctx    context.Context
	cancel context.CancelFunc
	look   *time.Timer // looks at a client whose messages cannot be written
	// pushedBack is set while they cannot.
	pushedBack atomic.Bool
}

// relpCounts are those of a Stream that speaks RELP.
type relpCounts struct {
	acknowledged, unacknowledged, badFrames atomic.Uint64
	report                                  seldom.Report

	lastBad atomic.Pointer[string] // the last wrong frame: from where, and why
}

const (
	// openTime is how long a client has to open its session, and frameTime to send a frame to its end.
	openTime  = 30 * time.Second
	frameTime = time.Minute
	// answerTime is how long a client may leave responses unread.
	answerTime = time.Minute
	// partingRead is how much of a client's bytes is read after its last frame.
	partingRead = 1 << 20
	// pushBackTime is after which time, and how often, a client is looked at whose messages cannot be written.
	pushBackTime = time.Second
)

// errClosed ends a connection whose client has closed the session.
var errClosed = errors.New("the client has closed the session")

// A badFrame is what ends a connection that speaks no RELP.
type badFrame struct{ error }

// speakRELP makes the connection one of RELP.
func (c *connection) speakRELP() {
	d := &dialog{parser: relp.Parser{Keep: c.stream.Size, Most: maxLength}, next: 1, offered: -1, began: time.Now()}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.look = time.AfterFunc(time.Hour, c.lookAtClient)
	d.look.Stop()
	c.dialog = d
}

// converse takes n more bytes, has the messages in them written and sends the responses. What ends the connection is in pending.
func (c *connection) converse(n int) {
	d := c.dialog
	c.stream.bytes.Add(uint64(n))
	data := c.rest[:len(c.rest)+n]
	if c.leaving || c.pending != nil { // the client has been told that we end, or will be, and keeps these messages
		c.rest = c.rest[:0]
		c.idle()
		return
	}
	c.handler = c.stream.handlers.Get().(Handler)
	c.handler.Begin(time.Now())
	d.messages, d.answers = 0, d.answers[:0]
	rest, err := c.takeFrames(data)
	c.rest = (*c.buffer)[:copy((*c.buffer)[:cap(*c.buffer)], rest)]
	deliverErr := c.deliver()
	c.stream.handlers.Put(c.handler)
	c.handler = nil
	if deliverErr == nil {
		deliverErr = c.respond(d.answers)
	}
	if deliverErr != nil {
		c.stream.relp.unacknowledged.Add(d.messages)
		c.pending = fmt.Errorf("%d messages are not acknowledged: %w", d.messages, deliverErr)
	} else {
		c.stream.relp.acknowledged.Add(d.messages)
		c.pending = err
	}
	switch {
	case len(c.rest) == 0 && !d.parser.Within() && d.offered >= 0:
		d.began = time.Time{}
	case d.began.IsZero() || d.messages > 0:
		d.began = time.Now()
	}
	c.idle()
}

// takeFrames gives the messages in data to the Handler, gathers the responses, and returns what must come again. After an error nothing more is taken.
func (c *connection) takeFrames(data []byte) (rest []byte, err error) {
	d := c.dialog
	for len(data) > 0 && !d.closed {
		f, n, whole, err := d.parser.Next(data)
		if err != nil {
			return nil, badFrame{err}
		}
		data = data[n:]
		if whole {
			err = c.obey(f)
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return data, nil
		}
	}
	if d.closed {
		return nil, errClosed
	}
	return nil, nil
}

// obey does what a frame says.
func (c *connection) obey(f relp.Frame) error {
	d := c.dialog
	if f.Number == 0 {
		return nil // a hint, of which a server knows none
	}
	if f.Number != d.next {
		return badFrame{fmt.Errorf("command number %d where %d comes next", f.Number, d.next)}
	}
	d.next = relp.NextNumber(d.next)
	switch {
	case f.Is("syslog") && d.offered >= 0:
		d.messages++
		c.stream.received.Add(1)
		c.handler.Message(c.from, f.Data, f.Size)
		d.answers = relp.AppendOK(d.answers, f.Number)
	case f.Is("open") && d.offered >= 0: // which some versions of librelp send
		d.answers = relp.AppendResponse(d.answers, f.Number, relp.OK, "connection already open - ignored", nil)
	case f.Is("open"):
		return c.open(f)
	case f.Is("close"):
		d.answers = relp.AppendOK(d.answers, f.Number)
		d.answers = relp.AppendFrame(d.answers, 0, "serverclose")
		d.closed = true
	case f.Is("syslog"):
		return c.object(f, "the session is not open")
	default:
		return c.object(f, "this command is not known here")
	}
	return nil
}

// open answers the client's offers.
func (c *connection) open(f relp.Frame) error {
	offers, err := relp.ParseOffers(f.Data)
	switch {
	case err != nil:
		return c.object(f, err.Error())
	case f.Cut():
		return c.object(f, "these are too many offers")
	case !offers.Has("syslog"):
		return c.object(f, "required command not supported by client: syslog")
	}
	d := c.dialog
	d.offered = min(offers.Version, relp.Version)
	ours := relp.Offers{Version: d.offered, Software: "syslogd", Commands: []string{"syslog"}}
	d.answers = relp.AppendResponse(d.answers, f.Number, relp.OK, "OK", ours.Append(nil))
	return nil
}

// object refuses a command, which is also the end of the connection: a client that goes on after this would be out of step.
func (c *connection) object(f relp.Frame, why string) error {
	c.dialog.answers = relp.AppendResponse(c.dialog.answers, f.Number, relp.Failed, why, nil)
	return badFrame{fmt.Errorf("command %q: %s", f.Command, why)}
}

// deliver has the Handler write what it was given.
func (c *connection) deliver() error {
	d := c.dialog
	h, ok := c.handler.(Deliverer)
	if !ok {
		c.handler.End()
		return errors.New("nobody says whether messages are written")
	}
	d.look.Reset(pushBackTime)
	defer func() {
		d.look.Stop()
		d.pushedBack.Store(false)
	}()
	return h.Deliver(d.ctx)
}

// lookAtClient is called while messages cannot be written. Nobody else is to wait for that, and one whose client has gone, who will send them again over
// another connection, ends.
func (c *connection) lookAtClient() {
	d := c.dialog
	if d.ctx.Err() != nil {
		return
	}
	d.pushedBack.Store(true)
	c.mu.Lock()
	asked := c.asked
	c.asked = nil
	c.mu.Unlock()
	c.answer(append([]chan struct{}{}, asked...))
	gone := false
	if err := c.raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0
	}); err != nil || gone {
		d.cancel()
		return
	}
	d.look.Reset(pushBackTime)
}

// respond sends the responses of a batch.
func (c *connection) respond(answers []byte) error {
	if len(answers) == 0 {
		return nil
	}
	c.conn.SetWriteDeadline(time.Now().Add(answerTime))
	_, err := c.writer().Write(answers)
	return err
}

func (c *connection) writer() net.Conn {
	if c.secure != nil {
		return c.secure
	}
	return c.conn
}

// patience is the earlier of until and when the client must have sent something; zero is never.
func (d *dialog) patience(until time.Time) time.Time {
	if d.began.IsZero() {
		return until
	}
	limit := d.began.Add(frameTime)
	if d.offered < 0 {
		limit = d.began.Add(openTime)
	}
	if until.IsZero() || limit.Before(until) {
		return limit
	}
	return until
}

// parting is why the connection ended, for a client that did not speak RELP, or not in time; nil otherwise.
func (d *dialog) parting(err error) error {
	var bad badFrame
	switch limit := d.patience(time.Time{}); {
	case errors.As(err, &bad):
		return bad.error
	case errors.Is(err, os.ErrDeadlineExceeded) && !limit.IsZero() && !time.Now().Before(limit):
		if d.offered < 0 {
			return fmt.Errorf("it did not open a session within %v", openTime)
		}
		return fmt.Errorf("it did not finish a frame within %v", frameTime)
	}
	return nil
}

// part ends a conversation: the client is told, and what it did wrong is counted and reported.
func (c *connection) part(err error) {
	d := c.dialog
	d.cancel()
	why := d.parting(err)
	if why == nil {
		return
	}
	_ = c.respond(relp.AppendFrame(nil, 0, "serverclose")) // a hint
	_ = c.conn.CloseWrite()
	// A close with bytes unread would be a reset, which can take the responses before it along.
	c.conn.SetReadDeadline(time.Now().Add(c.stream.closeTime()))
	_, _ = io.CopyN(io.Discard, c.conn, partingRead)
	counts := &c.stream.relp
	counts.badFrames.Add(1)
	why = fmt.Errorf("%s: %w", c.addr, why)
	text := why.Error()
	counts.lastBad.Store(&text)
	counts.report.Note(why)
}
