package box

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// machine is one booted box with the service installed.
type machine struct {
	t    *testing.T
	name string
	dir  string // the same inside and outside
}

const config = `global
    stats socket /run/lb/admin.sock mode 600 level admin
    hard-stop-after 20s
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
listen www
    bind 127.0.0.1:80
    monitor-uri /
`

// boot builds lb and boots a machine that runs it.
func boot(t *testing.T, name string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("booting a machine needs root")
	}
	m := &machine{t: t, name: fmt.Sprintf("%s%d", name, os.Getpid()), dir: t.TempDir()}
	m.build()
	unit, err := os.ReadFile("../../packaging/systemd/lb.service")
	if err != nil {
		t.Fatal(err)
	}
	m.write("lb.service", string(unit))
	m.write("lb.cfg", config)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.try("journalctl -u lb --no-pager | tail -60")
			t.Logf("the journal ends:\n%s", out)
		}
		if out, err := exec.Command("./box", "down", m.name).CombinedOutput(); err != nil {
			t.Errorf("box down: %v\n%s", err, out)
		}
	})
	if out, err := exec.Command("./box", "up", m.name, m.dir).CombinedOutput(); err != nil {
		t.Fatalf("box up: %v\n%s", err, out)
	}
	m.sh(`useradd --system --user-group lb; cp %[1]s/lb /usr/sbin/lb; mkdir -p /etc/lb; cp %[1]s/lb.cfg /etc/lb/; cp %[1]s/lb.service /etc/systemd/system/; systemctl daemon-reload; systemctl start lb`, m.dir)
	return m
}

// build makes the binary that is installed.
func (m *machine) build(flags ...string) { m.tool("lb", "lbsyslogd/cmd/lb", flags...) }

// tool makes a program of a package.
func (m *machine) tool(name, pkg string, flags ...string) {
	m.t.Helper()
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", filepath.Join(m.dir, name), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("build %s: %v\n%s", name, err, out)
	}
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// try runs a shell command in the machine.
func (m *machine) try(format string, args ...any) (string, error) {
	script := format
	if len(args) > 0 {
		script = fmt.Sprintf(format, args...)
	}
	out, err := exec.Command("./box", "exec", m.name, "--", "bash", "-c", "set -e; "+script).CombinedOutput()
	return string(out), err
}

// sh runs a shell command that must succeed.
func (m *machine) sh(format string, args ...any) string {
	m.t.Helper()
	out, err := m.try(format, args...)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", format, err, out)
	}
	return strings.TrimSpace(out)
}

// journal is what journalctl finds, up to what was said before.
func (m *machine) journal(matches string) string {
	m.t.Helper()
	return m.sh("journalctl --sync; journalctl -o cat --no-pager %s", matches)
}

// mainPID is the master as systemd knows it.
func (m *machine) mainPID() string {
	m.t.Helper()
	return m.sh("systemctl show lb -p MainPID --value")
}

// await polls a shell condition.
func (m *machine) await(what, condition string) {
	m.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		out, err := m.try("%s", condition)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("timed out: %s\n%s", what, out)
		}
	}
}

// load runs ab in the background of act, which is repeated until ab has ended.
// It returns the number of requests that failed. requests is 0 where options
// tell the end.
func (m *machine) load(requests int, options string, act func(), every time.Duration) (failed int) {
	m.t.Helper()
	if requests > 0 {
		options += fmt.Sprintf(" -n %d", requests)
	}
	out, acts := m.during(fmt.Sprintf("ab -r -q -s 20 -c 100 %s http://127.0.0.1/", options), act, every)
	n := number(m.t, out, "Complete requests:")
	if requests > 0 && n != requests {
		m.t.Errorf("ab completed %d of %d requests\n%s", n, requests, out)
	}
	if strings.Contains(out, "Non-2xx") {
		m.t.Errorf("answers other than 200:\n%s", out)
	}
	failed = number(m.t, out, "Failed requests:")
	m.t.Logf("%d requests, %d failed, %d times", n, failed, acts)
	return failed
}

