package backend

import (
	"slices"
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

func TestRoundRobinSequence(t *testing.T) {
	for _, c := range []struct {
		weights, want []int
	}{
		{[]int{1, 1, 1}, []int{1, 2, 3, 1, 2, 3}},
		{[]int{2, 1}, []int{1, 2, 1, 1, 2, 1}},
		{[]int{5, 1, 1}, []int{1, 1, 2, 1, 3, 1, 1}},
		{[]int{1, 0, 1}, []int{1, 3, 1, 3}},
	} {
		b := newBackend(Options{}, c.weights...)
		if got := sequence(t, b, len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("weights %v: %v, want %v", c.weights, got, c.want)
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
	b.Servers[2].SetHealth(false)
	if got := counts(b, sequence(t, b, 11*50)); !slices.Equal(got, []int{350, 50, 0, 150}) {
		t.Errorf("with server 3 down: %v", got)
	}
	b.Servers[2].SetHealth(true)
	got := counts(b, sequence(t, b, 27*50))
	for i, w := range weights {
		if d := got[i] - 50*w; d < -w || d > w {
			t.Errorf("after its return: %v, want about 50 times %v", got, weights)
		}
	}
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
