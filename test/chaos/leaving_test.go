package chaos

import (
	"bytes"
	"crypto/tls"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"lbsyslogd/test/accept"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// phase is something that a request waits for.
type phase struct {
	name   string
	port   string // which it is asked at; "" is the frontend for HTTP
	text   string // of the request in HTTP/1, with its path for PATH; a part of it, where it waits for the rest
	states string // in which `show sess` has it
	part   bool   // of a request's head: no log has its path, and HTTP/2 has no such thing
	body   bool   // it waits for its client
}

const (
	asksFor = "GET PATH HTTP/1.1\r\nHost: a\r\n\r\n"
	offers  = "POST PATH HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf "
)

// phases are those before a backend has been chosen, and those after it.
var phases = []phase{
	{name: "head", text: "GET / HTTP/1.1\r\nHost", states: "request", part: true},
	{name: "tarpit", text: asksFor, states: "tarpit"},
	{name: "tarpit-body", text: offers, states: "tarpit", body: true},
	{name: "resolve", text: asksFor, states: "rules"},
	{name: "resolve-body", text: offers, states: "rules", body: true},
	{name: "agent", text: asksFor, states: "rules"},
	{name: "wait", text: offers, states: "body|rules", body: true},
	{name: "stats", text: offers, states: "form|body", body: true},
	{name: "back-wait", text: offers, states: "body|rules", body: true},
	{name: "back-tarpit", text: asksFor, states: "tarpit"},
	{name: "queue", text: asksFor, states: "queue"},
	{name: "queue-body", text: offers, states: "queue", body: true},
	{name: "connecting", text: asksFor, states: "connect"},
	{name: "connecting-body", text: offers, states: "connect", body: true},
	{name: "refused", text: asksFor, states: "connect|retry"},
	{name: "silent", text: asksFor, states: "forward|reply"},
	{name: "silent-body", text: offers, states: "forward|reply", body: true},
	{name: "begun", text: asksFor, states: "reply|forward"},
	{name: "endless", text: asksFor, states: "reply|forward"},
	{name: "answer-wait", text: asksFor, states: "rules|reply|forward"},
	{name: "tcp-inspect", port: "TCPINSPECT", text: "x", states: "inspect|rules", part: true},
	{name: "tcp-silent", port: "TCPSILENT", text: "x", states: ".", part: true},
	{name: "tcp-queue", port: "TCPQUEUE", text: "x", states: "queue", part: true},
	{name: "tcp-connecting", port: "TCPCONNECTING", text: "x", states: "connect", part: true},
	{name: "tcp-endless", port: "TCPENDLESS", text: "x", states: ".", part: true},
}

const leavingConfig = `global
  nbthread 2
  stats socket STATS mode 600 level admin
  log LOG local0
resolvers dns
  nameserver dead DEAD
  resolve_retries 1000
  timeout retry 1h
defaults
  mode http
  log global
  log-format "LINE %cp %HU %ts"
  timeout connect 1h
  timeout client 1h
  timeout server 1h
  timeout queue 1h
  timeout tarpit 1h
  timeout http-request 1h
  retries 1000
  # ABORTONCLOSE
frontend fe
  bind HTTP
  bind SECURE ssl crt DIR/cert.pem alpn h2,http/1.1
  filter spoe engine e config DIR/spoe.conf
  http-request tarpit if { path_beg /tarpit }
  http-request do-resolve(txn.ip,dns,ipv4) str(slow.test) if { path_beg /resolve }
  http-request send-spoe-group e g if { path_beg /agent }
  http-request wait-for-body time 1h if { path_beg /wait }
  use_backend %[path,word(1,/)]
  default_backend prompt
backend prompt
  server s1 PROMPT
backend stats
  stats enable
  stats uri /stats
  stats admin if TRUE
backend back-wait
  http-request wait-for-body time 1h
  server s1 PROMPT
backend back-tarpit
  http-request tarpit
backend queue
  server s1 SILENT maxconn 1
backend queue-body
  server s1 SILENT maxconn 1
backend connecting
  option abortonclose
  server s1 FULL
backend connecting-body
  option abortonclose
  server s1 FULL
backend refused
  server s1 DOWN
backend silent
  server s1 SILENT
backend silent-body
  server s1 SILENT
backend begun
  server s1 BEGUN
backend endless
  server s1 ENDLESS
backend answer-wait
  http-response wait-for-body time 1h
  server s1 BEGUN
backend agents
  mode tcp
  server s1 AGENT
listen tcp-inspect
  mode tcp
  log-format "LINE %cp - %ts"
  bind TCPINSPECT
  tcp-request inspect-delay 1h
  tcp-request content accept if WAIT_END
  server s1 SILENT
listen tcp-silent
  mode tcp
  log-format "LINE %cp - %ts"
  bind TCPSILENT
  server s1 SILENT
listen tcp-queue
  mode tcp
  log-format "LINE %cp - %ts"
  bind TCPQUEUE
  server s1 SILENT maxconn 1
listen tcp-connecting
  mode tcp
  log-format "LINE %cp - %ts"
  bind TCPCONNECTING
  server s1 FULL
listen tcp-endless
  mode tcp
  log-format "LINE %cp - %ts"
  bind TCPENDLESS
  server s1 ENDLESS
`

const leavingAgent = `[e]
spoe-agent a
  groups g
  option var-prefix e
  timeout hello 1h
  timeout idle 1h
  timeout processing 1h
  use-backend agents
spoe-message m
  args path
spoe-group g
  messages m
`

// leaving is a balancer whose clients leave.
type leaving struct {
	t     *testing.T
	lb    *rig.LB
	rnd   *rand.Rand
	words map[string]string
	text  string // of its configuration
	next  int
	log   *net.UDPConn
	here  atomic.Int64 // connections to servers that do not end by themselves

	mu    sync.Mutex
	lines map[string][]string // by the request's path, or by its client's port; mu guards it
}

var (
	leavingLine = regexp.MustCompile(`LINE (\d+) (\S+) (\S+)`)
	origin      = regexp.MustCompile(`^https?://[^/]+`) // which requests of HTTP/2 have before their path
)

// listen reads the log.
func (l *leaving) listen() {
	b := make([]byte, 65536)
	for {
		n, err := l.log.Read(b)
		if err != nil {
			return
		}
		m := leavingLine.FindStringSubmatch(string(b[:n]))
		if m == nil {
			continue
		}
		key := origin.ReplaceAllString(m[2], "")
		if !strings.HasPrefix(key, "/") || key == "/" {
			key = m[1]
		}
		l.mu.Lock()
		l.lines[key] = append(l.lines[key], string(b[:n]))
		l.mu.Unlock()
	}
}

// stays runs f for a connection that its server does not end.
func (l *leaving) stays(f func(c net.Conn)) string {
	return accept.Each(l.t, "127.0.0.1:0", func(c net.Conn) {
		l.here.Add(1)
		defer l.here.Add(-1)
		f(c)
	})
}

// open starts the balancer and its servers.
func (l *leaving) open() {
	t := l.t
	built, err := rig.Build(t.TempDir(), "lb")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "lb-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if _, err := rig.WriteCertificate(filepath.Join(dir, "cert.pem"), "a"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "spoe.conf"), []byte(leavingAgent), 0o600); err != nil {
		t.Fatal(err)
	}
	l.log, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.log.Close() })
	l.log.SetReadBuffer(4 << 20)
	go l.listen()
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dead.Close() })
	ports, err := rig.FreePorts("127.0.0.1", 8)
	if err != nil {
		t.Fatal(err)
	}
	l.lb = rig.LBIn(dir)
	l.words = map[string]string{
		"STATS": l.lb.Stats, "DIR": dir, "LOG": l.log.LocalAddr().String(), "DEAD": dead.LocalAddr().String(), "FULL": accept.Never(t, "127.0.0.1"),
		"PROMPT": accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
			for p := (&peer{c: c.(*net.TCPConn)}); ; {
				n := strings.Count(p.got.String(), "\r\n\r\n")
				if p.head(n + 1); p.ended != "" || strings.Count(p.got.String(), "\r\n\r\n") == n {
					return
				}
				p.send(ok)
			}
		}),
		"SILENT": l.stays(func(c net.Conn) { io.Copy(io.Discard, c) }),
		"AGENT":  accept.Each(t, "127.0.0.1:0", func(c net.Conn) { io.Copy(io.Discard, c) }),
		"BEGUN": l.stays(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome of it")
			io.Copy(io.Discard, c)
		}),
		"ENDLESS": l.stays(func(c net.Conn) {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
			for b := bytes.Repeat([]byte("more "), 10_000); err == nil; {
				_, err = c.Write(b)
			}
		}),
	}
	for i, name := range []string{"DOWN", "HTTP", "SECURE", "TCPENDLESS", "TCPINSPECT", "TCPSILENT", "TCPQUEUE", "TCPCONNECTING"} {
		l.words[name] = fmt.Sprintf("127.0.0.1:%d", ports[i])
	}
	l.text = regexp.MustCompile(`[A-Z]{3,}\b`).ReplaceAllStringFunc(leavingConfig, func(w string) string {
		if to, ok := l.words[w]; ok {
			return to
		}
		return w
	})
	if err := l.lb.Start(t.Context(), built.LB, "-W", l.text); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.lb.Stop()
		if t.Failed() {
			out := l.lb.Output()
			t.Logf("lb said:\n%s", out[max(0, len(out)-6000):])
		}
	})
}

