package config

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/health"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

// load reads a text that must be accepted.
func load(t *testing.T, text string, opt Options) *Config {
	t.Helper()
	if opt.Environ == nil {
		opt.Environ = []string{}
	}
	c, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(text)}}, opt)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// proxy gives a proxy by name.
func proxy(t *testing.T, c *Config, name string) *Proxy {
	t.Helper()
	for _, p := range c.Proxies {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no proxy %q", name)
	return nil
}

const samples = "../../test/cfg"

// sampleFile loads a file of test/cfg by the name that its messages show.
func sampleFile(t *testing.T, name string) (*Config, error) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(samples, name))
	if err != nil {
		t.Fatal(err)
	}
	return LoadSources([]cfgfile.Source{{Name: filepath.Base(name), Data: data}}, Options{Environ: []string{"CFGDIR=" + samples}})
}

func TestSamplesThatLoad(t *testing.T) {
	files, err := filepath.Glob(samples + "/ok/*.cfg")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			c, err := sampleFile(t, "ok/"+name)
			if err != nil {
				t.Fatal(err)
			}
			var notes strings.Builder
			if err := cfgfile.WriteNotes(&notes, 1, c.Notes); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".cfg") + ".notes")
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if notes.String() != string(want) {
				t.Errorf("notes:\n%swant:\n%s", notes.String(), want)
			}
		})
	}
}

func TestSamplesThatAreRefused(t *testing.T) {
	files, err := filepath.Glob(samples + "/refused/*.cfg")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			_, err := sampleFile(t, "refused/"+name)
			e, ok := errors.AsType[*cfgfile.Errors](err)
			if !ok {
				t.Fatalf("accepted: %v", err)
			}
			var messages strings.Builder
			if err := e.Write(&messages, 1); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".cfg") + ".messages")
			if err != nil {
				t.Fatal(err)
			}
			if messages.String() != string(want) {
				t.Errorf("messages:\n%swant:\n%s", messages.String(), want)
			}
		})
	}
}

func TestOperatorsFile(t *testing.T) {
	c, err := sampleFile(t, "ok/operator.cfg")
	if err != nil {
		t.Fatal(err)
	}
	socket := c.Global.StatsSockets[0]
	if socket.Bind.Network != "unix" || socket.Bind.Address != "/run/haproxy/admin.sock" || socket.Bind.Mode != 0o777 || socket.Level != "admin" || !socket.Expose {
		t.Errorf("stats socket: %+v", socket)
	}
	www := proxy(t, c, "www")
	if www.Timeouts.Connect != 5*time.Second || www.Timeouts.Client != 50*time.Second || www.Timeouts.Server != 50*time.Second {
		t.Errorf("timeouts: %+v", www.Timeouts)
	}
	if len(www.Logs) != 2 || www.Logs[0].Address != "/dev/log" || www.Logs[0].Network != "unixgram" || www.Logs[1].Level != 5 {
		t.Errorf("logs: %+v", www.Logs)
	}
	if len(www.ErrorFiles) != 7 || !strings.HasPrefix(string(www.ErrorFiles[503].Data), "HTTP/1.0 503 ") {
		t.Errorf("%d error files", len(www.ErrorFiles))
	}
	if got := www.LogFormat.String(); !strings.HasPrefix(got, "%ci:%cp [%t] %ft %b/%s %Tq/") {
		t.Errorf("log-format: %s", got)
	}
	if len(www.Binds) != 2 || www.Binds[0].TLS != nil || www.Binds[1].TLS == nil {
		t.Fatalf("binds: %+v", www.Binds)
	}
	if tls := www.Binds[1].TLS; !reflect.DeepEqual(tls.Sources, []certs.Source{{Path: "/etc/ssl/private/site.pem"}}) || len(tls.Ciphers) == 0 {
		t.Errorf("tls: %+v", tls)
	}
	if len(www.Rules[rule.Request]) != 1 || len(www.Rules[rule.Response]) != 1 || len(www.Redirects) != 1 {
		t.Errorf("rules: %v %v %v", www.Rules[rule.Request], www.Rules[rule.Response], www.Redirects)
	}
	app := proxy(t, c, "app")
	if q := app.Check.Script.Steps[0].Request; app.Check.Script.Kind != health.HTTP || q.Method != "HEAD" || q.Version != "HTTP/1.1" || !reflect.DeepEqual(q.Headers, []string{"Host: localhost"}) {
		t.Errorf("check: %+v", app.Check)
	}
	if len(app.Servers) != 3 || app.Servers[2].Port != 9002 || !app.Servers[2].Backup || !app.Servers[0].Check {
		t.Errorf("servers: %+v", app.Servers)
	}
	page := proxy(t, c, "stats").Stats
	if page == nil || page.URI != "/admin?stats" || page.Realm != "Strictly Private" || page.Refresh != 30*time.Second || !reflect.DeepEqual(page.Auths, []string{"admin:secret"}) {
		t.Errorf("stats: %+v", page)
	}
}

