package sample

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// kind is the type of a sample (HAProxy configuration manual, section 7.1).
type Kind uint8

const (
	Bool Kind = iota
	Int
	Addr
	Str
	Bin
)

func (k Kind) String() string {
	return [...]string{"boolean", "integer", "ip", "string", "binary"}[k]
}

// Value is one sample. b is a view of a head, of the configuration or of the
// Ctx's scratch: valid until the next top-level evaluation.
type Value struct {
	kind Kind
	n    int64 // integer; 0 or 1 for a boolean
	b    []byte
	addr netip.Addr
}

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// Bytes are those of a string or a block, a view like the value itself.
func (v Value) Bytes() []byte { return v.b }

func BinValue(b []byte) Value      { return Value{kind: Bin, b: b} }
func StrValue(b []byte) Value      { return Value{kind: Str, b: b} }
func IntValue(n int64) Value       { return Value{kind: Int, n: n} }
func AddrValue(a netip.Addr) Value { return Value{kind: Addr, addr: a} }

func BoolValue(ok bool) Value {
	if ok {
		return Value{kind: Bool, n: 1}
	}
	return Value{kind: Bool}
}

// Text gives the sample as bytes, building them in the scratch when it is not
// a string.
func (v Value) Text(x *Ctx) []byte {
	switch v.kind {
	case Str:
		return v.b
	case Bin:
		return cString(v.b)
	}
	off := len(x.scratch)
	x.scratch = v.append(x.scratch)
	return x.scratch[off:]
}

// binary gives the sample as HAProxy casts it to a block: an integer is eight
// bytes in network order, an address its own bytes.
func (v Value) binary(x *Ctx) []byte {
	off := len(x.scratch)
	switch v.kind {
	case Bool, Int:
		x.scratch = binary.BigEndian.AppendUint64(x.scratch, uint64(v.n))
	case Addr:
		if v.addr.Is4() {
			a := v.addr.As4()
			x.scratch = append(x.scratch, a[:]...)
		} else {
			a := v.addr.As16()
			x.scratch = append(x.scratch, a[:]...)
		}
	default:
		return v.b
	}
	return x.scratch[off:]
}

// append appends the sample as HAProxy casts it to a string: booleans are 0
// and 1.
func (v Value) append(dst []byte) []byte {
	switch v.kind {
	case Bool, Int:
		return strconv.AppendInt(dst, v.n, 10)
	case Addr:
		if b := v.addr.As16(); v.addr.Is6() && [12]byte(b[:12]) == [12]byte{} && (b[12] != 0 || b[13] != 0) {
			return netip.AddrFrom4([4]byte(b[12:])).AppendTo(append(dst, "::"...)) // as C writes it
		}
		return v.addr.AppendTo(dst)
	}
	if v.kind == Bin {
		return append(dst, cString(v.b)...)
	}
	return append(dst, v.b...)
}

// cString is a block as HAProxy casts it to a string: up to the first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// Integer casts to an integer; a string's leading digits count, as HAProxy
// reads them, and an empty one is none.
func (v Value) Integer() (int64, bool) {
	switch v.kind {
	case Bool, Int:
		return v.n, true
	case Str, Bin:
		return leadingInt(v.b), len(v.b) > 0
	}
	if v.addr.Is4() {
		a := v.addr.As4()
		return int64(a[0])<<24 | int64(a[1])<<16 | int64(a[2])<<8 | int64(a[3]), true
	}
	return 0, false
}

// address casts to an IP address.
func (v Value) address() (netip.Addr, bool) {
	switch v.kind {
	case Addr:
		return v.addr, true
	case Int:
		return netip.AddrFrom4([4]byte{byte(v.n >> 24), byte(v.n >> 16), byte(v.n >> 8), byte(v.n)}), true
	case Str, Bin:
		return leadingAddr(v.b)
	}
	return netip.Addr{}, false
}

