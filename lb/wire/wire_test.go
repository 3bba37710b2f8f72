package wire

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/tlsrecord"
)

// echo gives back what it reads, with reads of size bytes, and ends when its
// peer has.
type echo struct {
	Conn
	l    *loop.Loop
	size int
	rest []byte
	done chan error // what the handshake, then the connection, came to
	read func(*echo, Status)
}

// start runs a loop.
func start(t *testing.T) *loop.Loop {
	t.Helper()
	l, err := loop.New(0, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(l.Run)
	t.Cleanup(func() { l.Stop(); wg.Wait() })
	return l
}

var serverConfig = sync.OnceValue(func() *tls.Config {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	c := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &s.TLS.Certificates[0], nil }}
	c.SetSessionTicketKeys([][32]byte{{1}})
	return c
})

// role is what the end under test is, and who computes its handshake.
type role int

const (
	server     role = iota // a goroutine
	loopServer             // the loop
	client
)

// serve makes an echo of one connection, under cfg if there is one; peer is
// its other end.
func serve(t *testing.T, l *loop.Loop, cfg *tls.Config, as role, size int) (e *echo, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { peer.Close() })
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	f.Close()
	if err != nil || unix.SetNonblock(fd, true) != nil {
		t.Fatal(err)
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10) // so that it is full often
	e = &echo{l: l, size: size, done: make(chan error, 2)}
	gate := NewGate()
	var turns *Turns
	if as == loopServer {
		turns = &Turns{Loop: l, Gate: gate}
	}
	l.Call(func() {
		e.Conn = Open(l, e, fd, true)
		if cfg == nil {
			e.run()
			return
		}
		e.StartHandshake(&Handshake{
			Config: cfg, Client: as == client, Gate: gate, Turns: turns, Until: time.Now().Add(time.Minute),
			Done: func(err error) {
				if err != nil {
					e.end(err)
				} else {
					e.run()
				}
			},
		})
	})
	return e, peer
}

func (e *echo) Ready(ev loop.Events) {
	e.Note(ev)
	if !e.Handshaking() {
		e.Flush()
		e.run()
	}
}

func (e *echo) end(err error) {
	if e.FD() >= 0 {
		e.Close()
		e.done <- err
	}
}

func (e *echo) run() {
	if e.FD() < 0 {
		return
	}
	b := make([]byte, e.size)
	for {
		for len(e.rest) > 0 {
			n, st := e.Write(e.rest)
			switch st {
			case Again:
				e.Watch()
				return
			case Error:
				e.end(errors.New("write"))
				return
			}
			if e.rest = e.rest[n:]; len(e.rest) > 0 {
				e.Watch()
				return
			}
		}
		n, st := e.Read(b)
		if e.read != nil {
			e.read(e, st)
		}
		switch st {
		case OK:
			e.rest = append(e.rest, b[:n]...)
		case Again:
			e.Watch()
			return
		case EOF:
			e.Shutdown()
			if e.Pending() {
				e.Watch()
				return
			}
			e.end(nil)
			return
		case Error:
			e.end(errors.New("read"))
			return
		}
	}
}

// cases are the kinds of connections.
var cases = []struct {
	name string
	kind Kind
	cfg  func() *tls.Config // the client's; nil is plain
}{
	{"plain", Plain, nil},
	{"TLS 1.3", Secure, func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS13} }},
	{"TLS 1.2", Secure, func() *tls.Config { return &tls.Config{MaxVersion: tls.VersionTLS12} }},
	{"CBC", Library, func() *tls.Config {
		return &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}
	}},
}

