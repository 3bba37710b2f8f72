package sample

import (
	"bytes"
	"encoding/binary"

	"lbsyslogd/lb/http1"
)

// fetchesHTTP read heads (HAProxy configuration manual, section 7.3.6).
var fetchesHTTP = []fetchRow{
	{name: "base", kind: Str, where: InRequest, derive: true, get: fetchBase},
	{name: "baseq", kind: Str, where: InRequest, get: fetchBaseQ},
	{name: "capture.req.hdr", args: "i", kind: Str, where: Anywhere, get: fetchReqCapture},
	{name: "capture.req.method", kind: Str, where: Anywhere, get: fetchMethod},
	{name: "capture.req.uri", kind: Str, where: Anywhere, get: fetchCaptureURI},
	{name: "capture.req.ver", kind: Str, where: Anywhere, get: fetchCaptureVer},
	{name: "base32", kind: Int, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) { return hash32(x, (*http1.Head).Path) }},
	{name: "base32+src", kind: Bin, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) { return hash32Source(x, (*http1.Head).Path) }},
	{name: "capture.res.ver", kind: Str, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Res != nil && x.Res.Minor() == 0 {
			return StrValue(http10), true
		}
		return StrValue(http11), x.Rec.Status > 0
	}},
	{name: "capture.res.hdr", args: "i", kind: Str, where: InResponse | InLog, get: fetchResCapture},
	{name: "hdr", args: "s?i?", kind: Str, where: InRequest | InResponse, get: fetchHdr},
	{name: "http_auth_bearer", args: "s?", kind: Str, where: InRequest, get: fetchBearer},
	{name: "http_first_req", kind: Bool, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.First), true }},
	{name: "method", kind: Str, method: true, where: Anywhere, match: "meth", get: fetchMethod},
	{name: "path", kind: Str, where: InRequest, derive: true, log: "%HPO", get: fetchPath},
	{name: "pathq", kind: Str, where: InRequest, get: fetchPathQ},
	{name: "query", kind: Str, where: InRequest, log: "%HQ", get: fetchQuery},
	{name: "req.cook", args: "s?", kind: Str, where: InRequest, derive: true, get: fetchCookie},
	{name: "req.cook_cnt", args: "s?", kind: Int, where: InRequest, get: fetchCookieCount},
	{name: "req.cook_val", args: "s?", kind: Int, where: InRequest, get: asInt(fetchCookie)},
	{name: "req.fhdr", args: "s?i?", kind: Str, where: InRequest, derive: true, get: fetchReqFull},
	{name: "req.fhdr_cnt", args: "s?", kind: Int, where: InRequest, get: fetchReqFullCount},
	{name: "req.hdr", args: "s?i?", kind: Str, where: InRequest, derive: true, get: fetchReqHdr},
	{name: "req.hdr_cnt", args: "s?", kind: Int, where: InRequest, get: fetchReqHdrCount},
	{name: "req.hdr_ip", args: "s?i?", kind: Addr, where: InRequest, get: asAddr(fetchReqHdr)},
	{name: "req.hdr_names", args: "s?", kind: Str, where: InRequest, get: fetchReqNames},
	{name: "req.hdr_val", args: "s?i?", kind: Int, where: InRequest, get: asInt(fetchReqHdr)},
	{name: "req.hdrs", kind: Str, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) { return allFields(x, x.Req) }},
	{name: "req.hdrs_bin", kind: Bin, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) { return allFieldsBin(x, x.Req) }},
	{name: "req.ver", kind: Str, where: InRequest, log: "%HV", get: fetchReqVer},
	{name: "res.comp", kind: Bool, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.Compressed != ""), true }},
	{name: "res.comp_algo", kind: Str, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return StrValue([]byte(x.Rec.Compressed)), x.Rec.Compressed != "" }},
	{name: "res.cook", args: "s?", kind: Str, where: InResponse | InCheck, derive: true, get: fetchSetCookie},
	{name: "res.cook_cnt", args: "s?", kind: Int, where: InResponse | InCheck, get: fetchSetCookieCount},
	{name: "res.cook_val", args: "s?", kind: Int, where: InResponse | InCheck, get: asInt(fetchSetCookie)},
	{name: "res.fhdr", args: "s?i?", kind: Str, where: InResponse | InCheck, derive: true, get: fetchResFull},
	{name: "res.fhdr_cnt", args: "s?", kind: Int, where: InResponse | InCheck, get: fetchResFullCount},
	{name: "res.hdr", args: "s?i?", kind: Str, where: InResponse | InCheck, derive: true, get: fetchResHdr},
	{name: "res.hdr_cnt", args: "s?", kind: Int, where: InResponse | InCheck, get: fetchResHdrCount},
	{name: "res.hdr_ip", args: "s?i?", kind: Addr, where: InResponse | InCheck, get: asAddr(fetchResHdr)},
	{name: "res.hdr_names", args: "s?", kind: Str, where: InResponse | InCheck, get: fetchResNames},
	{name: "res.hdr_val", args: "s?i?", kind: Int, where: InResponse | InCheck, get: asInt(fetchResHdr)},
	{name: "res.hdrs", kind: Str, where: InResponse | InCheck, get: func(x *Ctx, _ *args) (Value, bool) { return allFields(x, x.Res) }},
	{name: "res.hdrs_bin", kind: Bin, where: InResponse | InCheck, get: func(x *Ctx, _ *args) (Value, bool) { return allFieldsBin(x, x.Res) }},
	{name: "res.ver", kind: Str, where: InResponse | InCheck, get: fetchResVer},
	{name: "status", kind: Int, where: InResponse | InLog | InCheck, get: fetchStatus},
	{name: "url", kind: Str, where: InRequest, derive: true, log: "%HU", get: fetchURL},
	{name: "url32", kind: Int, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) { return hash32(x, PathQuery) }},
	{name: "url32+src", kind: Bin, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) { return hash32Source(x, PathQuery) }},
	{name: "url_ip", kind: Addr, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		host, _, ok := urlHost(x)
		if !ok {
			return Value{}, false
		}
		addr, ok := leadingAddr(host)
		return AddrValue(addr), ok
	}},
	{name: "url_port", kind: Int, where: InRequest, get: func(x *Ctx, _ *args) (Value, bool) {
		_, port, ok := urlHost(x)
		return IntValue(port), ok
	}},
	{name: "urlp", args: "s?s?", kind: Str, where: InRequest, derive: true, get: fetchURLParam},
	{name: "urlp_val", args: "s?s?", kind: Int, where: InRequest, get: asInt(fetchURLParam)},
}

