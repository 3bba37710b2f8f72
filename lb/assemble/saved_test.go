package assemble

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/backend"
)

// TestSavedStateOfAnotherConfiguration: what the configuration has changed since is the
// configuration's; a reload does not read the file again.
func TestSavedStateOfAnotherConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "states")
	write := func(lines string) {
		if err := os.WriteFile(file, []byte("1\n"+lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`3 b 1 enabled 127.0.0.1 0 5 1 1 9 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0
3 b 2 renamed 127.0.0.7 2 0 1 1 9 1 0 0 0 0 0 0 other.example 9901 - 0 0 - - 0
3 b 3 port 127.0.0.1 2 0 1 1 9 1 0 0 0 0 0 0 - 9955 - 0 0 - - 0
3 b 4 weight 127.0.0.1 2 0 3 8 9 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0
3 b 5 maint 127.0.0.1 0 1 1 1 9 1 0 0 0 0 0 0 - 9901 - 0 0 - - 0
`)
	text := strings.NewReplacer("DIR", dir, "FILE", file).Replace(`global
  server-state-file FILE
defaults
  timeout connect 2s
  timeout client 2s
  timeout server 2s
  load-server-state-from-file global
frontend f
  bind DIR/front
  default_backend b
backend b
  server enabled 127.0.0.1:9901
  server renamed localhost:9901
  server port 127.0.0.1:9901
  server weight 127.0.0.1:9901 weight 9
  server maint 127.0.0.1:9901
`)
	check := func(g *generation, maint bool) {
		t.Helper()
		for name, want := range map[string]string{"enabled": "127.0.0.1:9901", "renamed": "127.0.0.1:9901", "port": "127.0.0.1:9955"} {
			s, err := g.Find("b", name)
			if err != nil {
				t.Fatal(err)
			}
			if st := s.Target().Stats(); s.Target().Addr().String() != want || !st.Usable {
				t.Errorf("%s is at %v, usable %v; want it usable at %s", name, s.Target().Addr(), st.Usable, want)
			}
		}
		s, _ := g.Find("b", "weight")
		if n := s.Target().Stats().Weight; n != 9 {
			t.Errorf("weight %d, want the configuration's 9", n)
		}
		s, _ = g.Find("b", "maint")
		if is := s.Target().Stats().Admin&backend.Maint != 0; is != maint {
			t.Errorf("maintenance %v, want %v", is, maint)
		}
	}
	g := begin(t, text, nil)
	check(g, true)
	if err := g.SetAdmin("b", "maint", 0); err != nil {
		t.Fatal(err)
	}
	check(begin(t, text, g), false)
}
