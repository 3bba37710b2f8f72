package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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

// Client gives the configuration for connections to a server.
func Client(o ClientOptions) (*tls.Config, error) {
	cfg := &tls.Config{
		ServerName: o.SNI, NextProtos: o.ALPN, MinVersion: o.MinVersion, MaxVersion: o.MaxVersion,
		// The library would insist on a name; VerifyConnection does what is asked.
		InsecureSkipVerify: true, CipherSuites: o.Ciphers,
	}
	if o.Resume {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
	}
	if o.Cert != "" {
		cert, _, err := loadFile(o.Cert)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{*cert}
	}
	if o.CA == "" {
		return cfg, nil
	}
	var pool *x509.CertPool
	var err error
	if o.CA == "@system-ca" {
		if pool, err = x509.SystemCertPool(); err != nil {
			err = fmt.Errorf("ca-file %s: %w", o.CA, err)
		}
	} else {
		pool, err = loadPool(o.CA)
	}
	if err != nil {
		return nil, err
	}
	var revoked *revocations
	if o.CRL != "" {
		if revoked, err = loadRevocations(o.CRL); err != nil {
			return nil, err
		}
	}
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		chains, err := verifyServer(cs, pool, o.Name)
		if err == nil && revoked != nil {
			err = revoked.check(chains, time.Now())
		}
		return err
	}
	return cfg, nil
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
