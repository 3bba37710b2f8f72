package http1

import "bytes"

// frameRequest reads the framing fields of a request (RFC 9112 section 6).
func (h *Head) frameRequest() *Error {
	if err := h.frame(); err != nil {
		return err
	}
	if h.Chunked && h.Length >= 0 {
		return h.badField(h.Find("content-length", 0), errLengthTE)
	}
	return nil
}

// frameResponse reads the framing fields of a response. A Content-Length
// next to Transfer-Encoding is dropped, as section 6.3 asks of a proxy.
func (h *Head) frameResponse() *Error {
	if err := h.frame(); err != nil {
		return err
	}
	if h.Chunked && h.Length >= 0 {
		h.Del("content-length")
		h.Length = -1
	}
	return nil
}

// frame looks at each field once; the length of a name chooses the few that
// matter here.
func (h *Head) frame() *Error {
	var coding, upgrade, h2c bool
	for i := range h.fields {
		name := h.Name(i)
		switch len(name) {
		case len("te"):
			h.Hops = h.Hops || EqualFold(name, "te")
		case len("host"):
			if EqualFold(name, "host") {
				if h.HasHost && !h.response {
					return h.badField(i, errHosts)
				}
				h.HasHost = true
				if !h.response && !validHost(h.Value(i)) {
					return h.badField(i, errHost)
				}
			}
		case len("expect"):
			if EqualFold(name, "expect") && expectsContinue(h.Value(i)) {
				h.Expect = h.minor >= 1
			}
		case len("upgrade"):
			if EqualFold(name, "upgrade") {
				upgrade, h.Hops = true, true
				h2c = h2c || offersH2C(h.Value(i))
			}
		case len("connection"): // and keep-alive
			switch {
			case EqualFold(name, "connection"):
				h.Hops = true
				o := connectionOptions(h.Value(i))
				h.Close, h.KeepAlive, h.Upgrade = h.Close || o.Close, h.KeepAlive || o.KeepAlive, h.Upgrade || o.Upgrade
			case EqualFold(name, "keep-alive"):
				h.Hops = true
			}
		case len("proxy-connection"):
			h.Hops = h.Hops || EqualFold(name, "proxy-connection")
		case len("content-length"):
			if EqualFold(name, "content-length") {
				n, ok := parseLength(h.Value(i))
				if !ok {
					return h.badField(i, errLength)
				}
				if h.Length >= 0 && (!h.response || n != h.Length) {
					return h.badField(i, errLengths)
				}
				if h.Length >= 0 {
					h.fields[i].deleted = true
				}
				h.Length = n
			}
		case len("transfer-encoding"):
			if EqualFold(name, "transfer-encoding") {
				if coding {
					return h.badField(i, errCodings)
				}
				coding = true
				if err := h.transferEncoding(h.Value(i)); err != nil {
					return h.badField(i, err)
				}
			}
		}
	}
	h.Upgrade = h.Upgrade && upgrade && !h2c
	if coding && h.minor == 0 {
		return h.badField(h.Find("transfer-encoding", 0), errTEVersion)
	}
	return nil
}

// badField notes field i as the place of the mistake.
func (h *Head) badField(i int, e *Error) *Error { return h.bad(int(h.fields[i].value.off), e) }

// expectsContinue reports whether 100-continue is among a client's expectations.
func expectsContinue(v []byte) bool {
	for more := true; more; {
		var word []byte
		if word, v, more = bytes.Cut(v, []byte(",")); EqualFold(trimSpace(word), "100-continue") {
			return true
		}
	}
	return false
}

// offersH2C reports whether an Upgrade field names cleartext HTTP/2. It is not
// passed on: what followed would be a tunnel past all rules.
func offersH2C(v []byte) bool {
	for i := 0; i+len("h2c") <= len(v); i++ {
		if EqualFold(v[i:i+len("h2c")], "h2c") {
			return true
		}
	}
	return false
}

// transferEncoding accepts chunked alone in a request: servers differ in what
// they make of a list. A response may have known codings before it.
func (h *Head) transferEncoding(v []byte) *Error {
	for {
		tok, rest, more := bytes.Cut(v, []byte(","))
		tok = trimSpace(tok)
		switch {
		case EqualFold(tok, "chunked"):
			if more {
				return errCodings
			}
			h.Chunked = true
			return nil
		case h.response && (EqualFold(tok, "gzip") || EqualFold(tok, "deflate") || EqualFold(tok, "compress")):
			if !more {
				return errCodings
			}
			h.Coded = true
		default:
			return errCoding
		}
		v = rest
	}
}

// parseLength reads 1*DIGIT below 2^63.
func parseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// all reports whether every byte of v is of a class.
func all(v []byte, of byte) bool { return firstNot(v, of) < 0 }

// firstNot is where the first byte of v is that is not of a class; -1 when all
// are.
func firstNot(v []byte, of byte) int {
	for i, c := range v {
		if class[c]&of == 0 {
			return i
		}
	}
	return -1
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// Body says how a message's body ends.
type Body uint8

// Body kinds (RFC 9112 section 6.3).
const (
	NoBody     Body = iota
	LengthBody      // Head.Length bytes
	ChunkedBody
	UntilClose // responses only
	Tunnel     // 101, or 2xx to CONNECT: both directions are opaque from here
)

// RequestBody tells how this request's body ends.
func (h *Head) RequestBody() Body {
	switch {
	case h.Chunked:
		return ChunkedBody
	case h.Length > 0:
		return LengthBody
	}
	return NoBody
}

// ResponseBody tells how this response's body ends, given whether it answers a
// HEAD or a CONNECT.
func (h *Head) ResponseBody(head, connect bool) Body {
	switch {
	case h.status == 101, h.status/100 == 2 && connect:
		return Tunnel
	case h.status/100 == 1, h.status == 204, h.status == 304, head:
		return NoBody
	case h.Chunked:
		return ChunkedBody
	case h.Length == 0:
		return NoBody
	case h.Length > 0:
		return LengthBody
	}
	return UntilClose
}

// Persistent reports whether the sender of this head offers to keep the
// connection (section 9.3).
func (h *Head) Persistent() bool {
	if h.minor == 0 {
		return h.KeepAlive && !h.Close
	}
	return !h.Close
}