// during runs a command, and act again and again until it has ended.
func (m *machine) during(command string, act func(), every time.Duration) (out string, acts int) {
	m.t.Helper()
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := m.try("%s", command)
		ended <- result{out, err}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ; ; acts++ {
		select {
		case <-tick.C:
			act()
		case r := <-ended:
			if r.err != nil {
				m.t.Fatalf("%s: %v\n%s", command, r.err, r.out)
			}
			return r.out, acts
		}
	}
}

// number reads the value after a label of ab.
func number(t *testing.T, text, label string) int {
	t.Helper()
	_, rest, ok := strings.Cut(text, label)
	if !ok {
		t.Fatalf("no %q in\n%s", label, text)
	}
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatalf("%s %v", label, err)
	}
	return n
}

func TestRestartUnderLoadRefusesNobody(t *testing.T) {
	m := boot(t, "restart")
	before := m.mainPID()
	// With -k the clients keep their connections: those outlive the restarts too.
	for options, requests := range map[string]int{"": 100_000, "-k": 300_000} {
		if failed := m.load(requests, options, func() { m.sh("systemctl restart lb") }, 500*time.Millisecond); failed != 0 {
			t.Errorf("ab %s: %d requests failed", options, failed)
		}
	}
	if m.mainPID() == before {
		t.Error("the master is the same as before")
	}
	m.await("only one worker is left", `test "$(pgrep -fc '[l]b @worker')" = 1`)
	m.sh("lb status")
}

// TestRestartsInARow is the issue's own: a restart every two seconds, under new connections. LB_LONG=1 makes it half a minute.
func TestRestartsInARow(t *testing.T) {
	m := boot(t, "restarts")
	seconds := 7
	if os.Getenv("LB_LONG") != "" {
		seconds = 30
	}
	if failed := m.load(0, fmt.Sprintf("-t %d -n 100000000", seconds), func() { m.sh("systemctl restart lb") }, 2*time.Second); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	m.await("only one worker is left", `test "$(pgrep -fc '[l]b @worker')" = 1`)
}

func TestKilledMasterIsReplacedUnderLoad(t *testing.T) {
	m := boot(t, "killmaster")
	kill := func() {
		pid := m.mainPID()
		m.sh("systemctl kill -s KILL --kill-who=main lb")
		m.await("the next master serves", fmt.Sprintf(`test "$(systemctl show lb -p MainPID --value)" != %s && systemctl is-active -q lb`, pid))
	}
	for options, requests := range map[string]int{"": 100_000, "-k": 300_000} {
		if failed := m.load(requests, options, kill, 700*time.Millisecond); failed != 0 {
			t.Errorf("ab %s: %d requests failed", options, failed)
		}
	}
}

func TestReloadTellsItsOutcome(t *testing.T) {
	m := boot(t, "reload")
	m.sh("systemctl reload lb")
	if s := m.sh("systemctl show lb -p StatusText --value"); !strings.HasPrefix(s, "Generation 2 serves") {
		t.Errorf("status %q", s)
	}
	m.sh("systemd-run -q --unit squatter socat TCP-LISTEN:8088,bind=127.0.0.1,fork EXEC:cat")
	m.await("somebody has the port", "socat -u OPEN:/dev/null TCP:127.0.0.1:8088")
	for _, c := range []struct{ name, change, reason string }{
		{"a mistake", "echo '    ballance roundrobin' >>/etc/lb/lb.cfg", "/etc/lb/lb.cfg:12"},
		{"a port that is taken", "echo '    bind 127.0.0.1:8088' >>/etc/lb/lb.cfg", "127.0.0.1:8088 is taken"},
	} {
		m.sh("%s", c.change)
		if out, err := m.try("systemctl reload lb"); err == nil {
			t.Errorf("%s: the reload succeeded\n%s", c.name, out)
		}
		if log := m.journal("-u lb | tail -20"); !strings.Contains(log, c.reason) {
			t.Errorf("%s: the journal lacks %q:\n%s", c.name, c.reason, log)
		}
		if s := m.sh("systemctl show lb -p StatusText --value"); !strings.Contains(s, c.reason) {
			t.Errorf("%s: status %q", c.name, s)
		}
		if s := m.sh("systemctl show lb -p ActiveState --value"); s != "active" {
			t.Errorf("%s: the unit is %s", c.name, s)
		}
		m.sh("cp %s/lb.cfg /etc/lb/", m.dir)
	}
	m.sh("systemctl reload lb")
	if out := m.journal("-u lb -p err"); strings.Count(out, " failed, generation ") != 2 {
		t.Errorf("the journal's errors are not the two failures:\n%s", out)
	}
}

