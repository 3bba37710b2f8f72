package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/secret"
	"lbsyslogd/lb/tlsrecord"
)

// How a handshake runs:
//
//  1. As a server, the loop reads until the first record is there. A client
//     that says nothing costs no goroutine, and one that leaves before is told
//     apart from one whose handshake failed.
//  2. Where there is a loop for each core, the loop itself runs crypto/tls, as a
//     coroutine that gives control back whenever it waits for the peer, and one
//     step of one handshake a turn (turns.go).
//     Otherwise, and for connections to servers, a goroutine runs it on another
//     core. It computes only while it holds one of the gate's places, of which
//     there are as many as cores, so that a flood of hellos does not starve the
//     requests of everybody else (gate.go); while it waits for the peer it holds
//     none.
//  3. The loop takes the result.

// Handshake is a TLS handshake. The exported fields are set before it starts.
// While the goroutine runs it owns the others but wake and abandoned; before
// and after, the loop does.
type Handshake struct {
	Config *tls.Config
	Client bool // this end is
	// ServerName is the name that a client asks for, in place of Config's.
	ServerName string
	Gate       *Gate
	Turns      *Turns // of the connection's loop, if that is to compute; nil: a goroutine does
	Detailed   bool   // Info.Detail is wanted
	Capture    int    // with the bytes of a client's hello, as many as this
	Until      time.Time
	Peer       net.Addr
	Done       func(error) // on the loop, unless the connection was closed before

	c     *Conn
	fd    int
	conn  *tls.Conn
	pipe  *pipe // what conn reads and writes
	watch *tlsrecord.Watch
	wake  chan struct{} // the socket may be ready

	in   []byte // read from the socket, not given to crypto/tls
	left int    // of the record that crypto/tls is reading
	seen bool   // the first record is complete

	own     *x509.Certificate // that crypto/tls shows
	passed  [4]int            // Detail.Errors
	said    *Hello            // Detail.Hello
	asked   string            // the name that the client asks for
	highest uint16            // the version that it would rather have
	offered []uint16          // crypto/tls's list of the client's suites, while it is narrowed (see Narrow)
	whole   []uint16          // what was in it

	running   bool // the goroutine does
	abandoned bool // the connection was closed meanwhile

	turn // as the loop runs it
}

// ErrLeft says that the peer left before it had sent a whole record.
var ErrLeft = errors.New("the peer left before the handshake")

// ErrSilent says that the time was up before the peer had sent a whole record. It is
// an os.ErrDeadlineExceeded.
var ErrSilent = fmt.Errorf("the peer was silent: %w", os.ErrDeadlineExceeded)

// Failed is a server's handshake that came to no end, with what is known of the client by then.
type Failed struct {
	Err  error
	Info Info // a name, a version or a suite may not have been agreed on yet
}

func (f *Failed) Error() string { return f.Err.Error() }

// Unwrap gives the error itself.
func (f *Failed) Unwrap() error { return f.Err }

// failed makes a Failed of an error.
func (h *Handshake) failed(err error) error {
	if h.Client || h.conn == nil {
		return err
	}
	state := h.conn.ConnectionState()
	var v *tls.CertificateVerificationError
	if errors.As(err, &v) {
		state.PeerCertificates = v.UnverifiedCertificates
	}
	f := &Failed{Err: err, Info: Info{Version: state.Version, Suite: state.CipherSuite, SNI: h.asked}}
	_, answered, _ := h.watch.Hellos()
	switch {
	case h.own == nil && h.highest != 0: // before a version was chosen
		f.Info.Version = 0
	case state.Version == 0:
		f.Info.Version = h.highest
	}
	if answered == nil || state.Version <= tls.VersionTLS12 { // which agrees on it at its end
		f.Info.Suite = 0
	}
	if h.Detailed {
		f.Info.Detail = h.detail(&state)
	}
	return f
}

// helloSize is how many bytes are made room for at first: a usual ClientHello,
// post-quantum key share and all.
const helloSize = 2 << 10

// StartHandshake begins a handshake. Until Done is called the connection is
// not to be read or written.
func (c *Conn) StartHandshake(h *Handshake) {
	h.c, h.fd, h.wake = c, c.fd, make(chan struct{}, 1)
	h.watch = tlsrecord.NewWatch(h.Client)
	c.hs = h
	h.advance()
}

// Handshaking reports whether a handshake is under way.
func (c *Conn) Handshaking() bool { return c.hs != nil }

// Waiting reports whether a handshake under way has its time measured by the
// loop, which calls ExpireHandshake: no goroutine runs it, or none yet.
func (c *Conn) Waiting() bool { return c.hs != nil && !c.hs.running }

// ExpireHandshake ends a handshake whose time is up.
func (c *Conn) ExpireHandshake() {
	if c.Waiting() {
		err := os.ErrDeadlineExceeded
		if !c.hs.seen {
			err = ErrSilent
		}
		c.hs.leave()
		c.hs.finish(err)
	}
}

// advance goes on after an event. As a server it reads the first record, and
// starts the goroutine when that is complete.
func (h *Handshake) advance() {
	switch {
	case h.running:
		h.poke()
		return
	case h.seen:
		h.Turns.add(h)
		return
	}
	for !h.Client && !h.complete() {
		h.room(helloSize)
		n, st := h.c.recv(h.in[len(h.in):cap(h.in)])
		switch st {
		case OK:
			h.in = h.in[:len(h.in)+n]
			continue
		case Again:
			if err := h.c.Watch(); err != nil {
				h.finish(err)
			}
			return
		case EOF:
			h.finish(ErrLeft)
		default:
			h.finish(syscall.ECONNRESET)
		}
		return
	}
	if err := h.c.Watch(); err != nil {
		h.finish(err)
		return
	}
	h.seen = true
	if h.Turns != nil {
		h.Turns.add(h)
		return
	}
	h.running = true
	l := h.c.loop
	go func() {
		err := h.run()
		if !l.Post(func() { h.running = false; h.finish(err) }) {
			loop.CloseRaw(h.fd)
		}
	}()
}

