// Command bench measures what a request costs: CPU time per request of lb, Debian's HAProxy, nginx and, if they are named, another HAProxy and an earlier build of lb, in
// one run.
//
//  0. Where the machine's TCP congestion control paces, the run gets a network namespace with Debian's default (congestion.go).
//  1. The subjects are started with the same configuration, pinned to one core, one thread each (subject.go).
//  2. On another core are the server, nginx (server.go), and the clients: wrk, h2load and ab (client.go), for handshakes this program itself (handshakes.go).
//     With -load loop, one thread of this program plays clients, server and receiver of the log with bare system calls (loop.go): the load is cheap then, and
//     the subject, not the load, is the narrow place.
//  3. Rounds of a quarter of a second go through all subjects in turn, forwards and backwards; between them the load is stopped, and its
//     connections stay (rounds.go). A round's cost is the growth of the CPU time of all the subject's processes, in nanoseconds (clock.go), over the requests that
//     were served.
//  4. A subject's figure is the median of its rounds; a ratio is the median of the quotients of neighbouring rounds, with its quartiles (paired.go).
//  5. Rows that are no request's cost: latency at a constant rate, without and with reloads (latency.go), how long a reload takes and makes requests wait by the size of the
//     configuration (reloading.go), the memory of idle connections, and what Nagle's algorithm adds to a new connection (idle.go).
//  6. One table, as text or markdown, and everything as JSON (table.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bench is one run.
type bench struct {
	candidates  []candidate // in the order of a round
	dir         string
	server      *server
	subjectCore int
	loadCore    int
	cheap       bool // -load loop
	count       int  // rounds
	lasting     time.Duration
	files       int // how many a process may have open
	verbose     bool
}

// options are the flags that are more than a field of bench.
type options struct {
	lb, before, haproxy, haproxy34, nginx, syslogd string
	load, cases, json, doc                         string
	quick, markdown, paced                         bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var b bench
	var o options
	flag.StringVar(&o.lb, "lb", "bin/lb", "the balancer to measure")
	flag.StringVar(&o.before, "lb-before", "", "an earlier build of lb, to be measured in the same run")
	flag.StringVar(&o.haproxy, "haproxy", "haproxy", "the HAProxy to measure it against")
	flag.StringVar(&o.haproxy34, "haproxy34", "", "another HAProxy, a newer one")
	flag.StringVar(&o.nginx, "nginx", "nginx", "the nginx to measure it against; empty: none")
	flag.StringVar(&o.syslogd, "syslogd", "bin/syslogd", "lb's log daemon, for the pipelines")
	flag.StringVar(&o.load, "load", "real", "real: wrk, h2load and ab before, nginx behind; loop: this program")
	flag.StringVar(&o.cases, "cases", "", "which rows, in order, separated by commas; empty: all")
	flag.StringVar(&o.json, "json", "", "a file for everything that was measured")
	flag.StringVar(&o.doc, "doc", "", "a document whose table is to be replaced, such as docs/performance.md")
	flag.BoolVar(&o.markdown, "markdown", false, "print the table as markdown")
	flag.BoolVar(&o.quick, "quick", false, "three minutes: fewer and shorter rounds, the rows with a goal, without nginx")
	flag.BoolVar(&o.paced, "paced", false, "keep the machine's TCP congestion control, also one that paces, such as bbr")
	flag.IntVar(&b.count, "rounds", 25, "rounds of each subject and row")
	flag.DurationVar(&b.lasting, "round", 250*time.Millisecond, "how long a round is; four times as long where a request takes milliseconds")
	flag.IntVar(&b.subjectCore, "subject-core", 0, "the core for the subjects")
	flag.IntVar(&b.loadCore, "load-core", 1, "the core for the load")
	flag.BoolVar(&b.verbose, "v", false, "print each round to stderr")
	flag.Parse()
	b.cheap = o.load == "loop"
	if !o.paced {
		ran, err := congestion(ctx)
		if ran || err != nil {
			leave(err)
			return
		}
	}
	if o.quick {
		quicken(&b, &o)
	}
	leave(run(ctx, &b, o))
}

