package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/test/wait"
)

// The chaos test: clients and servers that misbehave at random, by a seed.
//
//  1. A client writes a few requests, in pieces, perhaps all at once, and
//     leaves in the middle if it likes. The path tells the server what to do,
//     and everything in the answer follows from the path.
//  2. A server reads each request strictly, checks its body, and answers as it
//     was told: in pieces, too early, cut off, reset, or not at all.
//  3. What arrives complete must be the request's own answer, byte for byte;
//     what the server was told to do well must arrive, if the client stayed.
//  4. In the end nothing is left: no connection, no place, no waiter, no
//     descriptor; and there is one log line for each request.

// deed is what a server does with a request.
type deed struct {
	name   string
	fails  bool // the answer may be cut short or be lb's own 502
	closes bool // the server's connection ends after the answer
}

var deeds = []deed{
	{name: "length"}, {name: "length"}, {name: "chunked"}, {name: "chunked"}, {name: "trailers"}, {name: "none"}, {name: "unchanged"},
	{name: "interim"}, {name: "slow"}, {name: "early"},
	{name: "end", closes: true}, {name: "close", closes: true}, {name: "leave", closes: true}, {name: "earlyclose", closes: true},
	{name: "cut", fails: true, closes: true}, {name: "reset", fails: true, closes: true},
	{name: "mute", fails: true, closes: true}, {name: "nonsense", fails: true, closes: true},
}

func deedOf(name string) deed {
	for _, d := range deeds {
		if d.name == name {
			return d
		}
	}
	return deed{}
}

// noise is what bodies are made of: to compute each byte would be most of the work under the race detector.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 5<<20+1)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// bodyOf is the body that follows from a request's number, in either direction. It is not to be written to.
func bodyOf(id, n int) []byte {
	all := noise()
	at := int(uint32(id) * 2654435761 >> 10) // up to 4 Mi
	if at+n <= len(all) {
		return all[at : at+n : at+n]
	}
	b := make([]byte, 0, n)
	for len(b) < n {
		b = append(b, all[at:min(len(all), at+n-len(b))]...)
		at = 0
	}
	return b
}

// pause is random, most often none.
func pause(rnd *rand.Rand) {
	if rnd.IntN(4) == 0 {
		<-time.After(time.Duration(rnd.IntN(3000)) * time.Microsecond)
	}
}

// pieces writes b in pieces of random sizes.
func pieces(w io.Writer, b []byte, rnd *rand.Rand) error {
	for len(b) > 0 {
		n := len(b)
		if rnd.IntN(3) > 0 {
			n = 1 + rnd.IntN(min(n, 1<<rnd.IntN(18)))
		}
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		if len(b) > 0 {
			pause(rnd)
		}
	}
	return nil
}

// chunks renders b in chunks of random sizes.
func chunks(b []byte, trailer string, rnd *rand.Rand) []byte {
	var out bytes.Buffer
	for len(b) > 0 {
		n := 1 + rnd.IntN(min(len(b), 1<<rnd.IntN(18)))
		fmt.Fprintf(&out, "%x\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	out.WriteString("0\r\n" + trailer + "\r\n")
	return out.Bytes()
}

// chaos is one run.
type chaos struct {
	t    *testing.T
	next atomic.Int64 // request numbers

	mu sync.Mutex
	// mu guards the fields below.
	lines map[int]int // log lines by request
	sure  map[int]bool
	conns map[net.Conn]bool // the servers'
	over  bool              // the servers keep no connection any more

	answers, own, cut atomic.Int64
}

// certain notes that lb knows of the request: there must be a line.
func (x *chaos) certain(id int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sure[id] = true
}

// server answers connections as their requests tell.
func (x *chaos) server(seed uint64) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { ln.Close() })
	go func() {
		for n := uint64(0); ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			x.mu.Lock()
			x.conns[c] = true
			if x.over {
				c.Close()
			}
			x.mu.Unlock()
			go func() {
				x.serve(c.(*net.TCPConn), rand.New(rand.NewPCG(seed, n)))
				c.Close()
				x.mu.Lock()
				delete(x.conns, c)
				x.mu.Unlock()
			}()
		}
	}()
	return ln.Addr().String()
}

