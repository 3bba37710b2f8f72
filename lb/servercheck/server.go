package servercheck

import (
	"math"
	"slices"
	"sync"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/health"
	"lbsyslogd/syslogd/message"
)

// Options say how a server is checked, and what follows. Immutable after New.
type Options struct {
	Backend   *backend.Backend
	BackendID int     // HAProxy's iid
	ForcedIDs [2]bool // the backend's, the server's number is given by `id`
	TLS       bool    // connections to it are TLS
	Rise      int     // of its line, for `show servers state`
	Server    *backend.Server

	// Check and Agent are how its checks and its agent are asked; nil: not at
	// all. New copies them.
	Check, Agent *health.Spec
	SendState    bool     // servers hear their state with each check
	Observe      *Observe // errors of the traffic count; nil: they do not

	// As the configuration has them, for `show servers state`.
	Resolved             bool   // its name is resolved while the process serves
	Name                 string // that the address was looked up by; "" for none
	CheckAddr, AgentAddr string
	CheckPort, AgentPort int
	Port                 int // of a server whose name has no address yet

	Track        string // the server whose state it follows, BACKEND/SERVER; "" for none
	ShutdownDown bool   // on-marked-down shutdown-sessions
	ShutdownUp   bool   // on-marked-up shutdown-backup-sessions

	Added bool // by an operator: its checks and its agent are off at first, as with HAProxy

	Log      func(sev message.Severity, line string) // where its proxy logs; nil for nowhere
	LogEach  bool                                    // option log-health-checks
	ProxyLog string                                  // what the log calls its proxy: backend, or proxy
}

// Observe is how errors of the traffic count.
type Observe struct {
	Layer7 bool // exchanges, not connections alone
	Limit  int  // errors in a row
	Do     health.OnError
}

// Server is one server, with what its checks and its agent found last.
type Server struct {
	opt       Options
	be        *backend.Backend
	srv       *backend.Server
	who       health.Who
	set       *Set
	checks    *health.Checker // nil without checks
	agent     *health.Checker // nil without an agent
	tracks    *Server         // the server it follows; nil for none. Immutable after it has joined.
	followers []*Server       // the servers that follow it. acting guards it.

	acting sync.Mutex // held while the server's state changes. Lock order: the tracked server's before its followers'.

	mu sync.Mutex
	// mu guards the fields below.
	last, lastAgent   health.Report
	known, agentKnown bool
	agentOff          bool          // disable agent
	heard             health.Orders // by the agent's last answer
	maintained        bool          // has been in maintenance of its own
	checksOff         bool          // disable health
	places            Places        // as operators have them
	plain             bool          // set server ssl off
}

// New prepares a server, before Set.Add.
func New(o Options) *Server {
	s := &Server{
		opt: o, be: o.Backend, srv: o.Server, heard: nothingHeard,
		who: health.Who{Backend: o.Backend.Name, Server: o.Server.Name, Backup: o.Server.Backup, Via: o.Track, Name: o.Name},
	}
	s.places = s.Configured()
	if o.Check != nil {
		spec := *o.Check
		if o.SendState {
			spec.State = s.header
		}
		if spec.DisableOn404 {
			spec.InService = func() bool { return s.srv.Stats().Usable }
		}
		s.checks = health.New(spec, spec.Rise, s.report)
		if s.inMaintenance() {
			s.checks.Override(0)
			s.checks.Pause(true)
		}
	}
	if o.Agent != nil {
		s.agent = health.New(*o.Agent, 1, s.report)
	}
	if o.Added {
		if s.checks != nil {
			s.enableChecks(false)
		}
		if s.agent != nil {
			s.enableAgent(false)
		}
	}
	if o.Observe != nil && s.checks != nil {
		s.srv.Watch = s.watch()
	}
	s.opt.Check, s.opt.Agent = nil, nil // which the checks have
	return s
}

// watch hears of the server's traffic.
func (s *Server) watch() *backend.Watch {
	return &backend.Watch{
		Layer7: s.opt.Observe.Layer7, Limit: s.opt.Observe.Limit,
		Tell: func(errors int, last string) {
			s.checks.Trouble(health.Trouble{Do: s.opt.Observe.Do, Errors: errors, Last: last})
		},
	}
}

// Target is the server as the balancing sees it.
func (s *Server) Target() *backend.Server { return s.srv }

// Members is the backend that it belongs to.
func (s *Server) Members() *backend.Backend { return s.be }

// Backend is the name of the backend that it belongs to.
func (s *Server) Backend() string { return s.who.Backend }

// report takes one check's outcome over, the agent's too.
func (s *Server) report(r health.Report) {
	s.mu.Lock()
	last, known := &s.last, &s.known
	if r.Agent {
		last, known = &s.lastAgent, &s.agentKnown
	}
	before, told := *last, *known
	*last, *known = r, true
	s.mu.Unlock()
	if r.Counted {
		s.srv.CheckFailed()
	}
	if r.Agent && r.Status.FromAgent() {
		s.obey(r.Orders)
	}
	if r.Passed {
		s.srv.Watch.Reset()
	}
	if s.opt.LogEach {
		var prev *health.Report
		if told {
			prev = &before
		}
		r.Unweighted = s.srv.Stats().Weight == 0
		if r.Status != health.Checked && r.Logged(prev) { // an agent that says nothing of the health is no news
			s.log(message.Notice, health.AppendCheck(nil, s.who, &r))
		}
	}
	s.apply(&r)
}

// nothingHeard is what an agent has said that has not answered yet.
var nothingHeard = health.Orders{Weight: -1, MaxConn: -1}

