// Command scale measures what many checked servers cost: thousands of backends of two servers each, behind one frontend that finds them by a map.
//
//  1. The servers are four ports of this program; each answers at once.
//  2. lb and HAProxy run the same configuration, one after the other (subject.go).
//  3. Measured: the start, memory, the processor while idle, connections in TIME_WAIT, the traffic's latency without and with reloads, and how
//     long a reload takes.
//  4. One table shows both side by side.
//
// With -maps: what thousands of changes of a large map cost (maps.go).
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

type options struct {
	lb, haproxy       string
	backends, reloads int
	rate, conns       int
	idle              time.Duration
	inter             string
	only              string
	maps              bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.lb, "lb", "bin/lb", "the balancer to measure")
	flag.StringVar(&o.haproxy, "haproxy", "haproxy", "the HAProxy to measure it against")
	flag.IntVar(&o.backends, "backends", 5000, "backends, of two checked servers each")
	flag.IntVar(&o.reloads, "reloads", 3, "reloads under traffic")
	flag.IntVar(&o.rate, "rate", 400, "requests per second")
	flag.IntVar(&o.conns, "conns", 20, "kept connections that carry them")
	flag.DurationVar(&o.idle, "idle", 10*time.Second, "how long to watch each subject without traffic")
	flag.StringVar(&o.inter, "inter", "2s", "the interval of the checks; 0: no checks")
	flag.StringVar(&o.only, "only", "", "lb or haproxy: measure one alone")
	flag.BoolVar(&o.maps, "maps", false, "measure changes of a large map instead")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "scale")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var ports []string
	for range 4 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer ln.Close()
		go serve(ln)
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		ports = append(ports, port)
	}
	var names []string
	var results []figures
	var mapResults []mapFigures
	for _, s := range []struct {
		name string
		s    *subject
	}{
		{"lb", &subject{program: o.lb, args: []string{"-W"}}},
		{"haproxy", &subject{program: o.haproxy, args: []string{"-W"}}},
	} {
		if o.only != "" && o.only != s.name {
			continue
		}
		s.s.dir = filepath.Join(dir, s.name)
		names = append(names, s.name)
		var err error
		if o.maps {
			var f mapFigures
			f, err = measureMaps(ctx, o, s.s, ports)
			mapResults = append(mapResults, f)
		} else {
			var f figures
			f, err = measure(ctx, o, s.s, ports)
			results = append(results, f)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if o.maps {
		printMaps(o, names, mapResults)
		return nil
	}
	print(o, names, results)
	return nil
}

// figures are what was seen of one subject.
type figures struct {
	start        time.Duration
	rss, rssThen int // KiB of the serving process, at the start and after the reloads
	cpu          float64
	timeWait     int
	calm, during []time.Duration // latencies
	reloads      []time.Duration
	busy         time.Duration // of the processor, for the reloads, beyond what an idle subject uses
	failed       int
}

func measure(ctx context.Context, o options, s *subject, ports []string) (f figures, err error) {
	if err := s.configure(o, ports); err != nil {
		return f, err
	}
	if err := s.start(ctx); err != nil {
		return f, err
	}
	defer s.stop()
	if f.start, err = s.serves(); err != nil {
		return f, err
	}
	time.Sleep(5 * time.Second) // the first checks are over
	before, at := s.cpu(), time.Now()
	select {
	case <-time.After(o.idle):
	case <-ctx.Done():
		return f, ctx.Err()
	}
	f.cpu = 100 * (s.cpu() - before).Seconds() / time.Since(at).Seconds()
	f.rss = s.rss()
	f.timeWait = timeWait(ports)
	if o.reloads > 0 { // without traffic: what they cost the processor
		before, at = s.cpu(), time.Now()
		for range o.reloads {
			if _, err := s.reload(); err != nil {
				return f, err
			}
			time.Sleep(2 * time.Second)
		}
		f.busy = (s.cpu() - before - time.Duration(f.cpu/100*float64(time.Since(at)))) / time.Duration(o.reloads)
	}
	c := newCrowd(s.address, o)
	defer c.stop()
	time.Sleep(5 * time.Second)
	f.calm = c.take()
	for range o.reloads {
		took, err := s.reload()
		if err != nil {
			return f, err
		}
		f.reloads = append(f.reloads, took)
		time.Sleep(1200 * time.Millisecond)
	}
	f.during, f.failed = c.take(), c.failures()
	time.Sleep(3 * time.Second)
	f.rssThen = s.rss()
	return f, nil
}

func print(o options, names []string, results []figures) {
	fmt.Printf("%d backends of two servers, check inter %s; %d requests a second on %d connections\n\n", o.backends, o.inter, o.rate, o.conns)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "\t"+strings.Join(names, "\t"))
	row := func(name string, cell func(f *figures) string) {
		fmt.Fprint(w, name)
		for i := range results {
			fmt.Fprint(w, "\t", cell(&results[i]))
		}
		fmt.Fprintln(w)
	}
	row("start to the first 200, s", func(f *figures) string { return fmt.Sprintf("%.2f", f.start.Seconds()) })
	row("memory, MB", func(f *figures) string { return fmt.Sprint(f.rss / 1024) })
	row("memory after the reloads, MB", func(f *figures) string { return fmt.Sprint(f.rssThen / 1024) })
	row("processor while idle, % of a core", func(f *figures) string { return fmt.Sprintf("%.1f", f.cpu) })
	row("connections in TIME_WAIT", func(f *figures) string { return fmt.Sprint(f.timeWait) })
	row("latency without reloads, p50 / p99 / max, ms", func(f *figures) string { return latencies(f.calm) })
	row("latency with reloads, p50 / p99 / max, ms", func(f *figures) string { return latencies(f.during) })
	row("reloads, s", func(f *figures) string {
		var list []string
		for _, d := range f.reloads {
			list = append(list, fmt.Sprintf("%.2f", d.Seconds()))
		}
		return strings.Join(list, " ")
	})
	row("processor for a reload, s", func(f *figures) string { return fmt.Sprintf("%.2f", f.busy.Seconds()) })
	row("failed requests", func(f *figures) string { return fmt.Sprint(f.failed) })
}

