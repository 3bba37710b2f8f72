package stream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
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
