package sample

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// fetchesHTTP read heads (HAProxy configuration manual, section 7.3.6).
var fetchesHTTP = []fetchRow{
	{name: "base", kind: kindStr, where: InRequest, derive: true, get: fetchBase},
	{name: "baseq", kind: kindStr, where: InRequest, get: fetchBaseQ},
	{name: "capture.req.hdr", args: "i", kind: kindStr, where: Anywhere, get: fetchReqCapture},
	{name: "capture.req.method", kind: kindStr, where: Anywhere, get: fetchMethod},
	{name: "capture.req.uri", kind: kindStr, where: Anywhere, get: fetchCaptureURI},
	{name: "capture.req.ver", kind: kindStr, where: Anywhere, get: fetchCaptureVer},
	{name: "capture.res.hdr", args: "i", kind: kindStr, where: Anywhere, get: fetchResCapture},
	{name: "hdr", args: "s?i?", kind: kindStr, where: InRequest | InResponse, get: fetchHdr},
	{name: "http_auth_bearer", args: "s?", kind: kindStr, where: InRequest, get: fetchBearer},
	{name: "method", kind: kindStr, where: Anywhere, match: "meth", get: fetchMethod},
	{name: "path", kind: kindStr, where: InRequest, derive: true, log: "%HPO", get: fetchPath},
	{name: "pathq", kind: kindStr, where: InRequest, get: fetchPathQ},
	{name: "query", kind: kindStr, where: InRequest, log: "%HQ", get: fetchQuery},
	{name: "req.cook", args: "s?", kind: kindStr, where: InRequest, derive: true, get: fetchCookie},
	{name: "req.cook_cnt", args: "s?", kind: Int, where: InRequest, get: fetchCookieCount},
	{name: "req.cook_val", args: "s?", kind: Int, where: InRequest, get: asInt(fetchCookie)},
	{name: "req.fhdr", args: "s?i?", kind: kindStr, where: InRequest, derive: true, get: fetchReqFull},
	{name: "req.fhdr_cnt", args: "s?", kind: Int, where: InRequest, get: fetchReqFullCount},
	{name: "req.hdr", args: "s?i?", kind: kindStr, where: InRequest, derive: true, get: fetchReqHdr},
	{name: "req.hdr_cnt", args: "s?", kind: Int, where: InRequest, get: fetchReqHdrCount},
	{name: "req.hdr_ip", args: "s?i?", kind: kindAddr, where: InRequest, get: asAddr(fetchReqHdr)},
	{name: "req.hdr_names", args: "s?", kind: kindStr, where: InRequest, get: fetchReqNames},
	{name: "req.hdr_val", args: "s?i?", kind: Int, where: InRequest, get: asInt(fetchReqHdr)},
	{name: "req.ver", kind: kindStr, where: InRequest, log: "%HV", get: fetchReqVer},
	{name: "res.cook", args: "s?", kind: kindStr, where: InResponse, derive: true, get: fetchSetCookie},
	{name: "res.cook_cnt", args: "s?", kind: Int, where: InResponse, get: fetchSetCookieCount},
	{name: "res.cook_val", args: "s?", kind: Int, where: InResponse, get: asInt(fetchSetCookie)},
	{name: "res.fhdr", args: "s?i?", kind: kindStr, where: InResponse, derive: true, get: fetchResFull},
	{name: "res.fhdr_cnt", args: "s?", kind: Int, where: InResponse, get: fetchResFullCount},
	{name: "res.hdr", args: "s?i?", kind: kindStr, where: InResponse, derive: true, get: fetchResHdr},
	{name: "res.hdr_cnt", args: "s?", kind: Int, where: InResponse, get: fetchResHdrCount},
	{name: "res.hdr_ip", args: "s?i?", kind: kindAddr, where: InResponse, get: asAddr(fetchResHdr)},
	{name: "res.hdr_names", args: "s?", kind: kindStr, where: InResponse, get: fetchResNames},
	{name: "res.hdr_val", args: "s?i?", kind: Int, where: InResponse, get: asInt(fetchResHdr)},
	{name: "res.ver", kind: kindStr, where: InResponse, get: fetchResVer},
	{name: "status", kind: Int, where: InResponse | InLog, get: fetchStatus},
	{name: "url", kind: kindStr, where: InRequest, derive: true, log: "%HU", get: fetchURL},
	{name: "urlp", args: "s?s?", kind: kindStr, where: InRequest, derive: true, get: fetchURLParam},
	{name: "urlp_val", args: "s?s?", kind: Int, where: InRequest, get: asInt(fetchURLParam)},
}

// asInt and asAddr make the typed forms of a string fetch.
func asInt(get func(*Ctx, *args) (Value, bool)) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		v, ok := get(x, a)
		if !ok {
			return v, false
		}
		return intValue(leadingInt(v.b)), true
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
				return addrValue(addr), true
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
	return StrValue(u), len(u) > 0
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
		return intValue(int64(x.Res.Status())), true
	}
	return intValue(int64(x.Rec.Status)), x.Rec.Status > 0
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
	v := x.Req.Get(name)
	if len(v) <= len(bearer) || !bytes.EqualFold(v[:len(bearer)], bearer) {
		return Value{}, false
	}
	return StrValue(bytes.TrimLeft(v[len(bearer):], " ")), true
}
