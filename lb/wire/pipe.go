package wire

import (
	"syscall"

	"lbsyslogd/lb/loop"
)

// FillPipe moves up to n bytes, of a connection of kind Plain, into an empty pipe; Again also of a system that cannot (Pipe.Unable).
func (c *Conn) FillPipe(p *loop.Pipe, n int) (int, Status) {
	switch {
	case c.eof:
		return 0, EOF
	case !c.readable:
		return 0, Again
	}
	n, errno := p.Fill(c.fd, n)
	switch {
	case errno == syscall.EAGAIN:
		c.readable = false
		return 0, Again
	case p.Unable():
		return 0, Again
	case errno != 0:
		c.broken = true
		return 0, Error
	case n == 0:
		c.eof, c.readable = true, false
		return 0, EOF
	}
	return n, OK // a pipe has places for a number of segments: a short move says nothing of the socket
}

// DrainPipe sends what the peer takes of a pipe, over a connection of kind Plain.
func (c *Conn) DrainPipe(p *loop.Pipe) (int, Status) {
	if !c.writable {
		return 0, Again
	}
	want := p.Len()
	n, errno := p.Drain(c.fd)
	return c.Sent(n, want, errno)
}
