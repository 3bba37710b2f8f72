package stream

import (
	"net/netip"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
)

// What we ask the server. The rules of a request run once (route.go). Then its
// head is rendered and kept until the exchange ends, because it may be sent late
// (the connection is being made, every server is full) and more than once (a
// retry). Only what depends on the server is added when it is sent.

// ask renders the head that goes to the server, whichever that will be; false
// when rules have made it larger than a buffer. It lies in the free part of the
// input buffer, which the exchange holds anyway and nothing is read into before
// it ends, or in memory of its own size if there is no room.
func (t *txn) ask() bool {
	in := t.s.in
	t.asked = t.appendRequest(in.Data[in.W:in.W])
	return len(t.asked) <= loop.BufferSize
}

// appendRequest renders the request head for the server.
func (t *txn) appendRequest(dst []byte) []byte {
	h := &t.s.sh.req
	if h.Find("connection", 0) >= 0 || h.Find("proxy-connection", 0) >= 0 {
		h.Del("connection")
		h.Del("proxy-connection")
	}
	h.Del("keep-alive")
	mode := max(t.be.ConnMode, t.s.fe.ConnMode)
	switch {
	case t.upgrade:
		h.AddString("Connection", "Upgrade")
	case mode >= ServerClose:
		h.AddString("Connection", "close")
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
	t.forwardFor(h, t.s.fe.ForwardFor)
	if t.be.ID != t.s.fe.ID && t.s.fe.ForwardFor == nil {
		t.forwardFor(h, t.be.ForwardFor)
	}
	return h.Append(dst)
}

// forwardFor adds X-Forwarded-For.
func (t *txn) forwardFor(h *http1.Head, f *ForwardFor) {
	if f == nil || !t.s.peer.IsValid() || contains(f.Except, t.s.peer.Addr()) {
		return
	}
	if f.IfNone && h.Find(string(f.Header), 0) >= 0 {
		return
	}
	var text [64]byte
	h.Add(f.Header, t.s.peer.Addr().AppendTo(text[:0]))
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

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

// sendHead sends the head with as much of the body as is there. False when the
// connection is not made yet or has failed.
func (t *txn) sendHead() bool {
	sh, c := t.s.sh, t.c
	b := t.headFor()
	var n int
	var st ioStatus
	if t.ready > 0 {
		n, st = c.write2(b, t.src.Data[t.src.R:t.src.R+t.ready])
	} else {
		n, st = c.write(b)
	}
	switch st {
	case ioAgain:
		if t.phase != phaseForward {
			return false
		}
	case ioError:
		t.serverFailed()
		return false
	}
	if t.phase == phaseConnect {
		t.established(sh.Loop.Now())
	}
	t.reqSent = true
	sh.Server[t.srv.Index].BytesIn += uint64(n)
	if n < len(b) {
		t.head = b[n:]
		if t.be.NameHeader != "" { // it lies in the shard's scratch
			t.head = append([]byte(nil), t.head...)
		}
		return true
	}
	t.sentBody(n - len(b))
	return true
}

// rewind makes the request unsent again.
func (t *txn) rewind() {
	t.head, t.reqSent = nil, false
	if t.src == t.s.in {
		t.ready += t.src.R - (t.headOff + t.headLen)
		t.src.R = t.headOff + t.headLen
	}
}
