package succession

import (
	"testing"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stream"
)

// only gives g's server, which then takes one request at a time.
func only(t *testing.T, g *Generation) (*backend.Backend, *backend.Server) {
	t.Helper()
	c, err := g.Servers.Find("be", "s1")
	if err != nil {
		t.Fatal(err)
	}
	c.Target().SetMaxConn(1)
	return g.Servers.Backend("be"), c.Target()
}

// known reads what g says to its successor, whose part the test plays, up to a
// message of the kind, and gives the load that the successor knows of then.
func known(t *testing.T, ours *handoff.Conn, kind string, n int) int {
	t.Helper()
	for {
		var m message
		if _, err := ours.ReceiveWithin(&m, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, st := range m.Servers {
			n = st.Load
		}
		for _, l := range m.Busy {
			if m.Kind == kindBusy {
				n = l.N
			}
		}
		if m.Kind == kind {
			return n
		}
	}
}

// TestLoadGoesBeforeConnections: whatever was taken or given back here is known to the next worker when it gets a connection: one that waited
// would otherwise get a place there that is taken here.
func TestLoadGoesBeforeConnections(t *testing.T) {
	g := begin(t)
	be, srv := only(t, g)
	ours, link := pair(t)
	g.Successor(link)
	post(t, ours, message{Kind: kindAsk, Version: Version})
	n := known(t, ours, kindState, 0)
	carry := g.carrier(g.next)
	for i := range 10 {
		if i%2 == 0 {
			be.Admit(srv)
		} else {
			be.Release(srv)
		}
		done := make(chan error, 1)
		go func() {
			_, err := carry([]*stream.Parcel{{Kind: stream.FreshParcel}})
			done <- err
		}()
		if n = known(t, ours, kindMove, n); n != (i+1)%2 {
			t.Errorf("batch %d: the next worker knows of %d places, want %d", i, n, (i+1)%2)
		}
		post(t, ours, message{Kind: kindTaken, Taken: []bool{true}})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// TestLoadGoesBeforeIntroduction: a place that an earlier worker gave back was granted here: the next worker knows when it meets that one, which
// has none any more. Until then it takes what that one holds for what this one holds.
func TestLoadGoesBeforeIntroduction(t *testing.T) {
	row := func(back bool) {
		t.Helper()
		g := begin(t)
		be, srv := only(t, g)
		busy := func(n int) message {
			return message{Kind: kindBusy, Busy: []load{{Backend: "be", Server: "s1", Address: srv.Addr().String(), N: n}}}
		}
		old, _ := before(t, g)
		post(t, old, busy(1))
		post(t, old, message{Kind: kindCounts, Total: &totals{}})
		awaitCounts(t, g) // it has read both
		granted := make(chan struct{})
		be.Enqueue(&backend.Waiter{Wake: func() { close(granted) }}, nil)

		ours, link := pair(t)
		g.Successor(link)
		post(t, ours, message{Kind: kindAsk, Version: Version})
		n := known(t, ours, kindState, 0)
		if n != 1 {
			t.Errorf("the next worker knows of %d places when it begins to accept, want 1", n)
		}
		if back {
			post(t, old, busy(0))
			select {
			case <-granted:
			case <-time.After(20 * time.Second):
				t.Fatal("the place that was given back is not granted")
			}
		}
		done := make(chan error, 1)
		go func() { done <- g.passOn(g.next) }()
		if n = known(t, ours, kindFormer, n); n != 1 {
			t.Errorf("the next worker knows of %d places, want 1", n)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !back {
			if n = known(t, ours, kindBusy, n); n != 0 {
				t.Errorf("at last the next worker takes %d places for held by this one, want none", n)
			}
		}
	}
	for range 5 {
		row(true)
		row(false)
	}
}

// TestLoadComesWithTheState: a worker knows what is taken before it accepts, and hears of later changes.
func TestLoadComesWithTheState(t *testing.T) {
	g := begin(t)
	be, srv := only(t, g)
	ours, theirs := pair(t)
	c, err := g.Servers.Find("be", "s1")
	if err != nil {
		t.Fatal(err)
	}
	st := serverState{Backend: "be", Server: "s1", Address: srv.Addr().String(), Load: 1, State: c.State()}
	st.State.Server.InitialMaxConn = -1 // keeps what this test has set
	post(t, ours, message{Kind: kindState, Servers: []serverState{st}})
	if err := g.Inherit(Ask(theirs, "")); err != nil {
		t.Fatal(err)
	}
	if _, got := be.Pick(0, nil); got != backend.Full {
		t.Error("a place that is taken is granted")
	}
	granted := make(chan struct{})
	be.Enqueue(&backend.Waiter{Wake: func() { close(granted) }}, nil)
	g.Follow(theirs)
	if n := g.before.loadOf(srv).taken; n != 1 {
		t.Errorf("the worker before holds %d places, want 1", n)
	}
	post(t, ours, message{Kind: kindBusy, Busy: []load{{Backend: "be", Server: "s1", Address: srv.Addr().String()}}})
	select {
	case <-granted:
	case <-time.After(20 * time.Second):
		t.Error("the place that was given back is not granted")
	}
}

// TestUntoldLoadIsToldLater: what could not be sent does not pass for known.
func TestUntoldLoadIsToldLater(t *testing.T) {
	g := begin(t)
	be, srv := only(t, g)
	_, link := pair(t)
	s := &successor{link: link, load: map[*backend.Server]places{}}
	be.Admit(srv)
	link.Close()
	if _, err := g.sendChangedLoad(s); err == nil {
		t.Fatal("it was sent over a connection that is closed")
	}
	if list, _ := g.changedLoad(s.load, false); len(list) != 1 {
		t.Errorf("%v is still to be told", list)
	}
}