func TestBinds(t *testing.T) {
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "dual.test" {
			return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.9")}, nil
		}
		return nil, errors.New("no such host")
	}
	test := func(bind string, want ...string) {
		t.Helper()
		c, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(inFrontendSection("bind " + bind))}},
			Options{Environ: []string{"FD=7"}, LookupIP: lookup})
		if err != nil {
			t.Errorf("%s: %v", bind, err)
			return
		}
		var got []string
		for _, b := range proxy(t, c, "f").Binds[1:] {
			got = append(got, b.Network+" "+b.Address)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", bind, got, want)
		}
	}
	test(":80", "tcp4 0.0.0.0:80")
	test("*:80", "tcp4 0.0.0.0:80")
	test("10.0.0.1:80-82", "tcp4 10.0.0.1:80", "tcp4 10.0.0.1:81", "tcp4 10.0.0.1:82")
	test(":80,10.0.0.1:81", "tcp4 0.0.0.0:80", "tcp4 10.0.0.1:81")
	test("[::]:80", "tcp [::]:80")
	test(":::80 v4v6", "tcp [::]:80")
	test("[::]:80 v6only", "tcp6 [::]:80")
	test("ipv6@:80 v6only", "tcp6 [::]:80")
	test("[::1]:80", "tcp [::1]:80")
	test("ipv4@:80", "tcp4 0.0.0.0:80")
	test("dual.test:80", "tcp4 127.0.0.9:80")
	test("ipv6@dual.test:80", "tcp [::1]:80")
	test("/run/x.sock", "unix /run/x.sock")
	test("unix@x.sock", "unix x.sock")
	test("abns@name", "abns name")
	test("fd@5", "fd 5")
	test("fd@${FD}", "fd 7")
	test(`"fd@${FD}"`, "fd 7")
}

func TestBindOptions(t *testing.T) {
	c := load(t, "global\n  crt-base /certs\n  ca-base /cas\n  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets\n"+
		inFrontendSection("bind :80 name n id 4 backlog 10 interface lo defer-accept tfo\n"+
			"bind /s mode 640 user daemon group daemon uid 1 gid 2\n"+
			"bind :443 ssl crt a.pem crt /abs/b.pem ca-file ca.pem verify optional alpn h2,http/1.1 strict-sni ssl-max-ver TLSv1.3\n"+
			"bind :444 ssl crt a.pem force-tlsv12"), Options{})
	binds := proxy(t, c, "f").Binds[1:]
	if b := binds[0]; b.Name != "n" || b.ID != 4 || b.Backlog != 10 || b.Interface != "lo" || !b.DeferAccept || !b.TFO || b.UID != -1 {
		t.Errorf("%+v", b)
	}
	if b := binds[1]; b.Mode != 0o640 || b.User != "daemon" || b.Group != "daemon" || b.UID != 1 || b.GID != 2 {
		t.Errorf("%+v", b)
	}
	want := &BindTLS{
		Settings: certs.Settings{CAFile: "/cas/ca.pem", Verify: "optional", ALPN: []string{"h2", "http/1.1"}, MinVersion: 0x304, MaxVersion: 0x304},
		Sources:  []certs.Source{{Path: "/certs/a.pem"}, {Path: "/abs/b.pem"}}, StrictSNI: true, NoTickets: true,
	}
	if got := binds[2].TLS; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := binds[3].TLS; got.MinVersion != 0x303 || got.MaxVersion != 0x303 {
		t.Errorf("%+v", got)
	}
}

