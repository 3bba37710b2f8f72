package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/loop"
	"lbsyslogd/syslogd/message"
)

// How a client's TLS handshake runs:
//
//  1. The loop reads until the first record is there. A client that says
//     nothing costs no goroutine, and one that leaves before is told apart from
//     one whose handshake failed.
//  2. A goroutine runs crypto/tls. It computes only while it holds one of the
//     gate's places, of which there are as many as cores, so that a flood of
//     hellos does not starve the requests of everybody else; while it waits for
//     the client it holds none.
//  3. The loop takes the result.

// handshake is a client's TLS handshake. While the goroutine runs it owns all
// fields but fd, gate and wake; before and after it, the loop does.
type handshake struct {
	fd   int
	gate *gate
	wake chan struct{} // the socket may be ready

	in   []byte // read from the socket, not given to crypto/tls
	left int    // of the record that crypto/tls is reading
	seen bool   // the first record is complete

	until   time.Time
	running bool  // the goroutine does
	err     error // of reading or writing
}

// recordHeader is the size of a TLS record's header.
const recordHeader = 5

// helloSize is how many bytes are made room for at first: a usual ClientHello,
// post-quantum key share and all.
const helloSize = 2 << 10

// gate bounds how many goroutines compute for handshakes at once. Those that
// do not get in wait in the order they came.
type gate struct {
	places  chan struct{}
	waiting atomic.Int32
}

func newGate() *gate { return &gate{places: make(chan struct{}, runtime.GOMAXPROCS(0))} }

// enter waits for a place.
func (g *gate) enter() {
	select {
	case g.places <- struct{}{}:
	default:
		g.waiting.Add(1)
		g.places <- struct{}{}
		g.waiting.Add(-1)
	}
}

// leave gives the place back.
func (g *gate) leave() { <-g.places }

// Handshakes tells how many TLS handshakes are being computed, and how many
// wait for a core.
func (e *Engine) Handshakes() (computing, waiting int) {
	return len(e.gate.places), int(e.gate.waiting.Load())
}

// handshake begins the handshake of an accepted connection.
func (s *session) handshake() {
	timeout := s.fe.Timeouts.Client
	if r := s.fe.Timeouts.Request; r > 0 && (timeout == 0 || r < timeout) {
		timeout = r
	}
	if timeout == 0 {
		timeout = defaultHandshake
	}
	h := &handshake{fd: s.fd, gate: s.sh.eng.gate, wake: make(chan struct{}, 1)}
	h.until = time.Now().Add(msec(timeout))
	s.leaveAt = s.sh.Loop.Now() + timeout
	s.tls = &tlsConn{s: s, hs: h}
	s.state = handshaking
	s.hello()
	if s.state == handshaking {
		s.rearm()
	}
}

// defaultHandshake bounds a handshake where no timeout is set, ms.
const defaultHandshake = 10_000

// hello reads the first record, and starts the goroutine when it is complete.
func (s *session) hello() {
	h := s.tls.hs
	if h.running {
		h.poke()
		return
	}
	for !h.complete() {
		h.room(helloSize)
		n, st := s.endpoint.read(h.in[len(h.in):cap(h.in)])
		switch st {
		case ioOK:
			h.in = h.in[:len(h.in)+n]
			continue
		case ioAgain:
			s.watch()
			return
		case ioEOF:
			h.err = io.EOF
		default:
			h.err = unix.ECONNRESET
		}
		s.handshaken(h.err)
		return
	}
	h.seen, h.running = true, true
	s.watch()
	sh, t := s.sh, s.tls
	go func() {
		h.gate.enter()
		err := os.ErrDeadlineExceeded
		if time.Now().Before(h.until) { // perhaps it was not, before its turn came
			t.conn = tls.Server(t, s.ln.TLS.Config)
			err = t.conn.Handshake()
		}
		h.gate.leave()
		if !sh.Loop.Post(func() { s.handshaken(err) }) {
			loop.CloseRaw(h.fd)
		}
	}()
}

// complete reports whether the first record is there, or what can be none.
func (h *handshake) complete() bool {
	if len(h.in) < recordHeader {
		return false
	}
	const handshakeRecord, alertRecord = 22, 21
	n := wireSize(h.in)
	if h.in[0] != handshakeRecord && h.in[0] != alertRecord || n > 17<<10 {
		return true // crypto/tls has the words for it
	}
	return len(h.in) >= n
}

