package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Extras are the files next to a certificate's that are looked for.
type Extras struct {
	Bundle, SCTL, OCSP, Issuer, Key bool
	// DelExt replaces ".crt" by the extension, in place of adding it.
	DelExt bool
}

// AllExtras is HAProxy's default.
func AllExtras() Extras {
	return Extras{Bundle: true, SCTL: true, OCSP: true, Issuer: true, Key: true}
}

// Path is where a file with an extension lies next to a certificate's.
func (e Extras) Path(file, ext string) string {
	if e.DelExt {
		file = strings.TrimSuffix(file, ".crt")
	}
	return file + ext
}

// pair is a certificate with its key, and what lies next to it. Immutable: a
// change makes a new one.
type pair struct {
	file   string
	cert   *tls.Certificate
	others []*x509.Certificate // of the chain, after the leaf
	issuer *x509.Certificate   // nil: not known
	names  []string            // of the leaf
	sum    string              // of its parts
	base   string              // of those that the files have, or added
}

// parts are the bytes that a pair is made of: of files, or given at run time.
type parts struct {
	pem    []byte
	key    []byte // nil: within pem
	issuer []byte
	ocsp   []byte // DER, or empty
	sctl   []byte
}

// readParts reads a certificate's file and those next to it.
func (s *Store) readParts(file string) (parts, []Note, error) {
	var p parts
	var err error
	if p.pem, err = os.ReadFile(file); err != nil {
		return p, nil, fmt.Errorf("certificate %s cannot be read: %w", file, cause(err))
	}
	keyFile := file
	if !bytes.Contains(p.pem, []byte("PRIVATE KEY-----")) {
		keyFile = s.Extras.Path(file, ".key")
		if !s.Extras.Key {
			return p, nil, fmt.Errorf("certificate %s holds no private key, and ssl-load-extra-files has none be read from %s; put both into one file", file, keyFile)
		}
		p.key, err = os.ReadFile(keyFile)
		if errors.Is(err, os.ErrNotExist) {
			return p, nil, fmt.Errorf("certificate %s holds no private key and there is no %s; put both into one file", file, keyFile)
		}
		if err != nil {
			return p, nil, fmt.Errorf("private key %s cannot be read: %w", keyFile, cause(err))
		}
		if !bytes.Contains(p.key, []byte("PRIVATE KEY-----")) {
			return p, nil, fmt.Errorf("private key %s holds no private key in PEM form", keyFile)
		}
	}
	for _, x := range []struct {
		want bool
		ext  string
		to   *[]byte
	}{{s.Extras.Issuer, ".issuer", &p.issuer}, {s.Extras.OCSP, ".ocsp", &p.ocsp}, {s.Extras.SCTL, ".sctl", &p.sctl}} {
		if !x.want {
			continue
		}
		b, err := os.ReadFile(s.Extras.Path(file, x.ext))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return p, nil, fmt.Errorf("%s cannot be read: %w", s.Extras.Path(file, x.ext), cause(err))
		}
		*x.to = b
	}
	var notes []Note
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		notes = append(notes, Note{keyFile, fmt.Sprintf("everybody may read the private key (mode %04o); chmod 0600 it", info.Mode().Perm())})
	}
	return p, notes, nil
}

// make makes a pair of its parts. What is wrong with an OCSP answer or a list of
// signed timestamps is a note: the certificate is served without.
func (s *Store) make(file string, p parts) (*pair, []Note, error) {
	m, err := s.parse(p.pem)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", file, err)
	}
	if p.key != nil {
		k, err := s.parse(p.key)
		if err != nil {
			return nil, nil, fmt.Errorf("private key of %s: %w", file, err)
		}
		m.keys = k.keys
	}
	c, err := m.pair()
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", file, err)
	}
	q := &pair{file: file, cert: c, names: names(c.Leaf), sum: p.sum()}
	q.others = s.chainOf(m, c.Leaf)
	c.Certificate = c.Certificate[:1]
	for _, x := range q.others {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	if len(q.others) > 0 {
		q.issuer = q.others[0]
	}
	if q.issuer == nil && len(p.issuer) > 0 {
		i, err := s.parse(p.issuer)
		if err != nil || len(i.certs) == 0 || !signs(i.certs[0], c.Leaf) {
			return nil, nil, fmt.Errorf("%s is no certificate of the issuer of %s", s.Extras.Path(file, ".issuer"), file)
		}
		q.issuer = i.certs[0]
	}
	var notes []Note
	if text := Expiry(c.Leaf, time.Now()); text != "" {
		notes = append(notes, Note{file, text})
	}
	if len(p.ocsp) > 0 {
		if _, err := q.staple(p.ocsp, time.Now()); err != nil {
			notes = append(notes, Note{s.Extras.Path(file, ".ocsp"), "the answer is not given to clients: " + err.Error()})
		} else {
			c.OCSPStaple = p.ocsp
		}
	}
	if len(p.sctl) > 0 {
		list, err := timestamps(p.sctl)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.Extras.Path(file, ".sctl"), err)
		}
		c.SignedCertificateTimestamps = list
	}
	return q, notes, nil
}

