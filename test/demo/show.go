package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/test/ledger"
	"lbsyslogd/test/load"
	"lbsyslogd/test/rig"
)

// client is one of the three kinds of visitors.
type client struct {
	name string
	opt  load.Options
	load *load.Load
	done load.Result
}

// deeds counts what is done to the daemons while the clients are at work.
type deeds struct {
	reloads   atomic.Int64 // that succeeded, as they should
	refused   atomic.Int64 // with a broken configuration, refused as they should
	rotations atomic.Int64
	reopens   atomic.Int64

	// mu guards the fields below.
	mu     sync.Mutex
	errors []error // what did not go as it should
}

func (d *deeds) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errors = append(d.errors, err)
}

// reached reports whether the goals are.
func (d *deeds) reached(g goals, requests uint64, elapsed time.Duration) bool {
	return requests >= uint64(g.requests) && elapsed >= g.duration &&
		d.reloads.Load() >= int64(g.reloads) && d.refused.Load() >= int64(g.refused) &&
		d.rotations.Load() >= int64(g.rotations) && d.reopens.Load() >= int64(g.reopens)
}

const (
	most      = 1_000_000        // requests of one client: the goals are reached long before
	patience  = 90 * time.Second // for the goals
	reloading = 250 * time.Millisecond
	rotating  = 2500 * time.Millisecond
	reopening = 4 * time.Second
)

// show runs the clients and what is done meanwhile until the goals are reached, then checks the ledger and prints it. The error
// says in one sentence what is wrong.
func show(ctx context.Context, s *site, g goals, w *os.File) error {
	secure := &tls.Config{RootCAs: s.pool, ServerName: "localhost"}
	clients := []*client{
		{name: "kept connections", opt: load.Options{Addr: s.http, Run: "kept", Conns: 20, Rate: 3000, PostEach: 5}},
		{name: "new connections", opt: load.Options{Addr: s.http, Run: "new", Conns: 8, Rate: 400, PerConn: 1}},
		{name: "TLS", opt: load.Options{Addr: s.https, Run: "tls", Conns: 4, Rate: 200, PerConn: 50, TLS: secure}},
	}
	work, enough := context.WithTimeout(ctx, patience)
	defer enough()

	var d deeds
	var visitors, others sync.WaitGroup
	for _, c := range clients {
		c.opt.Requests = most
		c.load = load.New(c.opt)
		visitors.Go(func() { c.done = c.load.Run(work) })
	}
	others.Go(func() { every(work, reloading, func(n int) { d.reload(s, n) }) })
	others.Go(func() { every(work, rotating, func(int) { d.rotate(s) }) })
	others.Go(func() { every(work, reopening, func(n int) { d.reopen(s, n) }) })

	begun := time.Now()
	screen := newScreen(w)
	tick := time.NewTicker(screen.every)
	defer tick.Stop()
	for work.Err() == nil {
		var sum load.Result
		for _, c := range clients {
			sum = add(sum, c.load.Progress())
		}
		lines := uint64(0)
		if st, err := s.log.Status(ctx); err == nil {
			lines = st.Total.Written
		}
		screen.show(begun, sum, &d, lines)
		if d.reached(g, sum.OK()+sum.Failed(), time.Since(begun)) {
			break
		}
		select {
		case <-tick.C:
		case <-work.Done():
		}
	}
	late := work.Err() != nil
	enough()
	visitors.Wait()
	others.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted before the ledger was made")
	}
	err := settle(ctx, s, clients, &d, w)
	if err == nil && late {
		err = fmt.Errorf("after %v the goals %+v were not reached", patience, g)
	}
	return err
}

// every calls f each interval, with 0, 1, ..., until ctx ends.
func every(ctx context.Context, interval time.Duration, f func(n int)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
			f(n)
		case <-ctx.Done():
			return
		}
	}
}

// broken are configurations that a reload must refuse, each with a word its answer must hold.
func (s *site) broken(n int) (config, word string) {
	good := s.config()
	switch n % 4 {
	case 0:
		return good + "backend x\n    server \"a 127.0.0.1:1\n", "lb.cfg:"
	case 1:
		return strings.Replace(good, "balance roundrobin", "balanec roundrobin", 1), "balance"
	case 2:
		return strings.Replace(good, "crt "+s.cert(), "crt "+s.cert()+".missing", 1), ".missing"
	}
	_, port, _ := net.SplitHostPort(s.backends[0].Addr())
	return good + "frontend x\n    bind 127.0.0.1:" + port + "\n    default_backend web\n", port
}

