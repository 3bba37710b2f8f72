package sample

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// mapped shifts the bytes from lo to hi.
func mapped(lo, hi byte, shift int) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, _ *args, v Value) (Value, bool) {
		src := v.Text(x)
		off := len(x.scratch)
		for _, c := range src {
			if c >= lo && c <= hi {
				c = byte(int(c) + shift)
			}
			x.scratch = append(x.scratch, c)
		}
		return StrValue(x.scratch[off:]), true
	}
}

func convBytes(x *Ctx, a *args, v Value) (Value, bool) {
	b := v.binary(x)
	if a.n[0] < 0 {
		return Value{}, false
	}
	b = b[min(a.n[0], int64(len(b))):] // nothing at the end or beyond it
	if a.len > 1 && a.n[1] < int64(len(b)) {
		if a.n[1] < 0 {
			return Value{}, false
		}
		b = b[:a.n[1]]
	}
	return Value{kind: Bin, b: b}, true
}

func checkConcat(a *args) error {
	if a.s[1] == "" {
		return nil
	}
	return CheckVar(a.s[1])
}

func convConcat(x *Ctx, a *args, v Value) (Value, bool) {
	src := v.Text(x)
	off := len(x.scratch)
	x.scratch = append(x.scratch, src...)
	x.scratch = append(x.scratch, a.s[0]...)
	if a.s[1] != "" {
		if held, ok := x.Var(a.s[1]); ok {
			x.scratch = held.append(x.scratch)
		}
	}
	x.scratch = append(x.scratch, a.s[2]...)
	return StrValue(x.scratch[off:]), true
}

func checkDelims(a *args) error {
	if a.n[0] == 0 {
		return errors.New("the index counts from 1, or from -1 backwards")
	}
	if a.s[1] == "" {
		return errors.New("no delimiter is given")
	}
	if a.n[2] < 0 {
		return errors.New("the count cannot be negative; 0 means all")
	}
	return nil
}

// convField fails for a field that is not there; convWord gives an empty one.
func convField(x *Ctx, a *args, v Value) (Value, bool) {
	b, ok := pieces(v.Text(x), a, false)
	return StrValue(b), ok
}

func convWord(x *Ctx, a *args, v Value) (Value, bool) {
	b, _ := pieces(v.Text(x), a, true)
	return StrValue(b), true
}

// pieces cuts b at any of the delimiters and gives count pieces from the
// index on, delimiters between them included. With words, a run of delimiters
// counts as one and those at the ends do not count.
func pieces(b []byte, a *args, words bool) ([]byte, bool) {
	index, delims := a.n[0], a.s[1]
	count := int64(1)
	if a.len > 2 {
		count = a.n[2]
	}
	back := index < 0
	if back {
		index = -index
	}
	from, to, seen := -1, -1, int64(0)
	for at := 0; at <= len(b); {
		start, end := nextPiece(b, at, delims, back)
		at = end + 1
		if back {
			at = len(b) - start + 1
		}
		if words && start == end {
			continue
		}
		seen++
		if seen == index {
			from, to = start, end
		} else if seen > index {
			from, to = min(from, start), max(to, end)
		}
		if seen >= index && count > 0 && seen == index+count-1 {
			break
		}
	}
	switch {
	case from < 0:
		return nil, false
	case !words || count > 0 && seen == index+count-1:
		return b[from:to], true
	case back: // all that is left, with the delimiters at the end
		return b[:to], true
	}
	return b[from:], true
}

// nextPiece is the piece that begins at b[at:], or, backwards, the one that
// ends at bytes before the end.
func nextPiece(b []byte, at int, delims string, back bool) (start, end int) {
	if back {
		end = len(b) - at
		start = end
		for start > 0 && strings.IndexByte(delims, b[start-1]) < 0 {
			start--
		}
		return start, end
	}
	end = at
	for end < len(b) && strings.IndexByte(delims, b[end]) < 0 {
		end++
	}
	return at, end
}

// convHostOnly and convPortOnly split a Host value; IPv6 stands in brackets,
// and the name comes out in lower case.
func convHostOnly(x *Ctx, _ *args, v Value) (Value, bool) {
	host, _ := splitHost(v.Text(x))
	return StrValue(lowered(x, host)), true
}

func convPortOnly(x *Ctx, _ *args, v Value) (Value, bool) {
	_, port := splitHost(v.Text(x))
	return IntValue(leadingInt(port)), true
}

