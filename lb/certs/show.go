package certs

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ocsp"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// showCert lists the certificates, or describes one; "*" before the name of one
// means what it is to become.
func (s *Store) showCert(name string) string {
	open := s.open.cert
	if name == "" {
		var b strings.Builder
		if open != nil {
			b.WriteString("# transaction\n*" + open.name + "\n")
		}
		if len(s.pairs) > 0 {
			b.WriteString("# filename\n")
		}
		for _, n := range sortedKeys(s.pairs) {
			b.WriteString(n + "\n")
		}
		return b.String()
	}
	const missing = "Can't display the certificate: Not found or the certificate is a bundle!"
	p, status := s.pairs[name], "Unused"
	if rest, star := strings.CutPrefix(name, "*"); star {
		if open == nil || open.name != rest {
			return missing
		}
		m, err := parse(open.parts.pem)
		if err != nil || len(m.certs) == 0 {
			return missing
		}
		var leaf *x509.Certificate
		if c, err := (&material{certs: m.certs, keys: m.keys}).pair(); err == nil {
			leaf = c.Leaf
		} else {
			leaf = m.certs[0]
		}
		return fmt.Sprintf("Filename: %s\nStatus: %s\n", name, status) + describe(leaf) + described(s.chainOf(m, leaf)) + "OCSP Response Key: \n"
	}
	if p == nil {
		return missing
	}
	if p.cert == nil {
		return fmt.Sprintf("Filename: %s\nStatus: Empty\nOCSP Response Key: \n", name)
	}
	if s.uses(name) > 0 {
		status = "Used"
	}
	return fmt.Sprintf("Filename: %s\nStatus: %s\n", name, status) + describe(p.cert.Leaf) + described(p.others) + "OCSP Response Key: " + hex.EncodeToString(p.responseKey()) + "\n"
}

// described are the lines on a chain.
func described(chain []*x509.Certificate) string {
	var b strings.Builder
	for _, c := range chain {
		fmt.Fprintf(&b, "Chain Subject: %s\nChain Issuer: %s\n", oneline(c.RawSubject), oneline(c.RawIssuer))
	}
	return b.String()
}

// openSSLTime is how OpenSSL prints a time.
const openSSLTime = "Jan _2 15:04:05 2006 GMT"

// describe are the lines on one certificate.
func describe(c *x509.Certificate) string {
	var alt []string
	for _, n := range c.DNSNames {
		alt = append(alt, "DNS:"+n)
	}
	// HAProxy leaves a gap for each of another kind.
	for range len(c.EmailAddresses) + len(c.IPAddresses) + len(c.URIs) {
		alt = append(alt, "")
	}
	algorithm := ""
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		algorithm = "RSA" + strconv.Itoa(k.N.BitLen())
	case *ecdsa.PublicKey:
		algorithm = "EC" + strconv.Itoa(k.Params().BitSize)
	}
	return fmt.Sprintf("Serial: %s\nnotBefore: %s\nnotAfter: %s\nSubject Alternative Name: %s\nAlgorithm: %s\nSHA1 FingerPrint: %X\nSubject: %s\nIssuer: %s\n",
		number(c.SerialNumber), c.NotBefore.UTC().Format(openSSLTime), c.NotAfter.UTC().Format(openSSLTime), strings.Join(alt, ", "), algorithm,
		sha1.Sum(c.Raw), oneline(c.RawSubject), oneline(c.RawIssuer))
}

// number is a serial number in whole bytes.
func number(n *big.Int) string {
	if n.Sign() == 0 {
		return "00"
	}
	return fmt.Sprintf("%X", n.Bytes())
}

// nameSET is a part of a distinguished name; encoding/asn1 knows the form by the
// end of its name.
type nameSET []struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

// oneline is a name as OpenSSL's X509_NAME_oneline has it.
func oneline(raw []byte) string {
	var parts []nameSET
	if _, err := asn1.Unmarshal(raw, &parts); err != nil {
		return ""
	}
	short := map[string]string{
		"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
		"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.15": "businessCategory", "2.5.4.17": "postalCode", "2.5.4.42": "GN",
		"2.5.4.97": "organizationIdentifier", "1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
	}
	var b strings.Builder
	for _, set := range parts {
		for _, e := range set {
			id := e.ID.String()
			if n := short[id]; n != "" {
				id = n
			}
			b.WriteString("/" + id + "=")
			for _, c := range e.Value.Bytes {
				if c < ' ' || c > '~' {
					fmt.Fprintf(&b, "\\x%02X", c)
				} else {
					b.WriteByte(c)
				}
			}
		}
	}
	return b.String()
}

