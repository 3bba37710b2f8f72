// Package clienttls is the client's side of TLS with peers that lines are sent to: its files are read again for each connection, so that a renewed
// certificate is used without a reload.
package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Files are the files of one peer.
type Files struct {
	CA   string // whose certificates to believe; empty: the system's
	Name string // that the peer's certificate must have; empty: the host that we connect to
	Cert string // our own; empty: none
	Key  string
}

// Config is the settings of connections to host. The error is what is wrong with the files now; the settings can be used all the same, because the
// files may be right by the time of a connection.
func (f Files) Config(host string) (settings *tls.Config, err error) {
	settings = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.Name}
	if f.Name == "" {
		settings.ServerName = host
	}
	if f.CA != "" {
		authorities := &authorities{file: f.CA, name: settings.ServerName}
		_, err = authorities.current()
		settings.InsecureSkipVerify = true // crypto/tls would use one pool for ever; VerifyConnection does the same with the current one
		settings.VerifyConnection = authorities.verify
	}
	if f.Cert == "" {
		return settings, err
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
		}
		return &pair, nil
	}
	settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	_, certErr := load()
	return settings, errors.Join(err, certErr)
}

// authorities are the certificates of a file, as they are when a connection is made.
type authorities struct {
	file string
	name string // that the peer's certificate must have; a ConnectionState knows none that is an address

	// mu guards the field below.
	mu   sync.Mutex
	pool *x509.CertPool
}

// current reads the file. One that cannot be used, in the middle of a renewal, leaves what was read before; the error is nil then.
func (a *authorities) current() (*x509.CertPool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, err := os.ReadFile(a.file)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(text) {
		err = fmt.Errorf("%s has no certificate in it", a.file)
	}
	if err == nil {
		a.pool = pool
	}
	if a.pool == nil {
		return nil, err
	}
	return a.pool, nil
}

// verify is what crypto/tls does without InsecureSkipVerify.
func (a *authorities) verify(state tls.ConnectionState) error {
	pool, err := a.current()
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: pool, DNSName: a.name, Intermediates: x509.NewCertPool()}
	for _, cert := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(cert)
	}
	_, err = state.PeerCertificates[0].Verify(options)
	return err
}
