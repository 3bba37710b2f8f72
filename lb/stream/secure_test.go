package stream

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/test/accept"
	"lbsyslogd/test/wait"
)

// tlsServer is a server over TLS that says how its client came.
type tlsServer struct {
	*httptest.Server
	addr string

	mu    sync.Mutex
	conns int
	alive map[net.Conn]bool
}

func newTLSServer(t *testing.T, adjust func(*tls.Config)) *tlsServer {
	t.Helper()
	s := &tlsServer{alive: map[net.Conn]bool{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/upgrade" {
			c, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			io.Copy(c, rw)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s sni=%s resumed=%v %d", r.URL.Path, r.TLS.ServerName, r.TLS.DidResume, len(body))
		if n := r.URL.Query().Get("n"); n != "" {
			var size int
			fmt.Sscan(n, &size)
			w.Write(bodyOf(1, size))
		}
	}))
	s.TLS = &tls.Config{}
	s.EnableHTTP2 = false
	s.Config.ConnState = func(c net.Conn, st http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch st {
		case http.StateNew:
			s.conns++
			s.alive[c] = true
		case http.StateClosed, http.StateHijacked:
			delete(s.alive, c)
		}
	}
	if adjust != nil {
		adjust(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.addr = strings.TrimPrefix(s.URL, "https://")
	return s
}

func (s *tlsServer) count() (made, alive int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns, len(s.alive)
}

// toTLS makes all servers of a rig ones that are spoken to over TLS.
func toTLS(t *testing.T, cfg *tls.Config, sni string) func(*rig) {
	t.Helper()
	how := &ServerTLS{Config: cfg, Demands: "the same"}
	if sni != "" {
		f, err := logformat.ParseText("%["+sni+"]", nil)
		if err != nil {
			t.Fatal(err)
		}
		how.SNI = f
	}
	return func(r *rig) {
		r.be.TLS = map[*backend.Server]*ServerTLS{}
		for _, s := range r.Servers {
			r.be.TLS[s] = how
		}
		r.be.Retries = 1
	}
}

func trusting() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
}

func askFor(t *testing.T, c *client, path, host string) string {
	t.Helper()
	c.say("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	a, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(path, err)
	}
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(path, err)
	}
	return fmt.Sprintf("%d %s", a.StatusCode, body)
}

// TestTLSToServers: requests go over TLS, with the name of the request, over
// connections that are kept for that name, and sessions are resumed.
func TestTLSToServers(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			srv := newTLSServer(t, func(c *tls.Config) { c.MaxVersion = version })
			r := newRig(t, true, []string{srv.addr}, func(r *rig) {
				toTLS(t, trusting(), "req.hdr(host)")(r)
				r.be.Reuse = ReuseAlways
			})
			c := connect(t, r.addr)
			for i, want := range []struct{ host, answer string }{
				{"a.example", "200 /0 sni=a.example resumed=false 0"}, {"a.example", "200 /1 sni=a.example resumed=false 0"},
				{"b.example:8443", "200 /2 sni=b.example resumed=false 0"}, {"a.example", "200 /3 sni=a.example resumed=false 0"},
				{"127.0.0.1", "200 /4 sni= resumed=false 0"},
			} {
				if got := askFor(t, c, fmt.Sprintf("/%d", i), want.host); got != want.answer {
					t.Errorf("%s: %s, want %s", want.host, got, want.answer)
				}
			}
			if made, _ := srv.count(); made != 3 {
				t.Errorf("%d connections were made, want one for each name", made)
			}
			// Two at once need another connection, which resumes the session.
			d := connect(t, r.addr)
			d.say("POST /slow HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n1")
			wait.Until(t, "it to be under way", func() bool { return r.Servers[0].Load() == 1 })
			if got := askFor(t, c, "/9", "a.example"); got != "200 /9 sni=a.example resumed=true 0" {
				t.Error(got)
			}
			d.say("23")
			if a, err := http.ReadResponse(d.r, nil); err != nil || a.StatusCode != 200 {
				t.Error(a, err)
			}
		})
	}
}

// TestTLSToServersMovesBytes: bodies of every size, both ways.
func TestTLSToServersMovesBytes(t *testing.T) {
	srv := newTLSServer(t, nil)
	r := newRig(t, true, []string{srv.addr}, toTLS(t, trusting(), ""))
	for _, size := range []int{0, 1, 16 << 10, 100_000, 3 << 20} {
		body := bodyOf(2, size)
		a, err := http.Post(fmt.Sprintf("http://%s/x?n=%d", r.addr, size), "a/b", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(a.Body)
		a.Body.Close()
		first := fmt.Sprintf("/x sni= resumed=%v %d", strings.Contains(string(got[:30]), "true"), size)
		if err != nil || string(got) != first+string(bodyOf(1, size)) {
			t.Errorf("%d bytes: %d came, %v", size, len(got), err)
		}
	}
}

// TestTLSToServersFails: a handshake that fails, or takes too long, is a
// connection that could not be made.
func TestTLSToServersFails(t *testing.T) {
	trusted := newTLSServer(t, nil)
	plain := pathServer(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, tt := range map[string]struct {
		addr string
		cfg  *tls.Config
	}{
		"nobody trusts it":   {trusted.addr, &tls.Config{ServerName: "x"}},
		"it speaks plain":    {plain, trusting()},
		"it says nothing":    {silent.Addr().String(), trusting()},
		"no version is left": {trusted.addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, []string{tt.addr}, func(r *rig) {
				toTLS(t, tt.cfg, "")(r)
				r.be.Timeouts.Connect = 200
			})
			c := connect(t, r.addr)
			if got := askFor(t, c, "/", "a"); !strings.HasPrefix(got, "503") {
				t.Error(got)
			}
			n := r.Shards[0].Read().Server[0]
			if n.ErrConn != 1 || n.Retries != 1 {
				t.Errorf("%d errors and %d retries are counted", n.ErrConn, n.Retries)
			}
			if r.Servers[0].Load() != 0 {
				t.Error("a place is taken")
			}
		})
	}
}

