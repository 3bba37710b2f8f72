// Command syslog measures what a message costs a log daemon, how many are lost in a burst, and how many a second it takes with one reader of its
// port and with two: ours, and next to it in the same run
// rsyslog (as installed and tuned) and syslog-ng, as far as they are there.
//
//	go run ./test/bench/syslog -syslogd bin/syslogd
//
// Each is pinned to the first processor and the sender to the second. The rounds go through all daemons in turn, and the median counts.
// What sinks cost is in a table of its own (sinks.go), what RELP and Kafka cost in two more (relp.go, kafka.go).
//
// On a busy machine, `chrt -r 5` before it gives it the processors that the rates of one reader and of two need (root may; the rest of the machine waits).
//
// Each one's settings stand in peers.go, and -show prints them; -sweep tries others. On a busy machine a daemon wakes up less often, and a
// message at a steady rate costs it less: that column wants a quiet one.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/syslog/flood"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == loopArg {
		fmt.Fprintln(os.Stderr, loop(os.Args[2:]))
		os.Exit(1)
	}
	ours := flag.String("syslogd", "bin/syslogd", "the syslogd to measure")
	against := flag.String("against", "", "another syslogd to measure next to it, an older one")
	only := flag.String("only", "", "measure ours and the others whose name contains this")
	sweep := flag.Bool("sweep", false, "try many settings of the others instead of the best known")
	show := flag.Bool("show", false, "print the whole configuration of each")
	rounds := flag.Int("rounds", 3, "how often everything is measured")
	seconds := flag.Int("seconds", 4, "how long the load of 50,000 messages a second lasts; 0: leave it out")
	burst := flag.Int("burst", 1_000_000, "messages in the burst; 0: leave it and the load out")
	backlog := flag.Int("backlog", 90_000, "messages that wait when the rate is measured; 0: leave it out")
	sinks := flag.Int("sinks", 300_000, "messages of the burst that measures sinks; 0: leave them out")
	sink := flag.String("sink", "", "measure the sinks whose name contains one of these words, separated by commas")
	overRELP := flag.Int("relp", 300_000, "messages that measure RELP; 0: leave it out")
	toKafka := flag.Int("kafka", 300_000, "messages that measure Kafka; 0: leave it out")
	plan := clusterPlan{hosts: documented.hosts, changes: documented.changes}
	flag.IntVar(&plan.nodes, "cluster", 0, "print, and nothing else, what so many balancers need, computed from figures that are measured; docs/cluster.md has that of 100")
	flag.IntVar(&plan.lines, "lines", documented.lines, "lines a second of the cluster")
	flag.StringVar(&plan.lb, "lb", "bin/lb", "the lb of the cluster")
	flag.IntVar(&plan.requests, "requests", 200_000, "requests and messages for each figure of the cluster")
	flag.Parse()
	if plan.syslogd, plan.rounds = *ours, *rounds; plan.nodes > 0 {
		if err := plan.run(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench-syslog: cluster:", err)
			os.Exit(1)
		}
		return
	}
	all := subjects(*ours, *against, *sweep)
	all = slices.DeleteFunc(all, func(s subject) bool { return !strings.HasPrefix(s.name, "syslogd") && !strings.Contains(s.name, *only) })
	if *show {
		for _, s := range all {
			fmt.Println(s.text())
		}
	}
	err := run(all, *rounds, *seconds, *burst, os.Stdout)
	if err == nil && *backlog > 0 {
		err = backlogs(*ours, func(name string) bool { return strings.Contains(name, *only) }, *rounds, *backlog, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-syslog:", err)
		os.Exit(1)
	}
	if *sweep {
		return
	}
	if *sinks > 0 {
		err = measureSinks(named(sinkSubjects(*ours), *sink), *rounds, *sinks, os.Stdout)
	}
	if err == nil && *overRELP > 0 {
		err = measureRELP(*ours, *rounds, *overRELP, os.Stdout)
	}
	if err == nil && *toKafka > 0 {
		err = measureKafka(named(kafkaSubjects(*ours), *sink), *rounds, *toKafka, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-syslog: sinks:", err)
		os.Exit(1)
	}
}

// result is one round of one subject.
type result struct {
	steady, flood float64 // microseconds of processor time for a message in the file
	lost          int     // of the burst
	memory        int     // KiB
}

const rate, messageSize = 50_000, 200

func run(all []subject, rounds, seconds, burst int, out io.Writer) error {
	if len(all) == 0 || all[0].name != "syslogd" {
		return errors.New("the syslogd to measure is not there; make build makes it")
	}
	if burst == 0 {
		return nil
	}
	results := make([][]result, len(all))
	for round := range rounds {
		for i, s := range all {
			r, err := s.measure(seconds, burst)
			if err != nil {
				return err
			}
			results[i] = append(results[i], r)
			fmt.Fprintf(os.Stderr, "round %d of %d: %s done\n", round+1, rounds, s.name)
		}
	}
	fmt.Fprintf(out, "%d-byte messages, %d rounds, median\n\n", messageSize, rounds)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "daemon\tus/msg at %d/s\tratio\tus/msg in a burst\tleast\tratio\tlost of %d\tRSS MB\t\n", rate, burst)
	first := median(results[0])
	for i, s := range all {
		m := median(results[i])
		steady := "-\t-"
		if seconds > 0 {
			steady = fmt.Sprintf("%.2f\t%.2f", m.steady, first.steady/m.steady)
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.2f\t%.2f\t%d\t%.1f\t\n", s.name, steady, m.flood, least(results[i]), first.flood/m.flood, m.lost,
			float64(m.memory)/1024)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nratio: ours divided by the one in the line; least: in the round that other programs disturbed least")
	return nil
}

// least is what a message of the burst costs when other programs disturb least.
func least(rs []result) float64 {
	return slices.MinFunc(rs, func(a, b result) int { return cmp.Compare(a.flood, b.flood) }).flood
}

func median(rs []result) result {
	pick := func(value func(result) float64) float64 {
		var v []float64
		for _, r := range rs {
			v = append(v, value(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return result{
		steady: pick(func(r result) float64 { return r.steady }), flood: pick(func(r result) float64 { return r.flood }),
		lost:   int(pick(func(r result) float64 { return float64(r.lost) })),
		memory: int(pick(func(r result) float64 { return float64(r.memory) })),
	}
}

// measure starts a subject twice, for the steady load and for the burst.
func (s subject) measure(seconds, burst int) (r result, err error) {
	lines, memory := 0, 0
	var cpu time.Duration
	if seconds > 0 {
		lines, cpu, memory, err = s.load(flood.Flood{Count: rate * seconds, Rate: rate, Size: messageSize})
		if err != nil {
			return r, err
		}
		r.steady = float64(cpu.Microseconds()) / float64(max(lines, 1))
	}
	lines, cpu, r.memory, err = s.load(flood.Flood{Count: burst, Size: messageSize})
	if err != nil {
		return r, err
	}
	r.memory = max(r.memory, memory)
	r.flood = float64(cpu.Microseconds()) / float64(max(lines, 1))
	r.lost = burst - lines
	return r, nil
}

// load sends to a fresh subject and says how many lines arrived and what they cost, without what starting cost.
func (s subject) load(f flood.Flood) (lines int, cpu time.Duration, memory int, err error) {
	port, err := freePort()
	if err != nil {
		return 0, 0, 0, err
	}
	d, err := s.start(port)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	f.To = fmt.Sprintf("127.0.0.1:%d", port)
	before, err := d.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	if err := sendPinned(f); err != nil {
		return 0, 0, 0, err
	}
	if lines, err = d.settle(); err != nil {
		return 0, 0, 0, err
	}
	after, err := d.cpu()
	return lines, after - before, d.memory(), err
}

// sendPinned sends on the second processor, where there is one.
func sendPinned(f flood.Flood) error {
	return pinned(func() error {
		_, err := f.Send(context.Background())
		return err
	})
}

// pinned does something on the second processor, where there is one.
func pinned(do func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, pinned as it is
		if runtime.NumCPU() > 1 {
			var set unix.CPUSet
			set.Set(1)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				ended <- err
				return
			}
		}
		ended <- do()
	}()
	return <-ended
}

// freePort is a port that neither UDP nor TCP uses, and that no connection is given for its own end.
func freePort() (int, error) {
	const first, last = 20_000, 32_000
	var problem error
	for range 100 {
		port := first + rand.IntN(last-first)
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			var l net.Listener
			if l, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
				l.Close()
			}
			c.Close()
		}
		if problem = err; err == nil {
			return port, nil
		}
	}
	return 0, problem
}

func countLines(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := 0
	buf := make([]byte, 1<<20)
	for {
		k, err := f.Read(buf)
		n += bytes.Count(buf[:k], []byte{'\n'})
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
