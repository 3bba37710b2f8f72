package servercheck

import (
	"log/slog"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/health"
	"lbsyslogd/syslogd/message"
)

// changed tells that the server went up or down, or wants no new clients. r is
// nil when no check is the reason.
func (s *Server) changed(was *backend.ServerStats, up, stopping bool, r *health.Report) {
	if s.set.silent() {
		return // the next worker checks this server too, and tells
	}
	told := r
	if s.opt.LogEach {
		told = nil
	}
	sev, around := message.Notice, s.around()
	line := func(r *health.Report) []byte {
		if up && stopping {
			return health.AppendStopping(nil, s.who, r, around)
		}
		return health.AppendChange(nil, s.who, up, r, around)
	}
	if !up && !leaving(was) {
		sev = message.Alert
	}
	s.log(sev, line(told))
	s.logState(up, string(line(r)))
}

// leaving reports whether a server took no new clients, so that it is no alarm when
// it goes down.
func leaving(was *backend.ServerStats) bool { return was.Stopping || was.Admin&backend.Drain != 0 }

// silent reports whether nothing is told: the next worker does, or the process begins.
func (set *Set) silent() bool { return set.Serving.Err() != nil || set.quiet.Load() }

// logState tells the process's own messages of a change.
func (s *Server) logState(up bool, text string) {
	level, kind := slog.LevelInfo, event.ServerUp
	if !up {
		level, kind = slog.LevelWarn, event.ServerDown
	}
	s.set.Announce(level, kind, text, event.Proxy(s.who.Backend), event.Server(s.who.Backend, s.who.Server), slog.String("LB_SERVER_ADDRESS", s.srv.Addr().String()))
}

// administered tells what became of the server's administrative state, line by
// line as HAProxy does.
func (s *Server) administered(was backend.ServerStats) {
	now := s.srv.Stats()
	const own, drain = backend.ForcedMaint, backend.Drain
	wasIn, isIn := was.Admin&backend.Maint != 0, now.Admin&backend.Maint != 0
	begun, ended := now.Admin&^was.Admin, was.Admin&^now.Admin
	if isIn && !wasIn && was.Health {
		s.mu.Lock()
		s.maintained = true
		s.mu.Unlock()
	}
	switch {
	case isIn && !wasIn && !was.Health:
		s.event(health.DownIntoMaint, now.Admin&own == 0, message.Notice)
	case isIn && !wasIn:
		sev := message.Alert
		if was.Stopping || was.Admin&drain != 0 {
			sev = message.Notice
		}
		s.event(health.IntoMaint, now.Admin&own == 0, sev)
	case isIn && ended&own != 0:
		s.event(health.OwnMaintEnds, true, message.Notice)
	case isIn && ended&backend.TrackedMaint != 0 && now.Admin&own != 0:
		s.event(health.OwnMaintGoesOn, false, message.Notice)
	case isIn:
	case wasIn:
		e := health.Resolved
		switch {
		case was.Admin&own != 0:
			e = health.OutOfMaint
		case was.Admin&backend.TrackedMaint != 0:
			e = health.OutOfOtherMaint
		}
		s.event(e, false, message.Notice)
		switch {
		case now.Admin&backend.ForcedDrain != 0:
			s.event(health.OwnDrainGoesOn, false, message.Notice)
		case now.Admin&drain != 0:
			s.event(health.OwnDrainEnds, true, message.Notice)
		}
	case now.Admin&drain != 0 && was.Admin&drain == 0:
		s.event(health.IntoDrain, now.Admin&backend.ForcedDrain == 0, message.Notice)
	case now.Admin&drain == 0 && was.Admin&drain != 0:
		s.event(health.OutOfDrain, false, message.Notice)
	case ended&backend.ForcedDrain != 0:
		s.event(health.OwnDrainEnds, true, message.Notice)
	case (begun|ended)&drain != 0 && now.Admin&backend.ForcedDrain != 0:
		s.event(health.OwnDrainGoesOn, false, message.Notice)
	}
}

// event logs what an operator, an agent, or the server that it tracks changed;
// via says that it is the latter.
func (s *Server) event(e health.Event, via bool, sev message.Severity) {
	if s.set.silent() {
		return // the next worker hears the agent too, and tells
	}
	who := s.who
	if !via {
		who.Via = ""
	}
	line := health.AppendEvent(nil, who, e, s.around())
	s.log(sev, line)
	s.logState(sev == message.Notice, string(line))
}

// noServer tells that the backend has lost its last server.
func (s *Server) noServer() {
	if s.set.silent() {
		return
	}
	line := health.AppendNoServer(nil, s.opt.ProxyLog, s.who.Backend)
	s.log(message.Emerg, line)
	s.set.Announce(event.Alert, event.NoServer, string(line)+" Clients get 503.", event.Proxy(s.who.Backend))
}

func (s *Server) around() health.Around {
	st, own := s.be.Stats(), s.srv.Stats()
	return health.Around{
		Active: st.Active, Backup: st.Backup, Sessions: int(s.srv.Load()), Queued: st.Queued,
		Down: !own.Health, Drain: own.Admin&backend.Drain != 0,
	}
}

func (s *Server) log(sev message.Severity, line []byte) {
	if s.opt.Log != nil {
		s.opt.Log(sev, string(line))
	}
}