// leaver is a connection of a client that leaves.
type leaver struct {
	raw    *net.TCPConn
	secure *tls.Conn // nil without TLS
	frames *http2.Framer
	keys   []string // of its lines in the log
	waits  []seat
	did    string // for reports
}

// seat is where `show sess` has one of its requests.
type seat struct{ key, states string }

func (v *leaver) conn() net.Conn {
	if v.secure != nil {
		return v.secure
	}
	return v.raw
}

// come connects a client, which asks for what will not be answered.
func (l *leaving) come(p phase, kind int) *leaver {
	l.t.Helper()
	at, clear := l.words["HTTP"], true
	switch {
	case p.port != "":
		at, kind = l.words[p.port], 0
	case kind == 1 || kind == 2:
		at, clear = l.words["SECURE"], false
	}
	c, err := net.Dial("tcp", at)
	if err != nil {
		l.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	v := &leaver{raw: c.(*net.TCPConn)}
	if !clear {
		protocols := []string{"http/1.1"}
		if kind == 2 {
			protocols = []string{"h2"}
		}
		v.secure = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		if err := v.secure.Handshake(); err != nil {
			l.t.Fatal(err)
		}
	}
	if kind >= 2 {
		l.streams(v)
		return v
	}
	l.next++
	path := fmt.Sprintf("/%s/%d", p.name, l.next)
	key := path
	if p.part {
		_, key, _ = net.SplitHostPort(c.LocalAddr().String())
	}
	v.keys, v.waits = []string{key}, []seat{{key, p.states}}
	if _, err := io.WriteString(v.conn(), strings.ReplaceAll(p.text, "PATH", path)); err != nil {
		l.t.Fatal(err)
	}
	return v
}

// streams has a connection of HTTP/2 ask for several things.
func (l *leaving) streams(v *leaver) {
	var b bytes.Buffer
	v.frames = http2.NewFramer(v.conn(), v.conn())
	enc := hpack.NewEncoder(&b)
	io.WriteString(v.conn(), http2.ClientPreface)
	v.frames.WriteSettings()
	for id := uint32(1); id < 8; id += 2 {
		p := phases[l.rnd.IntN(len(phases))]
		if p.part {
			continue
		}
		l.next++
		path := fmt.Sprintf("/%s/%d", p.name, l.next)
		b.Reset()
		method := "GET"
		if p.body {
			method = "POST"
		}
		fields := [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "a"}, {":path", path}}
		if p.body {
			fields = append(fields, [2]string{"content-length", "10"})
		}
		for _, f := range fields {
			enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		v.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b.Bytes(), EndStream: !p.body, EndHeaders: true})
		if p.body {
			v.frames.WriteData(id, false, []byte("half "))
		}
		v.keys, v.waits = append(v.keys, path), append(v.waits, seat{path, p.states})
	}
}

