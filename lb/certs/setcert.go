package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Certificates, and the OCSP answers that are stapled to them.

// newCert makes an empty certificate, for one to be set.
func (s *Store) newCert(name string) string {
	switch {
	case name == "":
		return "'new ssl cert' expects a filename"
	case s.pairs[name] != nil:
		return fmt.Sprintf("Certificate '%s' already exists!", name)
	}
	s.pairs[name] = &pair{file: name, base: added}
	delete(s.failed, name)
	return fmt.Sprintf("New empty certificate store '%s'!", name)
}

// setCert begins or continues a transaction: the whole certificate, or what a
// file next to it would have.
func (s *Store) setCert(name string, payload []byte) string {
	if name == "" || payload == nil {
		return "'set ssl cert expects a filename and a certificate as a payload"
	}
	whole, part := name, ""
	if s.pairs[name] == nil {
		for _, ext := range []string{".key", ".ocsp", ".issuer", ".sctl"} {
			if base, ok := strings.CutSuffix(name, ext); ok {
				for _, n := range []string{base, base + ".crt"} {
					if s.pairs[n] != nil && (n == base || s.Extras.DelExt) {
						whole, part = n, ext
					}
				}
			}
		}
	}
	p := s.pairs[whole]
	if p == nil {
		return fmt.Sprintf("Can't replace a certificate which is not referenced by the configuration!\nCan't update %s!\n", name)
	}
	open := s.open.cert
	if open != nil && open.name != whole {
		return about(open.name, "set", whole) + fmt.Sprintf("\nCan't update %s!\n", name)
	}
	t := &transaction{name: whole}
	if open != nil {
		t.parts = open.parts
	} else if p.cert != nil {
		t.parts = p.parts()
	}
	if why, ok := t.set(part, payload); !ok {
		return fmt.Sprintf("%sCan't load the payload\nCan't update %s!\n", why, name)
	}
	s.open.cert = t
	if open != nil {
		return fmt.Sprintf("Transaction updated for certificate %s!\n", whole)
	}
	return fmt.Sprintf("Transaction created for certificate %s!\n", whole)
}

// set takes a part over; why has HAProxy's words, if it has any.
func (t *transaction) set(part string, payload []byte) (why string, ok bool) {
	switch part {
	case ".key":
		if m, err := parse(payload); err != nil || len(m.keys) == 0 {
			return fmt.Sprintf("unable to load private key from file '%s'.\n", t.name), false
		}
		t.parts.key = payload
	case ".issuer":
		if m, err := parse(payload); err != nil || len(m.certs) == 0 {
			return fmt.Sprintf("'%s' cannot be read or parsed'.\n", t.name), false
		}
		t.parts.issuer = payload
	case ".ocsp":
		der, err := decode(payload)
		if err != nil {
			return "Error reading OCSP response in base64 format", false
		}
		t.parts.ocsp = der
	case ".sctl":
		if _, err := timestamps(payload); err != nil {
			return "", false
		}
		t.parts.sctl = payload
	default:
		if m, err := parse(payload); err != nil || len(m.certs) == 0 {
			return fmt.Sprintf("unable to load certificate from file '%s'.\n", t.name), false
		}
		t.parts = parts{pem: payload} // a key that it does not hold is set after it
	}
	return "", true
}

// whole reports whether there is a certificate and a private key, be it another's.
func (p *parts) whole() bool {
	m, _ := parse(p.pem)
	k, _ := parse(p.key)
	return len(m.certs) > 0 && len(m.keys)+len(k.keys) > 0
}

// decode reads base64 over several lines.
func decode(text []byte) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil)))
	if err != nil {
		return nil, fmt.Errorf("the payload is not in base64")
	}
	return der, nil
}

