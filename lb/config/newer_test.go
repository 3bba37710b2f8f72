package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewerWords: words of HAProxy 2.7 to 3.4, none of which is unknown.
func TestNewerWords(t *testing.T) {
	dir := t.TempDir()
	load := func(text string) (*Config, string) {
		t.Helper()
		path := filepath.Join(dir, "t.cfg")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load([]string{path}, Options{Environ: []string{}})
		if err != nil {
			return nil, err.Error()
		}
		var notes []string
		for _, n := range c.Notes {
			notes = append(notes, n.Text)
		}
		return c, strings.Join(notes, "\n")
	}
	bind := func(words string) string {
		return inFrontendSection("bind 127.0.0.1:18001 ssl crt first.pem " + words)
	}
	server := func(words string) string { return inBackendSection("server t 127.0.0.1:2 ssl verify none " + words) }
	for _, row := range []struct{ text, says string }{
		{inGlobalSection("tune.h2.fe.max-rst-at-once 10\ntune.quic.listen off\nprofiling.memory on"), "'profiling.memory' is ignored"},
		{inFrontendSection("option accept-unsafe-violations-in-http-request\nforce-be-switch if TRUE"), "'force-be-switch' is ignored"},
		{inBackendSection("timeout server-hs 2s\nhttp-request set-retries 0\nhttp-request set-retries hdr(x),length\ntcp-request content set-retries 100"), ""},
		{inDefaultsSection("timeout client-hs 2s"), ""},
		{inBackendSection("hash-preserve-affinity always\noption accept-unsafe-violations-in-http-response"), ""},
		{server("sni-auto no-renegotiate idle-ping 10s hash-key id init-state up"), "'idle-ping' is ignored"},
		{inDefaultsSection("default-server check-reuse-pool"), "'check-reuse-pool' is ignored"},
		{"traces\n  trace h1 sink stderr start now\n" + inDefaultsSection(""), "section 'traces' is ignored"},
	} {
		if c, said := load(row.text); c == nil || !strings.Contains(said, row.says) {
			t.Errorf("%s\nsays %s", row.text, said)
		}
	}
	for _, row := range []struct{ text, says string }{
		{inBackendSection("http-request set-retries 101"), "0 to 100 retries"},
		{inBackendSection("http-request set-retries bin(00)"), "not an integer"},
		{inGlobalSection("dns-accept-family ipv4"), "write resolve-prefer"},
		{inGlobalSection("setcap cap_net_admin"), "AmbientCapabilities="},
		{"acme le\n  directory https://acme.example\n" + inDefaultsSection(""), "run an ACME client"},
		{"crt-store web\n  load crt x.pem\n" + inDefaultsSection(""), "name the files with crt or crt-list"},
		{"log-forward l\n  dgram-bind 127.0.0.1:514\n" + inDefaultsSection(""), `listen: ["udp://HOST:PORT"`},
		{inFrontendSection("log-steps all"), "one line is logged for each request"},
		{inFrontendSection("filter lua.x"), "scripts are not run"},
		{inBackendSection("hash-preserve-affinity maxconn"), "hash-balance-factor"},
		{server("init-state down"), "a server begins up"},
		{server("hash-key addr"), "the server's id"},
		{server("set-proxy-v2-tlv-fmt(0x20) %[src]"), "proxy-v2-options"},
		{server("strict-maxconn"), "pool-max-conn"},
		{server("maxconn(3) 5"), "unknown keyword 'maxconn(3)'"},
		{bind("cc bbr"), "tcp_congestion_control"},
		{inFrontendSection("bind mptcp@127.0.0.1:18001"), "write '127.0.0.1:18001'"},
		{inFrontendSection("bind rhttp@b/s"), "a VPN or an SSH tunnel"},
		{inGlobalSection("tune.stick-counters 5"), "there are three"},
	} {
		if c, said := load(row.text); c != nil || !strings.Contains(said, row.says) {
			t.Errorf("%s\nsays %s", row.text, said)
		}
	}

	c, said := load(inGlobalSection("ssl-default-bind-options strict-sni no-tls-tickets") +
		"frontend g\n  bind 127.0.0.1:18001 ssl crt a.pem default-crt b.pem crt c.pem default-crt d.pem alpn h2 no-alpn no-strict-sni tls-tickets ktls on label x\n")
	if c == nil {
		t.Fatal(said)
	}
	got := c.Proxies[len(c.Proxies)-1].Binds[0].TLS
	var files []string
	for _, s := range got.Sources {
		files = append(files, s.Path)
	}
	if strings.Join(files, " ") != "b.pem d.pem a.pem c.pem" || got.ALPN != nil || got.StrictSNI || got.NoTickets {
		t.Errorf("%v %v %v %v", files, got.ALPN, got.StrictSNI, got.NoTickets)
	}
}

// TestScripts: a script whose functions no line uses changes nothing; one that
// works by itself does.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct{ script, says string }{
		{"core.register_action('cors', {'http-req'}, function(txn) core.tcp() end, 1) -- core.register_task() would be another thing\n", ""},
		{"core.register_task(function() end)\n", "does work of its own (register_task)"},
		{"local function f() end\ncore.register_init(f)\n", "does work of its own (register_init)"},
	} {
		script, path := filepath.Join(dir, "s.lua"), filepath.Join(dir, "t.cfg")
		for name, text := range map[string]string{script: row.script, path: inGlobalSection("lua-load " + script + " x\nlua-load-per-thread " + script)} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Load([]string{path}, Options{Environ: []string{}})
		if row.says == "" && err != nil || row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)) {
			t.Errorf("%s: %v", row.script, err)
		}
	}
	if _, err := Load([]string{filepath.Join(dir, "t.cfg")}, Options{Environ: []string{}}); err == nil {
		t.Error("the last one is refused")
	}
}
