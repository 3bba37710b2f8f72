package backend

import (
	"testing"
	"testing/synctest"
	"time"
)

// slow makes a backend of two servers of weight 10, of which the first starts
// slowly.
func slow(o Options, maxconn int) *Backend {
	var servers []*Server
	for i, name := range []string{"a", "b"} {
		s := &Server{Name: name, ID: i + 1, Index: i, MaxConn: maxconn}
		if i == 0 {
			s.SlowStart = 20 * time.Second
		}
		s.SetInitial(10, 0, true)
		s.Checked = true
		servers = append(servers, s)
	}
	return New(o, servers)
}

// share is how many of 100 requests the first server gets.
func share(t *testing.T, b *Backend) (n int) {
	t.Helper()
	for range 100 {
		s, got := b.Pick(0, nil)
		if got != Picked {
			t.Fatalf("no server: %d", got)
		}
		if s == b.Servers[0] {
			n++
		}
		b.Release(s)
	}
	return n
}

// A server that comes up gets its share little by little; one that is there
// from the beginning has it at once.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slow(Options{}, 100)
		s := b.Servers[0]
		if n := share(t, b); n != 50 {
			t.Errorf("at the start %d of 100 requests, want 50", n)
		}
		s.SetHealth(false)
		time.Sleep(time.Minute)
		s.SetHealth(true)
		for _, c := range []struct {
			after       time.Duration
			low, high   int // requests of 100
			weight, max int
		}{
			{0, 5, 6, 1, 1},
			{5 * time.Second, 23, 25, 4, 25},
			{5 * time.Second, 35, 37, 6, 50},
			{9 * time.Second, 49, 50, 10, 95},
			{2 * time.Second, 50, 50, 10, 100},
		} {
			time.Sleep(c.after)
			synctest.Wait()
			st := s.Stats()
			if n := share(t, b); n < c.low || n > c.high || st.Share != c.weight {
				t.Errorf("at %d%%: %d of 100 requests, weight %d; want %d to %d, %d", st.Throttle, n, st.Share, c.low, c.high, c.weight)
			}
			b.mu.Lock()
			room := s.room()
			b.mu.Unlock()
			if room != c.max {
				t.Errorf("at %d%%: room for %d, want %d", st.Throttle, room, c.max)
			}
			if st.Starting != (c.max < 100) {
				t.Errorf("at %d%%: starting is %v", st.Throttle, st.Starting)
			}
		}
		// Going down ends it, and the timers.
		s.SetHealth(false)
		s.SetHealth(true)
		s.SetHealth(false)
		if st := s.Stats(); st.Starting {
			t.Error("a server that is down starts")
		}
	})
}

// What starts slowly goes on doing so in the next process; what does not, does
// not begin to.
func TestSlowStartMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := slow(Options{}, 100)
		old.Servers[0].SetHealth(false)
		old.Servers[0].SetHealth(true)
		old.Servers[1].SetMaxConn(7)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		next := slow(Options{}, 100)
		for i, s := range old.Servers {
			next.Servers[i].Restore(s.State())
		}
		next.Restored(nil)
		if st := next.Servers[0].Stats(); !st.Starting || st.Throttle != 56 {
			t.Errorf("starting %v at %d%%, want 56%%, the ninth step of 16", st.Starting, st.Throttle)
		}
		if st := next.Servers[1].Stats(); st.Starting || st.MaxConn != 7 {
			t.Errorf("the other one: starting %v, maxconn %d", st.Starting, st.MaxConn)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := share(t, next); n != 50 {
			t.Errorf("in the end %d of 100 requests, want 50", n)
		}
		last := slow(Options{}, 100)
		last.Servers[0].Restore(next.Servers[0].State())
		last.Restored(nil)
		if last.Servers[0].Stats().Starting {
			t.Error("a server that has its share starts again in the next process")
		}
	})
}

// minconn: the limit grows with the sessions of the backend, and whoever
// waits gets the places that come with it.
func TestMinConn(t *testing.T) {
	s := &Server{Name: "a", ID: 1, MaxConn: 10, MinConn: 2}
	s.SetInitial(1, 0, true)
	b := New(Options{FullConn: 20}, []*Server{s})
	taken := 0
	var waiting []*Waiter
	woken := 0
	for range 20 {
		b.Enter()
		if _, got := b.Pick(0, nil); got == Picked {
			taken++
			continue
		}
		w := &Waiter{Wake: func() { woken++ }}
		b.Enqueue(w, nil)
		waiting = append(waiting, w)
		if want := max(2, b.Stats().Cur/2); taken+woken != want {
			t.Fatalf("%d sessions: %d places taken, want %d", b.Stats().Cur, taken+woken, want)
		}
	}
	if taken+woken != 10 {
		t.Errorf("a full backend has %d places, want 10", taken+woken)
	}
	for _, w := range waiting {
		b.Cancel(w)
	}
}

// Watch counts errors in a row, of connections or of exchanges.
func TestWatch(t *testing.T) {
	var told []string
	watch := func(layer7 bool) *Watch {
		told = nil
		return &Watch{Layer7: layer7, Limit: 3, Tell: func(n int, last string) { told = append(told, last) }}
	}
	w := watch(false)
	w.ConnectFailed()
	w.ConnectFailed()
	w.Connected()
	w.ConnectFailed()
	w.Answered(500) // not layer 4's
	w.Failed(ReadTimeout)
	w.ConnectFailed()
	if len(told) != 0 {
		t.Errorf("layer 4: %q", told)
	}
	w.ConnectFailed()
	if len(told) != 1 || told[0] != ConnectError || w.Told() != 1 {
		t.Errorf("layer 4: %q, %d", told, w.Told())
	}
	w = watch(true)
	w.Answered(500)
	w.Answered(503)
	w.Answered(501)
	w.Answered(500)
	w.Connected() // says nothing of the answers
	w.Failed(ReadTimeout)
	if len(told) != 0 {
		t.Errorf("layer 7: %q", told)
	}
	w.ConnectFailed()
	if len(told) != 1 || told[0] != ConnectError {
		t.Errorf("layer 7: %q", told)
	}
	var none *Watch
	none.Connected()
	none.ConnectFailed()
	none.Answered(500)
	none.Failed(ReadTimeout)
	none.Reset()
}

// Choosing costs no allocation, slow start or not.
func TestSlowStartAllocatesNothing(t *testing.T) {
	b := slow(Options{}, 100)
	b.Servers[0].SetHealth(false)
	b.Servers[0].SetHealth(true)
	defer b.Servers[0].SetHealth(false)
	if n := testing.AllocsPerRun(100, func() {
		b.Enter()
		s, _ := b.Pick(0, nil)
		b.Release(s)
		b.Leave()
	}); n != 0 {
		t.Errorf("%v allocations for a request", n)
	}
}

// What a server has of the one it tracks stays behind: the next process may
// have it track another one, or none.
func TestTrackedStateStays(t *testing.T) {
	old, next := newBackend(Options{}, 1), newBackend(Options{}, 1)
	old.Servers[0].SetAdmin(ForcedDrain)
	old.Servers[0].SetTracked(true, false, TrackedMaint|TrackedDrain)
	if st := old.Servers[0].Stats(); st.Usable || st.Admin != ForcedDrain|TrackedMaint|TrackedDrain {
		t.Errorf("usable %v, admin %x", st.Usable, st.Admin)
	}
	next.Servers[0].Restore(old.Servers[0].State())
	next.Restored(nil)
	if st := next.Servers[0].Stats(); !st.Usable || st.Admin != ForcedDrain {
		t.Errorf("in the next process: usable %v, admin %x", st.Usable, st.Admin)
	}
}
