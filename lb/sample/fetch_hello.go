package sample

import (
	"encoding/binary"
	"fmt"
)

// What a client's TLS hello said (HAProxy configuration manual, section 7.3.4),
// of which fingerprints such as JA3 are made. tune.ssl.capture-buffer-size says
// how much of it is kept; without it there is nothing.

// The lists that TLSDetail.Said gives.
const (
	helloCiphers = iota
	helloExtensions
	helloGroups
	helloPoints
)

var fetchesHello = []fetchRow{
	helloList("ssl_fc_cipherlist_bin", Bin, helloCiphers, appendBytes),
	helloList("ssl_fc_cipherlist_hex", Str, helloCiphers, appendHex),
	helloList("ssl_fc_cipherlist_str", Str, helloCiphers, appendCipherNames),
	helloList("ssl_fc_eclist_bin", Bin, helloGroups, appendBytes),
	helloList("ssl_fc_extlist_bin", Bin, helloExtensions, appendBytes),
	{name: "ssl_fc_cipherlist_xxh", kind: Int, where: afterHandshake, needs: NeedsTLS, get: func(x *Ctx, _ *args) (Value, bool) {
		_, _, hash, kept := x.helloSaid()
		return IntValue(int64(hash)), kept
	}},
	{name: "ssl_fc_ecformats_bin", kind: Bin, where: afterHandshake, needs: NeedsTLS, get: func(x *Ctx, _ *args) (Value, bool) {
		_, lists, _, kept := x.helloSaid()
		return Value{kind: Bin, b: lists[helloPoints]}, kept
	}},
	{name: "ssl_fc_protocol_hello_id", kind: Int, where: afterHandshake, needs: NeedsTLS, get: func(x *Ctx, _ *args) (Value, bool) {
		version, _, _, kept := x.helloSaid()
		return IntValue(int64(version)), kept
	}},
}

// helloSaid is TLSDetail.Said of the client's connection.
func (x *Ctx) helloSaid() (version uint16, lists [4][]byte, hash uint64, kept bool) {
	if x.Rec.Detail == nil {
		return 0, lists, 0, false
	}
	return x.Rec.Detail.Said()
}

// helloList is the fetch of a list of numbers of two bytes. With an argument
// other than 0 it leaves out those that mean nothing: GREASE (RFC 8701).
func helloList(name string, kind Kind, list int, show func(dst []byte, ids []byte, grease bool) []byte) fetchRow {
	return fetchRow{name: name, args: "i?", kind: kind, where: afterHandshake, needs: NeedsTLS, get: func(x *Ctx, a *args) (Value, bool) {
		_, lists, _, kept := x.helloSaid()
		if !kept {
			return Value{}, false
		}
		off := len(x.scratch)
		x.scratch = show(x.scratch, lists[list], a.n[0] == 0)
		return Value{kind: kind, b: x.scratch[off:]}, true
	}}
}

// wanted calls each with the numbers of a list, and with a byte that is left.
func wanted(ids []byte, grease bool, each func(id []byte)) {
	for ; len(ids) > 1; ids = ids[2:] {
		if grease || ids[0] != ids[1] || ids[0]&0x0f != 0x0a {
			each(ids[:2])
		}
	}
	if len(ids) > 0 {
		each(ids)
	}
}

func appendBytes(dst, ids []byte, grease bool) []byte {
	wanted(ids, grease, func(id []byte) { dst = append(dst, id...) })
	return dst
}

func appendHex(dst, ids []byte, grease bool) []byte {
	const digits = "0123456789ABCDEF"
	wanted(ids, grease, func(id []byte) {
		for _, b := range id {
			dst = append(dst, digits[b>>4], digits[b&15])
		}
	})
	return dst
}

// appendCipherNames appends OpenSSL's names of ciphers.
func appendCipherNames(dst, ids []byte, grease bool) []byte {
	from := len(dst)
	wanted(ids, grease, func(id []byte) {
		if len(id) < 2 {
			return
		}
		if len(dst) > from {
			dst = append(dst, ',')
		}
		n := binary.BigEndian.Uint16(id)
		if name := opensslCiphers[n]; name != "" {
			dst = append(dst, name...)
		} else {
			dst = fmt.Appendf(dst, "UNKNOWN(%04x)", n)
		}
	})
	return dst
}