// commitCert has a transaction's certificate served.
func (s *Store) commitCert(name string) string {
	t := s.open.cert
	switch {
	case name == "":
		return "'commit ssl cert expects a filename"
	case t == nil:
		return fmt.Sprintf("No ongoing transaction! !\nCan't commit %s!\n", name)
	case t.name != name:
		return about(t.name, "set", name) + fmt.Sprintf("\nCan't commit %s!\n", name) // in HAProxy's word
	case !t.parts.whole():
		return fmt.Sprintf("The transaction must contain at least a certificate and a private key!\nCan't commit %s!\n", name)
	}
	p, _, err := s.make(name, t.parts)
	if errors.Is(err, errMixedUp) {
		return fmt.Sprintf("inconsistencies between private key and certificate loaded '%s'.\nCan't commit %s!\n", name, name)
	}
	if err != nil {
		return fmt.Sprintf("%v !\nCan't commit %s!\n", err, name)
	}
	old := s.pairs[name]
	p.base = old.base
	s.pairs[name] = p
	if err := s.rebuild(); err != nil {
		s.pairs[name] = old
		return fmt.Sprintf("%v !\nCan't commit %s!\n", err, name)
	}
	s.open.cert = nil
	s.forget(name)
	return committing(name, s.uses(name))
}

// uses is how many times listeners and servers use a certificate.
func (s *Store) uses(name string) int {
	n := s.clientsOf(name)
	for _, l := range s.listeners {
		for _, c := range l.state.Load().set.all {
			if c.pair.file == name {
				n++
			}
		}
	}
	return n
}

// delCert forgets a certificate that nothing uses.
func (s *Store) delCert(name string) string {
	const fails = "Can't remove the certificate: "
	switch {
	case name == "":
		return "'del ssl cert' expects a certificate name"
	case s.open.cert != nil && s.open.cert.name == name:
		return fails + fmt.Sprintf("ongoing transaction for the certificate '%s'\n", name)
	case s.pairs[name] == nil:
		return fails + fmt.Sprintf("certificate '%s' doesn't exist!\n\n", name)
	case s.uses(name) > 0:
		return fails + fmt.Sprintf("certificate '%s' in use, can't be deleted!\n\n", name)
	}
	delete(s.pairs, name)
	return fmt.Sprintf("Certificate '%s' deleted!", name)
}

// parts gives what a pair is made of, to be changed.
func (q *pair) parts() parts {
	var p parts
	for _, der := range q.cert.Certificate {
		p.pem = append(p.pem, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	switch k := q.cert.PrivateKey.(type) {
	case *lazyKey:
		p.key = pem.EncodeToMemory(k.block)
	case *lazyRSA:
		p.key = pem.EncodeToMemory(k.block)
	default:
		if der, err := x509.MarshalPKCS8PrivateKey(k); err == nil {
			p.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		}
	}
	if q.issuer != nil && len(q.others) == 0 {
		p.issuer = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: q.issuer.Raw})
	}
	p.ocsp = q.cert.OCSPStaple
	if list := q.cert.SignedCertificateTimestamps; len(list) > 0 {
		var body []byte
		for _, t := range list {
			body = append(append(body, byte(len(t)>>8), byte(len(t))), t...)
		}
		p.sctl = append([]byte{byte(len(body) >> 8), byte(len(body))}, body...)
	}
	return p
}

// sum tells parts apart.
func (p *parts) sum() string {
	h := sha256.New()
	for _, b := range [][]byte{p.pem, p.key, p.issuer, p.ocsp, p.sctl} {
		fmt.Fprintf(h, "%d ", len(b))
		h.Write(b)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// setOCSP has an OCSP answer stapled to the certificates that it is for.
func (s *Store) setOCSP(text string, payload []byte) string {
	if payload != nil {
		text = string(payload)
	}
	if text == "" {
		return "'set ssl ocsp-response' expects response in base64 encoding."
	}
	der, err := decode([]byte(text))
	if err != nil {
		return "'set ssl ocsp-response' received invalid base64 encoded response."
	}
	found, why := false, error(nil)
	for name, p := range s.pairs {
		if p.cert == nil || p.issuer == nil {
			continue
		}
		if _, err := p.staple(der, time.Now()); err != nil {
			if !strings.Contains(err.Error(), "no response matching") && !strings.Contains(err.Error(), "signature") {
				why = err
			}
			continue
		}
		cert := *p.cert
		cert.OCSPStaple = der
		next := *p
		next.cert = &cert
		s.pairs[name] = &next
		found = true
	}
	switch {
	case found:
		if err := s.rebuild(); err != nil {
			return err.Error()
		}
		return "OCSP Response updated!"
	case why != nil && parsedOCSP(der):
		return why.Error() + "."
	case parsedOCSP(der):
		return "OCSP single response: Certificate ID does not match any certificate or issuer."
	}
	return "Unable to parse OCSP response."
}