// TestTLSToServersMoves: idle connections, and tunnels with TLS on both sides,
// go along to the next generation.
func TestTLSToServersMoves(t *testing.T) {
	srv := newTLSServer(t, nil)
	chain := &secureChain{t: t, adjust: func(r *rig) {}, server: srv.addr, http: true}
	front, back := secure(t), toTLS(t, trusting(), "")
	chain.adjust = func(r *rig) { front(r); back(r); r.be.Reuse = ReuseAlways }
	// What was not needed at once of late is closed now and then, and when it
	// moves: not within this test.
	keepAll := func() {
		for _, sh := range chain.rigs[len(chain.rigs)-1].Shards {
			sh.Loop.Call(func() {
				sh.Loop.Disarm(&sh.trim)
				sh.pools[0].need = 2
			})
		}
	}
	chain.next(nil)
	keepAll()
	k, tunnel := secureClient(t, chain.rigs[0].addr, &tls.Config{}), secureClient(t, chain.rigs[0].addr, &tls.Config{})
	tunnel.say("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if a, err := http.ReadResponse(tunnel.r, nil); err != nil || a.StatusCode != 101 {
		t.Fatal(a, err)
	}
	if got := askFor(t, k, "/first", "a"); !strings.HasPrefix(got, "200 /first") {
		t.Fatal(got)
	}
	chain.rigs[0].Shards[0].Loop.Call(func() {
		for c := chain.rigs[0].Shards[0].pools[0].head; c != nil; c = c.next {
			if i := c.Info(); i == nil || i.Version != tls.VersionTLS13 {
				t.Errorf("an idle connection has %+v", i)
			}
		}
	})
	keepAll()
	made, _ := srv.count()
	for round := range 3 {
		old, a := chain.move(nil)
		keepAll()
		awaitEmpty(t, old.Engine)
		if c, tun, s := a.moved(SecureClientParcel), a.moved(SecureTunnelParcel), a.moved(SecureServerParcel); c != 1 || tun != 1 || s != 1 {
			t.Errorf("%d clients, %d tunnels, %d server connections moved", c, tun, s)
		}
		if got := askFor(t, k, "/next", "a"); !strings.HasPrefix(got, "200 /next") {
			t.Fatal(got)
		}
		tunnel.say(fmt.Sprintf("round %d", round))
		tunnel.hear(fmt.Sprintf("round %d", round))
	}
	if now, _ := srv.count(); now != made {
		t.Errorf("%d connections were made after the moves", now-made)
	}
	// One whose configuration demands something else begins anew.
	old, a := chain.move(func(r *rig) {
		for s, how := range r.be.TLS {
			other := *how
			other.Demands = "another authority"
			r.be.TLS[s] = &other
		}
	})
	keepAll()
	if got := askFor(t, k, "/last", "a"); !strings.HasPrefix(got, "200 /last") {
		t.Fatal(got)
	}
	wait.Until(t, "the idle one to be closed", func() bool { _, alive := srv.count(); return alive == 1 })
	if n := a.moved(SecureServerParcel); n != 0 {
		t.Errorf("%d server connections moved", n)
	}
	tunnel.say("goes on")
	tunnel.hear("goes on")
	tunnel.Close()
	awaitEmpty(t, old.Engine)
}

// TestTLSToServersInTCPMode: mode tcp, plain to the client.
func TestTLSToServersInTCPMode(t *testing.T) {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", certificate(t))
	if err != nil {
		t.Fatal(err)
	}
	accept.On(t, ln, func(c net.Conn) {
		io.Copy(c, c)
		c.(*tls.Conn).CloseWrite()
	})
	r := newRig(t, false, []string{ln.Addr().String()}, toTLS(t, trusting(), "str(tcp.example)"))
	c := connect(t, r.addr)
	c.say("hello")
	c.hear("hello")
	c.CloseWrite()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestRenewTLS: when a file is replaced that connections to servers were made with, the next request goes over a new one, whether the others were idle
// or in use.
func TestRenewTLS(t *testing.T) {
	srv := newTLSServer(t, nil)
	use := toTLS(t, trusting(), "")
	r := newRig(t, true, []string{srv.addr}, func(r *rig) {
		use(r)
		r.be.Reuse = ReuseAlways
		r.be.TLS[r.Servers[0]].Files = []string{"ca.pem"}
	})
	cl := connect(t, r.addr)
	made := func(want int) {
		t.Helper()
		if n, _ := srv.count(); n != want {
			t.Errorf("%d connections were made, want %d", n, want)
		}
	}
	askFor(t, cl, "/1", "a")
	r.RenewTLS("other.pem")
	askFor(t, cl, "/2", "a")
	made(1)
	r.RenewTLS("ca.pem")
	askFor(t, cl, "/3", "a")
	made(2)
	other := connect(t, r.addr)
	other.say("POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
	wait.Until(t, "the request to be on its way", func() bool {
		busy := false
		r.Still(func() { busy = r.Shards[0].pools[0].used == 1 })
		return busy
	})
	r.RenewTLS("ca.pem")
	other.say("2")
	if _, err := http.ReadResponse(other.r, nil); err != nil {
		t.Fatal(err)
	}
	askFor(t, cl, "/5", "a")
	made(3)
}
