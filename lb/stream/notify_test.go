package stream

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// overheard keeps what a connection's peer has sent, as it came over the wire.
type overheard struct {
	net.Conn
	held []byte // what is to leave in one piece with what is written next
	hold bool
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *overheard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(b[:n])
	return n, err
}

func (h *overheard) Write(b []byte) (int, error) {
	if h.held = append(h.held, b...); h.hold {
		return len(b), nil
	}
	_, err := h.Conn.Write(h.held)
	h.held = nil
	return len(b), err
}

// notified reports whether the last record is one of TLS 1.3 that holds an alert and nothing else, which a sound connection ends with: close_notify.
func (h *overheard) notified() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := []byte(nil)
	for b := h.text.Bytes(); len(b) >= 5; {
		n := min(5+int(b[3])<<8+int(b[4]), len(b))
		last, b = b[:n], b[n:]
	}
	return len(last) == 5+2+1+16 && last[0] == 23
}

// TestGoodbyeToClients: a client that ends its idle connection with close_notify, and waits for ours, gets it, with HTTP/2 as well.
func TestGoodbyeToClients(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	for _, proto := range []string{"http/1.1", "h2"} {
		r := newRig(t, true, []string{srv}, func(r *rig) {
			http2TLS.adjust(t, r)
		})
		raw, _ := dial(t, r.addr)
		h := &overheard{Conn: raw}
		c := tls.Client(h, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}})
		if proto == "h2" {
			w := newWireOver(t, c)
			w.request(1, true)
			if got := w.hear(); got != "answer 1" {
				t.Fatal(got)
			}
		} else {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, c)
		if !h.notified() {
			t.Errorf("%s: the connection ends without close_notify", proto)
		}
	}
}

// TestGoodbyeToServers: whatever ends a connection to a server over TLS on which nothing is cut short says so.
func TestGoodbyeToServers(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct {
		name, answer string
		leaves       bool // the server says goodbye with its answer, and waits
		adjust       func(*rig)
		end          func(*rig, *client)
	}{
		{"an answer that closes", strings.Replace(answer, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1), false, nil, nil},
		{"a server that leaves", answer, true, func(r *rig) { r.be.Reuse = ReuseAlways }, nil},
		{"a client that leaves, never", answer, false, func(r *rig) { r.be.Reuse = ReuseNever }, func(_ *rig, c *client) { c.Close() }},
		{"idle, not needed any more", answer, false, func(r *rig) { r.be.Reuse = ReuseAlways }, func(r *rig, _ *client) {
			r.Still(func() {
				p := &r.Shards[0].pools[0]
				p.need = 0
				p.purge()
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan bool, 1)
			accept.On(t, ln, func(raw net.Conn) {
				h := &overheard{Conn: raw}
				c := tls.Server(h, certificate(t))
				b := make([]byte, 1024)
				if _, err := c.Read(b); err != nil {
					return
				}
				h.hold = tt.leaves
				io.WriteString(c, tt.answer)
				if h.hold = false; tt.leaves {
					c.CloseWrite()
				}
				io.Copy(io.Discard, c)
				ended <- h.notified()
			})
			use := toTLS(t, trusting(), "")
			r := newRig(t, true, []string{ln.Addr().String()}, func(r *rig) {
				use(r)
				if tt.adjust != nil {
					tt.adjust(r)
				}
			})
			c := connect(t, r.addr)
			askFor(t, c, "/", "a")
			wait.Until(t, "the exchange to end", func() (idle bool) {
				r.Still(func() { idle = r.Shards[0].pools[0].used == 0 })
				return idle
			})
			if tt.end != nil {
				tt.end(r, c)
			}
			select {
			case notified := <-ended:
				if !notified {
					t.Error("the connection ends without close_notify")
				}
			case <-time.After(20 * time.Second):
				t.Error("the connection does not end")
			}
		})
	}
}
