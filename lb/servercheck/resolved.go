package servercheck

import (
	"log/slog"
	"net/netip"

	"lbsyslogd/lb/backend"
)

// Slot is a server whose name is resolved while the process serves.
type Slot struct{ s *Server }

// Slot gives the server to whoever resolves its name.
func (s *Server) Slot() Slot { return Slot{s} }

// Name is what the server's address was looked up by; "" for none.
func (s *Server) Name() string { return s.opt.Name }

// Now is the address that the server has; invalid: none.
func (slot Slot) Now() netip.AddrPort {
	if slot.s.srv.Stats().Admin&backend.NoAddress != 0 {
		return netip.AddrPort{}
	}
	return slot.s.srv.Addr().IP
}

// Move gives the server another address, or takes it out of service; a weight
// of -1 stays as it is.
func (slot Slot) Move(to netip.AddrPort, weight int) {
	s := slot.s
	if !to.IsValid() {
		s.resolved(false)
		s.srv.SetAddr(backend.Addr{})
		return
	}
	if was := s.srv.Addr().IP; to != was {
		s.srv.SetAddr(backend.TCPAddr(to))
		if was.Addr().IsValid() {
			s.set.Announce(slog.LevelInfo, "", s.who.Backend+"/"+s.srv.Name+" changed its IP from "+was.Addr().String()+" to "+to.Addr().String())
		}
	}
	if weight >= 0 && weight != s.srv.Stats().Weight {
		s.change(func() { s.srv.SetWeight(weight) })
	}
	s.resolved(true)
}

// resolved notes whether the server has an address.
func (s *Server) resolved(has bool) {
	s.change(func() {
		stats := s.srv.Stats()
		before := stats.Admin
		after := before &^ backend.NoAddress
		if !has {
			after |= backend.NoAddress
		}
		if before == after {
			return
		}
		was, is := before&backend.Maint != 0, after&backend.Maint != 0
		if s.checks != nil {
			s.checks.Pause(is || s.areChecksOff())
		}
		switch { // a server that gets an address is up until a check says otherwise
		case is && !was:
			s.override(0)
		case was && !is:
			s.override(s.rise())
			s.srv.SetHealth(s.up())
		}
		s.srv.SetAdmin(after)
		s.administered(stats)
	})
}

// inherit takes the address that a server of the same name had in the worker
// before, so that nothing waits for an answer; false when it is another server.
func (s *Server) inherit(address, name string) bool {
	to, err := netip.ParseAddrPort(address)
	if !s.opt.Resolved || name != s.opt.Name || err != nil || !to.Addr().IsValid() || to.Port() == 0 {
		return false
	}
	s.srv.SetAddr(backend.TCPAddr(to))
	return true
}