// asInt and asAddr make the typed forms of a string fetch.
func asInt(get func(*Ctx, *args) (Value, bool)) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		v, ok := get(x, a)
		if !ok {
			return v, false
		}
		return IntValue(leadingInt(v.b)), true
	}
}

func asAddr(get func(*Ctx, *args) (Value, bool)) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		// In an ACL a value that is no address is passed over, not the end.
		for {
			v, ok := get(x, a)
			if !ok {
				return v, false
			}
			if addr, ok := forwardedAddr(v.b); ok {
				return AddrValue(addr), true
			}
			if !x.cur.all || !x.cur.more {
				return Value{}, false
			}
		}
	}
}

func fetchPath(x *Ctx, _ *args) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	p := x.Req.Path()
	return StrValue(p), len(p) > 0
}

func fetchPathQ(x *Ctx, _ *args) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	p := PathQuery(x.Req)
	return StrValue(p), len(p) > 0
}

// PathQuery is the request target from the path's slash on.
func PathQuery(h *http1.Head) []byte {
	path, uri := h.Path(), h.URI()
	if len(path) == 0 {
		return nil
	}
	if len(uri) > 0 && uri[0] == '/' {
		return uri
	}
	if i := bytes.Index(uri, schemeMark); i >= 0 {
		if j := bytes.IndexByte(uri[i+3:], '/'); j >= 0 {
			return uri[i+3+j:]
		}
	}
	return path
}

var schemeMark = []byte("://")

func fetchURL(x *Ctx, _ *args) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	return StrValue(x.Req.URI()), true
}

