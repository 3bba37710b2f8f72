package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/health"
	"lbsyslogd/test/tape"
)

// TestCheckVerdictsAgainstHAProxy compares what lb and Debian's haproxy accept
// of the words about health checks and agents.
func TestCheckVerdictsAgainstHAProxy(t *testing.T) {
	theirs := tape.Open(t, "haproxy")
	path := filepath.Join(t.TempDir(), "t.cfg")
	verdict := func(lines string) (accepted bool, out string, lb error) {
		text := inBackendSection(lines)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, lb = Load([]string{path}, Options{Environ: []string{}})
		accepted, out = verdictOf(t, theirs, path)
		return accepted, out, lb
	}
	accept := func(lines string) {
		t.Helper()
		if theirs, out, err := verdict(lines); err != nil || !theirs {
			t.Errorf("%s\nlb: %v\nhaproxy: %v %s", lines, err, theirs, out)
		}
	}
	refuse := func(lines, part string) {
		t.Helper()
		if theirs, _, err := verdict(lines); err == nil || theirs || !strings.Contains(err.Error(), part) {
			t.Errorf("%s\nlb: %v, want %q\nhaproxy accepts: %v", lines, err, part, theirs)
		}
	}
	stricter := func(lines, part string) {
		t.Helper()
		if theirs, out, err := verdict(lines); err == nil || !theirs || !strings.Contains(err.Error(), part) {
			t.Errorf("%s\nlb: %v, want %q\nhaproxy: %v %s", lines, err, part, theirs, out)
		}
	}

	// tcp-check.
	accept("option tcp-check\ntcp-check connect port 80 comment a\ntcp-check send PING\\r\\n comment b\ntcp-check expect string +PONG\ntcp-check comment c\ntcp-check send-binary 0a0B\ntcp-check expect binary 0a comment d\ntcp-check expect rbinary ^0A\ntcp-check expect ! rstring x|y\ntcp-check expect !string z\ntcp-check connect default linger\ntcp-check connect addr 127.0.0.1:80 sni x alpn h2 send-proxy")
	refuse("option tcp-check\ntcp-check connect ssl\nserver a 127.0.0.1:2 check", "no CA file")
	accept("option tcp-check\ntcp-check expect min-recv 4 comment a ok-status L6OK error-status L7STS tout-status L6TOUT on-success yes on-error no string x")
	refuse("option tcp-check\ntcp-check send a\ntcp-check connect", "first step must be a connect")
	refuse("option tcp-check\ntcp-check send-binary 0", "hexadecimal")
	refuse("option tcp-check\ntcp-check expect string", "tcp-check expect")
	refuse("option tcp-check\ntcp-check expect strung x", "strung")
	refuse("option tcp-check\ntcp-check expect rstring (", "regular expression")
	refuse("option tcp-check\ntcp-check expect string a b", "after the pattern")
	refuse("option tcp-check\ntcp-check expect ok-status L7RSP string x", "unknown status")
	refuse("option tcp-check\ntcp-check connect prt 80", "prt")
	refuse("option tcp-check\ntcp-check connect port 0", "port")
	refuse("option tcp-check\ntcp-check send", "tcp-check send")
	refuse("option tcp-check\ntcp-check foo", "foo")
	// Variables and formats.
	accept("option tcp-check\ntcp-check set-var(check.port) int(80)\ntcp-check set-var(sess.a,ifnotexists) str(a)\ntcp-check set-var-fmt(proc.b) %[var(check.port)]-%H-%b-%s-%pid\ntcp-check connect port var(check.port)\ntcp-check send-lf %[srv_name] comment a\ntcp-check send-binary-lf %[var(sess.a)] comment b\ntcp-check expect string-lf %[var(check.a)]\ntcp-check expect binary-lf %[var(check.a)]\ntcp-check expect on-error %[res.payload(0,0)] on-success %[be_name] status-code int(7) string x\ntcp-check unset-var(check.port)")
	accept("option httpchk\nhttp-check set-var(check.port) int(80)\nhttp-check set-var-fmt(check.v) 80\nhttp-check connect port var(check.port)\nhttp-check send uri-lf /%[var(check.v)] hdr Host %[var(check.v)].example.com hdr X 5%% body-lf %[srv_name]\nhttp-check expect string-lf %[var(check.v)] on-error %[status]\nhttp-check unset-var(check.port)")
	refuse("option tcp-check\ntcp-check set-var(check.port)", "<expression>")
	refuse("option tcp-check\ntcp-check set-var check.port int(1)", "tcp-check")
	refuse("option tcp-check\ntcp-check set-var(port) int(1)", "port")
	refuse("option tcp-check\ntcp-check set-var(check.port) nonsense", "nonsense")
	stricter("option tcp-check\ntcp-check set-var-fmt(check.port)", "<format>")
	refuse("option tcp-check\ntcp-check unset-var(check.port", "parentheses")
	refuse("option tcp-check\ntcp-check send-lf %[nonsense]", "nonsense")
	refuse("option tcp-check\ntcp-check connect port nonsense", "expects a number or an expression")
	refuse("option httpchk\nhttp-check send uri-lf %[src", "uri-lf")
	stricter("option tcp-check\ntcp-check set-var(txn.port) int(1)", "'check', 'sess' and 'proc'")
	stricter("option tcp-check\ntcp-check expect custom", "option redis-check")
	stricter("option tcp-check\ntcp-check send-lf %ci", "a client's exchange")
	stricter("option httpchk\nhttp-check expect on-error %[src] status 200", "in a health check")
	accept("option httpchk\nhttp-check expect on-error %[res.body]%[res.body_len]%[res.ver]%[res.fhdr(b)] status-code res.hdr_val(a) error-status L7OKC status 200")
	accept("option tcp-check\ntcp-check expect status-code res.payload(0,3) string 220")
	accept("option httpchk\nhttp-check expect hdr name-lf x-%[str(a)] value a\nhttp-check expect fhdr name x value-lf -m beg %[be_name]")
	refuse("option httpchk\nhttp-check expect hdr name-lf -m reg x", "'reg'")
	refuse("option httpchk\nhttp-check expect hdr name x value-lf %[nosuch]", "unknown fetch method 'nosuch'")
	stricter("option tcp-check\ntcp-check send-lf %[rand,in_table(t)]\nbackend t\nstick-table type integer size 1k", "no stick tables")
	stricter("http-request set-var(check.x) int(1)", "proc")

	// http-check.
	accept("option httpchk\nhttp-check connect\nhttp-check send meth GET uri /a\nhttp-check expect status 200\nhttp-check expect string ok\nhttp-check connect port 81\nhttp-check send uri /b\nhttp-check expect rstatus ^2\nhttp-check expect hdr name -m beg x-\nhttp-check expect fhdr name Vary value -m sub a,b\nhttp-check comment all")
	accept("option httpchk\nhttp-check disable-on-404\nhttp-check send-state")
	refuse("option httpchk\nhttp-check expect hdr foo", "hdr")
	refuse("option httpchk\nhttp-check expect binary 00", "binary")

	// Protocols.
	accept("option redis-check")
	accept("option mysql-check\noption mysql-check user root\noption mysql-check user root pre-41\noption mysql-check user root post-41")
	refuse("option mysql-check foo", "'user'")
	refuse("option mysql-check user", "<username>")
	refuse("option mysql-check user root new", "post-41")
	accept("option pgsql-check user post")
	refuse("option pgsql-check", "user")
	refuse("option pgsql-check foo bar", "'user'")
	accept("option smtpchk\noption smtpchk HELO example.com\noption smtpchk EHLO example.com")
	accept("option smtpchk FOO example.com")
	accept("option ldap-check\noption ssl-hello-chk")
	refuse("option external-check", "external-check' in the global section")
	refuse("option external-check\nexternal-check command /bin/true", "external-check' in the global section")
	refuse("external-check command", "<command>")
	refuse("external-check command /bin/true a", "unexpected argument 'a'")
	refuse("external-check path", "<path>")
	refuse("option external-check a", "unexpected argument 'a'")
	accept("external-check command /bin/true\nexternal-check path /bin")
	const allowed = "\nglobal\nexternal-check\ninsecure-fork-wanted"
	accept("option external-check\nexternal-check command /bin/true\nserver a 127.0.0.1:2 check" + allowed)
	refuse("option external-check\nexternal-check command none\nserver a 127.0.0.1:2 check"+allowed, "leading '/'")
	accept("option external-check\nexternal-check command none\nexternal-check path /bin\nserver a 127.0.0.1:2 check" + allowed)
	accept("option external-check\nexternal-check command /bin/true\nglobal\nexternal-check\nno insecure-fork-wanted\ninsecure-setuid-wanted")
	refuse("option external-check\nexternal-check command /bin/true\nglobal\ninsecure-fork-wanted", "external-check' in the global section")
	refuse("option external-check"+allowed, "external-check command <path")
	refuse("no option external-check"+allowed, "external-check")
	refuse("global\nexternal-check foo", "foo")
	refuse("global\nno external-check", "external-check")

	// Server lines.
	accept("server a 127.0.0.1:2 check check-ssl verify none check-sni x check-send-proxy")
	refuse("server a 127.0.0.1:2 check check-ssl", "no CA file")
	refuse("server a 127.0.0.1:2 check check-ssl verify required", "no CA file")
	refuse("server a 127.0.0.1:2 check check-ssl verify maybe", "verify")
	accept("server a 127.0.0.1:2 agent-check agent-port 1 agent-addr 127.0.0.1 agent-inter 5s agent-send foo no-agent-check")
	refuse("server a 127.0.0.1:2 agent-check", "agent-port")
	refuse("server a 127.0.0.1:2 agent-check agent-port 1 agent-inter 0", "agent-inter")
	accept("server a 127.0.0.1:2 check observe layer7 error-limit 5 on-error mark-down on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions slowstart 10s minconn 5 maxconn 10\nfullconn 100")
	refuse("server a 127.0.0.1:2 observe layer5", "layer5")
	refuse("server a 127.0.0.1:2 error-limit 0", "error-limit")
	refuse("server a 127.0.0.1:2 on-error panic", "panic")
	refuse("server a 127.0.0.1:2 on-marked-down die", "die")
	accept("server x 127.0.0.1:2 check\nserver a 127.0.0.1:2 track b/x\nserver c 127.0.0.1:2 track a")
	refuse("server x 127.0.0.1:2 check\nserver a 127.0.0.1:2 check track b/x", "at the same time")
	refuse("server a 127.0.0.1:2 track b/y", "'b/y' for tracking")
	refuse("server a 127.0.0.1:2 track s", "does not have any check")
	refuse("server a 127.0.0.1:2 track c\nserver c 127.0.0.1:2 track a", "looping back")
}

