package stream

import (
	"net/netip"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
)

// localAddr is a connection's own address. It is asked for when something
// shows it first, and then known: a connection keeps its address.
type localAddr struct {
	addr  netip.AddrPort // invalid for a unix socket
	known bool
}

func (l *localAddr) of(sh *Shard, fd int) netip.AddrPort {
	if !l.known {
		l.known = true
		if loop.SockName(fd, &sh.sa) == 0 {
			l.addr = backend.FromRaw(&sh.sa)
		}
	}
	return l.addr
}

// frontAddr is the address that the client connected to, for frontends in which
// something shows it.
func (s *session) frontAddr() netip.AddrPort {
	if s.fe.Needs&sample.NeedsFrontAddr == 0 {
		return netip.AddrPort{}
	}
	s = s.outer() // all streams of a connection have its address
	return s.local.of(s.sh, s.FD())
}

// destination is frontAddr for what has to know it.
func (s *session) destination() netip.AddrPort {
	if s.stream != nil {
		s = s.stream.m.s
	}
	return s.local.of(s.sh, s.FD())
}