// leave does one of the things that a client can do in place of waiting.
func (v *leaver) leave(rnd *rand.Rand) {
	for range 1 + rnd.IntN(2) {
		deed := rnd.IntN(7)
		v.did += []string{" half", " notify", " reset", " close", " more", " rst", " goaway"}[deed]
		switch deed {
		case 0:
			v.raw.CloseWrite()
		case 1:
			if v.secure != nil {
				v.secure.CloseWrite()
			}
		case 2:
			v.raw.SetLinger(0)
			v.raw.Close()
		case 3:
			if v.frames != nil { // nobody could tell such an end from half of one
				v.raw.Close()
			}
		case 4:
			io.WriteString(v.conn(), "GET /next HTTP/1.1\r\nHost: a\r\n\r\n") // or no frame
		case 5:
			if v.frames != nil {
				v.frames.WriteRSTStream(1+2*rnd.Uint32N(4), http2.ErrCodeCancel)
			}
		case 6:
			if v.frames != nil {
				v.frames.WriteGoAway(0, http2.ErrCodeNo, nil)
			}
		}
	}
}

// seats are the states of the requests that `show sess` has, by their keys.
func (l *leaving) seats() map[string]string {
	text, err := l.lb.Command("show sess json")
	if err != nil {
		l.t.Fatal(err)
	}
	var list []struct{ Client, State, URI, Frontend string }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		l.t.Fatalf("%v: %s", err, text)
	}
	all := map[string]string{}
	for _, s := range list {
		_, port, _ := net.SplitHostPort(s.Client)
		all[port] += s.State
		if s.URI != "" {
			all[origin.ReplaceAllString(s.URI, "")] = s.State
		}
	}
	return all
}

