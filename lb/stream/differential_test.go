package stream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/lb/rule"
)

// Random rules, random servers, and clients that share the connections to them:
// every byte that a client gets was meant for it. A request has a number, the
// server's answer consists of it ("<17>"), and each client looks for those of
// others. DIFF_SEED repeats a run; make long RUN=TestEveryByteWasMeantForIt goes on
// for an hour.

// dice is a source of choices that a run repeats.
type dice struct{ *rand.Rand }

func (d dice) of(choices ...string) string { return choices[d.IntN(len(choices))] }
func (d dice) one(n int) bool              { return d.IntN(n) == 0 }

// ruleLines draws lines of one kind from the grammar.
func (d dice) ruleLines(stage rule.Stage) (lines []string) {
	cond := func() string {
		return d.of("", " if { rand(3) eq 0 }", " if { rand(2) eq 0 }", " unless { rand(4) eq 0 }")
	}
	method := func() string {
		return d.of("", " if METH_GET", " if { method HEAD }", " if { method POST }", " if { path_sub 3 }", " if { rand(3) eq 0 }")
	}
	for range d.IntN(4) {
		switch stage {
		case rule.Request:
			lines = append(lines, d.of(
				"set-method "+d.of("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")+method(),
				"set-header Connection "+d.of("close", "keep-alive", "upgrade", "x")+cond(),
				"del-header "+d.of("Connection", "Upgrade", "Expect", "Host")+cond(),
				"set-header Upgrade "+d.of("websocket", "x", "h2c")+cond(),
				"set-header X-Pad "+strings.Repeat("p", 1+d.IntN(2999))+cond(),
				"deny"+method(), "tarpit"+method(), "wait-for-body time 20ms"+method(), "return status "+d.of("200", "204", "304", "404")+method(),
				"redirect location /x code 302"+method(),
				"set-query x=%[rand(100)]"+cond(), `replace-path /(.*) /\1`,
			))
		default:
			lines = append(lines, d.of(
				"set-status "+d.of("200", "204", "304", "404", "500", "206")+cond(),
				"set-header Connection "+d.of("close", "keep-alive", "upgrade")+cond(),
				"set-header Keep-Alive timeout=5"+cond(),
				"del-header "+d.of("Connection", "Upgrade", "Date")+cond(),
				"set-header X-Pad "+strings.Repeat("p", 1+d.IntN(2999))+cond(),
			))
		}
	}
	return lines
}

// differ is one run: a server and the clients' requests.
type differ struct {
	t     *testing.T
	seed  uint64
	next  atomic.Int64
	fault atomic.Bool
}

func (x *differ) errorf(format string, args ...any) {
	if x.t.Context().Err() == nil {
		x.fault.Store(true)
		x.t.Errorf(format, args...)
	}
}

// pattern is n bytes of an answer to a request. Of every third it would be an
// answer of its own, should it be taken for one.
func pattern(id string, n int) []byte {
	token := "<" + id + ">"
	b := bytes.Repeat([]byte(token), n/len(token)+1)[:n]
	if k, _ := strconv.Atoi(id); k%3 == 0 {
		copy(b, "HTTP/1.1 200 OK\r\nX-Id: "+token+"\r\nContent-Length: 20\r\n\r\n")
	}
	return b
}

