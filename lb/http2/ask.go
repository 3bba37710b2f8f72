package http2

import (
	"bytes"

	"lbsyslogd/lb/http1"
)

// Target is what the target of a request has in HTTP/2 and not in the origin form of HTTP/1.
type Target struct {
	Scheme    string // http or https; "" is https, as in HAProxy
	Authority bool   // the Host field is the authority; else it is passed on as a field
	KeyMade   bool   // a Sec-WebSocket-Key is lb's own and stays here; a client's is passed on, as in HAProxy
}

// Request is the field block of a request's head, without what belongs to
// HTTP/1 connections. as completes a target in origin form; an absolute one has
// all of it. protocol, if it is not "", says that the request asks to open a
// tunnel for it (RFC 8441). The block is valid until the next call.
func (e *Encoder) Request(h *http1.Head, as Target, protocol string) []byte {
	w := &e.w
	w.begin()
	t := split(h, as)
	if t.path == nil { // CONNECT has an authority alone (section 8.5)
		w.field([]byte(":method"), h.Method())
		w.field([]byte(":authority"), t.authority)
		e.fields(h, false, true)
		return w.buf
	}
	if protocol == "" {
		w.field([]byte(":method"), h.Method())
	} else {
		w.field([]byte(":method"), []byte("CONNECT"))
		if t.authority == nil {
			t.authority = h.Get("host") // RFC 8441 section 5
		}
	}
	w.field([]byte(":scheme"), t.scheme)
	if len(t.authority) > 0 {
		w.field([]byte(":authority"), t.authority)
	}
	w.field([]byte(":path"), t.path)
	if protocol != "" {
		w.field([]byte(":protocol"), []byte(protocol))
	}
	e.fields(h, protocol != "" && as.KeyMade, len(t.authority) > 0)
	return w.buf
}

// target is the parts of what a request is for.
type target struct {
	scheme    []byte
	authority []byte // nil where a Host field has it, if anything
	path      []byte // nil of CONNECT
}

var http, https = []byte("http"), []byte("https")

// split reads the parts from the request line, or from the Host field if as says so.
func split(h *http1.Head, as Target) (t target) {
	uri := h.URI()
	t.scheme = https
	if as.Scheme == "http" {
		t.scheme = http
	}
	if as.Authority {
		t.authority = h.Get("host")
	}
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
	t.scheme, t.path = bytes.ToLower(scheme), []byte("/")
	end := http1.AuthorityEnd(rest)
	if end == len(rest) {
		if string(h.Method()) == "OPTIONS" {
			t.path = []byte("*") // section 8.3.1
		}
	} else if t.path = rest[end:]; rest[end] == '?' {
		t.path = append([]byte("/"), rest[end:]...)
	}
	t.authority = rest[:end]
	return t
}

// fields writes the fields that pass. keyMade says that there may be a key of lb's, named that there is an authority.
func (e *Encoder) fields(h *http1.Head, keyMade, named bool) {
	w := &e.w
	for i := range h.Len() {
		if h.Deleted(i) {
			continue
		}
		value, secret := h.Value(i), false
		switch string(w.lower(h.Name(i))) {
		case "host":
			if named {
				continue
			}
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings":
			continue
		case "te":
			if !http1.EqualFold(value, "trailers") {
				continue
			}
			value = []byte("trailers")
		case "sec-websocket-key":
			if keyMade {
				continue // HTTP/2 needs none (RFC 8441 section 5)
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