// chainOf gives the issuers of a leaf: those that its file holds, or if it holds
// none, those of issuers-chain-path.
func (s *Store) chainOf(m material, leaf *x509.Certificate) []*x509.Certificate {
	var others []*x509.Certificate
	for _, c := range m.certs {
		if c != leaf {
			others = append(others, c)
		}
	}
	if own := chain(leaf, others)[1:]; len(own) > 0 || len(others) > 0 {
		return own
	}
	for _, known := range s.issuers {
		if signs(known[0], leaf) {
			return known
		}
	}
	return nil
}

// staple checks an OCSP answer for the certificate: valid now. As with HAProxy
// clients are told that it was revoked, too.
func (q *pair) staple(der []byte, now time.Time) (*ocsp.Response, error) {
	if q.issuer == nil {
		return nil, errors.New("the issuer of the certificate is not known; put its certificate into the file, or into FILE.issuer")
	}
	r, err := ocsp.ParseResponseForCert(der, q.cert.Leaf, q.issuer)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Status != ocsp.Good && r.Status != ocsp.Revoked:
		return nil, errors.New("OCSP single response: certificate status is unknown")
	case now.Before(r.ThisUpdate):
		return nil, errors.New("OCSP single response: not yet valid")
	case !r.NextUpdate.IsZero() && now.After(r.NextUpdate):
		return nil, errors.New("OCSP single response: no longer valid")
	}
	return r, nil
}

// timestamps reads a SignedCertificateTimestampList (RFC 6962, 3.3).
func timestamps(b []byte) ([][]byte, error) {
	bad := errors.New("no list of signed certificate timestamps (RFC 6962)")
	if len(b) < 2 || int(b[0])<<8|int(b[1]) != len(b)-2 {
		return nil, bad
	}
	var list [][]byte
	for b = b[2:]; len(b) > 0; {
		if len(b) < 2 {
			return nil, bad
		}
		n := int(b[0])<<8 | int(b[1])
		if n == 0 || len(b) < 2+n {
			return nil, bad
		}
		list = append(list, b[2:2+n])
		b = b[2+n:]
	}
	if len(list) == 0 {
		return nil, bad
	}
	return list, nil
}

// loadIssuers reads the chains of issuers-chain-path.
func (s *Store) loadIssuers() error {
	if s.ChainPath == "" {
		return nil
	}
	entries, err := os.ReadDir(s.ChainPath)
	if err != nil {
		return fmt.Errorf("issuers-chain-path %s cannot be read: %w", s.ChainPath, cause(err))
	}
	for _, e := range entries {
		file := filepath.Join(s.ChainPath, e.Name())
		info, err := os.Stat(file)
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", file, cause(err))
		}
		m, err := s.parse(data)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if len(m.certs) > 0 {
			s.issuers = append(s.issuers, m.certs)
		}
	}
	return nil
}

// parse is parse with each issuer's certificate kept once, however many files
// hold it.
func (s *Store) parse(data []byte) (material, error) {
	return parseWith(data, func(b *pem.Block) (*x509.Certificate, error) {
		key := string(b.Bytes)
		if c, ok := s.seen.Load(key); ok {
			return c.(*x509.Certificate), nil
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err == nil && c.IsCA {
			s.seen.Store(key, c)
		}
		return c, err
	})
}
