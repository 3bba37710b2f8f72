package stream

import (
	"bytes"
	"cmp"
	"net/netip"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/wire"
)

// What we ask the server. The rules of a request run once (route.go). Then its
// head is rendered and kept until the exchange ends, because it may be sent late
// (the connection is being made, every server is full) and more than once (a
// retry). Only what depends on the server is added when it is sent.

// settling is the room that rules which may be left out (strict-mode off) leave to
// what lb adds to a head after them, such as X-Forwarded-For and Connection.
const settling = 512

// ask renders the head that goes to the server, whichever that will be; false
// when rules have made it larger than a buffer. It lies in the free part of the
// input buffer, which the exchange holds anyway and nothing is read into before
// it ends, or in memory of its own size if there is no room.
func (t *txn) ask() bool {
	h, in := &t.s.sh.req, t.s.in
	t.settle(h)
	if t.be.Algo == backend.URI {
		t.keyHash = t.be.HashURI(h.URI())
	}
	uri := h.URI()
	if h.Whole {
		if scheme, form := h.Origin(); form != nil {
			t.askedAs = http2.Target{Scheme: scheme, Authority: true}
			h.SetURI(form)
		}
	}
	t.asked = h.Append(in.Data[in.W:in.W])
	h.SetURI(uri) // what comes later sees what rules saw
	if len(t.asked) > t.s.sh.Loop.Buffers.Size() {
		return false
	}
	m := bytes.IndexByte(t.asked, ' ')
	t.askedFor = methodOf(t.asked[:m])
	t.askedURI = t.asked[m+1:]
	t.askedURI = t.askedURI[:bytes.IndexByte(t.askedURI, ' ')]
	return true
}

// settle completes the head: the fields that we add, and what it says of the
// connection to the server.
func (t *txn) settle(h *http1.Head) {
	o := h.TakeOptions()
	t.upgrade, t.askedClose = o.Upgrade, o.Close
	t.auth = authenticates(h, "authorization") || authenticates(h, "proxy-authorization")
	if t.be.Compress != nil || t.s.fe.Compress != nil {
		t.chooseCodec(h)
	}
	if h.Chunked && h.Minor() == 0 {
		t.asModern(h)
	}
	mode := max(t.be.ConnMode, t.s.fe.ConnMode)
	switch {
	case t.upgrade:
		t.offers, t.accept = offered(h), acceptKey(h)
	case (mode >= ServerClose || t.askedClose) && !t.be.HideClose:
		if h.Minor() > 0 { // an older one ends it anyway
			h.AddString("Connection", "close")
		}
	case h.Minor() == 0:
		h.AddString("Connection", "keep-alive")
	}
	if !t.upgrade {
		h.Del("upgrade")
	}
	if name := t.be.NameHeader; name != "" {
		h.Del(name) // headFor adds ours
	}
	if name := t.s.fe.UniqueHeader; name != nil {
		h.Add(name, t.rec.UniqueID)
	}
	setAddressField(h, t.rec.Client, t.s.fe.ForwardFor, t.be.ForwardFor)
	setAddressField(h, t.rec.FrontAddr, t.s.fe.OriginalTo, t.be.OriginalTo)
	rename(h, t.be.ServerNames)
}

// asModern makes an HTTP/1.0 request with chunks one of a version that knows them: a server that does not look for them would take the body for the next request.
// Its connection ends with it.
func (t *txn) asModern(h *http1.Head) {
	h.SetMinor(1)
	if h.Find("host", 0) < 0 {
		h.AddString("Host", "")
	}
	t.askedClose = true
}

// setAddressField adds the field that has an end of the client's connection, if
// the frontend or the backend asks for it. Where both do, the backend names the
// field, both may except the address, and `if-none` counts if both have it.
func setAddressField(h *http1.Head, end netip.AddrPort, fe, be *AddressField) {
	f := cmp.Or(be, fe)
	if f == nil || !end.IsValid() || fe.excepts(end.Addr()) || be.excepts(end.Addr()) {
		return
	}
	if (fe == nil || fe.IfNone) && (be == nil || be.IfNone) && h.Find(string(f.Name), 0) >= 0 {
		return
	}
	var text [64]byte
	h.Add(f.Name, end.Addr().AppendTo(text[:0]))
}

func (f *AddressField) excepts(a netip.Addr) bool { return f != nil && f.Except.Contains(a) }

// headFor is the head for t.srv: with http-send-name-header it has the server's
// name, and is valid until the shard renders another one.
func (t *txn) headFor() []byte {
	name := t.be.NameHeader
	if name == "" {
		return t.asked
	}
	b := append(t.s.sh.headBuf[:0], t.asked[:len(t.asked)-len("\r\n")]...)
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, t.srv.Name...)
	b = append(b, "\r\n\r\n"...)
	t.s.sh.headBuf = b
	return b
}

// sendHead sends the head with as much of the body as is there. It waits
// while the connection is not made yet.
func (t *txn) sendHead() step {
	sh, c := t.s.sh, t.c
	b := t.headFor()
	var n int
	var st wire.Status
	if t.ready > 0 {
		n, st = c.Write2(b, t.src.Data[t.src.R:t.src.R+t.ready])
	} else {
		n, st = c.Write(b)
	}
	switch st {
	case wire.Again:
		if t.phase != phaseForward {
			return waits
		}
	case wire.Error:
		t.serverFailed()
		return left
	}
	if t.phase == phaseConnect {
		t.established(sh.Loop.Now())
	}
	t.reqSent = true
	t.gave(n)
	if n < len(b) {
		t.head = b[n:]
		if t.be.NameHeader != "" { // it lies in the shard's scratch
			t.head = append([]byte(nil), t.head...)
		}
		return onward
	}
	t.sentBody(n - len(b))
	return onward
}

// rewind makes the request unsent again.
func (t *txn) rewind() {
	t.head, t.reqSent = nil, false
	if t.src == t.s.in {
		t.ready += t.src.R - (t.headOff + t.headLen)
		t.src.R = t.headOff + t.headLen
	}
}
