package succession

import (
	"testing"

	"lbsyslogd/lb/stats"
)

// TestFormerSums follows what earlier workers tell from the first word to
// their end: each telling replaces the one before, nothing is counted twice,
// and nothing is lost when one is gone.
func TestFormerSums(t *testing.T) {
	var f predecessors
	sum := func(want uint64) {
		t.Helper()
		snap := &stats.Snapshot{Rows: []stats.Row{{Kind: stats.Frontend, Proxy: "fe"}, {Kind: stats.Frontend, Proxy: "new"}}}
		f.add(snap)
		if got := snap.Rows[0].ReqTotal; got != want {
			t.Errorf("the sum is %d, want %d", got, want)
		}
		if got := snap.Info.CumReqs; got != want {
			t.Errorf("the sum of all is %d, want %d", got, want)
		}
		if got := snap.Rows[1].ReqTotal; got != 0 {
			t.Errorf("a row that nobody told of has %d", got)
		}
	}
	tell := func(p *predecessor, n uint64) {
		f.take(p, []rowCounts{
			{Kind: stats.Frontend, Proxy: "fe", Count: stats.Counters{ReqTotal: n}},
			{Kind: stats.Frontend, Proxy: "gone", Count: stats.Counters{ReqTotal: 1}},
		}, &totals{Requests: n})
	}
	a, b := f.join(nil, false), f.join(nil, false)
	if f.complete() {
		t.Error("complete before anybody told")
	}
	sum(0)
	tell(a, 10)
	if f.complete() {
		t.Error("complete before all have told")
	}
	tell(b, 5)
	if !f.complete() {
		t.Error("not complete although all have told")
	}
	sum(15)
	tell(a, 12)
	sum(17)
	f.leave(a)
	sum(17)
	rows, total, ok := f.release(b)
	if !ok || total == nil || total.Requests != 5 || len(rows) != 2 {
		t.Errorf("%v %v %v", rows, total, ok)
	}
	sum(17) // the next worker counts b, and may not show it yet
	row := rowCounts{Kind: stats.Frontend, Proxy: "fe"}
	if f.addRow(&row); row.Count.ReqTotal != 12 {
		t.Errorf("the next worker is sent %d, want 12 without what it gets from b itself", row.Count.ReqTotal)
	}
	if _, _, ok := f.release(b); ok {
		t.Error("released twice")
	}
	var all totals
	f.addTotals(&all)
	f.addPassedTotals(&all)
	if all.Requests != 17 {
		t.Errorf("the last answers have %d, want 17", all.Requests)
	}
	row = rowCounts{Kind: stats.Frontend, Proxy: "fe"}
	f.addRow(&row)
	f.addPassedRow(&row)
	if row.Count.ReqTotal != 17 {
		t.Errorf("the last answers have %d in a row, want 17", row.Count.ReqTotal)
	}
	f.clear(true, false)
	sum(0)
}

// TestFormerWithoutAWord holds that a worker that died before it told anything
// neither counts nor keeps others waiting.
func TestFormerWithoutAWord(t *testing.T) {
	var f predecessors
	p := f.join(nil, false)
	if _, total, _ := f.release(p); total != nil {
		t.Errorf("%+v was told by nobody", total)
	}
	q := f.join(nil, false)
	f.leave(q)
	if !f.complete() {
		t.Error("waits for one that is gone")
	}
}

// TestSumsLeaveLatenciesAlone: adding a predecessor's distribution of times to a row does not change what is kept of it.
func TestSumsLeaveLatenciesAlone(t *testing.T) {
	var f predecessors
	p := f.join(nil, false)
	times := func(n int) (l stats.Latency) {
		for range n {
			l.Add(stats.TotalTime, 5)
		}
		return l
	}
	f.take(p, []rowCounts{{Kind: stats.Frontend, Proxy: "fe", Latency: times(3)}}, &totals{})
	for range 3 {
		row := rowCounts{Kind: stats.Frontend, Proxy: "fe", Latency: times(2)}
		f.addRow(&row)
		if n := row.Latency.Count(stats.TotalTime); n != 5 {
			t.Fatalf("the sum has %d times, want 5", n)
		}
	}
	snap := &stats.Snapshot{Rows: []stats.Row{{Kind: stats.Frontend, Proxy: "fe"}}}
	f.add(snap)
	if n := snap.Rows[0].Latency.Count(stats.TotalTime); n != 3 {
		t.Errorf("a snapshot has %d times, want 3", n)
	}
}
