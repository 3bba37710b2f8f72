package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialTime   = 10 * time.Second
	writeTime  = time.Minute      // for which a peer may read nothing
	closeTime  = 30 * time.Second // in which a peer must close its side
	farewell   = 2 * time.Second  // the same when we are stopped
	sessionMax = 32 << 20         // bytes of a session: what is sent again at most
	glance     = time.Second      // how often a session looks without being called
)

// A conn can close its sending side alone, as TCP and TLS can.
type conn interface {
	net.Conn
	CloseWrite() error
}

// A link is a connection to the peer.
type link struct {
	conn
	gone chan error // has a value when the peer has ended it
}

// alive says whether the connection stands, as far as the kernel has heard.
func (l *link) alive() bool {
	c := net.Conn(l.conn)
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	established := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO)
		established = err == nil && info.State == unix.BPF_TCP_ESTABLISHED
	})
	return err == nil && established
}

// connect opens a link.
func (f *Forwarder) connect(ctx context.Context) (*link, error) {
	c, err := f.dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{conn: c, gone: make(chan error, 1)}
	// A peer has nothing to say; what it does say is read so that its end is seen.
	go func() {
		_, err := io.Copy(io.Discard, c)
		l.gone <- err
	}()
	f.mu.Lock()
	f.counts.Connections++
	f.mu.Unlock()
	return l, nil
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
		return err
	}
	defer c.Close()
	f.connected(true)
	defer f.connected(false)
	f.report(nil)

	// A write that is under way when ctx ends is given the time of the farewell.
	defer context.AfterFunc(ctx, func() { c.SetWriteDeadline(time.Now().Add(farewell)) })()

	lines, err := f.send(ctx, c)
	if err != nil || lines == 0 {
		return err
	}
	if ctx.Err() == nil {
		// The next connection stands before this one ends, so that no moment is left in which a peer can die and come back unseen. A peer that
		// wants no second one is not asked for more than what it does with the first.
		f.next, _ = f.connect(ctx)
	}
	if err := f.finish(ctx, c); err != nil {
		return err
	}
	f.settling = append(f.settling, taken{f.follower.Position(), lines, time.Now().Add(f.Settle)})
	return nil
}

func (f *Forwarder) dial(ctx context.Context) (conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var dialer net.Dialer
	if f.TLS == nil {
		c, err := dialer.DialContext(ctx, "tcp", f.Address)
		if err != nil {
			return nil, err
		}
		return c.(*net.TCPConn), nil
	}
	c, err := (&tls.Dialer{NetDialer: &dialer, Config: f.TLS}).DialContext(ctx, "tcp", f.Address)
	if err != nil {
		return nil, fmt.Errorf("TLS with %s: %w", f.Address, err)
	}
	return c.(*tls.Conn), nil
}

// send sends what there is until the session is long or large enough. It says how many lines it sent.
func (f *Forwarder) send(ctx context.Context, c *link) (lines uint64, err error) {
	tick := time.NewTicker(min(glance, f.Session, f.Settle))
	defer tick.Stop()
	var end time.Time // of the session, once something was sent
	for size := 0; size < sessionMax && ctx.Err() == nil; {
		now := time.Now()
		if f.due(now) && c.alive() {
			f.confirm(now)
		}
		if !end.IsZero() && now.After(end) {
			return lines, nil
		}
		text, err := f.follower.Next()
		if err != nil {
			return lines, fmt.Errorf("read %s: %w", f.File.Path(), err)
		}
		if len(text) == 0 {
			select {
			case <-f.follower.News():
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
		f.frames, n = appendFrames(f.frames[:0], text)
		lines += uint64(n)
		f.sent += uint64(n)
		f.mu.Lock()
		f.counts.Sent += uint64(n)
		f.mu.Unlock()
		c.SetWriteDeadline(now.Add(writeTime))
		if ctx.Err() != nil {
			c.SetWriteDeadline(now.Add(farewell)) // the other one may have come before ours
		}
		if _, err := c.Write(f.frames); err != nil {
			return lines, err
		}
		size += len(f.frames)
	}
	return lines, nil
}

// finish closes our side and waits until the peer closes its own, which it does when it has read to the end. A peer that dies with
// something unread resets the connection instead.
func (f *Forwarder) finish(ctx context.Context, c *link) error {
	if err := c.CloseWrite(); err != nil {
		return err
	}
	// A stop shortens the wait.
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	stopped := ctx.Done()
	for {
		select {
		case err := <-c.gone:
			// Many close TLS without saying so. That the next connection stands is what tells this from a cut one.
			if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return closedBy(err)
		case <-stopped:
			stopped = nil
			timer.Reset(farewell)
		case <-timer.C:
			return errors.New("the peer does not close a connection that we closed, so what it has taken is not known")
		}
	}
}

func closedBy(err error) error {
	if err == nil {
		err = io.EOF
	}
	return fmt.Errorf("the peer ended the connection: %w", err)
}

func (f *Forwarder) connected(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Connected = yes
}
