package stream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"lbsyslogd/lb/backend"
	"lbsyslogd/test/wait"
)

// connServer answers with the number of the connection and of the request on
// it, then the path.
func connServer(t *testing.T) (addr string, conns *atomic.Int32) {
	conns = new(atomic.Int32)
	return script(t, func(c *net.TCPConn, br *bufio.Reader) {
		id := conns.Add(1)
		for i := 1; ; i++ {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			text := fmt.Sprintf("%d.%d", id, i)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
	}), conns
}

// ask has one request answered and gives the body.
func (c *client) ask(request string) (body string, resp *http.Response) {
	c.t.Helper()
	c.say(request)
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("%q: %v", request, err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%q: %v", request, err)
	}
	return string(b), resp
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestReusePolicies: which connection gets a client's first request, and which
// its second, as the manual has it (F1).
func TestReusePolicies(t *testing.T) {
	for _, c := range []struct {
		policy Reuse
		name   string
		want   string // by clients 1, 1, 2, 2, 3, 3: connection.request
	}{
		{ReuseNever, "never", "1.1 1.2 2.1 2.2 3.1 3.2"},
		{ReuseSafe, "safe", "1.1 1.2 2.1 1.3 3.1 1.4"},
		{ReuseAggressive, "aggressive", "1.1 1.2 1.3 1.4 1.5 1.6"},
		{ReuseAlways, "always", "1.1 1.2 1.3 1.4 1.5 1.6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv, _ := connServer(t)
			r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = c.policy })
			var got []string
			for range 3 {
				cl := connect(t, r.addr)
				for range 2 {
					body, _ := cl.ask(get)
					got = append(got, body)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
		})
	}
	t.Run("aggressive, unproven", func(t *testing.T) {
		srv, _ := connServer(t)
		r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = ReuseAggressive })
		for i := range 3 { // none has carried a second request
			if body, _ := connect(t, r.addr).ask(get); body != fmt.Sprintf("%d.1", i+1) {
				t.Errorf("got %s", body)
			}
		}
	})
}

// TestBytesOfAnIdleConnectionAnswerNobody: what a server writes before the
// request was sent is dropped with its connection, however well it is formed and
// however late the loop hears of it (B06).
func TestBytesOfAnIdleConnectionAnswerNobody(t *testing.T) {
	idle := make(chan *net.TCPConn, 100)
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		for readHead(br) != "" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
			idle <- c
		}
	})
	for _, policy := range []Reuse{ReuseNever, ReuseSafe, ReuseAggressive, ReuseAlways} {
		r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = policy })
		cl := connect(t, r.addr)
		cl.ask(get)
		for _, stale := range []string{
			"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
			"HTTP/1.1 408 Request Time-out\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 100 Continue\r\n\r\n",
		} {
			server := <-idle
			r.Shards[0].Loop.Call(func() { // the process stands still
				cl.say(get)
				io.WriteString(server, stale)
			})
			if resp, err := http.ReadResponse(cl.r, nil); err != nil || resp.StatusCode != 200 {
				t.Errorf("policy %d: %v %v", policy, resp, err)
			} else if b, _ := io.ReadAll(resp.Body); string(b) != "good" {
				t.Errorf("policy %d: got %q", policy, b)
			}
		}
		<-idle
	}
}

// TestEarlyAnswerEndsTheConnection: a server that answers before it has read
// the request's body may take that for the next request. Nobody else gets what
// it answers to it, and the body is passed on.
func TestEarlyAnswerEndsTheConnection(t *testing.T) {
	asked, gate := make(chan string, 10), make(chan struct{})
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		for {
			head := readHead(br)
			if head == "" {
				return
			}
			asked <- head
			if strings.Contains(head, "/smuggled") { // answered when the victim has asked
				<-gate
			}
			text := strings.Fields(head)[1]
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = ReuseAlways })
	attacker := connect(t, r.addr)
	if body, _ := attacker.ask(fmt.Sprintf("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(smuggled))); body != "/a" {
		t.Fatalf("got %q", body)
	}
	<-asked
	attacker.say(smuggled)
	if got := <-asked; got != "GET /smuggled HTTP/1.1" {
		t.Fatalf("the server read %q", got)
	}
	victim, sent := connect(t, r.addr), func() uint64 { return r.Shards[0].Read().Server[0].BytesIn }
	before := sent()
	victim.say("GET /victim HTTP/1.1\r\nHost: a\r\n\r\n")
	wait.Until(t, "the victim's request to be sent", func() bool { return sent() > before })
	close(gate)
	if body, _ := victim.ask(""); body != "/victim" {
		t.Errorf("the victim got %q", body)
	}
	if body, _ := attacker.ask("GET /again HTTP/1.1\r\nHost: a\r\n\r\n"); body != "/again" {
		t.Errorf("the attacker got %q", body)
	}
}

