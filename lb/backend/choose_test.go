package backend

import (
	"slices"
	"strconv"
	"testing"
)

// sequence is what n picks in a row give, each released at once.
func sequence(t *testing.T, b *Backend, n int) (ids []int) {
	t.Helper()
	for range n {
		ids = append(ids, pick(t, b, 0, nil))
	}
	return ids
}

// counts is how often each server was picked, by ID from 1 on.
func counts(b *Backend, ids []int) []int {
	n := make([]int, len(b.Servers))
	for _, id := range ids {
		n[id-1]++
	}
	return n
}

// TestRoundRobinSequence has the orders in which HAProxy 2.6 has servers of these weights take turns.
func TestRoundRobinSequence(t *testing.T) {
	for _, c := range []struct {
		fixed   bool
		weights []int
		want    string
	}{
		{false, []int{1, 1, 1}, "123123123"},
		{false, []int{1, 0, 1}, "131313"},
		{false, []int{1, 1, 2}, "313231323132313231323132"},
		{false, []int{1, 2, 3}, "3231323231323231323231323231323231323231"},
		{false, []int{3, 2, 1}, "1213121213121213"},
		{false, []int{50, 50, 100, 7}, "3132313231323132313231323132"},
		{false, []int{256, 1, 128}, "113113113113"},
		{true, []int{1, 1, 2}, "132313231323"},
		{true, []int{1, 2, 3}, "1323231323"},
		{true, []int{30, 20, 7, 1}, "1121212131212121"},
	} {
		b := newBackend(Options{Fixed: c.fixed}, c.weights...)
		got := ""
		for _, id := range sequence(t, b, len(c.want)) {
			got += strconv.Itoa(id)
		}
		if got != c.want {
			t.Errorf("weights %v: %s, want %s", c.weights, got, c.want)
		}
	}
}

// TestRoundRobinShares: in every window of as many picks as the weights' sum,
// each server has exactly its weight, whatever happened before.
func TestRoundRobinShares(t *testing.T) {
	weights := []int{7, 1, 16, 3}
	b := newBackend(Options{}, weights...)
	for range 5 {
		if got := counts(b, sequence(t, b, 27)); !slices.Equal(got, weights) {
			t.Errorf("%v, want %v", got, weights)
		}
	}
	about := func(what string, weights ...int) {
		t.Helper()
		sum := 0
		for _, w := range weights {
			sum += w
		}
		got := counts(b, sequence(t, b, sum*50))
		for i, w := range weights {
			if d := got[i] - 50*w; d < -w || d > w {
				t.Errorf("%s: %v, want about 50 times %v", what, got, weights)
			}
		}
	}
	b.Servers[2].SetHealth(false)
	about("with server 3 down", 7, 1, 0, 3)
	b.Servers[2].SetHealth(true)
	about("after its return", weights...)
}

func TestRoundRobinSkipsFull(t *testing.T) {
	b := newBackend(Options{}, 1, 1)
	b.Servers[0].MaxConn = 1
	for i, want := range []int{1, 2, 2, 2} {
		s, got := b.Pick(0, nil)
		if got != Picked || s.ID != want {
			t.Errorf("pick %d: %v, %d; want server %d", i, s, got, want)
		}
	}
}

func TestLeastConn(t *testing.T) {
	b := newBackend(Options{Algo: LeastConn}, 10, 20, 30)
	for range 600 {
		if _, got := b.Pick(0, nil); got != Picked {
			t.Fatal("no server")
		}
	}
	for i, s := range b.Servers {
		if got, want := int(s.Load()), 100*(i+1); got < want-1 || got > want+1 {
			t.Errorf("server %d has %d of 600, want %d", s.ID, got, want)
		}
	}
	for range 50 {
		b.Release(b.Servers[1])
	}
	for range 50 {
		if s, _ := b.Pick(0, nil); s.ID != 2 {
			t.Fatalf("server %d chosen, want the one that was relieved", s.ID)
		}
	}
}

func TestLeastConnIdleTakeTurns(t *testing.T) {
	b := newBackend(Options{Algo: LeastConn}, 1, 1, 1)
	if got := counts(b, sequence(t, b, 300)); !slices.Equal(got, []int{100, 100, 100}) {
		t.Errorf("idle servers got %v", got)
	}
}

func TestRandom(t *testing.T) {
	// One draw follows the weights; of more, the least loaded wins.
	b := newBackend(Options{Algo: Random, Draws: 1}, 1, 9)
	if got := counts(b, sequence(t, b, 10000)); got[0] < 800 || got[0] > 1200 {
		t.Errorf("random(1) gave a server with a tenth of the weight %d of 10000", got[0])
	}
	b = newBackend(Options{Algo: Random}, 1, 1)
	for range 1000 {
		b.Take(b.Servers[0])
	}
	if got := counts(b, sequence(t, b, 1000)); got[1] < 650 || got[1] > 850 {
		t.Errorf("random(2) gave the idle server %d of 1000, want about three in four", got[1])
	}
}

