package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
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
	Hello    *Hello   `json:"hello,omitempty"` // nil: Handshake.Capture is 0

	peer, own *x509.Certificate // parsed when they are asked for
}

// Hello is what was kept of a client's hello, as it came. What two bytes name
// takes two bytes.
type Hello struct {
	Version    uint16 `json:"version"` // of TLS, as the hello's first field has it
	Ciphers    []byte `json:"ciphers,omitempty"`
	Extensions []byte `json:"extensions,omitempty"` // their types
	Groups     []byte `json:"groups,omitempty"`     // elliptic curves and what came after them
	Points     []byte `json:"points,omitempty"`     // formats, of one byte each
	Hash       uint64 `json:"hash"`                 // XXH64 of all ciphers
}

// Extensions of a hello (RFC 8422, section 5.1).
const (
	supportedGroups = 10
	pointFormats    = 11
)

// keep takes what a hello says, size bytes of it at most: what comes last is
// cut off.
func keep(said *tls.ClientHelloInfo, size int) *Hello {
	h := &Hello{}
	take := func(list []uint16) (kept []byte) {
		n := min(len(list)*2, size)
		for _, id := range list {
			kept = binary.BigEndian.AppendUint16(kept, id)
		}
		size -= n
		return kept[:n]
	}
	all := make([]byte, 0, 2*len(said.CipherSuites))
	for _, id := range said.CipherSuites {
		all = binary.BigEndian.AppendUint16(all, id)
	}
	h.Hash = xxhash.Sum64(all)
	h.Ciphers = take(said.CipherSuites)
	seen := said.Extensions[:min(len(said.Extensions), size/2)] // the rest is not looked at, as with HAProxy
	h.Extensions = take(seen)
	if slices.Contains(seen, supportedGroups) {
		groups := make([]uint16, len(said.SupportedCurves))
		for i, id := range said.SupportedCurves {
			groups[i] = uint16(id)
		}
		h.Groups = take(groups)
	}
	if slices.Contains(seen, pointFormats) {
		h.Points = bytes.Clone(said.SupportedPoints[:min(len(said.SupportedPoints), size)])
	}
	return h
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

// Said gives what was kept of the client's hello: its version, the lists of
// ciphers, extensions, groups and formats of points, and the hash of all ciphers.
func (d *Detail) Said() (version uint16, lists [4][]byte, hash uint64, kept bool) {
	if d.Hello == nil {
		return 0, lists, 0, false
	}
	h := d.Hello
	return h.Version, [4][]byte{h.Ciphers, h.Extensions, h.Groups, h.Points}, h.Hash, true
}

// size is about how many bytes it takes when it is encoded.
func (d *Detail) size() int {
	if d == nil {
		return 0
	}
	n := 400 + len(d.OwnDER)*4/3
	if h := d.Hello; h != nil {
		n += 200 + (len(h.Ciphers)+len(h.Extensions)+len(h.Groups)+len(h.Points))*4/3
	}
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
	if d.Hello = h.said; d.Hello != nil {
		d.Hello.Version = h.watch.HelloVersion()
	}
	return d
}

// Said is told, within the handshake, what the client's hello says.
func (p *pipe) Said(hello *tls.ClientHelloInfo) {
	if p.hs == nil {
		return
	}
	if len(hello.SupportedVersions) > 0 {
		p.hs.highest = slices.Max(hello.SupportedVersions)
	}
	if p.hs.asked = hello.ServerName; p.hs.Capture > 0 {
		p.hs.said = keep(hello, p.hs.Capture)
	}
}

// Narrow has other cipher suites stand in a client's hello for crypto/tls to choose
// among, until it answers: should it ask for another hello, it compares the two. The
// bytes of the hello are the client's all the while.
func (p *pipe) Narrow(hello *tls.ClientHelloInfo, suites []uint16) {
	if h := p.hs; h != nil {
		h.offered, h.whole = hello.CipherSuites, slices.Clone(hello.CipherSuites)
		copy(h.offered, suites)
	}
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

// Elsewhere has compute run where it keeps no loop from its other connections.
func (p *pipe) Elsewhere(compute func() ([]byte, error)) ([]byte, error) {
	if p.hs == nil || p.hs.Turns == nil {
		return compute()
	}
	return p.hs.elsewhere(compute)
}
