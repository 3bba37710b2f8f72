package stick

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// spec makes a table's Spec with the data types named.
func spec(kind Type, size int, expire int64, stores ...Data) Spec {
	s := Spec{Name: "t", Type: kind, Len: kind.KeyLen(), Size: size, Expire: expire}
	if s.Len == 0 {
		s.Len = 32
	}
	for _, d := range stores {
		s.Stores[d] = true
		if d.IsRate() {
			s.Period[d] = 10_000
		}
	}
	return s
}

// list is what `show table` says below the title, without the numbers of the
// entries.
func list(t *Table, now int64) string {
	var b []byte
	for _, k := range t.Keys(nil, now) {
		_, line, _ := strings.Cut(string(t.AppendEntry(nil, k, nil, now)), ": ")
		b = append(b, line...)
	}
	return string(b)
}

func TestTrackCountsAndReleases(t *testing.T) {
	tb := New(spec(String, 10, 5000, ConnCnt, ConnCur, ConnRate, HTTPReqCnt, HTTPReqRate, GPC0, GPT0))
	a := tb.Track([]byte("a"), 100)
	b := tb.Track([]byte("a"), 200)
	a.Count(HTTPReqCnt, HTTPReqRate, 1, 300)
	a.Set(GPT0, 7, 300)
	if n := a.Facts(300).Trackers; n != 2 {
		t.Errorf("%d trackers", n)
	}
	a.Release(400)
	if got, want := list(tb, 500), "key=a use=1 exp=4900 gpt0=7 gpc0=0 conn_cnt=2 conn_rate(10000)=2 conn_cur=1 http_req_cnt=1 http_req_rate(10000)=1\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	// What is held does not end.
	if got := list(tb, 50_000); !strings.HasPrefix(got, "key=a use=1 exp=0 ") {
		t.Errorf("a held entry is gone: %q", got)
	}
	if !tb.Clear([]byte("a"), 500) {
		t.Error("a held entry was cleared")
	}
	b.Release(60_000)
	if got := list(tb, 64_999); got == "" {
		t.Error("the entry has gone before its time")
	}
	if got := list(tb, 65_000); got != "" {
		t.Errorf("the entry outlives its time: %s", got)
	}
	if tb.Used(65_000) != 0 {
		t.Error("an entry whose time is over is still counted")
	}
}

func TestTheOldestGivesWay(t *testing.T) {
	tb := New(spec(Integer, 3, 0, GPC0))
	key := func(n int64) []byte { return KeyInt(nil, n) }
	held := tb.Track(key(1), 1)
	tb.Track(key(2), 2).Release(2)
	tb.Track(key(3), 3).Release(3)
	tb.Track(key(2), 4).Release(4) // touched: 3 is the oldest now
	tb.Track(key(4), 5).Release(5)
	if got := list(tb, 5); strings.Contains(got, "key=3 ") || strings.Count(got, "\n") != 3 {
		t.Errorf("not the oldest has gone:\n%s", got)
	}
	held.Release(6)

	s := spec(Integer, 2, 0, GPC0)
	s.NoPurge = true
	tb = New(s)
	tb.Track(key(1), 1).Release(1)
	tb.Track(key(2), 1).Release(1)
	if tb.Track(key(3), 2).Valid() {
		t.Error("a full table with nopurge took an entry")
	}
	tb = New(spec(Integer, 2, 0, GPC0))
	tb.Track(key(1), 1)
	tb.Track(key(2), 1)
	if tb.Track(key(3), 2).Valid() {
		t.Error("an entry that is held has gone")
	}
}

func TestServers(t *testing.T) {
	tb := New(spec(String, 10, 0, ServerID, ServerKey))
	if _, _, found := tb.Server([]byte("bob"), 1); found {
		t.Error("found what is not there")
	}
	tb.Stick([]byte("bob"), "s1", 1, 1)
	tb.Stick([]byte("bob"), "s2", 2, 1)
	if name, id, found := tb.Server([]byte("bob"), 1); name != "s2" || id != 2 || !found {
		t.Error(name, id, found)
	}
}

