package assemble

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
	"lbsyslogd/test/port"
)

// generation is a worker's engine in the test's own process.
type generation struct {
	*Runtime
	socks *handoff.Set // copies of its listeners
}

// notes is what engines say. They may say it when their test is over: t.Output would panic then.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

// said gives notes that are shown if the test fails.
func said(t testing.TB) *notes {
	n := new(notes)
	t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if t.Failed() && n.text.Len() > 0 {
			t.Logf("the engines said:\n%s", n.text.String())
		}
	})
	return n
}

// begin builds and starts an engine; former is the one it follows, nil for the
// first. The sockets of the first are opened, the others share them.
func begin(t testing.TB, text string, former *generation) *generation {
	t.Helper()
	return beginIn(t, text, former, func(*Env) {})
}

// beginIn is begin in an environment with more in it.
func beginIn(t testing.TB, text string, former *generation, more func(*Env)) *generation {
	t.Helper()
	cfg, err := config.LoadSources([]cfgfile.Source{{Name: "test.cfg", Data: []byte(text)}}, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := &generation{}
	env := Env{Pid: 1, Started: time.Now(), Logger: slog.New(slog.NewTextHandler(said(t), nil))}
	if former == nil {
		g.socks, err = open(Wants(cfg))
	} else {
		g.socks, err = former.socks.Clone()
	}
	if err != nil {
		t.Fatal(err)
	}
	if former != nil {
		ours, theirs, err := handoff.Pair()
		if err != nil {
			t.Fatal(err)
		}
		former.Successor(ours)
		if env.Former, err = handoff.NewConn(theirs); err != nil {
			t.Fatal(err)
		}
	}
	more(&env)
	own, err := g.socks.Clone()
	if err != nil {
		t.Fatal(err)
	}
	g.Runtime, err = Build(cfg, own, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Stop()
		g.socks.Close()
	})
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	return g
}

// open opens all sockets that are wanted.
func open(wants []handoff.Want) (*handoff.Set, error) {
	set, opener := new(handoff.Set), &handoff.Opener{}
	for _, w := range wants {
		fd, err := opener.Open(w)
		if err != nil {
			set.Close()
			return nil, err
		}
		set.Add(w.Key(), fd)
	}
	return set, nil
}

// follow begins the next generation and lets g leave.
func (g *generation) follow(t testing.TB, text string) *generation {
	t.Helper()
	next := begin(t, text, g)
	g.Drain()
	return next
}

func (g *generation) left(t testing.TB) {
	t.Helper()
	select {
	case <-g.Done():
	case <-time.After(20 * time.Second):
		t.Fatalf("a generation stays with %d connections", g.Status().Connections)
	}
}

// told waits until g has the counts of all before it.
func (g *generation) told(t testing.TB) {
	t.Helper()
	select {
	case <-g.generation.Complete():
	case <-time.After(20 * time.Second):
		t.Fatal("the counts of the worker before did not come")
	}
}

// row is one row of `show stat`.
func (g *generation) row(t testing.TB, kind stats.Kind, proxy, name string) *stats.Row {
	t.Helper()
	snap := g.Snapshot()
	for i := range snap.Rows {
		r := &snap.Rows[i]
		if r.Kind == kind && r.Proxy == proxy && r.Name == name {
			return r
		}
	}
	t.Fatalf("no row %v %s/%s", kind, proxy, name)
	return nil
}

// slowServer answers /slow when it is released, everything else at once.
func slowServer(t testing.TB) (addr string, arrived <-chan struct{}, release func()) {
	came, gone := make(chan struct{}, 10), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/slow") {
			came <- struct{}{}
			<-gone
		}
		io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String(), came, func() { close(gone) }
}

// freeAddr is an address that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	return port.Reserve(t)
}

func configFor(addr, server, options string) string {
	return fmt.Sprintf(`global
    nbthread 2
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend fe
    bind %s
    default_backend be
backend be
    server s1 %s %s
`, addr, server, options)
}

type browser struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func browse(t testing.TB, addr string) *browser {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &browser{t, c, bufio.NewReader(c)}
}

