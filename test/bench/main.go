// Command bench measures what a request costs: CPU time per request of lb, of HAProxy and, with -lb-before, of an earlier build of lb, side by side in
// one run.
//
//  1. The subjects are started with the same configuration, pinned to one core, one thread each (subject.go).
//  2. A loop pinned to another core plays the clients, the backend and the syslog receiver in one thread (loop.go), so that
//     the load is cheap, the same for all, and never waits for a scheduler. For TLS and HTTP/2 it plays the backend, and h2load
//     or openssl the clients (over.go).
//  3. Rounds of a fixed number of requests alternate between the subjects. A round's cost is the growth of
//     utime + stime of all the subject's processes over its requests.
//  4. The medians over the rounds, and their ratio, are the result. What the project promises stands next to it.
//  5. A second table has what is no request's cost: memory of idle connections, and what Nagle's algorithm adds to a new one.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
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
	reuse    string  // http-reuse; "": the default, safe
	client   int     // byLoop and its like
	tls      bool    // clients speak TLS 1.3
	toHTTP2  bool    // the backend is nginx, and speaks HTTP/2
	conns    int     // at once
	requests int     // a round
	promise  float64 // the ratio ours/theirs is to be at most this; 0: nothing is promised
}

var cases = []benchCase{
	{name: "small", what: "200 bytes, keep-alive", size: 200, conns: 64, requests: 200_000, promise: 0.95},
	{name: "log", what: "200 bytes, keep-alive, httplog over UDP", size: 200, log: true, conns: 64, requests: 120_000, promise: 0.95},
	{name: "16k", what: "16 KiB, keep-alive", size: 16 << 10, conns: 64, requests: 60_000, promise: 0.85},
	{name: "conn", what: "200 bytes, one request a connection", size: 200, perConn: true, conns: 64, requests: 50_000},
	{name: "conn-always", what: "200 bytes, one request a connection, http-reuse always", size: 200, perConn: true, reuse: "always", conns: 64, requests: 50_000},
	{name: "1m", what: "1 MiB, keep-alive", size: 1 << 20, conns: 16, requests: 3_000},
	{name: "tls", what: "TLS, 200 bytes, keep-alive", size: 200, client: byHTTP1, tls: true, conns: 64, requests: 100_000, promise: 0.85},
	{name: "tls-16k", what: "TLS, 16 KiB, keep-alive", size: 16 << 10, client: byHTTP1, tls: true, conns: 64, requests: 40_000, promise: 0.85},
	{name: "tls-1m", what: "TLS, 1 MiB, keep-alive", size: 1 << 20, client: byHTTP1, tls: true, conns: 16, requests: 1_500, promise: 0.80},
	{name: "h2", what: "HTTP/2 over TLS, 200 bytes", size: 200, client: byHTTP2, tls: true, conns: 16, requests: 100_000, promise: 0.90},
	{name: "h2-16k", what: "HTTP/2 over TLS, 16 KiB", size: 16 << 10, client: byHTTP2, tls: true, conns: 16, requests: 30_000, promise: 0.90},
	{name: "h2-1m", what: "HTTP/2 over TLS, 1 MiB", size: 1 << 20, client: byHTTP2, tls: true, conns: 16, requests: 1_500, promise: 0.90},
	{name: "to-h2", what: "200 bytes, keep-alive, HTTP/2 to the server", size: 200, toHTTP2: true, conns: 64, requests: 60_000},
	{name: "opening", what: "TLS 1.3 handshake, ECDSA P-256", client: byOpening, tls: true, conns: 1, requests: 4_000, promise: 1.0},
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
	var all []string
	for _, c := range cases {
		all = append(all, c.name)
	}
	for _, c := range idleCases {
		all = append(all, c.name)
	}
	all = append(all, nagleCase)
	only := flag.String("cases", strings.Join(all, ","), "which cases, in order")
	flag.Parse()
	opt.cases = strings.Split(*only, ",")

	if err := run(ctx, opt); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// nagleCase is the name of the row about clients with Nagle's algorithm on.
const nagleCase = "nagle"

func run(ctx context.Context, opt options) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	costs := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	others := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(os.Stderr, "CPU us per request, median of %d rounds; subjects on core %d, load on core %d\n", opt.rounds, opt.cores[0], opt.cores[1])
	head, head2 := "case\tHAProxy us\tlb us\tratio\tpromised\tHAProxy req/s\tlb req/s", "case\tHAProxy\tlb\tpromised"
	if opt.before != "" {
		head += "\tbefore us\tlb / before"
		head2 += "\tbefore"
	}
	fmt.Fprintln(costs, head)
	fmt.Fprintln(others, head2)
	rows := 0 // of others
	for _, name := range opt.cases {
		if at := slices.IndexFunc(cases, func(c benchCase) bool { return c.name == name }); at >= 0 {
			if err := costRow(ctx, opt, cases[at], dir, costs); err != nil {
				return err
			}
			continue
		}
		rows++
		if err := otherRow(ctx, opt, name, dir, others); err != nil {
			return err
		}
	}
	if rows < len(opt.cases) {
		if err := costs.Flush(); err != nil {
			return err
		}
	}
	if rows > 0 {
		return others.Flush()
	}
	return nil
}

