package backend

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// line is waiters in a known order, and the order in which they were granted.
type line struct {
	b       *Backend
	granted []int
}

func (l *line) wait(n int, s *Server) *Waiter {
	w := &Waiter{}
	w.Wake = func() { l.granted = append(l.granted, n) }
	l.b.Enqueue(w, s)
	return w
}

func (l *line) want(t *testing.T, what string, order ...int) {
	t.Helper()
	if !slices.Equal(l.granted, order) {
		t.Errorf("%s: granted %v, want %v", what, l.granted, order)
	}
}

// limited has n servers of maxconn 1, all of them taken.
func limited(t *testing.T, n int) *Backend {
	t.Helper()
	b := newBackend(Options{}, slices.Repeat([]int{1}, n)...)
	for _, s := range b.Servers {
		s.MaxConn = 1
		if b.Take(s) != Picked {
			t.Fatal("an idle server is not free")
		}
	}
	return b
}

func TestOldestFirst(t *testing.T) {
	b := limited(t, 2)
	a, z := b.Servers[0], b.Servers[1]
	l := &line{b: b}
	l.wait(1, nil)
	l.wait(2, a)
	l.wait(3, nil)
	l.wait(4, z)
	l.wait(5, a)
	b.Release(z)
	l.want(t, "the second server's place", 1)
	b.Release(a)
	b.Release(a)
	b.Release(a)
	l.want(t, "the first server's places", 1, 2, 3, 5)
	b.Release(z)
	l.want(t, "at last", 1, 2, 3, 5, 4)
	if q := b.Stats().Queued + a.Stats().Queued + z.Stats().Queued; q != 0 {
		t.Errorf("%d are still counted as waiting", q)
	}
}

func TestWhoWaitsComesBeforeWhoCalls(t *testing.T) {
	b := limited(t, 1)
	l := &line{b: b}
	l.wait(1, nil)
	if s, got := b.Pick(0, nil); got != Full || s != nil {
		t.Errorf("Pick with a waiter: %v, %d", s, got)
	}
}

func TestEnqueueFindsAFreePlace(t *testing.T) {
	// The place came free between Pick and Enqueue.
	b := limited(t, 2)
	l := &line{b: b}
	b.Release(b.Servers[1])
	w := l.wait(1, nil)
	l.want(t, "for any", 1)
	if b.Granted(w) != b.Servers[1] || b.Granted(w) != nil {
		t.Error("a granted place is given once")
	}
	b.Release(b.Servers[0])
	l.wait(2, b.Servers[0])
	l.want(t, "for one", 1, 2)
}

func TestEnqueueForAServerThatJustWentDown(t *testing.T) {
	// It went down between Take and Enqueue.
	b := limited(t, 2)
	l := &line{b: b}
	b.Servers[0].SetHealth(false)
	l.wait(1, b.Servers[0])
	b.Release(b.Servers[1])
	l.want(t, "the other server's place", 1)
}

func TestCancel(t *testing.T) {
	b := limited(t, 1)
	l := &line{b: b}
	first, second := l.wait(1, nil), l.wait(2, nil)
	if s := b.Cancel(first); s != nil {
		t.Errorf("a place on %v for one who waits", s)
	}
	b.Release(b.Servers[0])
	l.want(t, "the first left", 2)
	if s := b.Cancel(second); s != b.Servers[0] {
		t.Error("a granted place must come back from Cancel")
	}
	if s := b.Cancel(second); s != nil {
		t.Error("a place came back twice")
	}
}

func TestDownRequeues(t *testing.T) {
	b := limited(t, 2)
	a, z := b.Servers[0], b.Servers[1]
	l := &line{b: b}
	l.wait(1, a)
	l.wait(2, nil)
	l.wait(3, a)
	l.wait(4, z)
	a.SetAdmin(ForcedMaint)
	if q := b.Stats().Queued; q != 3 {
		t.Errorf("%d wait for any server, want 3", q)
	}
	for range 4 {
		b.Release(z)
	}
	l.want(t, "by the server that stayed", 1, 2, 3, 4)
	b.Release(a) // what was running there ends
	if n := a.Load(); n != 0 {
		t.Errorf("%d places taken on the idle server", n)
	}
}

// TestBackupsServeWhoWaits: the waiters must not wait for a release that
// never comes.
func TestBackupsServeWhoWaits(t *testing.T) {
	for name, leave := range map[string]func(*Server){
		"down":     func(s *Server) { s.SetHealth(false) },
		"drain":    func(s *Server) { s.SetAdmin(ForcedDrain) },
		"weight 0": func(s *Server) { s.SetWeight(0) },
	} {
		b := withBackups(true)
		l := &line{b: b}
		b.Servers[1].SetHealth(false)
		for _, s := range b.Servers {
			s.MaxConn = 1
		}
		b.Take(b.Servers[0])
		l.wait(1, nil)
		l.wait(2, nil)
		l.wait(3, nil)
		leave(b.Servers[0])
		l.want(t, name, 1, 2)
		b.Release(b.Servers[0])
		l.want(t, name+": its last request ended", 1, 2)
		b.Release(b.Servers[3])
		l.want(t, name+": a backup's request ended", 1, 2, 3)
	}
}

func TestABackupOutOfUseTakesNobody(t *testing.T) {
	b := withBackups(false)
	l := &line{b: b}
	b.Servers[1].SetHealth(false)
	b.Servers[0].MaxConn = 1
	b.Take(b.Servers[0])
	b.Take(b.Servers[2]) // bound by a cookie
	l.wait(1, nil)
	b.Release(b.Servers[2])
	l.want(t, "a backup's release")
	b.Release(b.Servers[0])
	l.want(t, "the active server's release", 1)
}

