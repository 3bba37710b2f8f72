package receive

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/seldom"
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
	// RELP has clients speak RELP instead of sending messages alone. NewHandler then makes a Deliverer.
	RELP bool
	// Allowed says whether an address may connect; nil: all.
	Allowed func(netip.Addr) bool
	// NewHandler makes a Handler. They are used for one batch after the other, by whichever connection has one.
	NewHandler func() Handler
	Log        *slog.Logger

	closing   time.Duration // how long a client has to end; 0: closeTimeout
	listener  *net.TCPListener
	inherited bool
	absent    bool // no interface had the address when it was opened
	handlers  sync.Pool
	buffers   sync.Pool

	received, bytes                             atomic.Uint64
	refused, failed, unwelcome, broken, outStep atomic.Uint64
	refusals, acceptErrors, handshakes, steps   seldom.Report
	relp                                        relpCounts

	// mu guards the fields below.
	mu       sync.Mutex
	conns    map[*connection]struct{}
	each     map[netip.Addr]int
	newest   int             // descriptor of the newest connection. Owned by Run
	asked    []chan struct{} // to be closed when the connections that wait are accepted
	lastFail string          // the last TLS handshake that failed: from where, and why
	ended    bool
}

// maxBacklog is how many connections the kernel lets wait, unless somebody has changed that.
const maxBacklog = 4096

// Listen opens the socket, or takes an open one.
func (s *Stream) Listen(ctx context.Context, address string, inherited *os.File) error {
	var l net.Listener
	var err error
	if inherited != nil {
		l, err = net.FileListener(inherited)
		err = errors.Join(err, inherited.Close())
	} else {
		l, s.absent, err = whereverItIs(func(config net.ListenConfig) (net.Listener, error) { return config.Listen(ctx, "tcp", address) })
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
	s.conns, s.each = make(map[*connection]struct{}), make(map[netip.Addr]int)
	s.handlers.New = func() any { return s.NewHandler() }
	s.buffers.New = func() any { b := make([]byte, 0, s.Size+frameSlack); return &b }
	warn := func(what string) func(int, error) {
		return func(n int, why error) { s.Log.Warn(what, "input", s.Name, "number", n, "the_last", why) }
	}
	s.refusals.Say = warn("connections refused")
	s.acceptErrors.Say = warn("connections cannot be accepted")
	s.handshakes.Say = warn("TLS handshakes failed")
	s.steps.Say = warn("a sender counts octets wrongly; the stream was found again, and messages next to the wrong one may be torn")
	s.relp.report.Say = warn("clients did not speak RELP, or not in time, and were disconnected")
	return nil
}

// Run accepts until ctx is done. Then each client is informed, and read for a moment more.
func (s *Stream) Run(ctx context.Context) {
	var clients sync.WaitGroup
	defer func() {
		for _, of := range []*seldom.Report{&s.refusals, &s.acceptErrors, &s.handshakes, &s.steps, &s.relp.report} {
			of.Stop()
		}
	}()
	defer clients.Wait()
	defer s.end()
	interrupt := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.listener.SetDeadline(time.Now())
		for c := range s.conns {
			c.wake()
		}
	}
	defer func() {
		s.listener.Close()
		interrupt() // ctx says that it is done a moment before it calls interrupt, and may then not call it any more
	}()
	defer context.AfterFunc(ctx, interrupt)()
	for ctx.Err() == nil {
		conn, err := s.listener.AcceptTCP()
		switch {
		case err == nil:
			s.take(ctx, conn, &clients)
			s.leaveSome(ctx)
		case ctx.Err() != nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.catchUp(ctx, &clients)
		default:
			s.failed.Add(1)
			s.acceptErrors.Note(err)
			select { // EMFILE and the like pass; a loop at full speed would not help
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	if !s.inherited { // closing the socket resets the connections that wait, and they may have been written to
		s.catchUp(ctx, &clients)
	}
}

// take reads a new connection, or refuses it.
func (s *Stream) take(ctx context.Context, conn *net.TCPConn, clients *sync.WaitGroup) {
	c, err := s.admit(ctx, conn)
	if err != nil {
		s.refuse(conn, err)
		return
	}
	clients.Go(func() {
		defer s.release(c)
		c.run(ctx)
	})
}

const (
	// spare is how many descriptors connections leave for the files and the commands of the process, or a quarter where it may have few.
	spare = 64
	// always is how many connections an input may have all the same: files that are open for long may use up the rest.
	always = 8
)

// crowded says whether the process has no more descriptors than those. The kernel gives out the lowest that is free, so that as long as the newest
// connection has a low one there is nothing to ask.
func (s *Stream) crowded() bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return false
	}
	most := int(limit.Cur - min(spare, limit.Cur/4))
	if s.newest < most {
		return false
	}
	s.mu.Lock()
	few := len(s.conns) < always
	s.mu.Unlock()
	if few {
		return false
	}
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err == unix.EMFILE
	}
	unix.Close(fd)
	return fd >= most
}