// leave ends the program, with what run or the program in its namespace came to.
func leave(err error) {
	var inside *exec.ExitError
	switch {
	case err == nil:
		return
	case !errors.As(err, &inside): // which has said why
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.Exit(1)
}

// quicken changes what was not asked for otherwise.
func quicken(b *bench, o *options) {
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["rounds"] {
		b.count = 9
	}
	if !given["round"] {
		b.lasting = 150 * time.Millisecond
	}
	if !given["nginx"] {
		o.nginx = ""
	}
}

func run(ctx context.Context, b *bench, o options) (err error) {
	if !slices.Contains([]string{"real", "loop"}, o.load) {
		return fmt.Errorf("-load %s: real or loop", o.load)
	}
	for _, c := range []candidate{
		{label: kindHAProxy, kind: kindHAProxy, program: o.haproxy},
		{label: kindLB, kind: kindLB, program: o.lb, logger: o.syslogd},
		{label: "before", kind: kindLB, program: o.before, logger: o.syslogd},
		{label: kindNginx, kind: kindNginx, program: o.nginx},
		{label: "haproxy34", kind: kindHAProxy, program: o.haproxy34},
	} {
		if c.program == "" {
			continue
		}
		if _, err := exec.LookPath(c.program); err != nil {
			return err
		}
		b.candidates = append(b.candidates, c)
	}
	if runtime.NumCPU() < 2 {
		return errors.New("it needs two cores: one for the subjects, one for the load")
	}
	if b.files, err = raiseFiles(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.server, err = startServer(ctx, b.dir, b.loadCore); err != nil {
		return err
	}
	defer b.server.stop()
	rows, err := b.measure(ctx, chosen(o))
	if err != nil && len(rows) == 0 {
		return err
	}
	write := writeText
	if o.markdown {
		write = writeMarkdown
	}
	err = errors.Join(err, write(os.Stdout, b.candidates, rows))
	if o.doc != "" {
		err = errors.Join(err, writeDocument(o.doc, b.candidates, rows))
	}
	if o.json != "" {
		err = errors.Join(err, writeJSON(o.json, rows))
	}
	return err
}

// raiseFiles raises the limit of open files as far as it may, and returns it.
func raiseFiles() (int, error) {
	const enough = 100_000
	limit := unix.Rlimit{Cur: enough, Max: enough}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		return enough, nil
	}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	return int(limit.Max), unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// chosen are the names of the rows to measure.
func chosen(o options) (names []string) {
	if o.cases != "" {
		return strings.Split(o.cases, ",")
	}
	for _, r := range rows() {
		if !o.quick || !r.extra {
			names = append(names, r.name)
		}
	}
	return names
}

// measurement is a row that can be asked for.
type measurement struct {
	name    string
	extra   bool // not part of -quick
	measure func(ctx context.Context, b *bench) ([]row, error)
}

// rows are all that there are.
func rows() (all []measurement) {
	for _, c := range cases {
		all = append(all, measurement{c.name, c.extra, func(ctx context.Context, b *bench) ([]row, error) {
			return b.costs(ctx, c)
		}})
	}
	for _, reloads := range []bool{false, true} {
		name := map[bool]string{false: "latency", true: "latency-reloads"}[reloads]
		all = append(all, measurement{name, false, func(ctx context.Context, b *bench) ([]row, error) { return b.latency(ctx, reloads) }})
	}
	for _, n := range reloadSizes {
		all = append(all, measurement{fmt.Sprintf("reload-%d", n), true, func(ctx context.Context, b *bench) ([]row, error) { return b.reloads(ctx, n) }})
	}
	for _, i := range idleCases {
		all = append(all, measurement{i.name, true, func(ctx context.Context, b *bench) ([]row, error) { return b.idle(ctx, i) }})
	}
	all = append(all, measurement{"nagle", false, func(ctx context.Context, b *bench) ([]row, error) { return b.nagle(ctx) }})
	return all
}

// measure measures the rows that are named. A row that fails ends neither the run nor the others.
func (b *bench) measure(ctx context.Context, names []string) (got []row, err error) {
	all := rows()
	for _, name := range names {
		at := slices.IndexFunc(all, func(m measurement) bool { return m.name == name })
		if at < 0 {
			return got, fmt.Errorf("there is no row %q", name)
		}
		begun := time.Now()
		more, failed := all[at].measure(ctx, b)
		if ctx.Err() != nil {
			return got, errors.Join(err, ctx.Err())
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, failed))
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, failed)
			continue
		}
		got = append(got, more...)
		fmt.Fprintf(os.Stderr, "%s: %.0f s\n", name, time.Since(begun).Seconds())
	}
	return got, err
}
