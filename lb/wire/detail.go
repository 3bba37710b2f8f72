package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
)

// Detail is what is kept of a handshake for rules and logs that ask for it:
// certificates, and what the hellos said. Owned by the loop.
type Detail struct {
	Shown    [][]byte `json:"shown,omitempty"` // the peer's certificate and those above it, DER
	OwnDER   []byte   `json:"own,omitempty"`   // ours
	Fresh    bool     `json:"fresh,omitempty"` // the peer showed its certificate in this handshake
	Errors   [4]int   `json:"errors"`          // Verdict's
	Client   []byte   `json:"client,omitempty"`
	Server   []byte   `json:"server,omitempty"`
	ID       []byte   `json:"id,omitempty"`
	UniqueID []byte   `json:"unique,omitempty"`

	peer, own *x509.Certificate // parsed when they are asked for
}

// Peer is the peer's certificate; nil: it showed none.
func (d *Detail) Peer() *x509.Certificate {
	if d.peer == nil && len(d.Shown) > 0 {
		d.peer, _ = x509.ParseCertificate(d.Shown[0])
	}
	return d.peer
}

// Chain is what the peer showed, its own certificate first, in DER.
func (d *Detail) Chain() [][]byte { return d.Shown }

// Own is our certificate; nil: we showed none.
func (d *Detail) Own() *x509.Certificate {
	if d.own == nil && d.OwnDER != nil {
		d.own, _ = x509.ParseCertificate(d.OwnDER)
	}
	return d.own
}

// ShownNow reports whether the peer showed its certificate in this handshake,
// and not in one whose session was resumed.
func (d *Detail) ShownNow() bool { return d.Fresh }

// Verdict gives OpenSSL's numbers of what was let pass of the peer's
// certificate, of one above it and how far above, and the last one.
func (d *Detail) Verdict() (crt, ca, depth, last int) {
	return d.Errors[0], d.Errors[1], d.Errors[2], d.Errors[3]
}

// Randoms are the client's and the server's.
func (d *Detail) Randoms() (client, server []byte) { return d.Client, d.Server }

// SessionID is what the server's hello had.
func (d *Detail) SessionID() []byte { return d.ID }

// Unique is RFC 5929's tls-unique; nil in TLS 1.3, which has none.
func (d *Detail) Unique() []byte { return d.UniqueID }

// size is about how many bytes it takes when it is encoded.
func (d *Detail) size() int {
	if d == nil {
		return 0
	}
	n := 400 + len(d.OwnDER)*4/3
	for _, b := range d.Shown {
		n += len(b)*4/3 + 4
	}
	return n
}

// detail gathers it after a handshake, before the watch is used up.
func (h *Handshake) detail(state *tls.ConnectionState) *Detail {
	d := &Detail{Fresh: !state.DidResume && len(state.PeerCertificates) > 0, Errors: h.passed, UniqueID: bytes.Clone(state.TLSUnique)}
	for _, c := range state.PeerCertificates {
		d.Shown = append(d.Shown, c.Raw)
	}
	if len(state.PeerCertificates) > 0 {
		d.peer = state.PeerCertificates[0]
	}
	if h.own != nil {
		d.own, d.OwnDER = h.own, h.own.Raw
	}
	d.Client, d.Server, d.ID = h.watch.Hellos()
	return d
}

// Chosen is told, within the handshake, which certificate a server shows.
func (p *pipe) Chosen(c *x509.Certificate) {
	if p.hs != nil {
		p.hs.own = c
	}
}

// LetPass is told, within the handshake, what was let pass of a certificate:
// see Detail.Verdict.
func (p *pipe) LetPass(crt, ca, depth, last int) {
	if p.hs != nil {
		p.hs.passed = [4]int{crt, ca, depth, last}
	}
}
