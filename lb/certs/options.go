package certs

import (
	"cmp"
	"crypto/tls"
	"strings"
)

// Settings are what a bind line says about handshakes, or a line of a crt-list
// in its place.
type Settings struct {
	ALPN []string
	// MinVersion and MaxVersion are crypto/tls constants; 0 is TLS 1.2 and the
	// newest.
	MinVersion, MaxVersion uint16
	// Ciphers for TLS 1.2 and older; nil is Go's choice.
	Ciphers []uint16
	// Suites are TLS 1.3's: the first one that the client has, too, is taken, or
	// with ClientOrder the client's first; nil is Go's choice.
	Suites      []uint16
	ClientOrder bool
	Curves      []tls.CurveID // nil is Go's choice
	// CAFile has the authorities for clients' certificates; VerifyFile has more
	// of them, whose names are not sent. CRLFile has revocation lists.
	CAFile, VerifyFile, CRLFile string
	// Verify says whether clients must show a certificate: "none" or "",
	// "optional", "required".
	Verify    string
	NoCANames bool // the authorities' names are not sent
	// What is wrong with a certificate and let pass, of those above it and of
	// the client's own.
	CAIgnore, CrtIgnore Ignore
}

// over gives what a line of a crt-list says, and the bind line's where it says
// nothing.
func (s Settings) over(bind Settings) Settings {
	out := bind
	if s.ALPN != nil {
		out.ALPN = s.ALPN
	}
	if s.MinVersion != 0 || s.MaxVersion != 0 {
		out.MinVersion, out.MaxVersion = s.MinVersion, s.MaxVersion
	}
	if s.Ciphers != nil {
		out.Ciphers = s.Ciphers
	}
	if s.Suites != nil {
		out.Suites = s.Suites
	}
	if s.Curves != nil {
		out.Curves = s.Curves
	}
	out.CAFile = cmp.Or(s.CAFile, bind.CAFile)
	out.VerifyFile = cmp.Or(s.VerifyFile, bind.VerifyFile)
	out.CRLFile = cmp.Or(s.CRLFile, bind.CRLFile)
	out.Verify = cmp.Or(s.Verify, bind.Verify)
	out.NoCANames = s.NoCANames || bind.NoCANames
	return out
}

// Source is where certificates of a bind line come from.
type Source struct {
	Path string // a PEM file, a directory of such, or a crt-list
	List bool   // it is a crt-list
}

// name is the source's, to commands about lists.
func (s Source) name() string {
	if s.List {
		return s.Path
	}
	return strings.TrimSuffix(s.Path, "/")
}

// Options are what a bind line says about TLS.
type Options struct {
	Name string // of the line, for commands
	// Sources are its certificates, in order. The first one is the default.
	Sources []Source
	// StrictSNI refuses clients whose name no certificate has, instead of
	// giving them the default one.
	StrictSNI bool
	// NoTickets turns session tickets off.
	NoTickets bool
	// TicketKeys is a file of keys for session tickets; "": lb makes its own.
	TicketKeys string
	Signing    Signing
	Settings
}

// Note is something an operator should know although the certificates can be
// used.
type Note struct {
	File string
	Text string
}
