package stream

import (
	"testing"

	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stats"
)

// The wait of a kept connection for its next request is no part of the histograms: a client that thinks for eight seconds would be a slow answer.
func TestIdleTimeIsNotLatency(t *testing.T) {
	r := new(sample.Record)
	r.Tw, r.Tc, r.Tr, r.Ta, r.Ti, r.Tt = 1, 2, 3, 10, 8000, 8010
	var fe FrontCounters
	var srv ServerCounters
	fe.times(r)
	srv.times(r)
	for _, l := range []stats.Latency{fe.Latency, srv.Latency} {
		if n, sum := l.Count(stats.TotalTime), l.Sum(stats.TotalTime); n != 1 || sum != 10 {
			t.Errorf("%d exchanges took %d ms", n, sum)
		}
	}
}