func (x *chaos) serve(c *net.TCPConn, rnd *rand.Rand) {
	br := bufio.NewReader(c)
	for {
		c.SetDeadline(time.Now().Add(hung))
		req, err := http.ReadRequest(br)
		if err != nil {
			if !gone(err) {
				x.t.Errorf("the server got what is no request: %v", err)
			}
			return
		}
		f := strings.Split(req.URL.Path, "/") // "", id, deed, answer's size, body's size
		if len(f) != 5 {
			x.t.Errorf("the server was asked for %q", req.URL.Path)
			return
		}
		id, _ := strconv.Atoi(f[1])
		size, _ := strconv.Atoi(f[3])
		bodySize, _ := strconv.Atoi(f[4])
		x.certain(id)
		d := deedOf(f[2])
		early := d.name == "early" || d.name == "earlyclose"
		if early && !x.answer(c, req, d, id, size, rnd) {
			return
		}
		if d.name == "earlyclose" {
			// A close on unread bytes would reset the connection, and with it
			// what the balancer has not read of the answer.
			c.CloseWrite()
			io.Copy(io.Discard, br)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			if !gone(err) {
				x.t.Errorf("request %d: its body: %v", id, err)
			}
			return
		}
		if !bytes.Equal(body, bodyOf(id, bodySize)) {
			x.t.Errorf("request %d: the server got another body of %d bytes", id, len(body))
		}
		if !early && !x.answer(c, req, d, id, size, rnd) || d.closes {
			return
		}
	}
}

// gone reports whether err is no more than a peer that left.
func gone(err error) bool {
	var n net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &n) ||
		strings.Contains(err.Error(), "unexpected EOF") // net/http hides it in a text of its own
}

// answer does as the request tells; false when the connection is of no use
// any more.
func (x *chaos) answer(c *net.TCPConn, req *http.Request, d deed, id, size int, rnd *rand.Rand) bool {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %d\r\n", id)
	body := bodyOf(id, size)
	length := fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
	if req.Method == "HEAD" && !d.fails {
		body = nil
	}
	var out []byte
	switch d.name {
	case "chunked", "trailers":
		out = append([]byte(head), "Transfer-Encoding: chunked\r\n\r\n"...)
		if req.Method != "HEAD" {
			trailer := ""
			if d.name == "trailers" {
				trailer = "X-Sum: 1\r\nX-More: 2\r\n"
			}
			out = append(out, chunks(body, trailer, rnd)...)
		}
	case "none":
		out = fmt.Appendf(nil, "HTTP/1.1 204 No Content\r\nX-Id: %d\r\n\r\n", id)
	case "unchanged":
		out = fmt.Appendf(nil, "HTTP/1.1 304 Not Modified\r\nX-Id: %d\r\n%s", id, length)
	case "interim":
		out = append([]byte("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"+head+length), body...)
	case "end":
		out = append([]byte(head+"\r\n"), body...)
	case "close", "earlyclose":
		out = append([]byte(head+"Connection: close\r\n"+length), body...)
	case "nonsense":
		out = []byte("this is not HTTP\r\n\r\n")
	case "mute":
		return false
	default:
		out = append([]byte(head+length), body...)
	}
	if d.name == "cut" || d.name == "reset" {
		out = out[:rnd.IntN(len(out))]
	}
	if d.name == "slow" {
		for len(out) > 20 && rnd.IntN(200) > 0 {
			n := 1 + rnd.IntN(20)
			if _, err := c.Write(out[:n]); err != nil {
				return false
			}
			out = out[n:]
			if rnd.IntN(10) == 0 {
				pause(rnd)
			}
		}
	}
	if err := pieces(c, out, rnd); err != nil {
		return false
	}
	if d.name == "reset" {
		c.SetLinger(0)
	}
	return true
}

// ask is one request of a client.
type ask struct {
	id, size, bodySize int
	method             string
	d                  deed
	text               []byte
	http               *http.Request
}

func (x *chaos) ask(rnd *rand.Rand, last bool) *ask {
	a := &ask{id: int(x.next.Add(1)), d: deeds[rnd.IntN(len(deeds))]}
	a.method = []string{"GET", "GET", "HEAD", "POST", "PUT"}[rnd.IntN(5)]
	size := func() int { return rnd.IntN(1 << rnd.IntN(21)) }
	a.size = size()
	if a.method == "POST" || a.method == "PUT" {
		a.bodySize = size()
	}
	a.text = fmt.Appendf(nil, "%s /%d/%s/%d/%d HTTP/1.1\r\nHost: a\r\n", a.method, a.id, a.d.name, a.size, a.bodySize)
	if last {
		a.text = append(a.text, "Connection: close\r\n"...)
	}
	body := bodyOf(a.id, a.bodySize)
	switch {
	case a.bodySize > 0 && rnd.IntN(2) == 0:
		a.text = append(a.text, "Transfer-Encoding: chunked\r\n\r\n"...)
		a.text = append(a.text, chunks(body, "", rnd)...)
	case a.method == "POST" || a.method == "PUT":
		a.text = append(fmt.Appendf(a.text, "Content-Length: %d\r\n\r\n", a.bodySize), body...)
	default:
		a.text = append(a.text, "\r\n"...)
	}
	a.http = &http.Request{Method: a.method}
	return a
}