// serve answers as the number of a request says, in any framing there is. What
// it does is right by the RFC for the method that it was asked with, or it closes.
func (x *differ) serve(c *net.TCPConn, br *bufio.Reader) {
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		id := strings.Trim(req.URL.Path, "/")
		n, err := strconv.Atoi(id)
		if err != nil {
			n, id = 0, "none"
		}
		d := dice{rand.New(rand.NewPCG(x.seed, uint64(n)))}
		if d.one(12) { // answered before the body was read, and closed
			c.Write(x.answer(d, req.Method, id, true))
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if d.one(20) { // nothing at all
			return
		}
		closes := d.one(6)
		answer := x.answer(d, req.Method, id, closes)
		if !closes && d.one(8) { // and something that nobody asked for, in the same segment
			answer = append(answer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<-1>"...)
			closes = true
		}
		for len(answer) > 0 {
			n := len(answer)
			if !closes && d.one(3) {
				n = 1 + d.IntN(n)
			}
			if _, err := c.Write(answer[:n]); err != nil {
				return
			}
			if answer = answer[n:]; len(answer) > 0 {
				time.Sleep(time.Duration(d.IntN(300)) * time.Microsecond)
			}
		}
		if closes || bytes.Contains(answer, []byte("close")) {
			return
		}
	}
}

func (x *differ) answer(d dice, method, id string, closes bool) []byte {
	var b bytes.Buffer
	if d.one(6) {
		b.WriteString(d.of("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 100 Continue\nContent-Length: 5\n\n", "HTTP/1.1 102 Processing\r\nConnection: close\r\n\r\n"))
	}
	status := d.of("200", "200", "200", "200", "204", "304", "404", "500", "401", "206", "101")
	bodyless := method == "HEAD" || status == "204" || status == "304" || status == "101"
	body := pattern(id, d.IntN(d.IntN(60_000)+1))
	fmt.Fprintf(&b, "HTTP/1.%d %s Status\r\nX-Id: <%s>\r\n", d.IntN(2), status, id)
	if status == "401" {
		b.WriteString("WWW-Authenticate: " + d.of("Basic realm=x", "NTLM", "Negotiate") + "\r\n")
	}
	old := bytes.Contains(b.Bytes()[bytes.LastIndex(b.Bytes(), []byte("HTTP/1.")):], []byte("HTTP/1.0"))
	if closes {
		b.WriteString("Connection: close\r\n")
	} else if old {
		b.WriteString("Connection: keep-alive\r\n")
	}
	if status == "101" {
		b.WriteString(d.of("Connection: upgrade\r\nUpgrade: x\r\n", "", "Connection: upgrade\r\n"))
	}
	switch kind := d.IntN(3); {
	case status == "204" || status == "101":
		b.WriteString("\r\n")
	case bodyless && kind == 0:
		b.WriteString("\r\n")
	case kind == 1 && !old:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; !bodyless; {
			n := min(len(rest), 1+d.IntN(5000))
			if n == 0 {
				b.WriteString("0\r\n\r\n")
				break
			}
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
	case kind == 2 && closes:
		b.WriteString("\r\n")
		b.Write(body)
	default:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
		if !bodyless {
			b.Write(body)
		}
	}
	return b.Bytes()
}

var tokens = regexp.MustCompile(`<(-?[0-9]+|none)>`)

// strangers looks for what was meant for another request.
func strangers(b []byte, id string) string {
	for _, m := range tokens.FindAllSubmatch(b, -1) {
		if string(m[1]) != id {
			return string(m[1])
		}
	}
	return ""
}

// heard keeps what was read through it.
type heard struct {
	io.Reader
	b []byte
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Reader.Read(b)
	h.b = append(h.b, b[:n]...)
	return n, err
}

// client1 sends requests of HTTP/1 over connections of its own, each as long as
// it is kept.
func (x *differ) client1(addr string, d dice, requests int) {
	for requests > 0 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			x.errorf("%v", err)
			return
		}
		br := bufio.NewReader(c)
		for again := true; again && requests > 0; requests-- {
			again = x.exchange1(c, br, d)
		}
		c.Close()
	}
}

