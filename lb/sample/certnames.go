package sample

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"strconv"
)

// What PROXY headers say of certificates. Each is "" for no certificate.

// CommonName is the subject's first common name.
func CommonName(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	var rdns []nameSET
	if _, err := asn1.Unmarshal(c.RawSubject, &rdns); err != nil {
		return ""
	}
	return string(appendEntry(nil, rdns, "CN", 1))
}

// KeyKind is the certificate's key, by its kind and size: RSA2048, EC256.
func KeyKind(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA" + strconv.Itoa(k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC" + strconv.Itoa(k.Params().BitSize)
	}
	return ""
}

// SignatureKind is how the certificate was signed: RSA-SHA256.
func SignatureKind(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return signatureAlgorithm(c)
}
