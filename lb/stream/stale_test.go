package stream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
	"lbsyslogd/test/wait"
)

// fickle is a server that ends its idle connections when it is told to, as one
// does whose keep-alive timeout is over.
type fickle struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (f *fickle) run() {
	for {
		c, err := f.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, c)
		f.mu.Unlock()
		go func() {
			in := bufio.NewReader(c)
			for {
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				body, _ := io.ReadAll(req.Body)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"+string(body[:2]))
			}
		}()
	}
}

func (f *fickle) endAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}

// TestGetMeetsLeftovers: a server answers HEAD with a body, as broken ones do,
// and the body comes when the connection is idle and the next GET already waits
// for the loop, which takes it for the GET's answer. It is none, and the GET is
// sent again.
func TestGetMeetsLeftovers(t *testing.T) {
	idle := make(chan *net.TCPConn, 100)
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		for {
			head := readHead(br)
			if head == "" {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
			if strings.HasPrefix(head, "GET") {
				io.WriteString(c, "ok")
			} else {
				idle <- c
			}
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = ReuseAlways })
	c, in := dial(t, r.addr)
	for i := range 20 {
		io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := http.ReadResponse(in, &http.Request{Method: "HEAD"}); err != nil {
			t.Fatal(err)
		}
		server := <-idle
		r.Shards[0].Loop.Call(func() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			io.WriteString(server, "leftovers of the answer to HEAD\r\n\r\n")
		})
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "ok" {
			t.Fatalf("GET %d got %s %q", i, resp.Status, body)
		}
	}
}

// TestPostMeetsAnEndedConnection: the server ends its idle connection when the
// client's POST is already waiting for the loop, so that the POST has its turn
// before the end has. It must not go out over the dead connection: nobody
// could tell whether a second try would do it twice.
func TestPostMeetsAnEndedConnection(t *testing.T) {
	for name, reuse := range map[string]Reuse{"shared": ReuseSafe, "own": ReuseNever} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			f := &fickle{Listener: ln}
			go f.run()
			r := newRig(t, true, []string{ln.Addr().String()}, func(r *rig) { r.be.Reuse = reuse })
			c, in := dial(t, r.addr)
			post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
			for i := range 20 {
				if i == 0 {
					io.WriteString(c, post)
				} else {
					r.Shards[0].Loop.Call(func() {
						io.WriteString(c, post)
						f.endAll()
					})
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				if resp.StatusCode != 200 || !strings.HasSuffix(string(body), "ok") {
					t.Fatalf("POST %d got %s %q", i, resp.Status, body)
				}
			}
		})
	}
}

// resting is the server connection that is kept for everybody or for the only client, once there is one.
func (r *rig) resting(t *testing.T) (c *serverConn) {
	t.Helper()
	sh := r.Shards[0]
	wait.Until(t, "a connection to be kept", func() bool {
		sh.Loop.Call(func() {
			if c = sh.pools[0].head; c == nil && sh.sessions.head.next != &sh.sessions.head {
				c = sh.sessions.head.next.own
			}
		})
		return c != nil
	})
	return c
}

// arrives waits, on the loop, until something has come over a connection.
func arrives(c *wire.Conn) {
	for loop.Quiet(c.FD()) {
		runtime.Gosched()
	}
}

// endings are how a server ends a connection, or spoils it.
var endings = map[string]func(*net.TCPConn){
	"closes": func(c *net.TCPConn) { c.Close() },
	"ends":   func(c *net.TCPConn) { c.CloseWrite() },
	"resets": func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	"answers nobody": func(c *net.TCPConn) {
		io.WriteString(c, "HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n")
	},
	"talks": func(c *net.TCPConn) { io.WriteString(c, "x") },
}

