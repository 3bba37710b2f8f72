package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/rule"
)

// TLS is how a listener terminates TLS.
type TLS struct {
	Config *tls.Config
	// VersionName and CipherName give OpenSSL's names for the log.
	VersionName func(uint16) string
	CipherName  func(uint16) string
}

// tlsConn runs crypto/tls over a session's socket. The handshake runs on a
// goroutine of its own, where Read waits; from then on the loop drives it:
// Read returns errAgain when the socket is empty (crypto/tls keeps its state
// over a temporary net.Error) and Write only fills out.
type tlsConn struct {
	conn *tls.Conn
	s    *session
	out  []byte // encrypted, unsent

	// Only during the handshake.
	wake     chan struct{}
	deadline time.Time
	blocking bool

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

// handshake starts the handshake's goroutine.
func (s *session) handshake() {
	t := &tlsConn{s: s, wake: make(chan struct{}, 1), blocking: true}
	timeout := s.fe.Timeouts.Client
	if r := s.fe.Timeouts.Request; r > 0 && (timeout == 0 || r < timeout) {
		timeout = r
	}
	if timeout == 0 {
		timeout = defaultHandshake
	}
	t.deadline = time.Now().Add(msec(timeout))
	t.conn = tls.Server(t, s.ln.TLS.Config)
	s.tls, s.state = t, handshaking
	s.watch()
	sh := s.sh
	go func() {
		err := t.conn.Handshake()
		if !sh.Loop.Post(func() { s.handshaken(err) }) {
			loop.CloseRaw(s.fd)
		}
	}()
}

// defaultHandshake bounds a handshake where no timeout is set, ms.
const defaultHandshake = 10_000

// handshaken goes on after the handshake, on the loop.
func (s *session) handshaken(err error) {
	sh := s.sh
	t := s.tls
	t.blocking = false
	s.canRead, s.canWrite = true, true
	if err != nil {
		c := &sh.Front[s.fe.Index]
		c.ErrReq++
		c.SSLFailed++
		sh.logEmbryonic(s, "SSL handshake failure")
		s.close()
		return
	}
	cs := t.conn.ConnectionState()
	t.version, t.cipher = s.ln.TLS.VersionName(cs.Version), s.ln.TLS.CipherName(cs.CipherSuite)
	t.sni, t.alpn, t.resumed = cs.ServerName, cs.NegotiatedProtocol, cs.DidResume
	c := &sh.Front[s.fe.Index]
	c.SSLSessions++
	if cs.DidResume {
		c.SSLReused++
	}
	s.hsTime = int32(sh.Loop.Now() - s.since)
	s.act = sh.Loop.Now()
	s.state = reading
	if !s.opened() {
		return
	}
	switch {
	case !s.fe.HTTP:
		s.startTunnel()
	case t.alpn == "h2":
		s.startMux()
	}
	s.run()
}

// poke tells the handshake that the socket may be ready.
func (t *tlsConn) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

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
	for {
		if t.blocking {
			n, err := t.readBlocking(b)
			if err != errAgain {
				return n, err
			}
			continue
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
}

// readBlocking reads during the handshake. The endpoint's flags belong to the
// loop, so the socket itself is asked.
func (t *tlsConn) readBlocking(b []byte) (int, error) {
	n, errno := loop.Read(t.s.fd, b)
	switch {
	case errno == 0 && n == 0:
		return 0, io.EOF
	case errno == 0:
		return n, nil
	case !errno.Temporary():
		return 0, errno
	}
	return 0, t.wait()
}

// wait waits for the loop to report readiness, within the handshake's time.
func (t *tlsConn) wait() error {
	timer := time.NewTimer(time.Until(t.deadline))
	defer timer.Stop()
	select {
	case <-t.wake:
		return errAgain
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

// Write implements net.Conn for crypto/tls.
func (t *tlsConn) Write(b []byte) (int, error) {
	if !t.blocking {
		t.out = append(t.out, b...)
		return len(b), nil
	}
	sent := 0
	for sent < len(b) {
		n, errno := loop.Write(t.s.fd, b[sent:])
		switch {
		case errno == 0:
			sent += n
		case !errno.Temporary():
			return sent, errno
		default:
			if err := t.wait(); err != errAgain {
				return sent, err
			}
		}
	}
	return sent, nil
}

// Close implements net.Conn; the session owns the socket.
func (t *tlsConn) Close() error { return nil }

// LocalAddr and RemoteAddr implement net.Conn.
func (t *tlsConn) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn.
func (t *tlsConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(t.s.peer) }

// SetDeadline implements net.Conn; deadlines are the session's timers.
func (t *tlsConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (t *tlsConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (t *tlsConn) SetWriteDeadline(time.Time) error { return nil }