func (b *browser) ask(path string) {
	b.t.Helper()
	b.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(b, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) hear(path string) {
	b.t.Helper()
	b.SetDeadline(time.Now().Add(30 * time.Second))
	a, err := http.ReadResponse(b.r, nil)
	if err != nil {
		b.t.Fatalf("%s: %v", path, err)
	}
	body, err := io.ReadAll(a.Body)
	if err != nil || string(body) != path || a.Close {
		b.t.Fatalf("%s: %d %q close %v %v", path, a.StatusCode, body, a.Close, err)
	}
}

func (b *browser) get(path string) {
	b.t.Helper()
	b.ask(path)
	b.hear(path)
}

// TestGenerations has five workers follow each other while the first is busy:
// its connection goes to the last, with all that was counted.
func TestGenerations(t *testing.T) {
	server, arrived, release := slowServer(t)
	addr := freeAddr(t)
	text := configFor(addr, server, "")
	first := begin(t, text, nil)
	idle, busy := browse(t, addr), browse(t, addr)
	idle.get("/1")
	busy.ask("/slow")
	<-arrived
	g := first
	for n := 2; n < 6; n++ {
		before := g
		g = g.follow(t, text)
		if before != first {
			before.left(t)
		}
		g.told(t)
		idle.get(fmt.Sprintf("/%d", n))
		if got := g.row(t, stats.Frontend, "fe", "").ReqTotal; got != uint64(n) && got != uint64(n+1) {
			t.Errorf("generation %d counts %d requests, there were %d and one that runs", n, got, n)
		}
	}
	release()
	busy.hear("/slow")
	first.left(t)
	busy.get("/6")
	r := g.row(t, stats.Frontend, "fe", "")
	if r.ReqTotal != 7 || r.SessTotal != 2 {
		t.Errorf("%d requests over %d sessions were counted, there were 7 over 2", r.ReqTotal, r.SessTotal)
	}
	if s := g.row(t, stats.Server, "be", "s1"); s.SessTotal != 7 || s.LBTotal != 7 {
		t.Errorf("the server had %d sessions, %d by balancing, there were 7", s.SessTotal, s.LBTotal)
	}
	if st := g.Status(); st.Connections != 2 {
		t.Errorf("%d connections are open, there are 2", st.Connections)
	}
}

// TestHardStopTellsCounts ends a worker in the middle of its last requests:
// what it counted since it began to leave is not lost.
func TestHardStopTellsCounts(t *testing.T) {
	arrived, answer, end := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		if r.URL.Path == "/answered" {
			<-answer
		} else {
			<-end
		}
		io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(func() {
		close(end)
		s.CloseClientConnections()
		s.Close()
	})
	addr := freeAddr(t)
	text := configFor(addr, s.Listener.Addr().String(), "")
	first := begin(t, text, nil)
	one, two := browse(t, addr), browse(t, addr)
	one.ask("/answered")
	<-arrived
	two.ask("/cut")
	<-arrived
	second := first.follow(t, text)
	second.told(t)
	close(answer)
	one.hear("/answered")
	first.Stop()
	patience, tick := time.After(20*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		r := second.row(t, stats.Frontend, "fe", "")
		if r.Resp[1] > 0 {
			break
		}
		select {
		case <-tick.C:
		case <-patience:
			t.Fatal("the request that was answered while the worker left is not counted")
		}
	}
}

// TestMaxConnOverGenerations holds that a server's maxconn counts what earlier
// workers have running there.
func TestMaxConnOverGenerations(t *testing.T) {
	server, arrived, release := slowServer(t)
	addr := freeAddr(t)
	text := configFor(addr, server, "maxconn 1")
	first := begin(t, text, nil)
	busy, waits := browse(t, addr), browse(t, addr)
	busy.ask("/slow/1")
	<-arrived
	waits.ask("/slow/2")
	queued := func(g *generation) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		patience := time.After(20 * time.Second)
		for g.row(t, stats.Backend, "be", "").QueueCur != 1 {
			select {
			case <-tick.C:
			case <-patience:
				t.Fatal("the second request does not wait")
			}
		}
	}
	queued(first)
	second := first.follow(t, text)
	queued(second)
	third := second.follow(t, text) // it hears of the first from the second
	second.left(t)
	queued(third)
	select {
	case <-arrived:
		t.Error("a server with maxconn 1 got a second request")
	default:
	}
	release()
	busy.hear("/slow/1")
	waits.hear("/slow/2")
	first.left(t)
}

