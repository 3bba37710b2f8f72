package succession

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// TestVersions: what the next worker's build would not understand is not sent
// to it, and what a newer one sends that this one does not understand is not
// taken.
func TestVersions(t *testing.T) {
	parcels := []*stream.Parcel{{Kind: stream.ClientParcel}, {Kind: stream.ClientParcel, Private: true}, {Kind: stream.TunnelParcel}, {Kind: stream.MuxParcel, Mux: &stream.MuxState{}}}
	row := func(version int, want []bool) {
		t.Helper()
		g := begin(t)
		ours, link := pair(t)
		g.Successor(link)
		post(t, ours, message{Kind: kindAsk, Version: version})
		var state message
		if _, err := ours.ReceiveWithin(&state, 20*time.Second); err != nil || state.Version != Version {
			t.Fatalf("the state is of version %d: %v", state.Version, err)
		}
		sent := make(chan []stream.Kind, 1)
		go func() {
			var m message
			if _, err := ours.ReceiveWithin(&m, 20*time.Second); err != nil {
				t.Error(err)
			}
			var kinds []stream.Kind
			for _, p := range m.Parcels {
				kinds = append(kinds, p.Kind)
			}
			sent <- kinds
			taken := make([]bool, len(m.Parcels))
			for i := range taken {
				taken[i] = true
			}
			if err := ours.Send(message{Kind: kindTaken, Taken: taken}, nil, 20*time.Second); err != nil {
				t.Error(err)
			}
		}()
		taken, err := g.next.carry(parcels)
		if err != nil || !slices.Equal(taken, want) {
			t.Errorf("version %d: taken %v, want %v: %v", version, taken, want, err)
		}
		n := 0
		for _, w := range want {
			if w {
				n++
			}
		}
		if kinds := <-sent; len(kinds) != n {
			t.Errorf("version %d: sent %v", version, kinds)
		}
		if g.Moved() != int64(n) {
			t.Errorf("version %d: %d have moved", version, g.Moved())
		}
	}
	row(0, []bool{true, false, true, false})
	row(1, []bool{true, false, true, false})
	row(2, []bool{true, true, true, false})
	row(3, []bool{true, true, true, true})
	row(4, []bool{true, true, true, true})

	g := begin(t)
	old, _ := before(t, g)
	post(t, old, message{Kind: kindMove, Needs: Version + 1, Parcels: parcels, FDs: []int{0, 0, 0, 0}})
	var answer message
	if _, err := old.ReceiveWithin(&answer, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if answer.Kind != kindTaken || !slices.Equal(answer.Taken, []bool{false, false, false, false}) {
		t.Errorf("to connections of a newer build it answers %+v", answer)
	}
}

// TestLeavingDoesNotWaitForCounts: whoever asked for a reload waits until the old
// worker has stopped accepting, and thousands of rows are not sent before that.
func TestLeavingDoesNotWaitForCounts(t *testing.T) {
	const rows = 5000 // far more than the socket holds
	g := begin(t)
	g.Warn = func(text string) { t.Error(text) }
	g.Count = func(each func(*stats.Row)) stats.Info {
		for i := range rows {
			r := stats.Row{Kind: stats.Backend, Proxy: "be" + strconv.Itoa(i), LastSess: -1, Counters: stats.Counters{ReqTotal: uint64(i) + 1}}
			each(&r)
		}
		return stats.Info{CumReqs: 77}
	}
	ours, link := pair(t)
	g.Successor(link)
	post(t, ours, message{Kind: kindAsk, Version: Version})
	receive := func() (m message) {
		t.Helper()
		if _, err := ours.ReceiveWithin(&m, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for receive().More {
	}
	g.Leave() // returns although nobody reads
	got := map[string]uint64{}
	for {
		m := receive()
		for _, r := range m.Rows {
			got[r.Proxy] = r.Count.ReqTotal
		}
		if m.Total != nil {
			if m.Total.Requests != 77 {
				t.Errorf("in all %d requests, want 77", m.Total.Requests)
			}
			break
		}
	}
	if len(got) != rows || got["be4999"] != rows {
		t.Errorf("%d rows came, want %d; the last counts %d", len(got), rows, got["be4999"])
	}

	// When the last counts are sent nothing may follow: the loops have ended, and would seem to have counted nothing.
	g.SendLast()
	g.Count = func(func(*stats.Row)) stats.Info { t.Error("counted once more"); return stats.Info{} }
	if err := g.sendCounts(g.next); err != nil {
		t.Error(err)
	}
}

// onItsWay has a generation carry a connection to its successor, whose part the test plays and which has not answered yet.
func onItsWay(t *testing.T, g *Generation) (ours *handoff.Conn, taken <-chan []bool) {
	t.Helper()
	ours, link := pair(t)
	g.Successor(link)
	post(t, ours, message{Kind: kindAsk, Version: Version})
	await := func(kind string) {
		t.Helper()
		for m := (message{}); m.Kind != kind; {
			m = message{}
			if _, err := ours.ReceiveWithin(&m, 20*time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	await(kindState)
	done := make(chan []bool, 1)
	next := g.next
	go func() {
		taken, err := next.carry([]*stream.Parcel{{Kind: stream.FreshParcel}})
		if err != nil {
			t.Error(err)
		}
		done <- taken
	}()
	await(kindMove)
	return ours, done
}

// TestNextMasterEndsTheTrial: a worker whose trial nobody has ended, as its master was killed, gets another successor. What is on its way to
// the worker on trial has one reader: the answer is waited for.
func TestNextMasterEndsTheTrial(t *testing.T) {
	g := begin(t)
	g.onTrial = true
	ours, taken := onItsWay(t, g)
	_, link := pair(t)
	g.Successor(link)
	post(t, ours, message{Kind: kindTaken, Taken: []bool{true}})
	if got := <-taken; !slices.Equal(got, []bool{true}) {
		t.Errorf("taken %v", got)
	}
	if g.onTrial {
		t.Error("the trial goes on")
	}
}

// TestStuckSuccessor: a successor that does not answer is given up, but has in its queue what was sent: should it go on, it serves that.
func TestStuckSuccessor(t *testing.T) {
	g := begin(t)
	_, taken := onItsWay(t, g)
	g.next.giveUp()
	if got := <-taken; !slices.Equal(got, []bool{true}) {
		t.Errorf("taken %v", got)
	}
}

// TestStateSince: what has become of a server since its state was sent is sent when this worker leaves, and nothing if it is the same. A worker that
// was not sent the state, as it serves already, knows better.
func TestStateSince(t *testing.T) {
	row := func(what string, back bool, change func(*backend.Server), want []bool) {
		t.Helper()
		g := begin(t)
		_, srv := only(t, g)
		ours, link := pair(t)
		g.Successor(link)
		post(t, ours, message{Kind: kindAsk, Version: Version, Back: back, Policy: "drain"})
		if !back {
			known(t, ours, kindState, 0)
		}
		<-g.next.asked
		change(srv)
		left := make(chan struct{})
		go func() { defer close(left); g.Leave() }()
		var kept []bool
		for m := (message{}); m.Kind != kindCounts; {
			m = message{}
			if _, err := ours.ReceiveWithin(&m, 20*time.Second); err != nil {
				t.Fatal(err)
			}
			if m.Kind == kindState {
				if m.More || len(m.Servers) != 1 || len(m.Since) != 1 {
					t.Errorf("%s: %+v", what, m)
				}
				for i := range m.Servers {
					kept = append(kept, m.Servers[i].Kept)
				}
			}
		}
		<-left
		if !slices.Equal(kept, want) {
			t.Errorf("%s: sent %v, want %v", what, kept, want)
		}
	}
	weight := func(s *backend.Server) { s.SetWeight(3) }
	row("nothing", false, func(*backend.Server) {}, nil)
	row("the weight", false, weight, []bool{true})
	row("maintenance", false, func(s *backend.Server) { s.SetAdmin(backend.ForcedMaint) }, []bool{false})
	row("the health", false, func(s *backend.Server) { s.SetHealth(false) }, []bool{false})
	row("what the other tracks", false, func(s *backend.Server) { s.SetTracked(true, false, backend.TrackedMaint) }, nil)
	row("the weight, to a worker that serves already", true, weight, nil)
}
