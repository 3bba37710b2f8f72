package daemon

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/route"
	"lbsyslogd/test/wait"
)

// numbered are hosts that send numbered messages to a port, each from an address of its own.
type numbered struct {
	t    *testing.T
	to   string
	sent [16]atomic.Int64
}

// send sends n more messages of each host.
func (h *numbered) send(n int) {
	h.t.Helper()
	var sending sync.WaitGroup
	for i := range h.sent {
		sending.Go(func() {
			from := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 61, 0, byte(i + 1)}), 0))
			c, err := (&net.Dialer{LocalAddr: from}).Dial("udp", h.to) // and from another port each time
			if err != nil {
				h.t.Error(err)
				return
			}
			defer c.Close()
			for range n {
				if _, err := fmt.Fprintf(c, "<13>host%d: n=%d", i, h.sent[i].Add(1)); err != nil {
					h.t.Error(err)
				}
			}
		})
	}
	sending.Wait()
}

func (h *numbered) all() (n int64) {
	for i := range h.sent {
		n += h.sent[i].Load()
	}
	return n
}

// check holds that the file has each host's numbers, from the first to the last and in order.
func (h *numbered) check(file string) {
	h.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	var seen [len(h.sent)]int64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, text, _ := strings.Cut(lines.Text(), " host")
		host, number, _ := strings.Cut(text, ": n=")
		i, err1 := strconv.Atoi(host)
		n, err2 := strconv.ParseInt(number, 10, 64)
		if err1 != nil || err2 != nil {
			h.t.Fatalf("a line reads %q", lines.Text())
		}
		if n != seen[i]+1 {
			h.t.Fatalf("of host %d comes %d after %d", i, n, seen[i])
		}
		seen[i] = n
	}
	for i := range seen {
		if seen[i] != h.sent[i].Load() {
			h.t.Errorf("host %d sent %d messages, and %d are there", i, h.sent[i].Load(), seen[i])
		}
	}
}

