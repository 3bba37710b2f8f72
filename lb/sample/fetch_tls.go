package sample

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"time"
)

// TLSDetail is what a handshake left for whoever asks for certificates.
type TLSDetail interface {
	// Peer is the peer's certificate, Own is ours; nil: none was shown.
	Peer() *x509.Certificate
	Own() *x509.Certificate
	// Chain is what the peer showed, its own certificate first, in DER.
	Chain() [][]byte
	// ShownNow reports whether the peer showed it in this handshake.
	ShownNow() bool
	// Verdict gives OpenSSL's numbers of what was let pass: of the peer's
	// certificate, of one above it and how far above, and the last one.
	Verdict() (crt, ca, depth, last int)
	Randoms() (client, server []byte)
	SessionID() []byte
	Unique() []byte
	// Said gives what was kept of the client's hello: the version, its lists
	// (HelloCiphers and so on), and XXH64 of all ciphers.
	Said() (version uint16, lists [4][]byte, hash uint64, kept bool)
}

// tlsSide is one of a TLS connection's two certificates, or one of the two
// connections.
type tlsSide struct {
	prefix string // of the fetches' names
	needs  Needs
	facts  func(*Record) *TLSFacts
	cert   func(TLSDetail) *x509.Certificate
}

// afterHandshake is where TLS has been agreed on.
const afterHandshake = Anywhere &^ InConn

// where is what sees the side: a connection to a server is there once it has answered.
func (s tlsSide) where() Where {
	if s.needs == NeedsBackTLS {
		return InResponse | InLog
	}
	return afterHandshake
}

func frontTLS(r *Record) *TLSFacts { return &r.TLSFacts }
func backTLS(r *Record) *TLSFacts  { return &r.BackTLS }

// fetchesTLS look at handshakes and certificates (HAProxy configuration manual,
// section 7.3.4).
var fetchesTLS = tlsFetches()

func tlsFetches() []fetchRow {
	var rows []fetchRow
	for _, s := range []tlsSide{
		{"ssl_c_", NeedsTLS, frontTLS, TLSDetail.Peer},
		{"ssl_f_", NeedsTLS, frontTLS, TLSDetail.Own},
		{"ssl_s_", NeedsBackTLS, backTLS, TLSDetail.Peer},
	} {
		rows = append(rows, s.certificate()...)
	}
	for _, s := range []tlsSide{
		{"ssl_fc_", NeedsTLS, frontTLS, nil},
		{"ssl_bc_", NeedsBackTLS, backTLS, nil},
	} {
		rows = append(rows, s.connection()...)
	}
	front := tlsSide{"", NeedsTLS, frontTLS, TLSDetail.Peer}
	verdict := func(get func(crt, ca, depth, last int) int) func(x *Ctx, _ *args) (Value, bool) {
		return func(x *Ctx, _ *args) (Value, bool) {
			if !x.Rec.TLS {
				return Value{}, false
			}
			if f := x.Rec.NotMade; f != nil {
				return IntValue(int64(get(f.Crt, f.CA, f.CADepth, 0))), true
			}
			if x.Rec.Detail == nil {
				return IntValue(0), true // nothing was let pass
			}
			return IntValue(int64(get(x.Rec.Detail.Verdict()))), true
		}
	}
	used := func(x *Ctx, _ *args) (Value, bool) {
		return BoolValue(x.Rec.Detail != nil && x.Rec.Detail.Peer() != nil), x.Rec.TLS
	}
	return append(rows,
		fetchRow{name: "ssl_c_ca_err", kind: Int, where: afterHandshake, get: verdict(func(_, ca, _, _ int) int { return ca })},
		fetchRow{name: "ssl_c_ca_err_depth", kind: Int, where: afterHandshake, get: verdict(func(_, _, depth, _ int) int { return depth })},
		fetchRow{name: "ssl_c_err", kind: Int, where: afterHandshake, get: verdict(func(crt, _, _, _ int) int { return crt })},
		fetchRow{name: "ssl_c_verify", kind: Int, where: afterHandshake, get: func(x *Ctx, a *args) (Value, bool) {
			if x.Rec.NotMade != nil {
				return Value{}, false // the handshake has no end
			}
			return verdict(func(_, _, _, last int) int { return last })(x, a)
		}},
		fetchRow{name: "ssl_c_used", kind: Bool, where: afterHandshake, needs: front.needs, get: used},
		fetchRow{name: "ssl_fc_has_crt", kind: Bool, where: afterHandshake, needs: front.needs, get: func(x *Ctx, _ *args) (Value, bool) {
			return BoolValue(x.Rec.Detail != nil && x.Rec.Detail.ShownNow()), x.Rec.TLS && x.Rec.NotMade == nil
		}},
		fetchRow{name: "ssl_fc_has_early", kind: Bool, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) {
			return BoolValue(false), x.Rec.TLS // early data is not taken
		}},
	)
}

