package stream

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/syslog"
	"lbsyslogd/test/wait"
)

// slowLog is a receiver of lines whose queue is full before it has got that many.
func slowLog(t *testing.T) (log *net.UnixConn, lines int) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
	if err != nil {
		t.Fatal(err)
	}
	queue, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	log, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log, queue + 50
}

// TestKilledWithLinesUnsent: requests whose log lines wait for a receiver that
// is behind have not been logged, should this process be killed now.
func TestKilledWithLinesUnsent(t *testing.T) {
	log, all := slowLog(t)
	lines := newJournal(t)
	r := newRig(t, true, []string{pathServer(t)}, func(r *rig) {
		lines.keep(r)
		r.Targets = [][]syslog.Target{{{Network: "unixgram", Address: log.LocalAddr().String(), Format: "local", Len: 1024, Level: 7, Tag: "lb"}}}
	})
	unlogged := func() (lost int, waiting uint64) {
		t.Helper()
		sh := r.Shards[0]
		sh.Loop.Call(func() {
			got, _, err := ReadFlights(r.Flights)
			if err != nil {
				t.Error(err)
			}
			lost, waiting = len(got), sh.senders[0].Waiting()
		})
		return lost, waiting
	}
	c := connect(t, r.addr)
	for range all {
		c.get("/")
	}
	// The last answer arrives before the turn that sent it has ended.
	wait.Until(t, "the end of the last request", func() bool {
		lost, waiting := unlogged()
		return uint64(lost) == waiting
	})
	lost, waiting := unlogged()
	if waiting == 0 {
		t.Fatal("the receiver's queue took all lines: nothing was tested")
	}
	if lost != int(waiting) {
		t.Errorf("%d lines wait, and %d requests would be logged by the next process", waiting, lost)
	}
	log.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i, buf := 0, make([]byte, 2048); i < all; i++ {
		if _, err := log.Read(buf); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
	}
	wait.Until(t, "all to be logged", func() bool {
		lost, waiting := unlogged()
		return lost == 0 && waiting == 0
	})
}

// TestEndedWithLinesUnsent: what an ending engine could still log is in flight no more, and what it could not is. A master that found the worker, and
// is not its parent, cannot know how it ended, and has the next one log whatever is left.
func TestEndedWithLinesUnsent(t *testing.T) {
	log, all := slowLog(t)
	lines := newJournal(t)
	r := newRig(t, true, []string{pathServer(t)}, func(r *rig) {
		lines.keep(r)
		r.Targets = [][]syslog.Target{{{Network: "unixgram", Address: log.LocalAddr().String(), Format: "local", Len: 1024, Level: 7, Tag: "lb"}}}
	})
	c := connect(t, r.addr)
	for range all {
		c.get("/")
	}
	ended := make(chan struct{})
	go func() {
		r.Stop()
		close(ended)
	}()
	wait.Until(t, "the loop to end", func() bool { return !r.Shards[0].Loop.Post(func() {}) })
	logged, buf := 0, make([]byte, 2048)
	for over := false; ; {
		log.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := log.Read(buf); err == nil {
			logged++
			continue
		}
		if over {
			break
		}
		select {
		case <-ended:
			over = true // and what it has sent is here
		default:
		}
	}
	lost, _, err := ReadFlights(r.Flights)
	if err != nil || len(lost)+logged != all {
		t.Errorf("of %d requests %d have a line, and %d would be logged by the next process: %v", all, logged, len(lost), err)
	}
}

// TestKilledWithQueuedRequestsOnTheirWay: of a request that was taken out of a queue only one of the two processes knows at a time, as the next
// begins anew with it: should either be killed then, it has one line. The same holds once the next process has said that it does not take it.
func TestKilledWithQueuedRequestsOnTheirWay(t *testing.T) {
	const waiting = 5
	arrived := make(chan struct{}, 1+waiting)
	server := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		readHead(br)
		arrived <- struct{}{}
		io.Copy(io.Discard, br)
	})
	one := func(r *rig) {
		r.be.Timeouts.Queue = 20_000
		r.Servers[0].MaxConn = 1
	}
	old, next := newRig(t, true, []string{server}, one), newRig(t, true, []string{server}, one)
	inFlight := func(r *rig) (n int) {
		t.Helper()
		r.Shards[0].Loop.Call(func() {
			lost, _, err := ReadFlights(r.Flights)
			if err != nil {
				t.Error(err)
			}
			n = len(lost)
		})
		return n
	}
	connect(t, old.addr).say("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	refused := map[uint16]bool{}
	for i := range waiting {
		c := connect(t, old.addr)
		c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		refused[uint16(c.port())] = i == 0
	}
	wait.Until(t, "all to wait", func() bool { return old.be.Stats().Queued == waiting })
	if n := inFlight(old); n != 1+waiting {
		t.Errorf("%d are in flight", n)
	}
	next.be.Admit(next.be.Servers[0]) // full
	a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}, refuse: func(p *Parcel) bool { return refused[p.Peer.Port()] }}
	looked, sh := make(chan struct{}), old.Shards[0]
	sh.Loop.Call(func() {
		sh.mover = &mover{sh: sh, carry: func(parcels []*Parcel) ([]bool, error) {
			lost, _, err := ReadFlights(old.Flights)
			if err != nil || len(lost) != 1 {
				t.Errorf("on their way %d would be lost with this process, want the one that is served: %v", len(lost), err)
			}
			close(looked)
			return a.carry(parcels)
		}}
		sh.Loop.AtTurnEnd(sh.mover.turn)
	})
	old.Drain()
	sh.Loop.Call(func() {
		sh.mover.begin()
		<-looked // in the middle of the turn that sends them
	})
	wait.Until(t, "the rest to wait again", func() bool { return next.be.Stats().Queued == waiting-1 && old.be.Stats().Queued == 1 })
	if was, is := inFlight(old), inFlight(next); was != 2 || is != waiting-1 {
		t.Errorf("at last %d would be lost with this process, %d with the next", was, is)
	}
}
