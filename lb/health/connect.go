package health

import (
	"context"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A check that only connects never completes the connection if it can be
// helped: the acknowledgement that would complete it is held back
// (TCP_QUICKACK off) and a reset goes out in its place, as HAProxy does. The
// server has nothing to accept, and neither side keeps the connection in
// TIME_WAIT.

// plain reports whether the check is nothing but a connection to an address
// that needs no lookup.
func (s *Spec) plain() bool {
	return !s.Agent && !s.Secure && s.ProxyHeader == 0 && len(s.Script.Steps) == 0 && s.target != nil
}

// sockaddr is the kernel's form of the address; nil for a name.
func (s *Spec) sockaddr() unix.Sockaddr {
	if s.Network == "unix" {
		return &unix.SockaddrUnix{Name: s.Address}
	}
	ap, err := netip.ParseAddrPort(s.Address)
	if err != nil || ap.Addr().Zone() != "" {
		return nil
	}
	if a := ap.Addr().Unmap(); a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// connecting is a connection under way.
type connecting struct {
	fd    int
	limit time.Time
}

// begin begins to connect. done is true when the outcome is known at once.
func (s *Spec) begin() (c connecting, r result, done bool) {
	limit := positive(s.Inter, 2*time.Second)
	if s.Check > 0 && s.Connect > 0 {
		limit = min(s.Connect, limit)
	}
	family := unix.AF_INET
	sa := s.target
	switch sa.(type) {
	case *unix.SockaddrInet6:
		family = unix.AF_INET6
	case *unix.SockaddrUnix:
		family = unix.AF_UNIX
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return c, connectResult(err), true
	}
	if family != unix.AF_UNIX {
		// What cannot be set costs the server an accept, no more.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	c = connecting{fd: fd, limit: time.Now().Add(limit)}
	switch err = unix.Connect(fd, sa); err {
	case nil:
	case unix.EINPROGRESS:
		if !c.ready() {
			return c, r, false
		}
		err = c.outcome()
	case unix.EAGAIN: // a unix socket whose queue is full
		err = unix.ECONNREFUSED
	}
	unix.Close(fd)
	return c, connected(err), true
}

// ready reports whether the outcome is known, without waiting: to a server of
// this machine it always is.
func (c *connecting) ready() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}, 0)
	return err == nil && n > 0
}

func (c *connecting) outcome() error {
	errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

func connected(err error) result {
	if err != nil {
		return connectResult(err)
	}
	return result{status: L4OK}
}

// wait waits for the outcome.
func (c *connecting) wait(ctx context.Context) result {
	f := os.NewFile(uintptr(c.fd), "check")
	defer f.Close()
	f.SetWriteDeadline(c.limit)
	stop := context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return connectResult(err)
	}
	var outcome error
	err = raw.Write(func(uintptr) bool {
		if !c.ready() {
			return false
		}
		outcome = c.outcome()
		return true
	})
	if err != nil {
		return connectResult(err)
	}
	return connected(outcome)
}
