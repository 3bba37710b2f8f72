package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/forward"
)

// newForwarder prepares to forward file; nil when the output is not forwarded. The error says what is wrong with the files for TLS, which are
// read again for each connection, and so may be right by then: the Forwarder can be used all the same.
func newForwarder(c *config.Forward, file *rotate.Writer, log *slog.Logger) (*forward.Forwarder, error) {
	if c == nil {
		return nil, nil
	}
	f := &forward.Forwarder{Address: c.Address, File: file, Log: log, Confirm: forward.Confirmation(c.Confirm)}
	if c.Scheme != "tls" {
		return f, nil
	}
	settings, err := tlsFor(c)
	f.TLS = settings
	return f, err
}

// tlsFor is the settings of connections to a peer, and what is wrong with the files in them now.
func tlsFor(c *config.Forward) (settings *tls.Config, err error) {
	settings = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Name}
	if c.Name == "" {
		host, _, err := net.SplitHostPort(c.Address)
		if err != nil {
			return settings, err
		}
		settings.ServerName = host
	}
	// Files are read now, so that a mistake is reported now, and again for each connection, so that a renewed one is used.
	if c.CA != "" {
		authorities := &authorities{file: c.CA, name: settings.ServerName}
		if _, caErr := authorities.current(); caErr != nil {
			err = fmt.Errorf("forward to %s: %w", c, caErr)
		}
		settings.InsecureSkipVerify = true // crypto/tls would use one pool for ever; VerifyConnection does the same with the current one
		settings.VerifyConnection = authorities.verify
	}
	if c.Cert == "" {
		return settings, err
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("forward to %s: certificate %s with key %s: %w", c, c.Cert, c.Key, err)
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

// startForwarding starts the outputs' forwarders. Nobody else may forward the same files.
func startForwarding(outputs []*output) {
	for _, o := range outputs {
		if o.forward != nil {
			o.forward.Start()
		}
	}
}

func forwardStatus(o *output) *control.Forward {
	if o.forward == nil {
		return nil
	}
	c := o.forward.Counts()
	return &control.Forward{
		To: o.config.Forward.String(), Connected: c.Connected, Sent: c.Sent, Confirmed: c.Confirmed, Again: c.Again,
		Acknowledged: c.Acknowledged, Behind: c.Behind, Connections: c.Connections, Missed: c.Missed, MissedBytes: c.MissedBytes,
		GivenUp: o.forward.File.Stats().Unheld, Error: c.Error, Looped: c.Looped, Refused: c.Refused, LastError: c.LastError, LastErrorAt: c.LastErrorAt,
	}
}
