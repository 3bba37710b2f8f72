package stream

import (
	"bufio"
	"fmt"
	"net"
	"testing"

	"lbsyslogd/lb/loop"
	"lbsyslogd/test/accept"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestPiecesTogether: what comes in one turn through many tunnels, both ways at once, arrives whole and is counted, also where clients and servers end or reset theirs
// in the same turn.
func TestPiecesTogether(t *testing.T) {
	const tunnels = loop.CallsMost + 8
	servers := make(chan *net.TCPConn, tunnels)
	srv := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
		servers <- c.(*net.TCPConn)
		<-t.Context().Done()
	})
	lines := newJournal(t)
	r := newRig(t, false, []string{srv}, lines.keep)
	var cs []*client
	var ss []*client // their servers' ends
	for range tunnels {
		c := connect(t, r.addr)
		c.say("hello")
		s := &client{t: t, TCPConn: <-servers}
		s.r = bufio.NewReader(s)
		s.hear("hello")
		cs, ss = append(cs, c), append(ss, s)
	}
	all := func() (n int) {
		r.Still(func() {
			for s := r.Shards[0].sessions.head.next; s != &r.Shards[0].sessions.head; s = s.next {
				if s.state == exchanging && s.t.flows {
					n++
				}
			}
		})
		return n
	}
	wait.Until(t, "all tunnels to flow", func() bool { return all() == tunnels })
	for round := range 5 {
		up, down := fmt.Sprintf("up %d", round), fmt.Sprintf("down %d", round)
		r.Still(func() { // no event is handled before all have come
			for i := range cs {
				cs[i].say(up)
				ss[i].say(down)
			}
		})
		for i := range cs {
			ss[i].hear(up)
			cs[i].hear(down)
		}
	}
	var ring bool
	var most int
	r.Still(func() { ring, most = r.Shards[0].Loop.Calls.Cheaper(), cap(r.Shards[0].pieces) })
	switch {
	case !ring:
		tape.Skipf(t, "this kernel does not let us have io_uring")
	case most < loop.CallsMost:
		t.Errorf("at most %d were put off", most)
	}
	want := map[int]string{}
	r.Still(func() {
		for i, c := range cs {
			ss[i].say("last down")
			if i%4 != 1 { // a send tells of a reset as well, and only once
				c.say("last up")
			}
			switch i % 4 {
			case 0:
				want[c.port()] = "--"
				ss[i].CloseWrite()
			case 1:
				want[c.port()] = "SD"
				ss[i].SetLinger(0)
				ss[i].Close()
			case 2:
				want[c.port()] = "--"
				c.CloseWrite()
			case 3:
				want[c.port()] = "CD"
				c.SetLinger(0)
				c.Close()
			}
		}
	})
	for i := range cs {
		if i%4 == 0 || i%4 == 2 {
			ss[i].hear("last up")
			cs[i].hear("last down")
			ss[i].Close()
			cs[i].Close()
		}
	}
	got := lines.read(tunnels)
	for port, term := range want {
		if got[port] != term {
			t.Errorf("a line says %s, want %s", got[port], term)
		}
	}
}
