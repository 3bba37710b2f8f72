package stream

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// narrowServer is accept.Each with sockets that take little.
func narrowServer(t *testing.T, f func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10) }); err != nil {
		t.Fatal(err)
	}
	accept.On(t, l, f)
	return l.Addr().String()
}

// upload begins to send a request with a body of text, of which length is announced. What it gives has the outcome when all is written.
func (c *client) upload(text []byte, length int) (written chan error) {
	written = make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(c, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", length)
		if err == nil {
			_, err = c.Write(text)
		}
		written <- err
	}()
	return written
}

// TestLongUploads: bodies of all lengths around what is spliced reach the server whole, and a request that comes with their end is the next one, with the
// bytes counted; on a system without splice, and with nosplice, too.
func TestLongUploads(t *testing.T) {
	sizes := []int{10, leastSplice - 1, leastSplice, leastSplice + 40<<10, 1 << 20, 2<<20 + 1}
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%s %d %x %v", r.URL.Path, n, sum.Sum(nil), err)
	})
	for _, way := range []string{"splice", "unable", "nosplice"} {
		t.Run(way, func(t *testing.T) {
			r := newRig(t, true, []string{srv}, func(r *rig) { r.Limits.NoSplice = way == "nosplice" })
			if way == "unable" {
				r.unable(t)
			}
			c := connect(t, r.addr)
			var all uint64
			for range 2 {
				for _, size := range sizes {
					body := numbered(size)
					c.say(fmt.Sprintf("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%sGET /next HTTP/1.1\r\nHost: a\r\n\r\n", size, body))
					c.answer(fmt.Sprintf("/up %d %x <nil>", size, sha256.Sum256(body)))
					c.answer(fmt.Sprintf("/next 0 %x <nil>", sha256.Sum256(nil)))
					all += uint64(size)
				}
			}
			wait.Until(t, "all to be given back", func() bool { return r.lent() == 0 })
			r.Still(func() {
				sh := r.Shards[0]
				in, out := sh.Front[0].H1.SplicedIn, sh.Back[0].H1.SplicedOut
				if in != out || (way == "splice") != (in > 0) || in > all { // what comes in small pieces passes through buffers
					t.Errorf("%d bytes spliced in and %d out, of %d", in, out, all)
				}
				for _, n := range []uint64{sh.Front[0].BytesIn, sh.Back[0].BytesIn, sh.Server[0].BytesIn, sh.Front[0].H1.In, sh.Back[0].H1.Out} {
					if n < all || n > all+24*200 {
						t.Errorf("%d bytes counted, %d of bodies", n, all)
					}
				}
			})
		})
	}
}

// TestUploadInPieces: what a client sends in small pieces passes through buffers, however long the body is.
func TestUploadInPieces(t *testing.T) {
	const piece, pieces = 2 << 10, 64
	came := make(chan error)
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		for range pieces {
			_, err := io.CopyN(io.Discard, r.Body, piece)
			came <- err
		}
	})
	r := newRig(t, true, []string{srv}, nil)
	c := connect(t, r.addr)
	c.say(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", piece*pieces))
	for range pieces {
		c.say(string(numbered(piece)))
		if err := <-came; err != nil {
			t.Fatal(err)
		}
	}
	c.answer("")
	r.Still(func() {
		if n := r.Shards[0].Front[0].H1.SplicedIn; n != 0 {
			t.Errorf("%d bytes were spliced", n)
		}
	})
}

