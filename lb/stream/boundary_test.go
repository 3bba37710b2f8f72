package stream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/rule"
	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// script is a server that answers each connection by hand.
func script(t *testing.T, serve func(c *net.TCPConn, br *bufio.Reader)) string {
	t.Helper()
	return accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		serve(c.(*net.TCPConn), bufio.NewReader(c))
	})
}

// readHead reads one request head and gives its first line, "" at the end.
func readHead(br *bufio.Reader) (first string) {
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return ""
		}
		if first == "" {
			first = strings.TrimSpace(line)
		}
		if line == "\r\n" {
			return first
		}
	}
}

func dial(t *testing.T, addr string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// smuggled is a body that would be a request of its own, were it not a body.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// TestBodyOfRefused: the body of a request that lb answers itself is not the
// next request.
func TestBodyOfRefused(t *testing.T) {
	seen := make(chan string, 10)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.URL.Path })
	deny, err := rule.ParseRule(rule.Request, strings.Fields("deny if { path /no }"), &acl.ACLs{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, true, []string{srv}, func(r *rig) { r.fe.Rules[rule.Request] = rule.Rules{deny} })
	got := talk(t, r.addr, "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n"+smuggled+
		"GET /yes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if n := strings.Count(got, "HTTP/1.1 "); n != 2 || !strings.HasPrefix(got, "HTTP/1.1 403") {
		t.Errorf("%d answers in %q", n, got)
	}
	if path := <-seen; path != "/yes" || len(seen) > 0 {
		t.Errorf("the server was asked for %s", path)
	}
}

// TestEarlyAnswer: a server may answer before it has taken the whole body;
// what is left of it is not the next request.
func TestEarlyAnswer(t *testing.T) {
	for _, closes := range []bool{false, true} {
		seen := make(chan string, 10)
		srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
			for first := readHead(br); first != ""; first = readHead(br) {
				seen <- first
				if strings.HasPrefix(first, "POST") {
					if closes {
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
						return
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
					io.CopyN(io.Discard, br, 35)
					continue
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		})
		r := newRig(t, true, []string{srv}, nil)
		c, br := dial(t, r.addr)
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.ReadAll(resp.Body)
		io.WriteString(c, smuggled+"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		rest, _ := io.ReadAll(br)
		if got := <-seen; !strings.HasPrefix(got, "POST / ") {
			t.Errorf("the server was asked %q first", got)
		}
		if strings.Count(string(rest), "HTTP/1.1 ") != 1 || !strings.HasSuffix(string(rest), "ok") {
			t.Errorf("server closes: %v: after an early answer came %q", closes, rest)
		} else if got := <-seen; got != "GET /next HTTP/1.1" {
			t.Errorf("server closes: %v: the server was asked %q", closes, got)
		}
	}
}

// TestEarlyAnswerToUnreadBody: the same with a body that nobody reads, so that
// some of it waits in lb when the answer is complete.
func TestEarlyAnswerToUnreadBody(t *testing.T) {
	seen := make(chan string, 1000)
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		seen <- readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-t.Context().Done() // and never reads on
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.fe.Timeouts.Client, r.be.Timeouts.Server = 500, 500
		r.fe.Timeouts.Request = 20_000 // the head comes when the test has the processor
	})
	body := strings.Repeat(smuggled, 16<<20/len(smuggled))
	c, br := dial(t, r.addr)
	go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n"+body)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(resp.Body)
	if rest, _ := io.ReadAll(br); len(rest) > 0 {
		t.Errorf("after the early answer came %.200q", rest)
	}
	if first := <-seen; !strings.HasPrefix(first, "POST") || len(seen) > 0 {
		t.Errorf("the server was asked %q and %d more", first, len(seen))
	}
}