// seated waits until all that clients have asked for waits where it should.
func (l *leaving) seated(clients []*leaver) {
	l.t.Helper()
	var missing []string
	defer func() {
		if l.t.Failed() {
			l.t.Logf("not there: %v", missing)
		}
	}()
	wait.Until(l.t, "requests to wait", func() bool {
		all := l.seats()
		missing = nil
		for _, v := range clients {
			for _, s := range v.waits {
				if !regexp.MustCompile(s.states).MatchString(all[s.key]) {
					missing = append(missing, fmt.Sprintf("%s %q TLS %v HTTP/2 %v", s.key, all[s.key], v.secure != nil, v.frames != nil))
				}
			}
		}
		return len(missing) == 0
	})
}

// gone waits until nothing is left of anybody.
func (l *leaving) gone(clients []*leaver) {
	l.t.Helper()
	left := ""
	defer func() {
		if l.t.Failed() {
			l.t.Logf("left: %s", left)
			for _, v := range clients {
				l.t.Logf("%v from %v TLS %v HTTP/2 %v:%s", v.keys, v.raw.LocalAddr(), v.secure != nil, v.frames != nil, v.did)
			}
		}
	}()
	wait.Until(l.t, "all that clients have asked for to end", func() bool {
		_, old, err := l.lb.Workers()
		if err != nil {
			l.t.Fatal(err)
		}
		left = ""
		for _, pid := range old {
			text, _ := l.lb.MasterCommand(fmt.Sprintf("@!%d show sess", pid))
			left += text
		}
		left += fmt.Sprint(l.seats(), " workers that leave: ", old, " connections to servers: ", l.here.Load())
		return len(l.seats()) == 0 && len(old) == 0 && l.here.Load() == 0
	})
	for _, row := range l.stat() {
		if row["pxname"] != "agents" && (strings.Trim(row["scur"], "0") != "" || strings.Trim(row["qcur"], "0") != "") {
			l.t.Errorf("%s/%s: scur %s, qcur %s", row["pxname"], row["svname"], row["scur"], row["qcur"])
		}
	}
}

