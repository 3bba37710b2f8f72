// Package socks4 has the messages of SOCKS4 with which a proxy is asked to
// connect to a server.
package socks4

import (
	"encoding/binary"
	"net/netip"
)

// userID is what a proxy is told about who asks: HAProxy's.
const userID = "HAProxy"

// Request is what a proxy is asked for a connection to a server; false: SOCKS4
// has no such address, as it knows IPv4 alone.
func Request(to netip.AddrPort) ([]byte, bool) {
	ip := to.Addr().Unmap()
	if !ip.Is4() {
		return nil, false
	}
	b := binary.BigEndian.AppendUint16([]byte{4, 1}, to.Port()) // version 4, CONNECT
	b = append(b, ip.AsSlice()...)
	return append(append(b, userID...), 0), true
}

// ReplySize is the size of a proxy's reply.
const ReplySize = 8

// Granted reports whether a proxy has done as it was asked. As in HAProxy, only
// the result counts: the first byte should be 0, but some proxies send a 4.
func Granted(reply [ReplySize]byte) bool { return reply[1] == 90 }
