package wire

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// pipe is what crypto/tls has for a socket: during the handshake one that
// waits, afterwards, if the connection stays with crypto/tls, one that does not.
type pipe struct {
	hs     *Handshake
	lib    *library
	ticket []byte // a record for crypto/tls to take a session ticket from
	peer   net.Addr
}

// Read implements net.Conn.
func (p *pipe) Read(b []byte) (int, error) {
	if p.hs != nil {
		return p.hs.read(b)
	}
	if p.lib == nil {
		n := copy(b, p.ticket)
		if p.ticket = p.ticket[n:]; n == 0 {
			return 0, errAgain
		}
		return n, nil
	}
	return p.lib.readSealed(b)
}

// Write implements net.Conn.
func (p *pipe) Write(b []byte) (int, error) {
	if p.hs != nil {
		return p.hs.write(b)
	}
	if p.lib != nil { // else it would be an alert, of which our record layer has its own
		p.lib.out = append(p.lib.out, b...)
	}
	return len(b), nil
}

// Close implements net.Conn; the Conn owns the socket.
func (p *pipe) Close() error { return nil }

// LocalAddr implements net.Conn.
func (p *pipe) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn: a client's sessions are kept by its server's
// address.
func (p *pipe) RemoteAddr() net.Addr {
	return p.peer
}

// SetDeadline implements net.Conn; whoever drives the connection has timers.
func (p *pipe) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (p *pipe) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// library drives crypto/tls after its handshake, for suites that lb/tlsrecord
// leaves to it: a read of the pipe gives errAgain when the socket is empty, over
// which crypto/tls keeps its state, and a write only fills out.
type library struct {
	conn     *tls.Conn
	c        *Conn
	ahead    []byte // came with the handshake's last record, unread
	out      []byte // encrypted, unsent
	notified bool
}

// maxOut is how many encrypted bytes may wait for the peer before more plain
// ones are taken.
const maxOut = 64 << 10

// again is the temporary error that crypto/tls survives.
type again struct{}

func (again) Error() string   { return "nothing to read now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

var errAgain net.Error = again{}

// readSealed gives crypto/tls what has come.
func (l *library) readSealed(b []byte) (int, error) {
	if len(l.ahead) > 0 {
		n := copy(b, l.ahead)
		if l.ahead = l.ahead[n:]; len(l.ahead) == 0 {
			l.ahead = nil
		}
		return n, nil
	}
	n, st := l.c.recv(b)
	switch st {
	case OK:
		return n, nil
	case Again:
		return 0, errAgain
	case EOF:
		return 0, io.EOF
	}
	return 0, net.ErrClosed
}

// read decrypts into b.
func (l *library) read(c *Conn, b []byte) (int, Status) {
	if len(b) == 0 {
		return 0, Again
	}
	n, err := l.conn.Read(b)
	switch {
	case n > 0:
		return n, OK
	case err == nil, errors.Is(err, errAgain):
		return 0, Again
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && c.eof:
		c.eof = true
		return 0, EOF
	}
	l.flush(c) // the alert
	c.broken = true
	return 0, Error
}

// write encrypts b, unless too much is waiting already.
func (l *library) write(c *Conn, b []byte) (int, Status) {
	if len(l.out) > 0 && !l.flush(c) {
		return 0, Error
	}
	if len(l.out) >= maxOut {
		return 0, Again
	}
	n, err := l.conn.Write(b)
	if err != nil || !l.flush(c) {
		c.broken = true
		return 0, Error
	}
	return n, OK
}

// flush sends what it can of out; false when the connection is gone.
func (l *library) flush(c *Conn) bool {
	for len(l.out) > 0 {
		n, st := c.send(l.out)
		switch st {
		case Again:
			return true
		case Error:
			return false
		}
		l.out = l.out[n:]
	}
	l.out = nil
	c.tls.putOut(c)
	return true
}

// closeNotify says that we send nothing more.
func (l *library) closeNotify(c *Conn) {
	if !l.notified {
		l.notified = true
		_ = l.conn.CloseWrite()
		l.flush(c)
	}
}