// obey does what an agent says besides the health, when it says something else
// than in its answer before: what it only repeats does not undo what an
// operator did since. Its word on the health is a state of its own (Server.up).
func (s *Server) obey(o health.Orders) {
	s.mu.Lock()
	before := s.heard
	s.heard = o
	s.mu.Unlock()
	if o.Admin != before.Admin {
		switch o.Admin {
		case health.OrderReady:
			s.admin(control.Ready)
		case health.OrderDrain:
			s.admin(control.Drain)
		case health.OrderMaint:
			s.admin(control.Maint)
		}
	}
	if o.Weight >= 0 && o.Weight != before.Weight {
		s.change(func() { s.srv.SetWeight(min(s.srv.Initial*o.Weight/100, 256)) })
	}
	if o.MaxConn >= 0 && o.MaxConn != before.MaxConn {
		s.srv.SetMaxConn(places(o.MaxConn))
	}
}

// apply makes an outcome the server's state: it is up when neither its checks
// nor its agent say otherwise.
func (s *Server) apply(r *health.Report) {
	if !r.Agent && !r.Changed && r.Passed && r.Status != health.L7OKC && s.srv.Running() {
		return // nothing new, almost always
	}
	s.change(func() {
		was := s.srv.Stats()
		up := s.up()
		switch {
		case was.Admin&backend.Maint != 0:
			return // what is found meanwhile counts when it leaves maintenance
		case !r.Passed:
			// An agent that is out of reach, or says nothing of the health, changes
			// nothing; nor does a failure that leaves health.
			if up || r.Agent && r.Status != health.L7STS {
				return
			}
		case !up || r.Agent && was.Stopping:
			return
		}
		s.srv.SetHealth(up)
		stopping := up && r.Status == health.L7OKC
		if stopping != was.Stopping && !r.Agent {
			s.srv.SetStopping(stopping)
		}
		if now := s.srv.Stats(); now.Health != was.Health || now.Stopping != was.Stopping {
			s.changed(&was, up, now.Stopping, r)
		}
	})
}

func (s *Server) inMaintenance() bool { return s.srv.Stats().Admin&backend.Maint != 0 }

// up is what checks and agent say together: each has a state of its own, and
// either can keep the server out of service, unless an operator has disabled it.
func (s *Server) up() bool {
	s.mu.Lock()
	checksOff, agentOff := s.checksOff, s.agentOff
	s.mu.Unlock()
	return (s.checks == nil || checksOff || s.checks.Up()) && (s.agent == nil || agentOff || s.agent.Up())
}

// change does something to the server's state, and what follows from it.
func (s *Server) change(do func()) {
	s.acting.Lock()
	defer s.acting.Unlock()
	was := s.srv.Stats()
	do()
	if s.srv.TookLast() {
		s.noServer()
	}
	s.ensue(&was)
	for _, f := range slices.Backward(s.followers) { // as HAProxy, which has the last one first
		f.follow()
	}
}

// ensue ends sessions as the server's line wants it for what has become of the server since was, and tells who asked for it of maintenance.
func (s *Server) ensue(was *backend.ServerStats) {
	is := s.srv.Stats()
	switch {
	case was.Usable && !is.Usable && s.opt.ShutdownDown:
		s.set.Cut(s.srv, 'D')
	case !was.Usable && is.Usable && s.opt.ShutdownUp && !s.srv.Backup && is.Weight > 0:
		for _, other := range s.be.All() {
			if other.Backup {
				s.set.Cut(other, 'U')
			}
		}
	}
	if before, now := was.Admin&backend.Maint != 0, is.Admin&backend.Maint != 0; before != now && s.set.Maintain != nil {
		s.set.Maintain(s.srv, now)
	}
}

// follow takes over what became of the server it tracks.
func (s *Server) follow() {
	s.change(func() {
		st, was := s.tracks.srv.Stats(), s.srv.Stats()
		a := tracked(st.Admin)
		if was.Health == st.Health && was.Stopping == st.Stopping && was.Admin&backend.Tracked == a {
			return
		}
		s.srv.SetTracked(st.Health, st.Stopping, a)
		now := s.srv.Stats()
		switch {
		case now.Admin != was.Admin:
			s.administered(was)
		case now.Admin&backend.Maint != 0:
		case was.Usable != now.Usable || was.Stopping != now.Stopping:
			s.changed(&was, now.Usable, now.Stopping, nil)
		}
	})
}

// tracked is what the state of a server means for those that track it.
func tracked(of backend.Admin) (a backend.Admin) {
	if of&backend.Maint != 0 {
		a |= backend.TrackedMaint
	}
	if of&backend.Drain != 0 {
		a |= backend.TrackedDrain
	}
	return a
}

// override sets the health that the checks go on from.
func (s *Server) override(health int) {
	if s.checks != nil {
		s.checks.Override(health)
	}
}

// rise is the health from which on the checks find the server up.
func (s *Server) rise() int {
	if s.checks == nil {
		return 0
	}
	_, rise, _ := s.checks.Health()
	return rise
}

// places is a maxconn of which 0 is none.
func places(n int) int {
	if n == 0 {
		return backend.Unlimited
	}
	return n
}

// fullHealth is more than any health: the checks hold theirs to rise+fall-1.
const fullHealth = math.MaxInt

// state is what was found last; known is false before the first check.
func (s *Server) state() (last health.Report, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, s.known
}

// agentState is what the agent said last.
func (s *Server) agentState() (last health.Report, known, off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastAgent, s.agentKnown, s.agentOff
}
