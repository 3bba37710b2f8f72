package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/stats"
	"lbsyslogd/test/accept"
	"lbsyslogd/test/port"
)

// rig is an engine with one frontend and one backend on loopback.
type rig struct {
	*Engine
	addr string
	fe   *Frontend
	be   *Backend

	threads int // 0 is one

	mu      sync.Mutex
	reports []string
}

// newRig starts an engine in front of the servers; adjust may change it first.
func newRig(t *testing.T, http bool, servers []string, adjust func(*rig)) *rig {
	t.Helper()
	r := &rig{}
	var srvs []*backend.Server
	for i, a := range servers {
		s := &backend.Server{
			Name: fmt.Sprintf("s%d", i+1), ID: i + 1, Index: i, MaxConn: backend.Unlimited,
			MaxQueue: backend.Unlimited, Place: backend.Place{Address: backend.TCPAddr(netip.MustParseAddrPort(a))},
		}
		s.SetInitial(1, 0, true)
		srvs = append(srvs, s)
	}
	to := Timeouts{Connect: 30_000, Client: 60_000, Server: 60_000, Queue: 60_000} // which only a test that sets its own waits for
	r.be = &Backend{
		Proxy:   Proxy{Name: "be", ID: 2, HTTP: http, Timeouts: to},
		Backend: backend.New(backend.Options{Name: "be"}, srvs), Retries: 3, Redispatch: -1, Reuse: ReuseSafe,
	}
	fd, addr := listen(t)
	r.addr = addr
	r.fe = &Frontend{
		Proxy:   Proxy{Name: "fe", ID: 1, HTTP: http, Timeouts: to},
		MaxConn: 1 << 20, Default: r.be, Logs: -1,
	}
	r.fe.Listeners = []*Listener{{Frontend: r.fe, Name: addr, FD: fd}}
	r.Engine = &Engine{
		Frontends: []*Frontend{r.fe}, Backends: []*Backend{r.be}, Servers: srvs, MaxConn: 1 << 20,
		Report: func(text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reports = append(r.reports, text)
		},
	}
	if adjust != nil {
		adjust(r)
	}
	if err := r.Start(max(r.threads, 1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, sh := range r.Shards {
			sh.Loop.Call(func() { checkOpen(t, sh) })
		}
		r.Stop()
	})
	return r
}

// checkOpen holds what a shard counts as open against what is there.
func checkOpen(t *testing.T, sh *Shard) {
	open := make([]stats.OpenHTTP, len(sh.Front))
	owned := make([]int, len(sh.pools))
	for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
		o := &open[s.fe.Index]
		if s.mux != nil {
			o.H2Conns++
		}
		if s.stream != nil {
			o.H2Streams++
		}
		if s.t != nil && s.t.h1 {
			o.H1Streams++
		}
		if s.own != nil {
			owned[s.own.srv.Index]++
		}
	}
	for i, want := range open {
		if got := sh.Front[i].Open; got != want {
			t.Errorf("of frontend %d are counted as open %+v, and there are %+v", i, got, want)
		}
	}
	for i := range sh.pools {
		p, first := &sh.pools[i], 0
		for c := p.head; c != nil; c = c.next {
			first += fresh(c)
		}
		if p.owned != owned[i] || p.fresh != first {
			t.Errorf("of server %d are counted %d connections of one client and %d that served one request, and there are %d and %d", i, p.owned, p.fresh, owned[i], first)
		}
	}
}

// listen opens a non-blocking listening socket of our own.
func listen(t *testing.T) (fd int, addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1024); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// talk sends raw bytes and gives everything that comes back until the end.
func talk(t *testing.T, addr, send string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

func TestForward(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			w.Write(big)
		case "/chunks":
			for i := range 100 {
				fmt.Fprintf(w, "%d\n", i)
				w.(http.Flusher).Flush()
			}
		case "/echo":
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			io.Copy(w, r.Body)
		case "/close":
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, "bye")
		case "/empty":
			w.WriteHeader(204)
		default:
			fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, r.Header.Get("X-Forwarded-For"))
		}
	})
	for _, kind := range []protocol{http1Plain, http2Plain, http2TLS} {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, true, []string{srv}, func(r *rig) {
				r.fe.ForwardFor = &AddressField{Name: []byte("X-Forwarded-For")}
				kind.adjust(t, r)
			})
			forwards(t, kind.url(r), kind.client(t), big)
		})
	}
}

