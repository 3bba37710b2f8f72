package sample

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// span is a closed range of integers.
type span struct{ lo, hi int64 }

// matchInt compares an integer, or a length, with ranges.
type matchInt struct {
	spans  []span
	length bool
}

func compileInt(pats []Pattern) (Matcher, error) { return compileSpans(pats, false) }
func compileLen(pats []Pattern) (Matcher, error) { return compileSpans(pats, true) }

// compileVer reads versions such as 3.1 as HAProxy keeps them, the major one in
// the higher 16 bits; 3 alone is all of its minor ones.
func compileVer(pats []Pattern) (Matcher, error) {
	m := &matchInt{}
	for _, p := range pats {
		lo, hi, ranged := strings.Cut(p.Text, ":")
		from, ok1 := dotted(lo, 0)
		to, ok2 := dotted(lo, 0xffff)
		switch {
		case ranged:
			if to, ok2 = dotted(hi, 0xffff); hi == "" { // and all that follow
				to, ok2 = math.MaxInt64, ok1
			}
			if lo == "" {
				from, ok1 = math.MinInt64, ok2
			}
			if lo == hi {
				ok1 = false
			}
		case p.Op != "" && p.Op != "eq":
			to = from // as HAProxy: 3.1 is greater than 3
		}
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("'%s' is not a version such as 3.1, nor a range of them", p.Text)
		}
		switch p.Op {
		case "ge":
			to = math.MaxInt64
		case "gt":
			from, to = to+1, math.MaxInt64
		case "le":
			from = math.MinInt64
		case "lt":
			from, to = math.MinInt64, from-1
		}
		m.spans = append(m.spans, span{from, to})
	}
	return m, nil
}

// dotted reads MAJOR[.MINOR]; missing stands for an absent minor one.
func dotted(text string, missing int64) (int64, bool) {
	major, minor, both := strings.Cut(text, ".")
	a, err := strconv.ParseUint(major, 10, 15)
	if err != nil {
		return 0, false
	}
	if !both {
		return int64(a)<<16 + missing, true
	}
	b, err := strconv.ParseUint(minor, 10, 16)
	return int64(a)<<16 + int64(b), err == nil
}

func compileSpans(pats []Pattern, length bool) (Matcher, error) {
	m := &matchInt{length: length}
	for _, p := range pats {
		s, err := parseSpan(p)
		if err != nil {
			return nil, err
		}
		m.spans = append(m.spans, s)
	}
	return m, nil
}

// parseSpan reads "5", "1024:", ":1023", "1:9" or "1-9", or one number after an
// operator.
func parseSpan(p Pattern) (span, error) {
	s := span{math.MinInt64, math.MaxInt64}
	lo, hi, ranged := strings.Cut(p.Text, ":")
	if i := strings.IndexByte(p.Text[min(1, len(p.Text)):], '-') + 1; i > 0 && !ranged { // 80-90 is 80:90
		lo, hi, ranged = p.Text[:i], p.Text[i+1:], true
	}
	var err error
	if lo != "" {
		if s.lo, err = strconv.ParseInt(lo, 10, 64); err != nil {
			return s, fmt.Errorf("'%s' is not an integer nor a range such as 1024:65535", p.Text)
		}
	}
	switch {
	case !ranged:
		s.hi = s.lo
	case hi != "":
		if s.hi, err = strconv.ParseInt(hi, 10, 64); err != nil {
			return s, fmt.Errorf("'%s' is not an integer nor a range such as 1024:65535", p.Text)
		}
	}
	if p.Text == "" || p.Text == ":" {
		return s, fmt.Errorf("'%s' is not an integer nor a range such as 1024:65535", p.Text)
	}
	switch p.Op {
	case "", "eq":
		return s, nil
	}
	if ranged {
		return s, nil // as HAProxy: it is the range, whatever stands before it
	}
	n := s.lo
	switch p.Op {
	case "ge":
		s = span{n, math.MaxInt64}
	case "gt":
		s = span{min(n, math.MaxInt64-1) + 1, math.MaxInt64}
	case "le":
		s = span{math.MinInt64, n}
	case "lt":
		s = span{math.MinInt64, max(n, math.MinInt64+1) - 1}
	}
	return s, nil
}

