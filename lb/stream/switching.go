package stream

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"

	"lbsyslogd/lb/http1"
)

// protocols are what a request offers to switch to, as sums of their names: at most
// so many, and a server cannot choose one beyond them.
type protocols [4]uint32

// offered are the protocols that a request's Upgrade fields name.
func offered(h *http1.Head) (offers protocols) {
	n := 0
	for i := h.Find("upgrade", 0); i >= 0; i = h.Find("upgrade", i+1) {
		for name := range http1.List(h.Value(i)) {
			if n < len(offers) {
				offers[n] = protocolSum(name)
				n++
			}
		}
	}
	return offers
}

// protocolSum tells names of protocols apart (FNV-1a); letters of both cases are
// equal. It is never 0.
func protocolSum(name []byte) uint32 {
	sum := uint32(2166136261)
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		sum = (sum ^ uint32(c)) * 16777619
	}
	return max(sum, 1)
}

var websocket = protocolSum([]byte("websocket"))

// acceptKey is the Sec-WebSocket-Accept that a server must answer a request to
// upgrade with (RFC 6455 section 4.2.2); zero when it offers another protocol,
// or names no key.
func acceptKey(h *http1.Head) (accept [28]byte) {
	key := h.Get("sec-websocket-key")
	if key == nil || !offered(h).has(websocket) {
		return accept
	}
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}

func (p protocols) has(sum uint32) bool {
	for _, one := range p {
		if one == sum {
			return true
		}
	}
	return false
}

// agreed reports whether a 101 switches to what was asked for. Without that a
// tunnel would lead past all rules: the client must have asked, rules must have
// let that through, and the server must name what it switches to, which is one of
// the protocols that were offered (RFC 9110 section 7.8). A WebSocket needs the
// answer to its key, so there is none where the key is missing. HAProxy leaves
// a wrong answer to the client; lb opens no tunnel to a server that has not shown that it speaks WebSocket.
func (t *txn) agreed(h *http1.Head) bool {
	if !t.wants || !t.upgrade || !h.Upgrade {
		return false
	}
	chosen := protocolSum(h.Get("upgrade"))
	if !t.offers.has(chosen) {
		return false
	}
	return chosen != websocket || t.accept[0] != 0 && bytes.Equal(h.Get("sec-websocket-accept"), t.accept[:])
}
