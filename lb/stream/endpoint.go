package stream

import (
	"syscall"

	"lbsyslogd/lb/loop"
)

// ioStatus is what became of a read or a write.
type ioStatus uint8

const (
	ioOK    ioStatus = iota
	ioAgain          // nothing now; readiness will tell
	ioEOF            // the peer has ended its stream
	ioError          // the connection is gone
)

// endpoint is one non-blocking socket with what the last events and calls
// said of it. Readiness is edge-triggered: a flag stays until a call proves
// it wrong.
type endpoint struct {
	fd       int
	watched  bool // registered with epoll
	canRead  bool
	canWrite bool
	rdhup    bool // the peer has sent its end; bytes may still be unread
	broken   bool // reset or fully closed
	eof      bool // its end has been read
	shut     bool // our end has been sent
}

// note takes events over.
func (e *endpoint) note(ev loop.Events) {
	if ev&(loop.In|loop.RdHup|loop.Hup|loop.Err) != 0 {
		e.canRead = true
	}
	if ev&(loop.Out|loop.Hup|loop.Err) != 0 {
		e.canWrite = true
	}
	if ev&(loop.RdHup|loop.Hup) != 0 {
		e.rdhup = true
	}
	if ev&(loop.Hup|loop.Err) != 0 {
		e.broken = true
	}
}

// read fills b. A short read means that the socket is empty, which saves the
// call that would say so; not after the peer's end, which is still to be read.
func (e *endpoint) read(b []byte) (int, ioStatus) {
	switch {
	case e.eof:
		return 0, ioEOF
	case !e.canRead || len(b) == 0:
		return 0, ioAgain
	}
	n, errno := loop.Read(e.fd, b)
	switch {
	case errno == syscall.EAGAIN:
		e.canRead = false
		return 0, ioAgain
	case errno != 0:
		e.broken = true
		return 0, ioError
	case n == 0:
		e.eof, e.canRead = true, false
		return 0, ioEOF
	}
	if n < len(b) && !e.rdhup {
		e.canRead = false
	}
	return n, ioOK
}

// write sends what it can of b.
func (e *endpoint) write(b []byte) (int, ioStatus) {
	if !e.canWrite {
		return 0, ioAgain
	}
	n, errno := loop.Write(e.fd, b)
	return e.wrote(n, len(b), errno)
}

// write2 sends what it can of a, then b; neither may be empty.
func (e *endpoint) write2(a, b []byte) (int, ioStatus) {
	if !e.canWrite {
		return 0, ioAgain
	}
	n, errno := loop.Write2(e.fd, a, b)
	return e.wrote(n, len(a)+len(b), errno)
}

func (e *endpoint) wrote(n, want int, errno syscall.Errno) (int, ioStatus) {
	switch {
	case errno == syscall.EAGAIN:
		e.canWrite = false
		return 0, ioAgain
	case errno != 0:
		e.broken = true
		return 0, ioError
	}
	if n < want {
		e.canWrite = false
	}
	return n, ioOK
}

// shutdown sends our end, once.
func (e *endpoint) shutdown() {
	if !e.shut {
		e.shut = true
		loop.ShutdownWrite(e.fd)
	}
}
