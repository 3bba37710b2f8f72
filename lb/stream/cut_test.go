package stream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/test/wait"
)

// journal receives the lines of engines.
type journal struct {
	t *testing.T
	c *net.UDPConn
}

func newJournal(t *testing.T) *journal {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &journal{t, c}
}

// keep has an engine log the client's port and the termination state here.
func (j *journal) keep(r *rig) {
	format, err := logformat.Parse("port=%cp %ts;", nil)
	if err != nil {
		j.t.Fatal(err)
	}
	r.fe.Access = accesslog.Policy{Format: format, HTTP: r.fe.HTTP}
	r.fe.Logs = 0
	r.Targets = [][]syslog.Target{{{Network: "udp", Address: j.c.LocalAddr().String(), Format: "local", Len: 1024, Level: 7, Tag: "lb"}}}
}

// read gives n lines: how the exchange of each client's port ended.
func (j *journal) read(n int) map[int]string {
	j.t.Helper()
	j.c.SetReadDeadline(time.Now().Add(20 * time.Second))
	ends := map[int]string{}
	for buf := make([]byte, 2048); n > 0; n-- {
		size, err := j.c.Read(buf)
		if err != nil {
			j.t.Fatalf("%d lines are missing: %v", n, err)
		}
		_, text, _ := strings.Cut(string(buf[:size]), "port=")
		var port int
		var end string
		if _, err := fmt.Sscanf(text, "%d %2s;", &port, &end); err != nil {
			j.t.Fatalf("%q: %v", buf[:size], err)
		}
		if ends[port] != "" {
			j.t.Errorf("port %d has a second line", port)
		}
		ends[port] = end
	}
	return ends
}

func (c *client) port() int { return c.LocalAddr().(*net.TCPAddr).Port }

// TestCutDuringHandover ends an engine in the middle of its handover: of the
// tunnels some are packed, some on their way, and some of these are refused.
// Each has one line, where it ended.
func TestCutDuringHandover(t *testing.T) {
	const all = 80 // some batches' worth
	server, lines := echoServer(t), newJournal(t)
	old := newRig(t, false, []string{server}, lines.keep)
	next := newRig(t, false, []string{server}, lines.keep)
	var tunnels []*client
	refused := map[uint16]bool{}
	for i := range all {
		c := connect(t, old.addr)
		c.say("aaa")
		c.hear("aaa")
		tunnels = append(tunnels, c)
		if i%2 == 0 {
			refused[uint16(c.port())] = true
		}
	}
	a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}, refuse: func(p *Parcel) bool { return refused[p.Peer.Port()] }}
	begun, answer := make(chan struct{}), make(chan struct{})
	old.Handover(func(parcels []*Parcel) ([]bool, error) {
		close(begun)
		<-answer
		return a.carry(parcels)
	})
	<-begun
	m := old.Shards[0].mover
	for _, c := range tunnels { // those that have not left yet are packed now
		c.say("bbb")
	}
	wait.Until(t, "all to be packed", func() (packed bool) {
		old.Shards[0].Loop.Call(func() { packed = len(m.batch) > all/4 })
		return packed
	})
	done := make(chan struct{})
	go func() {
		old.Cut()
		old.Stop()
		close(done)
	}()
	wait.Until(t, "the end to begin", func() (dead bool) {
		old.Shards[0].Loop.Call(func() { dead = m.dead })
		return dead
	})
	close(answer)
	<-done
	moved := a.moved(TunnelParcel)
	if moved == 0 || moved == all {
		t.Fatalf("%d tunnels moved, nothing was tested", moved)
	}
	ends := lines.read(all - moved)
	for port, end := range ends {
		if end[0] != 'K' {
			t.Errorf("port %d was cut off with %s", port, end)
		}
	}
	for _, c := range tunnels {
		if ends[c.port()] == "" {
			c.hear("bbb")
		}
		c.Close()
	}
	for port := range lines.read(moved) {
		if ends[port] != "" {
			t.Errorf("port %d has a line in both", port)
		}
	}
}

// TestCutOfWhatWaits: requests that wait for a server are on their way when the
// receiver dies and the time is up.
func TestCutOfWhatWaits(t *testing.T) {
	const waiting = 5
	arrived := make(chan struct{}, 1+waiting)
	server := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		readHead(br)
		arrived <- struct{}{}
		io.Copy(io.Discard, br)
	})
	lines := newJournal(t)
	old := newRig(t, true, []string{server}, func(r *rig) {
		lines.keep(r)
		r.be.Timeouts.Queue = 10_000
		r.Servers[0].MaxConn = 1
	})
	ask := func() {
		connect(t, old.addr).say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	ask()
	<-arrived
	for range waiting {
		ask()
	}
	wait.Until(t, "all to wait", func() bool { return old.be.Stats().Queued == waiting })
	begun, answer := make(chan int, 1), make(chan struct{})
	old.Handover(func(parcels []*Parcel) ([]bool, error) {
		begun <- len(parcels)
		<-answer
		return nil, errors.New("the receiver was killed")
	})
	if n := <-begun; n != waiting {
		t.Fatalf("%d requests are on their way", n)
	}
	done := make(chan struct{})
	go func() {
		old.Cut()
		old.Stop()
		close(done)
	}()
	wait.Until(t, "the end to begin", func() (dead bool) {
		old.Shards[0].Loop.Call(func() { dead = old.Shards[0].mover.dead })
		return dead
	})
	close(answer)
	<-done
	count := map[string]int{}
	for _, end := range lines.read(1 + waiting) {
		count[end]++
	}
	if count["KH"] != 1 || count["KQ"] != waiting {
		t.Errorf("they were cut off with %v", count)
	}
}
