package receive

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"
	"time"
)

// Certs is the server side of TLS, from files that are read again when they change.
type Certs struct {
	Cert, Key string   // PEM files
	ClientCA  string   // PEM file; empty: clients need no certificate
	Names     []string // shell patterns, one of which a client's DNS or IP subject alternative name must fit; nil: any

	// mu guards the fields below.
	mu      sync.Mutex
	config  *tls.Config
	changed time.Time // newest of the files, as read
	looked  time.Time
}

const lookPeriod = 5 * time.Second

// Config reads the files and returns a configuration that keeps up with them.
func (c *Certs) Config() (*tls.Config, error) {
	if _, err := c.current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current() },
	}, nil
}

// current is what the files say. Files that cannot be read, in the middle of a renewal, leave what was read before.
func (c *Certs) current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.config != nil && now.Sub(c.looked) < lookPeriod {
		return c.config, nil
	}
	c.looked = now
	changed, err := newest(c.Cert, c.Key, c.ClientCA)
	if err == nil && changed.Equal(c.changed) {
		return c.config, nil
	}
	var config *tls.Config
	if err == nil {
		config, err = c.read()
	}
	if err != nil {
		if c.config != nil {
			return c.config, nil
		}
		return nil, err
	}
	c.config, c.changed = config, changed
	return config, nil
}

func newest(files ...string) (latest time.Time, err error) {
	for _, name := range files {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return latest, err
		}
		if info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return latest, nil
}

func (c *Certs) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.Cert, c.Key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, err
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
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
	return errors.New("none of the names in the client's certificate may send")
}
