package logformat

import (
	"bytes"

	"lbsyslogd/lb/sample"
)

var badRequest = []byte("<BADREQ>")

// appendEncoded appends a part of the request: what could confuse a reader of
// the log as #XX.
func appendEncoded(dst, b []byte, o option, set *escapeSet) []byte {
	if o&optEscape != 0 {
		return appendBackslashed(dst, b, '#', set)
	}
	return AppendEscaped(dst, b, '#', set)
}

func appendRequest(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
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

func requestPart(get func(*sample.Record) []byte) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
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

var schemeSep = []byte("://")

var versions = [...][]byte{[]byte("HTTP/1.0"), []byte("HTTP/1.1"), []byte("HTTP/2.0")}

func httpVersion(r *sample.Record) []byte {
	switch {
	case r.HTTP2:
		return versions[2]
	case r.Minor == 0:
		return versions[0]
	}
	return versions[1]
}

// uriPath is the target without its query.
func uriPath(r *sample.Record) []byte {
	if i := bytes.IndexByte(r.URI, '?'); i >= 0 {
		return r.URI[:i]
	}
	return r.URI
}

// uriQuery is the query with its question mark.
func uriQuery(r *sample.Record) []byte {
	if i := bytes.IndexByte(r.URI, '?'); i >= 0 {
		return r.URI[i:]
	}
	return nil
}

// pathOnly is the target without scheme, authority and query. "*" has no path, and neither
// has the host of a CONNECT.
func pathOnly(r *sample.Record) []byte {
	u := uriPath(r)
	if len(u) > 0 && u[0] == '/' {
		return u
	}
	if i := bytes.Index(u, schemeSep); i >= 0 {
		if j := bytes.IndexByte(u[i+3:], '/'); j >= 0 {
			return u[i+3+j:]
		}
	}
	return nil
}

// captures shows "{a|b}", and nothing at all where no capture is declared.
func captures(get func(*sample.Record) []string) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
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
func captureList(get func(*sample.Record) []string) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
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
			dst = append(dst, '#', hexDigits[c>>4], hexDigits[c&15])
		case o&optEscape != 0 && (c == '\\' || c == ']'):
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
