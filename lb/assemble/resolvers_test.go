package assemble

import (
	"slices"
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
