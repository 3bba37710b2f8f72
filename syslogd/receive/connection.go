package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/relp"
)

// A connection reads one client to its end. Its fields belong to its goroutine, but for those under mu and busy.
//
//  1. It waits without a buffer, and takes one when there is something to read (wait, room),
//  2. reads, and makes messages of what came (read, took),
//  3. is woken by a read deadline in the past, when somebody asks whether all that has arrived is through, or when all is to end (woken).
type connection struct {
	stream *Stream
	conn   *net.TCPConn
	raw    syscall.RawConn
	secure *tls.Conn // nil: in the clear
	dialog *dialog   // nil: it does not speak RELP
	addr   netip.Addr
	from   *Sender

	framer  framer
	handler Handler // during a batch
	rest    []byte  // in buffer
	buffer  *[]byte // from the pool; nil while nothing is kept

	left    int // how many bytes may be taken from the socket; less than the memory's end in a drain only
	leaving bool
	try     func(fd uintptr) bool // attempt, which would be made anew for each read
	n       int                   // what it returned last
	err     error
	pending error          // of a read that was made for more of a batch: the next one's
	alert   tls.AlertError // that the client sent in the clear in its handshake; 0: none

	// busy is set while bytes that were taken from the socket are not with the Handler yet.
	busy atomic.Bool

	// mu guards the fields below and the read deadline.
	mu    sync.Mutex
	ready bool            // what comes now is messages and not a TLS handshake
	asked []chan struct{} // to be closed when what has arrived is through
	until time.Time       // when to end

	banned bool // its address may not send any more
}

const (
	handshakeTime = 10 * time.Second
	// closeTimeout is how long a client has to end when we want to: it is informed, and what it sends until then is still read. One in its
	// handshake has as long to finish that before.
	closeTimeout = time.Second
)

// run reads until the client ends or is silent for too long, or ctx is done.
func (c *connection) run(ctx context.Context) {
	defer c.answer(nil)
	if err := c.begin(ctx); err != nil {
		if ctx.Err() == nil {
			c.stream.handshakeFailed(c, err)
		}
		return
	}
	var err error
	for err == nil {
		if err = c.extend(ctx); err == nil {
			err = c.read()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = c.woken(ctx)
		}
	}
	if c.dialog != nil {
		c.part(err)
	} else if len(c.rest) > 0 {
		c.batch(func() { c.framer.end(c.rest, c.emit) })
	}
	c.rest = nil
	c.idle()
	if ctx.Err() == nil && !isEnd(err) {
		c.stream.broken.Add(1)
		c.stream.Log.Debug("connection", "input", c.stream.Name, "peer", c.from.Addr, "err", err)
	}
}

// isEnd says whether a connection has ended in an ordinary way, with nothing more to report.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errClosed) || errors.As(err, new(badFrame))
}

// begin does a TLS handshake, which may not take long.
func (c *connection) begin(ctx context.Context) error {
	c.try = c.attempt
	if c.stream.TLS != nil {
		c.secure = tls.Server(wire{c.conn, c}, c.stream.TLS)
		hurry, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakeTime) // at the end, wake sets a limit
		defer cancel()
		if err := c.secure.HandshakeContext(hurry); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy.Store(c.secure != nil) // messages may have come with the end of the handshake
	c.ready = true
	if c.secure != nil && ctx.Err() != nil && !c.banned {
		c.conn.SetDeadline(time.Time{})
		c.conn.SetReadDeadline(time.Now()) // wake was called in the handshake
	}
	return nil
}

// extend sets the time until which the client must say something.
func (c *connection) extend(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) > 0 || c.banned {
		return os.ErrDeadlineExceeded
	}
	if c.stream.Idle == 0 && c.dialog == nil || c.leaving {
		return nil
	}
	c.until = time.Time{}
	if c.stream.Idle > 0 {
		c.until = time.Now().Add(c.stream.Idle)
	}
	if c.dialog != nil {
		c.until = c.dialog.patience(c.until)
	}
	return c.limit(ctx)
}

// limit has reads end at until. Called with mu held.
func (c *connection) limit(ctx context.Context) error {
	err := c.conn.SetReadDeadline(c.until)
	if ctx.Err() != nil && !c.leaving {
		c.conn.SetReadDeadline(time.Now()) // which may have been set a moment ago, and overwritten
	}
	return err
}

// read waits for bytes and makes messages of them.
func (c *connection) read() error {
	if err := c.pending; err != nil {
		c.pending = nil
		return err
	}
	if c.secure != nil {
		return c.readSecure()
	}
	err := c.raw.Read(c.try)
	if err = errors.Join(err, c.err); err != nil {
		return err
	}
	c.took(c.n)
	return nil
}

