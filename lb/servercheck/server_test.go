package servercheck

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/stats"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/test/wait"
)

// one makes a backend be of one server s, changed by with before it is added.
func one(t *testing.T, admin backend.Admin, o Options) (*Set, *Server) {
	t.Helper()
	srv := &backend.Server{Name: "s", Place: backend.Place{Address: backend.TCPAddr(netip.MustParseAddrPort("127.0.0.1:1"))}, Checked: true, MaxConn: 50}
	srv.SetInitial(100, admin, true)
	o.Backend, o.Server = backend.New(backend.Options{Name: "be"}, []*backend.Server{srv}), srv
	s := New(o)
	set := &Set{Serving: t.Context(), Announce: silent, Cut: func(*backend.Server, byte) {}}
	set.Add(o.Backend, []*Server{s})
	return set, s
}

func silent(slog.Level, event.Kind, string, ...slog.Attr) {}

// said is an agent's answer.
func said(o health.Orders, st health.Status) health.Report {
	return health.Report{Agent: true, Status: st, Passed: st == health.L7OK, Up: true, Orders: o, Health: 1, Rise: 1, Fall: 1}
}

// What an agent only repeats does not undo what an operator did since, in this
// worker and in the next.
func TestAgentRepeats(t *testing.T) {
	o := Options{Agent: &health.Spec{Agent: true, Rise: 1, Fall: 1}}
	set, s := one(t, 0, o)
	words := health.Orders{Admin: health.OrderReady, Weight: 50, MaxConn: 7}
	s.report(said(words, health.L7OK))
	is := func(what string, weight, maxconn int, admin backend.Admin) {
		t.Helper()
		if st := s.srv.Stats(); st.Weight != weight || st.MaxConn != maxconn || st.Admin != admin {
			t.Errorf("%s: weight %d, maxconn %d, state %x; want %d, %d, %x", what, st.Weight, st.MaxConn, st.Admin, weight, maxconn, admin)
		}
	}
	is("first words", 50, 7, 0)
	operate := func(set *Set) {
		t.Helper()
		for _, err := range []error{set.SetWeight("be", "s", 80), set.SetMaxConn("be", "s", 9), set.SetAdmin("be", "s", control.Maint)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	operate(set)
	s.report(said(words, health.L7OK))
	is("said again", 80, 9, backend.ForcedMaint)
	s.report(health.Report{Agent: true, Status: health.L4CON, Orders: nothingHeard})
	s.report(said(words, health.L7OK))
	is("said again after it was out of reach", 80, 9, backend.ForcedMaint)

	// The next worker knows what it heard; but not what concerns what the
	// configuration has changed.
	before := s.State()
	_, s = one(t, 0, o)
	s.Restore(before)
	s.be.Restored(nil)
	s.report(said(words, health.L7OK))
	is("said again to the next worker", 80, 9, backend.ForcedMaint)
	set, s = one(t, backend.ForcedDrain, o)
	s.srv.SetInitial(200, backend.ForcedDrain, true)
	s.Restore(before)
	s.be.Restored(nil)
	s.report(said(words, health.L7OK))
	is("said of a server whose line has changed", 100, 9, 0)

	words.Weight = 60
	s.report(said(words, health.L7OK))
	is("something new", 120, 9, 0)
	operate(set)
	s.report(said(nothingHeard, health.Checked))
	s.report(said(words, health.L7OK))
	is("said anew", 120, 7, 0)
}

// Check and agent each can keep a server out of service, and an operator's
// word that it is ready is not the agent's.
func TestWorstDecides(t *testing.T) {
	set, s := one(t, 0, Options{Check: &health.Spec{Rise: 2, Fall: 3}, Agent: &health.Spec{Agent: true, Rise: 1, Fall: 1}})
	up := func(what string, want bool) {
		t.Helper()
		if got := s.srv.Stats().Usable; got != want {
			t.Errorf("%s: up %v", what, got)
		}
	}
	check := func(passed bool) {
		st, h := health.L4OK, 4
		if !passed {
			st, h = health.L4CON, 0
		}
		s.checks.Override(h)
		s.report(health.Report{Status: st, Passed: passed, Up: passed, Changed: true, Health: h, Rise: 2, Fall: 3})
	}
	agent := func(st health.Status) {
		h := 0
		if st == health.L7OK {
			h = 1
		}
		s.agent.Override(h)
		s.report(said(nothingHeard, st))
	}
	check(false)
	up("the check fails", false)
	agent(health.L7OK)
	up("the agent says up all the same", false)
	check(true)
	up("both are content", true)
	agent(health.L7STS)
	up("the agent says down", false)
	check(true)
	up("a check that passes does not overrule it", false)
	for _, to := range []control.AdminChange{control.Maint, control.Ready} {
		if err := set.SetAdmin("be", "s", to); err != nil {
			t.Fatal(err)
		}
	}
	up("leaving maintenance, the agent still says down", false)
	if err := set.SetAdmin("be", "s", control.Maint); err != nil {
		t.Fatal(err)
	}
	changes := s.srv.Stats().Downs
	agent(health.L7OK)
	check(false)
	check(true)
	up("in maintenance", false)
	if got := s.srv.Stats().Downs; got != changes {
		t.Errorf("what is found in maintenance counts: %d, then %d", changes, got)
	}
	if err := set.SetAdmin("be", "s", control.Ready); err != nil {
		t.Fatal(err)
	}
	up("all content again", true)
}

// What an operator disables does not keep the server out of service any longer: the next good word of the other one brings it back, as in HAProxy.
func TestDisabledHasNoSay(t *testing.T) {
	set, s := one(t, 0, Options{Check: &health.Spec{Rise: 2, Fall: 3}, Agent: &health.Spec{Agent: true, Rise: 1, Fall: 1}})
	up := func(what string, want bool) {
		t.Helper()
		if got := s.srv.Stats().Usable; got != want {
			t.Errorf("%s: up %v", what, got)
		}
	}
	passes := func() {
		s.report(health.Report{Status: health.L4OK, Passed: true, Up: true, Health: 4, Rise: 2, Fall: 3})
	} // nothing new
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.agent.Override(0)
	s.report(said(nothingHeard, health.L7STS))
	passes()
	up("the agent says down", false)
	do(set.EnableAgent("be", "s", false))
	up("its word holds until something else is known", false)
	passes()
	up("the agent is disabled, and a check passes", true)

	do(set.EnableAgent("be", "s", true))
	s.agent.Override(1)
	s.checks.Override(0)
	s.report(health.Report{Status: health.L4CON, Changed: true, Rise: 2, Fall: 3})
	s.report(said(nothingHeard, health.L7OK))
	up("the check fails", false)
	do(set.EnableHealth("be", "s", false))
	s.report(said(nothingHeard, health.L7OK))
	up("checks are disabled, and the agent says up", true)
}

// A server that is in maintenance when the process begins keeps no connections either: by its line, or as in the process before.
func TestMaintainedFromTheStart(t *testing.T) {
	for name, restored := range map[string]bool{"disabled": false, "in the process before": true} {
		_, before := one(t, backend.ForcedMaint, Options{})
		admin := backend.Admin(backend.ForcedMaint)
		if restored {
			admin = 0
		}
		set, s := one(t, admin, Options{})
		var told []bool
		set.Maintain = func(srv *backend.Server, on bool) { told = append(told, srv == s.srv && on) }
		if restored {
			st := before.State()
			st.Server.InitialAdmin = 0
			s.Restore(st)
		}
		set.Maintained()
		if len(told) != 1 || !told[0] {
			t.Errorf("%s: told %v", name, told)
		}
		if err := set.SetAdmin("be", "s", control.Ready); err != nil {
			t.Fatal(err)
		}
		if len(told) != 2 || told[1] {
			t.Errorf("%s, ready: told %v", name, told)
		}
	}
}

// A server with `disabled` on its line is not checked until it is enabled, and
// then at once.
func TestDisabled(t *testing.T) {
	var asked [2]atomic.Int32
	come := make(chan int, 100)
	var options [2]Options
	for i := range options {
		web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			asked[i].Add(1)
			select {
			case come <- i:
			default:
			}
		}))
		t.Cleanup(web.Close)
		options[i].Check = &health.Spec{
			Network: "tcp", Address: web.Listener.Addr().String(), Inter: 10 * time.Millisecond, DownInter: time.Hour, Rise: 1, Fall: 1000,
			// The first failure takes a server out, whatever fall is, and it would be asked again after an hour: none is too late.
			Connect: time.Minute, Check: time.Minute,
			Script: health.Script{Kind: health.HTTP, Steps: []health.Step{{Request: &health.Request{}}, {Expect: &health.Expect{}}}},
		}
	}
	off, s := one(t, backend.ForcedMaint|backend.ConfigMaint, options[0])
	on, _ := one(t, 0, options[1])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go off.Run(ctx)
	go on.Run(ctx)
	await := func(which, n int) {
		t.Helper()
		patience := time.After(20 * time.Second)
		for n > 0 {
			select {
			case i := <-come:
				if i == which {
					n--
				}
			case <-patience:
				t.Fatalf("server %d is not checked", which)
			}
		}
	}
	await(1, 10)
	if n := asked[0].Load(); n != 0 {
		t.Errorf("a disabled server was checked %d times", n)
	}
	if err := off.SetAdmin("be", "s", control.Ready); err != nil {
		t.Fatal(err)
	}
	await(0, 1)
	if st := s.srv.Stats(); st.Admin != backend.ConfigMaint || !st.Usable {
		t.Errorf("an enabled server: state %x, usable %v", st.Admin, st.Usable)
	}
}

