package certs

import (
	"crypto/tls"
	"crypto/x509"
)

// Options are what a bind line says about TLS.
type Options struct {
	// Files are PEM files with a certificate chain and its key, or directories
	// of such files. The first certificate is the default.
	Files []string
	// StrictSNI refuses clients whose name no certificate has, instead of
	// giving them the default one.
	StrictSNI bool
	ALPN      []string
	// MinVersion and MaxVersion are crypto/tls constants; 0 is TLS 1.2 and the
	// newest.
	MinVersion, MaxVersion uint16
	// Ciphers for TLS 1.2 and older; nil is Go's choice. TLS 1.3's are fixed.
	Ciphers []uint16
	// ClientCA is a PEM file of authorities for clients' certificates.
	ClientCA string
	// Verify says whether clients must show one: tls.NoClientCert,
	// tls.VerifyClientCertIfGiven (optional) or
	// tls.RequireAndVerifyClientCert (required).
	Verify tls.ClientAuthType
	// NoTickets turns session tickets off.
	NoTickets bool
	// Loaded is called with each certificate that is used; nil is not.
	Loaded func(file string, leaf *x509.Certificate)
}

// Note is something an operator should know although the certificates can be
// used.
type Note struct {
	File string
	Text string
}