// attempt reads from the socket. It says whether to stop waiting.
func (c *connection) attempt(fd uintptr) bool {
	c.busy.Store(true)
	c.n, c.err = readFrom(fd, c.room())
	if c.err == unix.EAGAIN {
		c.err = nil
		c.idle()
		c.busy.Store(false)
		return false
	}
	if c.n == 0 && c.err == nil {
		c.err = io.EOF
	}
	return true
}

// readSecure is read for TLS: it takes what there is, and then waits for more.
func (c *connection) readSecure() error {
	c.busy.Store(true)
	n, err := c.secure.Read(c.room())
	if n > 0 {
		c.took(n)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.idle()
	c.busy.Store(false)
	return c.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN
	})
}

// wire is the socket as TLS sees it: after the handshake a read never waits, and takes no more than the connection's left.
type wire struct {
	*net.TCPConn
	c *connection
}

// Read implements net.Conn. Its timeout is a net.Error that is Temporary, over which a tls.Conn keeps its state.
func (w wire) Read(p []byte) (n int, err error) {
	c := w.c
	if !c.ready { // only the connection's goroutine sets it
		n, err := w.TCPConn.Read(p)
		c.noteAlert(p[:n])
		return n, err
	}
	if c.left == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	p = p[:min(len(p), c.left)]
	if controlErr := c.raw.Control(func(fd uintptr) { n, err = readFrom(fd, p) }); controlErr != nil {
		return 0, controlErr
	}
	switch {
	case err == unix.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case err == nil && n == 0:
		return 0, io.EOF
	}
	if c.left != math.MaxInt {
		c.left -= n
	}
	return n, err
}

// noteAlert notes an alert in the clear at the end of what came in a handshake. Clients that refuse our certificate send one so, with OpenSSL and TLS 1.3,
// where crypto/tls expects an encrypted one and finds nothing but a "bad record MAC".
func (c *connection) noteAlert(b []byte) {
	const record, size = 21, 7 // of alerts: type, version, length, level, description
	if n := len(b); n >= size && b[n-size] == record && b[n-6] == 3 && b[n-4] == 0 && b[n-3] == 2 && b[n-2] <= 2 {
		c.alert = tls.AlertError(b[n-1])
	}
}

// readFrom reads without waiting: the Go runtime's sockets do not block.
func readFrom(fd uintptr, p []byte) (n int, err error) {
	for {
		if n, err = unix.Read(int(fd), p); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// woken is called when a read deadline has passed. It says whether to go on.
func (c *connection) woken(ctx context.Context) error {
	c.mu.Lock()
	asked := c.asked
	c.asked = nil
	var err error
	if len(asked) > 0 {
		err = c.limit(ctx)
	}
	c.mu.Unlock()
	if len(asked) > 0 {
		err = errors.Join(c.drain(), err)
		c.answer(asked)
		return err
	}
	if ctx.Err() == nil {
		return os.ErrDeadlineExceeded // it was silent for too long
	}
	if !c.leaving {
		c.leave()
		return nil
	}
	return errors.Join(c.drain(), io.EOF)
}

// wake has the connection end, unless it is about to. A client in its handshake may finish that first: it may have sent messages with its end.
func (c *connection) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialog != nil {
		time.AfterFunc(c.stream.closeTime(), c.dialog.cancel) // it may be waiting for a disk
	}
	switch {
	case c.leaving || c.banned:
	case c.ready:
		c.conn.SetReadDeadline(time.Now())
	default:
		c.conn.SetDeadline(time.Now().Add(c.stream.closeTime()))
	}
}

// ban ends a connection whose client may not send any more, as if it had been silent for too long.
func (c *connection) ban() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.banned = true
	if c.dialog != nil {
		c.dialog.cancel()
	}
	c.conn.SetReadDeadline(time.Now())
}

// leave tells the client that we want to end. One that listens for that ends too, and has lost nothing.
func (c *connection) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving, c.until = true, time.Now().Add(c.stream.closeTime())
	if c.dialog != nil {
		c.conn.SetWriteDeadline(c.until)
		_, _ = c.writer().Write(relp.AppendFrame(nil, 0, "serverclose")) // a hint
	}
	if c.secure != nil {
		c.conn.SetWriteDeadline(c.until)
		_ = c.secure.CloseWrite() // if that fails, the client learns it when we close
	}
	_ = c.conn.CloseWrite()
	c.conn.SetReadDeadline(c.until)
}