// TestEcho sends bytes through a connection of every kind in pieces of every
// size, and reads them with buffers of every size: each comes back at its place,
// and so does the end.
func TestEcho(t *testing.T) {
	for _, tt := range cases {
		for _, size := range []int{1, 100, 16 << 10, 32 << 10} {
			for as, name := range []string{"server", "loopServer", "client"} {
				as := role(as)
				if as != server && tt.kind == Plain {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%s", tt.name, size, name), func(t *testing.T) {
					total := 600_000
					if size == 1 {
						total = 20_000
					}
					l := start(t)
					var cfg, theirs *tls.Config
					if tt.cfg != nil {
						cfg, theirs = serverConfig(), tt.cfg()
						theirs.InsecureSkipVerify = true
						if theirs.CipherSuites != nil {
							cfg = cfg.Clone()
							cfg.CipherSuites = theirs.CipherSuites
						}
						if as == client {
							cfg, theirs = theirs, cfg
						}
					}
					e, raw := serve(t, l, cfg, as, size)
					peer := raw.(interface {
						io.ReadWriter
						CloseWrite() error
					})
					if theirs != nil {
						c := tls.Client(raw, theirs)
						if as == client {
							c = tls.Server(raw, theirs)
						}
						peer = c
						if err := c.Handshake(); err != nil {
							t.Fatal(err)
						}
					}
					data := make([]byte, total)
					for i := range data {
						data[i] = byte(i ^ i>>8 ^ i>>16)
					}
					var wg sync.WaitGroup
					wg.Go(func() {
						for i, rest := 1, data; len(rest) > 0; i = i*7%40009 + 1 {
							n := min(i, len(rest))
							if _, err := peer.Write(rest[:n]); err != nil {
								t.Error(err)
								return
							}
							rest = rest[n:]
						}
						peer.CloseWrite()
					})
					got, err := io.ReadAll(peer)
					if err != nil || !bytes.Equal(got, data) {
						t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
					}
					wg.Wait()
					if theirs != nil {
						raw.Close()
					}
					if err := <-e.done; err != nil {
						t.Error(err)
					}
					if e.kind != tt.kind {
						t.Errorf("the kind is %d", e.kind)
					}
				})
			}
		}
	}
}

// TestIdleHoldsNothing: a connection that waits holds no buffer, and half a
// record is held in memory of its own size.
func TestIdleHoldsNothing(t *testing.T) {
	l := start(t)
	e, raw := serve(t, l, serverConfig(), loopServer, 32<<10)
	held := make(chan int, 100)
	l.Call(func() {
		e.read = func(e *echo, st Status) {
			if st == Again && e.tls != nil {
				if e.tls.in != nil || e.tls.out != nil {
					t.Error("a buffer is held")
				}
				held <- cap(e.tls.part)
			}
		}
	})
	half := &halves{Conn: raw}
	c := tls.Client(half, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	<-held
	half.cut = 20
	c.Write([]byte("a record that comes in two"))
	n := <-held
	for n == 0 { // readiness that was reported once more
		n = <-held
	}
	if n < 20 || n > 64 {
		t.Errorf("%d bytes are held for 20", n)
	}
	raw.Write(half.rest)
	b := make([]byte, 26)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "a record that comes in two" {
		t.Error(string(b), err)
	}
	<-held
	l.Call(func() {
		at := e.tls.rest.At()
		if e.tls.Expire(); e.tls.rec.Resting() || at <= l.Now() {
			t.Error("the keys are given up at once")
		}
		e.tls.lastWrite -= restMs // a pause
		if e.tls.Expire(); !e.tls.rec.Resting() {
			t.Error("the keys are held")
		}
	})
	c.Write([]byte("a record that comes after"))
	if n, err := io.ReadFull(c, b[:25]); err != nil || string(b[:n]) != "a record that comes after" {
		t.Error(string(b[:n]), err)
	}
	l.Call(func() {
		if e.Close(); e.tls.rest.Armed() {
			t.Error("a connection that is closed has a timer")
		}
	})
}

// halves sends the first bytes of a write only.
type halves struct {
	net.Conn
	cut  int
	rest []byte
}

func (h *halves) Write(b []byte) (int, error) {
	if h.cut == 0 {
		return h.Conn.Write(b)
	}
	h.rest = bytes.Clone(b[h.cut:])
	_, err := h.Conn.Write(b[:h.cut])
	h.cut = 0
	return len(b), err
}

// TestBadRecord: the peer is told with an alert, and the connection is broken.
func TestBadRecord(t *testing.T) {
	for _, tt := range cases[1:] {
		t.Run(tt.name, func(t *testing.T) {
			theirs := tt.cfg()
			theirs.InsecureSkipVerify = true
			cfg := serverConfig()
			if theirs.CipherSuites != nil {
				cfg = cfg.Clone()
				cfg.CipherSuites = theirs.CipherSuites
			}
			e, raw := serve(t, start(t), cfg, loopServer, 100)
			c := tls.Client(raw, theirs)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			raw.Write(append([]byte{23, 3, 3, 0, 64}, make([]byte, 64)...))
			_, err := c.Read(make([]byte, 1))
			if err == nil || err.Error() != "remote error: tls: bad record MAC" {
				t.Error(err)
			}
			if err := <-e.done; err == nil {
				t.Error("the connection ended well")
			}
		})
	}
}

// TestTruncated: an end within a record is an error.
func TestTruncated(t *testing.T) {
	e, raw := serve(t, start(t), serverConfig(), loopServer, 100)
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	raw.Write([]byte{23, 3, 3, 0, 64, 1, 2, 3})
	raw.Close()
	if err := <-e.done; err == nil {
		t.Error("the connection ended well")
	}
}

// TestClosedWhileShaking: a connection that is closed in the middle of its
// handshake takes its socket along, and Done is not called.
func TestClosedWhileShaking(t *testing.T) {
	l := start(t)
	e, raw := serve(t, l, &tls.Config{InsecureSkipVerify: true}, client, 100)
	b := make([]byte, 1)
	if _, err := raw.Read(b); err != nil { // its hello
		t.Fatal(err)
	}
	l.Call(func() { e.Close() })
	if _, err := io.Copy(io.Discard, raw); err != nil {
		t.Error(err)
	}
	select {
	case err := <-e.done:
		t.Error("Done:", err)
	default:
	}
}

// TestGivenUp: handshakes that the loop computes end in each of the moments in which they can wait, and those of the others go on.
func TestGivenUp(t *testing.T) {
	for name, sign := range map[string]bool{"while it waits for the client": false, "while a goroutine signs": true} {
		t.Run(name, func(t *testing.T) {
			l := start(t)
			signs, may := make(chan bool, 1), make(chan bool)
			cfg := serverConfig()
			if sign {
				shown, err := cfg.GetCertificate(nil)
				if err != nil {
					t.Fatal(err)
				}
				own := *shown
				own.PrivateKey = slowKey{own.PrivateKey.(crypto.Signer), signs, may}
				cfg = cfg.Clone()
				cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &own, nil }
			}
			e, raw := serve(t, l, cfg, loopServer, 100)
			shaken := make(chan error, 1)
			go func() {
				c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
					signs <- true // the server has sent everything, and waits for Finished
					<-may
					return nil
				}})
				shaken <- c.Handshake()
			}()
			<-signs
			l.Call(func() {
				if !e.Waiting() {
					t.Error("the loop does not measure the time of a handshake that it computes")
				}
				e.ExpireHandshake()
			})
			if err := <-e.done; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			close(may)
			<-shaken
			another, raw := serve(t, l, serverConfig(), loopServer, 100)
			if err := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
				t.Error("another handshake:", err)
			}
			l.Call(func() { another.Close() })
		})
	}
}

