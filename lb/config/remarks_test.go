package config

import (
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/cfgfile"
)

// TestReadAsHAProxy: lines that look wrong and that HAProxy loads have its meaning here, and a warning.
func TestReadAsHAProxy(t *testing.T) {
	load := func(text string) *Config {
		t.Helper()
		c, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(text)}}, Options{Environ: []string{}})
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		return c
	}
	warned := func(c *Config, part string) {
		t.Helper()
		for _, n := range c.Notes {
			if n.Level == cfgfile.Warning && strings.Contains(n.Text, part) {
				return
			}
		}
		t.Errorf("no warning with %q in %v", part, c.Notes)
	}
	const mode = "defaults\n  mode http\n" + timeouts
	c := load(mode + "listen f\n  bind 127.0.0.1:18000,\n  bind 127.1:18001\n  stats auth alone\n  option redispatch on\n  option forwardfor except 127.1\n")
	f := c.Proxies[0]
	if len(f.Binds) != 2 || f.Binds[0].Address != "127.0.0.1:18000" || f.Binds[1].Address != "127.0.0.1:18001" {
		t.Errorf("binds %v", f.Binds)
	}
	if got := f.Stats.Auths; len(got) != 1 || got[0] != "alone:" {
		t.Errorf("stats auth: %q", got)
	}
	if f.Redispatch != 0 {
		t.Errorf("redispatch %d", f.Redispatch)
	}
	warned(c, "'on' is read as 0")
	warned(c, `"alone" has an empty user or password`)

	c = load(mode + "frontend a\n  bind 127.0.0.1:18000\n  bind 127.0.0.1:18000\nfrontend b\n  bind 127.0.0.1:18000\n  bind 127.0.0.1:18001\n")
	if a, b := c.Proxies[0].Binds, c.Proxies[1].Binds; len(a) != 1 || len(b) != 1 || b[0].Address != "127.0.0.1:18001" {
		t.Errorf("binds %v and %v", a, b)
	}
	warned(c, "the address is used already at t.cfg")

	c = load(mode + "frontend a\n  bind 127.0.0.1:18000\nbackend b\n  server s 127.1:18001\ndefaults e f\n")
	if b := c.Proxies[1]; b.Name != "b" || b.Servers[0].Addr.String() != "127.0.0.1" {
		t.Errorf("backend %q, server %v", b.Name, b.Servers[0].Addr)
	}

	warned(c, "'defaults e' : 'f' is not read")
	if _, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(mode + "listen f\n  bind 127.0.0.1:18000\nbackend b c\n  server s 127.0.0.1:1\n")}}, Options{Environ: []string{}}); err == nil {
		t.Error("a backend of two words was accepted; HAProxy refuses its lines")
	}

	users := mode + "frontend a\n  bind 127.0.0.1:18000\n  http-request auth unless { http_auth(u) }\n"
	c = load(users + "userlist u\n  user a\n  user b password\n  user c password $2y$cut\n  user d insecure-password x\n  user d insecure-password y\n  group g\n  group g users a\nuserlist u\n  user e insecure-password z\n")
	warned(c, "'user a' has no password")
	warned(c, "'user b' : 'password' expects a value")
	warned(c, "user 'c': its password's hash is not bcrypt's")
	warned(c, "user 'd' is in userlist 'u' already")
	warned(c, "group 'g' is in userlist 'u' already")
	warned(c, "userlist 'u' was declared before")

	c = load("global\n  maxconn 100;\n" + mode + "listen f\n  bind 127.0.0.1:18000;\n  retries 5x\n  timeout queue 3s;\n  server s 127.0.0.1:1; weight 10% check inter 7s; rise 4; port 9;\n")
	f = c.Proxies[0]
	s := f.Servers[0]
	if c.Global.MaxConn != 100 || f.Binds[0].Address != "127.0.0.1:18000" || f.Retries != 5 || f.Timeouts.Queue != 3*time.Second ||
		s.Port != 1 || s.Weight != 10 || s.Inter != 7*time.Second || s.Rise != 4 || s.CheckPort != 9 {
		t.Errorf("numbers with more after them: %d, %v, %d, %v, %+v", c.Global.MaxConn, f.Binds, f.Retries, f.Timeouts.Queue, s)
	}
	warned(c, "only '100' is read of '100;'")
	warned(c, "only '7s' is read of '7s;'")
	for _, line := range []string{"global\n  maxconn", "global\n  nbthread 2;", "defaults\n  timeout client 5;", "defaults\n  timeout client 5sx"} {
		if _, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(line + "\n" + mode + "listen f\n  bind 127.0.0.1:18000\n")}}, Options{Environ: []string{}}); err == nil {
			t.Errorf("%s: accepted", line)
		}
	}

	c = load("global\n  ssl-default-bind-options ssl-min-ver SSLv3\n" + mode + "frontend a\n  bind 127.0.0.1:18000\n  use_backend b if\nbackend b\n")
	warned(c, "'ssl-min-ver SSLv3' is read as TLSv1.0")
	warned(c, "no condition stands after 'if'")
}