// certificate gives the rows about one certificate.
func (s tlsSide) certificate() []fetchRow {
	row := func(name string, kind Kind, get func(x *Ctx, c *x509.Certificate) (Value, bool)) fetchRow {
		return fetchRow{name: s.prefix + name, kind: kind, where: s.where(), needs: s.needs, get: func(x *Ctx, _ *args) (Value, bool) {
			if c := s.of(x); c != nil {
				return get(x, c)
			}
			return Value{}, false
		}}
	}
	bin := func(b []byte) (Value, bool) { return Value{kind: Bin, b: b}, true }
	rows := []fetchRow{
		row("der", Bin, func(_ *Ctx, c *x509.Certificate) (Value, bool) { return bin(c.Raw) }),
		row("key_alg", Str, func(x *Ctx, c *x509.Certificate) (Value, bool) { return named(x, keyAlgorithm(c)) }),
		row("notafter", Str, func(x *Ctx, c *x509.Certificate) (Value, bool) { return named(x, validity(c, 1)) }),
		row("notbefore", Str, func(x *Ctx, c *x509.Certificate) (Value, bool) { return named(x, validity(c, 0)) }),
		row("serial", Bin, func(_ *Ctx, c *x509.Certificate) (Value, bool) { return bin(c.SerialNumber.Bytes()) }),
		row("sha1", Bin, func(x *Ctx, c *x509.Certificate) (Value, bool) {
			sum := sha1.Sum(c.Raw)
			off := len(x.scratch)
			x.scratch = append(x.scratch, sum[:]...)
			return bin(x.scratch[off:])
		}),
		row("sig_alg", Str, func(x *Ctx, c *x509.Certificate) (Value, bool) { return named(x, signatureAlgorithm(c)) }),
		row("version", Int, func(_ *Ctx, c *x509.Certificate) (Value, bool) { return IntValue(int64(c.Version)), true }),
		s.name("s_dn", func(c *x509.Certificate) []byte { return c.RawSubject }),
		s.name("i_dn", func(c *x509.Certificate) []byte { return c.RawIssuer }),
	}
	if s.prefix == "ssl_f_" {
		return rows
	}
	return append(rows, fetchRow{name: s.prefix + "chain_der", kind: Bin, where: s.where(), needs: s.needs, get: func(x *Ctx, _ *args) (Value, bool) {
		d := s.facts(x.Rec).Detail
		if d == nil || !d.ShownNow() { // a session that is resumed has none in OpenSSL
			return Value{}, false
		}
		chain := d.Chain()
		if s.prefix == "ssl_c_" && len(chain) > 0 {
			chain = chain[1:] // as OpenSSL gives it to a server
		}
		off := len(x.scratch)
		for _, der := range chain {
			x.scratch = append(x.scratch, der...)
		}
		return Value{kind: Bin, b: x.scratch[off:]}, len(x.scratch) > off
	}})
}

// of is the certificate of the exchange; nil: there is none.
func (s tlsSide) of(x *Ctx) *x509.Certificate {
	if d := s.facts(x.Rec).Detail; d != nil {
		return s.cert(d)
	}
	return nil
}