// reload reloads lb; every sixth time with a broken configuration.
func (d *deeds) reload(s *site, n int) {
	if n%6 == 5 {
		config, word := s.broken(n / 6)
		if err := s.lb.Configure(config); err != nil {
			d.fail(err)
			return
		}
		answer, err := s.lb.Reload(context.Background())
		switch {
		case err == nil:
			d.fail(fmt.Errorf("a reload with a broken configuration succeeded: %s", answer))
		case !strings.Contains(answer, word):
			d.fail(fmt.Errorf("a refused reload does not say why (%q is not in it): %s", word, answer))
		default:
			d.refused.Add(1)
		}
		return
	}
	if err := s.lb.Configure(fmt.Sprintf("# edited %d times\n%s", n, s.config())); err != nil {
		d.fail(err)
		return
	}
	if _, err := s.lb.Reload(context.Background()); err != nil {
		d.fail(err)
		return
	}
	d.reloads.Add(1)
}

// rotate has syslogd rotate its file.
func (d *deeds) rotate(s *site) {
	if _, err := s.log.Verb(context.Background(), "rotate"); err != nil {
		d.fail(err)
		return
	}
	d.rotations.Add(1)
}

// reopen does what logrotate does: it moves the file away and tells syslogd.
func (d *deeds) reopen(s *site, n int) {
	if err := os.Rename(s.log.Log, fmt.Sprintf("%s.%d", s.log.Log, n+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.fail(err)
		return
	}
	if _, err := s.log.Verb(context.Background(), "reopen"); err != nil {
		d.fail(err)
		return
	}
	d.reopens.Add(1)
}

// settle compares the clients' counts with the log files.
func settle(ctx context.Context, s *site, clients []*client, d *deeds, w io.Writer) error {
	fmt.Fprintf(w, "\n%-18s %9s %7s %7s %10s %8s %7s\n", "ledger", "requests", "failed", "served", "log lines", "missing", "double")
	var problems []string
	var total struct{ requests, failed, served, lines, missing, double int }
	for _, c := range clients {
		requests := int(c.done.OK() + c.done.Failed())
		report, err := s.audit(ctx, c.opt.Run, requests)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-18s %9d %7d %7d %10d %8d %7d\n", c.name, requests, c.done.Failed(), c.done.OK(), report.Lines, report.Missing, report.Double)
		total.requests += requests
		total.failed += int(c.done.Failed())
		total.served += int(c.done.OK())
		total.lines += report.Lines
		total.missing += report.Missing
		total.double += report.Double
		if c.done.Failed() > 0 {
			problems = append(problems, c.name+": "+c.done.String())
		}
		if !report.Balanced() {
			problems = append(problems, c.name+": "+report.String())
		}
	}
	fmt.Fprintf(w, "%-18s %9d %7d %7d %10d %8d %7d\n\n", "total", total.requests, total.failed, total.served, total.lines, total.missing, total.double)
	for _, err := range d.errors {
		problems = append(problems, err.Error())
	}
	files, err := ledger.Files(s.log.Log)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d reloads, %d refused reloads, %d rotations, %d reopens, %d log files\n",
		d.reloads.Load(), d.refused.Load(), d.rotations.Load(), d.reopens.Load(), len(files))
	if len(problems) > 0 {
		if st, err := s.log.Status(ctx); err == nil {
			problems = append(problems, fmt.Sprintf("syslogd's account: %+v", st.Total))
		}
		if dropped, err := s.lb.Info("DroppedLogs"); err == nil {
			problems = append(problems, fmt.Sprintf("lb dropped %d log lines", dropped))
		}
		return fmt.Errorf("the ledger does not balance:\n%s", strings.Join(problems, "\n"))
	}
	fmt.Fprintln(w, "The ledger balances: every request was answered, and has exactly one line.")
	return nil
}

// audit reads the log files until they hold as many lines as there were requests, or for ten seconds.
func (s *site) audit(ctx context.Context, run string, requests int) (ledger.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	l := ledger.New(run, requests)
	var failed error
	err := rig.Until(ctx, "the log lines of "+run, func() bool {
		if _, failed = s.log.Verb(ctx, "flush"); failed == nil {
			failed = l.ReadAll(s.log.Log)
		}
		return failed != nil || l.Report().Lines >= requests
	})
	if failed != nil && err == nil {
		return ledger.Report{}, failed
	}
	return l.Report(), nil // whether it balances is the caller's question
}

func add(a, b load.Result) load.Result {
	for i := range a.Counts {
		a.Counts[i] += b.Counts[i]
	}
	a.Conns += b.Conns
	a.P99 = max(a.P99, b.P99)
	return a
}