// slowKey says when it is to sign, and signs when it may.
type slowKey struct {
	crypto.Signer
	signs, may chan bool
}

func (k slowKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.signs <- true
	<-k.may
	return k.Signer.Sign(rand, digest, opts)
}

// TestFairTurns: of many handshakes that are ready, the loop computes one between two looks at everybody else's events.
func TestFairTurns(t *testing.T) {
	l := start(t)
	order := make(chan string, 10)
	l.Call(func() {
		turns := &Turns{Loop: l, Gate: NewGate()}
		for range 3 {
			h := &Handshake{Turns: turns, c: &Conn{}}
			turns.add(h)
			turns.add(h) // waits already
		}
		if _, waiting := turns.Gate.Load(); waiting != 3 {
			t.Error("waiting:", waiting)
		}
		var look func()
		look = func() {
			order <- fmt.Sprint(len(turns.ready))
			if len(turns.ready) > 0 {
				l.Post(look)
			}
		}
		l.Post(look)
	})
	for want := 2; want >= 0; want-- {
		if got := <-order; got != fmt.Sprint(want) {
			t.Errorf("%s wait, want %d", got, want)
		}
	}
}

// TestHandshakeErrors: who left before anything, and whose time is up.
func TestHandshakeErrors(t *testing.T) {
	l := start(t)
	e, raw := serve(t, l, serverConfig(), server, 100)
	raw.Write([]byte{22, 3, 1})
	raw.Close()
	if err := <-e.done; !errors.Is(err, ErrLeft) {
		t.Error(err)
	}
	e, _ = serve(t, l, serverConfig(), loopServer, 100)
	l.Call(func() {
		if !e.Waiting() {
			t.Error("a goroutine waits for a silent client")
		}
		e.ExpireHandshake()
	})
	if err := <-e.done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// TestSealedSize: what fills a buffer fits, as records, in one that is made for it.
func TestSealedSize(t *testing.T) {
	for _, size := range []int{loop.BufferSize, 64 << 10, 100_001} {
		if n := tlsrecord.Fit(SealedSize(size)-alertRoom, tlsrecord.MaxPlaintext); n < size {
			t.Errorf("%d bytes of data fit, want %d", n, size)
		}
	}
}

// TestWide: a wide piece leaves in one call, after a pause too, and gives its buffer back; when no wide buffer is to be had, in several.
func TestWide(t *testing.T) {
	for _, tt := range []struct {
		name  string
		short bool
		calls int // for 8 pieces
	}{{"wide", false, 8}, {"none is to be had", true, 8*4 + 8}} {
		t.Run(tt.name, func(t *testing.T) {
			e, c, calls := seqPeer(t, &tls.Config{})
			data := make([]byte, 8*WideMost)
			for i := range data {
				data[i] = byte(i ^ i>>8 ^ i>>16)
			}
			failed := make(chan error, 1)
			go e.l.Call(func() {
				for range loop.MostWide {
					if tt.short {
						e.l.Wide.Get()
					}
				}
				failed <- e.writeWide(data)
			})
			got := make([]byte, len(data))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("other bytes: %v", err)
			}
			if err := <-failed; err != nil {
				t.Error(err)
			}
			if calls.n > tt.calls {
				t.Errorf("%d calls for 1 MiB, want %d at most", calls.n, tt.calls)
			}
			e.l.Call(func() {
				if n := e.l.Wide.Lent(); n > 0 && !tt.short {
					t.Errorf("%d buffers are held", n)
				}
			})
		})
	}
}