func TestFirst(t *testing.T) {
	var servers []*Server
	for _, id := range []int{30, 10, 20} {
		s := &Server{ID: id, MaxConn: 2}
		s.SetInitial(1, 0, true)
		servers = append(servers, s)
	}
	b := New(Options{Algo: First}, servers)
	for i, want := range []int{10, 10, 20, 20, 30, 30} {
		if s, got := b.Pick(0, nil); got != Picked || s.ID != want {
			t.Errorf("pick %d: %v, want server %d", i, s, want)
		}
	}
	if s, got := b.Pick(0, nil); s != nil || got != Full {
		t.Errorf("a seventh: %v, %d; want full", s, got)
	}
}

func TestAvoid(t *testing.T) {
	for _, algo := range []Algo{RoundRobin, LeastConn, Random, First} {
		b := newBackend(Options{Algo: algo}, 1, 1)
		for range 100 {
			if got := pick(t, b, 0, b.Servers[0]); got != 2 {
				t.Fatalf("algorithm %d: the server to be avoided was chosen", algo)
			}
		}
		b.Servers[1].SetHealth(false)
		if got := pick(t, b, 0, b.Servers[0]); got != 1 {
			t.Errorf("algorithm %d: the only server must be taken", algo)
		}
	}
}

// TestPickAllocatesNothing holds for every algorithm.
func TestPickAllocatesNothing(t *testing.T) {
	for _, algo := range []Algo{RoundRobin, LeastConn, Source, URI, Random, First} {
		b := newBackend(Options{Algo: algo}, 1, 2, 3)
		if n := testing.AllocsPerRun(100, func() {
			s, _ := b.Pick(12345, nil)
			b.Release(s)
		}); n != 0 {
			t.Errorf("algorithm %d: %v allocations", algo, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for name, algo := range map[string]Algo{"roundrobin": RoundRobin, "leastconn": LeastConn, "random": Random} {
		be := newBackend(Options{Algo: algo}, 1, 2, 3, 4)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, _ := be.Pick(0, nil)
				be.Release(s)
			}
		})
	}
}

// TestAvoidedServersUseUpTheirTurns: with round robin, a server to be avoided is passed over in its turn alone.
func TestAvoidedServersUseUpTheirTurns(t *testing.T) {
	b := newBackend(Options{}, 1, 1, 1)
	for i, c := range []struct{ avoid, want int }{
		{1, 2}, // 1's turn and 2's
		{2, 3}, {0, 1}, {3, 2},
		{3, 1}, // 3's turn and 1's
		{0, 2}, {0, 3},
	} {
		var avoid *Server
		if c.avoid > 0 {
			avoid = b.Servers[c.avoid-1]
		}
		if got := pick(t, b, 0, avoid); got != c.want {
			t.Fatalf("pick %d gives %d, want %d", i, got, c.want)
		}
	}
}

// TestTurnsGoOn: whose turn it is in one process is what it is in the next, after any number of turns and changes of weights, and for servers that are
// new or have other weights there.
func TestTurnsGoOn(t *testing.T) {
	restored := func(b *Backend, weights ...int) *Backend {
		next := newBackend(Options{}, weights...)
		for i, s := range b.Servers {
			next.Servers[i].Restore(s.State())
		}
		next.Restored(nil)
		return next
	}
	for turns := range 60 {
		b := newBackend(Options{}, 1, 2, 3, 7)
		sequence(t, b, turns)
		if turns%2 == 1 {
			b.Servers[1].SetWeight(5)
			sequence(t, b, turns%7)
		}
		next := restored(b, 1, 2, 3, 7)
		if want, got := sequence(t, b, 40), sequence(t, next, 40); !slices.Equal(got, want) {
			t.Fatalf("after %d turns: %v, want %v", turns, got, want)
		}
		got := counts(restored(b, 1, 2, 3, 4, 9), sequence(t, restored(b, 1, 2, 3, 4, 9), 15*100))
		for i, want := range []int{100, b.Servers[1].Stats().Weight * 100, 300, 400, 900} {
			if share := float64(got[i]) * float64(b.Servers[1].Stats().Weight+17) / 15; share < 0.9*float64(want)-20 || share > 1.1*float64(want)+20 {
				t.Errorf("after %d turns: server %d of other weights has %v", turns, i+1, got)
			}
		}
	}
}