// leaveSome waits while the process is crowded: clients that are not accepted wait in the socket's queue, and a rotation or a command would fail.
func (s *Stream) leaveSome(ctx context.Context) {
	for ctx.Err() == nil && s.crowded() {
		s.acceptErrors.Note(errors.New("too many open files: the few that are left are for log files and commands"))
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
		s.mu.Lock()
		asked := s.asked
		s.asked = nil
		s.mu.Unlock()
		for _, passed := range asked {
			close(passed)
		}
	}
}

// closeTime is how long a client has to end.
func (s *Stream) closeTime() time.Duration { return cmp.Or(s.closing, closeTimeout) }

// end answers those who wait for the next accept.
func (s *Stream) end() {
	s.mu.Lock()
	asked := s.asked
	s.asked, s.ended = nil, true
	s.mu.Unlock()
	for _, passed := range asked {
		close(passed)
	}
}

// admit says whether a connection may stay.
func (s *Stream) admit(ctx context.Context, conn *net.TCPConn) (*connection, error) {
	peer, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return nil, errors.New("it has no address any more")
	}
	addr := peer.AddrPort().Addr().Unmap()
	if s.Allowed != nil && !s.Allowed(addr) {
		return nil, fmt.Errorf("%s may not send", addr)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.conns) >= s.Most:
		return nil, fmt.Errorf("%s: there are %d connections already, as many as may be (connections: most)", addr, s.Most)
	case s.each[addr] >= s.MostEach:
		return nil, fmt.Errorf("%s has %d connections already, as many as one address may have (connections: most_each)", addr, s.MostEach)
	}
	_ = raw.Control(func(fd uintptr) { s.newest = int(fd) }) // which fails once it is closed
	c := &connection{
		stream: s, conn: conn, raw: raw, addr: addr, from: NewSender(addr), framer: framer{size: s.Size}, left: math.MaxInt, ready: s.TLS == nil,
	}
	if s.RELP {
		c.speakRELP()
	}
	s.conns[c] = struct{}{}
	s.each[addr]++
	if ctx.Err() != nil {
		c.wake() // the others were woken already
	}
	return c, nil
}

// refuse closes a connection. The log hears of it now and then and not each time: whoever is not wanted must not fill it.
func (s *Stream) refuse(conn net.Conn, why error) {
	conn.Close()
	s.refused.Add(1)
	s.refusals.Note(why)
}

// handshakeFailed notes a client that did not get through its TLS handshake.
func (s *Stream) handshakeFailed(c *connection, err error) {
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("it ended the connection in the handshake")
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("it did not finish the handshake within %v", handshakeTime)
	case c.alert != 0 && !strings.HasPrefix(err.Error(), "remote error"):
		err = fmt.Errorf("it ended the handshake: %w", c.alert)
	}
	if config, configErr := current(s.TLS); configErr == nil {
		if invalid := validity(config, time.Now()); invalid != nil {
			err = fmt.Errorf("%w (%w)", err, invalid)
		}
	}
	err = fmt.Errorf("%s: %w", c.addr, err)
	s.unwelcome.Add(1)
	s.mu.Lock()
	s.lastFail = err.Error()
	s.mu.Unlock()
	s.handshakes.Note(err)
}

// Review ends the connections from addresses that Allowed does not have any more.
func (s *Stream) Review() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if s.Allowed != nil && !s.Allowed(c.addr) {
			c.ban()
		}
	}
}