// TestEndAfterFullBuffer: our end has room after a buffer full of records of which nothing was sent.
func TestEndAfterFullBuffer(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		e, c, _ := seqPeer(t, &tls.Config{MaxVersion: version})
		data := make([]byte, 2*loop.BufferSize)
		taken := make(chan int, 1)
		go e.l.Call(func() {
			e.writable = false
			n, _ := e.Write(data)
			e.CloseNotify()
			taken <- n
			e.writeWide(nil)
		})
		n := <-taken
		if got, err := io.ReadAll(c); err != nil || len(got) != n || n < loop.BufferSize-100 {
			t.Errorf("%d bytes came of %d: %v", len(got), n, err)
		}
	}
}

// seqPeer is a connection over TLS to c, in which each call that sends is a message.
func seqPeer(t *testing.T, cfg *tls.Config) (e *echo, c *tls.Conn, calls *messages) {
	t.Helper()
	l := start(t)
	l.Call(func() {
		l.Sealed.SetSize(SealedSize(loop.BufferSize))
		l.Wide.SetSize(WideSize(loop.BufferSize))
	})
	e, raw := serve(t, l, serverConfig(), loopServer, 100)
	calls = &messages{Conn: raw}
	cfg.InsecureSkipVerify = true
	c = tls.Client(calls, cfg)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("x")) // which comes back after all session tickets
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(fds[0], true)
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	l.Call(func() {
		l.Forget(e.fd)
		unix.Close(e.fd)
		e.watched, e.fd, e.writable = false, fds[0], true
		e.tls.lastWrite -= pauseMs
	})
	calls.fd, calls.buf = fds[1], make([]byte, 256<<10)
	return e, c, calls
}

// writeWide writes data in wide pieces, and waits until the peer has taken them.
func (e *echo) writeWide(data []byte) error {
	for len(data) > 0 || e.Pending() {
		if e.Pending() {
			unix.Poll([]unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLOUT}}, -1)
			e.writable = true
			e.Flush()
			continue
		}
		n, st := e.WriteWide(data[:min(len(data), WideMost)])
		if st != OK {
			return fmt.Errorf("write: %d", st)
		}
		data = data[n:]
	}
	return nil
}

// messages is a connection that reads from fd once there is one, and counts what comes in one piece.
type messages struct {
	net.Conn
	fd   int
	buf  []byte
	rest []byte
	n    int
}

func (m *messages) Read(b []byte) (int, error) {
	if m.buf == nil {
		return m.Conn.Read(b)
	}
	if len(m.rest) == 0 {
		n, err := unix.Read(m.fd, m.buf)
		if err != nil || n == 0 {
			return 0, io.EOF
		}
		m.n++
		m.rest = m.buf[:n]
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}