// TestFinalAnswerInPlaceOfContinue: a client that was refused before it sent
// its body may send that or not, so that its connection ends.
func TestFinalAnswerInPlaceOfContinue(t *testing.T) {
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		for head := readHead(br); head != ""; head = readHead(br) {
			if strings.HasPrefix(head, "POST /yes") {
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
				br.Discard(3)
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		}
	})
	r := newRig(t, true, []string{srv}, nil)
	cl := connect(t, r.addr)
	cl.say("POST /yes HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	cl.hear("HTTP/1.1 100 Continue\r\n\r\n")
	if _, resp := cl.ask("abc"); resp.Close {
		t.Error("a client that was told to continue loses its connection")
	}
	for _, expect := range []string{"100-continue", "x, 100-Continue"} {
		cl := connect(t, r.addr)
		if _, resp := cl.ask("POST /no HTTP/1.1\r\nHost: a\r\nExpect: " + expect + "\r\nContent-Length: 3\r\n\r\n"); !resp.Close {
			t.Errorf("%s: a client that was refused keeps its connection", expect)
		}
		if _, err := cl.r.ReadByte(); err != io.EOF {
			t.Errorf("%s: %v", expect, err)
		}
	}
}

// ntlmServer authenticates connections: after a challenge the next request
// with credentials makes the connection its user's, whoever sends what follows.
func ntlmServer(t *testing.T, challenge string) (addr string) {
	conns := new(atomic.Int32)
	return script(t, func(c *net.TCPConn, br *bufio.Reader) {
		id, user := conns.Add(1), ""
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if a := req.Header.Get("Authorization"); a != "" {
				user = a
			}
			text := fmt.Sprintf("%d %s", id, user)
			status := "200 OK\r\n"
			if user == "" && req.URL.Path == "/private" {
				status = "401 Unauthorized\r\n" + challenge
			}
			fmt.Fprintf(c, "HTTP/1.1 %sContent-Length: %d\r\n\r\n%s", status, len(text), text)
		}
	})
}

const (
	private  = "GET /private HTTP/1.1\r\nHost: a\r\n\r\n"
	loggedIn = "GET /private HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n"
)

// TestAuthenticatedConnectionsArePrivate: a connection whose server challenged
// it with NTLM or Negotiate, or that was sent such credentials, is its client's
// from then on, and the client stays with it.
func TestAuthenticatedConnectionsArePrivate(t *testing.T) {
	for _, c := range []struct {
		name, challenge, credentials string
		preemptive, shared           bool
	}{
		{"NTLM", "WWW-Authenticate: NTLM\r\n", "NTLM me", false, false},
		{"in a list", "WWW-Authenticate: Basic realm=\"a, b\", negotiate\r\n", "Negotiate me", false, false},
		{"in a second field", "WWW-Authenticate: Basic realm=x\r\nWWW-Authenticate: NTLM TlRMTVNT\r\n", "NTLM me", false, false},
		{"unasked", "", "Negotiate me", true, false},
		{"Basic", "WWW-Authenticate: Basic realm=NTLM\r\n", "Basic me", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := ntlmServer(t, c.challenge), ntlmServer(t, c.challenge)
			r := newRig(t, true, []string{a, b}, func(r *rig) {
				r.be.Reuse = ReuseAlways
				r.be.Backend = backend.New(backend.Options{Name: "be", Algo: backend.RoundRobin}, r.Servers)
			})
			me := connect(t, r.addr)
			if !c.preemptive {
				me.ask(private)
			}
			mine, _ := me.ask(fmt.Sprintf(loggedIn, c.credentials))
			for range 6 {
				other, _ := connect(t, r.addr).ask(get)
				if (strings.Contains(other, "me")) && !c.shared {
					t.Errorf("another client is taken for %q", other)
				}
			}
			for range 4 {
				if again, _ := me.ask(get); again != mine && !c.shared {
					t.Errorf("I was %q, and am now %q", mine, again)
				}
			}
		})
	}
}