// TestReadersOverRestartsAndReloads changes the number of readers in both ways while messages come and while nobody listens. Each host's messages
// are all there, in order, and the Keeper has each socket as long as something may come to it.
func TestReadersOverRestartsAndReloads(t *testing.T) {
	dir := t.TempDir()
	const host = "127.83.49.36"
	free, err := net.ListenPacket("udp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	to := free.LocalAddr().String()
	free.Close()
	conf := func(readers int) string {
		return fmt.Sprintf("listen: [{address: \"udp://%s\", readers: %d}]\noutputs: [{match: \"user.*\", file: DIR/a.log, rotate: never}]\n", to, readers)
	}
	keeper := new(cupboard)
	hosts := &numbered{t: t, to: to}
	earlier := int64(0) // how many messages came to the daemons before this one
	arrived := func(socket string) {
		t.Helper()
		// On a busy machine the kernel may deliver a moment later.
		wait.Until(t, "all to arrive", func() bool {
			in := statusOf(t, socket).Inputs[0]
			return in.Received+in.KernelDrops >= uint64(hosts.all()-earlier)
		})
		if ask(t, socket, "flush") == "" {
			t.Fatal("flush failed")
		}
		s := statusOf(t, socket)
		if s.Total.KernelDrops > 0 {
			t.Fatalf("the kernel dropped messages: the test sends too many at once for the buffer that it grants: %+v", s.Inputs)
		}
	}
	most := 0 // that there were: idle ones stay open
	readers := func(socket string, want int) {
		t.Helper()
		in := statusOf(t, socket).Inputs[0]
		if len(in.Readers) != want || in.Hint != "" && !strings.Contains(in.Hint, "receive buffer") {
			t.Errorf("%d readers, %q; want %d", len(in.Readers), in.Hint, want)
		}
		if most = max(most, want); len(keeper.has) != most {
			t.Errorf("the keeper has %d sockets; want %d", len(keeper.has), most)
		}
	}
	for _, start := range []int{1, 3, 2, 4} {
		earlier = hosts.all()
		if len(keeper.has) > 0 {
			hosts.send(10) // while nobody listens
		}
		keeper.live(t, dir, conf(start), func(socket string) {
			readers(socket, start)
			for _, n := range []int{2, 5, 1, 3} {
				var sending sync.WaitGroup
				sending.Go(func() { hosts.send(20) })
				configure(t, dir, conf(n))
				if err := control.Ask(t.Context(), socket, []string{"reload"}, new(strings.Builder)); err != nil {
					t.Error(err)
				}
				sending.Wait()
				arrived(socket)
				readers(socket, n)
			}
			if s := statusOf(t, socket); s.Inputs[0].Received != s.Total.Written {
				t.Errorf("received %d, written %d", s.Inputs[0].Received, s.Total.Written)
			}
		})
	}
	hosts.check(filepath.Join(dir, "a.log"))
	for name := range keeper.has {
		keeper.Remove(name)
	}
}

// TestLimitsOverReloads has one sender that sends too much. The numbers add up, the limit changes with a reload, and it is said once.
func TestLimitsOverReloads(t *testing.T) {
	dir := t.TempDir()
	conf := func(limit, output string) string {
		return "listen: [{address: \"udp://127.0.0.1:0\"" + limit + "}]\noutputs:\n- {match: \"user.*\", file: DIR/a.log, rotate: never" + output + "}\n"
	}
	socket := run(t, dir, conf(", limit: {rate: 1, burst: 20}", ""))
	hosts := &numbered{t: t, to: statusOf(t, socket).Inputs[0].Address}
	all := func() control.Status {
		t.Helper()
		// The daemon's own reports count in Total, too.
		wait.Until(t, "all to arrive", func() bool { return statusOf(t, socket).Inputs[0].Received == uint64(hosts.all()) })
		ask(t, socket, "flush")
		return statusOf(t, socket)
	}
	began := time.Now()
	hosts.send(50)
	s := all()
	in := s.Inputs[0]
	more := uint64(16 * (1 + time.Since(began)/time.Second)) // one a second is let through besides
	if in.Limited+more < 16*30 || in.Limited > 16*30 || in.Routed+in.Limited != in.Received || len(in.LimitedSenders) != 16 || s.Total.Written != in.Routed {
		t.Errorf("%+v", s)
	}
	if text := ask(t, socket, "status"); !strings.Contains(text, " messages of 127.61.0.1 were dropped by its limit") {
		t.Errorf("status says\n%s", text)
	}
	configure(t, dir, conf("", ", limit: {rate: 1, burst: 100}"))
	if ask(t, socket, "reload") == "" {
		t.Fatal("reload failed")
	}
	began = time.Now()
	hosts.send(50)
	s = all()
	out := s.Outputs[0]
	more = uint64(1 + time.Since(began)/time.Second)
	if now := s.Inputs[0]; now.Limited != in.Limited || out.Limited+more < 16*50-100 || out.Limited > 16*50-100 || s.Total.Limited != in.Limited+out.Limited ||
		now.Received != s.Total.Written+s.Total.Limited {
		t.Errorf("%+v", s)
	}
	if text := ask(t, socket, "status"); !strings.Contains(text, fmt.Sprintf("a.log: %d messages were dropped by its limit", out.Limited)) {
		t.Errorf("status says\n%s", text)
	}
	configure(t, dir, conf("", ""))
	if ask(t, socket, "reload") == "" {
		t.Fatal("reload failed")
	}
	hosts.send(5)
	if last := all(); last.Total.Limited != s.Total.Limited {
		t.Errorf("without a limit: %+v", last.Total)
	}
}

// TestWhatLimitsDropIsReportedOnce for each sender, and for each output, in the log that takes syslog.warning and in the journal.
func TestWhatLimitsDropIsReportedOnce(t *testing.T) {
	dir := t.TempDir()
	c, err := config.Parse("conf", []byte(strings.ReplaceAll("host: here\nlisten: [{address: \"udp://:514\", limit: 3}]\n"+
		"outputs: [{match: \"syslog.warning\", file: DIR/marks.log, rotate: never}, {file: DIR/a.log, rotate: never, limit: 7}]\n", "DIR", dir)))
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	d := Daemon{Config: c, Log: slog.New(slog.NewTextHandler(&said, nil)), inputs: []*input{{listen: c.Listen[0].Listen}}}
	d.memory.SetLimit(c.Memory)
	if d.outputs, err = d.openOutputs(c, nil); err != nil {
		t.Fatal(err)
	}
	table, err := d.compile(c, d.outputs)
	if err != nil {
		t.Fatal(err)
	}
	d.table.Store(table)
	setInputLimits(c, d.inputs)
	setOutputLimits(c, d.outputs)
	for i := range 30 {
		for range 4 + i {
			d.inputs[0].counts.Limit.Take(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 0)
		}
	}
	for range 10 {
		d.outputs[1].limit.Take(netip.Addr{}, 0)
	}
	marks := route.NewStage(&d.table, &d.self)
	d.reportLimits(marks)
	d.reportLimits(marks) // nothing new
	if err := closeOutputs(d.outputs); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "marks.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		": 30 messages of 192.0.2.29 to udp://:514 dropped in 10 s, limit 3/s\n", ": messages of 10 more senders to udp://:514 dropped in 10 s, limit 3/s\n",
		": 3 messages for " + dir + "/a.log dropped in 10 s, limit 7/s\n",
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if n := strings.Count(string(text), "\n"); n != reportedSenders+2 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	if n := strings.Count(said.String(), "\n"); n != 2 || !strings.Contains(said.String(), "messages=465 senders=30 worst=192.0.2.29 limit=3") {
		t.Errorf("the journal says\n%s", said.String())
	}
}
