package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// What a cluster of balancers and log hosts needs, computed from figures that are measured here: what a line of lb has for bytes, what it costs the
// syslogd of its balancer and that of the log host, how small it is when it is compressed, and what a change of a stick table costs the node that
// sends it and the one that learns it. docs/cluster.md has what this prints.

// A clusterPlan is what is asked for.
type clusterPlan struct {
	lb, syslogd string
	nodes       int // balancers
	hosts       int // log hosts
	lines       int // a second, of all balancers
	changes     int // of a stick table, a second on each balancer
	rounds      int
	requests    int // how much is measured
}

// documented is the plan of docs/cluster.md.
var documented = clusterPlan{nodes: 100, hosts: 4, lines: 1_000_000, changes: 10_000}

// clusterFigures are what is measured, each as the median of the rounds.
type clusterFigures struct {
	stored, wire, packed                   float64 // bytes of a line: in the file, over RELP, compressed
	receive, forward, take, compress       float64 // microseconds of processor time a line
	changeBytes, changeSent, changeLearned float64 // of a change of an entry, for one peer
	entry                                  float64 // bytes of memory
}

func (p clusterPlan) run(out io.Writer) error {
	var rounds []clusterFigures
	for i := range p.rounds {
		var f clusterFigures
		for _, step := range []struct {
			name string
			do   func(*clusterFigures) error
		}{{"lines of lb", p.measureLines}, {"syslogd and RELP", p.measureHops}, {"peers", p.measurePeers}} {
			if err := step.do(&f); err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s done\n", i+1, p.rounds, step.name)
		}
		rounds = append(rounds, f)
	}
	of := func(pick func(*clusterFigures) *float64) float64 {
		var all []float64
		for i := range rounds {
			all = append(all, *pick(&rounds[i]))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	var f clusterFigures
	for _, pick := range []func(*clusterFigures) *float64{
		func(f *clusterFigures) *float64 { return &f.stored }, func(f *clusterFigures) *float64 { return &f.wire },
		func(f *clusterFigures) *float64 { return &f.packed }, func(f *clusterFigures) *float64 { return &f.receive },
		func(f *clusterFigures) *float64 { return &f.forward }, func(f *clusterFigures) *float64 { return &f.take },
		func(f *clusterFigures) *float64 { return &f.compress }, func(f *clusterFigures) *float64 { return &f.changeBytes },
		func(f *clusterFigures) *float64 { return &f.changeSent }, func(f *clusterFigures) *float64 { return &f.changeLearned },
		func(f *clusterFigures) *float64 { return &f.entry },
	} {
		*pick(&f) = of(pick)
	}
	return p.print(f, out)
}

// print writes the figures and what follows from them, as docs/cluster.md has it.
func (p clusterPlan) print(f clusterFigures, out io.Writer) error {
	f.round()
	var b strings.Builder
	row := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	us := func(v float64) string { return fmt.Sprintf("%.2f us", v) }
	size := func(v float64) string { return fmt.Sprintf("%.0f bytes", v) }
	row("Measured", "")
	row("---", "---")
	row("a line of `option httplog`, in the file of an output with `format: rfc5424`", size(f.stored))
	row("the same over RELP, with its frame", size(f.wire))
	row("the same in a rotated file, with `compress: zstd`", size(f.packed)+"; "+us(f.compress))
	row("its way through the balancer's syslogd: from UDP to the file", us(f.receive))
	row("and on over RELP", us(f.forward))
	row("its way through the log host's: from RELP to the file", us(f.take))
	row("a change of an entry with an address and one rate, to one peer, with what acknowledges it", size(f.changeBytes))
	row("an entry in the memory of a node that has learned it", size(f.entry))
	row("what a change costs the node that sends it to one peer, and the one that learns it", us(f.changeSent)+"; "+us(f.changeLearned))

	each, host := float64(p.lines)/float64(p.nodes), float64(p.lines)/float64(p.hosts)
	core := func(perSecond, us float64) string { return fmt.Sprintf("%.1f %% of one core", perSecond*us/1e4) }
	network := func(perSecond float64) string {
		return fmt.Sprintf("%.1f MB/s, %.0f Mbit/s", perSecond/1e6, perSecond*8/1e6)
	}
	disk := func(perSecond float64) string {
		return fmt.Sprintf("%.1f GB an hour, %.0f GB a day", perSecond*3600/1e9, perSecond*86400/1e9)
	}
	fmt.Fprintf(&b, "\n%d balancers with %d lines a second in all, on %d log hosts:\n\n", p.nodes, p.lines, p.hosts)
	row("", "each balancer", "each log host")
	row("---", "---", "---")
	row("lines a second", fmt.Sprintf("%.0f", each), fmt.Sprintf("%.0f", host))
	row("network", network(each*f.wire), network(host*f.wire))
	row("processor, syslogd", core(each, f.receive+f.forward), core(host, f.take))
	row("processor, compression", core(each, f.compress), core(host, f.compress))
	row("written", disk(each*f.stored), disk(host*f.stored))
	row("kept, compressed", disk(each*f.packed), disk(host*f.packed))
	row("waits in an hour without the log host", fmt.Sprintf("%.0f GB (`hold`)", math.Ceil(each*f.stored*3600/1e9)), "")

	fmt.Fprintf(&b, "\nOne `peers` section, with %d changes a second on each node:\n\n", p.changes)
	row("nodes", "to all peers, and as much from them", "processor: to send, to learn")
	row("---", "---", "---")
	for _, nodes := range []int{2, 5, 10, p.nodes} {
		all := float64(p.changes) * float64(nodes-1)
		row(strconv.Itoa(nodes), network(all*f.changeBytes), core(all, f.changeSent)+", "+core(all, f.changeLearned))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// round leaves of the figures what is printed, so that what is computed from them can be checked.
func (f *clusterFigures) round() {
	for _, bytes := range []*float64{&f.stored, &f.wire, &f.packed, &f.changeBytes, &f.entry} {
		*bytes = math.Round(*bytes)
	}
	for _, us := range []*float64{&f.receive, &f.forward, &f.take, &f.compress, &f.changeSent, &f.changeLearned} {
		*us = math.Round(*us*100) / 100
	}
}

// measureHops measures what a line of that size costs on its way.
func (p clusterPlan) measureHops(f *clusterFigures) error {
	// The header of the file's line has the host, which the flood's has not.
	size := int(f.stored)
	plain := forwarding(p.syslogd, "")
	c := new(counter)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serveRELP(conn)
		}
	}()
	if f.receive, err = plain.sinkCost(nil, p.requests, size); err != nil {
		return err
	}
	with, err := forwarding(p.syslogd, ", forward: \"relp://"+l.Addr().String()+"\"").sinkCost(c, p.requests, size)
	if err != nil {
		return err
	}
	f.forward = with - f.receive
	f.wire = f.stored - 1 + float64(c.frames.Load())/float64(c.lines.Load()) // without the newline
	_, takers := relpSubjects(p.syslogd)
	f.take, err = takers[0].takingCost(p.requests, size)
	return err
}

// A process is one that is measured.
type process struct {
	running
	out bytes.Buffer
}

func (p clusterPlan) start(dir, binary string, args ...string) (*process, error) {
	cmd := exec.Command("taskset", append([]string{"-c", "0", binary}, args...)...)
	r := &process{running: running{cmd: cmd, dir: dir}}
	cmd.Stdout, cmd.Stderr = &r.out, &r.out
	return r, cmd.Start()
}

func (r *process) end() {
	_ = r.cmd.Process.Signal(unix.SIGTERM)
	_ = r.cmd.Wait()
}

// listening waits for a TCP port.
func listening(port int) error {
	return wait(func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// measureLines has lb log requests of many clients to syslogd, and syslogd compress them.
func (p clusterPlan) measureLines(f *clusterFigures) (err error) {
	dir, err := os.MkdirTemp("", "bench-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer server.Close()
	go answer(server)
	port, err := freePort()
	if err != nil {
		return err
	}
	udp, err := freePort()
	if err != nil {
		return err
	}
	files := map[string]string{
		"lb.cfg": fmt.Sprintf("defaults\n  mode http\n  log 127.0.0.1:%d local0\n  option httplog\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"+
			"frontend www\n  bind 127.0.0.1:%d accept-proxy\n  default_backend app\nbackend app\n  server s1 %s\n", udp, port, server.Addr()),
		"syslogd.yaml": fmt.Sprintf("listen: [udp://127.0.0.1:%d]\ncontrol: %s/ctl\noutputs: [{file: %s/out.log, format: rfc5424, rotate: {size: 10GB, compress: zstd}}]\n", udp, dir, dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	log, err := p.start(dir, p.syslogd, "-f", filepath.Join(dir, "syslogd.yaml"))
	if err != nil {
		return err
	}
	defer log.end()
	if err := wait(func() bool { return listens(udp) }); err != nil {
		return fmt.Errorf("syslogd: %w: %s", err, log.out.String())
	}
	lb, err := p.start(dir, p.lb, "-db", "-f", filepath.Join(dir, "lb.cfg"))
	if err != nil {
		return err
	}
	defer lb.end()
	if err := listening(port); err != nil {
		return fmt.Errorf("lb: %w: %s", err, lb.out.String())
	}
	client := func() string {
		return fmt.Sprintf("PROXY TCP4 %d.%d.%d.%d 192.0.2.1 %d 80\r\n", 1+rand.IntN(220), rand.IntN(256), rand.IntN(256), rand.IntN(256), 1024+rand.IntN(60_000))
	}
	if err := ask(port, p.requests, client, func(int) string {
		return fmt.Sprintf("GET /api/v1/items/%d?session=%08x HTTP/1.1\r\nHost: www.example.com\r\n\r\n", rand.IntN(100_000), rand.Uint32())
	}); err != nil {
		return err
	}
	lines, err := log.settle()
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(dir, "out.log"))
	if err != nil {
		return err
	}
	f.stored = float64(info.Size()) / float64(lines)
	return p.measureCompression(f, log, lines)
}

// measureCompression has syslogd rotate and compress the file that it has written.
func (p clusterPlan) measureCompression(f *clusterFigures, log *process, lines int) error {
	dir := log.dir
	before, err := log.children()
	if err != nil {
		return err
	}
	if text, err := exec.Command(p.syslogd, "rotate", "-s", filepath.Join(dir, "ctl")).CombinedOutput(); err != nil {
		return fmt.Errorf("rotate: %w: %s", err, text)
	}
	var packed []string
	if err := wait(func() bool {
		packed, _ = filepath.Glob(filepath.Join(dir, "out-*.zst"))
		plain, _ := filepath.Glob(filepath.Join(dir, "out-*.log"))
		return len(packed) == 1 && len(plain) == 0
	}); err != nil {
		return fmt.Errorf("compression: %w", err)
	}
	info, err := os.Stat(packed[0])
	if err != nil {
		return err
	}
	f.packed = float64(info.Size()) / float64(lines)
	var after time.Duration
	if err := wait(func() bool { after, err = log.children(); return err != nil || after > before }); err != nil {
		return fmt.Errorf("the processor time of the compression: %w", err)
	}
	f.compress = float64((after - before).Microseconds()) / float64(lines)
	return err
}

// children is the processor time of its children that have ended.
func (r *process) children() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const utime = 11 // of what follows the name; cutime and cstime are after stime
	var ticks int64
	for _, field := range fields[utime+2 : utime+4] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// mostBody bounds the bodies of answers.
const mostBody = 3000

// answer is a server whose answers have different sizes.
func answer(l net.Listener) {
	body := bytes.Repeat([]byte{'x'}, mostBody)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var out []byte
			eachEnd(c, func(n int) error {
				out = out[:0]
				for range n {
					size := rand.IntN(mostBody)
					out = fmt.Appendf(out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
					out = append(out, body[:size]...)
				}
				_, err := c.Write(out)
				return err
			})
		}()
	}
}

// eachEnd calls do with how many heads have ended, for each piece that is read, until there is no more.
func eachEnd(c net.Conn, do func(n int) error) {
	buf, have := make([]byte, 64<<10), 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		if ends := bytes.Count(buf[:have], []byte("\r\n\r\n")); ends > 0 {
			if do(ends) != nil {
				return
			}
			last := bytes.LastIndex(buf[:have], []byte("\r\n\r\n")) + 4
			have = copy(buf, buf[last:have])
		}
		if have == len(buf) {
			return
		}
	}
}

// perClient is how many requests a client sends on its connection.
const perClient = 20

// ask sends requests, and reads each answer. With opening, what a connection begins with, each client has one of its own.
func ask(port, requests int, opening func() string, request func(n int) string) error {
	const connections = 32
	ended := make(chan error, connections)
	for i := range connections {
		go func() {
			ended <- func() error {
				var c net.Conn
				var in *bufio.Reader
				defer func() {
					if c != nil {
						c.Close()
					}
				}()
				for n, k := i, 0; n < requests; n, k = n+connections, k+1 {
					if c == nil || opening != nil && k%perClient == 0 {
						if c != nil {
							c.Close()
						}
						var err error
						if c, err = net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port)); err != nil {
							return err
						}
						if in = bufio.NewReader(c); opening != nil {
							io.WriteString(c, opening())
						}
					}
					if _, err := io.WriteString(c, request(n)); err != nil {
						return err
					}
					r, err := http.ReadResponse(in, nil)
					if err != nil {
						return err
					}
					if r.StatusCode != http.StatusOK {
						return fmt.Errorf("the answer is %s", r.Status)
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	var problems []error
	for range connections {
		problems = append(problems, <-ended)
	}
	return errors.Join(problems...)
}

// measurePeers sends requests of new clients to one node, whose table another has too.
func (p clusterPlan) measurePeers(f *clusterFigures) error {
	alone, err := p.nodesCost(false)
	if err != nil {
		return err
	}
	shared, err := p.nodesCost(true)
	f.changeSent, f.changeLearned, f.changeBytes, f.entry = shared.node-alone.node, shared.other, shared.wire, shared.entry
	return err
}

// nodesFigures are of a request of a new client: what it costs its node, and the other one, in microseconds, the bytes between them, and those of
// memory on the other.
type nodesFigures struct{ node, other, wire, entry float64 }

// nodesCost has one node serve new clients, and the other learn of them if they share the table.
func (p clusterPlan) nodesCost(shared bool) (f nodesFigures, err error) {
	dir, err := os.MkdirTemp("", "bench-cluster-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var ports [4]int // of the nodes' peers, and of their frontends
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return f, err
		}
	}
	var between atomic.Int64
	var relays [2]net.Listener
	for i := range relays {
		if relays[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return f, err
		}
		defer relays[i].Close()
		go relay(relays[i], "127.0.0.1:"+strconv.Itoa(ports[i]), &between)
	}
	of := "peers mates"
	if !shared {
		of = ""
	}
	var nodes [2]*process
	for i, name := range []string{"a", "b"} {
		at := [2]string{relays[0].Addr().String(), relays[1].Addr().String()}
		at[i] = "127.0.0.1:" + strconv.Itoa(ports[i])
		path := filepath.Join(dir, name+".cfg")
		text := fmt.Sprintf("global\n  localpeer %s\n  stats socket %s/%s.sock mode 600 level admin\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"+
			"peers mates\n  peer a %s\n  peer b %s\nfrontend f\n  bind 127.0.0.1:%d\n  stick-table type ip size 1m expire 10m store http_req_rate(10s) %s\n"+
			"  http-request track-sc0 req.hdr_ip(x)\n  http-request return status 200\n", name, dir, name, at[0], at[1], ports[2+i], of)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return f, err
		}
		if nodes[i], err = p.start(dir, p.lb, "-db", "-f", path); err != nil {
			return f, err
		}
		defer nodes[i].end()
		if err := listening(ports[2+i]); err != nil {
			return f, fmt.Errorf("lb: %w: %s", err, nodes[i].out.String())
		}
	}
	// What is learned at the start is over when one change has come.
	client := func(n int) string {
		return fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nX: 10.%d.%d.%d\r\n\r\n", n>>16&255, n>>8&255, n&255)
	}
	if err := ask(ports[2], 32, nil, client); err != nil {
		return f, err
	}
	if shared {
		if err := wait(func() bool { return entries(dir+"/b.sock") >= 32 }); err != nil {
			return f, fmt.Errorf("node b has %d entries: %w", entries(dir+"/b.sock"), err)
		}
	}
	var before, after [2]time.Duration
	for i, n := range nodes {
		if before[i], err = n.cpu(); err != nil {
			return f, err
		}
	}
	between.Store(0)
	memory := nodes[1].memory()
	if err := ask(ports[2], p.requests, nil, func(n int) string { return client(n + 1<<20) }); err != nil {
		return f, err
	}
	quiet(&between)
	for i, n := range nodes {
		if after[i], err = n.cpu(); err != nil {
			return f, err
		}
	}
	each := func(v float64) float64 { return v / float64(p.requests) }
	f.node, f.other = each(float64((after[0] - before[0]).Microseconds())), each(float64((after[1] - before[1]).Microseconds()))
	f.wire, f.entry = each(float64(between.Load())), each(float64((nodes[1].memory()-memory)*1024))
	if n := entries(dir + "/b.sock"); shared && n < p.requests {
		err = fmt.Errorf("node b has learned %d of %d entries", n, p.requests)
	}
	return f, err
}

// quiet waits until nothing has passed for a second.
func quiet(passed *atomic.Int64) {
	last, since := int64(-1), time.Now()
	for time.Since(since) < time.Second {
		if now := passed.Load(); now > last+100 { // heartbeats are no change
			last, since = now, time.Now()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// entries is how many entries the table of a node has; -1 if it does not say.
func entries(socket string) int {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return -1
	}
	defer c.Close()
	fmt.Fprintln(c, "show table")
	text, _ := io.ReadAll(c)
	_, after, _ := strings.Cut(string(text), "used:")
	n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "\n", 2)[0]))
	if err != nil {
		return -1
	}
	return n
}

// relay connects each that comes to an address, and counts what passes.
func relay(l net.Listener, to string, passed *atomic.Int64) {
	for {
		a, err := l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", to)
		if err != nil {
			a.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
			go func() {
				defer a.Close()
				defer b.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := pair[0].Read(buf)
					passed.Add(int64(n))
					if err != nil {
						return
					}
					if _, err := pair[1].Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}
}
