package stream

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// numbered is a body in which no two lines are the same.
func numbered(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "line %d of a long body\n", i)
	}
	return b.Bytes()[:size]
}

// lent is how many pipes are out.
func (r *rig) lent() (n int) {
	r.Still(func() {
		for _, sh := range r.Shards {
			n += sh.Loop.Pipes.Lent()
		}
	})
	return n
}

// awaitPiped waits until bytes lie in a pipe that their receiver does not take. more has it take some: what waits may lie in a buffer.
func (r *rig) awaitPiped(t *testing.T, more func()) {
	t.Helper()
	same, last := 0, -1
	wait.Until(t, "bytes in a pipe that nobody takes", func() bool {
		lent := r.lent()
		if same++; lent != last {
			same, last = 0, lent
		}
		if same == 10 && lent == 0 {
			same = 0
			more()
		}
		return same == 10 && lent == 1
	})
}

// unable has the loops believe that the system cannot splice.
func (r *rig) unable(t *testing.T) {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r.Still(func() {
		for _, sh := range r.Shards {
			p := sh.Loop.Pipes.Get()
			p.Fill(fd, 1)
			sh.Loop.Pipes.Put(p)
		}
	})
}

// narrow is dial with a socket that takes little: what a server has for it stays where it is.
func narrow(t *testing.T, addr string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10) })
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// cramped has the clients' sockets hold little, on every kernel.
func cramped(r *rig) {
	unix.SetsockoptInt(r.fe.Listeners[0].FD, unix.SOL_SOCKET, unix.SO_SNDBUF, 32<<10) // which accepted ones inherit
}

// TestLongBodies: bodies of all lengths around what is spliced arrive whole, by clients that read at once and that begin late, on one connection, with
// the bytes counted; on a system without splice, and with nosplice, too.
func TestLongBodies(t *testing.T) {
	bodies := map[string][]byte{}
	for _, size := range []int{10, leastSplice - 1, leastSplice, leastSplice + 40<<10, 1 << 20, 2<<20 + 1} {
		bodies[fmt.Sprint("/", size)] = numbered(size)
	}
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(bodies[r.URL.Path])))
		w.Write(bodies[r.URL.Path])
	})
	for _, way := range []string{"splice", "unable", "nosplice"} {
		t.Run(way, func(t *testing.T) {
			r := newRig(t, true, []string{srv}, func(r *rig) { cramped(r); r.Limits.NoSplice = way == "nosplice" })
			if way == "unable" {
				r.unable(t)
			}
			c, in := narrow(t, r.addr)
			var all uint64
			for range 2 {
				for path, want := range bodies {
					fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
					if len(want) > 1<<20 { // more than sockets hold: begin when nothing moves any more
						wait.Until(t, "the client's socket to be full", func() bool { return r.lent() == 1 || way != "splice" })
					}
					resp, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatalf("%s: %v", path, err)
					}
					got, err := io.ReadAll(resp.Body)
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%s: %d bytes with the sum %x, want %d with %x: %v", path, len(got), sha256.Sum256(got), len(want), sha256.Sum256(want), err)
					}
					all += uint64(len(got))
				}
			}
			wait.Until(t, "all to be given back", func() bool { return r.lent() == 0 })
			r.Still(func() {
				// Of each head and what comes with it a buffer takes as much as it holds.
				in, out := r.Shards[0].Back[0].H1.SplicedIn, r.Shards[0].Front[0].H1.SplicedOut
				if in != out || (way == "splice") != (in > all/2) || way != "splice" && in != 0 || in > all {
					t.Errorf("%d bytes spliced in and %d out, of %d", in, out, all)
				}
				for _, n := range []uint64{r.Shards[0].Front[0].BytesOut, r.Shards[0].Back[0].BytesOut, r.Shards[0].Server[0].BytesOut, r.Shards[0].Front[0].H1.Out, r.Shards[0].Back[0].H1.In} {
					if n < all || n > all+12*400 {
						t.Errorf("%d bytes counted, %d of bodies", n, all)
					}
				}
			})
		})
	}
}

