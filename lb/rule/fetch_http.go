package rule

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// fetchesHTTP read heads (HAProxy configuration manual, section 7.3.6).
var fetchesHTTP = []fetchRow{
	{name: "base", kind: kindStr, where: inRequest, derive: true, get: fetchBase},
	{name: "baseq", kind: kindStr, where: inRequest, get: fetchBaseQ},
	{name: "capture.req.hdr", args: "i", kind: kindStr, where: anywhere, get: fetchReqCapture},
	{name: "capture.req.method", kind: kindStr, where: anywhere, get: fetchMethod},
	{name: "capture.req.uri", kind: kindStr, where: anywhere, get: fetchCaptureURI},
	{name: "capture.req.ver", kind: kindStr, where: anywhere, get: fetchCaptureVer},
	{name: "capture.res.hdr", args: "i", kind: kindStr, where: anywhere, get: fetchResCapture},
	{name: "hdr", args: "s?i?", kind: kindStr, where: inRequest | inResponse, get: fetchHdr},
	{name: "http_auth_bearer", args: "s?", kind: kindStr, where: inRequest, get: fetchBearer},
	{name: "method", kind: kindStr, where: anywhere, match: "meth", get: fetchMethod},
	{name: "path", kind: kindStr, where: inRequest, derive: true, log: "%HPO", get: fetchPath},
	{name: "pathq", kind: kindStr, where: inRequest, get: fetchPathQ},
	{name: "query", kind: kindStr, where: inRequest, log: "%HQ", get: fetchQuery},
	{name: "req.cook", args: "s?", kind: kindStr, where: inRequest, derive: true, get: fetchCookie},
	{name: "req.cook_cnt", args: "s?", kind: kindInt, where: inRequest, get: fetchCookieCount},
	{name: "req.cook_val", args: "s?", kind: kindInt, where: inRequest, get: asInt(fetchCookie)},
	{name: "req.fhdr", args: "s?i?", kind: kindStr, where: inRequest, derive: true, get: fetchReqFull},
	{name: "req.fhdr_cnt", args: "s?", kind: kindInt, where: inRequest, get: fetchReqFullCount},
	{name: "req.hdr", args: "s?i?", kind: kindStr, where: inRequest, derive: true, get: fetchReqHdr},
	{name: "req.hdr_cnt", args: "s?", kind: kindInt, where: inRequest, get: fetchReqHdrCount},
	{name: "req.hdr_ip", args: "s?i?", kind: kindAddr, where: inRequest, get: asAddr(fetchReqHdr)},
	{name: "req.hdr_names", args: "s?", kind: kindStr, where: inRequest, get: fetchReqNames},
	{name: "req.hdr_val", args: "s?i?", kind: kindInt, where: inRequest, get: asInt(fetchReqHdr)},
	{name: "req.ver", kind: kindStr, where: inRequest, log: "%HV", get: fetchReqVer},
	{name: "res.cook", args: "s?", kind: kindStr, where: inResponse, derive: true, get: fetchSetCookie},
	{name: "res.cook_cnt", args: "s?", kind: kindInt, where: inResponse, get: fetchSetCookieCount},
	{name: "res.cook_val", args: "s?", kind: kindInt, where: inResponse, get: asInt(fetchSetCookie)},
	{name: "res.fhdr", args: "s?i?", kind: kindStr, where: inResponse, derive: true, get: fetchResFull},
	{name: "res.fhdr_cnt", args: "s?", kind: kindInt, where: inResponse, get: fetchResFullCount},
	{name: "res.hdr", args: "s?i?", kind: kindStr, where: inResponse, derive: true, get: fetchResHdr},
	{name: "res.hdr_cnt", args: "s?", kind: kindInt, where: inResponse, get: fetchResHdrCount},
	{name: "res.hdr_ip", args: "s?i?", kind: kindAddr, where: inResponse, get: asAddr(fetchResHdr)},
	{name: "res.hdr_names", args: "s?", kind: kindStr, where: inResponse, get: fetchResNames},
	{name: "res.hdr_val", args: "s?i?", kind: kindInt, where: inResponse, get: asInt(fetchResHdr)},
	{name: "res.ver", kind: kindStr, where: inResponse, get: fetchResVer},
	{name: "status", kind: kindInt, where: inResponse | inLog, get: fetchStatus},
	{name: "url", kind: kindStr, where: inRequest, derive: true, log: "%HU", get: fetchURL},
	{name: "urlp", args: "s?s?", kind: kindStr, where: inRequest, derive: true, get: fetchURLParam},
	{name: "urlp_val", args: "s?s?", kind: kindInt, where: inRequest, get: asInt(fetchURLParam)},
}

// asInt and asAddr make the typed forms of a string fetch.
func asInt(get func(*Ctx, *args) (value, bool)) func(*Ctx, *args) (value, bool) {
	return func(x *Ctx, a *args) (value, bool) {
		v, ok := get(x, a)
		if !ok {
			return v, false
		}
		return intValue(leadingInt(v.b)), true
	}
}

