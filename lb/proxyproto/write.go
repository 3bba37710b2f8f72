package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strconv"
)

// AppendV1 appends the line of version 1.
func AppendV1(dst []byte, from, to netip.AddrPort) []byte {
	if !from.IsValid() || !to.IsValid() || from.Addr().Is4() != to.Addr().Is4() {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	dst = append(dst, "PROXY TCP4 "...)
	if !from.Addr().Is4() {
		dst[len(dst)-2] = '6'
	}
	dst = append(from.Addr().AppendTo(dst), ' ')
	dst = append(to.Addr().AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(from.Port()), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(to.Port()), 10)
	return append(dst, '\r', '\n')
}

// AppendV2 appends the header of version 2. Without addresses it is LOCAL. crc
// adds a checksum.
func AppendV2(dst []byte, from, to netip.AddrPort, tlvs []TLV, crc bool) []byte {
	at := len(dst)
	dst = append(append(dst, signature...), 0x21, 0x11, 0, 0)
	switch {
	case !from.IsValid() || !to.IsValid():
		dst[at+12], dst[at+13] = 0x20, 0
	case from.Addr().Is4() && to.Addr().Is4():
		a, b := from.Addr().As4(), to.Addr().As4()
		dst = append(append(dst, a[:]...), b[:]...)
	default:
		dst[at+13] = 0x21
		a, b := from.Addr().As16(), to.Addr().As16()
		dst = append(append(dst, a[:]...), b[:]...)
	}
	if dst[at+13] != 0 {
		dst = binary.BigEndian.AppendUint16(dst, from.Port())
		dst = binary.BigEndian.AppendUint16(dst, to.Port())
	}
	sum := 0
	if crc {
		dst = append(dst, TypeCRC32C, 0, 4, 0, 0, 0, 0)
		sum = len(dst) - 4
	}
	for _, t := range tlvs {
		dst = append(dst, t.Type, byte(len(t.Value)>>8), byte(len(t.Value)))
		dst = append(dst, t.Value...)
	}
	binary.BigEndian.PutUint16(dst[at+14:], uint16(len(dst)-at-16))
	if crc {
		binary.BigEndian.PutUint32(dst[sum:], crc32.Checksum(dst[at:], castagnoli))
	}
	return dst
}

// AppendTLV appends one TLV to another's value.
func AppendTLV(dst []byte, typ byte, value string) []byte {
	return append(append(dst, typ, byte(len(value)>>8), byte(len(value))), value...)
}
