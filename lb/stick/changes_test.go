package stick

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// told moves everything that is to be told from one table to another.
func told(t *testing.T, from, to *Table, now int64) {
	t.Helper()
	for more := true; more; {
		var b []byte
		b, more = from.AppendChanges(nil)
		if err := Load(b, func(name string) *Table {
			if name == to.Name {
				return to
			}
			return nil
		}, now); err != nil {
			t.Fatal(err)
		}
	}
}

// Two workers count in tables of their own, one of them tells the other: in the
// end the other has what one table would have had, whatever the order.
func TestToldCountsAddUp(t *testing.T) {
	stores := []Data{ConnCnt, ConnCur, HTTPReqCnt, BytesInCnt, HTTPReqRate, ServerID, ServerKey}
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 50 {
		one, old, next := New(spec(Integer, 5000, 0, stores...)), New(spec(Integer, 5000, 0, stores...)), New(spec(Integer, 5000, 0, stores...))
		now := int64(1_000_000)
		type pair struct{ a, b Ref }
		var open []pair
		use := func(mine *Table, n int) {
			for range n {
				now += rnd.Int64N(3)
				k := KeyInt(nil, rnd.Int64N(800))
				switch rnd.IntN(4) {
				case 0, 1:
					p := pair{one.Track(k, now), mine.Track(k, now)}
					p.a.Count(HTTPReqCnt, HTTPReqRate, 2, now)
					p.b.Count(HTTPReqCnt, HTTPReqRate, 2, now)
					open = append(open, p)
				case 2:
					if len(open) > 0 {
						at := rnd.IntN(len(open))
						p := open[at]
						open = append(open[:at], open[at+1:]...)
						p.a.Count(BytesInCnt, BytesInRate, 100, now)
						p.b.Count(BytesInCnt, BytesInRate, 100, now)
						p.a.Release(now)
						p.b.Release(now)
					}
				default:
					if mine == next { // only one of them may set what does not add up
						k = KeyInt(nil, rnd.Int64N(800)+1000)
					}
					n := rnd.IntN(3)
					name := []string{"s1", "s2", "s3"}[n]
					one.Stick(k, name, n, now)
					mine.Stick(k, name, n, now)
				}
			}
		}
		use(old, 3000)
		old.BeginTelling()
		b, _ := old.AppendChanges(nil) // a first part, then it goes on
		if err := Load(b, func(string) *Table { return next }, now); err != nil {
			t.Fatal(err)
		}
		use(old, 300)
		told(t, old, next, now)
		for range 10 {
			use(old, 50)
			use(next, 50)
			told(t, old, next, now)
		}
		// The rest of the connections end, each where it is.
		for _, p := range open {
			p.a.Release(now)
			p.b.Release(now)
		}
		told(t, old, next, now)
		old.EndTelling()
		if got, want := list(next, now), list(one, now); got != want {
			t.Fatalf("the tables differ:\n%s\n%s", got, want)
		}
	}
}

func TestMovedConnections(t *testing.T) {
	old, next := New(spec(Integer, 10, 0, ConnCur)), New(spec(Integer, 10, 0, ConnCur))
	key := KeyInt(nil, 1)
	before := old.Track(key, 1)
	old.BeginTelling()
	told(t, old, next, 2)
	after := old.Track(key, 3)
	told(t, old, next, 3) // before the connections themselves
	a, b := next.Adopt(Integer, 4, key, 4), next.Adopt(Integer, 4, key, 4)
	before.Forget()
	after.Forget()
	told(t, old, next, 5)
	if got := list(next, 5); got != "key=1 use=2 exp=0 conn_cur=2\n" {
		t.Error(got)
	}
	a.Release(6)
	b.Release(6)
	if got := list(next, 6); got != "key=1 use=0 exp=0 conn_cur=0\n" {
		t.Error(got)
	}
	// A table that began anew has not been told of the connection.
	fresh := New(spec(Integer, 10, 0, ConnCur))
	r := fresh.Adopt(Integer, 4, key, 7)
	if n, _ := r.Get(ConnCur, 7); n != 1 {
		t.Error(n, "connections after a move into an empty table")
	}
	for _, r := range []Ref{next.Adopt(String, 4, key, 8), next.Adopt(Integer, 5, key, 8), next.Adopt(Integer, 4, key[:3], 8)} {
		if r.Valid() {
			t.Error("a key of another type was taken")
		}
	}
}