func (m *matchInt) Match(x *Ctx, v Value) bool {
	var n int64
	if m.length {
		n = int64(len(v.Text(x)))
	} else {
		var ok bool
		if n, ok = v.Integer(); !ok {
			return false
		}
	}
	for _, s := range m.spans {
		if n >= s.lo && n <= s.hi {
			return true
		}
	}
	return false
}

// matchIP tells whether an address lies in one of the networks: one map
// look-up per distinct prefix length, whatever their number.
type matchIP struct {
	bits4, bits6 []int
	nets         map[netip.Prefix]struct{}
}

func compileIP(pats []Pattern) (Matcher, error) {
	m := &matchIP{nets: map[netip.Prefix]struct{}{}}
	for _, p := range pats {
		n, err := parseNet(p.Text)
		if err != nil {
			return nil, err
		}
		m.nets[n] = struct{}{}
		bits := &m.bits6
		if n.Addr().Is4() {
			bits = &m.bits4
		}
		*bits = addOnce(*bits, n.Bits())
	}
	return m, nil
}

func addOnce(list []int, n int) []int {
	for _, have := range list {
		if have == n {
			return list
		}
	}
	return append(list, n)
}

func (m *matchIP) Match(_ *Ctx, v Value) bool {
	a, ok := v.Address()
	if !ok {
		return false
	}
	a = a.Unmap().WithZone("")
	if m.has(a) {
		return true
	}
	inner, ok := embedded(a)
	return ok && m.has(inner)
}

func (m *matchIP) has(a netip.Addr) bool {
	bits := m.bits6
	if a.Is4() {
		bits = m.bits4
	}
	for _, n := range bits {
		if p, err := a.Prefix(n); err == nil {
			if _, ok := m.nets[p]; ok {
				return true
			}
		}
	}
	return false
}

// embedded is the IPv4 address in one of 6to4 (2002::/16), or in ::/96: HAProxy
// matches those with IPv4 networks, and a list that denies must know all ways to
// write an address.
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	if b[0] == 0x20 && b[1] == 0x02 {
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	for _, c := range b[:12] {
		if c != 0 {
			return netip.Addr{}, false
		}
	}
	return netip.AddrFrom4([4]byte(b[12:])), true
}

// parseNet reads an address with an optional mask. Of an abbreviated IPv4
// address the last number is the last octet, as in HAProxy: 10.1 is 10.0.0.1.
func parseNet(text string) (netip.Prefix, error) {
	host, mask, masked := strings.Cut(text, "/")
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, ok := parseShort(host)
	if !ok {
		return netip.Prefix{}, fmt.Errorf("'%s' is not a valid IPv4 or IPv6 address or network; names are not resolved here, write the address", text)
	}
	if masked && !strings.ContainsAny(host, ".:") {
		return netip.Prefix{}, fmt.Errorf("'%s' would be the network of %s; write all four octets", text, addr)
	}
	bits := addr.BitLen()
	if masked {
		if bits, ok = maskBits(mask, addr.BitLen()); !ok {
			return netip.Prefix{}, fmt.Errorf("'%s' has an invalid netmask '%s'", text, mask)
		}
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("'%s': %w", text, err)
	}
	if addr.Is4In6() && bits >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), bits-96), nil
	}
	return p, nil
}

func parseShort(host string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, addr.Zone() == ""
	}
	parts := strings.Split(host, ".")
	if len(parts) >= 4 {
		return netip.Addr{}, false
	}
	last := len(parts) - 1
	full := append(append(parts[:last:last], "0.0.0"[:5-2*last]), parts[last])
	addr, err := netip.ParseAddr(strings.Join(full, "."))
	return addr, err == nil
}

// netKey is the longest key of a network.
const netKey = 17

// netSize is a network's measure for look-ups: more bits first, and those of IPv6
// told apart from those of IPv4.
func netSize(n netip.Prefix) int {
	if n.Addr().Is4() {
		return n.Bits()
	}
	return 256 + n.Bits()
}

// appendNet appends the key of a network, whose bits beyond its mask are zero.
func appendNet(b []byte, n netip.Prefix) []byte {
	if a := n.Addr(); a.Is4() {
		four := a.As4()
		b = append(b, four[:]...)
	} else {
		six := a.As16()
		b = append(b, six[:]...)
	}
	return append(b, byte(n.Bits()))
}
