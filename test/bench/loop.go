package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// loop is a cheap load: clients, server and syslog receiver on one epoll instance and one thread, with bare system calls. Each part is there only if the
// case wants it. All fields but the last ones are owned by the goroutine of work.
type loop struct {
	c       benchCase
	clients bool
	epoll   int
	listen  int // the server's listener
	syslog  int // the receiver's socket, -1 without logs
	request []byte
	answer  []byte
	buf     []byte
	peers   []*peer // by file descriptor
	events  [256]unix.EpollEvent
	target  unix.SockaddrInet4
	open    int   // client connections
	pace    *pace // nil: an answer is followed by the next request
	recv    receiver

	gate   gate
	served atomic.Int64 // answers that clients have read in whole, or, without clients, requests that the server has
	lines  atomic.Int64 // log messages received
}

// peer is one connection.
type peer struct {
	client  bool
	waiting bool   // client: for the connection to be made
	left    int    // client: body bytes to come, -1 while the head is; server: answer bytes to send
	done    bool   // client: answered, waiting for the other end to close
	asked   bool   // client: an answer is to come
	last    bool   // client with a pace: the answer says that the connection ends
	due     int64  // client with a pace: when its request was to be sent; 0: it has none
	head    []byte // an incomplete head
}

const readSize = 64 << 10

