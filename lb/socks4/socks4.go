// Package socks4 has the messages of SOCKS4 with which a proxy is asked to
// connect to a server.
package socks4

import (
	"encoding/binary"
	"net/netip"
)

// userID is what a proxy is told about who asks: HAProxy's.
const userID = "HAProxy"

// RequestSize is the size of a request.
const RequestSize = 8 + len(userID) + 1

// Request is what a proxy is asked for a connection to a server; false: SOCKS4
// has no such address, as it knows IPv4 alone.
func Request(to netip.AddrPort) (b [RequestSize]byte, ok bool) {
	ip := to.Addr().Unmap()
	if !ip.Is4() {
		return b, false
	}
	b[0], b[1] = 4, 1 // version 4, CONNECT
	binary.BigEndian.PutUint16(b[2:], to.Port())
	four := ip.As4()
	copy(b[4:], four[:])
	copy(b[8:], userID) // and a 0
	return b, true
}

// ReplySize is the size of a proxy's reply.
const ReplySize = 8

// Granted reports whether a proxy has done as it was asked. As in HAProxy, only
// the result counts: the first byte should be 0, but some proxies send a 4.
func Granted(reply [ReplySize]byte) bool { return reply[1] == 90 }