// name gives the row about a distinguished name.
func (s tlsSide) name(name string, raw func(*x509.Certificate) []byte) fetchRow {
	return fetchRow{
		name: s.prefix + name, args: "s?i?s?", kind: Str, where: afterHandshake, needs: s.needs,
		check: func(a *args) error {
			if a.s[2] != "" && a.s[2] != "rfc2253" {
				return errors.New("'rfc2253' is the only format, not '" + a.s[2] + "'")
			}
			return nil
		},
		get: func(x *Ctx, a *args) (Value, bool) {
			c := s.of(x)
			if c == nil {
				return Value{}, false
			}
			var rdns []nameSET
			if _, err := asn1.Unmarshal(raw(c), &rdns); err != nil {
				return Value{}, false
			}
			off := len(x.scratch)
			switch {
			case a.s[0] != "":
				x.scratch = appendEntry(x.scratch, rdns, a.s[0], a.n[1])
			case a.s[2] == "rfc2253":
				x.scratch = appendRFC2253(x.scratch, rdns)
			default:
				x.scratch = appendOneline(x.scratch, rdns)
			}
			return StrValue(x.scratch[off:]), len(x.scratch) > off
		},
	}
}

// connection gives the rows about one connection's handshake.
func (s tlsSide) connection() []fetchRow {
	row := func(name string, get func(d TLSDetail) []byte) fetchRow {
		return fetchRow{name: s.prefix + name, kind: Bin, where: s.where(), needs: s.needs, get: func(x *Ctx, _ *args) (Value, bool) {
			d := s.facts(x.Rec).Detail
			if d == nil {
				return Value{}, false
			}
			b := get(d)
			return Value{kind: Bin, b: b}, len(b) > 0
		}}
	}
	size := func(name string, of func(cipher string) int64) fetchRow {
		return fetchRow{name: s.prefix + name, kind: Int, where: s.where(), get: func(x *Ctx, _ *args) (Value, bool) {
			f := s.facts(x.Rec)
			return IntValue(of(f.Cipher)), f.TLSVer != ""
		}}
	}
	return []fetchRow{
		size("alg_keysize", func(c string) int64 { all, _ := keySizes(c); return all }),
		size("use_keysize", func(c string) int64 { _, used := keySizes(c); return used }),
		row("client_random", func(d TLSDetail) []byte { c, _ := d.Randoms(); return c }),
		row("server_random", func(d TLSDetail) []byte { _, r := d.Randoms(); return r }),
		row("session_id", TLSDetail.SessionID),
		row("unique_id", TLSDetail.Unique),
		{name: s.prefix + "err_str", kind: Str, where: s.where(), get: func(x *Ctx, _ *args) (Value, bool) {
			if f := s.facts(x.Rec).NotMade; f != nil && f.TLSText != "" {
				return named(x, f.TLSText)
			}
			return Value{}, false
		}},
		{name: s.prefix + "npn", kind: Str, where: s.where(), get: func(*Ctx, *args) (Value, bool) { return Value{}, false }},
	}
}

// keySizes are the bits of a cipher's key, and those of them that count.
func keySizes(cipher string) (all, used int64) {
	switch {
	case strings.Contains(cipher, "3DES") || strings.Contains(cipher, "DES-CBC3"):
		return 168, 112
	case strings.Contains(cipher, "128"):
		return 128, 128
	}
	return 256, 256
}

// nameSET is a part of a distinguished name.
type nameSET []nameEntry

type nameEntry struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

// shortNames are OpenSSL's, by what follows the arc 2.5.4.
var shortNames = map[int]string{
	3: "CN", 4: "SN", 5: "serialNumber", 6: "C", 7: "L", 8: "ST", 9: "street", 10: "O", 11: "OU", 12: "title", 13: "description",
	15: "businessCategory", 16: "postalAddress", 17: "postalCode", 20: "telephoneNumber", 41: "name", 42: "GN", 43: "initials",
	44: "generationQualifier", 46: "dnQualifier", 65: "pseudonym", 97: "organizationIdentifier",
}