// newLoop makes the loop of a case, as yet without clients.
func newLoop(c benchCase) (*loop, error) {
	l := &loop{c: c, listen: -1, syslog: -1, epoll: -1, buf: make([]byte, readSize)}
	l.answer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", c.size)
	l.answer = append(l.answer, bytes.Repeat([]byte("x"), c.size)...)
	closing := ""
	if c.perConn {
		closing = "Connection: close\r\n"
	}
	l.request = []byte("GET /200 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: bench\r\nAccept: */*\r\n" + closing + "\r\n")

	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if l.listen, err = bound(unix.SOCK_STREAM); err == nil {
		err = unix.Listen(l.listen, 4096)
	}
	if err == nil {
		err = l.watch(l.listen, unix.EPOLLIN)
	}
	if err == nil && c.log {
		if l.syslog, err = bound(unix.SOCK_DGRAM); err == nil {
			// Without privilege the kernel grants what rmem_max allows, which is enough for the turns the receiver is left alone.
			if unix.SetsockoptInt(l.syslog, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20) != nil {
				err = unix.SetsockoptInt(l.syslog, unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<20)
			}
			l.recv.init()
		}
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// bound returns a non-blocking socket on a free port of 127.0.0.1.
func bound(kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (l *loop) close() {
	for fd, p := range l.peers {
		if p != nil {
			l.drop(fd)
		}
	}
	for _, fd := range []int{l.epoll, l.listen, l.syslog} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (l *loop) backendAddr() string { return nameOf(l.listen) }
func (l *loop) logAddr() string     { return nameOf(l.syslog) }

func nameOf(fd int) string {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return err.Error()
	}
	a := sa.(*unix.SockaddrInet4)
	return net.JoinHostPort(net.IP(a.Addr[:]).String(), strconv.Itoa(a.Port))
}

// pinned keeps the goroutine on a core until the function that it returns is called.
func pinned(core int) (release func(), err error) {
	runtime.LockOSThread() // until the core is given back
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("run on core %d: %w", core, err)
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
	}, nil
}

// aim gives the loop clients, of addr. It must be paused.
func (l *loop) aim(addr *net.TCPAddr) {
	l.clients = true
	l.target.Port = addr.Port
	copy(l.target.Addr[:], addr.IP.To4())
}

// start lets the loop work on a core, at first as if paused.
func (l *loop) start(core int) {
	l.gate.start(1, func() error {
		release, err := pinned(core)
		if err != nil {
			return err
		}
		defer release()
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		return l.work()
	})
}

func (l *loop) resume() error                        { return l.gate.resume() }
func (l *loop) pause() error                         { return l.gate.pause() }
func (l *loop) count(context.Context) (int64, error) { return l.served.Load(), nil }

func (l *loop) work() error {
	for turn := 0; ; turn++ {
		if !l.gate.pass() {
			return nil
		}
		if err := l.connectAll(); err != nil {
			return err
		}
		if err := l.turn(); err != nil {
			return err
		}
		if l.syslog >= 0 && turn%16 == 0 {
			l.lines.Add(int64(l.recv.drain(l.syslog)))
		}
	}
}

// turn waits for events and handles them.
func (l *loop) turn() error {
	n, err := l.wait()
	if err != nil && err != unix.EINTR {
		return err
	}
	for _, e := range l.events[:max(n, 0)] {
		if err := l.handle(int(e.Fd), e.Events); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) watch(fd int, events uint32) error {
	for fd >= len(l.peers) {
		l.peers = append(l.peers, nil)
	}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// connectAll makes up the number of clients.
func (l *loop) connectAll() error {
	for l.clients && l.open < l.c.conns {
		if err := l.connect(); err != nil {
			return err
		}
	}
	return nil
}

// connect begins a client connection.
func (l *loop) connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Connect(fd, &l.target); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	if err := l.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET); err != nil {
		return err
	}
	l.peers[fd] = &peer{client: true, waiting: true, left: -1}
	l.open++
	return nil
}

func (l *loop) drop(fd int) {
	if l.peers[fd].client {
		l.open--
	}
	l.peers[fd] = nil
	unix.Close(fd)
}

func (l *loop) handle(fd int, events uint32) error {
	if fd == l.listen {
		return l.accept()
	}
	p := l.peers[fd]
	switch {
	case p == nil:
		return nil // dropped earlier in this turn
	case p.client:
		return l.client(fd, p, events)
	}
	return l.server(fd, p, events)
}

func (l *loop) accept() error {
	fd, _, err := unix.Accept4(l.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err == unix.EAGAIN {
		return nil
	}
	if err != nil {
		return err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := l.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET); err != nil {
		return err
	}
	l.peers[fd] = &peer{}
	return nil
}

// server reads requests, which have no bodies, and answers each.
func (l *loop) server(fd int, p *peer, events uint32) error {
	for p.left == 0 {
		n, err := read(fd, l.buf)
		if err == unix.EAGAIN {
			return nil
		}
		if n <= 0 {
			l.drop(fd)
			return nil
		}
		in := l.buf[:n]
		if len(p.head) > 0 || !bytes.HasSuffix(in, []byte("\r\n\r\n")) {
			p.head = append(p.head, in...)
			if !bytes.HasSuffix(p.head, []byte("\r\n\r\n")) {
				continue
			}
			p.head = p.head[:0]
		}
		if !l.clients {
			l.served.Add(1)
		}
		p.left = len(l.answer)
		if !l.send(fd, p) {
			return nil
		}
		if n < len(l.buf) {
			return nil // a short read means empty: the next request makes an event of its own
		}
	}
	if events&unix.EPOLLOUT != 0 {
		l.send(fd, p)
	}
	return nil
}

// send writes what is left of the answer and reports whether that was all.
func (l *loop) send(fd int, p *peer) bool {
	for p.left > 0 {
		n, err := write(fd, l.answer[len(l.answer)-p.left:])
		if err == unix.EAGAIN {
			return false
		}
		if err != nil {
			l.drop(fd)
			return false
		}
		p.left -= n
	}
	return true
}

var (
	errCut    = errors.New("a client's connection ended before its answer did")
	errAnswer = errors.New("an answer is not a 200 with a content-length")
)

func (l *loop) client(fd int, p *peer, events uint32) error {
	if p.waiting {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			if l.pace != nil {
				l.lost(fd, p)
				return nil
			}
			code, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			return fmt.Errorf("connect: %w", unix.Errno(code))
		}
		p.waiting = false
		if l.pace != nil {
			return l.ready(fd, p)
		}
		return l.ask(fd, p)
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return nil
	}
	for {
		n, err := read(fd, l.buf)
		if err == unix.EAGAIN {
			return nil
		}
		if n <= 0 {
			if l.pace != nil {
				l.lost(fd, p)
				return nil
			}
			if !p.done {
				return errCut
			}
			l.drop(fd)
			return l.connect()
		}
		whole, err := l.take(p, l.buf[:n])
		if err != nil && l.pace != nil {
			l.lost(fd, p)
			return nil
		}
		if err != nil {
			return err
		}
		if whole {
			l.served.Add(1)
			p.asked = false
			if l.c.perConn {
				p.done = true
				continue
			}
			if l.pace != nil {
				l.pace.answered(p)
				if p.last {
					l.drop(fd)
					return nil
				}
				return l.ready(fd, p)
			}
			return l.ask(fd, p)
		}
		if n < len(l.buf) {
			return nil
		}
	}
}

func (l *loop) ask(fd int, p *peer) error {
	p.asked = true
	if n, err := write(fd, l.request); n != len(l.request) {
		return fmt.Errorf("write a request: %d of %d bytes: %w", n, len(l.request), err)
	}
	return nil
}

// take uses what a client has read, and reports whether the answer is complete.
func (l *loop) take(p *peer, in []byte) (bool, error) {
	if p.left < 0 {
		if len(p.head) > 0 {
			p.head = append(p.head, in...)
			in = p.head
		}
		end := bytes.Index(in, []byte("\r\n\r\n"))
		if end < 0 {
			if len(p.head) == 0 {
				p.head = append(p.head, in...)
			}
			return false, nil
		}
		p.head = p.head[:0]
		n := contentLength(in[:end+2])
		if n != l.c.size {
			return false, fmt.Errorf("%w: %q", errAnswer, in[:end])
		}
		p.left = n
		p.last = l.pace != nil && bytes.Contains(in[:end], []byte("onnection: close"))
		in = in[end+4:]
	}
	p.left -= len(in)
	if p.left < 0 {
		return false, fmt.Errorf("%w: %d bytes too many", errAnswer, -p.left)
	}
	if p.left > 0 {
		return false, nil
	}
	p.left = -1
	return true, nil
}

// contentLength returns what the head of a 200 says, or -1.
func contentLength(head []byte) int {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		return -1
	}
	const name = "content-length: "
	for len(head) > 0 {
		line := head
		i := bytes.IndexByte(head, '\n')
		if i < 0 {
			return -1
		}
		line, head = head[:i], head[i+1:]
		if len(line) > len(name) && line[0]|0x20 == 'c' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			n := 0
			for _, d := range bytes.TrimRight(line[len(name):], "\r ") {
				n = n*10 + int(d-'0')
			}
			return n
		}
	}
	return -1
}
