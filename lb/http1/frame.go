package http1

import "bytes"

// frameMessage reads the framing fields of a message (RFC 9112 section 6), and makes those that two readers could understand in two ways say one thing: equal
// lengths are one, chunks have no length besides, and a message with chunks has a version that knows them. Whoever sent chunks with a length, or as HTTP/1.0,
// may have meant something else: what comes after that message on its connection is not read (sections 6.1 and 6.3), neither as a request nor as what is said
// in another protocol.
func (h *Head) frameMessage() *Error {
	if err := h.frame(); err != nil {
		return err
	}
	if h.Chunked && h.Length >= 0 {
		h.Del("content-length")
		h.Length = -1
		h.Repaired = true
	}
	if h.Repaired = h.Repaired || h.Chunked && h.minor == 0; h.Repaired && !h.response {
		h.Del("upgrade")
		h.Upgrade = false
	}
	return nil
}

// frame looks at each field once; the length of a name chooses the few that
// matter here.
func (h *Head) frame() *Error {
	var coding, upgrade, h2c, websocket, key bool
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
				websocket = websocket || offersWebSocket(h.Value(i))
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
				if err := h.contentLength(i); err != nil {
					return h.badField(i, err)
				}
			}
		case len("transfer-encoding"): // and sec-websocket-key
			switch {
			case EqualFold(name, "sec-websocket-key"):
				key = key || len(h.Value(i)) == keyLen
			case EqualFold(name, "transfer-encoding"):
				if coding {
					return h.badField(i, errCodings)
				}
				coding = true
				err := h.transferEncoding(h.Value(i))
				if err == errCoding && !h.response && h.Find("transfer-encoding", i+1) > 0 {
					err = errBeneath
				}
				if err != nil {
					return h.badField(i, err)
				}
			}
		}
	}
	h.Upgrade = h.Upgrade && upgrade && !h2c
	if h.Upgrade && websocket && !key && !h.response && h.RequestBody() == NoBody {
		return h.badField(h.Find("upgrade", 0), errKey)
	}
	return nil
}

// keyLen is the length of a Sec-WebSocket-Key: 16 bytes in base64.
const keyLen = 24

// offersWebSocket reports whether an Upgrade field names the WebSocket protocol.
func offersWebSocket(v []byte) bool {
	for name := range List(v) {
		if EqualFold(name, "websocket") {
			return true
		}
	}
	return false
}

// contentLength reads field i. The same length may be said again, in another field or in a list (RFC 9110 section 8.6): one of them is passed on.
func (h *Head) contentLength(i int) *Error {
	first, rest, list := bytes.Cut(h.Value(i), []byte(","))
	first = trimSpace(first)
	n, ok := parseLength(first)
	for more := list; ok && more; {
		var again []byte
		again, rest, more = bytes.Cut(rest, []byte(","))
		m, good := parseLength(trimSpace(again))
		if good && m != n {
			return errLengths
		}
		ok = good
	}
	switch {
	case !ok:
		return errLength
	case h.Length >= 0 && n != h.Length:
		return errLengths
	case h.Length >= 0:
		h.fields[i].deleted = true
	case list:
		h.SetValue(i, first)
	}
	h.Length = n
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
	beneath := false
	for {
		tok, rest, more := bytes.Cut(v, []byte(","))
		tok = trimSpace(tok)
		switch {
		case EqualFold(tok, "chunked"):
			if more {
				return errCodings
			}
			if beneath {
				return errBeneath
			}
			h.Chunked = true
			return nil
		case h.response && (EqualFold(tok, "gzip") || EqualFold(tok, "deflate") || EqualFold(tok, "compress")):
			if !more {
				return errCodings
			}
			h.Coded = true
		case h.response || !more:
			return errCoding
		default:
			beneath = true
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
// connection (section 9.3), and can be believed.
func (h *Head) Persistent() bool {
	switch {
	case h.Repaired:
		return false
	case h.minor == 0:
		return h.KeepAlive && !h.Close
	}
	return !h.Close
}