func TestServers(t *testing.T) {
	c := load(t, inBackendSection("default-server check inter 1s weight 5 maxconn 7\n"+
		"server a 127.0.0.1:2 weight 9\nserver b [::1]:3 id 5 no-check\nserver c name.test:4 disabled\nserver d /run/d.sock\nserver e 127.0.0.1 port 80\nserver-template t 2-3 10.0.0.1:8"), Options{})
	servers := proxy(t, c, "b").Servers
	type brief struct {
		name, network, host string
		port, weight, id    int
		check, off          bool
		inter               time.Duration
	}
	var got []brief
	for _, s := range servers {
		got = append(got, brief{s.Name, s.Network, s.Host, s.Port, s.Weight, s.ID, s.Check, s.Disabled, s.Inter})
		if _, err := netip.ParseAddr(s.Host); (err == nil) != s.Addr.IsValid() {
			t.Errorf("server %s: host %s, address %v", s.Name, s.Host, s.Addr)
		}
	}
	want := []brief{
		{"s", "tcp", "127.0.0.1", 1, 1, 1, false, false, 2 * time.Second},
		{"a", "tcp", "127.0.0.1", 2, 9, 2, true, false, time.Second},
		{"b", "tcp", "::1", 3, 5, 5, false, false, time.Second},
		{"c", "tcp", "name.test", 4, 5, 4, true, true, time.Second},
		{"d", "unix", "/run/d.sock", 0, 5, 6, true, false, time.Second},
		{"e", "tcp", "127.0.0.1", 0, 5, 7, true, false, time.Second},
		{"t2", "tcp", "10.0.0.1", 8, 5, 8, true, false, time.Second},
		{"t3", "tcp", "10.0.0.1", 8, 5, 9, true, false, time.Second},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDefaultsAreCopied(t *testing.T) {
	c := load(t, `defaults one
  mode http
  timeout connect 1s
  timeout client 2s
  timeout server 3s
  option httplog
  option redispatch
  option forwardfor
  stats auth a:b
  errorloc 503 /x
  log 127.0.0.1:514 local0
  default-server inter 9s
defaults two from one
  timeout client 5s
  http-request set-header X-Two 1
  option forwardfor header X-Two
  errorloc 500 /y
frontend f from two
  bind :80
  default_backend b
  http-request set-header X-Own 1
  stats auth c:d
  no log
  log 127.0.0.2:514 local1
backend b from one
  no option redispatch
  default-server weight 3
  server s 127.0.0.1:1
`, Options{})
	f, b := proxy(t, c, "f"), proxy(t, c, "b")
	if f.Timeouts.Client != 5*time.Second || b.Timeouts.Client != 2*time.Second || f.Timeouts.Server != 3*time.Second {
		t.Errorf("timeouts: %v %v", f.Timeouts, b.Timeouts)
	}
	if f.ForwardFor.Header != "X-Two" || b.ForwardFor.Header != "X-Forwarded-For" {
		t.Errorf("forwardfor: %v %v", f.ForwardFor, b.ForwardFor)
	}
	if len(f.ErrorFiles) != 2 || len(b.ErrorFiles) != 1 {
		t.Errorf("errorfiles: %d %d", len(f.ErrorFiles), len(b.ErrorFiles))
	}
	if len(f.Rules[rule.Request]) != 2 || len(b.Rules[rule.Request]) != 0 {
		t.Errorf("rules: %v %v", f.Rules[rule.Request], b.Rules[rule.Request])
	}
	if len(f.Stats.Auths) != 2 || len(b.Stats.Auths) != 1 {
		t.Errorf("auths: %v %v", f.Stats.Auths, b.Stats.Auths)
	}
	if f.Redispatch != -1 || b.Redispatch != 0 {
		t.Errorf("redispatch: %d %d", f.Redispatch, b.Redispatch)
	}
	if len(f.Logs) != 1 || f.Logs[0].Address != "127.0.0.2:514" || len(b.Logs) != 1 || b.Logs[0].Address != "127.0.0.1:514" {
		t.Errorf("logs: %v %v", f.Logs, b.Logs)
	}
	if s := b.Servers[0]; s.Inter != 9*time.Second || s.Weight != 3 {
		t.Errorf("server: %+v", s)
	}
}

func TestLogsInJSON(t *testing.T) {
	row := func(mode, option, want string) {
		t.Helper()
		c := load(t, "defaults\n  mode "+mode+"\n"+timeouts+"frontend f\n  bind :80\n  option "+option+"\n  log 127.0.0.1:514 local0\n  default_backend b\nbackend b\n  server s 127.0.0.1:1\n", Options{})
		if got := proxy(t, c, "f").LogFormat.String(); got != want {
			t.Errorf("option %s in mode %s: %s", option, mode, got)
		}
	}
	row("http", "httplog json", logformat.HTTPLogJSON)
	row("http", "httpslog json", logformat.HTTPSLogJSON)
	row("http", "httplog", logformat.HTTPLog)
	row("tcp", "tcplog json", logformat.TCPLogJSON)
	row("tcp", "httplog json", logformat.TCPLogJSON) // with a warning
	for option, want := range map[string]string{
		"httplog xml": "'option httplog' only supports 'clf', 'json' (got 'xml')",
		"tcplog clf":  "'option tcplog' only supports 'json' (got 'clf')",
	} {
		_, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte("frontend f\n  mode http\n  bind :80\n  option " + option + "\n")}}, Options{Environ: []string{}})
		if err == nil || !strings.Contains(err.Error(), "t.cfg:4: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("option %s: %v", option, err)
		}
	}
}

