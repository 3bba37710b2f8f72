package handover

import (
	"context"
	"crypto/tls"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
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

// BenchmarkTakeover measures what docs/reload.md says of a takeover, for plain connections, TLS 1.3 and HTTP/2 over it:
//
//	LB_LONG=1 go test -run '^$' -bench Takeover -benchtime 1x ./test/handover
//
// Of a crowd of idle connections it gives how many a second move, by the time that the old worker says that it needed until the last one had left; of
// twenty connections that ask all the time, the longest answer without reloads and with them. Nothing is asserted of the figures.
func BenchmarkTakeover(b *testing.B) {
	cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	keeper := func(dial dialer) (client, error) {
		k, err := dial()
		if err != nil {
			return client{}, err
		}
		return client{k.get, func() { k.c.Close() }}, nil
	}
	for _, c := range []struct {
		name string
		open func(*site) (client, error)
	}{
		{"plain", func(s *site) (client, error) { return keeper(plain(s.http)) }},
		{"TLS", func(s *site) (client, error) { return keeper(secureDialer(s.https, cfg)) }},
		{"HTTP2", func(s *site) (client, error) {
			h := newH2(cfg.Clone())
			return client{func(path string) error { return h.get("https://" + s.https + path) }, h.CloseIdleConnections}, nil
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := start(b, "ssl crt", "ssl alpn h2,http/1.1 crt")
			for b.Loop() {
				takeover(b, s, c.open)
			}
		})
	}
}

// client is a kept connection.
type client struct {
	get   func(path string) error
	close func()
}

// movedWord is what a worker says when it has left.
var movedWord = regexp.MustCompile(`has left after (\S+): (\d+) connections moved`)

// takeover is one measurement of BenchmarkTakeover.
func takeover(b *testing.B, s *site, open func(*site) (client, error)) {
	const asking, reloads = 20, 5
	clients := make([]client, sized(500, 5000)+asking)
	var errs errorsOf
	each(len(clients), func(i int) {
		c, err := open(s)
		if err == nil {
			err = c.get(fmt.Sprintf("/r/idle/%d.0", i))
		}
		if err != nil {
			errs.add(err)
		}
		clients[i] = c
	})
	if errs.report(b, "before any reload"); b.Failed() {
		return
	}
	var longest atomic.Int64 // ns
	ctx, cancel := context.WithCancel(b.Context())
	var probes sync.WaitGroup
	for i, c := range clients[:asking] {
		probes.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				began := time.Now()
				if err := c.get(fmt.Sprintf("/r/probe%d/%d.0", i, n)); err != nil {
					errs.add(err)
					return
				}
				took := int64(time.Since(began))
				for was := longest.Load(); took > was && !longest.CompareAndSwap(was, took); was = longest.Load() {
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	time.Sleep(3 * time.Second)
	calm := longest.Swap(0)
	for range reloads {
		old := s.worker()
		s.reload()
		s.gone(old)
	}
	storm := longest.Load()
	cancel()
	probes.Wait()
	each(len(clients), func(i int) {
		if err := clients[i].get(fmt.Sprintf("/r/idle/%d.1", i)); err != nil {
			errs.add(err)
		}
	})
	errs.report(b, "clients")
	var rates []float64
	for _, said := range movedWord.FindAllStringSubmatch(s.lb.Output(), -1) {
		took, err := time.ParseDuration(said[1])
		moved, err2 := strconv.Atoi(said[2])
		if err != nil || err2 != nil || moved < len(clients)-asking {
			b.Errorf("a worker said %q: %v, %v", said[0], err, err2)
			continue
		}
		rates = append(rates, float64(moved)/took.Seconds())
	}
	for _, c := range clients {
		c.close()
	}
	if len(rates) == 0 {
		b.Fatal("no worker has said how long it took")
	}
	slices.Sort(rates)
	b.ReportMetric(rates[len(rates)/2], "connections/s")
	b.ReportMetric(float64(calm)/1e6, "ms-longest-calm")
	b.ReportMetric(float64(storm)/1e6, "ms-longest-reloads")
	b.ReportMetric(float64(len(rates)), "reloads")
}
