package assemble

import (
	"fmt"
	"sync"
	"testing"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
	"lbsyslogd/test/wait"
)

// try begins a generation on trial, which gets half of the new connections of g.
func (g *generation) try(t testing.TB, text string) *generation {
	t.Helper()
	next := beginIn(t, text, g, func(env *Env) {
		ours, theirs, err := handoff.Pair()
		if err != nil {
			t.Fatal(err)
		}
		g.Partner(ours)
		if env.Back, err = handoff.NewConn(theirs); err != nil {
			t.Fatal(err)
		}
	})
	g.Share(5000)
	return next
}

// count waits until both generations show what both have counted, each with the
// other's.
func sameCounts(t *testing.T, requests uint64, all ...*generation) {
	t.Helper()
	for _, g := range all {
		wait.Until(t, fmt.Sprintf("a generation to show %d requests", requests), func() bool {
			return g.row(t, stats.Frontend, "fe", "").ReqTotal == requests && g.row(t, stats.Server, "be", "s1").SessTotal == requests
		})
	}
}

// A trial that ends well and one that ends badly: every second connection goes to the generation on trial, connections go on in the one that is left, and
// each request is counted once, whichever generation is asked, also by one that comes later.
func TestTrial(t *testing.T) {
	server, _, _ := slowServer(t)
	for _, good := range []bool{false, true} {
		t.Run(fmt.Sprintf("good %v", good), func(t *testing.T) {
			addr := freeAddr(t)
			text := configFor(addr, server, "")
			old := begin(t, text, nil)
			fresh := old.try(t, text)
			var clients []*browser
			for i := range 10 {
				b := browse(t, addr)
				b.get(fmt.Sprintf("/%d", i))
				clients = append(clients, b)
			}
			// A connection may be answered there before this one has heard that it was taken.
			wait.Until(t, "the old generation to let go of what it gave away", func() bool { return old.Status().Connections == 5 })
			if a, b := old.Status(), fresh.Status(); a.Connections != 5 || b.Connections != 5 || a.Own.Answers[1] != 5 || b.Own.Answers[1] != 5 {
				t.Errorf("the old generation has %d connections, the new one %d; %+v %+v", a.Connections, b.Connections, a.Own, b.Own)
			}
			sameCounts(t, 10, old, fresh)
			left, gone := old, fresh
			if good {
				left, gone = fresh, old
				fresh.Promote()
			} else {
				old.Share(0)
			}
			gone.Drain()
			for _, b := range clients {
				b.get("/again")
			}
			gone.left(t)
			sameCounts(t, 20, left)
			if n := left.Status().Connections; n != 10 {
				t.Errorf("%d connections are open", n)
			}
			for range 4 { // it serves all alone
				b := browse(t, addr)
				b.get("/new")
				clients = append(clients, b)
			}
			next := left.follow(t, text)
			left.left(t)
			next.told(t)
			for _, b := range clients {
				b.get("/next")
			}
			sameCounts(t, 38, next)
			next.ClearCounters(true)
			sameCounts(t, 0, next)
		})
	}
}

// What an operator does during a trial holds after it, and counters are cleared in both.
func TestOperatorsDuringATrial(t *testing.T) {
	server, _, _ := slowServer(t)
	addr := freeAddr(t)
	text := configFor(addr, server, "")
	old := begin(t, text, nil)
	fresh := old.try(t, text)
	browse(t, addr).get("/1")
	browse(t, addr).get("/2")
	sameCounts(t, 2, old, fresh)
	old.ClearCounters(true)
	sameCounts(t, 0, old, fresh)
	if err := old.SetFrontendMaxConn("fe", 77); err != nil {
		t.Fatal(err)
	}
	if err := old.SetWeight("be", "s1", 7); err != nil {
		t.Fatal(err)
	}
	fresh.Promote()
	old.Drain()
	old.left(t)
	if n := fresh.row(t, stats.Frontend, "fe", "").SessLimit; n != 77 {
		t.Errorf("maxconn is %d", n)
	}
	if n := fresh.row(t, stats.Server, "be", "s1").UserWeight; n != 7 {
		t.Errorf("the weight is %d", n)
	}
}

// A master is killed during a trial: the worker on trial gives everything back by itself, but is busy; the one that serves is told nothing until
// the next master has it replaced. Each request is counted once, in whatever worker it was, also by the newest one.
func TestTrialWithoutAnEnd(t *testing.T) {
	server, arrived, release := slowServer(t)
	release = sync.OnceFunc(release)
	t.Cleanup(release) // the server's end waits for what it answers
	addr := freeAddr(t)
	text := configFor(addr, server, "")
	old := begin(t, text, nil)
	fresh := old.try(t, text)
	var clients []*browser
	for i := range 10 {
		b := browse(t, addr)
		b.get(fmt.Sprintf("/%d", i))
		clients = append(clients, b)
	}
	sameCounts(t, 10, old, fresh)
	slow := []*browser{browse(t, addr), browse(t, addr)} // one in each
	for _, b := range slow {
		b.ask("/slow")
		<-arrived
	}
	// What a leaving worker still serves is counted here in the end only: nothing but the slow request may be left there.
	moved := func(g *generation) {
		t.Helper()
		wait.Until(t, "all but the slow request to move", func() bool { return g.Status().Connections == 1 })
	}
	fresh.Drain()
	moved(fresh)
	for _, b := range clients {
		b.get("/again")
	}
	next := old.follow(t, text)
	moved(old)
	next.told(t)
	check := func(requests uint64) {
		t.Helper()
		sameCounts(t, requests, next)
		wait.Until(t, fmt.Sprintf("%d requests in total", requests), func() bool { return next.Snapshot().Info.CumReqs == requests })
	}
	check(22)
	for _, b := range clients {
		b.get("/next")
	}
	check(32)
	release()
	for _, b := range slow {
		b.hear("/slow")
	}
	fresh.left(t)
	old.left(t)
	check(32)
}

// The worker on trial is promoted, and replaced, before the one that it was compared with is told to leave: a master was killed between its two orders.
// What the two have counted is counted once.
func TestPromotedAndReplaced(t *testing.T) {
	server, _, _ := slowServer(t)
	addr := freeAddr(t)
	text := configFor(addr, server, "")
	old := begin(t, text, nil)
	fresh := old.try(t, text)
	for i := range 10 {
		browse(t, addr).get(fmt.Sprintf("/%d", i))
	}
	sameCounts(t, 10, old, fresh)
	fresh.Promote()
	next := fresh.follow(t, text)
	fresh.left(t)
	sameCounts(t, 10, old) // as long as it is asked
	old.Drain()
	old.left(t)
	next.told(t)
	sameCounts(t, 10, next)
}