// forwards asks for everything that TestForward's server has.
func forwards(t *testing.T, url string, client *http.Client, big []byte) {
	get := func(method, path string, body io.Reader) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for range 3 {
		if code, b := get("GET", "/a?b=c", nil); code != 200 || b != "GET /a?b=c 127.0.0.1" {
			t.Errorf("GET: %d %q", code, b)
		}
		if code, b := get("HEAD", "/a", nil); code != 200 || b != "" {
			t.Errorf("HEAD: %d %q", code, b)
		}
		if code, b := get("GET", "/big", nil); code != 200 || b != string(big) {
			t.Errorf("big: %d, %d bytes", code, len(b))
		}
		if code, b := get("GET", "/chunks", nil); code != 200 || !strings.HasSuffix(b, "98\n99\n") {
			t.Errorf("chunks: %d %q", code, b)
		}
		if code, b := get("POST", "/echo", bytes.NewReader(big)); code != 200 || b != string(big) {
			t.Errorf("echo: %d, %d bytes", code, len(b))
		}
		// A reader without a length is sent in chunks.
		if code, b := get("POST", "/echo", io.LimitReader(bytes.NewReader(big), 1<<20)); code != 200 || b != string(big) {
			t.Errorf("chunked echo: %d, %d bytes", code, len(b))
		}
		if code, b := get("GET", "/close", nil); code != 200 || b != "bye" {
			t.Errorf("close: %d %q", code, b)
		}
		if code, _ := get("GET", "/empty", nil); code != 204 {
			t.Errorf("empty: %d", code)
		}
	}
}

func TestPipeline(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "[%s %s]", r.URL, b)
	})
	r := newRig(t, true, []string{srv}, nil)
	send := "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" +
		"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
		"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n" +
		"GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	got := talk(t, r.addr, send)
	at := 0
	for _, want := range []string{"[/1 ]", "[/2 abc]", "[/3 def]", "[/4 ]"} {
		i := strings.Index(got[at:], want)
		if i < 0 {
			t.Fatalf("%s is missing or out of order in %q", want, got)
		}
		at += i
	}
}

func TestOldClient(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			fmt.Fprint(w, "part ")
			w.(http.Flusher).Flush()
		}
	})
	r := newRig(t, true, []string{srv}, nil)
	got := talk(t, r.addr, "GET / HTTP/1.0\r\n\r\n")
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	if body != "part part part " || strings.Contains(strings.ToLower(head), "transfer-encoding") {
		t.Errorf("got %q", got)
	}
}

func TestTunnel(t *testing.T) {
	addr := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
		b, _ := io.ReadAll(c) // until the client's half-close
		fmt.Fprintf(c, "%d bytes", len(b))
	})
	r := newRig(t, false, []string{addr}, nil)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, strings.Repeat("x", 3<<20))
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c); err != nil || string(b) != fmt.Sprintf("%d bytes", 3<<20) {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestUpgrade(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
		io.Copy(c, rw)
	})
	r := newRig(t, true, []string{srv}, nil)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	io.WriteString(c, "late")
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(br); err != nil || string(b) != "hello early late" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestRetryElsewhere(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
	r := newRig(t, true, []string{port.Reserve(t), srv}, func(r *rig) { r.be.Redispatch = 1 })
	for range 4 {
		got := talk(t, r.addr, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
		if !strings.HasSuffix(got, "ok") {
			t.Errorf("got %q", got)
		}
	}
}

func TestRefused(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "never") })
	r := newRig(t, true, []string{srv}, nil)
	for _, send := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 2\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", DefaultHead) + "\r\n\r\n",
	} {
		if got := talk(t, r.addr, send); !strings.HasPrefix(got, "HTTP/1.1 400 Bad request\r\n") {
			t.Errorf("%.60q: got %q", send, got)
		}
	}
}

// A body that nobody wanted must not be read as the next request.
func TestUnwantedBody(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "[%s]", r.URL) })
	r := newRig(t, true, []string{srv}, func(r *rig) {
		rl, err := rule.ParseRule(rule.Request, strings.Fields("deny if { path /deny }"), acl.NewACLs())
		if err != nil {
			t.Fatal(err)
		}
		r.fe.Rules[rule.Request] = rule.Rules{rl}
	})
	inner := "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	got := talk(t, r.addr, fmt.Sprintf("POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner)+
		"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if strings.Contains(got, "smuggled") || !strings.Contains(got, "403") || !strings.Contains(got, "[/next]") {
		t.Errorf("got %q", got)
	}
}

func TestDrain(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
	r := newRig(t, true, []string{srv}, nil)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(c)
	ask := func() *http.Response {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.ReadAll(resp.Body)
		return resp
	}
	if ask().Close {
		t.Error("the first answer closes")
	}
	r.Drain()
	if !ask().Close {
		t.Error("an answer while draining does not say close")
	}
	<-r.Empty()
}