// TestAuthenticatedConnectionsMove: over a reload too the connection is its
// client's and nobody else's.
func TestAuthenticatedConnectionsMove(t *testing.T) {
	srv := ntlmServer(t, "WWW-Authenticate: NTLM\r\n")
	always := func(r *rig) { r.be.Reuse = ReuseAlways }
	old, next := newRig(t, true, []string{srv}, always), newRig(t, true, []string{srv}, always)
	a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
	me, leaver := connect(t, old.addr), connect(t, old.addr)
	me.ask(private)
	mine, _ := me.ask(fmt.Sprintf(loggedIn, "NTLM me"))
	leaver.ask(private)
	leaver.ask(fmt.Sprintf(loggedIn, "NTLM leaver"))
	old.Handover(a.carry)
	awaitEmpty(t, old.Engine)
	if again, _ := me.ask(get); again != mine {
		t.Errorf("I was %q, and am now %q", mine, again)
	}
	leaver.Close()
	for range 4 {
		if other, _ := connect(t, next.addr).ask(get); strings.Contains(other, "me") || strings.Contains(other, "leaver") {
			t.Errorf("another client is taken for %q", other)
		}
	}
	if again, _ := me.ask(get); again != mine {
		t.Errorf("I was %q, and am now %q", mine, again)
	}
}

// TestPrivateConnectionOfOneThatStays: a client whom the next process does not
// take keeps its connection here.
func TestPrivateConnectionOfOneThatStays(t *testing.T) {
	srv := ntlmServer(t, "WWW-Authenticate: NTLM\r\n")
	old, _, a := pair(t, true, srv)
	a.refuse = func(*Parcel) bool { return true }
	me := connect(t, old.addr)
	me.ask(private)
	mine, _ := me.ask(fmt.Sprintf(loggedIn, "NTLM me"))
	old.Handover(a.carry)
	wait.Until(t, "the answer of the next process", func() (stays bool) {
		old.Shards[0].Loop.Call(func() { stays = old.Shards[0].sessions.head.next.fixed })
		return stays
	})
	if again, _ := me.ask(get); again != mine {
		t.Errorf("I was %q, and am now %q", mine, again)
	}
}

// TestAuthenticatedConnectionsOverHTTP2: the streams of one connection are one client's,
// and go on over the server connection that knows it; another client never does.
func TestAuthenticatedConnectionsOverHTTP2(t *testing.T) {
	srv := ntlmServer(t, "WWW-Authenticate: NTLM\r\n")
	r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = ReuseAlways })
	ask := func(c *http.Client, path, credentials string) string {
		t.Helper()
		req, _ := http.NewRequest("GET", "http://"+r.addr+path, nil)
		if credentials != "" {
			req.Header.Set("Authorization", credentials)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	me, other := http2Plain.client(t), http2Plain.client(t)
	ask(me, "/private", "")
	mine := ask(me, "/private", "NTLM me")
	if !strings.HasSuffix(mine, "NTLM me") {
		t.Fatalf("the answer to the one who logs in is %q", mine)
	}
	for range 4 {
		if again := ask(me, "/private", ""); again != mine {
			t.Errorf("I was %q, and am now %q", mine, again)
		}
		if got := ask(other, "/", ""); strings.Contains(got, "me") {
			t.Errorf("another client is taken for %q", got)
		}
	}
	me.CloseIdleConnections()
	for range 4 {
		if got := ask(other, "/", ""); strings.Contains(got, "me") {
			t.Errorf("when the client is gone another one is taken for %q", got)
		}
	}
}
