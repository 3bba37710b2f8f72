package stats

import (
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every time lies in the first bucket whose bound is above it.
func TestBuckets(t *testing.T) {
	for ms := range uint32(70_000) {
		at := slowBucket(ms)
		if at < len(Bounds) && ms >= Bounds[at] || at > 0 && ms < Bounds[at-1] {
			t.Fatalf("%d ms lies in bucket %d", ms, at)
		}
		if int(ms) < len(bucketOf) && int(bucketOf[ms]) != at {
			t.Fatalf("%d ms: %d and %d", ms, bucketOf[ms], at)
		}
	}
}

// A quantile lies in the bucket of the value that sorting would find.
func TestQuantilesLieInTheRightBucket(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var l Latency
		var all []uint32
		for range 1 + r.IntN(500) {
			v := uint32(r.ExpFloat64() * float64(1+r.IntN(3000)))
			l.Add(TotalTime, v)
			all = append(all, v)
		}
		slices.Sort(all)
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			rank := max(int(q*float64(len(all))+0.9999999)-1, 0)
			want := slowBucket(all[rank])
			got, ok := l.Quantile(TotalTime, q)
			low, high := 0.0, 1e9
			if want > 0 {
				low = float64(Bounds[want-1])
			}
			if want < len(Bounds) {
				high = float64(Bounds[want])
			}
			if !ok || got < low || got > high {
				t.Fatalf("of %d values the quantile %v is %v (%v), the value is %d", len(all), q, got, ok, all[rank])
			}
		}
	}
	if _, ok := (Latency{}).Quantile(TotalTime, 0.5); ok {
		t.Error("nothing has a quantile")
	}
}

// Sums over loops and generations are the same as counting in one place.
func TestLatencyAddsUp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var parts [3]Latency
	var whole, sum Latency
	for range 5000 {
		which, v := Timing(r.IntN(int(timings))), uint32(r.IntN(100_000))
		parts[r.IntN(3)].Add(which, v)
		whole.Add(which, v)
	}
	for _, p := range parts {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Latency
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, p) {
			t.Fatalf("%s came back as another", text)
		}
		sum.Merge(back)
	}
	if !reflect.DeepEqual(sum, whole) {
		t.Error("the sum differs from the whole")
	}
	copied := whole.Clone()
	whole.Add(QueueTime, 1)
	if reflect.DeepEqual(copied, whole) {
		t.Error("a clone changes with its original")
	}
	for _, bad := range []string{`[[9,28,1,1],[],[],[]]`, `[[1,40],[],[],[]]`, `[[1],[],[],[]]`, `[[1,4000000000,1],[],[],[]]`, `{}`, `7`} {
		if err := json.Unmarshal([]byte(bad), new(Latency)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestLatencyCostsNoAllocations(t *testing.T) {
	var l Latency
	l.Add(QueueTime, 0)
	if n := testing.AllocsPerRun(100, func() { l.Add(TotalTime, 7); l.Add(ResponseTime, 7000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzLatency: what another process sends never does worse than be refused.
func FuzzLatency(f *testing.F) {
	f.Add([]byte(`[[9,0,1,2],[],[8,27,5],[7,28,1]]`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l Latency
		if json.Unmarshal(text, &l) != nil {
			return
		}
		if l.h != nil { // an empty histogram has no sum
			for i := range l.h {
				if l.Count(Timing(i)) == 0 {
					l.h[i].sum = 0
				}
			}
		}
		again, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var back Latency
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, l) {
			t.Fatalf("%s became %s, %v", text, again, err)
		}
	})
}

func BenchmarkLatency(b *testing.B) {
	var l Latency
	for i := range b.N {
		l.Add(TotalTime, uint32(i&63))
	}
}

// The page of metrics has each distribution whole, and columns show its quantiles.
func TestLatencyIsShown(t *testing.T) {
	s := &Snapshot{Rows: []Row{{Kind: Frontend, Proxy: "fe", HTTP: true}, {Kind: Server, Proxy: "be", Name: "s1", HTTP: true}, {Kind: Backend, Proxy: "be", HTTP: true}}}
	for i := range s.Rows {
		for range 99 {
			s.Rows[i].Latency.Add(TotalTime, 5)
		}
		s.Rows[i].Latency.Add(TotalTime, 700)
	}
	text := string(AppendPrometheus(nil, s, AllScopes()))
	for _, want := range []string{
		"# TYPE lb_frontend_total_time_seconds histogram\n",
		`lb_frontend_total_time_seconds_bucket{proxy="fe",le="0.004"} 0` + "\n", `lb_frontend_total_time_seconds_bucket{proxy="fe",le="0.006"} 99` + "\n",
		`lb_frontend_total_time_seconds_bucket{proxy="fe",le="+Inf"} 100` + "\n", `lb_frontend_total_time_seconds_sum{proxy="fe"} 1.195` + "\n",
		`lb_server_total_time_seconds_count{proxy="be",server="s1"} 100` + "\n", `lb_backend_total_time_seconds_bucket{proxy="be",le="0.724"} 100` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(text, "lb_frontend_queue") || strings.Contains(text, "lb_server_queue_time_seconds_count") {
		t.Error("what was never measured is shown")
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(AppendCSV(nil, s, Filter{})), "# "))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cell := func(row int, name string) string { return rows[row][slices.Index(rows[0], name)] }
	for row, want := range map[int][3]string{1: {"6", "6", ""}, 2: {"6", "6", ""}, 3: {"6", "6", ""}} {
		if got := [3]string{cell(row, "ttime_p50"), cell(row, "ttime_p90"), cell(row, "qtime_p50")}; got != want {
			t.Errorf("row %d: %q, want %q", row, got, want)
		}
	}
}
