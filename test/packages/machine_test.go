package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	box     = "../box/box"
	version = "1.0.0"
	later   = "99.0.0"
)

// built is the directory with the packages of both versions and the programs of the tests. Immutable after TestMain.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "packages-")
		if err == nil {
			built, err = dir, build(dir)
		}
		defer os.RemoveAll(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// build makes the packages, what images are built from, the load client, the backend and the ledger.
func build(dir string) error {
	for _, v := range []string{version, later} {
		if err := pack(dir, v, "deb rpm"); err != nil {
			return err
		}
	}
	if err := produce("container/build", filepath.Join(dir, "site"), version, ""); err != nil {
		return err
	}
	for _, name := range []string{"load", "backend", "ledger"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), "lbsyslogd/test/"+name+"/cmd")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// pack makes packages.
func pack(dir, version, formats string) error { return produce("build", dir, version, formats) }

// produce runs a build script of packaging/ for this machine's architecture.
func produce(script, dir, version, formats string) error {
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return fmt.Errorf("dpkg --print-architecture: %w", err)
	}
	cmd := exec.Command("../../packaging/" + script)
	cmd.Env = append(os.Environ(), "VERSION="+version, "OUT="+dir, "FORMATS="+formats, "SOURCE_DATE_EPOCH=1767225600", "ARCHS="+strings.TrimSpace(string(arch)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("packaging/%s: %w\n%s", script, err, out)
	}
	return nil
}

// machine is a booted box.
type machine struct {
	t    *testing.T
	name string
	dir  string // with built in it: the same inside and outside
	logs string // command that gathers the balancer's log as /root/ledger/lb.log
}

func boot(t *testing.T, name string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("booting a machine needs root")
	}
	m := &machine{t: t, name: fmt.Sprintf("%s%d", name, os.Getpid()), dir: built, logs: "syslogd flush >/dev/null; zcat -f /var/log/lb/* >/root/ledger/lb.log"}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.try("journalctl --no-pager -o short-precise | grep -v -E 'kernel|systemd-journald|podman[[]' | tail -60")
			t.Logf("the journal ends:\n%s", out)
		}
		if out, err := exec.Command(box, "down", m.name).CombinedOutput(); err != nil {
			t.Errorf("box down: %v\n%s", err, out)
		}
	})
	if out, err := exec.Command(box, "up", m.name, m.dir).CombinedOutput(); err != nil {
		t.Fatalf("box up: %v\n%s", err, out)
	}
	return m
}

// try runs a shell command in the machine.
func (m *machine) try(format string, args ...any) (string, error) {
	script := format
	if len(args) > 0 {
		script = fmt.Sprintf(format, args...)
	}
	out, err := exec.Command(box, "exec", m.name, "--", "bash", "-c", "set -e; cd "+m.dir+"; "+script).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// sh runs a shell command that must succeed.
func (m *machine) sh(format string, args ...any) string {
	m.t.Helper()
	out, err := m.try(format, args...)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", format, err, out)
	}
	return out
}

// write puts a file into the machine.
func (m *machine) write(path, text string) {
	m.t.Helper()
	m.sh("cat >%s <<'END-OF-FILE'\n%sEND-OF-FILE", path, text)
}

// await polls a shell condition.
func (m *machine) await(what, condition string) {
	m.t.Helper()
	var out string
	if !within(func() bool {
		var err error
		out, err = m.try("%s", condition)
		return err == nil
	}) {
		m.t.Fatalf("timed out: %s\n%s", what, out)
	}
}

// within polls a condition for a minute.
func within(condition func() bool) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		if condition() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// install installs both packages.
func (m *machine) install(version string) {
	m.t.Helper()
	m.sh("dpkg -i lb_%[1]s-1_*.deb syslogd_%[1]s-1_*.deb", version)
}

// site is a configuration for the packages' own directories, with the backends that serve starts.
const site = `global
    log 127.0.0.1:514 local0
    stats socket /run/lb/admin.sock mode 660 level admin expose-fd listeners
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend www
    bind 127.0.0.1:80
    bind 127.0.0.1:443 ssl crt /etc/lb/certs/
    monitor-uri /health
    default_backend app
backend app
    server a1 127.0.0.1:9001
    server a2 127.0.0.1:9002
    server a3 127.0.0.1:9003
`

// serve starts backends, and gives the balancer a site that uses them.
func (m *machine) serve() {
	m.t.Helper()
	m.sh("systemd-run -q --unit backends -p LimitNOFILE=20000 %s/backend 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003", m.dir)
	m.sh(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=lb.example -keyout /root/key -out /root/crt 2>/dev/null
		cat /root/crt /root/key >/etc/lb/certs/site.pem; chgrp lb /etc/lb/certs/site.pem; chmod 640 /etc/lb/certs/site.pem`)
	m.write("/etc/lb/lb.cfg", site)
	m.sh("systemctl reload lb")
	m.await("the backends answer", "curl -sf -o /dev/null http://127.0.0.1/r/probe/0")
}

// load sends numbered requests while act runs, however long that takes, and at least so many; no request may fail, and each must be in the log once.
// It returns how many they were.
func (m *machine) load(run string, least, rate int, act func()) (n int) {
	m.t.Helper()
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	m.sh("rm -f /root/load.pid")
	go func() {
		out, err := m.try("echo $$ >/root/load.pid; exec ./load -run %s -n 0 -least %d -rate %d -c 50 -per-conn 20 -post-each 10 127.0.0.1:80", run, least, rate)
		ended <- result{out, err}
	}()
	m.await("the load", `test "$(cat /proc/$(cat /root/load.pid)/comm)" = load`)
	act()
	m.sh("kill -INT $(cat /root/load.pid)")
	r := <-ended
	m.t.Log(r.out)
	if r.err != nil {
		m.t.Fatalf("load %s: %v", run, r.err)
	}
	if _, err := fmt.Sscanf(r.out, "%d ok", &n); err != nil || n < least {
		m.t.Fatalf("load %s says %q", run, r.out)
	}
	m.await("every request in the log exactly once", fmt.Sprintf("mkdir -p /root/ledger; %s; ./ledger -run %s -n %d /root/ledger/lb.log", m.logs, run, n))
	return n
}

// number reads the number that follows a label.
func number(t *testing.T, text, label string) int {
	t.Helper()
	m := regexp.MustCompile(regexp.QuoteMeta(label) + `\s*([0-9]+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %q in\n%s", label, text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
