package stream

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/lb/loop"
	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// wideLent is how many wide buffers are out.
func (r *rig) wideLent() (n int) {
	r.Still(func() {
		for _, sh := range r.Shards {
			n += sh.Loop.Wide.Lent()
		}
	})
	return n
}

// narrowSecure is narrow with TLS.
func narrowSecure(t *testing.T, addr string) *client {
	t.Helper()
	c, _ := narrow(t, addr)
	tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, TCPConn: c, tls: tc, r: bufio.NewReader(tc)}
}

// TestLongBodiesOverTLS: bodies of all lengths around what leaves in one call arrive whole, with a length, in chunks, and until the end, for clients
// that read at once and that begin late; afterwards nothing is held.
func TestLongBodiesOverTLS(t *testing.T) {
	bodies := map[string][]byte{}
	for _, size := range []int{10, loop.BufferSize - 300, 64 << 10, 128 << 10, 1 << 20, 2<<20 + 1} {
		for _, framing := range []string{"length", "chunked"} {
			bodies[fmt.Sprintf("/%s/%d", framing, size)] = numbered(size)
		}
	}
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body := bodies[r.URL.Path]
		if strings.HasPrefix(r.URL.Path, "/length") {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.Write(body)
	})
	for _, minor := range []int{0, 1} {
		r := newRig(t, true, []string{srv}, func(r *rig) { secure(t)(r); cramped(r) })
		for path, want := range bodies {
			c := narrowSecure(t, r.addr)
			c.say(fmt.Sprintf("GET %s HTTP/1.%d\r\nHost: a\r\n\r\n", path, minor))
			if len(want) > 1<<20 { // more than sockets hold: begin when nothing moves any more
				before := uint64(0)
				wait.Until(t, "the client's socket to be full", func() bool {
					last := before
					r.Still(func() { before = r.Shards[0].Front[0].BytesOut })
					return before > 0 && before == last
				})
			}
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
				t.Errorf("HTTP/1.%d, %s: %d bytes, %v", minor, path, len(got), err)
			}
		}
		wait.Until(t, "all to be given back", func() bool { return r.wideLent() == 0 })
		wait.Until(t, "a wide piece to be read", func() (read bool) { // what it lies in is given up every now and then
			c := narrowSecure(t, r.addr)
			c.say("GET /length/1048576 HTTP/1.0\r\n\r\n")
			io.Copy(io.Discard, c.r)
			r.Still(func() { read = r.Shards[0].wideIn != nil })
			return read
		})
	}
}

// TestLongBodyOverTLSIsCut: what a server said before it left within a body reaches the client, and the log says what happened. More slow clients
// than wide buffers are served all the same.
func TestLongBodyOverTLSIsCut(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		text := numbered(300 << 10)
		srv := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text)+1)
			c.Write(text)
			c.Close()
		})
		lines := newJournal(t)
		r := newRig(t, true, []string{srv}, func(r *rig) { secure(t)(r); lines.keep(r) })
		cl := secureClient(t, r.addr, &tls.Config{})
		cl.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		got, err := io.ReadAll(cl.r)
		if _, body, _ := bytes.Cut(got, []byte("\r\n\r\n")); !bytes.Equal(body, text) {
			t.Errorf("%d bytes of the body came: %v", len(body), err)
		}
		if end := lines.read(1)[cl.port()]; end != "SD" {
			t.Errorf("the line says %s", end)
		}
	})
	t.Run("clients", func(t *testing.T) {
		const size, clients, taken = 1 << 20, 12, loop.MostWide - 2
		text := numbered(size)
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Write(text)
		})
		lines := newJournal(t)
		r := newRig(t, true, []string{srv}, func(r *rig) { secure(t)(r); lines.keep(r); cramped(r) })
		var held []*loop.Buffer
		r.Still(func() {
			for range taken {
				held = append(held, r.Shards[0].Loop.Wide.Get())
			}
		})
		var conns []*client
		for range clients {
			cl := narrowSecure(t, r.addr)
			cl.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			conns = append(conns, cl)
		}
		leaveAllBut(t, conns, 3, text)
		wait.Until(t, "all to be given back", func() bool { return r.wideLent() == taken })
		r.Still(func() {
			for _, b := range held {
				r.Shards[0].Loop.Wide.Put(b)
			}
		})
		leftAllBut(t, conns, 3, lines.read(clients))
	})
}