// opensslCiphers are the names that OpenSSL 3.0 has for ciphers, by their
// numbers at IANA.
var opensslCiphers = map[uint16]string{
	0x00ff: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV", 0x5600: "TLS_FALLBACK_SCSV", // which are none
	0x0001: "NULL-MD5", 0x0002: "NULL-SHA", 0x002c: "PSK-NULL-SHA", 0x002d: "DHE-PSK-NULL-SHA", 0x002e: "RSA-PSK-NULL-SHA", 0x002f: "AES128-SHA",
	0x0032: "DHE-DSS-AES128-SHA", 0x0033: "DHE-RSA-AES128-SHA", 0x0034: "ADH-AES128-SHA", 0x0035: "AES256-SHA", 0x0038: "DHE-DSS-AES256-SHA",
	0x0039: "DHE-RSA-AES256-SHA", 0x003a: "ADH-AES256-SHA", 0x003b: "NULL-SHA256", 0x003c: "AES128-SHA256", 0x003d: "AES256-SHA256",
	0x0040: "DHE-DSS-AES128-SHA256", 0x0041: "CAMELLIA128-SHA", 0x0044: "DHE-DSS-CAMELLIA128-SHA", 0x0045: "DHE-RSA-CAMELLIA128-SHA",
	0x0046: "ADH-CAMELLIA128-SHA", 0x0067: "DHE-RSA-AES128-SHA256", 0x006a: "DHE-DSS-AES256-SHA256", 0x006b: "DHE-RSA-AES256-SHA256",
	0x006c: "ADH-AES128-SHA256", 0x006d: "ADH-AES256-SHA256", 0x0084: "CAMELLIA256-SHA", 0x0087: "DHE-DSS-CAMELLIA256-SHA",
	0x0088: "DHE-RSA-CAMELLIA256-SHA", 0x0089: "ADH-CAMELLIA256-SHA", 0x008c: "PSK-AES128-CBC-SHA", 0x008d: "PSK-AES256-CBC-SHA",
	0x0090: "DHE-PSK-AES128-CBC-SHA", 0x0091: "DHE-PSK-AES256-CBC-SHA", 0x0094: "RSA-PSK-AES128-CBC-SHA", 0x0095: "RSA-PSK-AES256-CBC-SHA",
	0x009c: "AES128-GCM-SHA256", 0x009d: "AES256-GCM-SHA384", 0x009e: "DHE-RSA-AES128-GCM-SHA256", 0x009f: "DHE-RSA-AES256-GCM-SHA384",
	0x00a2: "DHE-DSS-AES128-GCM-SHA256", 0x00a3: "DHE-DSS-AES256-GCM-SHA384", 0x00a6: "ADH-AES128-GCM-SHA256", 0x00a7: "ADH-AES256-GCM-SHA384",
	0x00a8: "PSK-AES128-GCM-SHA256", 0x00a9: "PSK-AES256-GCM-SHA384", 0x00aa: "DHE-PSK-AES128-GCM-SHA256", 0x00ab: "DHE-PSK-AES256-GCM-SHA384",
	0x00ac: "RSA-PSK-AES128-GCM-SHA256", 0x00ad: "RSA-PSK-AES256-GCM-SHA384", 0x00ae: "PSK-AES128-CBC-SHA256", 0x00af: "PSK-AES256-CBC-SHA384",
	0x00b0: "PSK-NULL-SHA256", 0x00b1: "PSK-NULL-SHA384", 0x00b2: "DHE-PSK-AES128-CBC-SHA256", 0x00b3: "DHE-PSK-AES256-CBC-SHA384",
	0x00b4: "DHE-PSK-NULL-SHA256", 0x00b5: "DHE-PSK-NULL-SHA384", 0x00b6: "RSA-PSK-AES128-CBC-SHA256", 0x00b7: "RSA-PSK-AES256-CBC-SHA384",
	0x00b8: "RSA-PSK-NULL-SHA256", 0x00b9: "RSA-PSK-NULL-SHA384", 0x00ba: "CAMELLIA128-SHA256", 0x00bd: "DHE-DSS-CAMELLIA128-SHA256",
	0x00be: "DHE-RSA-CAMELLIA128-SHA256", 0x00bf: "ADH-CAMELLIA128-SHA256", 0x00c0: "CAMELLIA256-SHA256", 0x00c3: "DHE-DSS-CAMELLIA256-SHA256",
	0x00c4: "DHE-RSA-CAMELLIA256-SHA256", 0x00c5: "ADH-CAMELLIA256-SHA256", 0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384",
	0x1303: "TLS_CHACHA20_POLY1305_SHA256", 0xc006: "ECDHE-ECDSA-NULL-SHA", 0xc009: "ECDHE-ECDSA-AES128-SHA", 0xc00a: "ECDHE-ECDSA-AES256-SHA",
	0xc010: "ECDHE-RSA-NULL-SHA", 0xc013: "ECDHE-RSA-AES128-SHA", 0xc014: "ECDHE-RSA-AES256-SHA", 0xc015: "AECDH-NULL-SHA", 0xc018: "AECDH-AES128-SHA",
	0xc019: "AECDH-AES256-SHA", 0xc01d: "SRP-AES-128-CBC-SHA", 0xc01e: "SRP-RSA-AES-128-CBC-SHA", 0xc01f: "SRP-DSS-AES-128-CBC-SHA",
	0xc020: "SRP-AES-256-CBC-SHA", 0xc021: "SRP-RSA-AES-256-CBC-SHA", 0xc022: "SRP-DSS-AES-256-CBC-SHA", 0xc023: "ECDHE-ECDSA-AES128-SHA256",
	0xc024: "ECDHE-ECDSA-AES256-SHA384", 0xc027: "ECDHE-RSA-AES128-SHA256", 0xc028: "ECDHE-RSA-AES256-SHA384", 0xc02b: "ECDHE-ECDSA-AES128-GCM-SHA256",
	0xc02c: "ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02f: "ECDHE-RSA-AES128-GCM-SHA256", 0xc030: "ECDHE-RSA-AES256-GCM-SHA384",
	0xc035: "ECDHE-PSK-AES128-CBC-SHA", 0xc036: "ECDHE-PSK-AES256-CBC-SHA", 0xc037: "ECDHE-PSK-AES128-CBC-SHA256", 0xc038: "ECDHE-PSK-AES256-CBC-SHA384",
	0xc039: "ECDHE-PSK-NULL-SHA", 0xc03a: "ECDHE-PSK-NULL-SHA256", 0xc03b: "ECDHE-PSK-NULL-SHA384", 0xc050: "ARIA128-GCM-SHA256",
	0xc051: "ARIA256-GCM-SHA384", 0xc052: "DHE-RSA-ARIA128-GCM-SHA256", 0xc053: "DHE-RSA-ARIA256-GCM-SHA384", 0xc056: "DHE-DSS-ARIA128-GCM-SHA256",
	0xc057: "DHE-DSS-ARIA256-GCM-SHA384", 0xc05c: "ECDHE-ECDSA-ARIA128-GCM-SHA256", 0xc05d: "ECDHE-ECDSA-ARIA256-GCM-SHA384",
	0xc060: "ECDHE-ARIA128-GCM-SHA256", 0xc061: "ECDHE-ARIA256-GCM-SHA384", 0xc06a: "PSK-ARIA128-GCM-SHA256", 0xc06b: "PSK-ARIA256-GCM-SHA384",
	0xc06c: "DHE-PSK-ARIA128-GCM-SHA256", 0xc06d: "DHE-PSK-ARIA256-GCM-SHA384", 0xc06e: "RSA-PSK-ARIA128-GCM-SHA256",
	0xc06f: "RSA-PSK-ARIA256-GCM-SHA384", 0xc072: "ECDHE-ECDSA-CAMELLIA128-SHA256", 0xc073: "ECDHE-ECDSA-CAMELLIA256-SHA384",
	0xc076: "ECDHE-RSA-CAMELLIA128-SHA256", 0xc077: "ECDHE-RSA-CAMELLIA256-SHA384", 0xc094: "PSK-CAMELLIA128-SHA256", 0xc095: "PSK-CAMELLIA256-SHA384",
	0xc096: "DHE-PSK-CAMELLIA128-SHA256", 0xc097: "DHE-PSK-CAMELLIA256-SHA384", 0xc098: "RSA-PSK-CAMELLIA128-SHA256",
	0xc099: "RSA-PSK-CAMELLIA256-SHA384", 0xc09a: "ECDHE-PSK-CAMELLIA128-SHA256", 0xc09b: "ECDHE-PSK-CAMELLIA256-SHA384", 0xc09c: "AES128-CCM",
	0xc09d: "AES256-CCM", 0xc09e: "DHE-RSA-AES128-CCM", 0xc09f: "DHE-RSA-AES256-CCM", 0xc0a0: "AES128-CCM8", 0xc0a1: "AES256-CCM8",
	0xc0a2: "DHE-RSA-AES128-CCM8", 0xc0a3: "DHE-RSA-AES256-CCM8", 0xc0a4: "PSK-AES128-CCM", 0xc0a5: "PSK-AES256-CCM", 0xc0a6: "DHE-PSK-AES128-CCM",
	0xc0a7: "DHE-PSK-AES256-CCM", 0xc0a8: "PSK-AES128-CCM8", 0xc0a9: "PSK-AES256-CCM8", 0xc0aa: "DHE-PSK-AES128-CCM8", 0xc0ab: "DHE-PSK-AES256-CCM8",
	0xc0ac: "ECDHE-ECDSA-AES128-CCM", 0xc0ad: "ECDHE-ECDSA-AES256-CCM", 0xc0ae: "ECDHE-ECDSA-AES128-CCM8", 0xc0af: "ECDHE-ECDSA-AES256-CCM8",
	0xcca8: "ECDHE-RSA-CHACHA20-POLY1305", 0xcca9: "ECDHE-ECDSA-CHACHA20-POLY1305", 0xccaa: "DHE-RSA-CHACHA20-POLY1305", 0xccab: "PSK-CHACHA20-POLY1305",
	0xccac: "ECDHE-PSK-CHACHA20-POLY1305", 0xccad: "DHE-PSK-CHACHA20-POLY1305", 0xccae: "RSA-PSK-CHACHA20-POLY1305",
}