// drain takes as much as has arrived by now, and no more: a client that never stops must not hold us.
func (c *connection) drain() error {
	c.busy.Store(true)
	defer c.busy.Store(false)
	c.left = c.queued()
	defer func() { c.left = math.MaxInt }()
	if c.secure != nil {
		for {
			n, err := c.secure.Read(c.room())
			if n > 0 {
				c.took(n)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.idle()
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	for c.left > 0 {
		more := false
		if err := c.raw.Control(func(fd uintptr) { more = c.attempt(fd) }); err != nil || c.err != nil {
			return errors.Join(err, c.err)
		}
		if !more {
			return nil
		}
		c.left -= min(c.left, c.n)
		c.took(c.n)
	}
	return nil
}

// queued is how many bytes have arrived that were not taken from the socket.
func (c *connection) queued() (n int) {
	_ = c.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }) // of a socket that fails there is nothing to take
	return n
}

// ask has the connection tell when what has arrived by now is with its Handler. It returns nil when it is already, or when the
// connection is in its handshake.
func (c *connection) ask() (passed chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ready || c.queued() == 0 && !c.busy.Load() || c.dialog != nil && c.dialog.pushedBack.Load() {
		return nil
	}
	passed = make(chan struct{})
	c.asked = append(c.asked, passed)
	c.conn.SetReadDeadline(time.Now())
	return passed
}

// answer tells those who asked; nil is those who still do, at the end.
func (c *connection) answer(asked []chan struct{}) {
	if asked == nil {
		c.mu.Lock()
		asked, c.asked, c.ready = c.asked, nil, false
		c.mu.Unlock()
	}
	for _, passed := range asked {
		close(passed)
	}
}

// room is where to read to.
func (c *connection) room() []byte {
	if c.buffer == nil {
		c.buffer = c.stream.buffers.Get().(*[]byte)
		c.rest = (*c.buffer)[:0]
	}
	return c.rest[len(c.rest):cap(c.rest)]
}

// idle gives the buffer back when nothing is in it.
func (c *connection) idle() {
	if len(c.rest) == 0 && c.buffer != nil {
		c.stream.buffers.Put(c.buffer)
		c.buffer, c.rest = nil, nil
	}
}

// largeBatch is about how many bytes the Handler gets as one: a buffer is far smaller, and each batch opens each file that it has lines for, where
// more are in use than may be open.
const largeBatch = 256 << 10

// largeRecord is how large a record of TLS is when there is probably another one.
const largeRecord = 4 << 10

// took makes messages of n more bytes, and of those that are there after them.
func (c *connection) took(n int) {
	if c.dialog != nil {
		c.converse(n)
		return
	}
	c.batch(func() {
		full := c.cut(n)
		for sum := n; full && sum < largeBatch && c.pending == nil && c.left == math.MaxInt; sum += n {
			if n = c.more(); n == 0 {
				break
			}
			full = c.cut(n)
		}
	})
	c.idle()
}

// cut makes messages of n more bytes. It says whether a read that brought so many may have left some.
func (c *connection) cut(n int) (full bool) {
	c.stream.bytes.Add(uint64(n))
	full = n == len(c.room()) || c.secure != nil && n >= largeRecord
	rest := c.framer.take(c.rest[:len(c.rest)+n], c.emit)
	c.rest = (*c.buffer)[:copy((*c.buffer)[:cap(*c.buffer)], rest)]
	return full
}

// more reads what is there, and does not wait.
func (c *connection) more() (n int) {
	var err error
	if c.secure != nil {
		if n, err = c.secure.Read(c.room()); errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
	} else if controlErr := c.raw.Control(func(fd uintptr) { n, err = readFrom(fd, c.room()) }); controlErr != nil {
		err = controlErr
	} else if err == unix.EAGAIN {
		err = nil
	} else if n == 0 && err == nil {
		err = io.EOF
	}
	c.pending = err
	return n
}

// batch borrows a Handler.
func (c *connection) batch(do func()) {
	c.handler = c.stream.handlers.Get().(Handler)
	c.handler.Begin(time.Now())
	do()
	c.handler.End()
	c.stream.handlers.Put(c.handler)
	c.handler = nil
	if lost := c.framer.lost; lost > 0 {
		c.framer.lost = 0
		c.stream.outStep.Add(lost)
		c.stream.steps.Note(errors.New(c.addr.String()))
	}
}

func (c *connection) emit(msg []byte, size int) {
	c.stream.received.Add(1)
	c.handler.Message(c.from, msg, size)
}
