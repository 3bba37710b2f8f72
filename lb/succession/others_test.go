package succession

import (
	"testing"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/stats"
	"lbsyslogd/test/wait"
)

// follows begins a generation after g, which both serve.
func follows(t *testing.T, g *Generation) *Generation {
	t.Helper()
	ours, theirs := pair(t)
	g.Successor(theirs)
	next := begin(t)
	if err := next.Inherit(Ask(ours, "")); err != nil {
		t.Fatal(err)
	}
	next.Follow(ours)
	return next
}

// line has somebody wait for a place, and says whether there is one.
func line(be *backend.Backend) (granted func() bool) {
	w := &backend.Waiter{Wake: func() {}}
	be.Enqueue(w, nil)
	var got *backend.Server
	return func() bool {
		if got == nil {
			got = be.Granted(w)
		}
		return got != nil
	}
}

// free reports whether a request that came now would get a place.
func free(be *backend.Backend, srv *backend.Server) bool {
	_, got := be.Pick(0, nil)
	if got == backend.Full {
		return false
	}
	be.Release(srv)
	return true
}

// busyAt has a worker whose part the test plays hold n places.
func busyAt(srv *backend.Server, n int) message {
	return message{Kind: kindBusy, Busy: []load{{Backend: "be", Server: "s1", Address: srv.Addr().String(), N: n}}}
}

// TestPlacesOverTwoReloads: a request that cannot move waits in a worker that has passed on the one before it, which holds the place. When that
// comes free the request gets it, before anybody in the newest worker does.
func TestPlacesOverTwoReloads(t *testing.T) {
	middle := begin(t)
	be, srv := only(t, middle)
	old, _ := before(t, middle)
	post(t, old, busyAt(srv, 1))
	wait.Until(t, "the place to be taken", func() bool { return !free(be, srv) })
	first := line(be)

	newest := follows(t, middle)
	beNow, srvNow := only(t, newest)
	later := line(beNow)
	if err := middle.passOn(middle.next); err != nil {
		t.Fatal(err)
	}
	middle.before.mu.Lock()
	living := len(middle.before.living)
	middle.before.mu.Unlock()
	if living != 0 || first() || later() {
		t.Fatalf("%d workers are left, granted %v, %v, although the place is taken", living, first(), later())
	}
	post(t, old, busyAt(srv, 0))
	wait.Until(t, "the request in the old worker to get its place", first)
	if later() {
		t.Error("the newest worker has given the place away too")
	}
	be.Release(srv)
	wait.Until(t, "the request in the newest worker to get its place", later)
	wait.Until(t, "the old worker to hear of that", func() bool { return !free(be, srv) })
	beNow.Release(srvNow)
	wait.Until(t, "the old worker to hear of its end", func() bool { return free(be, srv) })
}

// TestOldWorkersKnowTheLoad of the one that serves, also when that was passed on itself: each comes to know what all others hold.
func TestOldWorkersKnowTheLoad(t *testing.T) {
	first := begin(t)
	be, srv := only(t, first)
	second := follows(t, first)
	beNext, srvNext := only(t, second)
	beNext.Admit(srvNext)
	wait.Until(t, "the old worker to hear of a place that is taken", func() bool { return !free(be, srv) })

	third := follows(t, second)
	only(t, third)
	if err := second.passOn(second.next); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the newest worker to know both", func() bool {
		third.before.mu.Lock()
		defer third.before.mu.Unlock()
		return len(third.before.living) == 2
	})
	beNext.Release(srvNext)
	wait.Until(t, "the oldest worker to hear of it from the newest", func() bool { return free(be, srv) })
	beNext.Admit(srvNext)
	wait.Until(t, "the oldest worker to hear of the next one", func() bool { return !free(be, srv) })

	third.Close() // and nobody says any more what becomes of the place
	wait.Until(t, "the oldest worker to go on alone", func() bool { return free(be, srv) })
}