// costRow measures and prints what a request costs in one case.
func costRow(ctx context.Context, opt options, c benchCase, dir string, table io.Writer) error {
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
	return nil
}

// otherRow measures and prints what is no request's cost: memory, and time.
func otherRow(ctx context.Context, opt options, name, dir string, table io.Writer) error {
	c := benchCase{name: name, what: "ms that Nagle's algorithm adds to a new TLS connection", size: 200, tls: true}
	promise, weigh := "<= 5", nagle
	if name != nagleCase {
		at := slices.IndexFunc(idleCases, func(c idleCase) bool { return c.name == name })
		if at < 0 {
			return fmt.Errorf("there is no case %q", name)
		}
		i := idleCases[at]
		c.what, c.tls, promise, weigh = i.what, i.tls, "-", i.weigh
		if i.promise > 0 {
			promise = fmt.Sprintf("<= %.0f", i.promise)
		}
	}
	l, subjects, stop, err := start(ctx, opt, c, dir)
	if err != nil {
		return fmt.Errorf("%s: %w", c.what, err)
	}
	defer stop()
	var got []float64
	for _, s := range subjects {
		v, err := weigh(l, s, opt.cores[1])
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.what, s.program, err)
		}
		got = append(got, v)
	}
	digits := 0
	if name == nagleCase {
		digits = 2
	}
	fmt.Fprintf(table, "%s\t%.*f\t%.*f\t%s", c.what, digits, got[0], digits, got[1], promise)
	if opt.before != "" {
		fmt.Fprintf(table, "\t%.*f", digits, got[2])
	}
	fmt.Fprintln(table)
	return nil
}

// start starts a case's load and its subjects: HAProxy, lb and, if there is one, the earlier lb. The caller must call stop.
func start(ctx context.Context, opt options, c benchCase, dir string) (l *loop, subjects []*subject, stop func(), err error) {
	var undo []func()
	stop = func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if l, err = newLoop(c); err != nil {
		return nil, nil, nil, err
	}
	undo = append(undo, l.close)
	backend := l.backendAddr()
	if c.toHTTP2 {
		proc, addr, err := startNginx(ctx, c, dir, opt.cores[1])
		if err != nil {
			return nil, nil, nil, err
		}
		undo = append(undo, func() { _ = proc.Stop() })
		backend = addr
	}
	for i, program := range []string{opt.theirs, opt.ours, opt.before} {
		if program == "" {
			continue
		}
		s, err := startSubject(ctx, program, c, l, backend, fmt.Sprintf("%s/%s-%d.cfg", dir, c.name, i), opt.cores[0])
		if err != nil {
			return nil, nil, nil, err
		}
		undo = append(undo, s.stop)
		s.label = [...]string{"haproxy", "lb", "before"}[i]
		subjects = append(subjects, s)
	}
	return l, subjects, stop, nil
}

// cost is a subject's, of one case.
type cost struct {
	cpu  float64 // us per request
	rate float64 // requests per second
}

// compare runs one case: alternating rounds of HAProxy, lb and, if there is one, the earlier lb; their costs are in this order.
func compare(ctx context.Context, opt options, c benchCase, dir string) ([]cost, error) {
	l, subjects, stop, err := start(ctx, opt, c, dir)
	if err != nil {
		return nil, err
	}
	defer stop()

	rounds := make([][]cost, len(subjects))
	for round := range opt.rounds + 1 {
		for turn := range subjects {
			i := (turn + round) % len(subjects) // who goes first alternates as well
			s := subjects[i]
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			one, err := measure(ctx, l, s, c, opt.cores[1])
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
func measure(ctx context.Context, l *loop, s *subject, c benchCase, core int) (cost, error) {
	before, err := s.cpu()
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	served, err := c.offer(ctx, l, s, core)
	if err != nil {
		return cost{}, err
	}
	wall := time.Since(start)
	after, err := s.cpu()
	if err != nil {
		return cost{}, err
	}
	n := float64(served)
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
