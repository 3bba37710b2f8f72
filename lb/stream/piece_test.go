package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"lbsyslogd/lb/loop"
	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// flows reports whether the only session of r is a tunnel whose pieces pass without further steps.
func (r *rig) flows() (yes bool) {
	r.Still(func() {
		s := r.Shards[0].sessions.head.next
		yes = s.state == exchanging && s.t.flows
	})
	return yes
}

// TestPieces: what passes through a tunnel in pieces arrives whole both ways and is counted, whatever their size, also when the other side takes nothing for a while, and
// the tunnel is as before afterwards.
func TestPieces(t *testing.T) {
	sizes := []int{1, 200, loop.BufferSize - 1, loop.BufferSize, loop.BufferSize + 1, 3 * loop.BufferSize, 1 << 20}
	read := make(chan bool) // the server is to read
	srv := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
		for range read {
			go io.Copy(c, c)
		}
	})
	r := newRig(t, false, []string{srv}, func(r *rig) { cramped(r) })
	c := connect(t, r.addr)
	defer close(read)
	wait.Until(t, "the tunnel to stand", r.flows)
	text, total := numbered(1<<20), 0
	for round := range 3 {
		for _, size := range sizes {
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(text[:size])
				sent <- err
			}()
			if total == 0 {
				read <- true // the server has something to read by now, or soon
			}
			got := make([]byte, size)
			if size == 1<<20 && round > 0 { // it stands in every buffer on the way
				wait.Until(t, "nothing to move", func() bool { return !r.flows() })
			}
			if _, err := io.ReadFull(c.r, got); err != nil || !bytes.Equal(got, text[:size]) {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			total += size
			if size < loop.BufferSize {
				wait.Until(t, "the tunnel to flow", r.flows)
			}
		}
	}
	r.Still(func() {
		sh := r.Shards[0]
		rec := &sh.sessions.head.next.t.rec
		for _, n := range []uint64{sh.Front[0].BytesIn, sh.Front[0].BytesOut, sh.Server[0].BytesIn, sh.Server[0].BytesOut, rec.Received, rec.Sent} {
			if n != uint64(total) {
				t.Errorf("%d bytes were counted, want %d", n, total)
			}
		}
	})
}

// TestPiecesThenTheEnd: whoever ends or resets a tunnel in which only pieces have passed ends it as always.
func TestPiecesThenTheEnd(t *testing.T) {
	row := func(name, want string, end func(c *client, server *net.TCPConn)) {
		t.Run(name, func(t *testing.T) {
			servers := make(chan *net.TCPConn, 1)
			srv := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
				servers <- c.(*net.TCPConn)
				io.CopyN(c, c, 5)
				io.Copy(io.Discard, c)
			})
			lines := newJournal(t)
			r := newRig(t, false, []string{srv}, lines.keep)
			c := connect(t, r.addr)
			c.say("hello")
			c.hear("hello")
			wait.Until(t, "the tunnel to flow", r.flows)
			port := c.port()
			end(c, <-servers)
			if got := lines.read(1)[port]; got != want {
				t.Errorf("the line says %s, want %s", got, want)
			}
		})
	}
	row("the client ends", "--", func(c *client, server *net.TCPConn) {
		c.CloseWrite()
		io.Copy(io.Discard, c.r)
	})
	row("the client resets", "CD", func(c *client, server *net.TCPConn) {
		c.SetLinger(0)
		c.Close()
	})
	row("the server ends", "--", func(c *client, server *net.TCPConn) {
		server.Close()
		io.Copy(io.Discard, c.r)
		c.Close()
	})
	row("the server resets", "SD", func(c *client, server *net.TCPConn) {
		server.SetLinger(0)
		server.Close()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		io.Copy(io.Discard, c.r)
	})
}

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
	r.Still(func() {
		if most := cap(r.Shards[0].pieces); most < loop.CallsMost {
			t.Errorf("at most %d were put off", most)
		}
	})
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
