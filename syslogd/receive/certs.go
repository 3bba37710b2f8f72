package receive

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path"
	"slices"
	"sync"
	"time"
)

// Certs is the server side of TLS, from files that are read again when they change.
type Certs struct {
	// Immutable after Config.
	Cert, Key string   // PEM files
	ClientCA  string   // PEM file; empty: clients need no certificate
	Names     []string // shell patterns, one of which a client's DNS or IP subject alternative name must fit; nil: any
	Log       *slog.Logger

	// mu guards the fields below.
	mu     sync.Mutex
	config *tls.Config
	texts  [3][]byte // of the files, as read
	looked time.Time
	failed string // what went wrong with the files at the last look; empty: nothing
}

const lookPeriod = 5 * time.Second

// Config reads the files and returns a configuration that keeps up with them.
func (c *Certs) Config() (*tls.Config, error) {
	if _, err := c.Current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.Current() },
	}, nil
}

// Current is what the files say. Files that cannot be used, in the middle of a renewal, leave what was read before. What is compared is
// the text of the files: a renewal may well leave an older time, or the same one.
func (c *Certs) Current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.config != nil && now.Sub(c.looked) < lookPeriod {
		return c.config, nil
	}
	c.looked = now
	texts, err := c.load()
	if err == nil && c.config != nil && slices.EqualFunc(texts[:], c.texts[:], bytes.Equal) {
		c.failed = ""
		return c.config, nil
	}
	var config *tls.Config
	if err == nil {
		config, err = c.make(texts)
	}
	switch {
	case err == nil:
		c.config, c.texts, c.failed = config, texts, ""
	case c.config == nil:
		return nil, err
	case c.failed != err.Error():
		c.failed = err.Error()
		if c.Log != nil {
			c.Log.Error("the new TLS certificate cannot be used; going on with the old one", "err", err)
		}
	}
	return c.config, nil
}

// Validity says what is wrong with the time of the certificate, for which clients will refuse it; nil: nothing.
func (c *Certs) Validity() error {
	config, err := c.Current()
	if err != nil {
		return err
	}
	return validity(config, time.Now())
}

func validity(config *tls.Config, now time.Time) error {
	if len(config.Certificates) == 0 || config.Certificates[0].Leaf == nil {
		return nil
	}
	switch leaf := config.Certificates[0].Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate of this syslogd expired at %s", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate of this syslogd is not valid before %s", leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// current is the configuration that a client gets.
func current(config *tls.Config) (*tls.Config, error) {
	if config.GetConfigForClient == nil {
		return config, nil
	}
	return config.GetConfigForClient(nil)
}

// load reads the files.
func (c *Certs) load() (texts [3][]byte, err error) {
	for i, name := range []string{c.Cert, c.Key, c.ClientCA} {
		if name == "" {
			continue
		}
		if texts[i], err = os.ReadFile(name); err != nil {
			return texts, err
		}
	}
	return texts, nil
}

func (c *Certs) make(texts [3][]byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.Cert, c.Key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.ClientCA == "" {
		return config, nil
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(texts[2]) {
		return nil, fmt.Errorf("%s has no certificate in it", c.ClientCA)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.VerifyConnection = c.verify
	return config, nil
}

// verify looks at the names in the client's certificate (RFC 5425 section 5.2).
func (c *Certs) verify(state tls.ConnectionState) error {
	if c.Names == nil {
		return nil
	}
	leaf := state.PeerCertificates[0]
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	for _, pattern := range c.Names {
		for _, name := range names {
			if ok, err := path.Match(pattern, name); ok && err == nil {
				return nil
			}
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("the client's certificate has no subject alternative name, and its common name %q does not count (client_names)", leaf.Subject.CommonName)
	}
	return fmt.Errorf("none of the names in the client's certificate may send (client_names): %q", names)
}