func TestJournalTargets(t *testing.T) {
	text := func(log string) string { return "frontend f\n  mode http\n  bind :80\n  log " + log + " local0\n" }
	for log, want := range map[string]string{
		"/run/systemd/journal/socket":              "journal",
		"/run/systemd/journal/socket format raw":   "raw",
		"/proc/1/root/journal format journal":      "journal",
		"/run/systemd/journal/dev-log":             "",
		"127.0.0.1:514 format journal":             "t.cfg:4: log : 'format journal' is for the journal's socket, not for '127.0.0.1:514': use /run/systemd/journal/socket",
		"stdout format journal":                    "t.cfg:4: log : 'format journal' is for the journal's socket, not for 'stdout'",
		"tcp@127.0.0.1:514 len 100 format journal": "t.cfg:4: log : 'format journal' is for the journal's socket, not for 'tcp@127.0.0.1:514'",
	} {
		c, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(text(log))}}, Options{Environ: []string{}})
		switch {
		case err != nil && (!strings.HasPrefix(want, "t.cfg") || !strings.Contains(err.Error(), want)):
			t.Errorf("log %s: %v", log, err)
		case err == nil && proxy(t, c, "f").Logs[0].Format != want:
			t.Errorf("log %s has the format %q", log, proxy(t, c, "f").Logs[0].Format)
		}
	}
}

func TestTCPModeDropsWhatNeedsHTTP(t *testing.T) {
	c := load(t, "defaults\n  mode tcp\n"+timeouts+"  option httplog\n  stats enable\n  option forwardfor\n  cookie X insert\nlisten l\n  bind :80\n  redirect prefix /x\n  capture request header A len 1\n  monitor-uri /m\n  balance uri\n  http-send-name-header X\n  server s 127.0.0.1:1\n", Options{})
	l := proxy(t, c, "l")
	if len(l.Rules[rule.Request]) != 0 || l.ReqCaptures[0].Header != "" || l.MonitorURI != "" || l.Stats != nil || l.ForwardFor != nil || l.Cookie != nil || l.Balance.Algo != "roundrobin" {
		t.Errorf("%+v", l)
	}
	if got := l.LogFormat.String(); strings.Contains(got, "%{+Q}r") {
		t.Errorf("log format is still that of HTTP: %s", got)
	}
	var texts []string
	for _, n := range c.Notes {
		texts = append(texts, n.Text)
	}
	all := strings.Join(texts, "\n")
	for _, part := range []string{"Falling back to 'option tcplog'", "'capture' ignored", "'monitor-uri' ignored", "rules ignored", "round robin", "'http-send-name-header' ignored", "'stats' ignored", "'option forwardfor' ignored", "'cookie' ignored"} {
		if !strings.Contains(all, part) {
			t.Errorf("no note about %q in:\n%s", part, all)
		}
	}
}

// TestNothingOfHTTPIsDroppedSilently, also when it stands alone.
func TestNothingOfHTTPIsDroppedSilently(t *testing.T) {
	c := load(t, "defaults\n  mode tcp\n"+timeouts+"listen l\n  bind :80\n  capture cookie A len 1\n  server s 127.0.0.1:1\n", Options{})
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0].Text, "'capture' ignored") {
		t.Errorf("notes %v", c.Notes)
	}
}