// latencies are the middle, the 99th of a hundred and the longest.
func latencies(list []time.Duration) string {
	slices.Sort(list)
	if len(list) == 0 {
		return "none"
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
	return fmt.Sprintf("%s / %s / %s", ms(list[len(list)/2]), ms(list[len(list)*99/100]), ms(list[len(list)-1]))
}

// serve answers each request of each connection at once.
func serve(ln net.Listener) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) > 2 {
					continue
				}
				if _, err := io.WriteString(c, answer); err != nil {
					return
				}
			}
		}()
	}
}

// crowd sends requests at a rate over kept connections. A connection that was closed is opened again; the request that met its end counts as
// failed only if it is not answered then.
type crowd struct {
	quit chan struct{}
	done sync.WaitGroup

	mu sync.Mutex
	// mu guards the fields below.
	took   []time.Duration
	failed int
}

func newCrowd(address string, o options) *crowd {
	c := &crowd{quit: make(chan struct{})}
	pause := time.Duration(o.conns) * time.Second / time.Duration(o.rate)
	for i := range o.conns {
		c.done.Go(func() {
			select {
			case <-time.After(pause * time.Duration(i) / time.Duration(o.conns)):
			case <-c.quit:
				return
			}
			c.browse(address, pause, i, o.backends)
		})
	}
	return c
}

func (c *crowd) browse(address string, pause time.Duration, i, backends int) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var conn net.Conn
	var r *bufio.Reader
	for n := i; ; n += 37 {
		select {
		case <-c.quit:
			if conn != nil {
				conn.Close()
			}
			return
		case due := <-tick.C:
			var err error
			for range 2 {
				if conn == nil {
					if conn, err = net.Dial("tcp", address); err != nil {
						break
					}
					r = bufio.NewReader(conn)
				}
				if err = ask(conn, r, n%backends); err == nil {
					break
				}
				conn.Close()
				conn = nil
			}
			c.mu.Lock()
			c.took = append(c.took, time.Since(due))
			if err != nil {
				c.failed++
			}
			c.mu.Unlock()
		}
	}
}

func ask(conn net.Conn, r *bufio.Reader, n int) error {
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h%d\r\n\r\n", n); err != nil {
		return err
	}
	status, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 200 ") {
		return fmt.Errorf("it answers %q", status)
	}
	for line := status; len(line) > 2; {
		if line, err = r.ReadString('\n'); err != nil {
			return err
		}
	}
	_, err = r.Discard(2)
	return err
}

func (c *crowd) take() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.took
	c.took = nil
	return list
}

func (c *crowd) failures() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *crowd) stop() {
	close(c.quit)
	c.done.Wait()
}

func get(address string) (int, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := ask(conn, bufio.NewReader(conn), 0); err != nil {
		return 0, err
	}
	return 200, nil
}
