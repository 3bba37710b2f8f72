package sample

import (
	"bytes"
	"net/netip"

	"lbsyslogd/lb/http1"
)

func fetchHdr(x *Ctx, a *args) (Value, bool) {
	if x.Res != nil {
		return header(x, x.Res, a, true)
	}
	return header(x, x.Req, a, true)
}

func fetchReqHdr(x *Ctx, a *args) (Value, bool)  { return header(x, x.Req, a, true) }
func fetchResHdr(x *Ctx, a *args) (Value, bool)  { return header(x, x.Res, a, true) }
func fetchReqFull(x *Ctx, a *args) (Value, bool) { return header(x, x.Req, a, false) }
func fetchResFull(x *Ctx, a *args) (Value, bool) { return header(x, x.Res, a, false) }

func fetchReqHdrCount(x *Ctx, a *args) (Value, bool)  { return headerCount(x.Req, a, true) }
func fetchResHdrCount(x *Ctx, a *args) (Value, bool)  { return headerCount(x.Res, a, true) }
func fetchReqFullCount(x *Ctx, a *args) (Value, bool) { return headerCount(x.Req, a, false) }
func fetchResFullCount(x *Ctx, a *args) (Value, bool) { return headerCount(x.Res, a, false) }

// header gives the next occurrence in an ACL, else the one asked for: the last
// one by default, counted from the end when negative. With split, commas
// outside quotes delimit occurrences.
func header(x *Ctx, h *http1.Head, a *args, split bool) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	occ := a.n[1]
	if occ == 0 && x.cur.all {
		v, ok := nextValue(h, a.s[0], &x.cur, split)
		return StrValue(v), ok
	}
	x.cur.more = false
	if occ < 0 {
		if occ += countValues(h, a.s[0], split) + 1; occ <= 0 {
			return Value{}, false
		}
	}
	var c cursor
	var last []byte
	found := false
	for n := int64(1); ; n++ {
		v, ok := nextValue(h, a.s[0], &c, split)
		if !ok {
			return StrValue(last), found && occ == 0
		}
		if n == occ {
			return StrValue(v), true
		}
		last, found = v, true
	}
}

func headerCount(h *http1.Head, a *args, split bool) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	return IntValue(countValues(h, a.s[0], split)), true
}

func countValues(h *http1.Head, name string, split bool) int64 {
	var c cursor
	for n := int64(0); ; n++ {
		if _, ok := nextValue(h, name, &c, split); !ok {
			return n
		}
	}
}

// nextValue gives the occurrence the cursor stands at and moves it on. An
// empty name is any field.
func nextValue(h *http1.Head, name string, c *cursor, split bool) ([]byte, bool) {
	if c.field = nextField(h, name, c.field); c.field < 0 {
		c.field, c.more = h.Len(), false
		return nil, false
	}
	v := h.Value(c.field)
	if split {
		from := c.pos
		end := from + CommaOrEnd(v[from:])
		part := TrimBlank(v[from:end])
		if end < len(v) {
			c.pos, c.more = end+1, true
			return part, true
		}
		v = part
	}
	v = TrimBlank(v) // a rule may have written blanks
	c.field, c.pos, c.more = c.field+1, 0, true
	return v, true
}

func nextField(h *http1.Head, name string, from int) int {
	if name != "" {
		return h.Find(name, from)
	}
	for i := from; i < h.Len(); i++ {
		if !h.Deleted(i) {
			return i
		}
	}
	return -1
}

// CommaOrEnd is the offset of the first comma outside a quoted string (RFC
// 9110, section 5.6.1), or the length.
func CommaOrEnd(v []byte) int {
	quoted := false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return i
		}
	}
	return len(v)
}

func TrimBlank(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func fetchReqNames(x *Ctx, a *args) (Value, bool) { return headerNames(x, x.Req, a) }
func fetchResNames(x *Ctx, a *args) (Value, bool) { return headerNames(x, x.Res, a) }

func headerNames(x *Ctx, h *http1.Head, a *args) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	sep := byte(',')
	if a.s[0] != "" {
		sep = a.s[0][0]
	}
	off := len(x.scratch)
	for i := range h.Len() {
		if h.Deleted(i) {
			continue
		}
		if len(x.scratch) > off {
			x.scratch = append(x.scratch, sep)
		}
		lowered(x, h.Name(i)) // names have no case in HAProxy's own form
	}
	return StrValue(x.scratch[off:]), true
}

// forwardedAddr reads an address as found in X-Forwarded-For: IPv4 may carry a
// port, IPv6 may stand in brackets (RFC 7239, section 6).
func forwardedAddr(b []byte) (netip.Addr, bool) {
	if a, ok := ParseAddr(b); ok {
		return a, true
	}
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !portOrNothing(b[end+1:]) {
			return netip.Addr{}, false
		}
		return parseAddr6(b[1:end])
	}
	if i := bytes.IndexByte(b, ':'); i > 0 && portOrNothing(b[i:]) {
		b = b[:i]
	}
	return looseAddr4(b)
}

// portOrNothing accepts "" and ":PORT".
func portOrNothing(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) < 2 || len(b) > 6 {
		return false
	}
	n := 0
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}