// TestStateIsInherited hands over what operators changed.
func TestStateIsInherited(t *testing.T) {
	server, _, release := slowServer(t)
	defer release()
	addr := freeAddr(t)
	text := configFor(addr, server, "weight 10\n    server s2 "+server)
	first := begin(t, text, nil)
	if err := first.SetWeight("be", "s1", 3); err != nil {
		t.Fatal(err)
	}
	if err := first.SetAdmin("be", "s2", control.Maint); err != nil {
		t.Fatal(err)
	}
	second := first.follow(t, text)
	row := func(g *generation, name string, weight int, state stats.State) {
		t.Helper()
		if r := g.row(t, stats.Server, "be", name); r.UserWeight != weight || r.State != state {
			t.Errorf("%s: weight %d, state %v; want %d, %v", name, r.UserWeight, r.State, weight, state)
		}
	}
	row(second, "s1", 3, stats.Running)
	row(second, "s2", 1, stats.Stopped)
	third := second.follow(t, strings.Replace(text, "weight 10", "weight 20", 1))
	row(third, "s1", 20, stats.Running)
	row(third, "s2", 1, stats.Stopped)
	fourth := third.follow(t, strings.Replace(text, "server s2 "+server, "server s2 127.0.0.1:1", 1))
	row(fourth, "s2", 1, stats.Running) // another address is another server
}

// TestTakeoverIsNoEvent: a server that is down, or in maintenance, is so since
// the same moment in the next worker, and did not go down once more.
func TestTakeoverIsNoEvent(t *testing.T) {
	server, _, release := slowServer(t)
	defer release()
	addr := freeAddr(t)
	text := configFor(addr, server, "\n    server s2 127.0.0.1:1 check inter 1h\n    server s3 "+server)
	g := begin(t, text, nil)
	if err := g.SetHealth("be", "s2", control.HealthDown); err != nil {
		t.Fatal(err)
	}
	if err := g.SetAdmin("be", "s3", control.Maint); err != nil {
		t.Fatal(err)
	}
	if err := g.SetAdmin("be", "s1", control.Maint); err != nil { // the backend is down, too
		t.Fatal(err)
	}
	times := func() (list []int64) {
		for _, s := range g.Set.All() {
			list = append(list, s.State().Server.Change)
		}
		return append(list, g.Set.Backend("be").Times().Change)
	}
	first := times()
	for range 3 {
		g = g.follow(t, text)
		g.told(t)
		for _, name := range []string{"s1", "s2", "s3", ""} {
			kind := stats.Server
			if name == "" {
				kind = stats.Backend
			}
			if r := g.row(t, kind, "be", name); r.CheckDown != 1 || r.Downtime > 19 {
				t.Errorf("%q went down %d times, down for %d s", name, r.CheckDown, r.Downtime)
			}
		}
		if now := times(); !slices.Equal(now, first) {
			t.Errorf("changes at %v, before at %v", now, first)
		}
	}
}

// TestDrainingWorkerChecksNothing: neither servers nor agents are asked any
// more once the next worker serves, however long the last connection stays.
func TestDrainingWorkerChecksNothing(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Path]++
	}))
	t.Cleanup(s.Close)
	agents := map[string]string{}
	for _, name := range []string{"/a1", "/a2"} {
		agents[name] = portOf(peer(t, func(c net.Conn) {
			mu.Lock()
			asked[name]++
			mu.Unlock()
			shuts("up\n")(c)
		}))
	}
	server, arrived, release := slowServer(t)
	addr := freeAddr(t)
	text := func(n string) string {
		return configFor(addr, server, "check inter 10ms fall 1000 port "+portOf(s.Listener.Addr().String())+" agent-check agent-inter 10ms agent-port "+agents["/a"+n]+
			"\n    option httpchk GET /c"+n)
	}
	count := func(name string) int {
		mu.Lock()
		defer mu.Unlock()
		return asked[name]
	}
	more := func(names ...string) {
		t.Helper()
		tick, patience := time.NewTicker(time.Millisecond), time.After(20*time.Second)
		defer tick.Stop()
		for _, name := range names {
			for n := count(name) + 5; count(name) < n; {
				select {
				case <-tick.C:
				case <-patience:
					t.Fatalf("%s is not asked", name)
				}
			}
		}
	}
	first := begin(t, text("1"), nil)
	more("/c1", "/a1")
	busy := browse(t, addr)
	busy.ask("/slow")
	<-arrived
	second := first.follow(t, text("2"))
	for deadline := time.Now().Add(20 * time.Second); ; { // what was under way may come late
		checks, agent := count("/c1"), count("/a1")
		more("/c2", "/a2")
		c, a := count("/c1"), count("/a1")
		if c == checks && a == agent {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a worker that drains checked %d times and asked its agent %d times", c-checks, a-agent)
		}
	}
	release()
	busy.hear("/slow")
	first.left(t)
	_ = second
}