func fetchQuery(x *Ctx, _ *args) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	q := x.Req.Query()
	return StrValue(q), q != nil
}

func fetchBase(x *Ctx, _ *args) (Value, bool)  { return hostAnd(x, (*http1.Head).Path) }
func fetchBaseQ(x *Ctx, _ *args) (Value, bool) { return hostAnd(x, PathQuery) }

// hostAnd is the first Host field followed by the path, with or without query.
func hostAnd(x *Ctx, rest func(*http1.Head) []byte) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	off := len(x.scratch)
	x.scratch = append(x.scratch, x.Req.Get("host")...)
	x.scratch = append(x.scratch, rest(x.Req)...)
	return StrValue(x.scratch[off:]), len(x.scratch) > off
}

func fetchMethod(x *Ctx, _ *args) (Value, bool) {
	m := x.Rec.Method
	if len(m) == 0 && x.Req != nil {
		m = x.Req.Method()
	}
	return StrValue(m), len(m) > 0
}

func fetchCaptureURI(x *Ctx, _ *args) (Value, bool) {
	u := x.Rec.URI
	if len(u) == 0 && x.Req != nil {
		u = x.Req.URI()
	}
	if i := bytes.Index(u, schemeMark); i > 0 && u[0] != '/' { // absolute form: from the first slash on
		j := bytes.IndexByte(u[i+3:], '/')
		if j < 0 {
			return Value{}, false
		}
		u = u[i+3+j:]
	}
	return StrValue(u), len(u) > 0 && u[0] == '/' // an asterisk or an authority is no path
}

var http10, http11, http20 = []byte("HTTP/1.0"), []byte("HTTP/1.1"), []byte("HTTP/2.0")

func fetchCaptureVer(x *Ctx, _ *args) (Value, bool) {
	minor := x.Rec.Minor
	if x.Rec.HTTP2 {
		return StrValue(http20), true
	}
	if len(x.Rec.Method) == 0 {
		if x.Req == nil {
			return Value{}, false
		}
		minor = x.Req.Minor()
	}
	if minor == 0 {
		return StrValue(http10), true
	}
	return StrValue(http11), true
}

func fetchReqVer(x *Ctx, _ *args) (Value, bool) {
	if x.Req != nil && x.Rec != nil && x.Rec.HTTP2 {
		return StrValue(http20[5:]), true
	}
	return version(x.Req)
}

func fetchResVer(x *Ctx, _ *args) (Value, bool) { return version(x.Res) }

func version(h *http1.Head) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	if h.Minor() == 0 {
		return StrValue(http10[5:]), true
	}
	return StrValue(http11[5:]), true
}

func fetchStatus(x *Ctx, _ *args) (Value, bool) {
	if x.Res != nil {
		return IntValue(int64(x.Res.Status())), true
	}
	return IntValue(int64(x.Rec.Status)), x.Rec.Status > 0
}

func fetchReqCapture(x *Ctx, a *args) (Value, bool) { return capture(x, x.Rec.ReqCaptures, a) }
func fetchResCapture(x *Ctx, a *args) (Value, bool) { return capture(x, x.Rec.ResCaptures, a) }

func capture(x *Ctx, list []string, a *args) (Value, bool) {
	if i := a.n[0]; i >= 0 && i < int64(len(list)) && list[i] != "" {
		return stringValue(x, list[i]), true
	}
	return Value{}, false
}

// stringValue copies s into the scratch, because values are bytes.
func stringValue(x *Ctx, s string) Value {
	off := len(x.scratch)
	x.scratch = append(x.scratch, s...)
	return StrValue(x.scratch[off:])
}

var bearer = []byte("Bearer ")

func fetchBearer(x *Ctx, a *args) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	name := a.s[0]
	if name == "" {
		name = "authorization"
	}
	token, ok := bearerToken(x.Req.Get(name))
	return StrValue(token), ok || a.s[0] != "" // as HAProxy: a field that is named has a value, be it empty
}

// bearerToken is the token of a field's value.
func bearerToken(v []byte) ([]byte, bool) {
	if len(v) <= len(bearer) || !bytes.EqualFold(v[:len(bearer)], bearer) {
		return nil, false
	}
	return bytes.TrimLeft(v[len(bearer):], " "), true
}

