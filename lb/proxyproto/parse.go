// Package proxyproto reads and writes the PROXY protocol, versions 1 and 2,
// and reads NetScaler's client IP header: what a connection begins with when
// something before us accepted it from the client. Bytes in, a Header out; no
// I/O.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// Header is what stood before a connection's own bytes.
type Header struct {
	// Local says that whoever connected speaks for itself (LOCAL of version 2,
	// UNKNOWN of version 1): the connection's own addresses count.
	Local    bool
	Src, Dst netip.AddrPort // invalid: not given
	TLVs     []TLV          // views of what was parsed
}

// TLV is one piece of version 2's further information.
type TLV struct {
	Type  byte
	Value []byte
}

// Types of TLVs.
const (
	TypeALPN      = 0x01
	TypeAuthority = 0x02
	TypeCRC32C    = 0x03
	TypeNoop      = 0x04
	TypeUniqueID  = 0x05
	TypeSSL       = 0x20
	TypeNetNS     = 0x30

	SubSSLVersion = 0x21
	SubSSLCN      = 0x22
	SubSSLCipher  = 0x23
	SubSSLSigAlg  = 0x24
	SubSSLKeyAlg  = 0x25
)

// Get gives the value of the first TLV of a type.
func (h *Header) Get(typ byte) ([]byte, bool) {
	for _, t := range h.TLVs {
		if t.Type == typ {
			return t.Value, true
		}
	}
	return nil, false
}

// Errors of parsing. ErrShort asks for more bytes.
var (
	ErrShort    = errors.New("the header is not complete")
	ErrNone     = errors.New("no PROXY protocol header")
	ErrBad      = errors.New("an invalid PROXY protocol header")
	ErrProtocol = errors.New("a protocol that PROXY headers are not for")
)

// signature begins version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// maxV1 is the longest line of version 1, with its end.
const maxV1 = 107

// MaxSize is how many bytes of a header are taken.
const MaxSize = 4096

// Parse reads the header that b begins with and gives its size. Views in the
// Header are of b.
func Parse(b []byte) (Header, int, error) {
	switch {
	case len(b) == 0:
		return Header{}, 0, ErrShort
	case b[0] == 'P':
		return parseV1(b)
	case b[0] == signature[0]:
		return parseV2(b)
	}
	return Header{}, 0, ErrNone
}

// parseV1 reads "PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\n".
func parseV1(b []byte) (h Header, n int, err error) {
	const begin = "PROXY "
	if !bytes.HasPrefix(b, []byte(begin)[:min(len(b), len(begin))]) {
		return h, 0, ErrNone
	}
	end := bytes.IndexByte(b[:min(len(b), maxV1)], '\n')
	if end < 0 {
		if len(b) >= maxV1 {
			return h, 0, ErrBad
		}
		return h, 0, ErrShort
	}
	n = end + 1
	if end < len(begin) || b[end-1] != '\r' {
		return h, 0, ErrBad
	}
	words := bytes.Split(b[len(begin):end-1], []byte{' '})
	switch string(words[0]) {
	case "UNKNOWN":
		return Header{Local: true}, n, nil
	case "TCP4", "TCP6":
	default:
		return h, 0, ErrProtocol
	}
	if len(words) != 5 {
		return h, 0, ErrBad
	}
	v4 := string(words[0]) == "TCP4"
	src, ok1 := v1Address(words[1], words[3], v4)
	dst, ok2 := v1Address(words[2], words[4], v4)
	if !ok1 || !ok2 {
		return h, 0, ErrBad
	}
	return Header{Src: src, Dst: dst}, n, nil
}

func v1Address(host, port []byte, v4 bool) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(string(host))
	if err != nil || ip.Is4() != v4 || ip.Zone() != "" {
		return netip.AddrPort{}, false
	}
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' || n > 6553 {
			return netip.AddrPort{}, false
		}
		n = 10*n + int(c-'0')
	}
	if len(port) == 0 || n > 65535 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}