// client is one connection with its requests.
func (x *chaos) client(dial func() (net.Conn, *net.TCPConn, error), rnd *rand.Rand) {
	c, raw, err := dial()
	if err != nil {
		x.t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(hung))
	asks := make([]*ask, 1+rnd.IntN(5))
	for i := range asks {
		asks[i] = x.ask(rnd, i == len(asks)-1)
	}
	pipelined, leaves := rnd.IntN(2) == 0, rnd.IntN(6) == 0
	seed := rnd.Uint64()
	turns := make(chan struct{}, len(asks)) // an answer is complete: the next request may go
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(x.t.Context())
	defer cancel()
	wg.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 1))
		for _, a := range asks {
			if leaves && rnd.IntN(3) == 0 {
				pieces(c, a.text[:rnd.IntN(len(a.text))], rnd)
				if rnd.IntN(2) == 0 {
					raw.SetLinger(0)
				}
				raw.Close()
				return
			}
			if pieces(c, a.text, rnd) != nil {
				return
			}
			if !pipelined {
				select {
				case <-turns:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	br := bufio.NewReaderSize(slowly{c, rnd}, 64<<rnd.IntN(10))
	for i, a := range asks {
		again, err := x.check(br, a)
		switch {
		case err != nil && !leaves:
			x.t.Errorf("request %d (%d of %d, pipelined %v) %.60q: %v", a.id, i+1, len(asks), pipelined, a.text, err)
			return
		case err != nil || !again:
			return
		}
		turns <- struct{}{}
	}
}

// slowly reads now and then a little, now and then after a while.
type slowly struct {
	io.Reader
	rnd *rand.Rand
}

func (s slowly) Read(b []byte) (int, error) {
	if s.rnd.IntN(50) == 0 {
		<-time.After(time.Duration(s.rnd.IntN(3000)) * time.Microsecond)
	}
	if s.rnd.IntN(4) == 0 {
		b = b[:1+s.rnd.IntN(len(b))]
	}
	return s.Reader.Read(b)
}

// check reads the answer to a. An error is one that must not be; again says
// that the connection goes on.
func (x *chaos) check(br *bufio.Reader, a *ask) (again bool, err error) {
	resp, err := http.ReadResponse(br, a.http)
	for ; err == nil && resp.StatusCode/100 == 1; resp, err = http.ReadResponse(br, a.http) {
		x.certain(a.id)
	}
	return x.checkAnswer(resp, a, err)
}

// checkAnswer is check for an answer whose head was read, or was not because of
// err.
func (x *chaos) checkAnswer(resp *http.Response, a *ask, err error) (again bool, _ error) {
	if err != nil {
		if a.d.fails {
			x.cut.Add(1)
			return false, nil
		}
		return false, fmt.Errorf("no answer: %w", err)
	}
	x.certain(a.id)
	body, err := io.ReadAll(resp.Body)
	if id := resp.Header.Get("X-Id"); id == "" {
		// lb's own: the server failed, or had left just before a request that
		// may not be sent twice.
		x.own.Add(1)
		if err != nil {
			return false, fmt.Errorf("lb's own answer: %w", err)
		}
		if resp.StatusCode != 502 || !a.d.fails && a.method != "POST" && a.bodySize == 0 {
			return false, fmt.Errorf("lb's own answer is a %d", resp.StatusCode)
		}
		return !resp.Close, nil
	} else if id != strconv.Itoa(a.id) {
		return false, fmt.Errorf("the answer to request %s", id)
	}
	if err != nil {
		if a.d.fails {
			x.cut.Add(1)
			return false, nil
		}
		return false, fmt.Errorf("the answer ends after %d of %d bytes: %w", len(body), a.size, err)
	}
	want := bodyOf(a.id, a.size)
	if a.method == "HEAD" || resp.StatusCode != 200 {
		want = nil
	}
	if !bytes.Equal(body, want) {
		return false, fmt.Errorf("another answer: %d bytes for %d", len(body), len(want))
	}
	x.answers.Add(1)
	return !resp.Close, nil
}

// logs receives lines until it is closed.
func (x *chaos) logs() *net.UDPConn {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		x.t.Fatal(err)
	}
	pc.SetReadBuffer(8 << 20)
	x.t.Cleanup(func() { pc.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := pc.Read(b)
			if err != nil {
				return
			}
			_, path, ok := strings.Cut(string(b[:n]), "path=/")
			if !ok {
				continue
			}
			number, _, _ := strings.Cut(path, "/")
			id, err := strconv.Atoi(number)
			if err != nil {
				continue // a request that never became one
			}
			x.mu.Lock()
			x.lines[id]++
			x.mu.Unlock()
		}
	}()
	return pc
}

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestChaos(t *testing.T) {
	for _, mode := range []struct {
		name   string
		tls    bool
		adjust func(*rig)
	}{
		{"safe", false, func(r *rig) { r.be.Reuse = ReuseSafe }},
		{"always, queue", false, func(r *rig) {
			r.be.Reuse = ReuseAlways
			for _, s := range r.Servers {
				s.MaxConn = 6
			}
		}},
		{"never", false, func(r *rig) { r.be.Reuse = ReuseNever }},
		{"server close", false, func(r *rig) { r.be.ConnMode = ServerClose }},
		{"close", false, func(r *rig) { r.fe.ConnMode = Close }},
		{"tls", true, func(r *rig) { r.be.Reuse = ReuseAlways }},
	} {
		t.Run(mode.name, func(t *testing.T) { runChaos(t, mode.tls, mode.adjust, nil) })
	}
}

// hung is when a client has waited so long for its answers that there will be
// none: all of the rig's own timeouts have passed, on a machine however busy.
const hung = 2 * time.Minute

// runChaos has clients talk to a rig; client is one of them, nil for one that
// speaks HTTP/1.1.
func runChaos(t *testing.T, secure bool, adjust func(*rig), client func(*chaos, *rig, *rand.Rand)) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("CHAOS_SEED=%d", seed)
	x := &chaos{t: t, lines: map[int]int{}, sure: map[int]bool{}, conns: map[net.Conn]bool{}}
	log, servers := x.logs(), []string{x.server(seed), x.server(seed + 1)}
	before := descriptors(t) // those of Go's poller among them, now that there are sockets
	format, err := logformat.Parse("path=%HPO %ST %ts", nil)
	if err != nil {
		t.Fatal(err)
	}
	var config *tls.Config
	if secure {
		config = certificate(t)
	}
	r := newRig(t, true, servers, func(r *rig) {
		r.threads = 2
		to := Timeouts{Connect: 30_000, Client: 60_000, Server: 60_000, Queue: 60_000}
		r.fe.Timeouts, r.be.Timeouts = to, to
		r.fe.Access = accesslog.Policy{Format: format, HTTP: true}
		r.fe.Logs = 0
		r.Targets = [][]syslog.Target{{{Network: "udp", Address: log.LocalAddr().String(), Format: "local", Len: 1024, Level: 7, Tag: "lb"}}}
		if secure {
			name := func(uint16) string { return "" }
			r.fe.Listeners[0].TLS = &TLS{Config: config, VersionName: name, CipherName: name}
			if r.Formats, err = accesslog.NewFormats(); err != nil {
				t.Fatal(err)
			}
		}
		adjust(r)
	})
	dial := func() (net.Conn, *net.TCPConn, error) {
		c, err := net.Dial("tcp", r.addr)
		if err != nil || !secure {
			raw, _ := c.(*net.TCPConn)
			return c, raw, err
		}
		tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		return tc, c.(*net.TCPConn), tc.Handshake()
	}
	var wg sync.WaitGroup
	for worker := range 24 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(1000+worker)))
			for range 12 / rare {
				if client != nil {
					client(x, r, rnd)
				} else {
					x.client(dial, rnd)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d answers, %d of lb's own, %d cut off", x.answers.Load(), x.own.Load(), x.cut.Load())

	wait.Until(t, "every connection's end", func() bool { return r.Conns() == 0 })
	wait.Until(t, "every place to be free", func() bool {
		st := r.be.Stats()
		busy := st.Cur + st.Queued
		for _, s := range r.Servers {
			busy += int(s.Load())
		}
		return busy == 0
	})
	wait.Until(t, "a line for each request", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		for id := range x.sure {
			if x.lines[id] == 0 {
				return false
			}
		}
		return true
	})
	x.mu.Lock()
	for id, n := range x.lines {
		if n != 1 {
			t.Errorf("request %d has %d lines", id, n)
		}
	}
	x.over = true
	for c := range x.conns {
		c.Close() // and lb's idle ends with it
	}
	x.mu.Unlock()
	// What the engine itself holds: a listener's socket, a descriptor in reserve, the flights, and two descriptors and a log socket for each loop.
	const standing = 1 + 1 + 1 + 2*3
	wait.Until(t, "every descriptor to be closed", func() bool { return descriptors(t) <= before+standing })
	for i := range r.Shards {
		c := r.Shards[i].Read()
		if c.DroppedLogs > 0 {
			t.Errorf("%d lines dropped", c.DroppedLogs)
		}
	}
}

// certificate is a server's TLS configuration with a certificate of the
// standard library's tests.
func certificate(t *testing.T) *tls.Config {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}
}