func splitHost(b []byte) (host, port []byte) {
	if len(b) > 0 && b[0] == '[' {
		if end := bytes.IndexByte(b, ']'); end > 0 {
			if end+1 < len(b) && b[end+1] == ':' {
				port = b[end+2:]
			}
			return b[:end+1], port
		}
		return b, nil
	}
	if i := bytes.LastIndexByte(b, ':'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

func convIif(x *Ctx, a *args, v Value) (Value, bool) {
	switch {
	case v.kind == Str && len(v.b) == 0:
		return Value{}, false
	case v.n != 0 || v.kind == Str && leadingInt(v.b) != 0:
		return stringValue(x, a.s[0]), true
	}
	return stringValue(x, a.s[1]), true
}

func convLTrim(x *Ctx, a *args, v Value) (Value, bool) {
	b := v.Text(x)
	for len(b) > 0 && strings.IndexByte(a.s[0], b[0]) >= 0 {
		b = b[1:]
	}
	return StrValue(b), true
}

func convRTrim(x *Ctx, a *args, v Value) (Value, bool) {
	b := v.Text(x)
	for len(b) > 0 && strings.IndexByte(a.s[0], b[len(b)-1]) >= 0 {
		b = b[:len(b)-1]
	}
	return StrValue(b), true
}

// checkDebug: the output is one of HAProxy's, though nothing is written there.
func checkDebug(a *args) error {
	switch a.s[1] {
	case "", "stdout", "stderr", "buf0":
		return nil
	}
	return fmt.Errorf("'%s' is no output; there are stdout, stderr and buf0", a.s[1])
}

func checkRegsub(a *args) error {
	if a.s[0] == "" {
		return errors.New("a regular expression is missing")
	}
	for _, c := range a.s[2] {
		if c != 'g' && c != 'i' {
			return fmt.Errorf("unknown regsub flag '%c'; 'g' replaces all, 'i' ignores case", c)
		}
	}
	var err error
	a.re, err = CompileRegexp(a.s[0], strings.Contains(a.s[2], "i"))
	return err
}

// convRegsub allocates in the regexp package for every match.
func convRegsub(x *Ctx, a *args, v Value) (Value, bool) {
	src := v.Text(x)
	off := len(x.scratch)
	x.scratch = a.re.replaceAll(x.scratch, src, a.s[1], strings.Contains(a.s[2], "g"))
	return StrValue(x.scratch[off:]), true
}

// convStrcmp gives what strcmp(3) gives: the sign of the comparison with a
// variable's value.
func convStrcmp(x *Ctx, a *args, v Value) (Value, bool) {
	held, ok := x.Var(a.s[0])
	if !ok {
		return Value{}, false
	}
	left, right := v.Text(x), held.Text(x)
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return IntValue(int64(left[i]) - int64(right[i])), true
		}
	}
	return IntValue(int64(cmp.Compare(len(left), len(right)))), true
}

func checkIPMask(a *args) error {
	bits4, ok := maskBits(a.s[0], 32)
	if !ok {
		return fmt.Errorf("'%s' is not an IPv4 netmask", a.s[0])
	}
	bits6 := -1 // without a mask, an IPv6 address has no value
	if a.s[1] != "" {
		if bits6, ok = maskBits(a.s[1], 128); !ok {
			return fmt.Errorf("'%s' is not an IPv6 netmask", a.s[1])
		}
	}
	a.n[0], a.n[1] = int64(bits4), int64(bits6)
	return nil
}

// maskBits reads "24", "255.255.255.0" or "ffff::" as a prefix length.
func maskBits(s string, limit int) (int, bool) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, n >= 0 && n <= limit
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.BitLen() != limit {
		return 0, false
	}
	ones, done := 0, false
	for _, c := range addr.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			set := c>>bit&1 == 1
			if set && done {
				return 0, false // not contiguous
			}
			if done = !set; set {
				ones++
			}
		}
	}
	return ones, true
}

func convIPMask(_ *Ctx, a *args, v Value) (Value, bool) {
	addr, ok := v.address()
	if !ok {
		return Value{}, false
	}
	addr = addr.Unmap()
	bits := a.n[0]
	if !addr.Is4() {
		bits = a.n[1]
	}
	p, err := addr.Prefix(int(bits))
	return AddrValue(p.Addr()), err == nil
}

func convReverse(x *Ctx, _ *args, v Value) (Value, bool) {
	src := v.Text(x)
	off := len(x.scratch)
	x.scratch = append(x.scratch, src...)
	slices.Reverse(x.scratch[off:])
	return StrValue(x.scratch[off:]), true
}
