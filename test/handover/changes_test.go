package handover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// changesConfig has things that operators change at run time.
const changesConfig = `global
    stats socket STATS mode 600 level admin
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend fe
    bind HTTP
    bind HTTPS ssl crt CERT
    maxconn 500
    http-request set-header X-M %[path,map_beg(MAP,none)]
    http-request deny if { path -f LIST }
    default_backend be
backend be
    server b1 BACKEND check inter 1h
    server b2 BACKEND weight 10
`

// TestRuntimeChangesSurvive: what was changed on the stats socket is there after reloads, until the file says otherwise for that very thing;
// it is shown, and can be undone.
func TestRuntimeChangesSurvive(t *testing.T) {
	s := start(t)
	maps, list := filepath.Join(s.dir, "m.map"), filepath.Join(s.dir, "a.lst")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(maps, "/a one\n/b two\n")
	write(list, "/bad\n")
	s.configure(changesConfig, "MAP", maps, "LIST", list)
	s.reload()
	command := func(text string) string {
		t.Helper()
		out, err := s.lb.Command(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return strings.TrimSpace(out)
	}
	lines := func(what, path string) (keys string) {
		for line := range strings.Lines(command("show " + what + " " + path)) {
			_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			keys += rest + ";"
		}
		return keys
	}
	if got := command("show runtime-changes"); got != "" {
		t.Errorf("at first: %q", got)
	}
	for _, c := range []string{
		"add map " + maps + " /c three", "del map " + maps + " /a", "add acl " + list + " /worse", "set maxconn frontend fe 77", "set maxconn global 999",
		"set server be/b2 weight 3", "disable health be/b1",
	} {
		if out := command(c); out != "" {
			t.Fatalf("%s: %s", c, out)
		}
	}
	if out := command("new ssl cert /nowhere/new.pem"); !strings.Contains(out, "New empty") {
		t.Fatal(out)
	}
	changed := command("show runtime-changes")
	for _, want := range []string{"cert /nowhere/new.pem: changed", "map " + maps + ": 2 lines", "acl " + list + ": 2 lines", "frontend fe maxconn: 77, configured 500", "global maxconn: 999, configured 2000", "server be/b2: weight 3, configured 10", "server be/b1: health checks disabled"} {
		if !strings.Contains(changed, want) {
			t.Errorf("no %q in\n%s", want, changed)
		}
	}
	for range 2 {
		s.reload()
		if got := command("show runtime-changes"); got != changed {
			t.Errorf("after a reload:\n%s\nwant\n%s", got, changed)
		}
		if got := command("show ssl cert"); !strings.Contains(got, "/nowhere/new.pem") {
			t.Errorf("after a reload:\n%s", got)
		}
		if m, a := lines("map", maps), lines("acl", list); m != "/b two;/c three;" || a != "/bad;/worse;" {
			t.Errorf("after a reload: %s %s", m, a)
		}
	}
	// The file says otherwise for the map, the configuration for the frontend.
	write(maps, "/a one\n/b two\n/d four\n")
	s.configure(strings.Replace(changesConfig, "maxconn 500", "maxconn 600", 1), "MAP", maps, "LIST", list)
	s.reload()
	if m, a := lines("map", maps), lines("acl", list); m != "/a one;/b two;/d four;" || a != "/bad;/worse;" {
		t.Errorf("after the map's file has changed: %s %s", m, a)
	}
	if got := command("show runtime-changes"); strings.Contains(got, "map ") || strings.Contains(got, "frontend fe") || !strings.Contains(got, "acl ") || !strings.Contains(got, "global maxconn: 999") {
		t.Errorf("after the file has changed:\n%s", got)
	}
	if out := command("clear runtime-changes"); out != "" {
		t.Errorf("clear: %s", out)
	}
	for range 2 {
		if got := command("show runtime-changes"); got != "" {
			t.Errorf("after a clear:\n%s", got)
		}
		if a := lines("acl", list); a != "/bad;" {
			t.Errorf("after a clear: %s", a)
		}
		s.reload()
	}
}
