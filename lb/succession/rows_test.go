package succession

import (
	"testing"

	"lbsyslogd/lb/stats"
)

// TestRowsOfOneMessageAreNoneOfTheNext: rows are decoded into memory that the rows of the message before were in.
func TestRowsOfOneMessageAreNoneOfTheNext(t *testing.T) {
	second := begin(t)
	ours, theirs := pair(t)
	second.Follow(theirs)
	full := rowCounts{Kind: stats.Backend, Proxy: "a", SessMax: 7, RateMax: 5, Last: 9}
	full.Count.DeniedReq = 3
	full.Latency.Add(stats.TotalTime, 12)
	post(t, ours, message{Kind: kindCounts, Rows: []rowCounts{full, full}, More: true})
	post(t, ours, message{Kind: kindCounts, Rows: []rowCounts{{Kind: stats.Backend, Proxy: "b", QueueMax: 1}}, Total: &totals{}})
	<-second.Complete()
	second.before.mu.Lock()
	defer second.before.mu.Unlock()
	rows := second.before.living[0].rows
	a, b := rows[rowKey{stats.Backend, "a", ""}], rows[rowKey{stats.Backend, "b", ""}]
	if a.SessMax != 7 || a.Count.DeniedReq != 3 || a.Latency.Count(stats.TotalTime) != 1 {
		t.Errorf("the first is %+v", a)
	}
	if want := (rowCounts{Kind: stats.Backend, Proxy: "b", QueueMax: 1}); b != want {
		t.Errorf("the second is %+v, want %+v", b, want)
	}
}
