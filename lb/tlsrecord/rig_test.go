package tlsrecord

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/accept"
)

// watched gives crypto/tls one record at a time and tells a Watch of them.
type watched struct {
	net.Conn
	w    *Watch
	in   []byte
	left int
}

func (c *watched) Read(b []byte) (int, error) {
	for c.left == 0 {
		if len(c.in) >= HeaderSize {
			c.left = HeaderSize + (int(c.in[3])<<8 | int(c.in[4]))
			break
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	if len(c.in) == 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b[:min(len(b), c.left)], c.in)
	c.w.Received(c.in[:n])
	c.in, c.left = c.in[n:], c.left-n
	return n, nil
}

func (c *watched) fill() error {
	b := make([]byte, 4096)
	n, err := c.Conn.Read(b)
	c.in = append(c.in, b[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

func (c *watched) Write(b []byte) (int, error) {
	c.w.Sent(b)
	return c.Conn.Write(b)
}

// stream is a Conn with a socket: what a user of the package has to do.
type stream struct {
	mu sync.Mutex // guards Conn
	*Conn
	net   net.Conn
	got   []byte // ciphertext, unread
	data  []byte // plaintext, unread
	state tls.ConnectionState
	size  int // of records
	moves int // the record layer moves after so many of them; 0 never
	count int
}

// shake does a handshake over c and goes on with the record layer.
func shake(c net.Conn, cfg *tls.Config, client bool) (*stream, error) {
	w := NewWatch(client)
	cfg = w.Attach(cfg)
	wc := &watched{Conn: c, w: w}
	tc := tls.Server(wc, cfg)
	if client {
		tc = tls.Client(wc, cfg)
	}
	if err := tc.Handshake(); err != nil {
		return nil, err
	}
	state := tc.ConnectionState()
	rec, err := w.Conn(state)
	if err != nil {
		return nil, err
	}
	return &stream{Conn: rec, net: c, got: wc.in, state: state, size: MaxPlaintext}, nil
}

// move takes the record layer through its state.
func (s *stream) move() error {
	if s.moves == 0 {
		return nil
	}
	if s.count++; s.count%s.moves != 0 {
		return nil
	}
	b := s.AppendState(nil)
	c, err := Restore(b)
	if err != nil {
		return err
	}
	if !bytes.Equal(c.AppendState(nil), b) {
		return errors.New("a state is not the same after it was restored")
	}
	c.limit = s.limit
	s.Forget()
	s.Conn = c
	return nil
}

func (s *stream) Read(b []byte) (int, error) {
	for len(s.data) == 0 {
		s.mu.Lock()
		n, err := s.Size(s.got)
		s.mu.Unlock()
		if err != nil {
			return 0, s.refuse(err)
		}
		if n == 0 || len(s.got) < n {
			more := make([]byte, 4096)
			k, err := s.net.Read(more)
			if s.got = append(s.got, more[:k]...); k == 0 {
				return 0, err
			}
			continue
		}
		s.mu.Lock()
		data, err := s.Open(nil, s.got[:n])
		if err == nil {
			err = s.move()
		}
		s.mu.Unlock()
		if err != nil {
			return 0, s.refuse(err)
		}
		s.data = bytes.Clone(data)
		s.got = s.got[n:]
	}
	n := copy(b, s.data)
	s.data = s.data[n:]
	return n, nil
}

func (s *stream) refuse(err error) error {
	var e *Error
	if errors.As(err, &e) && !e.Remote {
		s.net.Write(s.Alert(nil, e.Alert))
	}
	return err
}

func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	err := s.move()
	sealed := s.Seal(nil, b, s.size)
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if _, err := s.net.Write(sealed); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *stream) CloseWrite() error {
	s.mu.Lock()
	end := s.CloseNotify(nil)
	s.mu.Unlock()
	_, err := s.net.Write(end)
	return err
}

// pair is the two ends of a TCP connection, for a minute.
func pair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	a, b := accept.Pair(t)
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(time.Minute))
	}
	return a, b
}

// both does a handshake between crypto/tls and this package; ours is the
// client or the server.
func both(t testing.TB, server, client *tls.Config, oursIsClient bool) (ours *stream, theirs *tls.Conn) {
	t.Helper()
	a, b := pair(t)
	var err error
	var wg sync.WaitGroup
	theirs = tls.Server(b, server)
	if !oursIsClient {
		theirs = tls.Client(b, client)
	}
	wg.Go(func() {
		if oursIsClient {
			ours, err = shake(a, client, true)
		} else {
			ours, err = shake(a, server, false)
		}
		if err != nil {
			a.Close()
		}
	})
	theirErr := theirs.Handshake()
	wg.Wait()
	if err != nil || theirErr != nil {
		t.Fatal(err, theirErr)
	}
	return ours, theirs
}

var certificates = sync.OnceValues(func() (rsaCert, ecdsaCert tls.Certificate) {
	make := func(key interface{}, public any) tls.Certificate {
		tmpl := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lb.example"}, DNSNames: []string{"lb.example"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, key)
		if err != nil {
			panic(err)
		}
		leaf, _ := x509.ParseCertificate(der)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return make(r, &r.PublicKey), make(e, &e.PublicKey)
})

// configs are for one suite.
func configs(version, id uint16) (server, client *tls.Config) {
	rsaCert, ecdsaCert := certificates()
	server = &tls.Config{Certificates: []tls.Certificate{rsaCert, ecdsaCert}, MinVersion: version, MaxVersion: version}
	client = &tls.Config{InsecureSkipVerify: true, ServerName: "lb.example", MinVersion: version, MaxVersion: version}
	if version == tls.VersionTLS12 {
		server.CipherSuites = []uint16{id}
		client.CipherSuites = []uint16{id}
	}
	return server, client
}

// numbered is n bytes that tell their place.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// flow sends bytes both ways at once, in pieces, and wants each at its place
// and the ends said.
func flow(t *testing.T, a, b interface {
	io.ReadWriter
	CloseWrite() error
}, size int) {
	t.Helper()
	var wg sync.WaitGroup
	one := func(name string, from, to interface {
		io.ReadWriter
		CloseWrite() error
	}) {
		data := numbered(size)
		wg.Go(func() {
			for i, rest := 1, data; len(rest) > 0; i = i*7%40009 + 1 {
				n := min(i, len(rest))
				if _, err := from.Write(rest[:n]); err != nil {
					t.Errorf("%s: write: %v", name, err)
					return
				}
				rest = rest[n:]
			}
			if err := from.CloseWrite(); err != nil {
				t.Errorf("%s: close: %v", name, err)
			}
		})
		wg.Go(func() {
			got, err := io.ReadAll(to)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
			}
		})
	}
	one("to them", a, b)
	one("to us", b, a)
	wg.Wait()
}
