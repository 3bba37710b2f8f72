package assemble

import (
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
)

// TestFirstAddress: a name without an address is an error where nothing looks for one later.
func TestFirstAddress(t *testing.T) {
	b := &builder{}
	s := &config.Server{Network: "tcp", Host: "a..b"} // no name server is asked for this
	if _, _, err := b.first(s); err == nil {
		t.Error("without resolvers: no error")
	}
	s.Resolve.Section = "r"
	if ip, ok, err := b.first(s); err != nil || ok {
		t.Errorf("with resolvers: %v, %v, %v", ip, ok, err)
	}
	s.InitAddr = "libc"
	if _, _, err := b.first(s); err == nil {
		t.Error("with resolvers and init-addr libc: no error")
	}
}

// TestNamesThatCannotBeResolved: -c says which server begins without an address because its name has none.
func TestNamesThatCannotBeResolved(t *testing.T) {
	check := func(words string) []string {
		t.Helper()
		// A name with an empty label, which no name server is asked for.
		text := "defaults\n  mode http\n  timeout client 1s\n  timeout connect 1s\n  timeout server 1s\nlisten l\n  bind 127.0.0.1:18000\n  server web a..b:80 " + words + "\n"
		cfg, err := config.LoadSources([]cfgfile.Source{{Name: "test.cfg", Data: []byte(text)}}, config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		notes, err := Check(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return notes
	}
	want := []string{"test.cfg:8: server web : could not resolve address 'a..b', disabling server"}
	for _, words := range []string{"init-addr libc,none", "init-addr last,libc,none"} {
		if got := check(words); !slices.Equal(got, want) {
			t.Errorf("%s: notes %q", words, got)
		}
	}
	if got := check("init-addr none"); got != nil {
		t.Errorf("a name that nobody asked for: notes %q", got)
	}
}

// TestServersOfUnresolvedNames: a server whose name has no address has the port of its line, and commands do not change a name that nobody resolves; as with HAProxy.
func TestServersOfUnresolvedNames(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "stats")
	begin(t, `global
  stats socket `+socket+` level admin
backend b
  server s1 nope.invalid:80 init-addr none
  server s2 127.0.0.1:81 init-addr none
`, nil)
	ask := func(command string) string {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, command+"\n")
		b, _ := io.ReadAll(c)
		return string(b)
	}
	if got := ask("show servers state b"); !strings.Contains(got, " s1 - 0 32 ") || !strings.Contains(got, " nope.invalid 80 - ") {
		t.Errorf("without an address:\n%s", got)
	}
	for _, name := range []string{"s1", "s2"} {
		const want = "set server <b>/<s> fqdn failed because no resolution is configured.\n\n"
		if got := ask("set server b/" + name + " fqdn www.example"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	ask("set server b/s1 addr 127.0.0.3 port 8080")
	if got := ask("show servers state b"); !strings.Contains(got, " s1 127.0.0.3 ") || !strings.Contains(got, " nope.invalid 8080 - ") {
		t.Errorf("with an operator's address:\n%s", got)
	}
}