// wireSize is the size of the record whose header b begins with, header and
// all.
func wireSize(b []byte) int { return recordHeader + (int(b[3])<<8 | int(b[4])) }

// room makes room for reading n bytes at least.
func (h *handshake) room(n int) {
	if cap(h.in)-len(h.in) < n/4 {
		b := make([]byte, len(h.in), cap(h.in)+n)
		copy(b, h.in)
		h.in = b
	}
}

// handshaken goes on after the handshake, on the loop.
func (s *session) handshaken(err error) {
	t := s.tls
	h := t.hs
	h.running = false
	s.canRead, s.canWrite = true, true
	s.leaveAt = 0
	if err != nil {
		s.handshakeFailed(h, err)
		return
	}
	t.hs, t.ahead = nil, h.in
	cs := t.conn.ConnectionState()
	t.version, t.cipher = s.ln.TLS.VersionName(cs.Version), s.ln.TLS.CipherName(cs.CipherSuite)
	t.sni, t.alpn, t.resumed = cs.ServerName, cs.NegotiatedProtocol, cs.DidResume
	c := &s.sh.Front[s.fe.Index]
	c.SSLSessions++
	if cs.DidResume {
		c.SSLReused++
	}
	s.hsTime = int32(s.sh.Loop.Now() - s.since)
	s.act = s.sh.Loop.Now()
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

// HAProxy's words for handshakes that did not come to their end.
const (
	handshakeClosed  = "Connection closed during SSL handshake"
	handshakeTimeout = "Timeout during SSL handshake"
	handshakeFailure = "SSL handshake failure"
)

// handshakeFailed ends a connection whose handshake failed. As with HAProxy a
// client that left before it said a whole record, or took too long, is one
// that option dontlognull says nothing of.
func (s *session) handshakeFailed(h *handshake, err error) {
	sh := s.sh
	c := &sh.Front[s.fe.Index]
	c.ErrReq++
	c.SSLFailed++
	what, null := handshakeFailure, false
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		what, null = handshakeTimeout, true
	case h.err == io.EOF && !h.seen:
		what, null = handshakeClosed, true
	}
	if !null || !s.fe.Access.DontLogNull {
		severity := message.Info
		if s.fe.Access.SeparateErrors {
			severity = message.Err
		}
		sh.logEmbryonic(s, severity, what)
	}
	s.close()
}

// poke tells the goroutine that the socket may be ready.
func (h *handshake) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// read gives crypto/tls no more than one record at a time: what comes after the
// client's Finished stays in in.
func (h *handshake) read(b []byte) (int, error) {
	for h.left == 0 {
		if len(h.in) >= recordHeader {
			h.left = wireSize(h.in)
			break
		}
		if err := h.fill(); err != nil {
			return 0, err
		}
	}
	for len(h.in) == 0 {
		if err := h.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b[:min(len(b), h.left)], h.in)
	h.in = h.in[n:]
	h.left -= n
	return n, nil
}

// fill reads more into in. The endpoint's flags belong to the loop, so the
// socket itself is asked.
func (h *handshake) fill() error {
	h.room(helloSize)
	for {
		n, errno := loop.Read(h.fd, h.in[len(h.in):cap(h.in)])
		switch {
		case errno == 0 && n == 0:
			h.err = io.EOF
			return io.EOF
		case errno == 0:
			h.in = h.in[:len(h.in)+n]
			// A client with Nagle's algorithm sends its request when its
			// Finished is acknowledged, for which nothing would be sent for
			// 40 ms: the ticket has left before.
			loop.SetInt(h.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
			return nil
		case !errno.Temporary():
			h.err = errno
			return errno
		}
		if err := h.wait(); err != nil {
			return err
		}
	}
}

// wait waits for the loop to report readiness, within the handshake's time.
func (h *handshake) wait() error {
	h.gate.leave()
	defer h.gate.enter()
	timer := time.NewTimer(time.Until(h.until))
	defer timer.Stop()
	select {
	case <-h.wake:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

// write sends all of b.
func (h *handshake) write(b []byte) (int, error) {
	sent := 0
	for sent < len(b) {
		n, errno := loop.Write(h.fd, b[sent:])
		switch {
		case errno == 0:
			sent += n
		case !errno.Temporary():
			h.err = errno
			return sent, errno
		default:
			if err := h.wait(); err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}