// showFile lists the ca-files or crl-files, or describes one.
func (s *Store) showFile(k *kind, name string) string {
	open := *k.open(s)
	if name == "" {
		return s.listFiles(k, open)
	}
	whole := name
	name, index, given := strings.Cut(name, ":")
	only, err := strconv.Atoi(index)
	if given && (err != nil || only <= 0) {
		return fmt.Sprintf("wrong %s index after colons in '%s'!", strings.ToUpper(strings.TrimSuffix(k.word, "-file")), whole)
	}
	status := "Unused"
	data := s.dataOf(k, name)
	if rest, star := strings.CutPrefix(name, "*"); star && open != nil && open.name == rest {
		data = open.data
	} else if star || !k.exists(s, name) {
		return fmt.Sprintf("Can't display the %s : Not found!", k.title)
	} else if s.usesFile(k, name) > 0 {
		status = "Used"
	}
	if data == nil && name != systemCA {
		if k == caKind {
			return "" // as HAProxy, which says nothing of a new one
		}
		status = "Empty"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Filename: %s\nStatus: %s\n", name, status)
	var all []string
	if k == caKind {
		certs := s.cas[name]
		if data != nil {
			certs, _ = newAuthorities(name, data)
		}
		for _, c := range certs.certs {
			all = append(all, describe(c))
		}
	} else if lists, err := parseRevocations(name, data); err == nil {
		for _, l := range lists.order {
			all = append(all, describeList(l))
		}
	}
	if k == caKind && only > len(all) { // of revocation lists HAProxy shows the head all the same
		return ""
	}
	title := "Certificate"
	if k == crlKind {
		title = "Certificate Revocation List"
	}
	for i, text := range all {
		if only == 0 || only == i+1 {
			fmt.Fprintf(&b, " \n%s #%d:\n%s", title, i+1, text)
		}
	}
	return b.String()
}

// dataOf is the text that a file was made of; nil if it is empty, or was not
// kept.
func (s *Store) dataOf(k *kind, name string) []byte {
	if r := s.crls[name]; k == crlKind && r != nil {
		return r.data
	}
	if a := s.cas[name]; k == caKind && a != nil {
		return a.data
	}
	return nil
}

func (s *Store) listFiles(k *kind, open *transaction) string {
	var b strings.Builder
	count := func(name string, n int) string {
		if k == caKind {
			return fmt.Sprintf("%s - %d certificate(s)\n", name, n)
		}
		return name + "\n"
	}
	if open != nil {
		n := 0
		if a, err := newAuthorities(open.name, open.data); err == nil {
			n = len(a.certs)
		}
		b.WriteString("# transaction\n" + count("*"+open.name, n))
	}
	b.WriteString("# filename\n")
	if k == crlKind {
		for _, n := range sortedKeys(s.crls) {
			b.WriteString(count(n, 0))
		}
		return b.String()
	}
	for _, n := range sortedKeys(s.cas) {
		b.WriteString(count(n, len(s.cas[n].certs)))
	}
	return b.String()
}

// describeList are the lines on one revocation list.
func describeList(l *x509.RevocationList) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Version 2\nSignature Algorithm: %s\nIssuer: %s\nLast Update: %s\nNext Update: %s\n", crlAlgorithm(l.SignatureAlgorithm), oneline(l.RawIssuer),
		l.ThisUpdate.UTC().Format(openSSLTime), l.NextUpdate.UTC().Format(openSSLTime))
	if len(l.RevokedCertificateEntries) == 0 {
		b.WriteString("No Revoked Certificates.\n")
		return b.String()
	}
	b.WriteString("Revoked Certificates:\n")
	for _, e := range l.RevokedCertificateEntries {
		fmt.Fprintf(&b, "    Serial Number: %s\n        Revocation Date: %s\n", number(e.SerialNumber), e.RevocationTime.UTC().Format(openSSLTime))
	}
	return b.String()
}

