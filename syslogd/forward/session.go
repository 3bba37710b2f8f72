package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/peers"
)

const (
	dialTime    = 10 * time.Second
	writeTime   = time.Minute     // for which a peer may read nothing
	stopTimeout = 2 * time.Second // the same when we are stopped
	sessionMax  = 32 << 20        // bytes of a session: what is sent again at most
	glance      = time.Second     // how often a session looks without being called
)

// A conn can close its sending side alone, as TCP and TLS can.
type conn interface {
	net.Conn
	CloseWrite() error
}

// A link is a connection to the peer.
type link struct {
	conn
	tcp    *net.TCPConn
	target peers.Target
	gone   chan error // has a value when the peer has ended it
}

// watched notes when the connection beneath TLS has ended. crypto/tls takes an end between two records for the peer's word, whoever made it.
type watched struct {
	net.Conn
	ended atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err == io.EOF {
		w.ended.Store(true)
	}
	return n, err
}

// alive says whether the connection stands, as far as the kernel has heard.
func (l *link) alive() bool {
	established := false
	err := l.control(func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
		established = err == nil && info.State == unix.BPF_TCP_ESTABLISHED
		return err
	})
	return err == nil && established
}

// control does something with the socket.
func (l *link) control(do func(fd int) error) error {
	raw, err := l.tcp.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// connect opens a link to the peer that is wanted most.
func (f *Forwarder) connect(ctx context.Context) (*link, error) {
	l, err := f.dial(ctx)
	if err != nil {
		return nil, err
	}
	f.watch(l)
	return l, nil
}

// connectTo opens a link to one peer.
func (f *Forwarder) connectTo(ctx context.Context, t peers.Target) (*link, error) {
	l, err := f.dialTarget(ctx, t)
	if err != nil {
		return nil, err
	}
	f.watch(l)
	return l, nil
}

// watch notices when the peer ends a link.
func (f *Forwarder) watch(l *link) {
	l.gone = make(chan error, 1)
	// A peer has nothing to say; what it does say is read so that its end is seen.
	go func() {
		_, err := io.Copy(io.Discard, l.conn)
		if c, ok := l.conn.(*tls.Conn); ok && err == nil && c.NetConn().(*watched).ended.Load() {
			err = io.ErrUnexpectedEOF // no close_notify
		}
		l.gone <- err
	}()
	f.mu.Lock()
	f.counts.Connections++
	f.mu.Unlock()
}

// session sends for a while, and has the peer take what was sent. No error means that it has, or that ctx was done before there was a
// connection.
func (f *Forwarder) session(ctx context.Context) (err error) {
	c := f.next
	f.next = nil
	if c == nil {
		c, err = f.connect(ctx)
	}
	if ctx.Err() != nil && err != nil {
		return nil
	}
	if err != nil {
		f.dialing = true
		return err
	}
	keep := false
	defer func() {
		if !keep {
			c.Close()
		}
	}()
	if err := f.moved(c.target); err != nil {
		return err
	}
	f.connected(true)
	defer f.connected(false)

	// A write that is under way when ctx ends is given the time of the stopTimeout.
	defer context.AfterFunc(ctx, func() { c.SetWriteDeadline(time.Now().Add(stopTimeout)) })()

	left := f.circle.Left()
	lines, err := f.send(ctx, c)
	if err != nil {
		if lines > 0 && errors.Is(err, errEnded) {
			f.judge(ctx, lines)
		}
		return err
	}
	if lines == 0 {
		if f.circle.Left() > left {
			f.settle(0) // there was nothing that had to be sent
		}
		if f.leaving() {
			f.Queue.Log.Info("forwarding returns to a peer that is wanted more", "from", f.target.Address, "path", f.Queue.File.Path())
			f.target = peers.Target{} // nothing is owed to it any more
			f.leave()
		}
		return nil
	}
	if f.Confirm == ByAcknowledgement {
		if err := f.acknowledged(ctx, c); err != nil {
			return err
		}
		f.settle(lines)
		if keep = ctx.Err() == nil; keep {
			f.next = c
		}
		return nil
	}
	if ctx.Err() == nil {
		// The next connection stands before this one ends, so that no moment is left in which a peer can die and come back unseen. A peer that
		// wants no second one is not asked for more than what it does with the first.
		f.next, _ = f.connectTo(ctx, c.target)
	}
	err = f.finish(ctx, c)
	if err == errUnclosed && f.Confirm == ByClose && ctx.Err() == nil {
		if f.unclosed++; f.unclosed == sessionsUnclosed {
			f.relent()
		}
	}
	if err != nil {
		if errors.Is(err, errEnded) {
			f.judge(ctx, lines)
		}
		return err
	}
	f.unclosed = 0
	f.settle(lines)
	return nil
}

// settle notes that the peer has taken all that was read.
func (f *Forwarder) settle(lines uint64) {
	f.settling = append(f.settling, taken{f.Queue.Position(), lines, time.Now().Add(f.Settle)})
	f.note(&f.state, nil)
}

// relent stops asking a peer that never closes a connection: it would get the same lines for ever.
func (f *Forwarder) relent() {
	f.Confirm = ByAcknowledgement
	doubt := "the peer does not close connections that we close, so what its kernel acknowledges counts as taken (docs/syslogd.md, confirm)"
	f.mu.Lock()
	f.doubt = doubt
	f.mu.Unlock()
	f.Queue.Log.Error("forwarding goes on without the peer's confirmation", "to", f.Queue.To, "path", f.Queue.File.Path(), "err", doubt)
}

// send sends what there is until the session is long or large enough. It says how many lines it sent.
func (f *Forwarder) send(ctx context.Context, c *link) (lines uint64, err error) {
	tick := time.NewTicker(min(glance, f.Session, f.Settle))
	defer tick.Stop()
	began := time.Now()
	var end time.Time // of the session, once something was sent
	f.Queue.Bound(f.refusals.bound)
	for size := 0; size < sessionMax && ctx.Err() == nil; {
		now := time.Now()
		if f.due(now) && c.alive() {
			f.confirm(now)
		}
		f.Queue.StoreLate(now)
		if lines == 0 && (f.dialing || now.Sub(began) >= f.Settle) {
			f.dialing = false
			f.note(&f.state, nil) // it waits for lines, and nothing is wrong
		}
		if !end.IsZero() && now.After(end) {
			return lines, nil
		}
		if bound := uint64(f.refusals.bound); bound > 0 && lines >= bound {
			return lines, nil
		}
		leaving := f.leaving()
		if leaving && (lines > 0 || len(f.settling) == 0) {
			return lines, nil
		}
		if leaving || f.refusals.bound > 0 && len(f.settling) > 0 { // one after the other
			select {
			case <-tick.C:
			case <-ctx.Done():
			case err := <-c.gone:
				return lines, closedBy(err)
			}
			continue
		}
		text, err := f.Queue.Read()
		if err != nil {
			return lines, err
		}
		if len(text) == 0 {
			select {
			case <-f.Queue.News():
			case <-tick.C:
			case <-ctx.Done():
			case err := <-c.gone:
				return lines, closedBy(err)
			}
			continue
		}
		select {
		case err := <-c.gone:
			return lines, closedBy(err)
		default:
		}
		if end.IsZero() {
			end = now.Add(f.Session)
		}
		var n int
		text = f.leaveOut(text)
		f.frames, n = appendFrames(f.frames[:0], text)
		lines += uint64(n)
		f.sent += uint64(n)
		f.mu.Lock()
		f.counts.Sent += uint64(n)
		f.mu.Unlock()
		c.SetWriteDeadline(now.Add(writeTime))
		if ctx.Err() != nil {
			c.SetWriteDeadline(now.Add(stopTimeout)) // the other one may have come before ours
		}
		if _, err := c.Write(f.frames); err != nil {
			if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
				err = closedBy(err)
			}
			return lines, err
		}
		size += len(f.frames)
	}
	return lines, nil
}

