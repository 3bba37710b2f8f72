package assemble

import (
	"bufio"
	"errors"
	"io"
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

	"lbsyslogd/lb/control"
	"lbsyslogd/lb/stats"
)

// agentLine is what an agent answers, which may change.
type agentLine struct{ atomic.Value }

func (a *agentLine) serve(c net.Conn) {
	io.WriteString(c, a.Load().(string)+"\n")
	c.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c)
}

// becomes waits until a server's row is as wanted.
func (g *generation) becomes(t *testing.T, proxy, what string, is func(r *stats.Row) bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is(g.row(t, stats.Server, proxy, "s")) {
		if time.Now().After(deadline) {
			r := g.row(t, stats.Server, proxy, "s")
			t.Fatalf("%s/s is not %s: %s, weight %d, maxconn %d, agent %s %q", proxy, what, r.StatusText(), r.Weight, r.SessLimit, r.AgentStatus, r.AgentInfo)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (g *generation) shows(t *testing.T, proxy, status string) {
	t.Helper()
	g.becomes(t, proxy, status, func(r *stats.Row) bool { return r.StatusText() == status })
}

const agentConfig = `defaults
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend f
  bind FRONT
  default_backend a
backend a
  server s SERVER weight 100 maxconn 50 agent-check agent-inter INTER agent-port PORT
`

// An agent's words have their effect, an operator's come over them, and all of
// it goes along with a reload.
func TestAgent(t *testing.T) {
	line := &agentLine{}
	line.Store("up")
	server := peer(t, talks(""))
	front := freeAddr(t)
	port := portOf(peer(t, line.serve))
	text := func(inter string) string {
		return strings.NewReplacer("FRONT", front, "SERVER", server, "INTER", inter, "PORT", port).Replace(agentConfig)
	}
	g := begin(t, text("20ms"), nil)
	say := func(words string) { line.Store(words) }
	g.becomes(t, "a", "known", func(r *stats.Row) bool { return r.AgentInfo == "via agent : up" })
	say("down # disk")
	g.shows(t, "a", "DOWN (agent)")
	say("75%")
	g.becomes(t, "a", "of weight 75", func(r *stats.Row) bool { return r.Weight == 75 && r.StatusText() == "DOWN (agent)" })
	say("up,drain maxconn:30")
	g.becomes(t, "a", "draining", func(r *stats.Row) bool { return r.StatusText() == "DRAIN (agent)" && r.SessLimit == 30 })
	say("maint")
	g.shows(t, "a", "MAINT")
	say("ready up 100%")
	g.becomes(t, "a", "back", func(r *stats.Row) bool { return r.StatusText() == "no check" && r.Weight == 100 })

	// An operator.
	ask := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	ask(g.EnableAgent("a", "s", false), nil)
	ask(g.SetAgent("a", "s", false), control.ErrNoAgent)
	ask(g.EnableAgent("a", "s", true), nil)
	say("50%")
	g.becomes(t, "a", "asked again", func(r *stats.Row) bool { return r.Weight == 50 })
	ask(g.SetAgent("a", "s", false), nil)
	g.shows(t, "a", "DOWN (agent)")
	ask(g.SetAgent("a", "s", true), nil)
	g.shows(t, "a", "no check")
	ask(g.SetAgent("a", "none", true), control.ErrNoServer)
	other := &agentLine{}
	other.Store("40%")
	n, err := strconv.Atoi(portOf(peer(t, other.serve)))
	if err != nil {
		t.Fatal(err)
	}
	ask(g.AgentTarget("a", "s", "127.0.0.1", n), nil)
	g.becomes(t, "a", "asked elsewhere", func(r *stats.Row) bool { return r.Weight == 40 })

	// A reload: the next worker asks where the configuration says, hears nothing
	// of the health, and knows all the same.
	other.Store("down")
	g.shows(t, "a", "DOWN (agent)")
	say("ready")
	next := g.follow(t, text("1h"))
	next.shows(t, "a", "DOWN (agent)")
	next.becomes(t, "a", "of the weight and maxconn before", func(r *stats.Row) bool { return r.Weight == 40 && r.SessLimit == 30 })
	ask(next.EnableAgent("a", "s", false), nil)
	last := next.follow(t, text("20ms"))
	if r := last.row(t, stats.Server, "a", "s"); r.AgentStatus != "" {
		t.Errorf("an agent that was disabled is asked after a reload: %s", r.AgentStatus)
	}
}

// Errors of the traffic take a server out; going down ends its sessions;
// servers that track it follow.
func TestObserveAndTrack(t *testing.T) {
	var broken atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(500)
		}
	}))
	t.Cleanup(s.Close)
	front, tcp := freeAddr(t), freeAddr(t)
	g := begin(t, strings.NewReplacer("FRONT", front, "TCP", tcp, "WEB", s.Listener.Addr().String(), "ECHO", peer(t, talks("hello"))).Replace(`defaults
  timeout connect 20s
  timeout client 20s
  timeout server 20s
frontend f
  mode http
  bind FRONT
  default_backend a
backend a
  mode http
  server s WEB check inter 1h observe layer7 error-limit 3 on-error mark-down
frontend t
  bind TCP
  default_backend b
backend b
  server s ECHO track a/s on-marked-down shutdown-sessions
backend c
  server s ECHO track b/s
`), nil)
	// Once an hour: it must not fail for want of processor time.
	g.becomes(t, "a", "checked", func(r *stats.Row) bool { return r.CheckStatus == "L4OK" })
	tunnel, err := net.Dial("tcp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	tunnel.SetDeadline(time.Now().Add(20 * time.Second))
	hello := make([]byte, 5)
	if _, err := io.ReadFull(tunnel, hello); err != nil {
		t.Fatal(err)
	}
	get := func() int {
		t.Helper()
		resp, err := http.Get("http://" + front + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	broken.Store(true)
	get()
	get()
	broken.Store(false)
	get() // in a row
	broken.Store(true)
	get()
	get()
	if r := g.row(t, stats.Server, "a", "s"); r.StatusText() != "UP" || r.HanaFail != 0 {
		t.Errorf("after two errors in a row: %s, %d", r.StatusText(), r.HanaFail)
	}
	get()
	g.shows(t, "a", "DOWN")
	r := g.row(t, stats.Server, "a", "s")
	if r.CheckStatus != "HANA" || r.CheckInfo != "Detected 3 consecutive errors, last one was: Wrong http response" || r.HanaFail != 1 || r.CheckDuration != -1 {
		t.Errorf("check %s %q, %d rows of errors, duration %d", r.CheckStatus, r.CheckInfo, r.HanaFail, r.CheckDuration)
	}
	g.shows(t, "b", "DOWN")
	g.shows(t, "c", "DOWN")
	if _, err := bufio.NewReader(tunnel).ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a session on a server that went down: %v", err)
	}
	if err := g.SetAdmin("a", "s", control.Maint); err != nil {
		t.Fatal(err)
	}
	g.shows(t, "b", "MAINT (via a/s)")
	g.shows(t, "c", "MAINT (via b/s)")
	if err := g.SetAdmin("a", "s", control.Ready); err != nil {
		t.Fatal(err)
	}
	g.becomes(t, "b", "up", func(r *stats.Row) bool { return r.State == stats.Running })
	g.becomes(t, "c", "up", func(r *stats.Row) bool { return r.State == stats.Running })
}

// A server hears its state with each check.
func TestSendState(t *testing.T) {
	var mu sync.Mutex
	var heard string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		heard = r.Header.Get("X-Haproxy-Server-State")
	}))
	t.Cleanup(s.Close)
	addr := s.Listener.Addr().String()
	begin(t, strings.NewReplacer("FRONT", freeAddr(t), "WEB", addr).Replace(`global
  node here
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 2s
frontend f
  bind FRONT
  default_backend a
backend a
  option httpchk
  http-check send-state
  server s WEB check inter 20ms weight 3
  server t WEB weight 4
`), nil)
	host, port, _ := net.SplitHostPort(addr)
	want := "UP; address=" + host + "; port=" + port + "; name=a/s; node=here; weight=3/7; scur=0/0; qcur=0"
	deadline := time.Now().Add(20 * time.Second)
	for {
		mu.Lock()
		got := heard
		mu.Unlock()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server heard %q, want %q", got, want)
		}
		<-time.After(5 * time.Millisecond)
	}
}