func (s *Stream) release(c *connection) {
	c.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.each[c.addr]--; s.each[c.addr] == 0 {
		delete(s.each, c.addr)
	}
}

// Barrier returns when every byte is with the Handlers that had arrived at the time of the call, from clients whose connection was made
// by then, be it accepted or not; or when ctx is done. A client in a TLS handshake is not waited for, and neither is a message of which
// only the beginning had arrived.
func (s *Stream) Barrier(ctx context.Context) error {
	accepted := make(chan struct{})
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return nil
	}
	s.asked = append(s.asked, accepted)
	s.listener.SetDeadline(time.Now())
	s.mu.Unlock()
	waiting := []chan struct{}{accepted}
	for first := true; len(waiting) > 0; first = false {
		for _, passed := range waiting {
			select {
			case <-passed:
			case <-ctx.Done():
				return fmt.Errorf("%s: %w", s.Name, ctx.Err())
			}
		}
		waiting = nil
		if first {
			waiting = s.ask()
		}
	}
	return nil
}

// ask asks all connections that have something on the way.
func (s *Stream) ask() (waiting []chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if passed := c.ask(); passed != nil {
			waiting = append(waiting, passed)
		}
	}
	return waiting
}

// catchUp accepts the connections that wait by now, and then tells those who asked for that.
func (s *Stream) catchUp(ctx context.Context, clients *sync.WaitGroup) {
	s.mu.Lock()
	asked := s.asked
	s.asked = nil
	s.listener.SetDeadline(time.Time{})
	s.mu.Unlock()
	raw, err := s.listener.SyscallConn()
	for range maxBacklog {
		fd := -1
		if err == nil && !s.crowded() {
			err = raw.Control(func(l uintptr) {
				fd, _, _ = unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) // of an error the next ordinary accept tells
			})
		}
		if fd < 0 {
			break
		}
		if conn := s.connOf(ctx, fd); conn != nil {
			s.take(ctx, conn, clients)
		}
	}
	for _, passed := range asked {
		close(passed)
	}
}

// connOf makes a connection of an accepted descriptor. It needs a second one for a moment, and waits for that rather than lose a client; it gives nil for one
// that has gone meanwhile.
func (s *Stream) connOf(ctx context.Context, fd int) *net.TCPConn {
	file := os.NewFile(uintptr(fd), s.Name)
	defer file.Close()
	for {
		conn, err := net.FileConn(file)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			_ = tcp.SetKeepAlive(true) // as an ordinary accept does
			return tcp
		}
		if ctx.Err() != nil || !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
			return nil
		}
		s.failed.Add(1)
		s.acceptErrors.Note(err)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Counts returns the counters. The kernel drops nothing of a TCP connection.
func (s *Stream) Counts() Counts {
	s.mu.Lock()
	n, last := len(s.conns), s.lastFail
	s.mu.Unlock()
	lastBad := ""
	if text := s.relp.lastBad.Load(); text != nil {
		lastBad = *text
	}
	return Counts{
		Acknowledged: s.relp.acknowledged.Load(), Unacknowledged: s.relp.unacknowledged.Load(), BadFrames: s.relp.badFrames.Load(), LastBadFrame: lastBad,
		Received: s.received.Load(), Bytes: s.bytes.Load(), ReceiveErrors: s.failed.Load() + s.broken.Load() + s.unwelcome.Load(), Refused: s.refused.Load(), Connections: n,
		Broken: s.broken.Load(), HandshakesFailed: s.unwelcome.Load(), LastHandshake: last, OutOfStep: s.outStep.Load(),
	}
}

// Describe tells what this is.
func (s *Stream) Describe() Description {
	return Description{Name: s.Name, Address: s.listener.Addr().String(), Inherited: s.inherited, Absent: s.absent}
}

// Give hands the listening socket's descriptor to somebody who keeps it when we go.
func (s *Stream) Give(to func(nth, fd int) error) error {
	raw, err := s.listener.SyscallConn()
	if err != nil {
		return err
	}
	var giveErr error
	err = raw.Control(func(fd uintptr) { giveErr = to(0, int(fd)) })
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