// leadingAddr reads the address that a text begins with. As in HAProxy, anything but a digit or a dot may come after one of IPv4 ("192.0.2.1:443"),
// whose numbers may begin with zeros: whoever writes a header must not get past a list of addresses by how they write theirs. One of IPv6 is all of the
// text, or stands in brackets, perhaps with a port, as hdr_ip takes it.
func leadingAddr(b []byte) (netip.Addr, bool) {
	if a, ok := forwardedAddr(b); ok {
		return a, true
	}
	end := 0
	for end < len(b) && (b[end] == '.' || b[end] >= '0' && b[end] <= '9') {
		end++
	}
	return looseAddr4(b[:end])
}

// Address casts to an IP address.
func (v Value) Address() (netip.Addr, bool) { return v.address() }

// leadingInt reads an optional minus and decimal digits; what follows is
// ignored and an overflow saturates.
func leadingInt(b []byte) int64 {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	const limit = 1<<63 - 1
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		if n > (limit-int64(c-'0'))/10 {
			if neg {
				return -limit - 1
			}
			return limit
		}
		n = n*10 + int64(c-'0')
	}
	if neg {
		return -n
	}
	return n
}

// ParseAddr reads an IPv4 or IPv6 address without allocating; netip.ParseAddr
// wants a string and its error would allocate on every garbage header.
func ParseAddr(b []byte) (netip.Addr, bool) {
	if a, ok := parseAddr4(b); ok {
		return a, true
	}
	return parseAddr6(b)
}

// parseAddr4 reads an IPv4 address in the form of RFC 3986: no number begins with a zero.
func parseAddr4(b []byte) (netip.Addr, bool) { return dottedQuad(b, false) }

// looseAddr4 reads an IPv4 address whose numbers may begin with zeros, as HAProxy reads them in a header: decimal all the same.
func looseAddr4(b []byte) (netip.Addr, bool) { return dottedQuad(b, true) }

func dottedQuad(b []byte, zeros bool) (netip.Addr, bool) {
	var a [4]byte
	for i := range a {
		if i > 0 {
			if len(b) == 0 || b[0] != '.' {
				return netip.Addr{}, false
			}
			b = b[1:]
		}
		n, digits := 0, 0
		zero := len(b) > 0 && b[0] == '0'
		for ; len(b) > 0 && b[0] >= '0' && b[0] <= '9'; b = b[1:] {
			if n = n*10 + int(b[0]-'0'); n > 255 {
				return netip.Addr{}, false
			}
			digits++
		}
		if digits == 0 || zero && digits > 1 && !zeros {
			return netip.Addr{}, false
		}
		a[i] = byte(n)
	}
	return netip.AddrFrom4(a), len(b) == 0
}

func parseAddr6(b []byte) (netip.Addr, bool) {
	if len(b) < 2 || len(b) > 45 {
		return netip.Addr{}, false
	}
	var a [16]byte
	gap, at := -1, 0
	for at < 16 {
		if len(b) >= 2 && b[0] == ':' && b[1] == ':' && gap < 0 {
			gap, b = at, b[2:]
			if len(b) == 0 {
				break
			}
		} else if at > 0 && gap != at {
			if len(b) == 0 {
				break
			}
			if b[0] != ':' {
				return netip.Addr{}, false
			}
			b = b[1:]
		}
		if at <= 12 {
			if v4, ok := parseAddr4(b); ok {
				tail := v4.As4()
				copy(a[at:], tail[:])
				at, b = at+4, nil
				break
			}
		}
		n, digits := 0, 0
		for len(b) > 0 && digits < 5 {
			h := unhex(b[0])
			if h < 0 {
				break
			}
			n, b = n<<4|h, b[1:]
			digits++
		}
		if digits == 0 || digits > 4 {
			return netip.Addr{}, false
		}
		a[at], a[at+1] = byte(n>>8), byte(n)
		at += 2
	}
	if len(b) != 0 || gap < 0 && at != 16 || gap >= 0 && at == 16 {
		return netip.Addr{}, false
	}
	if gap >= 0 {
		moved := at - gap
		copy(a[16-moved:], a[gap:at])
		clear(a[gap : 16-moved])
	}
	return netip.AddrFrom16(a), true
}

// unhex is a hexadecimal digit's value, -1 for anything else.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
