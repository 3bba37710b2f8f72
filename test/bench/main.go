// Command bench measures what a request costs: CPU time per request of lb, of HAProxy and, with -lb-before, of an earlier build of lb, side by side in
// one run.
//
//  1. The subjects are started with the same configuration, pinned to one core, one thread each (subject.go).
//  2. A loop pinned to another core plays the clients, the backend and the syslog receiver in one thread (loop.go), so that
//     the load is cheap, the same for both, and never waits for a scheduler.
//  3. Rounds of a fixed number of requests alternate between the subjects. A round's cost is the growth of
//     utime + stime of all the subject's processes over its requests.
//  4. The medians over the rounds, and their ratio, are the result. What the project promises stands beside it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// benchCase is one row of the result.
type benchCase struct {
	name     string
	what     string
	size     int     // of an answer's body
	log      bool    // httplog to the loop's receiver
	perConn  bool    // a connection for every request
	conns    int     // at once
	requests int     // a round
	promise  float64 // the ratio ours/theirs is to be at most this; 0: nothing is promised
}

var cases = []benchCase{
	{name: "small", what: "200 bytes, keep-alive", size: 200, conns: 64, requests: 200_000, promise: 0.95},
	{name: "log", what: "200 bytes, keep-alive, httplog over UDP", size: 200, log: true, conns: 64, requests: 120_000, promise: 0.95},
	{name: "16k", what: "16 KiB, keep-alive", size: 16 << 10, conns: 64, requests: 60_000, promise: 0.85},
	{name: "conn", what: "200 bytes, one request a connection", size: 200, perConn: true, conns: 64, requests: 50_000},
	{name: "1m", what: "1 MiB, keep-alive", size: 1 << 20, conns: 16, requests: 3_000},
}

type options struct {
	ours, before, theirs string
	rounds               int
	scale                float64
	cases                []string
	cores                [2]int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var opt options
	flag.StringVar(&opt.ours, "lb", "bin/lb", "the balancer to measure")
	flag.StringVar(&opt.before, "lb-before", "", "an earlier build of lb, to be measured in the same run")
	flag.StringVar(&opt.theirs, "haproxy", "haproxy", "the HAProxy to measure it against")
	flag.IntVar(&opt.rounds, "rounds", 5, "rounds of each subject and case")
	flag.Float64Var(&opt.scale, "scale", 1, "multiplies the requests of a round")
	flag.IntVar(&opt.cores[0], "subject-core", 0, "the core for the subjects")
	flag.IntVar(&opt.cores[1], "load-core", 1, "the core for the load")
	only := flag.String("cases", "small,log,16k,conn,1m", "which cases, in order")
	flag.Parse()
	opt.cases = strings.Split(*only, ",")

	if err := run(ctx, opt); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opt options) error {
	rows := make([]benchCase, len(opt.cases))
	for i, name := range opt.cases {
		at := slices.IndexFunc(cases, func(c benchCase) bool { return c.name == name })
		if at < 0 {
			return fmt.Errorf("there is no case %q", name)
		}
		rows[i] = cases[at]
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(os.Stderr, "CPU us per request, median of %d rounds; subjects on core %d, load on core %d\n", opt.rounds, opt.cores[0], opt.cores[1])
	head := "case\tHAProxy us\tlb us\tratio\tpromised\tHAProxy req/s\tlb req/s"
	if opt.before != "" {
		head += "\tbefore us\tlb / before"
	}
	fmt.Fprintln(table, head)
	for _, c := range rows {
		c.requests = max(int(float64(c.requests)*opt.scale), c.conns)
		costs, err := compare(ctx, opt, c, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		theirs, ours := costs[0], costs[1]
		promise := "-"
		if c.promise > 0 {
			promise = fmt.Sprintf("<= %.2f", c.promise)
		}
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.3f\t%s\t%.0f\t%.0f", c.what, theirs.cpu, ours.cpu, ours.cpu/theirs.cpu, promise, theirs.rate, ours.rate)
		if opt.before != "" {
			fmt.Fprintf(table, "\t%.2f\t%.3f", costs[2].cpu, ours.cpu/costs[2].cpu)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// cost is a subject's, of one case.
type cost struct {
	cpu  float64 // us per request
	rate float64 // requests per second
}

// compare runs one case: alternating rounds of HAProxy, lb and, if there is one, the earlier lb; their costs are in this order.
func compare(ctx context.Context, opt options, c benchCase, dir string) ([]cost, error) {
	l, err := newLoop(c)
	if err != nil {
		return nil, err
	}
	defer l.close()
	var subjects []*subject
	for i, program := range []string{opt.theirs, opt.ours, opt.before} {
		if program == "" {
			continue
		}
		s, err := startSubject(ctx, program, c, l, fmt.Sprintf("%s/%s-%d.cfg", dir, c.name, i), opt.cores[0])
		if err != nil {
			return nil, err
		}
		defer s.stop()
		s.label = [...]string{"haproxy", "lb", "before"}[i]
		subjects = append(subjects, s)
	}

	rounds := make([][]cost, len(subjects))
	for round := range opt.rounds + 1 {
		for turn := range subjects {
			i := (turn + round) % len(subjects) // who goes first alternates as well
			s := subjects[i]
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			one, err := measure(l, s, c, opt.cores[1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.program, err)
			}
			fmt.Fprintf(os.Stderr, "  %-42s round %d  %-8s %7.2f us  %7.0f req/s\n", c.what, round, s.label, one.cpu, one.rate)
			if round > 0 { // the first warms up
				rounds[i] = append(rounds[i], one)
			}
		}
	}
	costs := make([]cost, len(rounds))
	for i := range rounds {
		costs[i] = median(rounds[i])
	}
	return costs, nil
}

// measure runs one round.
func measure(l *loop, s *subject, c benchCase, core int) (cost, error) {
	before, err := s.cpu()
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	if err := l.drive(s.addr, core); err != nil {
		return cost{}, err
	}
	wall := time.Since(start)
	after, err := s.cpu()
	if err != nil {
		return cost{}, err
	}
	n := float64(c.requests)
	return cost{cpu: float64((after - before).Microseconds()) / n, rate: n / wall.Seconds()}, nil
}

func median(of []cost) cost {
	pick := func(field func(cost) float64) float64 {
		var v []float64
		for _, c := range of {
			v = append(v, field(c))
		}
		slices.Sort(v)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return cost{
		cpu:  pick(func(c cost) float64 { return c.cpu }),
		rate: pick(func(c cost) float64 { return c.rate }),
	}
}