func crlAlgorithm(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.SHA1WithRSA:
		return "sha1WithRSAEncryption"
	case x509.SHA256WithRSA:
		return "sha256WithRSAEncryption"
	case x509.SHA384WithRSA:
		return "sha384WithRSAEncryption"
	case x509.SHA512WithRSA:
		return "sha512WithRSAEncryption"
	case x509.ECDSAWithSHA256:
		return "ecdsa-with-SHA256"
	case x509.ECDSAWithSHA384:
		return "ecdsa-with-SHA384"
	case x509.ECDSAWithSHA512:
		return "ecdsa-with-SHA512"
	}
	return a.String()
}

// certID is RFC 6960's CertID.
type certID struct {
	Hash struct {
		ID     asn1.ObjectIdentifier
		Params asn1.RawValue
	}
	Name, Key []byte
	Serial    *big.Int
}

// id is the CertID that OpenSSL makes of a certificate and its issuer.
func (q *pair) id() certID {
	var spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	_, _ = asn1.Unmarshal(q.issuer.RawSubjectPublicKeyInfo, &spki) // x509 has parsed it
	name, key := sha1.Sum(q.issuer.RawSubject), sha1.Sum(spki.Key.Bytes)
	id := certID{Name: name[:], Key: key[:], Serial: q.cert.Leaf.SerialNumber}
	id.Hash.ID, id.Hash.Params = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, asn1.NullRawValue
	return id
}

// responseKey is what commands call the OCSP answer of a certificate; nil: it has
// none.
func (q *pair) responseKey() []byte {
	if q.cert == nil || q.issuer == nil || len(q.cert.OCSPStaple) == 0 {
		return nil
	}
	der, _ := asn1.Marshal(q.id()) // of what has just been made
	return der
}

func parsedOCSP(der []byte) bool {
	_, err := ocsp.ParseResponse(der, nil)
	return err == nil
}

// showOCSP lists the OCSP answers that are stapled, or describes one.
func (s *Store) showOCSP(key string) string {
	var b strings.Builder
	for _, name := range sortedKeys(s.pairs) {
		q := s.pairs[name]
		own := q.responseKey()
		if own == nil {
			continue
		}
		id := q.id()
		if key == "" {
			if b.Len() == 0 {
				b.WriteString("# Certificate IDs\n")
			}
			fmt.Fprintf(&b, "Certificate ID key : %x\n Certificate ID:\n   Issuer Name Hash: %X\n   Issuer Key Hash: %X\n   Serial Number: %s\n", own, id.Name, id.Key, number(id.Serial))
			continue
		}
		if hex.EncodeToString(own) != strings.ToLower(key) {
			continue
		}
		r, err := ocsp.ParseResponseForCert(q.cert.OCSPStaple, q.cert.Leaf, q.issuer)
		if err != nil {
			return err.Error()
		}
		return describeOCSP(r, id)
	}
	if key != "" {
		return "Certificate ID does not match any certificate."
	}
	return b.String()
}

func describeOCSP(r *ocsp.Response, id certID) string {
	next := ""
	if !r.NextUpdate.IsZero() {
		next = "    Next Update: " + r.NextUpdate.UTC().Format(openSSLTime) + "\n"
	}
	responder := fmt.Sprintf("%X", r.ResponderKeyHash)
	if r.RawResponderName != nil {
		responder = strings.ReplaceAll(strings.TrimPrefix(strings.ReplaceAll(oneline(r.RawResponderName), "=", " = "), "/"), "/", ", ")
	}
	return fmt.Sprintf(`OCSP Response Data:
    OCSP Response Status: successful (0x0)
    Response Type: Basic OCSP Response
    Version: 1 (0x0)
    Responder Id: %s
    Produced At: %s
    Responses:
    Certificate ID:
      Hash Algorithm: sha1
      Issuer Name Hash: %X
      Issuer Key Hash: %X
      Serial Number: %s
    Cert Status: good
    This Update: %s
%s`, responder, r.ProducedAt.UTC().Format(openSSLTime), id.Name, id.Key, number(id.Serial), r.ThisUpdate.UTC().Format(openSSLTime), next)
}