// finish closes our side and waits until the peer closes its own, which it does when it has read to the end. A peer that dies with
// something unread resets the connection instead.
func (f *Forwarder) finish(ctx context.Context, c *link) error {
	// An end that comes before ours is no answer to it: the peer did not like something, perhaps, and what it had read after that is lost.
	linger := min(f.Settle, 100*time.Millisecond)
	if f.refusals.bound > 0 {
		linger = f.Settle
	}
	select {
	case err := <-c.gone:
		return closedBy(err)
	case <-ctx.Done():
	case <-time.After(linger):
	}
	if !c.alive() {
		return closedBy(nil)
	}
	if err := c.CloseWrite(); err != nil {
		return closedBy(err)
	}
	// A stop shortens the wait.
	timer := time.NewTimer(f.closeTime)
	defer timer.Stop()
	stopped := ctx.Done()
	for {
		select {
		case err := <-c.gone:
			// Many close TLS without saying so. That the next connection stands is what tells this from a cut one.
			if err == nil || errors.Is(err, io.ErrUnexpectedEOF) && f.Confirm != ByCloseNotify {
				return nil
			}
			return closedBy(err)
		case <-stopped:
			stopped = nil
			timer.Reset(stopTimeout)
		case <-timer.C:
			return errUnclosed
		}
	}
}

var errUnclosed = errors.New("the peer does not close a connection that we closed, so what it has taken is not known; everything is sent again")

// acknowledged waits until the peer's kernel has acknowledged everything that was sent.
func (f *Forwarder) acknowledged(ctx context.Context, c *link) error {
	limit := time.NewTimer(writeTime)
	defer limit.Stop()
	stopped := ctx.Done()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		waiting, err := c.unacknowledged()
		if err != nil || waiting == 0 {
			return err
		}
		select {
		case err := <-c.gone:
			return closedBy(err)
		case <-stopped:
			stopped = nil
			limit.Reset(stopTimeout)
		case <-limit.C:
			return errors.New("the peer's kernel acknowledges nothing")
		case <-time.After(pause):
		}
	}
}

// unacknowledged is how many bytes the peer's kernel has not acknowledged.
func (l *link) unacknowledged() (waiting int, err error) {
	err = l.control(func(fd int) (err error) {
		waiting, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		return err
	})
	return waiting, err
}

func closedBy(err error) error {
	if err == nil {
		err = io.EOF
	}
	return fmt.Errorf("%w: %w", errEnded, err)
}

func (f *Forwarder) connected(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Connected = yes
}
