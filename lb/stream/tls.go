package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"lbsyslogd/lb/rule"
)

// TLS is how a listener terminates TLS.
type TLS struct {
	Config *tls.Config
	// VersionName and CipherName give OpenSSL's names for the log.
	VersionName func(uint16) string
	CipherName  func(uint16) string
}

// tlsConn runs crypto/tls over a session's socket: the handshake on a goroutine
// of its own (handshake.go), and from then on the loop drives it. Read returns
// errAgain when the socket is empty (crypto/tls keeps its state over a temporary
// net.Error) and Write only fills out.
type tlsConn struct {
	conn  *tls.Conn
	s     *session
	hs    *handshake // while it runs
	ahead []byte     // came with the handshake's last record, unread
	out   []byte     // encrypted, unsent

	version, cipher string
	sni, alpn       string
	resumed         bool
	notified        bool
}

// maxOut is how many encrypted bytes may wait for the client before more
// plain ones are taken.
const maxOut = 64 << 10

// again is the temporary error that crypto/tls survives.
type again struct{}

func (again) Error() string   { return "nothing to read now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

var errAgain net.Error = again{}

func (t *tlsConn) describe(r *rule.Record) {
	r.TLSVer, r.Cipher, r.SNI, r.ALPN, r.Resumed = t.version, t.cipher, t.sni, t.alpn, t.resumed
}

// read decrypts into b.
func (t *tlsConn) read(b []byte) (int, ioStatus) {
	if len(b) == 0 {
		return 0, ioAgain
	}
	n, err := t.conn.Read(b)
	switch {
	case n > 0:
		return n, ioOK
	case err == nil, errors.Is(err, errAgain):
		return 0, ioAgain
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && t.s.endpoint.eof:
		t.s.eof = true
		return 0, ioEOF
	}
	t.s.broken = true
	return 0, ioError
}

// write encrypts b, unless too much is waiting already.
func (t *tlsConn) write(b []byte) (int, ioStatus) {
	if len(t.out) > 0 && !t.flush() {
		return 0, ioError
	}
	if len(t.out) >= maxOut {
		return 0, ioAgain
	}
	n, err := t.conn.Write(b)
	if err != nil || !t.flush() {
		t.s.broken = true
		return 0, ioError
	}
	if len(t.out) > 0 {
		t.s.watch()
	}
	return n, ioOK
}

// flush sends what it can of out; false when the connection is gone.
func (t *tlsConn) flush() bool {
	for len(t.out) > 0 {
		n, st := t.s.endpoint.write(t.out)
		switch st {
		case ioAgain:
			return true
		case ioError:
			return false
		}
		t.out = t.out[n:]
	}
	t.out = nil
	return true
}

// pending reports whether encrypted bytes wait for the client.
func (t *tlsConn) pending() bool { return len(t.out) > 0 }

// closeNotify says that we send nothing more.
func (t *tlsConn) closeNotify() {
	if !t.notified && !t.s.broken {
		t.notified = true
		_ = t.conn.CloseWrite()
		t.flush()
	}
}

// Read implements net.Conn for crypto/tls.
func (t *tlsConn) Read(b []byte) (int, error) {
	if t.hs != nil {
		return t.hs.read(b)
	}
	if len(t.ahead) > 0 {
		n := copy(b, t.ahead)
		if t.ahead = t.ahead[n:]; len(t.ahead) == 0 {
			t.ahead = nil
		}
		return n, nil
	}
	n, st := t.s.endpoint.read(b)
	switch st {
	case ioOK:
		return n, nil
	case ioAgain:
		return 0, errAgain
	case ioEOF:
		return 0, io.EOF
	}
	return 0, net.ErrClosed
}

// Write implements net.Conn for crypto/tls.
func (t *tlsConn) Write(b []byte) (int, error) {
	if t.hs != nil {
		return t.hs.write(b)
	}
	t.out = append(t.out, b...)
	return len(b), nil
}

// Close implements net.Conn; the session owns the socket.
func (t *tlsConn) Close() error { return nil }

// LocalAddr and RemoteAddr implement net.Conn.
func (t *tlsConn) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn.
func (t *tlsConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(t.s.peer) }

// SetDeadline implements net.Conn; whoever drives the connection has timers.
func (t *tlsConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (t *tlsConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (t *tlsConn) SetWriteDeadline(time.Time) error { return nil }
