package certs

import (
	"container/list"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// Certificates that are made when a client asks for a name that no certificate
// has (generate-certificates): with the key of the bind line's default
// certificate, signed by the authority of its ca-sign-file.

// Signing is how a bind line has certificates made. The zero value has none
// made.
type Signing struct {
	On   bool
	File string // the authority's certificate, those above it, and its key
}

// Elsewhere is what a handshake reads from, if it may not compute for long where
// it is: compute runs on another goroutine, and the handshake waits.
type Elsewhere interface {
	Elsewhere(compute func() ([]byte, error)) ([]byte, error)
}

// signingCA signs certificates. Immutable.
type signingCA struct {
	pair   *pair
	signer crypto.Signer
}

// signingCA reads a ca-sign-file. Locked: the store.
func (s *Store) signingCA(file string) (*signingCA, []Note, error) {
	parts, notes, err := s.readParts(file)
	if err != nil {
		return nil, notes, fmt.Errorf("ca-sign-file: %w", err)
	}
	p, more, err := s.make(file, parts)
	if err != nil {
		return nil, notes, fmt.Errorf("ca-sign-file: %w", err)
	}
	if leaf := p.cert.Leaf; leaf.Version >= 3 && !leaf.IsCA {
		more = append(more, Note{file, "the certificate for " + title(leaf) + " is not that of an authority (CA:TRUE); clients will refuse what it signs"})
	}
	return &signingCA{p, p.cert.PrivateKey.(crypto.Signer)}, append(notes, more...), nil
}

// generated are certificates that were made, those that were asked for most
// recently.
type generated struct {
	mu sync.Mutex
	// mu guards the fields below.
	byName map[generatedKey]*list.Element // of *generatedEntry
	order  list.List                      // the most recent first
}

// generatedKey tells certificates apart: by name, authority and key.
type generatedKey struct{ name, authority, key string }

type generatedEntry struct {
	key  generatedKey
	cert *tls.Certificate
}

// find gives one that is valid; nil: there is none.
func (g *generated) find(key generatedKey, now time.Time) *tls.Certificate {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.byName[key]
	if e == nil {
		return nil
	}
	c := e.Value.(*generatedEntry).cert
	if now.After(c.Leaf.NotAfter) {
		g.order.Remove(e)
		delete(g.byName, key)
		return nil
	}
	g.order.MoveToFront(e)
	return c
}

// keep adds one, unless another handshake has done so meanwhile: that one is
// given to all.
func (g *generated) keep(key generatedKey, c *tls.Certificate, size int) *tls.Certificate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.byName[key]; e != nil {
		return e.Value.(*generatedEntry).cert
	}
	if size <= 0 {
		return c
	}
	if g.byName == nil {
		g.byName = map[generatedKey]*list.Element{}
	}
	g.byName[key] = g.order.PushFront(&generatedEntry{key, c})
	for g.order.Len() > size {
		e := g.order.Back()
		g.order.Remove(e)
		delete(g.byName, e.Value.(*generatedEntry).key)
	}
	return c
}

var errName = errors.New("no certificate can be made for the name")

// generate gives the certificate for a name that no other has.
func (l *Listener) generate(hello *tls.ClientHelloInfo, st *state) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if !forCertificate(name) {
		return nil, fmt.Errorf("%w %q", errName, name)
	}
	able := *hello
	able.ServerName = ""
	base := usable(&able, st.set.fallback)
	if base == nil {
		base = st.set.fallback[0]
	}
	key := generatedKey{name, l.sign.pair.sum, base.pair.sum}
	if c := l.store.made.find(key, time.Now()); c != nil {
		return c, nil
	}
	own := base.pair.cert.PrivateKey.(crypto.Signer)
	compute := func() ([]byte, error) { return l.sign.certify(name, own.Public(), time.Now()) }
	if e, ok := hello.Conn.(Elsewhere); ok {
		inside := compute
		compute = func() ([]byte, error) { return e.Elsewhere(inside) }
	}
	der, err := compute()
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: append([][]byte{der}, l.sign.pair.cert.Certificate...), PrivateKey: own, Leaf: leaf}
	return l.store.made.keep(key, c, l.store.Generated), nil
}

// forCertificate reports whether a name can stand in a certificate.
func forCertificate(name string) bool {
	return name != "" && len(name) < 256 && strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// maxCommonName is RFC 5280's limit. Longer names are alternative names alone.
const maxCommonName = 64

// certify makes a certificate for a name. Its subject is the authority's, with
// the name as a further common name, as in HAProxy.
func (a *signingCA) certify(name string, pub crypto.PublicKey, now time.Time) ([]byte, error) {
	issuer := a.pair.cert.Leaf
	var subject []asn1.RawValue
	if _, err := asn1.Unmarshal(issuer.RawSubject, &subject); err != nil {
		return nil, err
	}
	if len(name) <= maxCommonName {
		cn, err := asn1.Marshal(pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: name}})
		if err != nil {
			return nil, err
		}
		subject = append(subject, asn1.RawValue{FullBytes: cn})
	}
	raw, err := asn1.Marshal(subject)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), RawSubject: raw, DNSNames: []string{name},
		NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(0, 0, 365),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, // which some clients insist on
	}
	if template.SubjectKeyId, err = keyID(pub); err != nil {
		return nil, err
	}
	return x509.CreateCertificate(rand.Reader, template, issuer, pub, a.signer)
}

// keyID names a key as RFC 5280, 4.2.1.2 (1) does.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	sum := sha1.Sum(info.Key.Bytes)
	return sum[:], nil
}

// loadAuthority reads the authority that signs a bind line's certificates.
// Locked: the store.
func (l *Listener) loadAuthority() ([]Note, error) {
	if !l.o.Signing.On {
		return nil, nil
	}
	if l.o.Signing.File == "" {
		return nil, errors.New("generate-certificates needs the authority that signs the certificates; add ca-sign-file FILE to the bind line")
	}
	a, notes, err := l.store.signingCA(l.o.Signing.File)
	l.sign = a
	return notes, err
}