func TestComingUpServesWhoWaits(t *testing.T) {
	b := limited(t, 1)
	l := &line{b: b}
	s := b.Servers[0]
	s.SetHealth(false)
	l.wait(1, nil)
	b.Release(s)
	l.want(t, "while down")
	s.SetHealth(true)
	l.want(t, "up again", 1)
}

func TestDrainKeepsItsOwn(t *testing.T) {
	b := limited(t, 2)
	l := &line{b: b}
	l.wait(1, nil)
	l.wait(2, b.Servers[0]) // bound by a cookie
	b.Servers[0].SetAdmin(ForcedDrain)
	b.Release(b.Servers[0])
	l.want(t, "a draining server", 2)
}

// TestManyAtOnce: many goroutines take, wait, give up and give back while
// servers come and go. No server ever has more than its maxconn; nobody waits
// when there is nothing left to wait for; all places come back.
func TestManyAtOnce(t *testing.T) {
	const goroutines, rounds, limit = 32, 400, 3
	b := newBackend(Options{}, 1, 2, 3)
	for _, s := range b.Servers {
		s.MaxConn = limit
	}
	b.Servers[2].Backup = true
	b = New(Options{}, b.Servers)
	var used [3]atomic.Int32
	use := func(s *Server) {
		if n := used[s.Index].Add(1); n > limit {
			t.Errorf("%d requests on a server of maxconn %d", n, limit)
		}
		runtime.Gosched()
		used[s.Index].Add(-1)
		b.Release(s)
	}
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			for range rounds {
				one(b, rnd, use)
			}
		})
	}
	all.Go(func() {
		rnd := rand.New(rand.NewPCG(99, 1))
		for range goroutines * rounds {
			s := b.Servers[rnd.IntN(3)]
			switch rnd.IntN(3) {
			case 0:
				s.SetHealth(rnd.IntN(3) > 0)
			case 1:
				s.SetWeight(rnd.IntN(3))
			case 2:
				s.SetAdmin([]Admin{0, 0, ForcedDrain, ForcedMaint}[rnd.IntN(4)])
			}
			runtime.Gosched()
		}
		for _, s := range b.Servers { // whoever waits still is to be served
			s.SetHealth(true)
			s.SetWeight(1)
			s.SetAdmin(0)
		}
	})
	all.Wait()
	for _, s := range b.Servers {
		if st := s.Stats(); st.Cur != 0 || st.Queued != 0 || st.Max > limit {
			t.Errorf("server %d ends with %d places taken, %d waiting; its maximum was %d", s.ID, st.Cur, st.Queued, st.Max)
		}
	}
	if st := b.Stats(); st.Queued != 0 {
		t.Errorf("%d wait after the end", st.Queued)
	}
}

// one is the life of one request: placed at once, after a wait, or given up.
func one(b *Backend, rnd *rand.Rand, use func(*Server)) {
	var bound *Server
	got := None
	s := b.Servers[rnd.IntN(3)]
	if rnd.IntN(3) == 0 {
		if got = b.Take(s); got == Full {
			bound = s
		}
	}
	if got == None {
		s, got = b.Pick(0, nil)
	}
	switch got {
	case Picked:
		use(s)
		return
	case None:
		return
	}
	wake := make(chan struct{}, 1)
	w := &Waiter{Wake: func() { wake <- struct{}{} }}
	b.Enqueue(w, bound)
	if rnd.IntN(4) == 0 {
		runtime.Gosched()
		if s := b.Cancel(w); s != nil {
			use(s)
		}
		return
	}
	<-wake
	use(b.Granted(w))
}

// TestOthers: places that other processes hold, or that are awaited there before anybody's turn here, are none here; how many there are says the one
// that serves.
func TestOthers(t *testing.T) {
	b := limited(t, 1)
	s := b.Servers[0]
	l := &line{b: b}
	l.wait(1, s)
	l.wait(2, nil)
	if taken, awaited, room := s.Places(); taken != 1 || awaited != 2 || room != 1 {
		t.Errorf("others hear of %d places that are taken, %d awaited, of %d", taken, awaited, room)
	}
	s.SetOthers(Others{Taken: 1})
	b.Release(s)
	l.want(t, "a place that another process holds")
	s.SetOthers(Others{Awaited: 1})
	l.want(t, "a place that is awaited elsewhere")
	s.SetOthers(Others{Taken: 1, Room: 2})
	l.want(t, "a second place", 1)
	s.SetOthers(Others{})
	l.want(t, "a place that is held here", 1)
	b.Release(s)
	l.want(t, "the end of it", 1, 2)
}

// TestPlaces: what the log says of a place in a queue is one more than how many were granted one while it was waited for, as with HAProxy.
func TestPlaces(t *testing.T) {
	b := limited(t, 1)
	s := b.Servers[0]
	w := make([]*Waiter, 4)
	for i := range w {
		w[i] = &Waiter{Wake: func() {}}
		b.Enqueue(w[i], nil)
	}
	b.Cancel(w[1]) // which waits no longer, and has not been granted any
	for range 2 {
		b.Release(s)
	}
	b.Cancel(w[3])
	for i, want := range []int{1, 1, 2, 3} {
		if got := w[i].Place(); got != want {
			t.Errorf("waiter %d was at %d, want %d", i, got, want)
		}
	}
	if n := b.Stats().Picked; n != 0 {
		t.Errorf("the balancing chose %d times, want never: what is granted is no choice", n)
	}
}
