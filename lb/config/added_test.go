package config

import (
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
)

func withBackend(t testing.TB) (*Config, *Proxy) {
	cfg, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte("frontend f\n bind :1\n default_backend b\nbackend b\n default-server weight 9 check\n server s 127.0.0.1:1\n")}}, Options{Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, cfg.Proxies[1]
}

// The words of `add server`: what may be among them, and that default-server counts for nothing.
func TestAddedServer(t *testing.T) {
	cfg, b := withBackend(t)
	s, _, err := cfg.AddedServer(b, "n", strings.Fields("127.0.0.1:80 check inter 5s maxconn 7"))
	if err != nil || s.Weight != 1 || !s.Check || !s.Disabled || s.MaxConn != 7 || s.Port != 80 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, c := range [][2]string{
		{"", "expects <name> and <addr>"},
		{"127.0.0.1:x", "invalid port"},
		{"127.0.0.1:1 cookie x", "'cookie' option is not accepted for dynamic server"},
		{"127.0.0.1:1 nope", "unknown keyword 'nope'"},
		{"127.0.0.1:1 weight", "expects"},
		{"127.0.0.1:1 weight 257", "weight of server n is not within 0 and 256 (257).."},
		{"127.0.0.1:1 agent-check", "agent-port"},
		{"127.0.0.1 check", "needs a port"},
		{"127.0.0.1:1 ssl", "no CA file"},
	} {
		if _, _, err := cfg.AddedServer(b, "n", strings.Fields(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%q: %v, want %q", c[0], err, c[1])
		}
	}
}

func FuzzAddedServer(f *testing.F) {
	f.Add("127.0.0.1:80 check inter 5s maxconn 7 weight 3 id 5")
	f.Add("unix@/x send-proxy-v2 proxy-v2-options ssl")
	f.Add("[::1]:+5 ssl verify none sni str(a) alpn h2")
	f.Add("name:80 track s agent-check agent-port 5 agent-send a\\ b observe layer7")
	cfg, b := withBackend(f)
	f.Fuzz(func(_ *testing.T, text string) { cfg.AddedServer(b, "n", strings.Fields(text)) }) // panics are what it looks for
}