func TestStopEndsEverything(t *testing.T) {
	m := boot(t, "stop")
	m.sh("systemctl restart lb; systemctl reload lb; systemctl stop lb")
	if out, err := m.try("pgrep -a lb"); err == nil {
		t.Errorf("processes are left:\n%s", out)
	}
	if n := m.sh("systemctl show lb -p NFileDescriptorStore --value"); n != "0" {
		t.Errorf("%s descriptors are left in the store", n)
	}
	m.sh("systemctl start lb; curl -sf -o /dev/null http://127.0.0.1/")
}

func TestUpgradeUnderLoad(t *testing.T) {
	m := boot(t, "upgrade")
	before := m.mainPID()
	m.build("-ldflags", "-X lbsyslogd/cmd/internal/buildinfo.version=99.1")
	upgraded := false
	if failed := m.load(100_000, "-k", func() {
		if upgraded {
			return
		}
		upgraded = true
		m.sh("cp %s/lb /usr/sbin/lb.new; mv /usr/sbin/lb.new /usr/sbin/lb; lb upgrade", m.dir)
	}, 200*time.Millisecond); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	if got := m.mainPID(); got != before {
		t.Errorf("the main process is %s, was %s", got, before)
	}
	if s := m.sh("lb status"); !strings.Contains(s, "lb 99.1") {
		t.Errorf("the old program is still in charge:\n%s", s)
	}
	// One that does not even start leaves everything as it is.
	if out, err := m.try("printf '#!/bin/sh\nexit 3\n' >/usr/sbin/lb.bad; chmod +x /usr/sbin/lb.bad; cp /usr/sbin/lb /root/lb; mv /usr/sbin/lb.bad /usr/sbin/lb; /root/lb upgrade"); err == nil || !strings.Contains(out, "nothing has changed") {
		t.Errorf("a broken program: %v\n%s", err, out)
	}
	m.sh("curl -sf -o /dev/null http://127.0.0.1/; systemctl is-active lb")
}

func TestWatchdogReplacesAStuckMaster(t *testing.T) {
	m := boot(t, "watchdog")
	m.sh("mkdir -p /etc/systemd/system/lb.service.d; printf '[Service]\nWatchdogSec=3s\n' >/etc/systemd/system/lb.service.d/w.conf; systemctl daemon-reload; systemctl restart lb")
	before := m.mainPID()
	// Once: a master that is stopped again while it dies of the watchdog's signal has until TimeoutAbortSec.
	stop := sync.OnceFunc(func() { m.sh("kill -STOP %s", before) })
	if failed := m.load(100_000, "", stop, 300*time.Millisecond); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	m.await("systemd replaces the master", fmt.Sprintf(`p=$(systemctl show lb -p MainPID --value); test $p != %s && test $p != 0 && systemctl is-active -q lb`, before))
	m.sh("curl -sf -o /dev/null http://127.0.0.1/; lb status")

	// A program that the master becomes is watched as well, and has to know.
	m.sh("lb upgrade")
	after := m.mainPID()
	fed := m.sh("systemctl show lb -p WatchdogTimestampMonotonic --value")
	m.await("the upgraded master feeds the watchdog", fmt.Sprintf("test $(systemctl show lb -p WatchdogTimestampMonotonic --value) -gt $((%s + 3000000))", fed))
	if got := m.mainPID(); got != after {
		t.Errorf("the watchdog has killed the upgraded master %s", after)
	}
}
