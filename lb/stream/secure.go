package stream

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// TLS to servers: when the connection is made, the handshake is done before the
// request is sent, within timeout connect; if it fails, the attempt has. Idle
// connections are for requests with the same SNI only.

// ServerTLS is how a server is spoken to over TLS.
type ServerTLS struct {
	Config *tls.Config       // ServerName is set for each connection
	SNI    *logformat.Format // nil sends none
	// VersionName and CipherName give OpenSSL's names for the log.
	VersionName func(uint16) string
	CipherName  func(uint16) string
	// Explain is that of TLS.
	Explain func(error) sample.Fault
	// HTTP1 is Config without h2 among its protocols; nil if it has none.
	HTTP1 *tls.Config
	// Demands tells all that the configuration says of it: a connection moves
	// only to a process that says the same.
	Demands string
	// Files are what it is made of.
	Files []string
}

// serverNames is a shard's scratch for the names of servers.
type serverNames struct {
	head http1.Head
	text []byte
}

// sniFor is the name that t.srv is asked for, from the request as it is sent.
func (t *txn) sniFor(how *ServerTLS) string {
	if how == nil || how.SNI == nil {
		return ""
	}
	// A port is no part of a name, and an address is none.
	name := string(t.asking(how.SNI))
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	if name == "-" || net.ParseIP(name) != nil {
		return ""
	}
	return name
}

// asking is what a format makes of the request as it is sent; valid until the next call.
func (t *txn) asking(f *logformat.Format) []byte {
	n := &t.s.sh.names
	x := t.context()
	if x.Req = nil; t.s.http {
		if _, err := n.head.ParseRequest(t.asked); err == nil {
			x.Req = &n.head
		}
	}
	n.text = f.Append(n.text[:0], x)
	return n.text
}

// shake does the handshake of a connection that is made.
func (t *txn) shake(how *ServerTLS) step {
	c := t.c
	if c.Handshaking() {
		return waits
	}
	within := cmp.Or(t.be.Timeouts.ServerHandshake, t.be.Timeouts.Connect, defaultHandshake)
	var peer net.Addr = &net.UnixAddr{Name: t.srv.Name}
	if ip := t.srv.Addr().IP; ip.IsValid() {
		peer = net.TCPAddrFromAddrPort(ip)
	}
	config := how.Config
	if how.HTTP1 != nil && !t.mayHTTP2() {
		config = how.HTTP1
	}
	c.StartHandshake(&wire.Handshake{
		Config: config, Client: true, ServerName: c.sni, Detailed: t.s.sh.eng.detailed(), Gate: t.s.sh.eng.gate,
		Until: time.Now().Add(msec(within)), Peer: peer, Done: c.shaken,
	})
	return waits
}

// describeBackTLS is what logs and rules know of the handshake with the server.
func (t *txn) describeBackTLS() {
	r := &t.rec.BackTLS
	i := t.c.base().Info()
	if i == nil {
		*r = sample.TLSFacts{}
		return
	}
	if how := t.be.TLS[t.srv]; i.VersionName == "" && how.VersionName != nil {
		i.VersionName, i.SuiteName = how.VersionName(i.Version), how.CipherName(i.Suite)
	}
	r.NotMade = nil
	r.TLS, r.TLSVer, r.Cipher, r.SNI, r.ALPN, r.Resumed = true, i.VersionName, i.SuiteName, t.c.sni, i.ALPN, i.Resumed
	if r.Detail = nil; i.Detail != nil {
		r.Detail = i.Detail
	}
}

// detailed reports whether any frontend's rules or log lines ask for more of the
// handshakes with servers: their connections may serve all frontends.
func (e *Engine) detailed() bool {
	for _, fe := range e.Frontends {
		if fe.Needs&sample.NeedsBackTLS != 0 {
			return true
		}
	}
	return false
}

// shaken goes on after the handshake. A connection that was given up before
// does not come here.
func (c *serverConn) shaken(err error) {
	t := c.t
	t.countServer(func(n *ServerCounters) {
		switch {
		case err != nil:
			n.SSLFailed++
		case c.Info().Resumed:
			n.SSLReused++
			fallthrough
		default:
			n.SSLSessions++
		}
	})
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.connectFailed('s')
	default:
		t.notMade(err)
		t.connectFailed('S')
	}
	t.s.run()
}

// notMade notes for logs why a handshake with a server failed.
func (t *txn) notMade(err error) {
	f := new(sample.Fault)
	if how := t.be.TLS[t.srv]; how != nil && how.Explain != nil {
		*f = how.Explain(err)
	}
	f.What = handshakeFailure
	var own interface{ CheckText() string } // which the verification has for some
	if errors.As(err, &own) {
		f.What = own.CheckText()
	}
	t.rec.BackTLS = sample.TLSFacts{TLS: true, NotMade: f}
}

// speaks reports whether a connection to srv from an earlier process could have
// been made here: with the same demands under TLS, or as plain.
func (be *Backend) speaks(srv *backend.Server, p *Parcel) bool {
	how := be.TLS[srv]
	if http2 := be.HTTP2[srv]; http2 != nil && !http2.Agreed {
		return false // what moves speaks HTTP/1
	}
	return (how != nil) == (p.BackTLS != nil) && (how == nil || how.Demands == p.Demands)
}

// resume makes an adopted connection go on under TLS, if it has a state.
func (c *serverConn) resume(state *wire.State) {
	if state != nil {
		c.sni = state.SNI
		c.Resume(state)
	}
}
