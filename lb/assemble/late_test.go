package assemble

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/handoff"
	files "lbsyslogd/lb/lookup" // lookup is a function here
	"lbsyslogd/test/wait"
)

// TestChangesWhileTheNextWorkerBegins: what is changed at run time when the next worker has heard of all changes, and the one before still answers on the
// stats sockets, comes to the next, too: a value that was new, and then one that is the file's own again.
func TestChangesWhileTheNextWorkerBegins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hosts.map")
	if err := os.WriteFile(path, []byte("a red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend f\n  bind " + dir + "/f\n  maxconn 100\n  use_backend %[path,map(" + path + ")]\nbackend red\nbackend blue\n"
	g := begin(t, text, nil)
	for i, to := range []string{"blue", "green", "red"} {
		next := begin(t, text, g)
		if err := g.cfg.Files[0].Set(files.Ref{Key: "a"}, to); err != nil {
			t.Fatal(err)
		}
		if err := g.SetFrontendMaxConn("f", 50+i); err != nil {
			t.Fatal(err)
		}
		marks := len(next.history.Past(0).Marks)
		g.Drain()
		wait.Until(t, "the next worker to know of "+to, func() bool {
			return next.cfg.Files[0].Entries()[0].Value == to && next.eng.Frontends[0].Limit() == 50+i
		})
		if now := len(next.history.Past(0).Marks); now != marks {
			t.Errorf("%d marks in the history, %d before", now, marks)
		}
		g.left(t)
		g = next
	}
	next := g.follow(t, text) // which has nothing new to hear
	g.left(t)
	if to := next.cfg.Files[0].Entries()[0].Value; to != "red" {
		t.Errorf("it goes to %q", to)
	}
}

// TestServersAreSetWhileTheNextWorkerBegins: commands about servers that come when the next worker has the servers' state already, and the one before still
// answers on the stats sockets, hold in the next one: what was set then, and what was taken back.
func TestServersAreSetWhileTheNextWorkerBegins(t *testing.T) {
	dir, check, live, other := t.TempDir(), must(t), named(t, "live"), named(t, "other")
	text := "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend f\n  bind " + dir + "/f\n  maxconn 100\n  default_backend be\nbackend be\n" +
		"  server maint 127.0.0.1:9\n  server drain 127.0.0.1:9\n  server back 127.0.0.1:9\n  server weight 127.0.0.1:9\n  server conns 127.0.0.1:9\n  server down 127.0.0.1:9\n  server up 127.0.0.1:9\n" +
		"  server moved 127.0.0.1:9\n  server plain 127.0.0.1:9 ssl verify none\n  server tls 127.0.0.1:9 ssl verify none\n  server health LIVE check inter 1h\n" +
		"  server agent LIVE check inter 1h agent-check agent-port 9 agent-inter 1h\n  server places LIVE check inter 1h\n  server placed 127.0.0.1:9 check addr 127.0.0.1 port PORT inter 1h\n" +
		"  server untouched 127.0.0.1:9\n  server gone 127.0.0.1:9\n" +
		"backend follows\n  server f 127.0.0.1:9 track be/health\n"
	text = strings.NewReplacer("LIVE", live.String(), "PORT", strconv.Itoa(int(live.Port()))).Replace(text)
	g := begin(t, text, nil)
	check(g.SetAdmin("be", "back", control.Maint))
	check(g.Set.SetHealth("be", "up", control.HealthDown))
	check(g.SetServerTLS("be", "tls", false))
	check(g.CheckTarget("be", "placed", "", int(other.Port())))
	check(g.AddServer("be", "before", []string{"127.0.0.1:9"}))
	check(g.AddServer("be", "again", []string{"127.0.0.1:9"}))
	check(g.SetFrontendMaxConn("f", 50))
	check(g.SetRateLimit("sessions", 50))
	check(g.eng.PauseFrontend(g.eng.Frontends[0], true))
	next := begin(t, text, g)
	if !next.eng.Frontends[0].Paused() {
		t.Error("the frontend is not paused")
	}

	check(g.SetFrontendMaxConn("f", 100))
	check(g.SetRateLimit("sessions", 0))
	check(g.eng.PauseFrontend(g.eng.Frontends[0], false))
	check(g.SetAdmin("be", "maint", control.Maint))
	check(g.SetAdmin("be", "drain", control.Drain))
	check(g.SetAdmin("be", "back", control.Ready))
	check(g.SetWeight("be", "weight", 0))
	check(g.SetMaxConn("be", "conns", 7))
	check(g.Set.SetHealth("be", "down", control.HealthDown))
	check(g.Set.SetHealth("be", "up", control.HealthUp))
	check(g.MoveServer("be", "moved", netip.MustParseAddr("127.0.0.3"), "19"))
	check(g.SetAdmin("be", "moved", control.Drain))
	check(g.SetServerTLS("be", "plain", false))
	check(g.SetServerTLS("be", "tls", true))
	check(g.SetAdmin("be", "health", control.Maint))
	check(g.EnableHealth("be", "health", false))
	check(g.EnableAgent("be", "agent", false))
	check(g.CheckTarget("be", "places", "", int(other.Port())))
	check(g.CheckTarget("be", "placed", "", int(live.Port())))
	check(g.AddServer("be", "added", []string{"127.0.0.1:9"}))
	check(g.SetAdmin("be", "added", control.Ready))
	check(g.SetAdmin("be", "gone", control.Maint))
	check(g.DelServer("be", "gone"))
	check(g.DelServer("be", "before"))
	check(g.DelServer("be", "again"))
	check(g.AddServer("be", "again", []string{"127.0.0.1:9", "weight", "3"}))
	check(next.SetWeight("be", "untouched", 0)) // at the next: what nobody touches here stays as it is there
	states := func(g *generation) map[string]control.ServerState {
		all, err := g.Servers("")
		check(err)
		m := map[string]control.ServerState{}
		for _, s := range all {
			s.LastChange, s.ID, s.CheckStatus, s.CheckResult, s.CheckHealth = 0, 0, 0, 0, 0 // which differ with the time
			m[s.Backend+"/"+s.Name] = s
		}
		return m
	}
	want := states(g)
	changes := func(g *generation) string {
		var text []string
		for _, c := range g.RuntimeChanges() {
			if !strings.HasPrefix(c.What, "server be/untouched") {
				text = append(text, c.What+": "+c.Now)
			}
		}
		slices.Sort(text)
		return strings.Join(text, "\n")
	}
	g.Drain()
	next.told(t) // which comes after it
	for name, s := range states(next) {
		is := want[name]
		if name == "be/untouched" {
			is.Weight = 0
		}
		if s != is {
			t.Errorf("%s:\n%+v, want\n%+v", name, s, is)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("these are missing: %v", want)
	}
	if next.eng.Frontends[0].Paused() {
		t.Error("the frontend is still paused")
	}
	if was, is := changes(g), changes(next); was != is {
		t.Errorf("changed is\n%s\nwant\n%s", is, was)
	}
}

// TestHealthIsTheCheckersOwn: what the next worker's checks have found since is not undone because something else of the server was set.
func TestHealthIsTheCheckersOwn(t *testing.T) {
	dir, check := t.TempDir(), must(t)
	text := "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend f\n  bind " + dir + "/f\n  default_backend be\nbackend be\n  server s " + named(t, "s").String() + " check inter 1h\n  server o 127.0.0.1:9\n"
	g := begin(t, text, nil)
	next := begin(t, text, g)
	check(g.SetWeight("be", "s", 0))
	check(next.Set.SetHealth("be", "s", control.HealthDown)) // as its checks would
	g.Drain()
	next.told(t)
	s, err := next.Find("be", "s")
	check(err)
	if st := s.Target().Stats(); st.Weight != 0 || st.Health {
		t.Errorf("weight %d, healthy %v", st.Weight, st.Health)
	}
}

// TestNothingIsAskedInVain: a worker whose configuration is refused at once does not ask the one before for all that it has.
func TestNothingIsAskedInVain(t *testing.T) {
	cfg, err := config.LoadSources([]cfgfile.Source{{Name: "test.cfg", Data: []byte("backend be\n  server s 127.0.0.1:9\n")}}, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	env := Env{Pid: 1, Started: time.Now(), Logger: slog.New(slog.DiscardHandler)}
	if env.Former, err = handoff.NewConn(theirs); err != nil {
		t.Fatal(err)
	}
	defer env.Former.Close()
	b := newBuilder(cfg, env)
	b.something()
	if b.ask() != nil {
		t.Error("it asks")
	}
	if _, err := Build(cfg, new(handoff.Set), env); !errors.Is(err, ErrNothing) {
		t.Fatalf("built: %v", err)
	}
}
