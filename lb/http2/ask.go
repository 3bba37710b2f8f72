package http2

import (
	"bytes"

	"golang.org/x/net/http2/hpack"

	"lbsyslogd/lb/http1"
)

// Request is the field block of a request's head, without what belongs to
// HTTP/1 connections. secure says that it goes over TLS, protocol, if it is not
// "", that the request asks to open a tunnel for it (RFC 8441). The block is
// valid until the next call.
func (e *Encoder) Request(h *http1.Head, secure bool, protocol string) []byte {
	e.buf.Reset()
	t := splitTarget(h)
	switch {
	case protocol != "":
		e.write(":method", "CONNECT")
		e.write(":protocol", protocol)
	case t.path == nil: // CONNECT has an authority alone (section 8.5)
		e.write(":method", string(h.Method()))
		e.write(":authority", string(t.authority))
		e.fields(h, protocol != "")
		return e.buf.Bytes()
	default:
		e.write(":method", string(h.Method()))
	}
	switch {
	case len(t.scheme) > 0:
		e.write(":scheme", lower(t.scheme))
	case secure:
		e.write(":scheme", "https")
	default:
		e.write(":scheme", "http")
	}
	if len(t.authority) > 0 {
		e.write(":authority", string(t.authority))
	}
	e.write(":path", string(t.path))
	e.fields(h, protocol != "")
	return e.buf.Bytes()
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
	for i := range h.Len() {
		if h.Deleted(i) {
			continue
		}
		name, value := lower(h.Name(i)), h.Value(i)
		switch name {
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
			e.secret(name, string(value))
			continue
		case "cookie":
			if len(value) < shortCookie {
				e.secret(name, string(value))
				continue
			}
		}
		e.write(name, string(value))
	}
}

// shortCookie is below how many bytes a cookie can be guessed by trying what
// compresses well (RFC 7541 section 7.1).
const shortCookie = 20

// secret writes a field that no table may remember: requests of several clients
// share a connection to a server.
func (e *Encoder) secret(name, value string) {
	_ = e.hp.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true})
}