// parseV2 reads the binary form.
func parseV2(b []byte) (h Header, n int, err error) {
	if !bytes.HasPrefix(b, []byte(signature)[:min(len(b), len(signature))]) {
		return h, 0, ErrNone
	}
	const fixed = len(signature) + 4
	if len(b) < fixed {
		return h, 0, ErrShort
	}
	version, command, family := b[12]>>4, b[12]&15, b[13]
	n = fixed + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case version != 2:
		return h, 0, ErrBad
	case n > MaxSize:
		return h, 0, ErrBad
	case len(b) < n:
		return h, 0, ErrShort
	}
	rest := b[fixed:n]
	switch command {
	case 0: // LOCAL: what follows is to be ignored
		return Header{Local: true}, n, nil
	case 1:
	default:
		return h, 0, ErrBad
	}
	switch family >> 4 {
	case 1:
		if len(rest) < 12 {
			return h, 0, ErrBad
		}
		h.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))
		h.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[4:])), binary.BigEndian.Uint16(rest[10:]))
		rest = rest[12:]
	case 2:
		if len(rest) < 36 {
			return h, 0, ErrBad
		}
		h.Src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)).Unmap(), binary.BigEndian.Uint16(rest[32:]))
		h.Dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest[16:])).Unmap(), binary.BigEndian.Uint16(rest[34:]))
		rest = rest[36:]
	case 3: // unix sockets: paths of 108 bytes each
		if len(rest) < 216 {
			return h, 0, ErrBad
		}
		rest = rest[216:]
	}
	if h.TLVs, err = parseTLVs(rest); err != nil {
		return Header{}, 0, err
	}
	if sum, ok := h.Get(TypeCRC32C); ok && !checksum(b[:n], sum) {
		return Header{}, 0, ErrBad
	}
	return h, n, nil
}

func parseTLVs(b []byte) (list []TLV, err error) {
	for len(b) > 0 {
		if len(b) < 3 {
			return nil, ErrBad
		}
		size := int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < 3+size {
			return nil, ErrBad
		}
		list = append(list, TLV{Type: b[0], Value: b[3 : 3+size]})
		b = b[3+size:]
	}
	return list, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum reports whether sum, a view of whole, is whole's CRC32c with sum
// itself as zeros.
func checksum(whole, sum []byte) bool {
	if len(sum) != 4 {
		return false
	}
	want := binary.BigEndian.Uint32(sum)
	at := cap(whole) - cap(sum)
	if at < 0 || at+4 > len(whole) {
		return false
	}
	zeroed := bytes.Clone(whole)
	clear(zeroed[at : at+4])
	return crc32.Checksum(zeroed, castagnoli) == want
}

// ParseCIP reads NetScaler's client IP header: a magic number and the client's
// IP and TCP headers.
func ParseCIP(b []byte, magic uint32) (Header, int, error) {
	if len(b) < 12 {
		return Header{}, 0, ErrShort
	}
	if binary.BigEndian.Uint32(b) != magic {
		return Header{}, 0, ErrNone
	}
	// The legacy form has the length of what follows next, the standard one a
	// total, its kind (1) and that length.
	total, from := 8+int(binary.BigEndian.Uint32(b[4:])), 8
	if b[8] == 0 {
		total, from = 12+int(binary.BigEndian.Uint16(b[10:])), 12
	}
	if total > MaxSize || total < from+20+4 {
		return Header{}, 0, ErrBad
	}
	if len(b) < total {
		return Header{}, 0, ErrShort
	}
	ip := b[from:total]
	var src, dst netip.Addr
	var tcp []byte
	switch ip[0] >> 4 {
	case 4:
		size := int(ip[0]&15) * 4
		if size < 20 || len(ip) < size+4 {
			return Header{}, 0, ErrBad
		}
		if ip[9] != 6 {
			return Header{}, 0, ErrProtocol
		}
		src, dst, tcp = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:])), ip[size:]
	case 6:
		if len(ip) < 44 {
			return Header{}, 0, ErrBad
		}
		if ip[6] != 6 {
			return Header{}, 0, ErrProtocol
		}
		src, dst, tcp = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:])), ip[40:]
	default:
		return Header{}, 0, ErrProtocol
	}
	return Header{
		Src: netip.AddrPortFrom(src.Unmap(), binary.BigEndian.Uint16(tcp)),
		Dst: netip.AddrPortFrom(dst.Unmap(), binary.BigEndian.Uint16(tcp[2:])),
	}, total, nil
}
