package assemble

import (
	"io"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lbsyslogd/lb/stream"
)

// TestMasterAsksAsSocketsDo: a command that comes through the master's socket (@1) is answered by a server that has all that a stats socket's has.
func TestMasterAsksAsSocketsDo(t *testing.T) {
	g := begin(t, "global\n  stats socket "+filepath.Join(t.TempDir(), "s")+" level admin\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n"+
		"  timeout server 1s\nbackend b\n", nil)
	socket, master := reflect.ValueOf(g.controls[0]).Elem(), reflect.ValueOf(g.forMaster).Elem()
	for i := range socket.NumField() {
		if name := socket.Type().Field(i).Name; name != "Listener" && !socket.Field(i).IsZero() && master.Field(i).IsZero() {
			t.Errorf("the server for the master's socket has no %s", name)
		}
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	g.Converse(theirs)
	if _, err := io.WriteString(ours, "set ssl cert a.pem <<\nx\n\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(ours); err != nil || !strings.HasPrefix(string(answer), "Can't replace") {
		t.Errorf("set ssl cert: %v, %q", err, answer)
	}
}

// Listeners in `show info` are all sockets that listen, as HAProxy counts them: those of frontends, stats sockets and peers.
func TestListenersAreAll(t *testing.T) {
	dir := t.TempDir()
	g := begin(t, strings.ReplaceAll(`global
  localpeer me
  stats socket DIR/s
  stats socket DIR/t
defaults
  timeout connect 1s
  timeout client 1s
  timeout server 1s
peers p
  bind DIR/p
  server me
  server other 127.0.0.1:9
frontend f
  bind DIR/f
  bind DIR/g
backend b
  stick-table type ip size 10 peers p
`, "DIR", dir), nil)
	if n := g.Snapshot().Info.Listeners; n != 5 {
		t.Errorf("%d listeners, want 5", n)
	}
}

// `stats show-node` and `stats show-desc` without an argument show the node's name and the description of the global section.
func TestNodeAndDescriptionOfThePage(t *testing.T) {
	text := "global\n  node here\n  description of it\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n" +
		"frontend f\n  bind " + filepath.Join(t.TempDir(), "f") + "\n  stats uri /\n  stats show-node\n  stats show-desc\n"
	g := begin(t, text, nil)
	page := string(g.statsPage(g.cfg.Proxies[0]).Serve(stream.StatsRequest{Method: "GET", URI: "/"}).Body)
	if !strings.Contains(page, "on <b>here</b>") || !strings.Contains(page, "<p>of it</p>") {
		t.Errorf("%.2000s", page)
	}
}