// Where checks and agents are: words of the environment, and ports that another word has too.
func TestPlacesOfChecks(t *testing.T) {
	c := load(t, `defaults
  timeout connect 1s
  timeout server 1s
  timeout client 1s
backend b
  option httpchk
  http-check connect addr $H:81
  http-check send uri /
  http-check expect status 200
  http-check connect port 82 addr [::1]:83
  server a 127.0.0.1:2 check addr $H
  server c 127.0.0.1:2 check addr $H:84 agent-check agent-port 1
  server d 127.0.0.1:2 check port 85 addr $H:84 agent-addr ${H}
  server e 127.0.0.1:2 check agent-addr x.test addr $H:84 port 86
listen l
  bind 127.0.0.1:1
`, Options{Environ: []string{"H=127.0.0.9"}})
	var got []string
	b := proxy(t, c, "b")
	for _, step := range b.Check.Script.Steps {
		if how := step.Connect; how != nil {
			got = append(got, fmt.Sprint(how.Address, " ", how.Port))
		}
	}
	for _, s := range b.Servers {
		got = append(got, fmt.Sprint(s.CheckAddr, " ", s.CheckPort, " ", s.AgentAddr))
	}
	want := []string{"127.0.0.9 81", "::1 82", "127.0.0.9 0 ", "127.0.0.9 84 ", "127.0.0.9 85 127.0.0.9", "127.0.0.9 86 x.test"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A proxy's own lines on a kind of check take the place of all that its defaults
// say of it; option httpchk and the first http-check send make one request;
// comments belong to the rules after them.
func TestCheckScripts(t *testing.T) {
	c := load(t, `defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
  option httpchk GET /x
  http-check send hdr A b
  http-check expect status 200
backend inherits
backend own
  option httpchk
  http-check expect string ok
backend again
  option httpchk HEAD /y HTTP/1.1
backend sends
  http-check send uri /z body text
backend bytes
  option tcp-check
  tcp-check comment hello
  tcp-check send a
  tcp-check send b comment other
  tcp-check expect string c
backend plain
  no option httpchk
backend timed
  server a 127.0.0.1:1 check slowstart 5 agent-check agent-port 2 agent-inter 7 check-ssl verify none
`, Options{Environ: []string{}})
	request := func(name, want string, expect func(*health.Expect) bool) {
		t.Helper()
		s := proxy(t, c, name).Check.Script
		if s.Kind != health.HTTP || len(s.Steps) != 2 || s.Steps[0].Request == nil || s.Steps[1].Expect == nil {
			t.Fatalf("%s: %+v", name, s)
		}
		q := s.Steps[0].Request
		if got := strings.Join(append([]string{q.Method, q.URI, q.Version, q.Body}, q.Headers...), " "); got != want {
			t.Errorf("%s: request %q, want %q", name, got, want)
		}
		if !expect(s.Steps[1].Expect) {
			t.Errorf("%s: expects %+v", name, s.Steps[1].Expect)
		}
	}
	is200 := func(e *health.Expect) bool { return e.Statuses.Has(200) && !e.Statuses.Has(204) }
	request("inherits", "GET /x HTTP/1.0  A: b", is200)
	request("own", "OPTIONS / HTTP/1.0 ", func(e *health.Expect) bool { return string(e.Text) == "ok" })
	request("again", "HEAD /y HTTP/1.1 ", func(e *health.Expect) bool { return e.Statuses == nil })
	request("sends", " /z  text", func(e *health.Expect) bool { return e.Statuses == nil })
	s := proxy(t, c, "bytes").Check.Script
	var told []string
	for _, step := range s.Steps {
		told = append(told, string(step.Send)+":"+step.Comment)
	}
	if got := strings.Join(told, " "); s.Kind != health.TCP || got != "a:hello b:other :" || s.Steps[0].Number != 2 {
		t.Errorf("bytes: %q, first number %d", got, s.Steps[0].Number)
	}
	if s := proxy(t, c, "plain").Check.Script; len(s.Steps) != 0 {
		t.Errorf("plain: %+v", s)
	}
	a := proxy(t, c, "timed").Servers[0]
	if a.SlowStart != 5*time.Second || a.AgentInter != 7*time.Millisecond || !a.CheckTLS || a.ErrorLimit != 10 {
		t.Errorf("server: %+v", a)
	}
}

// What option external-check runs has to be there: in a chroot at once, and
// elsewhere there is a warning, since HAProxy only fails the checks.
func TestExternalCheck(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "inside"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	read := func(global, command string) (*Config, error) {
		return LoadSources([]cfgfile.Source{{Name: "t.cfg", Data: []byte("global\n  external-check preserve-env\n  insecure-setuid-wanted\n" + global +
			"defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n  option external-check\n  external-check path /\n" +
			"backend b\n  external-check command " + command + "\n  server s 127.0.0.1:1 check\nbackend other\n  external-check command /bin/true\n  option tcp-check\n")}},
			Options{Environ: []string{}, Privileged: true})
	}
	warnings := func(c *Config) string {
		var all []string
		for _, w := range c.Notes {
			all = append(all, fmt.Sprint(w))
		}
		return strings.Join(all, "\n")
	}
	c, err := read("  insecure-fork-wanted\n", "/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if g := c.Global.Programs; g != (Programs{Allowed: true, Environ: true, Fork: true, SetUID: true}) {
		t.Errorf("%+v", g)
	}
	if k := proxy(t, c, "b").Check; !k.External || k.Command != "/bin/true" || k.Path != "/" {
		t.Errorf("%+v", k)
	}
	if k := proxy(t, c, "other").Check; k.External {
		t.Errorf("%+v", k)
	}
	if got := warnings(c); !strings.Contains(got, "will be ignored for backend 'other'") || strings.Contains(got, "insecure-fork-wanted") || strings.Contains(got, "cannot be run") {
		t.Errorf("warnings %s", got)
	}
	for _, command := range []string{"/nowhere/at/all", "nothing"} {
		c, err := read("", command)
		if err != nil {
			t.Fatal(err)
		}
		if got := warnings(c); !strings.Contains(got, "'insecure-fork-wanted' not enabled") || !strings.Contains(got, "cannot be run") {
			t.Errorf("%s: warnings %s", command, got)
		}
	}
	for _, command := range []string{"/inside", "inside"} {
		if _, err := read("  chroot "+root+"\n", command); err != nil {
			t.Errorf("%s in the chroot: %v", command, err)
		}
	}
	if _, err := read("  chroot "+root+"\n", "/bin/true"); err == nil || !strings.Contains(err.Error(), "t.cfg:12") || !strings.Contains(err.Error(), "put it there") {
		t.Errorf("outside of the chroot: %v", err)
	}
}
