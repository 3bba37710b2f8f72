package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// ClientOptions are what a server line says about TLS to the server.
type ClientOptions struct {
	// CA is a PEM file of authorities, or "@system-ca" for the system's; ""
	// trusts every server.
	CA string
	// Name is what the server's certificate must be for; "" asks for the name
	// that was sent (SNI), and for none if none was.
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
	// Resume keeps sessions, to be resumed by later connections.
	Resume bool
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
	if o.Resume {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return nil, err
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
	for _, file := range []string{o.Cert, o.CA, o.CRL} {
		if file != "" {
			s.clients[file]++
		}
	}
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
		var other x509.HostnameError
		if errors.As(err, &other) {
			err = &mismatchError{err, o.Name != ""}
		}
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
		return nil
	}
	return cfg, nil
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
// name where one is wanted.
func verifyServer(cs tls.ConnectionState, roots *x509.CertPool, name string) ([][]*x509.Certificate, error) {
	if len(cs.PeerCertificates) == 0 {
		return nil, errors.New("the server showed no certificate")
	}
	if name == "" {
		name = cs.ServerName
	}
	between := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	return cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name})
}
