package stream

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/lb/backend"
	"lbsyslogd/test/wait"
)

// TestPooling is max-reuse and pool-max-conn: on which connection each of a client's six requests goes, over HTTP/1.1, and how many connections there
// are over HTTP/2.
func TestPooling(t *testing.T) {
	for _, c := range []struct {
		name         string
		reuse, idle  int
		want         string
		wantOfHTTP2  int32
		ofOneClients bool
	}{
		{"unlimited", -1, -1, "1.1 1.2 1.3 1.4 1.5 1.6", 1, false},
		{"reused twice", 2, -1, "1.1 1.2 1.3 2.1 2.2 2.3", 2, false},
		{"never reused", 0, -1, "1.1 2.1 3.1 4.1 5.1 6.1", 6, false},
		{"none idle", -1, 0, "1.1 2.1 3.1 4.1 5.1 6.1", 6, false},
		{"one idle", -1, 1, "1.1 1.2 1.3 1.4 1.5 1.6", 1, false},
		{"own ones are not counted", -1, 0, "1.1 1.2 1.3 1.4 1.5 1.6", 1, true},
		{"own ones are reused once", 1, 0, "1.1 1.2 2.1 2.2 3.1 3.2", 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			how := &Pooling{MaxReuse: c.reuse, MaxIdle: c.idle}
			bound := func(r *rig) {
				r.be.Reuse = ReuseAlways
				if c.ofOneClients {
					r.be.Reuse = ReuseNever
				}
				r.be.Pooling = map[*backend.Server]*Pooling{r.Servers[0]: how}
			}
			srv, _ := connServer(t)
			cl := connect(t, newRig(t, true, []string{srv}, bound).addr)
			var got []string
			for range 6 {
				body, _ := cl.ask(get)
				got = append(got, body)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
			srv, conns := serveHTTP2(t, false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a") })
			how = &Pooling{MaxReuse: c.reuse, MaxIdle: c.idle}
			r := newRig(t, true, []string{srv}, func(r *rig) { bound(r); speakHTTP2(r, false) })
			cl = connect(t, r.addr)
			for range 6 {
				cl.ask(get)
			}
			if n := conns.Load(); n != c.wantOfHTTP2 {
				t.Errorf("%d connections over HTTP/2, want %d", n, c.wantOfHTTP2)
			}
			r.Still(func() { r.closeIdle(r.Servers[0]) })
			wait.Until(t, "no connection to be counted as idle", func() bool { return how.idle.Load() == 0 })
		})
	}
}

// TestMaintenanceKeepsNoConnections: a server that goes into maintenance loses its idle connections at once, whoever they are kept for, and none
// becomes idle until it comes out.
func TestMaintenanceKeepsNoConnections(t *testing.T) {
	for _, reuse := range []Reuse{ReuseAlways, ReuseNever} {
		srv, _ := connServer(t)
		r := newRig(t, true, []string{srv}, func(r *rig) { r.be.Reuse = reuse })
		cl := connect(t, r.addr)
		want := func(body string) {
			t.Helper()
			if got, _ := cl.ask(get); got != body {
				t.Errorf("http-reuse %d: got %s, want %s", reuse, got, body)
			}
		}
		kept := func() (n int) {
			r.Shards[0].Loop.Call(func() { n = r.Shards[0].pools[0].idle() + r.Shards[0].pools[0].owned })
			return n
		}
		want("1.1")
		want("1.2")
		wait.Until(t, "the connection to be idle", func() bool { return kept() == 1 })
		r.Maintain(r.Servers[0], true)
		if n := kept(); n != 0 {
			t.Errorf("http-reuse %d: %d idle connections are kept", reuse, n)
		}
		want("2.1") // the backend sends requests there for as long as nobody has told it
		want("3.1")
		r.Maintain(r.Servers[0], false)
		kept() // after which it has been heard
		want("4.1")
		want("4.2")
	}
}
