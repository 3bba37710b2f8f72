package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"

	"lbsyslogd/lb/secret"
)

// Watch learns of a handshake what its connection's record layer needs. It is
// made for one handshake, whose configuration Attach prepares, and must see
// what crypto/tls sends and receives, in order.
type Watch struct {
	// Show replaces the certificate that Config.GetCertificate has chosen, if it is set before Attach.
	Show func(*tls.Certificate) *tls.Certificate

	client bool // this end is

	master     []byte // TLS 1.2, of a full handshake
	session    []byte // TLS 1.2, of the session that may be resumed
	fromClient []byte // TLS 1.3: traffic secrets
	fromServer []byte
	received   []byte // its beginning, with the peer's hello
	sent       []byte
}

// NewWatch begins to watch a handshake, as its client or its server.
func NewWatch(client bool) *Watch { return &Watch{client: client} }

// Attach gives a copy of cfg that tells w of the handshake. A server's must have
// been given ticket keys, or sessions cannot be resumed: each copy would make
// keys of its own. What GetConfigForClient gives is watched, too; it must have an
// UnwrapSession, or no tickets.
func (w *Watch) Attach(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.KeyLogWriter = w
	if w.client {
		if sessions := cfg.ClientSessionCache; sessions != nil {
			if changing, ok := sessions.(changingSessions); ok {
				sessions = changing.Current()
			}
			cfg.ClientSessionCache = watchedSessions{sessions, w}
		}
		return cfg
	}
	if pick := cfg.GetConfigForClient; pick != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			other, err := pick(hello)
			if other == nil || err != nil {
				return nil, err
			}
			return w.Attach(other), nil
		}
	}
	if pick := cfg.GetCertificate; pick != nil && w.Show != nil {
		cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			c, err := pick(hello)
			if c == nil || err != nil {
				return nil, err
			}
			return w.Show(c), nil
		}
	}
	unwrap := cfg.UnwrapSession
	if unwrap == nil {
		unwrap = cfg.DecryptTicket
	}
	cfg.UnwrapSession = func(identity []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		s, err := unwrap(identity, state)
		w.offered(s)
		return s, err
	}
	return cfg
}

// changingSessions is a cache of sessions that gives way to another: what a
// handshake begins with, it keeps.
type changingSessions interface{ Current() tls.ClientSessionCache }

// watchedSessions tells a client's Watch of the session that it tries to
// resume.
type watchedSessions struct {
	tls.ClientSessionCache
	w *Watch
}

// Get implements tls.ClientSessionCache.
func (c watchedSessions) Get(key string) (*tls.ClientSessionState, bool) {
	cs, ok := c.ClientSessionCache.Get(key)
	if ok && cs != nil {
		if _, s, err := cs.ResumptionState(); err == nil {
			c.w.offered(s)
		}
	}
	return cs, ok
}

// offered takes the secret of a session. crypto/tls does not log the keys of
// TLS 1.2 sessions that are resumed, and calls the form of a session's bytes its
// own affair; so Conn tries whether the secret is right.
func (w *Watch) offered(s *tls.SessionState) {
	const at, size = 2 + 1 + 2 + 8, 48 // version, type, suite, time; a length and the secret
	if s == nil {
		return
	}
	b, err := s.Bytes()
	if err == nil && len(b) > at+size && b[at] == size && b[0] == 3 && b[1] == 3 {
		w.session = bytes.Clone(b[at+1 : at+1+size])
	}
	clear(b)
}

// Write implements io.Writer for Config.KeyLogWriter: a line has a label, the
// client's random and a secret. crypto/tls writes whole lines.
func (w *Watch) Write(line []byte) (int, error) {
	defer forgetLine(line)
	f := bytes.Fields(line)
	if len(f) != 3 {
		return len(line), nil
	}
	var to *[]byte
	switch string(f[0]) {
	case "CLIENT_RANDOM":
		to = &w.master
	case "CLIENT_TRAFFIC_SECRET_0":
		to = &w.fromClient
	case "SERVER_TRAFFIC_SECRET_0":
		to = &w.fromServer
	default:
		return len(line), nil
	}
	traffic := make([]byte, hex.DecodedLen(len(f[2])))
	if _, err := hex.Decode(traffic, f[2]); err == nil {
		*to = traffic
	}
	return len(line), nil
}

// forgetLine overwrites a line, which crypto/tls has made for this one writer,
// and the buffer of package fmt that it was made in, which the next caller gets.
func forgetLine(line []byte) {
	n := len(line)
	clear(line)
	_ = fmt.Appendf(line[:0], "%*s", n, "")
	clear(line)
	secret.Registers()
}

// Sent sees bytes that crypto/tls has sent.
func (w *Watch) Sent(b []byte) { w.sent = append(w.sent, b...) }

// Received sees bytes that crypto/tls was given. Of them only the hello
// matters.
func (w *Watch) Received(b []byte) {
	w.received = append(w.received, b[:min(len(b), idEnd-len(w.received))]...)
}

