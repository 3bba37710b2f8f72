package stream

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/socks4"
	"lbsyslogd/lb/wire"
)

// socks is a connection that a SOCKS4 proxy is asked for. Everything else that
// the server is sent comes after the proxy's reply.
type socks struct {
	request [socks4.RequestSize]byte
	asked   bool // it has been sent
	reply   [socks4.ReplySize]byte
	got     int // of reply
}

// askProxy asks the SOCKS proxy of a new connection for the way to the server, and
// waits for its reply.
func (t *txn) askProxy() step {
	c := t.c
	q := c.socks
	if q == nil {
		return onward
	}
	if !q.asked {
		n, st := c.Write(q.request[:])
		switch {
		case st == wire.Again:
			return waits
		case st != wire.OK || n < len(q.request): // a new connection has room for it
			t.connectError(c.SocketError())
			return left
		}
		q.asked = true
	}
	for q.got < len(q.reply) { // no more is read: the server may be the first to speak
		n, st := c.Read(q.reply[q.got:])
		switch st {
		case wire.OK:
			q.got += n
		case wire.Again:
			return waits
		default:
			t.connectFailed('S')
			return left
		}
	}
	if !socks4.Granted(q.reply) {
		t.connectFailed('S')
		return left
	}
	c.socks = nil
	return onward
}

// reached names where connections to a server go, and by which way: a connection
// from an earlier process is used where that is still the same.
func (be *Backend) reached(srv *backend.Server, at string) string {
	if how := be.Outbound[srv]; how != nil && how.SOCKS4 != nil {
		return at + " by way of " + how.SOCKS4.String()
	}
	return at
}
