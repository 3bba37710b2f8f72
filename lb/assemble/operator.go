package assemble

import (
	"bytes"
	"fmt"
	"log/slog"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
	"lbsyslogd/syslogd/message"
)

// What operators do with frontends and sessions. What they do with servers is
// package servercheck's.

// frontend finds a frontend by its name.
func (rt *Runtime) frontend(name string) (*stream.Frontend, error) {
	for _, fe := range rt.eng.Frontends {
		if fe.Proxy.Name == name {
			return fe, nil
		}
	}
	return nil, control.ErrNoFrontend
}

// MaxConn implements control.Runtime.
func (rt *Runtime) MaxConn(name string) (own, global int, err error) {
	fe, err := rt.frontend(name)
	if err != nil {
		return 0, 0, err
	}
	return fe.Limit(), rt.eng.Limit(), nil
}

// SetFrontendMaxConn implements control.Runtime. 0 is what the process takes.
func (rt *Runtime) SetFrontendMaxConn(name string, n int) error {
	fe, err := rt.frontend(name)
	if err != nil {
		return err
	}
	if n == 0 {
		n = rt.eng.Limit()
	}
	rt.eng.SetFrontendMaxConn(fe, n)
	return nil
}

// SetGlobalMaxConn implements control.Runtime. 0 is what the configuration
// says; it cannot be more, as the descriptors were counted for that.
func (rt *Runtime) SetGlobalMaxConn(n int) error {
	switch {
	case n > rt.hardMaxConn:
		return control.Answer("Value out of range.")
	case n == 0:
		n = rt.hardMaxConn
	}
	rt.eng.SetMaxConn(n)
	return nil
}

// SetFrontend implements control.Runtime.
func (rt *Runtime) SetFrontend(name string, on bool) error {
	fe, err := rt.frontend(name)
	switch {
	case err != nil:
		return err
	case fe.Shut() && on:
		return control.Answer("Frontend was previously shut down, cannot enable.")
	case fe.Shut():
		return control.Answer("Frontend was previously shut down, cannot disable.")
	case fe.Paused() == !on:
		return control.ErrNoChange
	}
	if err := rt.eng.PauseFrontend(fe, !on); err != nil {
		rt.note(fmt.Sprintf("frontend %s: %v", fe.Proxy.Name, err))
		return control.Answer("Failed to resume frontend, check for precise cause (port conflict?).")
	}
	word := "Paused"
	if on {
		word = "Resumed"
	}
	rt.tell(fe, fmt.Sprintf("%s %s %s.", word, rt.kindOf(fe), fe.Proxy.Name))
	return nil
}

// kindOf is what a frontend's section is called in messages.
func (rt *Runtime) kindOf(fe *stream.Frontend) string {
	if rt.frontends[fe.Index].Backend {
		return "proxy"
	}
	return "frontend"
}

// tell writes a line about a frontend to its log.
func (rt *Runtime) tell(fe *stream.Frontend, line string) {
	rt.logEvent(slog.LevelWarn, "", line, event.Proxy(fe.Proxy.Name))
	rt.changing.Lock()
	b := &builder{cfg: rt.cfg, env: rt.env, eng: rt.eng, rt: rt, logs: rt.logs}
	l, err := b.sideLog(rt.frontends[fe.Index])
	rt.changing.Unlock()
	if err == nil && l != nil {
		l.write(message.Warning, line)
	}
}

// ShutFrontend implements control.Runtime.
func (rt *Runtime) ShutFrontend(name string) error {
	fe, err := rt.frontend(name)
	switch {
	case err != nil:
		return err
	case !rt.eng.ShutFrontend(fe):
		return control.ErrNoChange
	}
	var front, back uint64
	for _, r := range rt.Snapshot().Rows {
		switch {
		case r.Proxy != fe.Proxy.Name:
		case r.Kind == stats.Frontend:
			front = r.ConnTotal
		case r.Kind == stats.Backend:
			back = r.SessTotal
		}
	}
	rt.tell(fe, fmt.Sprintf("Proxy %s stopped (cumulated conns: FE: %d, BE: %d).", fe.Proxy.Name, front, back))
	return nil
}

// Sessions implements control.Runtime.
func (rt *Runtime) Sessions() []control.Session {
	list := rt.eng.Sessions()
	all := make([]control.Session, len(list))
	for i := range list {
		all[i] = control.Session(list[i])
	}
	return all
}

// ShutSession implements control.Runtime.
func (rt *Runtime) ShutSession(id uint64) bool { return rt.eng.ShutSession(id) }

// Loops implements control.Runtime.
func (rt *Runtime) Loops() []control.Loop {
	var all []control.Loop
	for _, l := range rt.eng.LoopInfos() {
		all = append(all, control.Loop(l))
	}
	return all
}

// BadMessages implements control.Runtime.
func (rt *Runtime) BadMessages() (list []control.BadMessage, total uint64) {
	frontID, backID, serverID := map[string]int{}, map[string]int{}, map[[2]string]int{}
	var all []*stream.BadMessage
	for _, fe := range rt.eng.Frontends {
		frontID[fe.Proxy.Name] = fe.ID
		all = append(all, fe.Bad())
	}
	for _, be := range rt.eng.Backends {
		backID[be.Proxy.Name] = be.ID
		for _, s := range be.All() {
			serverID[[2]string{be.Proxy.Name, s.Name}] = s.ID
		}
		all = append(all, be.Bad())
	}
	id := func(n int, known bool) int {
		if !known {
			return -1
		}
		return n
	}
	for _, m := range all {
		if m == nil {
			continue
		}
		f, fk := frontID[m.Frontend]
		b, bk := backID[m.Backend]
		s, sk := serverID[[2]string{m.Backend, m.Server}]
		list = append(list, control.BadMessage{
			Event: m.Event, Time: m.Time, Client: m.Client, Frontend: m.Frontend, Backend: m.Backend, Server: m.Server, Answer: m.Answer, HTTP2: m.HTTP2,
			Reason: m.Reason, Total: m.Total, At: m.At, From: m.From, Bytes: m.Bytes,
			FrontendID: id(f, fk), BackendID: id(b, bk), ServerID: id(s, sk),
		})
	}
	return list, rt.eng.BadMessages()
}

// Held implements control.Runtime.
func (rt *Runtime) Held() (now, budget int64) {
	budget = rt.eng.Budget
	if budget == 0 {
		budget = stream.DefaultBudget
	}
	return rt.eng.Held(), budget
}

// startupLogs is what there was to say of the configuration.
func (b *builder) startupLogs() string {
	var text bytes.Buffer
	if err := cfgfile.WriteNotes(&text, b.env.Pid, b.cfg.Notes); err != nil {
		return ""
	}
	return text.String()
}
