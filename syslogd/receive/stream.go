package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Stream receives from TCP connections, in the clear or with TLS (RFC 5425), each in a goroutine of its own. A connection that
// says nothing holds no buffer, and none can hold up another.
type Stream struct {
	// Name is the place as configured: tcp://0.0.0.0:601.
	Name string
	// Size is the largest message that is kept whole.
	Size int
	// Most and MostEach limit the connections, in total and from one address.
	Most, MostEach int
	// Idle ends a connection that has sent nothing for so long; 0: never.
	Idle time.Duration
	// TLS is the server side of TLS; nil: in the clear.
	TLS *tls.Config
	// Allowed says whether an address may connect; nil: all.
	Allowed func(netip.Addr) bool
	// NewHandler makes a Handler. They are used for one batch after the other, by whichever connection has one.
	NewHandler func() Handler
	Log        *slog.Logger

	listener  *net.TCPListener
	inherited bool
	handlers  sync.Pool
	buffers   sync.Pool

	received, bytes atomic.Uint64
	refused, failed atomic.Uint64

	// mu guards the fields below.
	mu    sync.Mutex
	conns map[net.Conn]netip.Addr
	each  map[netip.Addr]int
	told  time.Time // when a refusal was last logged
	quiet int       // refusals since
}

const (
	handshakeTime = 10 * time.Second
	refusalPeriod = 10 * time.Second
)

// Listen opens the socket, or takes an open one.
func (s *Stream) Listen(ctx context.Context, address string, inherited *os.File) error {
	var l net.Listener
	var err error
	if inherited != nil {
		l, err = net.FileListener(inherited)
		err = errors.Join(err, inherited.Close())
	} else {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
	}
	if err != nil {
		return err
	}
	listener, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return fmt.Errorf("%s is not a TCP socket", s.Name)
	}
	s.listener, s.inherited = listener, inherited != nil
	s.conns, s.each = make(map[net.Conn]netip.Addr), make(map[netip.Addr]int)
	s.handlers.New = func() any { return s.NewHandler() }
	s.buffers.New = func() any { b := make([]byte, 0, s.Size+frameSlack); return &b }
	return nil
}

// Run accepts until ctx is done. Then each connection is read as far as its bytes have arrived.
func (s *Stream) Run(ctx context.Context) {
	var clients sync.WaitGroup
	defer clients.Wait()
	defer context.AfterFunc(ctx, func() {
		s.listener.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for conn := range s.conns {
			conn.SetReadDeadline(time.Now())
		}
	})()
	for {
		conn, err := s.listener.AcceptTCP()
		if ctx.Err() != nil {
			if conn != nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			s.failed.Add(1)
			s.Log.Error("accept", "input", s.Name, "err", err)
			select { // EMFILE and the like pass; a loop at full speed would not help
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		addr, err := s.admit(ctx, conn)
		if err != nil {
			s.refuse(conn, err)
			continue
		}
		clients.Go(func() {
			defer s.release(conn, addr)
			s.client(ctx, conn, NewSender(addr))
		})
	}
}

// admit says whether a connection may stay.
func (s *Stream) admit(ctx context.Context, conn *net.TCPConn) (netip.Addr, error) {
	peer, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, errors.New("it has no address any more")
	}
	addr := peer.AddrPort().Addr().Unmap()
	if s.Allowed != nil && !s.Allowed(addr) {
		return addr, fmt.Errorf("%s may not send", addr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.conns) >= s.Most:
		return addr, fmt.Errorf("there are %d connections already", s.Most)
	case s.each[addr] >= s.MostEach:
		return addr, fmt.Errorf("%s has %d connections already", addr, s.MostEach)
	}
	s.conns[conn] = addr
	s.each[addr]++
	if ctx.Err() != nil {
		conn.SetReadDeadline(time.Now()) // the others got theirs already
	}
	return addr, nil
}

// refuse closes a connection. The log hears of it now and then and not each time: whoever is not wanted must not fill it.
func (s *Stream) refuse(conn net.Conn, why error) {
	conn.Close()
	s.refused.Add(1)
	s.mu.Lock()
	s.quiet++
	n, now := s.quiet, time.Now()
	if now.Sub(s.told) < refusalPeriod {
		s.mu.Unlock()
		return
	}
	s.quiet, s.told = 0, now
	s.mu.Unlock()
	s.Log.Warn("connections refused", "input", s.Name, "number", n, "the_last", why)
}

func (s *Stream) release(conn net.Conn, addr netip.Addr) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	if s.each[addr]--; s.each[addr] == 0 {
		delete(s.each, addr)
	}
}