// TestProtocolsThatAreNotSpoken: TCP proxies pass on whatever the two sides agreed on.
func TestProtocolsThatAreNotSpoken(t *testing.T) {
	for mode, want := range map[string]int{"tcp": 0, "http": 1} {
		c := load(t, "defaults\n  mode "+mode+"\n"+timeouts+"listen l\n  bind :443 ssl crt /a.pem alpn h3,h2,http/1.1\n  server s 127.0.0.1:1\n", Options{})
		if len(c.Notes) != want || want == 1 && !strings.Contains(c.Notes[0].Text, "'h3' is not spoken") {
			t.Errorf("%s: notes %v", mode, c.Notes)
		}
	}
}

func TestIDsAreHAProxys(t *testing.T) {
	c := load(t, "defaults\n"+timeouts+"frontend a\n  bind :80\n  default_backend b\nbackend b\n  id 4\nbackend c\nbackend d\n", Options{})
	var got []int
	for _, p := range c.Proxies {
		got = append(got, p.ID)
	}
	if want := []int{2, 4, 5, 6}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestListenersHaveIDs(t *testing.T) {
	c := load(t, "defaults\n"+timeouts+"frontend a\n  bind :80,:81\n  bind :82 id 3\n  bind :83 name x\n  bind :84\n  default_backend b\nbackend b\n", Options{})
	var got []int
	for _, b := range proxy(t, c, "a").Binds {
		got = append(got, b.ID)
	}
	if want := []int{1, 2, 3, 4, 5}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRulesKeepHAProxysOrder(t *testing.T) {
	c := load(t, inFrontendSection("redirect prefix /r\nhttp-request set-header A 1\nblock if { path /b }\nreqadd B:\\ 50%"), Options{})
	var got []string
	f := proxy(t, c, "f")
	for _, r := range f.Rules[rule.Request] {
		got = append(got, strings.Fields(r.String())[0])
	}
	if want := "deny set-header add-header"; strings.Join(got, " ") != want || len(f.Redirects) != 1 {
		t.Errorf("got %q, want %q and then the redirect", got, want)
	}
}

func TestPrivileges(t *testing.T) {
	dir := t.TempDir()
	text := inGlobalSection("chroot " + dir + "\nuser root\ngroup root\nuid 5")
	if c := load(t, text, Options{}); len(c.Notes) != 4 || c.Global.Chroot != "" || c.Global.User != "root" || c.Global.UID != 5 {
		t.Errorf("without root: user %q, notes %v", c.Global.User, c.Notes)
	}
	if c := load(t, text, Options{Privileged: true}); len(c.Notes) != 0 || c.Global.Group != "root" || c.Global.Chroot != dir {
		t.Errorf("as root: group %q, notes %v", c.Global.Group, c.Notes)
	}
	_, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(inGlobalSection("chroot relative"))}}, Options{Environ: []string{}, Privileged: true})
	if err == nil || !strings.Contains(err.Error(), "chroot") {
		t.Errorf("a relative chroot as root: %v", err)
	}
	// The text may be checked on another machine: HAProxy does not look either.
	if c := load(t, inGlobalSection("chroot "+dir+"/none"), Options{Privileged: true}); len(c.Notes) != 1 || c.Notes[0].Level != cfgfile.Warning || c.Global.Chroot != dir+"/none" {
		t.Errorf("a missing chroot as root: %q, notes %v", c.Global.Chroot, c.Notes)
	}
	text = inGlobalSection("user nobody-of-that-name\ngroup nobody-of-that-name")
	_, err = LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(text)}}, Options{Environ: []string{}, Privileged: true})
	if e, ok := errors.AsType[*cfgfile.Errors](err); !ok || len(e.List) != 2 || !strings.Contains(e.List[0].Text, "cannot find user id") {
		t.Errorf("unknown user as root: %v", err)
	}
}

func TestZeroWarning(t *testing.T) {
	text := "global\n  zero-warning\ndefaults\n  timeout client 1s\nlisten l\n  bind :80\n  server s 127.0.0.1:1\n"
	_, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(text)}}, Options{Environ: []string{}})
	if err == nil || !strings.Contains(err.Error(), "zero-warning") {
		t.Errorf("got %v", err)
	}
}

// TestNoMistakeIsToldTwice: nothing is said of what only follows from a mistake.
func TestNoMistakeIsToldTwice(t *testing.T) {
	for _, text := range []string{
		"defaults\n" + timeouts + "frontend f\n  bind :8001\n  use_backend b if nosuch\nbackend b\n  server s 127.0.0.1:1\n",
		"userlist u\n  group g users a\n  user a password $y$j9T$x$y\ndefaults\n" + timeouts + "listen f\n  bind :8001\n  server s 127.0.0.1:1\n",
	} {
		_, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(text)}}, Options{Environ: []string{}})
		if e, ok := errors.AsType[*cfgfile.Errors](err); !ok || len(e.List) != 1 || len(e.Notes) != 0 {
			t.Errorf("%s\nis told of as %v", text, err)
		}
	}
}

