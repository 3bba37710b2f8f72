package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/forward"
)

// newForwarder prepares to forward file; nil when the output is not forwarded.
func newForwarder(c *config.Forward, file *rotate.Writer, log *slog.Logger) (*forward.Forwarder, error) {
	if c == nil {
		return nil, nil
	}
	f := &forward.Forwarder{Address: c.Address, File: file, Log: log}
	if c.Scheme != "tls" {
		return f, nil
	}
	f.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Name}
	if c.Name == "" {
		host, _, err := net.SplitHostPort(c.Address)
		if err != nil {
			return nil, err
		}
		f.TLS.ServerName = host
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("forward to %s: %w", c, err)
		}
		f.TLS.RootCAs = x509.NewCertPool()
		if !f.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("forward to %s: %s has no certificate in it", c, c.CA)
		}
	}
	if c.Cert == "" {
		return f, nil
	}
	// Read now, so that a mistake is told now, and again for each connection, so that a renewed one is taken.
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("forward to %s: certificate %s with key %s: %w", c, c.Cert, c.Key, err)
		}
		return &pair, nil
	}
	f.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	_, err := load()
	return f, err
}

// startForwarding starts the outputs' forwarders. Nobody else may forward the same files.
func startForwarding(outputs []*output) error {
	var problems []error
	for _, o := range outputs {
		if o.forward == nil {
			continue
		}
		if err := o.forward.Start(); err != nil {
			problems = append(problems, fmt.Errorf("output %s: %w", o.Name(), err))
			continue
		}
		o.forwarding = true
	}
	return errors.Join(problems...)
}

func forwardStatus(o *output) *control.Forward {
	if o.forward == nil {
		return nil
	}
	c := o.forward.Counts()
	return &control.Forward{
		To: o.config.Forward.String(), Connected: c.Connected, Sent: c.Sent, Confirmed: c.Confirmed, Again: c.Again,
		Behind: c.Behind, Connections: c.Connections, Missed: c.Missed, GivenUp: o.forward.File.Stats().Unheld, Error: c.Error,
	}
}
