package worker

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// before has g take over from a worker whose part the test plays.
func before(t *testing.T, g *generation) (*handoff.Conn, *predecessor) {
	t.Helper()
	ours, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	link, err := handoff.NewConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	p := g.former.meet(link)
	g.work.Go(func() { g.takeOver(p) })
	return ours, p
}

func tell(t *testing.T, c *handoff.Conn, l letter, fds ...int) {
	t.Helper()
	if err := c.Send(l, fds, 20*time.Second); err != nil {
		t.Fatal(err)
	}
}

// serveless is a generation whose server nobody asks anything.
func serveless(t *testing.T) (g *generation, addr string) {
	t.Helper()
	addr = freeAddr(t)
	return begin(t, configFor(addr, "127.0.0.1:1", "weight 10"), nil), addr
}

// TestNoRoomForTables: a worker that has no descriptor left for a table's memory
// answers only for connections. One answer too many, and the worker before would
// take it for that to the next batch: both would go on with what is in it.
func TestNoRoomForTables(t *testing.T) {
	g, addr := serveless(t)
	old, _ := before(t, g)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	accepted.Close()

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	tell(t, old, letter{Kind: kindTables, More: true}, int(f.Fd()))
	tell(t, old, letter{Kind: kindCounts, Total: &totals{}})
	g.told(t) // it has read both
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	parcel := &stream.Parcel{Kind: stream.ClientParcel, Frontend: "fe", Listener: addr, Accepted: time.Now(), Began: -1}
	tell(t, old, letter{Kind: kindMove, Parcels: []*stream.Parcel{parcel}, FDs: []int{1}}, int(f.Fd()))
	var answer letter
	if _, err := old.ReceiveWithin(&answer, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if answer.Kind != kindTaken || len(answer.Taken) != 1 || !answer.Taken[0] {
		t.Errorf("to a batch of one connection it answers %+v", answer)
	}
}

// TestIntroductionIsReadToItsEnd: a worker that is introduced in several letters
// is not forgotten when the reader has to leave between two of them.
func TestIntroductionIsReadToItsEnd(t *testing.T) {
	g, _ := serveless(t)
	old, p := before(t, g)
	row := func(name string) []tally { return []tally{{Kind: stats.Frontend, Proxy: name}} }
	tell(t, old, letter{Kind: kindFormer, Rows: row("one"), More: true})
	tell(t, old, letter{Kind: kindCounts, Total: &totals{}})
	g.told(t) // it has read both
	if err := p.link.Interrupt(); err != nil {
		t.Fatal(err)
	}
	oldest, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer oldest.Close()
	defer theirs.Close()
	tell(t, old, letter{Kind: kindFormer, Rows: row("two"), Total: &totals{Requests: 2}}, int(theirs.Fd()))
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it reads on")
	}
	g.former.mu.Lock()
	defer g.former.mu.Unlock()
	for _, o := range g.former.living {
		if o != p && len(o.rows) == 2 && o.total.Requests == 2 {
			return
		}
	}
	t.Error("the worker that was introduced is not known with all that it told")
}

// TestLateState: a worker before that has no processor time tells its state when
// the next one waits for it no longer. What an operator set there holds here.
func TestLateState(t *testing.T) {
	g, _ := serveless(t)
	old, _ := before(t, g)
	c, err := g.find("be", "s1")
	if err != nil {
		t.Fatal(err)
	}
	st := serverState{Backend: "be", Server: "s1", Address: c.srv.Addr.String(), State: c.srv.State()}
	st.State.Weight = 3
	tell(t, old, letter{Kind: kindState, Servers: []serverState{st}})
	tell(t, old, letter{Kind: kindCounts, Total: &totals{}})
	g.told(t)
	if r := g.row(t, stats.Server, "be", "s1"); r.UserWeight != 3 {
		t.Errorf("the weight is %d", r.UserWeight)
	}
}

// TestIntroductionThatFails: what a worker counted that cannot be met is kept.
func TestIntroductionThatFails(t *testing.T) {
	g, _ := serveless(t)
	null, err := os.Open(os.DevNull) // not a connection
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	old, _ := before(t, g)
	count := tally{Kind: stats.Frontend, Proxy: "fe"}
	count.Count.ReqTotal = 7
	tell(t, old, letter{Kind: kindFormer, Rows: []tally{count}, Total: &totals{Requests: 7}}, int(null.Fd()))
	tell(t, old, letter{Kind: kindCounts, Total: &totals{}})
	g.told(t)
	if n := g.row(t, stats.Frontend, "fe", "").ReqTotal; n != 7 {
		t.Errorf("%d requests are counted", n)
	}
	if n := g.Snapshot().Info.CumReqs; n != 7 {
		t.Errorf("%d requests are counted in total", n)
	}
}