func TestKeys(t *testing.T) {
	str := spec(String, 1, 0)
	str.Len = 5
	bin := spec(Binary, 1, 0)
	bin.Len = 4
	show := func(s Spec, key []byte) string { return string(s.AppendKey(nil, key)) }
	parse := func(s Spec, text string) string {
		key, err := s.ParseKey(text)
		if err != nil {
			return "error"
		}
		return show(s, key)
	}
	four, six := spec(IP, 1, 0), spec(IPv6, 1, 0)
	mapped, _ := six.KeyAddr(nil, netip.MustParseAddr("192.0.2.1"))
	for got, want := range map[string]string{
		parse(str, "a b=\\"):                          `a\ b\=\\`,
		parse(str, "longer"):                          "longe",
		parse(str, "\x01\t\x1b"):                      `\x01\t\e`,
		show(bin, bin.KeyBytes(nil, []byte{1, 0xab})): "01AB0000",
		parse(four, "192.0.2.1"):                      "192.0.2.1",
		parse(four, "::ffff:192.0.2.1"):               "192.0.2.1",
		parse(four, "2001:db8::1"):                    "error",
		parse(four, "192.0.2"):                        "error",
		parse(six, "2001:db8::1"):                     "2001:db8::1",
		show(six, mapped):                             "::ffff:192.0.2.1",
		parse(spec(Integer, 1, 0), "4294967295"):      "4294967295",
		parse(spec(Integer, 1, 0), "-1"):              "error",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	tb := New(spec(IP, 1000, 1000, ConnCnt, ConnCur, ConnRate, HTTPReqCnt, HTTPReqRate, ServerID, ServerKey))
	addr := netip.MustParseAddr("192.0.2.1")
	var key []byte
	now := int64(1)
	tb.Stick([]byte{1, 2, 3, 4}, "s1", 1, now)
	n := testing.AllocsPerRun(1000, func() {
		now++
		key, _ = tb.KeyAddr(key[:0], addr)
		addr = addr.Next()
		r := tb.Track(key, now)
		r.Count(HTTPReqCnt, HTTPReqRate, 1, now)
		r.Get(HTTPReqRate, now)
		r.Release(now)
		tb.Stick(key, "s1", 1, now)
		tb.Server(key, now)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Random use of a small table keeps its lists in order: what is shown is what
// was put in, and every entry can be found.
func TestRandomUse(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	tb := New(spec(Integer, 50, 300, ConnCur, GPC0))
	held := map[Ref]int{}
	now := int64(1)
	for step := range 20_000 {
		now += rnd.Int64N(5)
		k := KeyInt(nil, rnd.Int64N(120))
		switch rnd.IntN(5) {
		case 0, 1:
			if r := tb.Track(k, now); r.Valid() {
				held[r]++
			}
		case 2, 3:
			for r := range held {
				r.Release(now)
				if held[r]--; held[r] == 0 {
					delete(held, r)
				}
				break
			}
		default:
			tb.Clear(k, now)
		}
		if len(held) > 45 {
			for r, n := range held {
				for range n {
					r.Release(now)
				}
			}
			clear(held)
		}
		keys := tb.Keys(nil, now)
		tb.Sweep(now)
		if got := tb.Used(now); got != len(keys) || got > 50 {
			t.Fatalf("step %d: %d entries of which %d are listed", step, got, len(keys))
		}
		sum := uint64(0)
		for _, k := range keys {
			n, found := tb.GetKey(k, ConnCur, now)
			if !found {
				t.Fatalf("step %d: %x is listed and not found", step, k)
			}
			sum += n
		}
		want := 0
		for _, n := range held {
			want += n
		}
		if sum != uint64(want) {
			t.Fatalf("step %d: conn_cur %d, want %d", step, sum, want)
		}
	}
}

// What a request costs that is tracked, counted, read and released.
func BenchmarkTrackCountRelease(b *testing.B) {
	for _, size := range []uint32{1000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			tb := New(spec(IP, int(size), 30_000, ConnCur, HTTPReqRate))
			key := func(i uint32) []byte { return KeyInt(nil, int64(i%size)) }
			for i := range size {
				tb.Track(key(i), 1).Release(1)
			}
			i := uint32(0)
			for b.Loop() {
				i += 7919
				r := tb.Track(key(i), 2)
				r.Count(HTTPReqCnt, HTTPReqRate, 1, 2)
				r.Get(HTTPReqRate, 2)
				r.Release(2)
			}
		})
	}
}

// Many loops use one table at once; what they count adds up, while others look
// at it and tell it.
func TestManyLoops(t *testing.T) {
	tb := New(spec(Integer, 64, 50, ConnCur, ConnCnt, HTTPReqRate, GPC0))
	tb.SetKey(KeyInt(nil, 7), GPC0, 0, true, 1)
	held := tb.Track(KeyInt(nil, 7), 1) // so that it does not end
	var all sync.WaitGroup
	const loops, rounds = 4, 3000
	for n := range loops {
		all.Go(func() {
			for i := range rounds {
				now := int64(i / 10)
				r := tb.Track(KeyInt(nil, int64(i*n%200)), now)
				r.Count(HTTPReqCnt, HTTPReqRate, 1, now)
				tb.CountKey(KeyInt(nil, 7), GPC0, GPC0Rate, 1, now)
				r.Release(now)
			}
		})
	}
	all.Go(func() {
		for i := range rounds / 100 {
			tb.BeginTelling()
			for more := true; more; {
				_, more = tb.AppendChanges(nil)
			}
			list(tb, int64(i))
			tb.Sweep(int64(i))
		}
	})
	all.Wait()
	if n, _ := held.Get(GPC0, rounds); n != loops*rounds {
		t.Errorf("%d of %d events are counted", n, loops*rounds)
	}
}

func ExampleTable_AppendEntry() {
	t := New(spec(IP, 100, 30_000, GPC0, HTTPReqRate))
	key, _ := t.ParseKey("192.0.2.1")
	t.Track(key, 1000).Count(HTTPReqCnt, HTTPReqRate, 3, 1000)
	fmt.Printf("%s%s", t.AppendTitle(nil, 1000), t.AppendEntry(nil, key, nil, 1500))
	// Output:
	// # table: t, type: ip, size:100, used:1
	// 0x1: key=192.0.2.1 use=1 exp=29500 gpc0=0 http_req_rate(10000)=3
}

// TestRateAlone: without the counter itself, counting gives what the rate has counted in this period.
func TestRateAlone(t *testing.T) {
	s := Spec{Name: "t", Type: Integer, Len: 4, Size: 10}
	s.Stores[GPC0Rate], s.Period[GPC0Rate] = true, 1000
	table := New(s)
	for _, row := range []struct {
		at   int64
		want uint64
	}{{0, 1}, {900, 2}, {1000, 1}, {1999, 2}, {5000, 1}} {
		if n, ok := table.CountKey(KeyInt(nil, 1), GPC0, GPC0Rate, 1, 10000+row.at); !ok || n != row.want {
			t.Errorf("after %d ms: %d, %v; want %d", row.at, n, ok, row.want)
		}
	}
	if n, ok := table.CountKey(KeyInt(nil, 1), GPC1, GPC1Rate, 1, 20000); ok {
		t.Errorf("what is not stored counts %d", n)
	}
}
