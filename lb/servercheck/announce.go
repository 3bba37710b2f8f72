package servercheck

import (
	"log/slog"

	"lbsyslogd/lb/event"
	"lbsyslogd/lb/health"
	"lbsyslogd/syslogd/message"
)

// changed tells that the server went up or down, or wants no new clients. r is
// nil when no check is the reason.
func (s *Server) changed(up, stopping bool, r *health.Report) {
	if s.set.Serving.Err() != nil {
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
	if !up {
		sev = message.Alert
	}
	s.log(sev, line(told))
	s.logState(up, string(line(r)))
	s.noServer()
}

// logState tells the process's own messages of a change.
func (s *Server) logState(up bool, text string) {
	level, kind := slog.LevelInfo, event.ServerUp
	if !up {
		level, kind = slog.LevelWarn, event.ServerDown
	}
	s.set.Announce(level, kind, text, event.Proxy(s.who.Backend), event.Server(s.who.Backend, s.who.Server), slog.String("LB_SERVER_ADDRESS", s.srv.Addr().String()))
}

// event logs what an operator, or an agent, changed.
func (s *Server) event(e health.Event) {
	if s.set.Serving.Err() != nil {
		return // the next worker hears the agent too, and tells
	}
	sev := message.Notice
	if e == health.IntoMaint || e == health.SetDown {
		sev = message.Alert
	}
	line := health.AppendEvent(nil, s.who, e, s.around())
	s.log(sev, line)
	s.logState(sev == message.Notice, string(line))
	s.noServer()
}

func (s *Server) noServer() {
	if !s.be.Stats().Up {
		line := health.AppendNoServer(nil, s.opt.ProxyLog, s.who.Backend)
		s.log(message.Emerg, line)
		s.set.Announce(event.Alert, event.NoServer, string(line)+" Clients get 503.", event.Proxy(s.who.Backend))
	}
}

func (s *Server) around() health.Around {
	st := s.be.Stats()
	return health.Around{Active: st.Active, Backup: st.Backup, Sessions: int(s.srv.Load()), Queued: st.Queued}
}

func (s *Server) log(sev message.Severity, line []byte) {
	if s.opt.Log != nil {
		s.opt.Log(sev, string(line))
	}
}
