package dialect

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/tape"
)

// info are lines of `show info`.
func (s *subject) info(names ...string) (lines []string) {
	s.t.Helper()
	text, err := s.Command("show info")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if name, _, _ := strings.Cut(line, ":"); slices.Contains(names, name) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// process says who the worker is that serves, where its root is, and whose its files in /proc are: root's if it is not dumpable.
func (s *subject) process() (lines []string) {
	s.t.Helper()
	pid, _, err := s.Workers()
	if err != nil {
		s.t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); slices.Contains([]string{"Uid:", "Gid:"}, f[0]) {
			lines = append(lines, strings.Join(f, " "))
		}
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	dumpable := "?"
	if info, err := os.Stat(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		dumpable = fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid)
	}
	return append(lines, "root "+s.mask(root), "its files in /proc are of "+dumpable)
}

// TestGlobalWords: what the global section says of limits, of the environment, of log lines, and of the process.
func TestGlobalWords(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := both(t, `global
  stats socket STATS mode 600 level admin
  stats timeout 1m
  log LOG local0
  log-send-hostname sender
  description a test of the
  node here
  master-worker
  presetenv LANGA one
  presetenv LANGB one
  setenv LANGB two
  presetenv LANGB three
  setenv LANGC three
  unsetenv LANGC
  setenv LANGD four
  resetenv LANGA LANGB
  maxconnrate 1001
  maxsessrate 1002
  maxsslrate 1003
  maxsslconn 1004
  maxcomprate 1005
  maxcompcpuusage 90
  spread-checks 5
  hard-stop-after 1h
  close-spread-time 1h
  insecure-setuid-wanted
  default-path origin DIR
  uid `+me.Uid+`
  gid `+me.Gid+`
defaults
  mode http
  log global
  log-format "LINE %ST"
  timeout connect 10s
  timeout client 20s
  timeout server 20s
frontend fe
  bind HTTP
  errorfile 403 403.http
  http-request deny if { path /denied }
  http-request return status 200 hdr X-Env "%[env(LANGA)] %[env(LANGB)] %[env(LANGC)] %[env(LANGD)] $LANGA ${LANGB}"
`, map[string]string{"403.http": "HTTP/1.0 403 Mine\r\n\r\nmine"})
	drive := func(s *subject) (got []string) {
		var lines []string
		for _, path := range []string{"/", "/denied"} {
			got = append(got, s.get(path))
			text, ok := s.logged() // before the next request, which another thread may serve and log first
			if !ok {
				t.Fatal("no line")
			}
			lines = append(lines, regexp.MustCompile(`^(<\d+>).{15} (\S+) \w+\[\d+\]`).ReplaceAllString(strings.TrimSpace(text), "$1 $2"))
		}
		got = append(got, lines...)
		got = append(got, s.info("ConnRateLimit", "SessRateLimit", "SslRateLimit", "MaxSslConns", "CompressBpsRateLim", "node", "description", "Node", "Description")...)
		for _, name := range []string{"LANGA", "LANGB", "LANGC", "LANGD"} {
			got = append(got, s.command("show env "+name))
		}
		return append(got, s.process()...)
	}
	same(t, "global", seen(theirs, drive), drive(ours))
}

// TestIdentity: root's balancer serves as the user that it names, in the directory that it names.
func TestIdentity(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root can be somebody else")
	}
	for _, dumpable := range []string{"", "set-dumpable"} {
		jail := t.TempDir() // of root, and for everybody to enter
		for dir := jail; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		theirs, ours := both(t, preface("user nobody\ngroup nogroup\nchroot "+jail+"\n"+dumpable, "LINE %ST")+`
frontend fe
  bind HTTP
  http-request return status 200 hdr X-A b
`, nil)
		drive := func(s *subject) []string {
			var lines []string
			for _, l := range s.process() {
				lines = append(lines, strings.ReplaceAll(l, jail, "JAIL"))
			}
			return append(lines, s.get("/"))
		}
		same(t, "process", seen(theirs, drive), drive(ours))
	}
}