func TestMisspelledSectionHidesItsLines(t *testing.T) {
	_, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte("defaults\n" + timeouts + "fronted www\n  bind :80\n  use_backend x\nbackend x\n")}}, Options{Environ: []string{}})
	e, ok := errors.AsType[*cfgfile.Errors](err)
	if !ok || len(e.List) != 1 || e.List[0].Pos.Line != 5 || !strings.Contains(e.List[0].Text, "did you mean 'frontend'") {
		t.Errorf("got %v", err)
	}
}

func TestSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"1.cfg": "defaults\n" + timeouts, "2.cfg": "frontend f\n  bind :80\n  default_backend b\n", "3.cfg": "backend b\n  timeout server 9s\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load([]string{dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Proxies) != 2 || c.Proxies[1].Timeouts.Connect != time.Second || !strings.HasSuffix(c.Proxies[1].Pos.File, "3.cfg") {
		t.Errorf("%+v", c.Proxies)
	}
	if err := os.WriteFile(filepath.Join(dir, "2.cfg"), []byte("bind :80\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load([]string{dir}, Options{}); err == nil || !strings.Contains(err.Error(), "2.cfg:1: unknown keyword 'bind' out of section") {
		t.Errorf("a file began inside the section of the one before: %v", err)
	}
	if _, err := Load([]string{filepath.Join(dir, "none.cfg")}, Options{}); err == nil || !strings.Contains(err.Error(), "none.cfg: no such file") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Load(nil, Options{}); err == nil || !strings.Contains(err.Error(), "-f FILE") {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load([]string{t.TempDir()}, Options{}); err == nil || !strings.Contains(err.Error(), "no *.cfg file in") {
		t.Errorf("empty directory: %v", err)
	}
}

// Whatever line asks for the address that the client connected to, the proxy says so: none is forgotten.
func TestNeedsOfEveryLine(t *testing.T) {
	const cond = " if { dst 127.0.0.1 }"
	for _, line := range []string{
		"http-request deny" + cond, "http-response del-header X" + cond, "tcp-request connection reject" + cond, "tcp-request session reject" + cond,
		"tcp-request content reject" + cond, "stats http-request deny" + cond, "stats admin" + cond, "redirect location /" + cond, "monitor fail" + cond, "use_backend b" + cond,
		"use_backend %[dst]", "use-server s" + cond, "force-persist" + cond, "ignore-persist" + cond, "stick on dst", "stick on src" + cond, "acl local dst 127.0.0.1",
		"unique-id-format %fi", "block" + cond, "reqadd X:\\ y" + cond,
	} {
		c := load(t, "listen l\n  mode http\n  bind 127.0.0.1:1\n  stick-table type ip size 1k\n  server s 127.0.0.1:2\n  "+line+"\nbackend b\n  mode http\n", Options{})
		if p := proxy(t, c, "l"); p.Needs != sample.NeedsFrontAddr || p.LogNeeds != 0 {
			t.Errorf("%s: needs %b, for logs %b", line, p.Needs, p.LogNeeds)
		}
	}
	c := load(t, "defaults d\n  mode http\n  log-format %fi\n  http-request deny if { dst 127.0.0.1 }\nfrontend f from d\n  bind 127.0.0.1:1\n", Options{})
	if p := proxy(t, c, "f"); p.Needs != sample.NeedsFrontAddr || p.LogNeeds != sample.NeedsFrontAddr {
		t.Errorf("inherited: needs %b, for logs %b", p.Needs, p.LogNeeds)
	}
}

func TestDigest(t *testing.T) {
	text := inFrontendSection("maxconn 10 # a comment\nmonitor-uri \"${X-/m}\"")
	base := load(t, text, Options{}).Digest
	if load(t, text, Options{}).Digest != base {
		t.Error("the same text has two digests")
	}
	if load(t, strings.Replace(text, "maxconn 10", "maxconn 11", 1), Options{}).Digest == base {
		t.Error("another number has the same digest")
	}
	if load(t, text, Options{Environ: []string{"X=/other"}}).Digest == base {
		t.Error("another value of a variable has the same digest")
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"/ok/*.cfg", "/refused/*.cfg"} {
		files, err := filepath.Glob(samples + pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Add("listen l\n bind :80-90,/x mode 7\n server s :1 check inter 1\n cookie a insert\n stats uri\n")
	opt := Options{
		Environ:  []string{"CFGDIR=" + samples},
		LookupIP: func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") },
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") || strings.Contains(text, "-f") {
			return // a fuzzer has no business in the file system
		}
		c, err := LoadSources([]cfgfile.Source{{Name: "f", Data: []byte(text)}}, opt)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v, error %v", c, err)
		}
		if e, ok := errors.AsType[*cfgfile.Errors](err); err != nil && (!ok || len(e.List) == 0) {
			t.Fatalf("an error without a message: %v", err)
		}
	})
}

