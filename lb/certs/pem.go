package certs

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// material is what a PEM file holds, in the order of the file.
type material struct {
	certs []*x509.Certificate
	keys  []*pem.Block
}

// parse reads the PEM blocks it knows and passes over others (DH parameters,
// EC parameters, revocation lists) and over text between them.
func parse(data []byte) (material, error) {
	return parseWith(data, func(b *pem.Block) (*x509.Certificate, error) { return x509.ParseCertificate(b.Bytes) })
}

func parseWith(data []byte, certificate func(*pem.Block) (*x509.Certificate, error)) (material, error) {
	var m material
	for {
		var b *pem.Block
		b, data = pem.Decode(data)
		if b == nil {
			break
		}
		switch {
		case b.Type == "CERTIFICATE" || b.Type == "X509 CERTIFICATE":
			c, err := certificate(b)
			if err != nil {
				return m, fmt.Errorf("certificate number %d cannot be parsed: %w", len(m.certs)+1, err)
			}
			m.certs = append(m.certs, c)
		case encrypted(b):
			return m, errors.New("the private key is encrypted and nobody is there to type its passphrase; write it without one (openssl pkey -in FILE -out FILE.new)")
		case b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY"):
			m.keys = append(m.keys, b)
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
	for i, leaf := range m.certs {
		for _, b := range m.keys {
			if k := lazy(b, leaf); k != nil {
				return m.join(i, k)
			}
		}
	}
	for _, b := range m.keys {
		k, err := parseKey(b)
		if err != nil {
			return nil, err
		}
		for i, leaf := range m.certs {
			if samePublic(k.Public(), leaf.PublicKey) {
				return m.join(i, k)
			}
		}
	}
	return nil, fmt.Errorf("the private key belongs to none of the certificates (the first is for %s); %w", title(m.certs[0]), errMixedUp)
}

// errMixedUp is a key that is another certificate's.
var errMixedUp = errors.New("the files were mixed up")

// join makes a pair of certificate number i and its key.
func (m *material) join(i int, k crypto.Signer) (*tls.Certificate, error) {
	if r, ok := k.Public().(*rsa.PublicKey); ok && r.N.BitLen() < 1024 {
		return nil, fmt.Errorf("the RSA key has %d bits, clients refuse less than 1024; make a new one", r.N.BitLen())
	}
	c := &tls.Certificate{PrivateKey: k, Leaf: m.certs[i]}
	others := append(append([]*x509.Certificate(nil), m.certs[:i]...), m.certs[i+1:]...)
	for _, x := range chain(m.certs[i], others) {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	pub, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(b)
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
