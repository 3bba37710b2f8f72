package stream

import (
	"encoding/binary"

	"lbsyslogd/lb/proxyproto"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// SendProxy is the PROXY header that connections to a server begin with.
// Immutable.
type SendProxy struct {
	Version                     int // 1 or 2; 0: none
	SSL, Cipher                 bool
	CN, KeyAlg, SigAlg          bool // of certificates
	UniqueID, Authority, CRC32C bool
}

// hello makes the header for the exchange's server; "" when it wants none.
func (t *txn) hello() string {
	how := t.be.Outbound[t.srv]
	if how == nil || how.SendProxy.Version == 0 {
		return ""
	}
	from, to := t.rec.Client, t.s.destination()
	if t.rec.FrontAddr.IsValid() {
		to = t.rec.FrontAddr
	}
	if how.SendProxy.Version == 1 {
		return string(proxyproto.AppendV1(nil, from, to))
	}
	p := &how.SendProxy
	var tlvs []proxyproto.TLV
	add := func(typ byte, value string) {
		if value != "" {
			tlvs = append(tlvs, proxyproto.TLV{Type: typ, Value: []byte(value)})
		}
	}
	add(proxyproto.TypeALPN, t.rec.ALPN)
	if p.Authority {
		name := t.rec.SNI
		if about := t.s.announced(); about != nil && about.Authority != "" {
			name = about.Authority
		}
		add(proxyproto.TypeAuthority, name)
	}
	if p.UniqueID {
		tlvs = append(tlvs, proxyproto.TLV{Type: proxyproto.TypeUniqueID, Value: t.rec.UniqueID}) // which was made when the rules ran; empty without unique-id-format
	}
	if p.SSL {
		add(proxyproto.TypeSSL, string(t.tlsValue(p)))
	}
	return string(proxyproto.AppendV2(nil, from, to, tlvs, p.CRC32C))
}

// tlsValue is what the header says of the client's TLS.
func (t *txn) tlsValue(p *SendProxy) []byte {
	const overTLS, certConn, certSess = 1, 2, 4
	value := []byte{0, 0, 0, 0, 0}
	if !t.rec.TLS {
		return value
	}
	value[0] = overTLS
	d := t.rec.Detail
	if d != nil && d.Peer() != nil {
		value[0] |= certSess
		if d.ShownNow() {
			value[0] |= certConn
		}
		_, _, _, last := d.Verdict()
		binary.BigEndian.PutUint32(value[1:], uint32(last))
	}
	add := func(typ byte, text string) {
		if text != "" {
			value = proxyproto.AppendTLV(value, typ, text)
		}
	}
	value = proxyproto.AppendTLV(value, proxyproto.SubSSLVersion, t.rec.TLSVer)
	if p.CN && d != nil {
		add(proxyproto.SubSSLCN, sample.CommonName(d.Peer()))
	}
	if p.KeyAlg && d != nil {
		add(proxyproto.SubSSLKeyAlg, sample.KeyKind(d.Own()))
	}
	if p.SigAlg && d != nil {
		add(proxyproto.SubSSLSigAlg, sample.SignatureKind(d.Own()))
	}
	if p.Cipher {
		add(proxyproto.SubSSLCipher, t.rec.Cipher)
	}
	return value
}

// greeted sends the header that a new connection begins with; it waits while it
// cannot.
func (t *txn) greeted() step {
	c := t.c
	if c.said || c.hello == "" {
		return onward
	}
	n, st := c.Write([]byte(c.hello))
	switch {
	case st == wire.Again:
		return waits
	case st != wire.OK || n < len(c.hello): // a new connection has room for it
		t.serverFailed()
		return left
	}
	c.said = true
	return onward
}