// exchange1 has one request answered; false when the connection has ended.
func (x *differ) exchange1(c net.Conn, br *bufio.Reader, d dice) (again bool) {
	c.SetDeadline(time.Now().Add(hung))
	id := strconv.FormatInt(x.next.Add(1), 10)
	method := d.of("GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
	var head, body string
	minor := 1 - d.IntN(8)/7
	head = fmt.Sprintf("%s /%s HTTP/1.%d\r\nHost: h\r\n", method, id, minor)
	head += d.of("", "", "", "Connection: keep-alive\r\n", "Connection: close\r\n", "Connection: upgrade\r\nUpgrade: x\r\n", "TE: gzip\r\nConnection: TE\r\n")
	if method == "POST" || method == "PUT" {
		// What would be a request of its own, were it not a body.
		body = fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", 1_000_000_000+d.IntN(1000))
		body += strings.Repeat("b", d.IntN(d.IntN(40_000)+1))
		if minor == 1 && d.one(2) {
			head += "Transfer-Encoding: chunked\r\n"
			body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		} else {
			head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
	}
	in := &heard{Reader: br}
	leaves := x.write(c.(*net.TCPConn), d, head+"\r\n"+body)
	lines := bufio.NewReaderSize(in, 1)
	resp, err := http.ReadResponse(lines, &http.Request{Method: method})
	for err == nil && resp.StatusCode/100 == 1 && resp.StatusCode != 101 {
		resp, err = http.ReadResponse(lines, &http.Request{Method: method})
	}
	var got []byte
	if err == nil && resp.StatusCode != 101 {
		got, err = io.ReadAll(resp.Body)
	}
	if who := strangers(in.b, id); who != "" {
		x.errorf("seed %d: %s /%s got what was meant for %s: %.300q", x.seed, method, id, who, in.b)
		return false
	}
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		x.errorf("seed %d: %s /%s waits for an answer that is promised: %.300q", x.seed, method, id, in.b)
		return false
	case err != nil || resp.StatusCode == 101 || leaves && resp.StatusCode >= 400:
		return false // cut off by the server, or a tunnel
	}
	if want := pattern(id, len(got)); resp.Header.Get("X-Id") != "" && !bytes.Equal(got, want) {
		x.errorf("seed %d: %s /%s got %.100q in its body", x.seed, method, id, got)
	}
	if n := lines.Buffered(); n > 0 {
		x.errorf("seed %d: %s /%s: %d bytes after the answer %.300q", x.seed, method, id, n, in.b)
		return false
	}
	return !resp.Close && minor == 1 && !strings.Contains(head, "close") && !leaves
}

// write sends a request as a whole, or a part of it. The client leaves in some
// cases: it ends its side, or all of it, at once or after a moment.
func (x *differ) write(c *net.TCPConn, d dice, text string) (leaves bool) {
	how := d.IntN(30)
	if how > 5 {
		go io.WriteString(c, text) // ends with the connection
		return false
	}
	part, rest := text, time.Duration(d.IntN(3_000))*time.Microsecond
	if how%2 == 0 {
		part = text[:d.IntN(len(text))]
	}
	if d.one(3) {
		rest = 0
	}
	leave := func() {
		if how < 3 {
			c.CloseWrite()
			return
		}
		c.SetLinger(0)
		c.Close()
	}
	go func() {
		io.WriteString(c, part)
		time.AfterFunc(rest, leave) // the moment is the client's whim: any phase will do
	}()
	return true
}

// client2 is the same over HTTP/2, several at once.
func (x *differ) client2(r *rig, d dice, requests int) {
	client := http2Plain.client(x.t)
	var all sync.WaitGroup
	for range requests {
		id := strconv.FormatInt(x.next.Add(1), 10)
		method := d.of("GET", "HEAD", "POST", "PUT")
		var body io.Reader
		if method == "POST" || method == "PUT" {
			body = strings.NewReader(strings.Repeat("b", d.IntN(30_000)))
		}
		ctx, cancel := context.WithTimeout(x.t.Context(), hung)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, http2Plain.url(r)+"/"+id, body)
		if err != nil {
			x.errorf("%v", err)
			return
		}
		if d.one(8) { // takes it back
			time.AfterFunc(time.Duration(d.IntN(3_000))*time.Microsecond, cancel)
		}
		all.Go(func() {
			resp, err := client.Transport.RoundTrip(req)
			if err != nil {
				return // cut off by the server
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if errors.Is(err, context.DeadlineExceeded) {
				x.errorf("seed %d: HTTP/2 %s /%s waits", x.seed, method, id)
			}
			if who := strangers(append([]byte(resp.Header.Get("X-Id")), got...), id); who != "" {
				x.errorf("seed %d: HTTP/2 %s /%s got what was meant for %s", x.seed, method, id, who)
			}
			if want := pattern(id, len(got)); resp.Header.Get("X-Id") != "" && !bytes.Equal(got, want) {
				x.errorf("seed %d: HTTP/2 %s /%s got %.100q in its body", x.seed, method, id, got)
			}
		})
		if d.one(3) {
			all.Wait()
		}
	}
	all.Wait()
}

// TestEveryByteWasMeantForIt is the differential fuzz.
func TestEveryByteWasMeantForIt(t *testing.T) {
	seed, rounds, until := rand.Uint64()%1_000_000, 40/rare, time.Time{}
	if text := os.Getenv("DIFF_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed, rounds = n, 1
	} else if os.Getenv("LB_LONG") != "" {
		rounds, until = 1<<30, time.Now().Add(time.Hour)
	}
	for i := range uint64(rounds) {
		if !until.IsZero() && time.Now().After(until) {
			return
		}
		if !t.Run(strconv.FormatUint(seed+i, 10), func(t *testing.T) { differential(t, seed+i) }) {
			return
		}
	}
}

func differential(t *testing.T, seed uint64) {
	x := &differ{t: t, seed: seed}
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	var servers []string
	for range 1 + d.IntN(2) {
		servers = append(servers, script(t, x.serve))
	}
	var lines []string
	r := newRig(t, true, servers, func(r *rig) {
		r.be.Reuse = []Reuse{ReuseAlways, ReuseAlways, ReuseAggressive, ReuseSafe, ReuseNever}[d.IntN(5)]
		r.be.Retries = d.IntN(4)
		r.be.ConnMode = []ConnMode{KeepAlive, KeepAlive, KeepAlive, ServerClose, Close}[d.IntN(5)]
		if d.one(3) {
			for _, s := range r.Servers {
				s.MaxConn = 1
			}
		}
		r.be.Timeouts.Server = 3000
		r.be.AbortOnClose = d.one(2)
		r.fe.Timeouts.Tarpit = int64(1 + d.IntN(20))
		for _, stage := range []rule.Stage{rule.Request, rule.Response, rule.AfterResponse} {
			drawn := d.ruleLines(stage)
			r.fe.Rules[stage] = rules(t, stage, drawn...)
			lines = append(lines, drawn...)
		}
	})
	var all sync.WaitGroup
	for i := range uint64(3) {
		all.Go(func() { x.client1(r.addr, dice{rand.New(rand.NewPCG(seed, 1<<40+i))}, 25) })
	}
	all.Go(func() { x.client2(r, dice{rand.New(rand.NewPCG(seed, 1<<41))}, 25) })
	all.Wait()
	if x.fault.Load() {
		for i, l := range lines {
			lines[i] = fmt.Sprintf("%.80s", l)
		}
		t.Logf("reuse %d, retries %d, mode %d, rules:\n%s", r.be.Reuse, r.be.Retries, r.be.ConnMode, strings.Join(lines, "\n"))
	}
}
