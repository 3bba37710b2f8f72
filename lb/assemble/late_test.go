package assemble

import (
	"os"
	"path/filepath"
	"testing"

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