// TestAnswerAfterInterim: a 100 Continue does not take lb's answer away from a
// server that fails after it.
func TestAnswerAfterInterim(t *testing.T) {
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		io.CopyN(io.Discard, br, 2)
	})
	r := newRig(t, true, []string{srv}, nil)
	c, br := dial(t, r.addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n")
	if first, err := br.ReadString('\n'); err != nil || !strings.HasPrefix(first, "HTTP/1.1 100") {
		t.Fatal(first, err)
	}
	br.ReadString('\n')
	io.WriteString(c, "hi")
	if rest, err := io.ReadAll(br); err != nil || !strings.HasPrefix(string(rest), "HTTP/1.1 502 ") {
		t.Errorf("got %q, %v", rest, err)
	}
}

// TestUnaskedUpgrade: a server that switches protocols although nobody asked
// would open a tunnel past all rules.
func TestUnaskedUpgrade(t *testing.T) {
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		io.Copy(c, br)
	})
	r := newRig(t, true, []string{srv}, nil)
	got := talk(t, r.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("got %q", got)
	}
}

// TestUpgradeAfterChunks: what a client sends after its chunked body belongs
// to the tunnel, should there be one.
func TestUpgradeAfterChunks(t *testing.T) {
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		readHead(br)
		io.CopyN(io.Discard, br, int64(len("2\r\nhi\r\n0\r\n\r\n")))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		io.Copy(c, br)
	})
	r := newRig(t, true, []string{srv}, nil)
	c, br := dial(t, r.addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n")
	wait.Until(t, "the request", func() bool { return r.be.Stats().Cur == 1 })
	io.WriteString(c, "hi\r\n0\r\n\r\nearly")
	c.CloseWrite()
	rest, err := io.ReadAll(br)
	if err != nil || !strings.HasSuffix(string(rest), "\r\n\r\nearly") {
		t.Errorf("got %q, %v", rest, err)
	}
}

// TestClientGone: a client that resets its connection while the server thinks
// does not hold a place there.
func TestClientGone(t *testing.T) {
	asked := make(chan struct{}, 1)
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		readHead(br)
		asked <- struct{}{}
		br.ReadByte() // never answers
	})
	r := newRig(t, true, []string{srv}, nil)
	c, _ := dial(t, r.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	c.SetLinger(0)
	c.Close()
	wait.Until(t, "the exchange's end", func() bool { return r.Conns() == 0 && r.be.Stats().Cur == 0 })
}

// TestCloseWithoutReset: an answer that closes reaches a client that has sent
// more by then.
func TestCloseWithoutReset(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 100_000)) })
	for _, mode := range []ConnMode{Close, KeepAlive} {
		r := newRig(t, true, []string{srv}, func(r *rig) { r.fe.ConnMode = mode })
		request := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		if mode == KeepAlive {
			request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		}
		for range 20 {
			got := talk(t, r.addr, request+strings.Repeat(request, 2000))
			if n := strings.Count(got, "HTTP/1.1 200"); n != 1 || len(got) < 100_000 {
				t.Fatalf("%d answers, %d bytes", n, len(got))
			}
		}
	}
}

// TestQueuedHead: what others send while a request waits in the queue does not
// change it.
func TestQueuedHead(t *testing.T) {
	asked := make(chan string, 4)
	proceed := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path + " " + r.Header.Get("Authorization")
		select {
		case <-proceed:
		case <-t.Context().Done():
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) { r.Servers[0].MaxConn = 1 })
	first, _ := dial(t, r.addr)
	io.WriteString(first, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := <-asked; got != "/first " {
		t.Fatalf("the server was asked for %q", got)
	}
	queued, br := dial(t, r.addr)
	io.WriteString(queued, "GET /queued HTTP/1.1\r\nHost: a\r\nAuthorization: mine\r\n\r\n")
	wait.Until(t, "the queue", func() bool { return r.be.Stats().Queued == 1 })
	other, _ := dial(t, r.addr)
	io.WriteString(other, "GET /other HTTP/1.1\r\nHost: a\r\nAuthorization: theirs\r\n")
	wait.Until(t, "half a head", func() bool { return r.Shards[0].Read().Front[0].BytesIn >= 32+54+53 })
	close(proceed)
	if got := <-asked; got != "/queued mine" {
		t.Errorf("the server was asked for %q", got)
	}
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		t.Error(resp, err)
	}
}
