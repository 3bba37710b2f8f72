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