// TestZeroWarning: with zero-warning a warning is an error.
func TestZeroWarning(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	dir := t.TempDir()
	for _, global := range []string{"global\n", "global\n  zero-warning\n"} {
		file := filepath.Join(dir, "c.cfg")
		text := global + "listen l\n  bind 127.0.0.1:18001\n  mode http\n  server s 127.0.0.1:1\n" // no timeouts: both warn
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		check := func(program string) int {
			err := exec.Command(program, "-c", "-f", file).Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if exit != nil {
				return exit.ExitCode()
			}
			return 0
		}
		if want, got := tape.Observe(peer, global, func() int { return check(peer.Program()) }), check(built.LB); got != want {
			t.Errorf("%q: lb ends with %d, haproxy with %d", global, got, want)
		}
	}
}

// TestForceSSLv3: a version that neither can speak is refused.
func TestForceSSLv3(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	dir := t.TempDir()
	cert, err := os.ReadFile("testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "site.pem"), cert, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, lines := range []string{
		"bind 127.0.0.1:18001 ssl crt DIR/site.pem", "bind 127.0.0.1:18001 ssl crt DIR/site.pem force-sslv3",
		"server s 127.0.0.1:1 ssl verify none", "server s 127.0.0.1:1 ssl verify none force-sslv3",
		"bind 127.0.0.1:18001 ssl crt DIR/site.pem no-tlsv12 no-tlsv13", "bind 127.0.0.1:18001 ssl crt DIR/site.pem ssl-min-ver TLSv1.0 no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13",
	} {
		if !strings.HasPrefix(lines, "bind") {
			lines = "bind 127.0.0.1:18001\n  " + lines
		}
		file := filepath.Join(dir, "c.cfg")
		text := "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nlisten l\n  " + strings.ReplaceAll(lines, "DIR", dir) + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		check := func(program string) bool { return exec.Command(program, "-c", "-f", file).Run() == nil }
		if want, got := tape.Observe(peer, lines, func() bool { return check(peer.Program()) }), check(built.LB); got != want {
			t.Errorf("%s: lb accepts it: %v, haproxy: %v", lines, got, want)
		}
	}
}

// TestExtraFiles: keys and issuers in files of their own, and servers whose certificates the global section lets nobody look at.
func TestExtraFiles(t *testing.T) {
	ca := newIssuer(t, "CA")
	server := secureServer(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("server.test", 3, time.Hour)}})
	split := func(name string, serial int64) (cert, key string) {
		cert, key, _ = strings.Cut(ca.file(ca.pair(name, serial, time.Hour)), "-----BEGIN PRIVATE KEY-----")
		return cert, "-----BEGIN PRIVATE KEY-----" + key
	}
	oneCert, oneKey := split("one.test", 4)
	twoCert, twoKey := split("two.test", 5)
	for _, global := range []string{"ssl-load-extra-files key", "ssl-load-extra-files key issuer\nissuers-chain-path DIR/issuers", "ssl-load-extra-del-ext\nissuers-chain-path DIR/issuers"} {
		first, files := "one.pem", map[string]string{"issuers/ca.pem": ca.pem(), "one.pem": oneCert, "one.pem.key": oneKey}
		if strings.Contains(global, "del-ext") {
			first, files = "two.crt", map[string]string{"issuers/ca.pem": ca.pem(), "two.crt": twoCert, "two.key": twoKey}
		}
		theirs, ours := both(t, preface("ssl-server-verify none\n"+global, "LINE %ST")+`
frontend fe
  bind HTTP ssl crt DIR/`+first+`
  default_backend be
backend be
  server s `+server+` ssl
`, files)
		drive := func(s *subject) (got []string) {
			raw, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				return []string{err.Error()}
			}
			defer raw.Close()
			for _, c := range raw.ConnectionState().PeerCertificates {
				got = append(got, c.Subject.CommonName)
			}
			c := &client{s, raw, bufio.NewReader(raw)}
			return append(got, c.do(request("/", "Connection: close")))
		}
		same(t, global, seen(theirs, drive), drive(ours))
	}
}