func asAddr(get func(*Ctx, *args) (value, bool)) func(*Ctx, *args) (value, bool) {
	return func(x *Ctx, a *args) (value, bool) {
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
				return value{}, false
			}
		}
	}
}

func fetchPath(x *Ctx, _ *args) (value, bool) {
	if x.Req == nil {
		return value{}, false
	}
	p := x.Req.Path()
	return strValue(p), len(p) > 0
}

func fetchPathQ(x *Ctx, _ *args) (value, bool) {
	if x.Req == nil {
		return value{}, false
	}
	p := pathQuery(x.Req)
	return strValue(p), len(p) > 0
}

// pathQuery is the request target from the path's slash on.
func pathQuery(h *http1.Head) []byte {
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

func fetchURL(x *Ctx, _ *args) (value, bool) {
	if x.Req == nil {
		return value{}, false
	}
	return strValue(x.Req.URI()), true
}

func fetchQuery(x *Ctx, _ *args) (value, bool) {
	if x.Req == nil {
		return value{}, false
	}
	q := x.Req.Query()
	return strValue(q), q != nil
}

func fetchBase(x *Ctx, _ *args) (value, bool)  { return hostAnd(x, (*http1.Head).Path) }
func fetchBaseQ(x *Ctx, _ *args) (value, bool) { return hostAnd(x, pathQuery) }

// hostAnd is the first Host field followed by the path, with or without query.
func hostAnd(x *Ctx, rest func(*http1.Head) []byte) (value, bool) {
	if x.Req == nil {
		return value{}, false
	}
	off := len(x.scratch)
	x.scratch = append(x.scratch, x.Req.Get("host")...)
	x.scratch = append(x.scratch, rest(x.Req)...)
	return strValue(x.scratch[off:]), len(x.scratch) > off
}

func fetchMethod(x *Ctx, _ *args) (value, bool) {
	m := x.Rec.Method
	if len(m) == 0 && x.Req != nil {
		m = x.Req.Method()
	}
	return strValue(m), len(m) > 0
}

func fetchCaptureURI(x *Ctx, _ *args) (value, bool) {
	u := x.Rec.URI
	if len(u) == 0 && x.Req != nil {
		u = x.Req.URI()
	}
	if i := bytes.Index(u, schemeMark); i > 0 && u[0] != '/' { // absolute form: from the first slash on
		j := bytes.IndexByte(u[i+3:], '/')
		if j < 0 {
			return value{}, false
		}
		u = u[i+3+j:]
	}
	return strValue(u), len(u) > 0
}

var http10, http11, http20 = []byte("HTTP/1.0"), []byte("HTTP/1.1"), []byte("HTTP/2.0")

func fetchCaptureVer(x *Ctx, _ *args) (value, bool) {
	minor := x.Rec.Minor
	if x.Rec.HTTP2 {
		return strValue(http20), true
	}
	if len(x.Rec.Method) == 0 {
		if x.Req == nil {
			return value{}, false
		}
		minor = x.Req.Minor()
	}
	if minor == 0 {
		return strValue(http10), true
	}
	return strValue(http11), true
}

func fetchReqVer(x *Ctx, _ *args) (value, bool) {
	if x.Req != nil && x.Rec != nil && x.Rec.HTTP2 {
		return strValue(http20[5:]), true
	}
	return version(x.Req)
}

func fetchResVer(x *Ctx, _ *args) (value, bool) { return version(x.Res) }

func version(h *http1.Head) (value, bool) {
	if h == nil {
		return value{}, false
	}
	if h.Minor() == 0 {
		return strValue(http10[5:]), true
	}
	return strValue(http11[5:]), true
}

func fetchStatus(x *Ctx, _ *args) (value, bool) {
	if x.Res != nil {
		return intValue(int64(x.Res.Status())), true
	}
	return intValue(int64(x.Rec.Status)), x.Rec.Status > 0
}

func fetchReqCapture(x *Ctx, a *args) (value, bool) { return capture(x, x.Rec.ReqCaptures, a) }
func fetchResCapture(x *Ctx, a *args) (value, bool) { return capture(x, x.Rec.ResCaptures, a) }

func capture(x *Ctx, list []string, a *args) (value, bool) {
	if i := a.n[0]; i >= 0 && i < int64(len(list)) && list[i] != "" {
		return stringValue(x, list[i]), true
	}
	return value{}, false
}

// stringValue copies s into the scratch, because values are bytes.
func stringValue(x *Ctx, s string) value {
	off := len(x.scratch)
	x.scratch = append(x.scratch, s...)
	return strValue(x.scratch[off:])
}

var bearer = []byte("Bearer ")

func fetchBearer(x *Ctx, a *args) (value, bool) {
	if x.Req == nil {
		return value{}, false
	}
	name := a.s[0]
	if name == "" {
		name = "authorization"
	}
	v := x.Req.Get(name)
	if len(v) <= len(bearer) || !bytes.EqualFold(v[:len(bearer)], bearer) {
		return value{}, false
	}
	return strValue(bytes.TrimLeft(v[len(bearer):], " ")), true
}
