package assemble

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lbsyslogd/lb/control"
	"lbsyslogd/test/wait"
)

// named is a server that says its name.
func named(t *testing.T, name string) (addr netip.AddrPort) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// must makes a check of an error for a chain of commands.
func must(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// askers ask all the time until stop, and fail the test at the first answer that is not 200. seen counts the servers.
func askers(t *testing.T, addr string) (seen func(name string) int64, stop func()) {
	var done atomic.Bool
	var all sync.WaitGroup
	counts := map[string]*atomic.Int64{"s1": {}, "s2": {}, "n1": {}}
	for range 3 {
		all.Go(func() {
			for !done.Load() {
				a, err := http.Get("http://" + addr + "/")
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				body, _ := io.ReadAll(a.Body)
				a.Body.Close()
				if n := counts[string(body)]; a.StatusCode != 200 || n == nil {
					t.Errorf("%d %q", a.StatusCode, body)
					return
				} else {
					n.Add(1)
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { done.Store(true); all.Wait() })
	t.Cleanup(stop)
	return func(name string) int64 { return counts[name].Load() }, stop
}

// TestServersComeAndGo adds, moves and removes servers under load, and finds all of it again in the workers after that, until it is cleared.
func TestServersComeAndGo(t *testing.T) {
	s1, s2, n1 := named(t, "s1"), named(t, "s2"), named(t, "n1")
	addr := freeAddr(t)
	text := strings.TrimSpace(configFor(addr, s1.String(), "")) + fmt.Sprintf("\n    server s2 %s\n", s2)
	text = strings.Replace(text, "frontend ", "frontend still\n    bind "+freeAddr(t)+"\n    default_backend be\nbackend idle\n    server i1 127.0.0.1:9\nfrontend ", 1)
	g := begin(t, text, nil)
	seen, stop := askers(t, addr)
	grows := func(name string) {
		t.Helper()
		before := seen(name)
		wait.Until(t, name+" is asked", func() bool { return t.Failed() || seen(name) > before+3 })
	}
	check := must(t)
	add := strings.Fields(n1.String() + " check inter 10ms weight 3")
	for range 5 {
		check(g.AddServer("be", "n1", add))
		check(g.EnableHealth("be", "n1", true))
		check(g.SetAdmin("be", "n1", control.Ready))
		grows("n1")
		if err := g.DelServer("be", "n1"); err == nil {
			t.Fatal("a server in service was deleted")
		}
		check(g.SetAdmin("be", "n1", control.Maint))
		wait.Until(t, "n1 can be deleted", func() bool { return g.DelServer("be", "n1") == nil })
	}
	check(g.AddServer("be", "n1", add))
	check(g.EnableHealth("be", "n1", true))
	check(g.SetAdmin("be", "n1", control.Ready))
	check(g.SetAdmin("be", "s2", control.Maint))
	wait.Until(t, "s2 can be deleted", func() bool { return g.DelServer("be", "s2") == nil })
	check(g.MoveServer("be", "s1", s2.Addr(), fmt.Sprint(s2.Port()))) // s1's name, s2's address
	grows("s2")
	check(g.SetVar("proc.x", "str(a)", false))
	check(g.SetRateLimit("connections", 99999))
	check(g.SetFrontend("still", false))
	check(g.SetHealth("idle", "i1", control.HealthDown))
	was := seen("s1")
	want := g.RuntimeChanges()
	for range 2 {
		g = g.follow(t, text)
		if got := g.RuntimeChanges(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after a reload:\n%v\nwant\n%v", got, want)
		}
		grows("n1")
		grows("s2")
	}
	if kind, value, _ := g.GetVar("proc.x"); kind != "str" || value != "a" {
		t.Errorf("the variable is %s %q", kind, value)
	}
	if n := seen("s1"); n > was+3 { // a request was on its way to each loop
		t.Errorf("%d requests went to where s1 was", n-was)
	}
	// What the file says now is not undone: s1 moved there, n1 is in it.
	g = g.follow(t, strings.Replace(text, s1.String(), s1.String()+" weight 9", 1)+"    server n1 "+n1.String()+"\n")
	changes := fmt.Sprint(g.RuntimeChanges())
	if strings.Contains(changes, "n1: added") || !strings.Contains(changes, "s2 removed") || !strings.Contains(changes, "be/s1 at ") {
		t.Errorf("after the file has changed: %s", changes)
	}
	wait.Until(t, "all is undone", func() bool { return g.ClearRuntimeChanges() == nil })
	if got := g.RuntimeChanges(); len(got) != 0 {
		t.Errorf("after a clear: %v", got)
	}
	for _, r := range g.Snapshot().Rows {
		if r.Proxy == "still" && r.Status != "OPEN" || r.Name == "i1" && r.Status == "DOWN" {
			t.Errorf("%s is %s", r.Proxy, r.Status)
		}
	}
	grows("s1")
	grows("s2")
	grows("n1")
	stop()
	if rows, err := g.Servers("be"); err != nil || len(rows) != 3 {
		t.Errorf("%d servers, %v", len(rows), err)
	}
}

// TestAddedServerRefused: what add server refuses, in HAProxy's words.
func TestAddedServerRefused(t *testing.T) {
	addr, none := freeAddr(t), filepath.Join(t.TempDir(), "none")
	text := strings.TrimSpace(configFor(addr, "127.0.0.1:9", "")) + "\n    server c 127.0.0.1:9 check inter 1h\n    server ag 127.0.0.1:9 agent-check agent-port 9 agent-inter 1h\n    server t 127.0.0.1:9 track c\n"
	g := begin(t, text, nil)
	for _, c := range [][2]string{
		{"weight 300", "weight of server n is not within 0 and 256 (300).."},
		{"weight -3", "weight of server n is not within 0 and 256 (-3).."},
		{"ssl ca-file " + none, "'ca-file' : unable to load " + none + "."},
		{"check check-ssl ca-file " + none, "'ca-file' : unable to load " + none + "."},
		{"ssl ca-file @system-ca crl-file " + none, "'crl-file' : unable to load " + none + "."},
		{"track be/s1", "unable to use be/s1 for tracking as it does not have any check nor agent enabled."},
		{"track s1", "unable to use be/s1 for tracking as it does not have any check nor agent enabled."},
		{"track be/none", "unable to find required server 'none' for tracking."},
		{"track none/none", "unable to find required proxy 'none' for tracking."},
		{"track c check", "unable to enable checks and tracking at the same time!"},
		{"track c", ""}, {"track be/ag", ""}, {"track be/t", ""},
	} {
		err := g.AddServer("be", "n", strings.Fields("127.0.0.1:9 "+c[0]))
		if err == nil {
			err = g.DelServer("be", "n")
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
}
