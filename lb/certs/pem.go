package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// material is what a PEM file holds, in the order of the file.
type material struct {
	certs []*x509.Certificate
	keys  []crypto.Signer
}

// loadFile reads a chain and its key from a file; the key may be in a file of
// its own, with ".key" after the name.
func loadFile(file string) (*tls.Certificate, []Note, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s cannot be read: %w", file, cause(err))
	}
	m, err := parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", file, err)
	}
	keyFile := file
	if len(m.keys) == 0 {
		keyFile = file + ".key"
		data, err := os.ReadFile(keyFile)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("certificate %s holds no private key and there is no %s; put both into one file", file, keyFile)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("private key %s cannot be read: %w", keyFile, cause(err))
		}
		k, err := parse(data)
		if err != nil {
			return nil, nil, fmt.Errorf("private key %s: %w", keyFile, err)
		}
		m.keys = k.keys
		if len(m.keys) == 0 {
			return nil, nil, fmt.Errorf("private key %s holds no private key in PEM form", keyFile)
		}
	}
	c, err := m.pair()
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", file, err)
	}
	return c, remarks(file, keyFile, c.Leaf), nil
}

// parse reads the PEM blocks it knows and passes over others (DH parameters,
// EC parameters, revocation lists) and over text between them.
func parse(data []byte) (material, error) {
	var m material
	for {
		var b *pem.Block
		b, data = pem.Decode(data)
		if b == nil {
			break
		}
		switch {
		case b.Type == "CERTIFICATE" || b.Type == "X509 CERTIFICATE":
			c, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return m, fmt.Errorf("certificate number %d cannot be parsed: %w", len(m.certs)+1, err)
			}
			m.certs = append(m.certs, c)
		case b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"):
			return m, errors.New("the private key is encrypted and nobody is there to type its passphrase; write it without one (openssl pkey -in FILE -out FILE.new)")
		case b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY"):
			k, err := parseKey(b)
			if err != nil {
				return m, err
			}
			m.keys = append(m.keys, k)
		}
	}
	return m, nil
}

func parseKey(b *pem.Block) (crypto.Signer, error) {
	var (
		k   any
		err error
	)
	switch b.Type {
	case "RSA PRIVATE KEY":
		k, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		k, err = x509.ParseECPrivateKey(b.Bytes)
	case "PRIVATE KEY":
		k, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	default:
		return nil, fmt.Errorf("a key of the kind %q cannot be used; make an ECDSA or RSA key", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be parsed: %w", err)
	}
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a private key of type %T cannot sign; make an ECDSA or RSA key", k)
	}
	return s, nil
}

// pair finds the certificate that belongs to a key and puts the others after
// it in the order of the chain.
func (m *material) pair() (*tls.Certificate, error) {
	if len(m.certs) == 0 {
		return nil, errors.New("no certificate in PEM form in it")
	}
	for _, k := range m.keys {
		for i, leaf := range m.certs {
			if !matches(k, leaf) {
				continue
			}
			if r, ok := k.(*rsa.PrivateKey); ok && r.N.BitLen() < 1024 {
				return nil, fmt.Errorf("the RSA key has %d bits, clients refuse less than 1024; make a new one", r.N.BitLen())
			}
			others := append(append([]*x509.Certificate(nil), m.certs[:i]...), m.certs[i+1:]...)
			c := &tls.Certificate{PrivateKey: k, Leaf: leaf}
			for _, x := range chain(leaf, others) {
				c.Certificate = append(c.Certificate, x.Raw)
			}
			return c, nil
		}
	}
	return nil, fmt.Errorf("the private key belongs to none of the certificates (the first is for %s); the files were mixed up", title(m.certs[0]))
}

func matches(k crypto.Signer, c *x509.Certificate) bool {
	pub, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(c.PublicKey)
}

// chain puts the issuers after the certificate they signed. What is in no
// chain is left out: clients get nothing from it.
func chain(leaf *x509.Certificate, others []*x509.Certificate) []*x509.Certificate {
	out := []*x509.Certificate{leaf}
	for last := leaf; !bytes.Equal(last.RawIssuer, last.RawSubject); { // until a self-signed one
		var issuer *x509.Certificate
		for i, c := range others {
			if c != nil && signs(c, last) {
				issuer, others[i] = c, nil
				break
			}
		}
		if issuer == nil {
			break
		}
		out = append(out, issuer)
		last = issuer
	}
	return out
}

// signs tells by names and key numbers whether issuer signed c. Checking the
// signature is the client's business, and it knows algorithms crypto/x509
// refuses.
func signs(issuer, c *x509.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, c.RawIssuer) {
		return false
	}
	return len(c.AuthorityKeyId) == 0 || len(issuer.SubjectKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, issuer.SubjectKeyId)
}

// remarks are what is worth a warning about a certificate that can be used.
func remarks(file, keyFile string, leaf *x509.Certificate) []Note {
	var notes []Note
	if text := Expiry(leaf, time.Now()); text != "" {
		notes = append(notes, Note{file, text})
	}
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		notes = append(notes, Note{keyFile, fmt.Sprintf("everybody may read the private key (mode %04o); chmod 0600 it", info.Mode().Perm())})
	}
	return notes
}

// soon is when an end is near: two weeks before it, or in the last quarter of
// a short life.
const soon = 14 * 24 * time.Hour

// Expiry tells whether a certificate is out of its time, or soon will be; ""
// is neither.
func Expiry(leaf *x509.Certificate, now time.Time) string {
	left := leaf.NotAfter.Sub(now)
	switch {
	case left < 0:
		return fmt.Sprintf("the certificate for %s expired on %s; clients will refuse it", title(leaf), day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("the certificate for %s is valid from %s only; clients will refuse it until then", title(leaf), day(leaf.NotBefore))
	case left < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/4):
		return fmt.Sprintf("the certificate for %s expires on %s; clients will refuse it from then on", title(leaf), day(leaf.NotAfter))
	}
	return ""
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// title names a certificate for a sentence.
func title(c *x509.Certificate) string {
	if n := names(c); len(n) > 0 {
		return n[0]
	}
	return c.Subject.String()
}

// names a certificate is good for: its DNS names, and its common name as old
// certificates have it.
func names(c *x509.Certificate) []string {
	var out []string
	for _, n := range append([]string{c.Subject.CommonName}, c.DNSNames...) {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		dup := n == "" || strings.ContainsAny(n, " /@")
		for _, o := range out {
			dup = dup || o == n
		}
		if !dup {
			out = append(out, n)
		}
	}
	return out
}

// ecdsaKey tells whether the certificate's key is the cheaper kind.
func ecdsaKey(c *tls.Certificate) bool {
	_, ok := c.Leaf.PublicKey.(*ecdsa.PublicKey)
	return ok
}