// TestLongBodyIsCut: a server that ends within a body is not taken for one that has ended it, a client that goes away leaves no pipe behind, and more slow
// clients than pipes are served all the same.
func TestLongBodyIsCut(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		text := numbered(300 << 10)
		srv := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text)+1)
			c.Write(text)
			c.Close()
		})
		lines := newJournal(t)
		r := newRig(t, true, []string{srv}, lines.keep)
		cl := connect(t, r.addr)
		cl.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		got, err := io.ReadAll(cl.r)
		if _, body, _ := bytes.Cut(got, []byte("\r\n\r\n")); !bytes.Equal(body, text) {
			t.Errorf("%d bytes of the body came: %v", len(body), err)
		}
		if end := lines.read(1)[cl.port()]; end != "SD" {
			t.Errorf("the line says %s", end)
		}
	})
	t.Run("client", func(t *testing.T) {
		const size, clients = 1 << 20, 40
		text := numbered(size)
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Write(text)
		})
		lines := newJournal(t)
		r := newRig(t, true, []string{srv}, func(r *rig) { lines.keep(r); cramped(r) })
		var conns []*client
		for range clients {
			c, in := narrow(t, r.addr)
			cl := &client{t: t, TCPConn: c, r: in}
			cl.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			conns = append(conns, cl)
		}
		wait.Until(t, "as many pipes as there are to be lent", func() bool { return r.lent() >= 20 })
		leaveAllBut(t, conns, 10, text)
		wait.Until(t, "all pipes to be given back", func() bool { return r.lent() == 0 })
		leftAllBut(t, conns, 10, lines.read(clients))
	})
}

// leaveAllBut has clients, to which answers have begun to come, reset their connections, but for one in so many. Those read text to its end.
func leaveAllBut(t *testing.T, clients []*client, many int, text []byte) {
	t.Helper()
	for i, cl := range clients {
		if _, err := cl.r.Peek(1); err != nil {
			t.Fatal(err)
		}
		if i%many != 1 {
			cl.SetLinger(0)
			cl.Close()
		}
	}
	for i, cl := range clients {
		if i%many != 1 {
			continue
		}
		resp, err := http.ReadResponse(cl.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("client %d: %d bytes, %v", i, len(got), err)
		}
	}
}

// leftAllBut holds what the log says of these clients: of each port, how its connection ended.
func leftAllBut(t *testing.T, clients []*client, many int, ends map[int]string) {
	t.Helper()
	for i, cl := range clients {
		want := "CD"
		if i%many == 1 {
			want = "--"
		}
		if ends[cl.port()] != want {
			t.Errorf("client %d: the line says %s, want %s", i, ends[cl.port()], want)
		}
	}
}

// TestLongAnswersInTunnels: what a server sends at length through a tunnel arrives whole, though it is spliced; also when the client does not read for a while, and
// what lies in the pipe meanwhile moves to the next process, or stays because that refuses it.
func TestLongAnswersInTunnels(t *testing.T) {
	text := numbered(8 << 20)
	srv := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
		c.Write(text)
		c.Close()
	})
	for _, way := range []string{"stays", "moves", "refused", "nosplice"} {
		t.Run(way, func(t *testing.T) {
			adjust := func(r *rig) { cramped(r); r.Limits.NoSplice = way == "nosplice" }
			old, next := newRig(t, false, []string{srv}, adjust), newRig(t, false, []string{srv}, adjust)
			a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
			if way == "refused" {
				a.refuse = func(*Parcel) bool { return true }
			}
			c, in := narrow(t, old.addr)
			var got bytes.Buffer
			if way != "nosplice" {
				old.awaitPiped(t, func() {
					if _, err := io.CopyN(&got, in, 40<<10); err != nil {
						t.Fatal(err)
					}
				})
			}
			carried := 0
			if way == "moves" || way == "refused" {
				old.Handover(func(parcels []*Parcel) ([]bool, error) {
					for _, p := range parcels {
						carried += len(p.Tunnel.ToClient)
					}
					return a.carry(parcels)
				})
				if way == "moves" {
					awaitEmpty(t, old.Engine)
				}
			}
			if _, err := io.Copy(&got, in); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), text) {
				t.Errorf("%d bytes came with the sum %x, want %d with %x", got.Len(), sha256.Sum256(got.Bytes()), len(text), sha256.Sum256(text))
			}
			c.Close()
			awaitLeft := func(r *rig) {
				wait.Until(t, "all to be given back", func() bool { return r.lent() == 0 && r.Conns() == 0 })
			}
			awaitLeft(old)
			awaitLeft(next)
			if moves := way == "moves" || way == "refused"; moves && carried == 0 {
				t.Error("nothing of what lay in the pipe was handed over")
			}
			out := old.Shards[0].Read().Front[0].BytesOut + next.Shards[0].Read().Front[0].BytesOut
			if out != uint64(len(text)) {
				t.Errorf("%d bytes were counted", out)
			}
		})
	}
}