// Servers are found by name, by number, and with their address.
func TestFind(t *testing.T) {
	set, s := one(t, 0, Options{})
	s.srv.ID = 3
	if got, err := set.Find("be", "s"); got != s || err != nil {
		t.Errorf("by name: %v", err)
	}
	if got, err := set.Find("be", "#3"); got != s || err != nil {
		t.Errorf("by number: %v", err)
	}
	for _, name := range []string{"s", "#3"} {
		if got, err := set.Server("be", name); err != nil || got.Name != "s" || got.ID != 3 {
			t.Errorf("%s: shown as %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"#4", "#", "#x", "t", ""} {
		if _, err := set.Find("be", name); err != control.ErrNoServer {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := set.Find("other", "s"); err != control.ErrNoBackend {
		t.Errorf("another backend: %v", err)
	}
	host, _, _ := net.SplitHostPort(s.srv.Addr().String())
	if set.Same("be", "s", s.srv.Addr().String(), "") != s || set.Same("be", "s", host+":2", "") != nil || set.Same("x", "s", "", "") != nil {
		t.Error("servers at an address")
	}
	if text := strings.Join([]string{s.Backend(), s.Target().Name}, "/"); text != "be/s" {
		t.Error(text)
	}
}

// TestMaintainIsCalled once as a server goes into maintenance, and once as it comes out, whatever put it there.
func TestMaintainIsCalled(t *testing.T) {
	set, _ := one(t, 0, Options{})
	var got []bool
	set.Maintain = func(_ *backend.Server, on bool) { got = append(got, on) }
	for _, a := range []control.AdminChange{control.Drain, control.Maint, control.Maint, control.Ready, control.Maint, control.Drain} {
		if err := set.SetAdmin("be", "s", a); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, []bool{true, false, true, false}) {
		t.Errorf("called with %v", got)
	}
}

// What the last checks found is shown by the next worker until its own have found something.
func TestFoundIsKept(t *testing.T) {
	o := Options{Check: &health.Spec{Rise: 2, Fall: 3}, Agent: &health.Spec{Agent: true, Rise: 1, Fall: 1}}
	row := func(s *Server) (r stats.Row) {
		st := s.srv.Stats()
		s.Fill(&r, &st)
		return r
	}
	_, s := one(t, 0, o)
	if st := s.State(); st.Found != nil || st.Agent.Found != nil {
		t.Errorf("found before any check: %+v, %+v", st.Found, st.Agent.Found)
	}
	s.report(health.Report{Status: health.L7STS, Code: 503, Duration: 7 * time.Millisecond, Info: "Service Unavailable", Rise: 2, Fall: 3})
	s.report(said(nothingHeard, health.L7OK))
	sent, err := json.Marshal(s.State())
	if err != nil {
		t.Fatal(err)
	}
	var before State
	if err := json.Unmarshal(sent, &before); err != nil {
		t.Fatal(err)
	}
	want := row(s)

	_, s = one(t, 0, o)
	s.Restore(before)
	s.be.Restored(nil)
	got := row(s)
	if got.Checks != want.Checks || got.CheckStatus != "L7STS" || got.CheckCode != 503 || got.CheckInfo != "Service Unavailable" || got.CheckDuration != 7 || got.AgentStatus != "L7OK" {
		t.Errorf("after a reload %+v, want %+v", got.Checks, want.Checks)
	}
	if c := s.shown(); c.CheckStatus != int(health.L7STS) || c.CheckResult != health.L7STS.Result() {
		t.Errorf("show servers state: %d, %d", c.CheckStatus, c.CheckResult)
	}
	s.report(health.Report{Status: health.L4CON, First: true, Rise: 2, Fall: 3})
	s.Restore(before)
	if got := row(s); got.CheckStatus != "L4CON" || got.CheckHasCode {
		t.Errorf("after a check of its own: %+v", got.Checks)
	}
}

// TestFirstTurnsAreSpread over the servers of all backends: each has its own place in
// the interval, however few servers its backend has.
func TestFirstTurnsAreSpread(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var asked atomic.Int32
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			c.Write([]byte("up\n"))
			c.Close()
		}
	}()
	set := &Set{Serving: t.Context(), Announce: silent, Cut: func(*backend.Server, byte) {}}
	for range 20 {
		srv := &backend.Server{Name: "s", Place: backend.Place{Address: backend.TCPAddr(netip.MustParseAddrPort("127.0.0.1:1"))}, Checked: true}
		srv.SetInitial(100, 0, true)
		be := backend.New(backend.Options{Name: "be"}, []*backend.Server{srv})
		o := Options{Backend: be, Server: srv, Agent: &health.Spec{Agent: true, Network: "tcp", Address: ln.Addr().String(), Inter: time.Hour, Rise: 1, Fall: 1}}
		set.Add(be, []*Server{New(o)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { set.Run(ctx); close(done) }()
	wait.Until(t, "the first turn", func() bool { return asked.Load() > 0 })
	cancel()
	<-done
	if n := asked.Load(); n != 1 {
		t.Errorf("%d of 20 servers were asked at once", n)
	}
}

// TestNoServerIsSaidOnce: whatever takes a backend's last server, one line says so, also where two go at once.
func TestNoServerIsSaidOnce(t *testing.T) {
	make2 := func() (set *Set, list []*Server, lines *[]string) {
		var servers []*backend.Server
		for i, name := range []string{"a", "b"} {
			srv := &backend.Server{Name: name, Index: i, Place: backend.Place{Address: backend.TCPAddr(netip.MustParseAddrPort("127.0.0.1:1"))}, MaxConn: 50}
			srv.SetInitial(1, 0, true)
			servers = append(servers, srv)
		}
		be := backend.New(backend.Options{Name: "be"}, servers)
		lines = new([]string)
		for _, srv := range servers {
			list = append(list, New(Options{Backend: be, Server: srv, ProxyLog: "backend", Log: func(_ message.Severity, line string) {
				if strings.Contains(line, "no server") {
					*lines = append(*lines, line)
				}
			}}))
		}
		set = &Set{Serving: t.Context(), Announce: silent, Cut: func(*backend.Server, byte) {}}
		set.Add(be, list)
		return set, list, lines
	}
	down := func(set *Set, name string) {
		if err := set.SetHealth("be", name, control.HealthDown); err != nil {
			t.Error(err)
		}
	}
	for what, take := range map[string]func(set *Set, a *Server){
		"the checks": func(set *Set, _ *Server) { down(set, "a") },
		"both at once": func(set *Set, a *Server) {
			set.SetHealth("be", "b", control.HealthUp)
			a.change(func() {
				a.srv.SetHealth(false)
				down(set, "b")
			})
		},
		"DNS": func(_ *Set, a *Server) { a.Slot().Move(a.srv.Addr().IP, 0) },
		"the configuration's weight": func(_ *Set, a *Server) {
			a.srv.Initial = 0
			a.ForgetOperators()
		},
	} {
		set, list, lines := make2()
		down(set, "b")
		take(set, list[0])
		down(set, "a")
		if !slices.Equal(*lines, []string{"backend be has no server available!"}) {
			t.Errorf("%s: %q", what, *lines)
		}
	}
}

// TestStateComesToAServingWorker: a state that comes to a worker that serves already has all that follows, as if it were set here: the server that tracks
// it follows, sessions end where the line says so, and maintenance is known. None of it is news.
func TestStateComesToAServingWorker(t *testing.T) {
	var cut []string
	maintained := map[string]bool{}
	make2 := func() (set *Set, s, f *Server) {
		set = &Set{Serving: t.Context(), Cut: func(s *backend.Server, why byte) { cut = append(cut, s.Name+string(why)) }}
		set.Maintain = func(s *backend.Server, on bool) { maintained[s.Name] = on }
		for _, o := range []Options{{ShutdownDown: true}, {ShutdownDown: true, Track: "s/s"}} {
			name := "s"
			if o.Track != "" {
				name = "f"
			}
			srv := &backend.Server{Name: name, Place: backend.Place{Address: backend.TCPAddr(netip.MustParseAddrPort("127.0.0.1:1"))}, Checked: o.Track == ""}
			srv.SetInitial(100, 0, true)
			o.Backend, o.Server = backend.New(backend.Options{Name: name}, []*backend.Server{srv}), srv
			set.Add(o.Backend, []*Server{New(o)})
		}
		set.Announce = silent
		set.Track(func(_ *Server, err error) { t.Error(err) })
		all := set.All()
		return set, all[0], all[1]
	}
	old, s, _ := make2()
	set, to, f := make2()
	set.Announce = func(_ slog.Level, _ event.Kind, text string, _ ...slog.Attr) { t.Error(text) }
	comes := func(kept bool) {
		st := s.State()
		st.Kept = kept
		settle := to.RestoreServing(st)
		to.be.Restored(nil)
		settle()
	}
	is := func(what string, admin, follower backend.Admin, health bool, cuts ...string) {
		t.Helper()
		a, b := to.srv.Stats(), f.srv.Stats()
		if a.Admin != admin || b.Admin != follower || a.Health != health || b.Health != health || !slices.Equal(cut, cuts) || maintained["s"] != (admin != 0) || maintained["f"] != (follower != 0) {
			t.Errorf("%s: state %x and %x, health %v and %v, cut %v, in maintenance %v", what, a.Admin, b.Admin, a.Health, b.Health, cut, maintained)
		}
		cut = nil
	}
	set1 := func(a control.AdminChange) {
		t.Helper()
		if err := old.SetAdmin("s", "s", a); err != nil {
			t.Fatal(err)
		}
		cut = nil
		maintained = map[string]bool{"s": a == control.Ready, "f": a == control.Ready} // the next worker says so itself
	}
	set1(control.Maint)
	comes(false)
	is("maintenance", backend.ForcedMaint, backend.TrackedMaint, true, "sD", "fD")
	set1(control.Ready)
	comes(false)
	is("ready", 0, 0, true)

	s.srv.SetHealth(false)
	comes(true)
	is("what was found here stays", 0, 0, true)
	comes(false)
	is("what was found there", 0, 0, false, "sD", "fD")
}