// run is the goroutine.
func (h *Handshake) run() error {
	h.Gate.enter()
	defer h.Gate.leave()
	if time.Now().After(h.Until) { // before its turn came
		return os.ErrDeadlineExceeded
	}
	return h.shake()
}

// shake runs crypto/tls.
func (h *Handshake) shake() error {
	if h.Turns != nil {
		h.watch.Show = h.signedElsewhere
	}
	cfg := h.watch.Attach(h.Config)
	h.pipe = &pipe{hs: h, peer: h.Peer}
	if h.Client {
		cfg.ServerName = h.ServerName
		h.conn = tls.Client(h.pipe, cfg)
	} else {
		h.conn = tls.Server(h.pipe, cfg)
	}
	return h.conn.Handshake()
}

// complete reports whether the first record is there, or what can be none.
func (h *Handshake) complete() bool {
	if len(h.in) < tlsrecord.HeaderSize {
		return false
	}
	n := recordSize(h.in)
	kind := tlsrecord.ContentType(h.in[0])
	if kind != tlsrecord.Handshake && kind != tlsrecord.AlertRecord || n > tlsrecord.MaxRecord {
		return true // crypto/tls has the words for it
	}
	return len(h.in) >= n
}

// recordSize is the size of the record whose header b begins with, header and
// all.
func recordSize(b []byte) int { return tlsrecord.HeaderSize + (int(b[3])<<8 | int(b[4])) }

// room makes room for reading n bytes, or nearly as many.
func (h *Handshake) room(n int) {
	if cap(h.in)-len(h.in) < n/4 {
		b := make([]byte, len(h.in), len(h.in)+n)
		copy(b, h.in)
		h.in = b
	}
}

// finish goes on after the handshake, on the loop.
func (h *Handshake) finish(err error) {
	if h.abandoned {
		loop.CloseRaw(h.fd)
		return
	}
	c := h.c
	c.hs = nil
	c.Retry()
	if err == nil {
		h.become(c)
	} else {
		err = h.failed(err)
	}
	h.Done(err)
}

// become makes c what the handshake has led to.
func (h *Handshake) become(c *Conn) {
	state := h.conn.ConnectionState()
	c.tls = &TLS{Info: Info{
		Version: state.Version, Suite: state.CipherSuite, SNI: state.ServerName, ALPN: state.NegotiatedProtocol, Resumed: state.DidResume,
	}}
	if h.Detailed || h.passed != [4]int{} {
		c.tls.Detail = h.detail(&state)
	}
	rec, err := h.watch.Conn(state)
	if err != nil {
		c.kind = Library
		c.tls.lib = &library{conn: h.conn, c: c, ahead: h.in}
		h.pipe.hs, h.pipe.lib = nil, c.tls.lib
		return
	}
	c.kind, c.tls.rec = Secure, rec
	if h.Client && h.Config.ClientSessionCache != nil && state.Version == tls.VersionTLS13 {
		h.pipe.hs = nil
		c.tls.tickets = &tickets{conn: h.conn, pipe: h.pipe}
	} else {
		secret.Conn(h.conn)
	}
	if len(h.in) > 0 {
		c.tls.part = append([]byte(nil), h.in...)
	}
}

// abandon lets a goroutine that runs end by itself, and close the socket;
// false if there is none.
func (h *Handshake) abandon() bool {
	if !h.running {
		h.leave()
		return false
	}
	h.abandoned = true
	loop.ShutdownBoth(h.fd)
	h.poke()
	return true
}

// poke tells the goroutine that the socket may be ready.
func (h *Handshake) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// read gives crypto/tls no more than one record at a time: what comes after the
// peer's Finished stays in in.
func (h *Handshake) read(b []byte) (int, error) {
	for h.left == 0 {
		if len(h.in) >= tlsrecord.HeaderSize {
			h.left = recordSize(h.in)
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
	h.watch.Received(h.in[:n])
	h.in = h.in[n:]
	h.left -= n
	return n, nil
}

// fill reads more into in. The connection's flags belong to the loop, so the
// socket itself is asked.
func (h *Handshake) fill() error {
	h.room(helloSize)
	for {
		n, errno := loop.Read(h.fd, h.in[len(h.in):cap(h.in)])
		switch {
		case errno == 0 && n == 0:
			return io.EOF
		case errno == 0:
			h.in = h.in[:len(h.in)+n]
			// A client with Nagle's algorithm sends its request when its
			// Finished is acknowledged, for which nothing would be sent for
			// 40 ms: the ticket has left before.
			loop.SetInt(h.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
			return nil
		case !errno.Temporary():
			return errno
		}
		if err := h.wait(); err != nil {
			return err
		}
	}
}

// wait waits for the loop to report readiness, within the handshake's time.
func (h *Handshake) wait() error {
	if h.Turns != nil {
		return h.pause()
	}
	h.Gate.leave()
	defer h.Gate.enter()
	timer := time.NewTimer(time.Until(h.Until))
	defer timer.Stop()
	select {
	case <-h.wake:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

// write sends all of b.
func (h *Handshake) write(b []byte) (int, error) {
	h.watch.Sent(b)
	if h.offered != nil {
		copy(h.offered, h.whole)
		h.offered, h.whole = nil, nil
	}
	sent := 0
	for sent < len(b) {
		n, errno := loop.Write(h.fd, b[sent:])
		switch {
		case errno == 0:
			sent += n
		case !errno.Temporary():
			return sent, errno
		default:
			if err := h.wait(); err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}