// otherNames are OpenSSL's of other arcs.
var otherNames = map[string]string{
	"1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

// short is how OpenSSL calls the kind of an entry.
func (e *nameEntry) short() string {
	if len(e.ID) == 4 && e.ID[0] == 2 && e.ID[1] == 5 && e.ID[2] == 4 {
		if n, ok := shortNames[e.ID[3]]; ok {
			return n
		}
	}
	dotted := e.ID.String()
	if n, ok := otherNames[dotted]; ok {
		return n
	}
	return dotted
}

// appendOneline appends a name as HAProxy shows it: "/C=FR/CN=x".
func appendOneline(b []byte, rdns []nameSET) []byte {
	for _, set := range rdns {
		for i := range set {
			b = append(append(append(b, '/'), set[i].short()...), '=')
			b = append(b, set[i].Value.Bytes...)
		}
	}
	return b
}

// appendEntry appends an entry of a kind: the first one, or number n, counted
// from the end if n is negative.
func appendEntry(b []byte, rdns []nameSET, kind string, n int64) []byte {
	if n == 0 {
		n = 1
	}
	var all []*nameEntry
	for _, set := range rdns {
		for i := range set {
			if e := &set[i]; strings.EqualFold(e.short(), kind) || e.ID.String() == kind {
				all = append(all, e)
			}
		}
	}
	i := n - 1
	if n < 0 {
		i = int64(len(all)) + n
	}
	if i < 0 || i >= int64(len(all)) {
		return b
	}
	return append(b, all[i].Value.Bytes...)
}

// appendRFC2253 appends a name as RFC 2253 writes it, the last part first.
func appendRFC2253(b []byte, rdns []nameSET) []byte {
	for i := len(rdns) - 1; i >= 0; i-- {
		if i < len(rdns)-1 {
			b = append(b, ',')
		}
		for k := len(rdns[i]) - 1; k >= 0; k-- {
			if k < len(rdns[i])-1 {
				b = append(b, '+')
			}
			e := &rdns[i][k]
			b = append(append(b, e.short()...), '=')
			b = appendEscaped(b, e.Value.Bytes)
		}
	}
	return b
}

func appendEscaped(b, text []byte) []byte {
	for i, c := range text {
		switch {
		case c < ' ' || c >= 0x7f:
			const digits = "0123456789ABCDEF"
			b = append(b, '\\', digits[c>>4], digits[c&15])
			continue
		case bytes.IndexByte([]byte(`,+"\<>;`), c) >= 0, i == 0 && (c == ' ' || c == '#'), i == len(text)-1 && c == ' ':
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return b
}

// validity gives a time of a certificate as it is written in it, without the
// century: number 0 is the first of both. As with HAProxy there is none after
// 2099.
func validity(c *x509.Certificate, i int) string {
	t := [...]time.Time{c.NotBefore, c.NotAfter}[i].UTC()
	if t.Year() >= 2100 {
		return ""
	}
	return t.Format("060102150405Z")
}

// keyAlgorithm is OpenSSL's short name for the kind of key.
func keyAlgorithm(c *x509.Certificate) string {
	switch c.PublicKeyAlgorithm {
	case x509.RSA:
		return "rsaEncryption"
	case x509.ECDSA:
		return "id-ecPublicKey"
	case x509.Ed25519:
		return "ED25519"
	case x509.DSA:
		return "DSA"
	}
	return "UNDEF"
}

// signatureAlgorithm is OpenSSL's short name for how the certificate was signed.
func signatureAlgorithm(c *x509.Certificate) string {
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA:
		return "RSA-MD5"
	case x509.SHA1WithRSA:
		return "RSA-SHA1"
	case x509.SHA256WithRSA:
		return "RSA-SHA256"
	case x509.SHA384WithRSA:
		return "RSA-SHA384"
	case x509.SHA512WithRSA:
		return "RSA-SHA512"
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return "RSASSA-PSS"
	case x509.ECDSAWithSHA1:
		return "ecdsa-with-SHA1"
	case x509.ECDSAWithSHA256:
		return "ecdsa-with-SHA256"
	case x509.ECDSAWithSHA384:
		return "ecdsa-with-SHA384"
	case x509.ECDSAWithSHA512:
		return "ecdsa-with-SHA512"
	case x509.PureEd25519:
		return "ED25519"
	}
	return "UNDEF"
}