func TestWhatAnotherConfigurationKeeps(t *testing.T) {
	fill := func() *Table {
		tb := New(spec(Integer, 100, 0, GPC0, HTTPReqRate))
		for n := range int64(100) {
			r := tb.Track(KeyInt(nil, n), 1000+n)
			r.Count(GPC0, GPC0Rate, uint64(n), 1000+n)
			r.Count(HTTPReqCnt, HTTPReqRate, 5, 1000+n)
			r.Release(1000 + n)
		}
		tb.BeginTelling()
		return tb
	}
	// Smaller: those touched last are kept, and go in the same order.
	small := New(spec(Integer, 3, 0, GPC0))
	told(t, fill(), small, 1100)
	if got := list(small, 1100); got != "key=97 use=0 exp=0 gpc0=97\nkey=98 use=0 exp=0 gpc0=98\nkey=99 use=0 exp=0 gpc0=99\n" {
		t.Error(got)
	}
	small.Track(KeyInt(nil, 5), 1101).Release(1101)
	if _, found := small.GetKey(KeyInt(nil, 97), GPC0, 1101); found {
		t.Error("the oldest did not go first")
	}
	// New stores begin at 0, and so does a rate over another period.
	s := spec(Integer, 100, 0, GPC0, HTTPReqRate, GPC1)
	s.Period[HTTPReqRate] = 20_000
	wide := New(s)
	told(t, fill(), wide, 1100)
	if got := string(wide.AppendEntry(nil, KeyInt(nil, 7), nil, 1100)); !strings.HasSuffix(got, " gpc0=7 http_req_rate(20000)=0 gpc1=0\n") {
		t.Error(got)
	}
	// Keys of another type begin anew.
	other := New(spec(String, 100, 0, GPC0))
	told(t, fill(), other, 1100)
	if got := list(other, 1100); got != "" {
		t.Error(got)
	}
	// With a time to live, what is older than it does not come back.
	short := New(spec(Integer, 100, 50, GPC0))
	told(t, fill(), short, 1100)
	if n := short.Used(1100); n != 49 {
		t.Errorf("%d entries are still alive", n)
	}
}

func FuzzLoad(f *testing.F) {
	tb := New(spec(String, 10, 1000, ConnCnt, ConnCur, HTTPReqRate, ServerID, ServerKey, GPT0))
	tb.Track([]byte("bob"), 5).Count(HTTPReqCnt, HTTPReqRate, 3, 5)
	tb.Stick([]byte("bob"), "s1", 1, 5)
	tb.BeginTelling()
	b, _ := tb.AppendChanges(nil)
	f.Add(b)
	f.Add(b[:len(b)-1])
	numbers := New(spec(Integer, 10, 1000, GPC0))
	numbers.Track(KeyInt(nil, 7), 5).Count(GPC0, GPC0Rate, 3, 5)
	numbers.BeginTelling()
	b, _ = numbers.AppendChanges(nil)
	f.Add(b)
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range Types() {
			got := New(spec(kind, 10, 1000, ConnCnt, ConnCur, HTTPReqRate, ServerID, ServerKey, GPT0))
			_ = Load(b, func(string) *Table { return got }, 6)
			if n := got.Used(6); n > 10 {
				t.Errorf("%d entries", n)
			}
			list(got, 6)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(uint8(0), "192.0.2.1")
	f.Add(uint8(1), "2001:db8::1%eth0")
	f.Add(uint8(2), "4294967296")
	f.Add(uint8(3), "a b\\=\x00")
	f.Add(uint8(4), "abc")
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		s := spec(Type(kind%5), 1, 0)
		key, err := s.ParseKey(text)
		if err != nil {
			return
		}
		if len(key) > s.Len {
			t.Fatalf("a key of %d bytes", len(key))
		}
		shown := string(s.AppendKey(nil, key))
		if s.Type < String {
			again, err := s.ParseKey(shown)
			if err != nil || string(again) != string(key) {
				t.Fatalf("%q shows as %q, which is another key: %v", text, shown, err)
			}
		}
	})
}

func BenchmarkTellAMillion(b *testing.B) {
	tb := New(spec(IP, 1<<20, 0, ConnCur, HTTPReqRate, HTTPReqCnt))
	for i := range uint32(1 << 20) {
		r := tb.Track([]byte{byte(i), byte(i >> 8), byte(i >> 16), 10}, int64(i))
		r.Count(HTTPReqCnt, HTTPReqRate, 1, int64(i))
		r.Release(int64(i))
	}
	for b.Loop() {
		next := New(tb.Spec)
		tb.BeginTelling()
		var all []byte
		for more := true; more; {
			all, more = tb.AppendChanges(all)
		}
		if err := Load(all, func(string) *Table { return next }, 1<<20); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(all))/(1<<20), "B/entry")
	}
}
