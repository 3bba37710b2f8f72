package stream

import (
	"cmp"
	"errors"
	"syscall"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/proxyproto"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
	"lbsyslogd/syslogd/message"
)

// A connection that begins with a PROXY header, or with NetScaler's, says first
// whom it is from. The bytes are looked at where they are until the header is
// whole; only it is taken, so that what follows (a request, a TLS handshake)
// is read as on any other connection.

// HAProxy's words for connections whose header did not come.
const (
	prefaceEmpty     = "Connection closed while waiting for PROXY protocol header"
	prefaceAborted   = "Connection error while waiting for PROXY protocol header"
	prefaceTimeout   = "Timeout while waiting for PROXY protocol header"
	prefaceTruncated = "Truncated PROXY protocol header received"
	prefaceMissing   = "Received something which does not look like a PROXY protocol header"
	prefaceBad       = "Received an invalid PROXY protocol header"
	prefaceProtocol  = "Received an unhandled protocol in the PROXY protocol header"
)

// announce begins to wait for the header.
func (s *session) announce() {
	s.state = announcing
	to := &s.fe.Timeouts
	s.leaveAt = s.sh.Loop.Now() + cmp.Or(to.ClientHandshake, to.Client, defaultHandshake)
	s.readPreface()
	if s.state == announcing {
		s.rearm()
	}
}

// readPreface goes on once the header is there.
func (s *session) readPreface() {
	b := s.sh.Loop.Buffers.Get()
	n, errno := loop.Peek(s.FD(), b.Data[:proxyproto.MaxSize])
	var h proxyproto.Header
	var size int
	err := proxyproto.ErrShort
	if errno == 0 && n > 0 {
		if s.expect == sample.NetScalerCIP {
			h, size, err = proxyproto.ParseCIP(b.Data[:n], s.ln.CIPMagic)
		} else {
			h, size, err = proxyproto.Parse(b.Data[:n])
		}
	}
	if err == nil {
		s.learn(&h)
		_, errno = loop.Read(s.FD(), b.Data[:size]) // it is there: Peek has seen it
	}
	s.sh.Loop.Buffers.Put(b)
	switch {
	case err == nil && errno == 0:
		s.leaveAt, s.state = 0, reading
		s.Retry()
		s.hsTime = int32(s.sh.Loop.Now() - s.since)
		s.begin()
	case errno == syscall.EAGAIN:
		s.Rest()
		s.watch()
	case errno != 0:
		s.unannounced(prefaceAborted)
	case n == 0:
		s.unannounced(prefaceEmpty)
	case errors.Is(err, proxyproto.ErrShort) && s.PeerEnded():
		s.unannounced(prefaceTruncated)
	case errors.Is(err, proxyproto.ErrShort) && n < proxyproto.MaxSize:
		s.Rest() // the next bytes will be an event
		s.watch()
	case errors.Is(err, proxyproto.ErrNone):
		s.unannounced(prefaceMissing)
	case errors.Is(err, proxyproto.ErrProtocol):
		s.unannounced(prefaceProtocol)
	default:
		s.unannounced(prefaceBad)
	}
}

// learn takes over what the header says. h views a buffer.
func (s *session) learn(h *proxyproto.Header) {
	s.proxied = &sample.Proxied{}
	if h.Local {
		return
	}
	if h.Src.IsValid() {
		s.peer, s.local = h.Src, localAddr{addr: h.Dst, known: true}
	}
	if v, ok := h.Get(proxyproto.TypeAuthority); ok {
		s.proxied.Authority = string(v)
	}
	if v, ok := h.Get(proxyproto.TypeUniqueID); ok {
		s.proxied.UniqueID = string(v)
	}
}

// unannounced ends a connection whose header did not come.
func (s *session) unannounced(what string) {
	null := what == prefaceEmpty || what == prefaceTimeout
	if !null || !s.fe.Access.DontLogNull {
		severity := message.Info
		if s.fe.Access.SeparateErrors {
			severity = message.Err
		}
		s.sh.logEmbryonic(s, severity, &sample.Fault{What: what}, &wire.Info{})
	}
	s.close()
}

// announced is what a PROXY header said of the client.
func (s *session) announced() *sample.Proxied {
	if s.stream != nil { // all streams of a connection
		return s.stream.m.s.proxied
	}
	return s.proxied
}