// client reads one connection to its end.
func (s *Stream) client(ctx context.Context, conn *net.TCPConn, from *Sender) {
	c := connection{stream: s, from: from, framer: framer{size: s.Size}}
	var err error
	if s.TLS != nil {
		err = c.readTLS(ctx, conn)
	} else {
		err = c.readPlain(ctx, conn)
	}
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	if len(c.rest) > 0 {
		c.batch(func() { c.framer.end(c.rest, c.emit) })
	}
	if err != nil {
		s.failed.Add(1)
		s.Log.Debug("connection", "input", s.Name, "peer", from.Addr, "err", err)
	}
}

// A connection is the state of one client. Owned by its goroutine.
type connection struct {
	stream  *Stream
	from    *Sender
	framer  framer
	handler Handler // during a batch
	rest    []byte  // in buffer
	buffer  *[]byte // from the pool; nil while nothing is kept
}

// readPlain waits without a buffer and takes one only when there is something to read.
func (c *connection) readPlain(ctx context.Context, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	for {
		if err := c.extend(ctx, conn); err != nil {
			return err
		}
		var n int
		var readErr error
		err := raw.Read(func(fd uintptr) bool {
			n, readErr = unix.Read(int(fd), c.room())
			for readErr == unix.EINTR {
				n, readErr = unix.Read(int(fd), c.room())
			}
			if readErr == unix.EAGAIN {
				c.idle()
				return false
			}
			return true
		})
		if err != nil && ctx.Err() != nil {
			return c.drain(raw)
		}
		if err = errors.Join(err, readErr); err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		c.took(n)
	}
}

// drain reads what has arrived, because a deadline lets nothing through any more.
func (c *connection) drain(raw interface{ Control(func(uintptr)) error }) error {
	return raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), c.room())
			if n <= 0 || err != nil {
				return
			}
			c.took(n)
		}
	})
}

// readTLS does the handshake first, which may not take long.
func (c *connection) readTLS(ctx context.Context, conn *net.TCPConn) error {
	secure := tls.Server(conn, c.stream.TLS)
	hurry, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	if err := secure.HandshakeContext(hurry); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	for {
		if err := c.extend(ctx, conn); err != nil {
			return err
		}
		n, err := secure.Read(c.room())
		if n > 0 {
			c.took(n)
		}
		if err != nil {
			return err
		}
	}
}

// extend sets the time until which the client must say something.
func (c *connection) extend(ctx context.Context, conn net.Conn) error {
	if c.stream.Idle == 0 || ctx.Err() != nil {
		return nil
	}
	err := conn.SetReadDeadline(time.Now().Add(c.stream.Idle))
	if ctx.Err() != nil {
		conn.SetReadDeadline(time.Now()) // which may have been set a moment ago, and overwritten
	}
	return err
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

// took makes messages of n more bytes.
func (c *connection) took(n int) {
	c.stream.bytes.Add(uint64(n))
	data := c.rest[:len(c.rest)+n]
	var rest []byte
	c.batch(func() { rest = c.framer.take(data, c.emit) })
	c.rest = (*c.buffer)[:copy((*c.buffer)[:cap(*c.buffer)], rest)]
	c.idle()
}

// batch borrows a Handler.
func (c *connection) batch(do func()) {
	c.handler = c.stream.handlers.Get().(Handler)
	c.handler.Begin(time.Now())
	do()
	c.handler.End()
	c.stream.handlers.Put(c.handler)
	c.handler = nil
}

func (c *connection) emit(msg []byte, size int) {
	c.stream.received.Add(1)
	c.handler.Message(c.from, msg, size)
}

// Barrier returns at once: what a client has sent and we have not read is still under way, as far as TCP can tell.
func (s *Stream) Barrier(context.Context) error { return nil }

// Counts returns the counters. The kernel drops nothing of a TCP connection.
func (s *Stream) Counts() Counts {
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	return Counts{
		Received: s.received.Load(), Bytes: s.bytes.Load(), ReceiveErrors: s.failed.Load(), Refused: s.refused.Load(), Connections: n,
	}
}

// Describe tells what this is.
func (s *Stream) Describe() Description {
	return Description{Name: s.Name, Address: s.listener.Addr().String(), Inherited: s.inherited}
}

// Give hands the listening socket's descriptor to somebody who keeps it when we go.
func (s *Stream) Give(to func(fd int) error) error {
	raw, err := s.listener.SyscallConn()
	if err != nil {
		return err
	}
	var giveErr error
	err = raw.Control(func(fd uintptr) { giveErr = to(int(fd)) })
	return errors.Join(err, giveErr)
}

// TakeBack says that nobody keeps it any more.
func (s *Stream) TakeBack() {}

// Close closes the socket, if Run has not done so.
func (s *Stream) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