// hash32 hashes the first Host field and a part of the target.
func hash32(x *Ctx, part func(*http1.Head) []byte) (Value, bool) {
	if x.Req == nil {
		return Value{}, false
	}
	return IntValue(int64(avalanche(sdbm(sdbm(0, x.Req.Get("host")), part(x.Req))))), true
}

// hash32Source is hash32 in four bytes, followed by the client's address.
func hash32Source(x *Ctx, part func(*http1.Head) []byte) (Value, bool) {
	h, ok := hash32(x, part)
	if !ok || !x.Rec.Client.IsValid() {
		return Value{}, false
	}
	addr := AddrValue(x.Rec.Client.Addr().Unmap()).binary(x)
	off := len(x.scratch)
	x.scratch = binary.BigEndian.AppendUint32(x.scratch, uint32(h.n))
	x.scratch = append(x.scratch, addr...)
	return Value{kind: Bin, b: x.scratch[off:]}, true
}

// urlHost are host and port of an absolute target.
func urlHost(x *Ctx) (host []byte, port int64, ok bool) {
	if x.Req == nil {
		return nil, 0, false
	}
	uri := x.Req.URI()
	i := bytes.Index(uri, schemeMark)
	if i <= 0 || uri[0] == '/' {
		return nil, 0, false
	}
	port = 80
	if bytes.EqualFold(uri[:i], []byte("https")) {
		port = 443
	}
	host = uri[i+len(schemeMark):]
	if j := bytes.IndexAny(host, "/?#"); j >= 0 {
		host = host[:j]
	}
	host, digits := splitHost(host)
	if len(digits) > 0 {
		port = leadingInt(digits)
	}
	return bytes.Trim(host, "[]"), port, true
}

// allFields shows all fields, names in lower case, with an empty line at their end.
func allFields(x *Ctx, h *http1.Head) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	off := len(x.scratch)
	for i := range h.Len() {
		if !h.Deleted(i) {
			x.scratch = append(appendLower(x.scratch, h.Name(i)), ": "...)
			x.scratch = append(append(x.scratch, h.Value(i)...), "\r\n"...)
		}
	}
	x.scratch = append(x.scratch, "\r\n"...)
	return StrValue(x.scratch[off:]), true
}

// allFieldsBin is a list of names and values, each after its length as HAProxy's
// SPOE encodes it (doc/SPOE.txt, section 3.2); two empty strings end it.
func allFieldsBin(x *Ctx, h *http1.Head) (Value, bool) {
	if h == nil {
		return Value{}, false
	}
	off := len(x.scratch)
	for i := range h.Len() {
		if !h.Deleted(i) {
			x.scratch = appendLower(appendVarint(x.scratch, len(h.Name(i))), h.Name(i))
			x.scratch = append(appendVarint(x.scratch, len(h.Value(i))), h.Value(i)...)
		}
	}
	x.scratch = append(x.scratch, 0, 0)
	return Value{kind: Bin, b: x.scratch[off:]}, true
}

func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func appendVarint(dst []byte, n int) []byte {
	if n < 240 {
		return append(dst, byte(n))
	}
	dst = append(dst, byte(n)|240)
	for n = (n - 240) >> 4; n >= 128; n = (n - 128) >> 7 {
		dst = append(dst, byte(n)|128)
	}
	return append(dst, byte(n))
}

// Capture keeps a text in a slot of the frontend, as much as it holds; a slot
// that there is not is passed over.
func (x *Ctx) Capture(response bool, slot int, text []byte) (kept bool) {
	if x.Front == nil {
		return false
	}
	lengths, list := x.Front.ReqCaptures, &x.Rec.ReqCaptures
	if response {
		lengths, list = x.Front.ResCaptures, &x.Rec.ResCaptures
	}
	if slot < 0 || slot >= len(lengths) {
		return false
	}
	if len(*list) < len(lengths) {
		*list = append(*list, make([]string, len(lengths)-len(*list))...)
	}
	(*list)[slot] = string(text[:min(len(text), lengths[slot])])
	return true
}
