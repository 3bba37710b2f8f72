package handover

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestHalfwayExchanges holds that a reload may come at any moment of an exchange: what is half sent, half received or waiting goes on.
func TestHalfwayExchanges(t *testing.T) {
	s := start(t)
	head := s.dial(s.http)
	head.send("GET /r/half/head HTTP/1.1\r\nHo")
	body := s.dial(s.http)
	body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789")
	chunks := s.dial(s.http)
	chunks.send("POST /echo?chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfo")
	long := strings.Repeat("0123456789abcdef", 20<<10) // which is spliced
	upload := s.dial(s.http)
	upload.send("POST /echo?upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(long), long[:200<<10])
	answer := s.dial(s.http)
	answer.send("GET /drip/200 HTTP/1.1\r\nHost: a\r\n\r\nGET /r/half/pipelined HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := answer.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	silent := s.dial(s.http)
	for range 4 {
		s.reload()
	}
	head.send("st: a\r")
	s.reload()
	head.send("\n\r\n")
	head.want("GET", small("/r/half/head"))
	head.get("/r/half/next")
	chunks.send("ur\r\n3\r")
	s.reload()
	body.send("abcdefghij")
	body.want("POST", "0123456789abcdefghij")
	body.get("/r/half/after-body")
	upload.send("%sGET /r/half/after-upload HTTP/1.1\r\nHost: a\r\n\r\n", long[200<<10:])
	upload.want("POST", long)
	upload.want("GET", small("/r/half/after-upload"))
	chunks.send("\nend\r\n0\r\n\r\n")
	chunks.want("POST", "fourend")
	answer.want("GET", pattern(200))
	answer.want("GET", small("/r/half/pipelined"))
	silent.get("/r/half/silent")
	s.alone()
	s.logged("fe", 10)
}

// gauge is a server that takes its time, once it is let, and knows how many requests it had at once.
type gauge struct {
	*httptest.Server
	open              chan struct{} // closed when it may answer
	served, now, most atomic.Int64
}

func newGauge(t *testing.T, delay time.Duration) *gauge {
	g := &gauge{open: make(chan struct{})}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := g.now.Add(1)
		for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
		}
		g.served.Add(1)
		io.Copy(io.Discard, r.Body)
		select {
		case <-g.open:
			<-time.After(delay)
		case <-r.Context().Done(): // the test has failed
		}
		g.now.Add(-1)
		io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

// TestQueuedRequestsMove fills a server's only place and reloads while others wait for it: they wait on at the next worker, which knows
// that the place is taken.
func TestQueuedRequestsMove(t *testing.T) {
	g := newGauge(t, 100*time.Millisecond)
	s := start(t, "BACKEND OPTIONS", g.Listener.Addr().String()+" maxconn 1")
	var waiting []*raw
	for i := range 6 {
		c := s.dial(s.http)
		c.send("POST /r/queue/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbody%d", i, i)
		waiting = append(waiting, c)
		s.until("the request to be sent or to wait", func() bool {
			return g.served.Load() > 0 && s.stat("be", "BACKEND", "qcur") == i
		})
	}
	for range 3 {
		s.reload()
	}
	close(g.open)
	for range 2 {
		s.reload()
	}
	for i, c := range waiting {
		c.want("POST", fmt.Sprintf("/r/queue/%d", i))
	}
	if n := g.most.Load(); n != 1 {
		t.Errorf("a server with maxconn 1 had %d requests at once", n)
	}
	s.alone()
	s.logged("fe", 6)
	s.counted("fe", "FRONTEND", "req_tot", 6)
	s.counted("be", "BACKEND", "stot", 6)
}

// TestQueueTimeoutRunsOn holds that reloads do not lengthen timeout queue, however often they come.
func TestQueueTimeoutRunsOn(t *testing.T) {
	s := start(t, "OPTIONS", "maxconn 1", "timeout queue 20s", "timeout queue 3s")
	busy := s.dial(s.http)
	busy.send("GET /delay/30000 HTTP/1.1\r\nHost: a\r\n\r\n")
	s.until("the server to be busy", func() bool { return s.backend.Counts.Requests.Load() == 1 })
	c := s.dial(s.http)
	c.send("GET /r/queue/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	begun := time.Now()
	s.until("the queue to be full", func() bool { return s.stat("be", "BACKEND", "qcur") == 1 })
	answer := make(chan int, 1)
	go func() {
		a, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Error(err)
			answer <- 0
			return
		}
		answer <- a.StatusCode
	}()
	for n := 0; ; n++ {
		s.reload()
		select {
		case code := <-answer:
			if code != 503 || n < 2 {
				t.Errorf("answered with %d after %d reloads", code, n)
			}
			return
		default:
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("no answer after %d reloads", n)
		}
	}
}

// halfClosed is a TCP server that ends its side first: it reads a line, answers, ends, and then reads to the end; the rest that it reads
// is what it was sent after its end.
func halfClosed(t *testing.T) (addr string, rest <-chan string) {
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	got := make(chan string, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 6)
		if _, err := io.ReadFull(c, b); err != nil {
			got <- err.Error()
			return
		}
		io.WriteString(c, "answer")
		c.(*net.TCPConn).CloseWrite()
		text, err := io.ReadAll(c)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- string(text)
	}()
	return ln.Addr().String(), got
}

// TestHalfClosedTunnels ends one side of a TCP tunnel, either one, and reloads: the other side goes on for as long as it likes.
func TestHalfClosedTunnels(t *testing.T) {
	t.Run("by the server", func(t *testing.T) {
		addr, rest := halfClosed(t)
		s := start(t, "server e1 ECHO", "server e1 "+addr)
		c := s.dial(s.tcp)
		c.send("hello\n")
		c.wantText("answer")
		c.ended()
		var sent strings.Builder
		for i := range 4 {
			s.reload()
			fmt.Fprintf(&sent, "after %d", i)
			c.send("after %d", i)
		}
		c.CloseWrite()
		if got := <-rest; got != sent.String() {
			t.Errorf("the server got %q, was sent %q", got, sent.String())
		}
		s.alone()
		s.logged("echo", 1)
	})
	t.Run("by the client", func(t *testing.T) {
		ln, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		s := start(t, "server e1 ECHO", "server e1 "+ln.Addr().String())
		c := s.dial(s.tcp)
		c.send("question")
		c.CloseWrite()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		server.SetDeadline(time.Now().Add(30 * time.Second))
		if got, err := io.ReadAll(server); err != nil || string(got) != "question" {
			t.Fatalf("%q %v", got, err)
		}
		for i := range 4 {
			s.reload()
			text := fmt.Sprintf("part %d of the answer", i)
			io.WriteString(server, text)
			c.wantText(text)
		}
		server.Close()
		c.ended()
		s.alone()
		if e := s.logged("echo", 1); e[0].received != 8 || e[0].sent != 4*20 || e[0].term != "--" {
			t.Errorf("the line says %+v", e[0])
		}
	})
}

// TestBackpressureMoves reloads while hundreds of kilobytes stand in a tunnel, because its reader does not read, in either direction.
func TestBackpressureMoves(t *testing.T) {
	s := start(t)
	for _, upgrade := range []bool{false, true} {
		addr := s.tcp
		if upgrade {
			addr = s.http
		}
		u, err := openTunnel(addr, upgrade)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Conn.Close()
		u.Conn.SetDeadline(time.Now().Add(60 * time.Second))
		u.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		text := pattern(64 << 10) // again and again
		wrote := make(chan error, 1)
		var written atomic.Int64
		var enough atomic.Bool
		go func() {
			for !enough.Load() {
				if _, err := io.WriteString(u.Conn, text); err != nil {
					wrote <- err
					return
				}
				written.Add(int64(len(text)))
			}
			wrote <- u.Conn.CloseWrite()
		}()
		// Nothing is read until the writer stands still: every buffer on the way, ours too, is full.
		var before int64 = -1
		s.until("the tunnel to be full", func() bool {
			now := written.Load()
			full := now == before && now > 0
			before = now
			return full
		})
		for range 3 {
			s.reload()
		}
		enough.Store(true)
		got, buf := 0, make([]byte, 300_000)
		for round := 0; ; round++ {
			n, err := u.r.Read(buf)
			for part := buf[:n]; len(part) > 0; {
				want := text[got%len(text):]
				want = want[:min(len(want), len(part))]
				if same := common(string(part[:len(want)]), want); same < len(want) {
					t.Fatalf("byte %d is another one", got+same)
				}
				got, part = got+len(want), part[len(want):]
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			if round%1000 == 500 {
				s.reload()
			}
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if int64(got) != written.Load() {
			t.Errorf("%d of %d bytes came back", got, written.Load())
		}
	}
	s.alone()
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// TestServerConnectionsMove holds that idle connections to servers go along: the first request after the old worker has left needs no new one. (One that
// comes while connections move may: the client's can be in one worker and the server's in the other.)
func TestServerConnectionsMove(t *testing.T) {
	s := start(t, "GLOBAL", "    nbthread 1")
	c := s.dial(s.http)
	c.get("/r/server/first")
	for i := range 10 {
		s.reload()
		s.alone()
		c.get(fmt.Sprintf("/r/server/%d", i))
	}
	if n := s.backend.Counts.Connections.Load(); n != 1 {
		t.Errorf("one client's requests took %d connections to the server, over 10 reloads", n)
	}
}
