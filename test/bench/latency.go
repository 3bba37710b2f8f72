package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// latencyCase is what is asked at a constant rate; clients and server are the loop's, so that nothing but the subject makes anybody wait.
var latencyCase = benchCase{name: "latency", size: 200, conns: 64}

// How latency is measured: the rate is this share of what the slowest subject can serve at most. Rounds are many and short, for a machine that stands still for a tenth of
// a second makes the round in which it does useless: the median of the rounds' percentiles does not know of it.
const (
	share       = 0.7
	calmTime    = time.Second     // a round without reloads
	reloadTime  = 2 * time.Second // one with reloads, the first of which comes after half of reloadEvery
	reloadEvery = time.Second
)

// latency measures how long requests take at a constant rate, from when each was due, and, with reloads, while the subject is told to reload every second.
func (b *bench) latency(ctx context.Context, reloads bool) (rows []row, err error) {
	cheap := *b
	cheap.cheap = true
	subjects, stop, err := cheap.start(ctx, latencyCase)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	most := 0.0
	for _, s := range subjects {
		got, err := s.measure(ctx, 4*b.lasting, 4*b.lasting)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.label, err)
		}
		if most == 0 || got.rate < most {
			most = got.rate
		}
	}
	rate, also, count := share*most, "", max(b.count, 8)
	if reloads {
		also, count = ", a reload every second", max(b.count/2, 4)
	}
	shares := []float64{0.5, 0.99, 0.999}
	for _, p := range shares {
		r := row{Name: "latency", What: fmt.Sprintf("p%g at %.0f requests/s%s", 100*p, rate, also), Unit: "ms", Figures: make([]figure, len(subjects))}
		if p == 0.99 {
			r.Goal = 1
		}
		rows = append(rows, r)
	}
	for round := range count {
		for _, i := range order(len(subjects), round) {
			s := subjects[i]
			p, err := s.atRate(ctx, rate, b.loadCore, reloads)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.label, err)
			}
			took := make([]float64, len(p.took))
			for at, ns := range p.took {
				took[at] = float64(ns) / 1e6
			}
			all := quantiles(took, shares...)
			if b.verbose {
				fmt.Fprintf(os.Stderr, "  latency%s, round %d: %s p50 %.2f p99 %.2f p99.9 %.2f ms, %d lost\n", also, round+1, s.label, all[0], all[1], all[2], p.lost)
			}
			for at, q := range all {
				f := &rows[at].Figures[i]
				f.Label = s.label
				f.Rounds = append(f.Rounds, q)
				f.Failed += p.lost
			}
		}
	}
	for at := range rows {
		rows[at].compare()
	}
	return rows, nil
}

// atRate sends requests at a rate for a round.
func (s *subject) atRate(ctx context.Context, rate float64, core int, reloads bool) (*pace, error) {
	p := newPace(rate, calmTime)
	if reloads {
		p = newPace(rate, reloadTime)
	}
	ctx, cancel := context.WithCancel(ctx)
	reloaded := make(chan error, 1)
	go func() {
		for pause := reloadEvery / 2; reloads; pause = reloadEvery {
			if err := sleep(ctx, pause); err != nil {
				break
			}
			if err := s.reload(); err != nil {
				reloaded <- err
				return
			}
		}
		reloaded <- nil
	}()
	err := s.load.(nopStop).drive(core, p)
	cancel()
	return p, errors.Join(err, <-reloaded)
}

// reload tells the subject to reload, as its unit does, and does not wait for it.
func (s *subject) reload() error {
	if s.kind == kindNginx {
		return s.procs[0].Signal(syscall.SIGHUP)
	}
	return s.procs[0].Signal(syscall.SIGUSR2)
}