// stat are the rows of `show stat`.
func (l *leaving) stat() (rows []map[string]string) {
	text, err := l.lb.Command("show stat")
	if err != nil {
		l.t.Fatal(err)
	}
	all, err := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(text, "# ")))).ReadAll()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// served asks for what is answered at once, on a connection of its own, and waits for its line.
func (l *leaving) served() {
	l.t.Helper()
	l.next++
	path := fmt.Sprintf("/prompt/%d", l.next)
	c, err := net.Dial("tcp", l.words["HTTP"])
	if err != nil {
		l.t.Fatal(err)
	}
	p := &peer{c: c.(*net.TCPConn)}
	defer p.close()
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	p.send("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	p.rest()
	if got := p.got.String(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, "\r\n\r\nok") {
		l.t.Fatalf("another client got %q, %s", got, p.ended)
	}
	wait.Until(l.t, "its line", func() bool { return len(l.of(path)) == 1 })
}

func (l *leaving) of(key string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines[key])
}

// round has some clients come, and leave at once or when their requests wait.
func (l *leaving) round(waits, reload bool) {
	l.t.Helper()
	l.mu.Lock()
	clear(l.lines)
	l.mu.Unlock()
	var clients []*leaver
	for _, p := range phases { // whoever takes the only place
		if !p.body && strings.HasSuffix(p.name, "queue") || p.name == "queue-body" {
			p.states, p.text = "forward|reply|exchange|connect", strings.Replace(p.text, "half ", "half  full", 1)
			clients = append(clients, l.come(p, 0))
		}
	}
	l.seated(clients)
	for range 40 {
		v := l.come(phases[l.rnd.IntN(len(phases))], l.rnd.IntN(4))
		clients = append(clients, v)
		if !waits {
			v.leave(l.rnd)
		}
	}
	if waits {
		l.seated(clients)
	}
	if reload {
		text := l.text
		if l.rnd.IntN(2) == 0 {
			text = strings.Replace(text, "# ABORTONCLOSE", "option abortonclose", 1)
		}
		if err := l.lb.Configure(text); err != nil {
			l.t.Fatal(err)
		}
		if out, err := l.lb.Reload(l.t.Context()); err != nil {
			l.t.Fatalf("%v: %s", err, out)
		}
	}
	var all sync.WaitGroup
	for i, v := range clients {
		rnd := rand.New(rand.NewPCG(l.rnd.Uint64(), uint64(i)))
		all.Go(func() { v.leave(rnd) })
	}
	all.Wait()
	l.served()
	for _, v := range clients { // those who are still there, or half of them
		v.raw.SetLinger(0)
		v.raw.Close()
	}
	l.gone(clients)
	l.served()
	for _, v := range clients {
		for _, key := range v.keys {
			if waits {
				wait.Until(l.t, "a line of "+key, func() bool { return len(l.of(key)) > 0 })
			}
			if lines := l.of(key); len(lines) > 1 {
				l.t.Errorf("%d lines of one request: %q", len(lines), lines)
			}
		}
	}
}

// TestClientsLeave: clients end or reset their connections and streams in every phase of a request, at once or when it waits, with a reload before or
// without. The balancer serves others, keeps nothing of them, and logs each request once. The long form chooses another seed each time; CHAOS_SEED repeats a run.
func TestClientsLeave(t *testing.T) {
	seed, rounds, until := uint64(1), 6, time.Time{}
	if os.Getenv("LB_LONG") != "" {
		seed, rounds, until = rand.Uint64()%1_000_000, 1<<30, time.Now().Add(10*time.Minute)
	}
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("CHAOS_SEED=%d", seed)
	l := &leaving{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), lines: map[string][]string{}}
	l.open()
	for i := 0; i < rounds && !t.Failed() && (until.IsZero() || time.Now().Before(until)); i++ {
		before, _, err := l.lb.Workers()
		if err != nil {
			t.Fatal(err)
		}
		reload := i%3 == 2
		l.round(i%2 == 0, reload)
		if now, _, err := l.lb.Workers(); err != nil || now != before && !reload {
			t.Errorf("worker %d became %d, %v", before, now, err)
		}
	}
	if text := l.lb.Leaks(); text != "" {
		t.Error(text)
	}
}
