package succession

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/stream"
)

// begin makes a generation of an engine that does not run, with a server be/s1
// of weight 10.
func begin(t *testing.T, tables ...*stick.Table) *Generation {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	srv := &backend.Server{Name: "s1", Place: backend.Place{Address: backend.TCPAddr(netip.MustParseAddrPort("127.0.0.1:1"))}}
	srv.SetInitial(10, 0, true)
	be := backend.New(backend.Options{Name: "be"}, []*backend.Server{srv})
	servers := &servercheck.Set{Serving: ctx}
	servers.Add(be, []*servercheck.Server{servercheck.New(servercheck.Options{Backend: be, Server: srv})})
	eng := &stream.Engine{Tables: map[string]*stick.Table{}}
	for _, table := range tables {
		eng.Tables[table.Name] = table
	}
	g := New(Options{
		Engine: eng, Servers: servers, Tables: tables, Tickets: &Tickets{},
		Count: func(each func(*stats.Row)) stats.Info {
			each(&stats.Row{Kind: stats.Frontend, Proxy: "fe"})
			return stats.Info{}
		},
		Clear:   func(bool) {},
		Warn:    func(text string) { t.Log(text) },
		Running: ctx, Serving: ctx,
	})
	t.Cleanup(func() {
		cancel()
		g.Close()
		g.work.Wait()
	})
	return g
}

// pair makes the two ends of a connection between workers.
func pair(t *testing.T) (ours, theirs *handoff.Conn) {
	t.Helper()
	ours, end, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if theirs, err = handoff.NewConn(end); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// before has g take over from a worker whose part the test plays.
func before(t *testing.T, g *Generation) (*handoff.Conn, *predecessor) {
	t.Helper()
	ours, theirs := pair(t)
	g.Follow(theirs)
	return ours, g.before.first()
}

func post(t *testing.T, c *handoff.Conn, m message, fds ...int) {
	t.Helper()
	if err := c.Send(m, fds, 20*time.Second); err != nil {
		t.Fatal(err)
	}
}

// awaitCounts waits until g has the counts of all before it.
func awaitCounts(t *testing.T, g *Generation) {
	t.Helper()
	select {
	case <-g.Complete():
	case <-time.After(20 * time.Second):
		t.Fatal("the counts of the worker before did not come")
	}
}

// TestIntroductionIsReadToItsEnd: a worker that is introduced in several messages
// is not forgotten when the reader has to leave between two of them.
func TestIntroductionIsReadToItsEnd(t *testing.T) {
	g := begin(t)
	old, p := before(t, g)
	row := func(name string) []rowCounts { return []rowCounts{{Kind: stats.Frontend, Proxy: name}} }
	post(t, old, message{Kind: kindFormer, Rows: row("one"), More: true})
	post(t, old, message{Kind: kindCounts, Total: &totals{}})
	awaitCounts(t, g) // it has read both
	if err := p.link.Interrupt(); err != nil {
		t.Fatal(err)
	}
	oldest, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer oldest.Close()
	defer theirs.Close()
	post(t, old, message{Kind: kindFormer, Rows: row("two"), Total: &totals{Requests: 2}}, int(theirs.Fd()))
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it reads on")
	}
	g.before.mu.Lock()
	defer g.before.mu.Unlock()
	for _, o := range g.before.living {
		if o != p && len(o.rows) == 2 && o.total.Requests == 2 {
			return
		}
	}
	t.Error("the worker that was introduced is not known with all that it counted")
}

// TestLateState: a worker before that has no processor time sends its state when
// the next one waits for it no longer. What an operator set there holds here.
func TestLateState(t *testing.T) {
	g := begin(t)
	old, _ := before(t, g)
	c, err := g.Servers.Find("be", "s1")
	if err != nil {
		t.Fatal(err)
	}
	st := serverState{Backend: "be", Server: "s1", Address: c.Target().Addr().String(), State: c.State()}
	st.State.Server.Weight = 3
	post(t, old, message{Kind: kindState, Servers: []serverState{st}})
	post(t, old, message{Kind: kindCounts, Total: &totals{}})
	awaitCounts(t, g)
	if w := c.Target().Stats().Weight; w != 3 {
		t.Errorf("the weight is %d", w)
	}
}

// TestIntroductionThatFails: what a worker counted that cannot be met is kept.
func TestIntroductionThatFails(t *testing.T) {
	g := begin(t)
	null, err := os.Open(os.DevNull) // not a connection
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	old, _ := before(t, g)
	count := rowCounts{Kind: stats.Frontend, Proxy: "fe"}
	count.Count.ReqTotal = 7
	post(t, old, message{Kind: kindFormer, Rows: []rowCounts{count}, Total: &totals{Requests: 7}}, int(null.Fd()))
	post(t, old, message{Kind: kindCounts, Total: &totals{}})
	awaitCounts(t, g)
	if n := g.Snapshot().Rows[0].ReqTotal; n != 7 {
		t.Errorf("%d requests are counted", n)
	}
	if n := g.Snapshot().Info.CumReqs; n != 7 {
		t.Errorf("%d requests are counted in total", n)
	}
}
