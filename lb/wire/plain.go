package wire

import (
	"syscall"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/loop"
)

// recv reads from the socket. A short read means that the socket is empty,
// which saves the call that would say so; not after the peer's end, which is
// still to be read.
func (c *Conn) recv(b []byte) (int, Status) {
	switch {
	case c.eof:
		return 0, EOF
	case !c.readable || len(b) == 0:
		return 0, Again
	}
	n, errno := loop.Read(c.fd, b)
	return c.Received(n, len(b), errno)
}

// Received notes what became of a receive into room bytes, of at least one. It is for Read, and for receives that the loop made (loop.Calls).
func (c *Conn) Received(n, room int, errno syscall.Errno) (int, Status) {
	switch {
	case errno == syscall.EAGAIN:
		c.readable = false
		return 0, Again
	case errno != 0:
		c.broken = true
		return 0, Error
	case n == 0:
		c.eof, c.readable = true, false
		return 0, EOF
	}
	if n < room && !c.ended {
		c.readable = false
	}
	return n, OK
}

// send gives the socket what it takes of b.
func (c *Conn) send(b []byte) (int, Status) {
	if !c.writable {
		return 0, Again
	}
	n, errno := loop.Write(c.fd, b)
	return c.Sent(n, len(b), errno)
}

func (c *Conn) send2(a, b []byte) (int, Status) {
	if !c.writable {
		return 0, Again
	}
	n, errno := loop.Write2(c.fd, a, b)
	return c.Sent(n, len(a)+len(b), errno)
}

// Sent notes what became of a send of want bytes. It is for Write, and for sends that the loop made (loop.Calls).
func (c *Conn) Sent(n, want int, errno syscall.Errno) (int, Status) {
	switch {
	case errno == syscall.EAGAIN:
		c.writable = false
		return 0, Again
	case errno != 0:
		c.broken = true
		return 0, Error
	}
	if n < want {
		c.writable = false
	}
	return n, OK
}

// Connected asks whether a connection that is being made stands: 0, the reason
// why it does not, or EINPROGRESS.
func (c *Conn) Connected() syscall.Errno {
	if c.kind == Streamed {
		return 0
	}
	if c.broken {
		if errno := loop.SocketError(c.fd); errno != 0 {
			return errno
		}
		// Accepted and closed at once by the server: reading will say so.
	}
	if !c.writable {
		return syscall.EINPROGRESS
	}
	return 0
}

// Probe asks the socket itself, when there is nothing to send that would tell.
func (c *Conn) Probe() syscall.Errno {
	var sa unix.RawSockaddrAny
	errno := loop.PeerName(c.fd, &sa)
	if errno == syscall.ENOTCONN {
		c.writable = false
		return syscall.EINPROGRESS
	}
	return errno
}

// SocketError takes the socket's pending error.
func (c *Conn) SocketError() syscall.Errno { return loop.SocketError(c.fd) }
