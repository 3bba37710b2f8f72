package http2

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// Request is the field block of a request's head, without what belongs to
// HTTP/1 connections. secure says that it goes over TLS, protocol, if it is not
// "", that the request asks to open a tunnel for it (RFC 8441). The block is
// valid until the next call.
func (e *Encoder) Request(h *http1.Head, secure bool, protocol string) []byte {
	w := &e.w
	w.begin()
	t := splitTarget(h)
	switch {
	case protocol != "":
		w.field([]byte(":method"), []byte("CONNECT"))
		w.field([]byte(":protocol"), []byte(protocol))
	case t.path == nil: // CONNECT has an authority alone (section 8.5)
		w.field([]byte(":method"), h.Method())
		w.field([]byte(":authority"), t.authority)
		e.fields(h, protocol != "")
		return w.buf
	default:
		w.field([]byte(":method"), h.Method())
	}
	switch {
	case len(t.scheme) > 0:
		w.field([]byte(":scheme"), bytes.ToLower(t.scheme))
	case secure:
		w.field([]byte(":scheme"), []byte("https"))
	default:
		w.field([]byte(":scheme"), []byte("http"))
	}
	if len(t.authority) > 0 {
		w.field([]byte(":authority"), t.authority)
	}
	w.field([]byte(":path"), t.path)
	e.fields(h, protocol != "")
	return w.buf
}

// target is the parts of what a request is for.
type target struct {
	scheme, authority []byte
	path              []byte // nil of CONNECT
}

// splitTarget reads the parts from the request line and the Host field.
func splitTarget(h *http1.Head) (t target) {
	uri := h.URI()
	t.authority = h.Get("host")
	switch {
	case string(h.Method()) == "CONNECT":
		t.authority = uri
		return t
	case len(uri) > 0 && (uri[0] == '/' || uri[0] == '*'):
		t.path = uri
		return t
	}
	scheme, rest, found := bytes.Cut(uri, []byte("://"))
	if !found {
		t.path = uri
		return t
	}
	t.scheme, t.path = scheme, []byte("/")
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
		if string(h.Method()) == "OPTIONS" {
			t.path = []byte("*") // section 8.3.1
		}
	} else if t.path = rest[end:]; rest[end] == '?' {
		t.path = append([]byte("/"), rest[end:]...)
	}
	t.authority = rest[:end]
	return t
}

// fields writes the fields that pass.
func (e *Encoder) fields(h *http1.Head, tunnel bool) {
	w := &e.w
	for i := range h.Len() {
		if h.Deleted(i) {
			continue
		}
		value, secret := h.Value(i), false
		switch string(w.lower(h.Name(i))) {
		case "host", "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings":
			continue
		case "te":
			if !http1.EqualFold(value, "trailers") {
				continue
			}
			value = []byte("trailers")
		case "sec-websocket-key":
			if tunnel {
				continue // there is no key in HTTP/2 (RFC 8441 section 5)
			}
		case "authorization", "proxy-authorization":
			secret = true // no table may remember it: requests of several clients share a connection to a server
		case "cookie":
			secret = len(value) < shortCookie
		}
		w.lowered(value, secret)
	}
}

// shortCookie is below how many bytes a cookie can be guessed by trying what
// compresses well (RFC 7541 section 7.1).
const shortCookie = 20