// conns is a server that answers every request with ok, and gives its connections away.
func conns(t *testing.T) (addr string, made chan *net.TCPConn) {
	made = make(chan *net.TCPConn, 10)
	return script(t, func(c *net.TCPConn, br *bufio.Reader) {
		made <- c
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), made
}

// TestEndTogetherWithARequest: a server ends its idle connection, and the loop learns of that and of the next request at the same time, of the request
// first. Nothing is sent in vain.
func TestEndTogetherWithARequest(t *testing.T) {
	for _, reuse := range []Reuse{ReuseSafe, ReuseNever} {
		for name, end := range endings {
			t.Run(fmt.Sprint(name, reuse), func(t *testing.T) {
				srv, made := conns(t)
				r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = reuse })
				endsTogether(t, r, func() {
					end(<-made)
				})
			})
		}
	}
	t.Run("TLS", func(t *testing.T) {
		srv := newTLSServer(t, nil)
		r := newRig(t, true, []string{srv.addr}, toTLS(t, trusting(), ""))
		endsTogether(t, r, func() {
			srv.mu.Lock()
			defer srv.mu.Unlock()
			for c := range srv.alive {
				go c.Close() // which tells the server
			}
		})
	})
}

func endsTogether(t *testing.T, r *rig, end func()) {
	cl := connect(t, r.addr)
	cl.ask(get)
	sh, kept := r.Shards[0], r.resting(t)
	sh.Loop.Call(func() {
		cl.say(get)
		arrives(&sh.sessions.head.next.Conn)
		end()
		arrives(&kept.Conn)
	})
	if _, resp := cl.ask(""); resp.StatusCode != 200 {
		t.Errorf("got %s", resp.Status)
	}
	r.Still(func() {
		if n := sh.Server[0]; n.Connects != 2 || n.Reuses != 0 || n.Retries != 0 {
			t.Errorf("%d connections, %d used again, %d retries", n.Connects, n.Reuses, n.Retries)
		}
	})
}

// ender is an event that has a server end its connection.
type ender struct{ end func() }

func (e ender) Ready(ev loop.Events) {
	if ev&loop.In != 0 {
		e.end()
	}
}

// TestEndAfterTheLook: a server ends its idle connection when the loop has looked already and not come to the next request yet. One that
// can be sent again goes out over it, without a question, and is sent again; before any other the connection is asked.
func TestEndAfterTheLook(t *testing.T) {
	for name, c := range map[string]struct {
		request, rest string
		retries       int
		again         uint64
	}{
		"GET":                 {get, "", 1, 1},
		"PUT":                 {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok", "", 1, 1},
		"PUT in parts":        {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\no", "k", 1, 0},
		"POST":                {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok", "", 1, 0},
		"GET without retries": {get, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			srv, made := conns(t)
			r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Retries = c.retries })
			cl := connect(t, r.addr)
			cl.ask(get)
			sh, kept := r.Shards[0], r.resting(t)
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fds[1])
			defer sh.Loop.Call(func() { sh.Loop.CloseFD(fds[0]) })
			sh.Loop.Call(func() {
				if err := sh.Loop.Add(fds[0], ender{func() { (<-made).Close(); arrives(&kept.Conn) }}); err != nil {
					t.Error(err)
				}
			})
			sh.Loop.Call(func() {
				unix.Write(fds[1], []byte("x")) // of which the loop is told first
				cl.say(c.request)
				arrives(&sh.sessions.head.next.Conn)
			})
			if c.rest != "" { // the first part has been sent to the server
				wait.Until(t, "a second connection", func() bool { return sh.Read().Server[0].Connects == 2 })
			}
			if _, resp := cl.ask(c.rest); resp.StatusCode != 200 {
				t.Errorf("got %s", resp.Status)
			}
			r.Still(func() {
				if n := sh.Server[0]; n.Connects != 2 || n.Reuses != c.again || n.Retries != c.again || n.ErrResp != 0 || n.ErrConn != 0 {
					t.Errorf("%d connections, %d used again, %d retries, %d and %d failures", n.Connects, n.Reuses, n.Retries, n.ErrResp, n.ErrConn)
				}
			})
		})
	}
}
