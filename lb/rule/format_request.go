package rule

import "bytes"

var badRequest = []byte("<BADREQ>")

// appendEncoded appends a part of the request: what could confuse a reader of
// the log as #XX.
func appendEncoded(dst, b []byte, o option, set *escapeSet) []byte {
	if o&optEscape != 0 {
		return appendBackslashed(dst, b, '#', set)
	}
	return appendEscaped(dst, b, '#', set)
}

func appendRequest(dst []byte, x *Ctx, o option) ([]byte, bool) {
	if o&optQuote != 0 {
		dst = append(dst, '"')
	}
	if r := x.Rec; r.BadReq || len(r.Method) == 0 {
		dst = append(dst, badRequest...)
	} else {
		dst = append(appendEncoded(dst, r.Method, o, escapeURL), ' ')
		dst = append(appendEncoded(dst, r.URI, o, escapeURL), ' ')
		dst = append(dst, httpVersion(r)...)
	}
	if o&optQuote != 0 {
		dst = append(dst, '"')
	}
	return dst, true
}

func requestPart(get func(*Record) []byte) func([]byte, *Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *Ctx, o option) ([]byte, bool) {
		part := badRequest
		if !x.Rec.BadReq && len(x.Rec.Method) > 0 {
			part = get(x.Rec)
		}
		if o&optQuote != 0 {
			dst = appendEncoded(append(dst, '"'), part, o, escapeURL)
			return append(dst, '"'), true
		}
		return appendEncoded(dst, part, o, escapeURL), true
	}
}

func httpVersion(r *Record) []byte {
	switch {
	case r.HTTP2:
		return http20
	case r.Minor == 0:
		return http10
	}
	return http11
}

// uriPath is the target without its query.
func uriPath(r *Record) []byte {
	if i := bytes.IndexByte(r.URI, '?'); i >= 0 {
		return r.URI[:i]
	}
	return r.URI
}

// uriQuery is the query with its question mark.
func uriQuery(r *Record) []byte {
	if i := bytes.IndexByte(r.URI, '?'); i >= 0 {
		return r.URI[i:]
	}
	return nil
}

// pathOnly is the target without scheme, authority and query.
func pathOnly(r *Record) []byte {
	u := uriPath(r)
	if len(u) > 0 && u[0] != '/' {
		if i := bytes.Index(u, schemeMark); i >= 0 {
			if j := bytes.IndexByte(u[i+3:], '/'); j >= 0 {
				return u[i+3+j:]
			}
			return nil
		}
	}
	return u
}

// captures shows "{a|b}", and nothing at all where no capture is declared.
func captures(get func(*Record) []string) func([]byte, *Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *Ctx, o option) ([]byte, bool) {
		list := get(x.Rec)
		if len(list) == 0 {
			return dst, false
		}
		if o&optQuote != 0 {
			dst = append(dst, '"')
		}
		dst = append(dst, '{')
		for i, s := range list {
			if i > 0 {
				dst = append(dst, '|')
			}
			dst = appendHeaderText(dst, s, o)
		}
		dst = append(dst, '}')
		if o&optQuote != 0 {
			dst = append(dst, '"')
		}
		return dst, true
	}
}

// captureList shows the captures side by side, "-" for an absent one.
func captureList(get func(*Record) []string) func([]byte, *Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *Ctx, o option) ([]byte, bool) {
		for i, s := range get(x.Rec) {
			if i > 0 {
				dst = append(dst, ' ')
			}
			if o&optQuote != 0 {
				dst = append(appendHeaderText(append(dst, '"'), s, o), '"')
			} else if s == "" {
				dst = append(dst, '-')
			} else {
				dst = appendHeaderText(dst, s, o)
			}
		}
		return dst, len(get(x.Rec)) > 0
	}
}

// appendHeaderText is appendEncoded for a captured header.
func appendHeaderText(dst []byte, s string, o option) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case escapeHeader[c]:
			dst = append(dst, '#', upperHex[c>>4], upperHex[c&15])
		case o&optEscape != 0 && (c == '\\' || c == ']'):
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
