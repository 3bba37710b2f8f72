package handover

import (
	"context"
	"testing"
	"time"

	"lbsyslogd/test/load"
)

// BenchmarkReload5000 tells what a steady load of 5,000 requests a second on 50 kept connections notices of a reload every half second:
//
//	go test -run '^$' -bench Reload5000 -benchtime 1x ./test/handover
//
// It prints the 99th percentile and the longest answer without reloads and with them. Nothing is asserted of them: the figures are the machine's.
func BenchmarkReload5000(b *testing.B) {
	const rate = 5000
	s := start(b)
	seconds := sized(5, 20)
	run := func(name string) load.Result {
		r := load.New(load.Options{Addr: s.http, Run: name, Requests: rate * seconds, Rate: rate, Conns: 50}).Run(b.Context())
		if r.Failed() > 0 || r.Conns != 50 {
			b.Errorf("%s: %v", name, r)
		}
		return r
	}
	for b.Loop() {
		calm := run("calm")
		ctx, cancel := context.WithCancel(b.Context())
		reloads := s.reloading(ctx, 500*time.Millisecond)
		stormy := run("reloads")
		cancel()
		b.ReportMetric(float64(calm.P99.Microseconds()), "µs-p99-calm")
		b.ReportMetric(float64(stormy.P99.Microseconds()), "µs-p99-reloads")
		b.ReportMetric(float64(calm.Max.Microseconds()), "µs-max-calm")
		b.ReportMetric(float64(stormy.Max.Microseconds()), "µs-max-reloads")
		b.ReportMetric(float64(<-reloads), "reloads")
	}
}