// TestPlacesAreThoseOfTheNewest: what waits in an old worker gets one of the places that a new configuration has brought.
func TestPlacesAreThoseOfTheNewest(t *testing.T) {
	g := begin(t)
	be, srv := only(t, g)
	be.Admit(srv)
	granted := line(be)
	next := follows(t, g)
	_, srvNext := only(t, next)
	if granted() {
		t.Fatal("the place is taken twice")
	}
	srvNext.SetMaxConn(2)
	wait.Until(t, "the request to get the second place", granted)
}

// TestPartnersOfATrial serve next to each other: neither waits for what waits in the other.
func TestPartnersOfATrial(t *testing.T) {
	g := begin(t)
	be, srv := only(t, g)
	be.Admit(srv)
	here := line(be)
	next := follows(t, g)
	beNext, srvNext := only(t, next)
	back, theirs := pair(t)
	g.Partner(back)
	next.Try(theirs)
	there := line(beNext)
	be.Release(srv)
	wait.Until(t, "one of the two to get the place", func() bool { return here() || there() })
	if here() {
		be.Release(srv)
		wait.Until(t, "the other to get it then", there)
		return
	}
	beNext.Release(srvNext)
	wait.Until(t, "the other to get it then", here)
}

// TestMeet: a worker that nobody knew when it was told to leave gives the one that serves what it has counted.
func TestMeet(t *testing.T) {
	g, late := begin(t), begin(t)
	late.Count = func(each func(*stats.Row)) stats.Info {
		r := stats.Row{Kind: stats.Frontend, Proxy: "fe"}
		r.ReqTotal = 7
		each(&r)
		return stats.Info{CumReqs: 7}
	}
	if late.Succeeded() {
		t.Error("it has a successor")
	}
	ours, theirs := pair(t)
	late.Successor(theirs)
	if !late.Succeeded() {
		t.Error("it has no successor")
	}
	left := make(chan bool, 1)
	go func() { left <- late.Leave() }() // before the other one has said what it is
	g.Meet(ours)
	if !<-left {
		t.Error("it leaves alone")
	}
	if v := late.next.version.Load(); v != Version {
		t.Errorf("it left to a worker of version %d", v)
	}
	wait.Until(t, "its counts", func() bool {
		s := g.Snapshot()
		return s.Info.CumReqs == 7 && s.Rows[0].ReqTotal == 7
	})
	late.SendLast()
	late.Close()
	wait.Until(t, "its end", func() bool { return g.before.first() == nil })
	if n := g.Snapshot().Info.CumReqs; n != 7 {
		t.Errorf("%d requests are counted at last", n)
	}
}

// TestASilentWorkerHasNoTurn: what waits in a worker that is stuck does not keep places free for ever, and has its turn again when that one goes on.
func TestASilentWorkerHasNoTurn(t *testing.T) {
	g := begin(t)
	be, srv := only(t, g)
	old, p := before(t, g)
	waits := busyAt(srv, 0)
	waits.Busy[0].Awaited = 1
	kept := func() bool { // for as long as it goes on saying so
		post(t, old, waits)
		return !free(be, srv)
	}
	wait.Until(t, "the place to be kept free", kept)
	g.before.mu.Lock()
	p.spoke = p.spoke.Add(-2 * silence)
	g.before.mu.Unlock()
	wait.Until(t, "the place to be used", func() bool { return free(be, srv) })
	wait.Until(t, "the place to be kept free again", kept)
}

// TestWhoeverWaitsSaysSo now and then, although nothing changes.
func TestWhoeverWaitsSaysSo(t *testing.T) {
	g := begin(t)
	be, srv := only(t, g)
	be.Admit(srv)
	line(be)
	ours, link := pair(t)
	g.Successor(link)
	post(t, ours, message{Kind: kindAsk, Version: Version})
	known(t, ours, kindState, 0)
	for range 3 {
		known(t, ours, kindBusy, 0)
	}
}