// A hello is the first record of either side: the record's header, that of the
// message, the version, a random.
const (
	randomSize = 32
	helloEnd   = HeaderSize + 4 + 2 + randomSize
	idEnd      = helloEnd + 1 + 32 // the longest session ID follows
)

// randomOf gives the random of a hello; nil if b begins with none.
func randomOf(b []byte, message byte) []byte {
	if len(b) < helloEnd || ContentType(b[0]) != Handshake || int(b[3])<<8|int(b[4]) < helloEnd-HeaderSize || b[HeaderSize] != message {
		return nil
	}
	return b[helloEnd-randomSize : helloEnd]
}

// Hellos gives the randoms, and the session ID of the server's hello; nil where
// the handshake was not watched from its beginning.
func (w *Watch) Hellos() (client, server, id []byte) {
	from, to := w.received, w.sent
	if w.client {
		from, to = to, from
	}
	client, server = bytes.Clone(randomOf(from, 1)), bytes.Clone(randomOf(to, 2))
	if server != nil && len(to) > helloEnd {
		if n := int(to[helloEnd]); len(to) > helloEnd+n {
			id = bytes.Clone(to[helloEnd+1 : helloEnd+1+n])
		}
	}
	return client, server, id
}

// HelloVersion is the version in the client's hello, which since TLS 1.3 stands
// there for old servers; 0 where the handshake was not watched from its beginning.
func (w *Watch) HelloVersion() uint16 {
	b := w.received
	if w.client {
		b = w.sent
	}
	if randomOf(b, 1) == nil {
		return 0
	}
	return uint16(b[HeaderSize+4])<<8 | uint16(b[HeaderSize+5])
}

var errUnwatched = errors.New("tlsrecord: the handshake was not watched from its beginning")

// Conn makes the connection's record layer after the handshake. The Watch is
// used up.
func (w *Watch) Conn(state tls.ConnectionState) (*Conn, error) {
	defer w.forget()
	s, err := suiteOf(state.Version, state.CipherSuite)
	if err != nil {
		return nil, err
	}
	last, err := lastRecord(w.sent)
	if err != nil {
		return nil, err
	}
	if s.version == tls.VersionTLS12 {
		return w.conn12(s, last, state.DidResume)
	}
	if w.client {
		return newConn(s, true, w.fromServer, w.fromClient, 0, 0)
	}
	tickets, err := trial(s, w.fromServer, last, maxTickets)
	if err != nil {
		return nil, err
	}
	return newConn(s, false, w.fromClient, w.fromServer, 0, tickets)
}

// maxTickets is how many session tickets a server may have sent.
const maxTickets = 8

// conn12 is Conn for TLS 1.2, where either side has sent its Finished with the
// connection's key.
func (w *Watch) conn12(s *suite, last []byte, resumed bool) (*Conn, error) {
	client, server := randomOf(w.received, 1), randomOf(w.sent, 2)
	if w.client {
		client, server = randomOf(w.sent, 1), randomOf(w.received, 2)
	}
	master := w.master
	if resumed {
		master = w.session
	}
	if client == nil || server == nil || len(master) != 48 {
		return nil, errUnwatched
	}
	block := prf12(s.hash, master, "key expansion", append(bytes.Clone(server), client...), 2*(s.key+s.iv))
	defer clear(block)
	keys, ivs := block[:2*s.key], block[2*s.key:]
	fromClient := append(bytes.Clone(keys[:s.key]), ivs[:s.iv]...)
	fromServer := append(bytes.Clone(keys[s.key:]), ivs[s.iv:]...)
	defer clear(fromClient)
	defer clear(fromServer)
	in, out := fromClient, fromServer
	if w.client {
		in, out = fromServer, fromClient
	}
	if n, err := trial(s, out, last, 1); err != nil {
		return nil, err
	} else if n != 1 {
		return nil, errUnwatched
	}
	return newConn(s, w.client, in, out, 1, 1)
}

// lastRecord is the last record of what was sent.
func lastRecord(b []byte) ([]byte, error) {
	for len(b) >= HeaderSize {
		n := HeaderSize + (int(b[3])<<8 | int(b[4]))
		if len(b) == n {
			return b, nil
		}
		b = b[min(n, len(b)):]
	}
	return nil, errUnwatched
}

// trial tells how many records were sent with a secret, at most most: the last
// record can be decrypted with its own number only, and with none if it was
// sent with another key. They must all be messages of a handshake.
func trial(s *suite, traffic, last []byte, most uint64) (uint64, error) {
	c := Conn{suite: s}
	defer c.Forget()
	dst := make([]byte, 0, len(last))
	if err := c.in.set(s, traffic, 0); err != nil {
		return 0, err
	}
	for n := range most {
		c.in.seq = n
		if _, kind, err := c.decrypt(dst, bytes.Clone(last)); err == nil {
			if kind != Handshake {
				return 0, errUnwatched
			}
			return n + 1, nil
		}
	}
	return 0, nil
}

// forget overwrites the secrets.
func (w *Watch) forget() {
	for _, b := range [...][]byte{w.master, w.session, w.fromClient, w.fromServer} {
		clear(b)
	}
	*w = Watch{}
}
