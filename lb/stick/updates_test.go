package stick

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func sharedSpec(size int) Spec {
	s := spec(String, size, 600_000, GPC0, HTTPReqRate, ConnCur)
	s.Shared = true
	return s
}

// follower is what somebody knows who has followed a table.
type follower struct {
	feed  *Feed
	wake  chan struct{}
	last  uint64
	known map[string]uint64
}

// take takes all there is. Numbers only grow.
func (f *follower) take(t *testing.T) {
	t.Helper()
	for more := true; more; {
		more = f.feed.Take(func(e Entry) {
			if e.ID <= f.last {
				t.Errorf("change %d comes after %d", e.ID, f.last)
			}
			f.last = e.ID
			f.known[string(e.Key())] = e.Value(GPC0)
		})
	}
}

// TestFollowersKnowAll: whoever follows a table knows each entry that is there, at its own pace, also one that goes away and comes back.
func TestFollowersKnowAll(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	table := New(sharedSpec(300)) // which is often full
	var list []*follower
	for range 3 {
		f := &follower{wake: make(chan struct{}, 1), known: map[string]uint64{}}
		f.feed = table.Follow(0, f.wake)
		list = append(list, f)
	}
	now := int64(1_000_000)
	for step := range 20_000 {
		now++
		key := fmt.Appendf(nil, "key%d", rnd.IntN(400))
		switch rnd.IntN(5) {
		case 0:
			table.Clear(key, now)
		case 1:
			table.Learn(&Lesson{Key: fmt.Appendf(nil, "learned%d", rnd.IntN(50)), Remaining: -1, Values: []Value{{Data: GPC0, N: 1}}}, now)
		default:
			table.SetKey(key, GPC0, uint64(step)+1, true, now)
		}
		f := list[rnd.IntN(len(list))]
		switch rnd.IntN(20) {
		case 0, 1:
			f.take(t)
			if table.SetKey(key, GPC0, uint64(step)+1, true, now); len(f.wake) == 0 {
				t.Fatal("a change wakes nobody")
			}
			<-f.wake
		case 2:
			f.feed.Close()
			f.feed = table.Follow(f.last, f.wake)
		}
	}
	for _, f := range list {
		f.take(t)
		for _, key := range table.Keys(nil, now) {
			if n, _ := table.GetKey(key, GPC0, now); f.known[string(key)] != n && !bytes.HasPrefix(key, []byte("learned")) {
				t.Errorf("%s is %d, and known as %d", key, n, f.known[string(key)])
			}
		}
		f.feed.Close()
	}
	if len(table.updates.feeds) != 0 {
		t.Error("feeds are left")
	}
}

// TestLearnedStays: what is learned takes the place of what is there, but conn_cur does not, and is sent to nobody.
func TestLearnedStays(t *testing.T) {
	table := New(sharedSpec(100))
	now := int64(1_000_000)
	held := table.Track([]byte("a"), now)
	f := &follower{wake: make(chan struct{}, 1), known: map[string]uint64{}}
	f.feed = table.Follow(table.LastUpdate(), f.wake)
	l := &Lesson{Key: []byte("a"), Remaining: 1000, Values: []Value{{Data: GPC0, N: 7}, {Data: ConnCur, N: 9}, {Data: HTTPReqRate, Age: 10, Cur: 5, Prev: 3}}}
	if !table.Learn(l, now) {
		t.Fatal("not learned")
	}
	f.take(t)
	if f.last != 0 {
		t.Error("what was learned is sent")
	}
	for _, one := range []struct {
		d    Data
		want uint64
	}{{GPC0, 7}, {ConnCur, 1}, {HTTPReqRate, 7}} {
		if n, _ := held.Get(one.d, now); n != one.want {
			t.Errorf("%v is %d, want %d", one.d, n, one.want)
		}
	}
	if facts := held.Facts(now); facts.Expire != 600_000 {
		t.Errorf("an entry that is held here ends in %d ms", facts.Expire)
	}
	held.Release(now)
	l.Key = []byte("b")
	table.Learn(l, now)
	if facts, ok := table.FactsKey([]byte("b"), now); !ok || facts.Expire != 1000 {
		t.Errorf("a learned entry ends in %d ms", facts.Expire)
	}
	if _, ok := table.FactsKey([]byte("b"), now+1001); ok {
		t.Error("it has not ended")
	}
}

// TestWalkIsInOrder: the entry that was touched first comes first.
func TestWalkIsInOrder(t *testing.T) {
	table := New(sharedSpec(5000))
	now := int64(1_000_000)
	for i := range 3000 {
		now++
		table.SetKey(fmt.Appendf(nil, "%d", i), GPC0, uint64(i), true, now)
	}
	for i := range 500 {
		now++
		table.SetKey(fmt.Appendf(nil, "%d", i*3), GPC0, uint64(i), true, now)
	}
	w := table.Walk(now)
	var left []int64
	for more := true; more; {
		more = w.Take(func(e Entry) { left = append(left, e.Remaining(now)) })
	}
	if len(left) != 3000 || !slices.IsSorted(left) {
		t.Errorf("%d entries, in order: %v", len(left), slices.IsSorted(left))
	}
}

// TestSharedWithoutAllocation: to count in a table that peers have allocates nothing, whether somebody follows it or not.
func TestSharedWithoutAllocation(t *testing.T) {
	table := New(sharedSpec(1000))
	f := &follower{wake: make(chan struct{}, 1), known: map[string]uint64{}}
	f.feed = table.Follow(0, f.wake)
	key := []byte("key")
	now := int64(1_000_000)
	use := func() {
		r := table.Track(key, now)
		r.Count(GPC0, NumData-1, 1, now)
		r.Release(now)
	}
	use()
	if n := testing.AllocsPerRun(1000, func() {
		use()
		f.feed.Take(func(Entry) {})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkShared is what a request costs in a table that peers have, and in one that they have not.
func BenchmarkShared(b *testing.B) {
	for _, shared := range []bool{false, true} {
		b.Run(fmt.Sprint(shared), func(b *testing.B) {
			s := spec(Integer, 100_000, 600_000, ConnCur, HTTPReqCnt, HTTPReqRate)
			s.Shared = shared
			table := New(s)
			if shared {
				f := table.Follow(0, make(chan struct{}, 1))
				defer f.Close()
			}
			now := Now()
			var key [4]byte
			for i := range b.N {
				key[3], key[2] = byte(i), byte(i>>8)
				r := table.Track(key[:], now)
				r.Count(HTTPReqCnt, HTTPReqRate, 1, now)
				r.Release(now)
			}
		})
	}
}

// TestSkippedChangesComeAgain: an entry whose change was left out, because everything was sent in its place, is given when it changes again.
func TestSkippedChangesComeAgain(t *testing.T) {
	table := New(sharedSpec(10))
	f := &follower{wake: make(chan struct{}, 1), known: map[string]uint64{}}
	f.feed = table.Follow(0, f.wake)
	table.SetKey([]byte("x"), GPC0, 1, true, 1000)
	f.last = f.feed.Skip()
	f.take(t)
	if table.SetKey([]byte("x"), GPC0, 2, true, 1001); len(f.wake) == 0 {
		t.Error("the change wakes nobody")
	}
	if f.take(t); f.known["x"] != 2 {
		t.Errorf("x is known as %d", f.known["x"])
	}
}
