package sample

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

func fetchCookie(x *Ctx, a *args) (Value, bool)    { return cookie(x, x.Req, a, "cookie") }
func fetchSetCookie(x *Ctx, a *args) (Value, bool) { return cookie(x, x.Res, a, "set-cookie") }

func fetchCookieCount(x *Ctx, a *args) (Value, bool)    { return cookieCount(x.Req, a, "cookie") }
func fetchSetCookieCount(x *Ctx, a *args) (Value, bool) { return cookieCount(x.Res, a, "set-cookie") }

// cookie gives the next occurrence in an ACL, else the last one of that name,
// or the first of all when no name is given.
func cookie(x *Ctx, h *http1.Head, a *args, field string) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	if x.cur.all {
		v, ok := nextCookie(h, field, a.s[0], &x.cur)
		return StrValue(v), ok
	}
	var c cursor
	var last []byte
	found := false
	for {
		v, ok := nextCookie(h, field, a.s[0], &c)
		if !ok {
			return StrValue(last), found
		}
		if last, found = v, true; a.s[0] == "" {
			return StrValue(last), true
		}
	}
}

func cookieCount(h *http1.Head, a *args, field string) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	var c cursor
	for n := int64(0); ; n++ {
		if _, ok := nextCookie(h, field, a.s[0], &c); !ok {
			return IntValue(n), true
		}
	}
}

// nextCookie gives the value of the next cookie called name. A Cookie field
// holds several pairs, a Set-Cookie field one, its attributes are no cookies.
func nextCookie(h *http1.Head, field, name string, c *cursor) ([]byte, bool) {
	for {
		i := h.Find(field, c.field)
		if i < 0 {
			c.field, c.more = h.Len(), false
			return nil, false
		}
		if i != c.field {
			c.field, c.pos = i, 0
		}
		v := h.Value(i)
		part := v[min(c.pos, len(v)):]
		end := cookieEnd(part)
		if end == len(part) || field == "set-cookie" {
			c.field, c.pos = i+1, 0
		} else {
			c.pos += end + 1
		}
		part = part[:end]
		key, val, ok := bytes.Cut(part, equals)
		if key = TrimBlank(key); ok && (name == "" || string(key) == name) {
			c.more = true
			return TrimBlank(val), true
		}
	}
}

// cookieEnd is where a pair ends: at ";" or, for clients older than RFC 6265,
// at ",", outside quotes.
func cookieEnd(b []byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case (c == ';' || c == ',') && !quoted:
			return i
		}
	}
	return len(b)
}

var equals = []byte("=")

// fetchURLParam gives a query parameter's value as sent; the second argument
// replaces "?" as the mark after which parameters begin.
func fetchURLParam(x *Ctx, a *args) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	mark := byte('?')
	if a.s[1] != "" {
		mark = a.s[1][0]
	}
	uri := x.Req.URI()
	from := 0
	if x.cur.all && x.cur.pos > 0 {
		from = x.cur.pos
	} else if from = bytes.IndexByte(uri, mark) + 1; from == 0 {
		return Value{}, false
	}
	for from <= len(uri) {
		end := from + paramEnd(uri[from:], mark)
		key, val, ok := bytes.Cut(uri[from:end], equals)
		from = end + 1
		if ok && (a.s[0] == "" || string(key) == a.s[0]) {
			x.cur.pos, x.cur.more = from, from <= len(uri)
			return StrValue(val), true
		}
	}
	x.cur.more = false
	return Value{}, false
}

// paramEnd is where a parameter ends: at "&", or at ";" when another mark than
// "?" introduced the parameters.
func paramEnd(b []byte, mark byte) int {
	for i, c := range b {
		if c == '&' || c == ';' || mark != '?' && c == '?' {
			return i
		}
	}
	return len(b)
}