// TestUploadIsHeldUp: a server that does not read, dies or answers early in the middle of a body, and a client that leaves there: each ends as it does with buffers,
// and no pipe stays out.
func TestUploadIsHeldUp(t *testing.T) {
	const size = 8 << 20
	text := numbered(size)
	const early = "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno"
	type scene struct {
		name   string
		server func(c net.Conn, body *bufio.Reader) // once the pipe is full
		client func(c *client)
		status int    // of the answer; 0: none
		end    string // in the log
	}
	readAll := func(c net.Conn, body *bufio.Reader) {
		got, err := io.ReadAll(io.LimitReader(body, size))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes came: %v", len(got), err)
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
	for _, sc := range []scene{
		{"late", readAll, nil, 200, "--"},
		{"dies", func(c net.Conn, _ *bufio.Reader) { c.(*net.TCPConn).SetLinger(0) }, nil, 502, "SH"},
		{"early", func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, early) }, nil, 413, "--"},
		{"early, then reads", func(c net.Conn, body *bufio.Reader) {
			io.WriteString(c, early)
			io.CopyN(io.Discard, body, size)
			http.ReadRequest(body)
		}, nil, 413, "--"},
		{"client leaves", func(_ net.Conn, body *bufio.Reader) { io.Copy(io.Discard, body) }, func(c *client) {
			c.SetLinger(0)
			c.Close()
		}, 0, "CD"},
		{"silent", func(net.Conn, *bufio.Reader) { <-t.Context().Done() }, nil, 504, "sH"},
	} {
		for _, way := range []string{"splice", "nosplice"} {
			t.Run(sc.name+"/"+way, func(t *testing.T) {
				came, some := make(chan struct{}), make(chan struct{})
				srv := narrowServer(t, func(c net.Conn) {
					body := bufio.NewReader(c)
					http.ReadRequest(body)
					var first bytes.Buffer
					for came <- struct{}{}; ; came <- struct{}{} {
						if _, more := <-some; !more {
							break
						}
						io.CopyN(&first, body, 40<<10)
					}
					sc.server(c, bufio.NewReader(io.MultiReader(&first, body)))
				})
				lines := newJournal(t)
				r := newRig(t, true, []string{srv}, func(r *rig) {
					lines.keep(r)
					r.Limits.NoSplice = way == "nosplice"
				})
				c := connect(t, r.addr)
				port := c.port()
				written := c.upload(text, size)
				<-came
				if way == "splice" {
					r.awaitPiped(t, func() {
						some <- struct{}{}
						<-came
					})
				}
				if sc.client != nil { // while the server does not read: else all may have come
					sc.client(c)
				}
				close(some)
				if sc.name == "silent" {
					r.Still(func() {
						r.be.Timeouts.Server = 300
						list := &r.Shards[0].sessions.head
						for s := list.next; s != list; s = s.next {
							s.rearm()
						}
					})
				}
				if sc.status > 0 {
					resp, err := http.ReadResponse(c.r, nil)
					if err != nil || resp.StatusCode != sc.status {
						t.Fatalf("the answer is %v: %v", resp, err)
					}
					io.Copy(io.Discard, resp.Body)
				}
				if end := lines.read(1)[port]; end != sc.end {
					t.Errorf("the line says %s, want %s", end, sc.end)
				}
				c.Close()
				<-written
				wait.Until(t, "all to be given back", func() bool { return r.lent() == 0 && r.Conns() == 0 })
			})
		}
	}
}

// TestLongSendsInTunnels: what a client sends at length through a tunnel arrives whole, though it is spliced; also when the server does not read for a while, and
// what lies in the pipe meanwhile moves to the next process, or stays because that refuses it.
func TestLongSendsInTunnels(t *testing.T) {
	text := numbered(8 << 20)
	for _, way := range []string{"stays", "moves", "refused", "nosplice"} {
		t.Run(way, func(t *testing.T) {
			var got bytes.Buffer
			some, all := make(chan int), make(chan error)
			srv := narrowServer(t, func(c net.Conn) {
				for n := range some {
					_, err := io.CopyN(&got, c, int64(n))
					all <- err
				}
				_, err := io.Copy(&got, c)
				all <- err
			})
			adjust := func(r *rig) { r.Limits.NoSplice = way == "nosplice" }
			old, next := newRig(t, false, []string{srv}, adjust), newRig(t, false, []string{srv}, adjust)
			a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
			if way == "refused" {
				a.refuse = func(*Parcel) bool { return true }
			}
			c := connect(t, old.addr)
			written := make(chan error, 1)
			go func() {
				_, err := c.Write(text)
				c.CloseWrite()
				written <- err
			}()
			if way != "nosplice" {
				old.awaitPiped(t, func() {
					some <- 40 << 10
					if err := <-all; err != nil {
						t.Fatal(err)
					}
				})
			}
			carried := 0
			if way == "moves" || way == "refused" {
				old.Handover(func(parcels []*Parcel) ([]bool, error) {
					for _, p := range parcels {
						carried += len(p.Tunnel.ToServer)
					}
					return a.carry(parcels)
				})
				if way == "moves" {
					awaitEmpty(t, old.Engine)
				}
			}
			close(some)
			if err := <-all; err != nil || <-written != nil || !bytes.Equal(got.Bytes(), text) {
				t.Errorf("%d bytes came with the sum %x, want %d with %x: %v", got.Len(), sha256.Sum256(got.Bytes()), len(text), sha256.Sum256(text), err)
			}
			c.Close()
			wait.Until(t, "all to be given back", func() bool { return old.lent()+next.lent() == 0 && old.Conns()+next.Conns() == 0 })
			if moves := way == "moves" || way == "refused"; moves && carried == 0 {
				t.Error("nothing of what lay in the pipe was handed over")
			}
			if in := old.Shards[0].Read().Front[0].BytesIn + next.Shards[0].Read().Front[0].BytesIn; in != uint64(len(text)) {
				t.Errorf("%d bytes were counted", in)
			}
		})
	}
}