// BenchmarkLoad reads a large configuration: a reload must not wait for it.
func BenchmarkLoad(b *testing.B) {
	var text strings.Builder
	text.WriteString("defaults\n  mode http\n" + timeouts + "  option httplog\nfrontend f\n  bind :80\n")
	for i := range 2000 {
		fmt.Fprintf(&text, "  use_backend b%d if { hdr(host) -i host%d.example.com }\n", i, i)
	}
	for i := range 2000 {
		fmt.Fprintf(&text, "backend b%d\n  balance leastconn\n  option httpchk GET /health\n", i)
		for j := range 5 {
			fmt.Fprintf(&text, "  server s%d 10.%d.%d.%d:8000 check inter 2s weight 10 maxconn 100\n", j, i/250, i%250, j+1)
		}
	}
	sources := []cfgfile.Source{{Name: "large.cfg", Data: []byte(text.String())}}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := LoadSources(sources, Options{Environ: []string{}}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRulesAboutAnswersInModeTCP: those that do not wait are warned of, and closing is for tunnels.
func TestRulesAboutAnswersInModeTCP(t *testing.T) {
	head, tail := timeouts+"listen l\n  bind :80\n", "  server s 127.0.0.1:1\n"
	waits := "  tcp-response inspect-delay 3s\n"
	rules := "  tcp-response content reject if { res.payload(0,3) -m str bad }\n  tcp-response content close if { rep_ssl_hello_type 2 } WAIT_END\n"
	c := load(t, "defaults\n  mode tcp\n"+head+waits+rules+tail, Options{})
	if l := proxy(t, c, "l"); len(c.Notes) != 0 || l.ResponseDelay != 3*time.Second || len(l.Rules[rule.TCPResponse]) != 2 {
		t.Errorf("notes %v, delay %v, %d rules", c.Notes, l.ResponseDelay, len(l.Rules[rule.TCPResponse]))
	}
	c = load(t, "defaults\n  mode tcp\n"+head+rules+tail, Options{})
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0].Text, "tcp-response inspect-delay") {
		t.Errorf("without a delay: notes %v", c.Notes)
	}
	_, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte("defaults\n  mode http\n" + head + rules + tail)}}, Options{})
	if err == nil || !strings.Contains(err.Error(), "'tcp-response content close'") {
		t.Errorf("mode http: %v", err)
	}
}

// TestForeignFamilies: an address that lb cannot have says what to write instead.
func TestForeignFamilies(t *testing.T) {
	test := func(bind, server, way string) {
		t.Helper()
		text := "defaults\n  timeout client 1s\n  timeout connect 1s\n  timeout server 1s\nfrontend f\n  bind " + bind + "\n  default_backend b\nbackend b\n  server s " + server + "\n"
		_, err := LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte(text)}}, Options{})
		if err == nil || !strings.Contains(err.Error(), way) {
			t.Errorf("bind %s, server %s: %v, want %q", bind, server, err, way)
		}
	}
	test("quic4@127.0.0.1:443", "127.0.0.1:1", "write 'ipv4@127.0.0.1:443' with 'ssl'")
	test("quic6@:443", "127.0.0.1:1", "write 'ipv6@:443' with 'ssl'")
	test("127.0.0.1:1", "quic4@127.0.0.1:443", "write 'ipv4@127.0.0.1:443' with 'ssl'")
	test("sockpair@5", "127.0.0.1:1", "write the path of a unix socket")
	test("127.0.0.1:1", "sockpair@5", "write the path of a unix socket")
	test("udp@127.0.0.1:1", "127.0.0.1:1", "write an IP address and a port")
}
