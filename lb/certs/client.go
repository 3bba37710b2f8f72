package certs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ClientOptions are what a server line says about TLS to the server.
type ClientOptions struct {
	// CA is a PEM file of authorities, or "@system-ca" for the system's; ""
	// trusts every server.
	CA string
	// Name is what the server's certificate must be for where no name was sent
	// (SNI): that one counts first. "" asks for none then.
	Name string
	SNI  string
	ALPN []string
	// Cert is a PEM file with the certificate to show and its key; "" shows
	// none.
	Cert string
	// MinVersion and MaxVersion are crypto/tls constants; 0 is TLS 1.2 and the
	// newest.
	MinVersion, MaxVersion uint16
	// Ciphers for TLS 1.2 and older; nil is Go's choice.
	Ciphers []uint16
	// CRL is a PEM file of revocation lists, one of each authority in a chain;
	// "" asks for none.
	CRL string
	// Resume keeps sessions, to be resumed by later connections, until one of the
	// files changes.
	Resume bool
	// Of is who uses the files: a server's connections and its checks are one. See
	// Store.Release.
	Of any
}

// client is one that uses files.
type client struct {
	files    []string
	sessions []*clientSessions
}

// clientSessions are the sessions of connections to a server, until they are
// forgotten: they show certificates of both sides that may be the server's or ours
// no more.
type clientSessions struct {
	current atomic.Pointer[tls.ClientSessionCache]
}

func newClientSessions() *clientSessions {
	c := &clientSessions{}
	c.forget()
	return c
}

// Current is what one handshake keeps its sessions in. One that began before the
// others were forgotten keeps its own where nobody looks for them.
func (c *clientSessions) Current() tls.ClientSessionCache { return *c.current.Load() }

// Get implements tls.ClientSessionCache.
func (c *clientSessions) Get(key string) (*tls.ClientSessionState, bool) { return c.Current().Get(key) }

// Put implements tls.ClientSessionCache.
func (c *clientSessions) Put(key string, s *tls.ClientSessionState) { c.Current().Put(key, s) }

// forget drops all sessions.
func (c *clientSessions) forget() {
	next := tls.NewLRUClientSessionCache(sessions)
	c.current.Store(&next)
}

// forget drops the sessions of connections that a file is used for. Locked: the
// store, which has the new file.
func (s *Store) forget(file string) {
	for _, c := range s.clients {
		if slices.Contains(c.files, file) {
			for _, kept := range c.sessions {
				kept.forget()
			}
		}
	}
}

// clientsOf is how many servers use a file. Locked.
func (s *Store) clientsOf(file string) (n int) {
	for _, c := range s.clients {
		if slices.Contains(c.files, file) {
			n++
		}
	}
	return n
}

// Release says that a server is gone, and uses no file any more.
func (s *Store) Release(of any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, of)
}

// sessions is how many of a server's sessions are kept, by name.
const sessions = 64

// Client gives the configuration for connections to a server. What changes of
// its files at run time holds for the handshakes after.
func (s *Store) Client(o ClientOptions) (*tls.Config, error) {
	cfg := &tls.Config{
		ServerName: o.SNI, NextProtos: o.ALPN, MinVersion: o.MinVersion, MaxVersion: o.MaxVersion,
		// The library would insist on a name; VerifyConnection does what is asked.
		InsecureSkipVerify: true, CipherSuites: o.Ciphers,
	}
	var kept *clientSessions
	if o.Resume {
		kept = newClientSessions()
		cfg.ClientSessionCache = kept
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return nil, err
	}
	if o.Of == nil {
		o.Of = cfg
	}
	if o.Cert != "" {
		s.fetch([]string{o.Cert})
		if err := s.failed[o.Cert]; err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.pairs[o.Cert].cert, nil
		}
	}
	s.use(o, kept)
	if o.CA == "" {
		return cfg, nil
	}
	if _, err := s.ca(o.CA); err != nil {
		return nil, err
	}
	if o.CRL != "" {
		if _, err := s.crl(o.CRL); err != nil {
			return nil, err
		}
	}
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		s.mu.Lock()
		roots, revoked := s.cas[o.CA].pool, s.crls[o.CRL]
		s.mu.Unlock()
		chains, err := verifyServer(cs, roots, o.Name)
		if err == nil && revoked != nil {
			err = revoked.check(chains, time.Now())
		}
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
		return nil
	}
	return cfg, nil
}

// use notes what files a server is spoken to with. Locked.
func (s *Store) use(o ClientOptions, kept *clientSessions) {
	c := s.clients[o.Of]
	if c == nil {
		c = &client{}
		s.clients[o.Of] = c
	}
	for _, file := range []string{o.Cert, o.CA, o.CRL} {
		if file != "" && !slices.Contains(c.files, file) {
			c.files = append(c.files, file)
		}
	}
	if kept != nil {
		c.sessions = append(c.sessions, kept)
	}
}

// mismatchError says that a server's certificate is for another name: than
// verifyhost, or than the one that was asked for.
type mismatchError struct {
	error
	configured bool
}

// Unwrap gives the reason.
func (e *mismatchError) Unwrap() error { return e.error }

// CheckText is what HAProxy says of it in a check.
func (e *mismatchError) CheckText() string {
	if e.configured {
		return "Server presented an SSL certificate different from the configured one"
	}
	return "Server presented an SSL certificate different from the expected one"
}

// verifyServer checks a server's certificate against the authorities, and its
// name where one is wanted: the one that was asked for (SNI), or else the one that
// the server's line has.
func verifyServer(cs tls.ConnectionState, roots *x509.CertPool, configured string) ([][]*x509.Certificate, error) {
	if len(cs.PeerCertificates) == 0 {
		return nil, errors.New("the server showed no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	leaf := cs.PeerCertificates[0]
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	name := cmp.Or(cs.ServerName, configured)
	if err == nil && name != "" && !isFor(leaf, name) {
		err = &mismatchError{x509.HostnameError{Certificate: leaf, Host: name}, cs.ServerName == ""}
	}
	return chains, err
}

// isFor reports whether a certificate is for a host. As in HAProxy a common name
// counts as the alternative names do: authorities of one's own seldom give those.
func isFor(c *x509.Certificate, host string) bool {
	if slices.ContainsFunc(c.DNSNames, func(n string) bool { return covers(n, host) }) {
		return true
	}
	for _, n := range c.Subject.Names {
		if cn, ok := n.Value.(string); ok && n.Type.Equal(commonName) && covers(cn, host) {
			return true
		}
	}
	return c.VerifyHostname(host) == nil // an address among the alternative names
}

var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// covers reports whether a name of a certificate is good for a host (RFC 6125,
// section 6.4.3): one "*" in the first label stands for any part of it.
func covers(name, host string) bool {
	if strings.EqualFold(name, host) {
		return true
	}
	label, rest, _ := strings.Cut(name, ".")
	first, others, dotted := strings.Cut(host, ".")
	before, after, star := strings.Cut(label, "*")
	if !star || !dotted || strings.Contains(after, "*") || !strings.EqualFold(rest, others) || len(label) >= 4 && strings.EqualFold(label[:4], "xn--") {
		return false
	}
	return len(first) >= len(before)+len(after) && strings.EqualFold(first[:len(before)], before) && strings.EqualFold(first[len(first)-len(after):], after)
}
