package syslog_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/syslog/flood"
)

// A machine is a throw-away one with a real systemd, on which syslogd is installed with its unit and perhaps its socket unit.
type machine struct {
	t    *testing.T
	name string
	dir  string // the same inside and outside
}

func boot(t *testing.T, config string, socketUnit bool) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("booting a machine needs root")
	}
	m := &machine{t: t, name: fmt.Sprintf("syslogd%d", os.Getpid()), dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{binary(): "syslogd", self: "tests", "../../packaging/systemd/syslogd.service": "syslogd.service",
		"../../packaging/systemd/syslogd.socket": "syslogd.socket"} {
		m.copy(from, filepath.Join(m.dir, to))
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.try("journalctl -u syslogd --no-pager | tail -40")
			t.Logf("the journal ends:\n%s", out)
		}
		if out, err := exec.Command("../box/box", "down", m.name).CombinedOutput(); err != nil {
			t.Errorf("box down: %v\n%s", err, out)
		}
	})
	if out, err := exec.Command("../box/box", "up", m.name, m.dir).CombinedOutput(); err != nil {
		t.Fatalf("box up: %v\n%s", err, out)
	}
	m.sh(`useradd --system --user-group syslogd; install -d -o syslogd -g syslogd /var/log/lb; install -d /etc/syslogd
		cp %[1]s/syslogd /usr/sbin/; cp %[1]s/syslogd.service %[1]s/syslogd.socket /etc/systemd/system/`, m.dir)
	if !socketUnit {
		m.sh("rm /etc/systemd/system/syslogd.socket; systemctl mask -q syslogd.socket")
	}
	m.configure(config)
	m.sh("systemctl daemon-reload; systemctl start syslogd")
	return m
}

func (m *machine) copy(from, to string) {
	m.t.Helper()
	in, err := os.Open(from)
	if err != nil {
		m.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		m.t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) configure(config string) {
	m.t.Helper()
	m.sh("cat >/etc/syslogd/syslogd.yaml <<'END'\n%s\nEND", config)
}

// try runs a shell command in the machine.
func (m *machine) try(format string, args ...any) (string, error) {
	out, err := exec.Command("../box/box", "exec", m.name, "--", "bash", "-c", "set -e; "+fmt.Sprintf(format, args...)).CombinedOutput()
	return string(out), err
}

// sh runs a shell command that must succeed.
func (m *machine) sh(format string, args ...any) string {
	m.t.Helper()
	out, err := m.try(format, args...)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", fmt.Sprintf(format, args...), err, out)
	}
	return strings.TrimSpace(out)
}

// child runs one of the tests below in the machine, as a process of its own.
func (m *machine) child(ctx context.Context, test string, env ...string) *exec.Cmd {
	args := append([]string{"exec", m.name, "--", "env", "SYSLOGD_UNDER_TEST=/usr/sbin/syslogd"}, env...)
	cmd := exec.CommandContext(ctx, "../box/box", append(args, m.dir+"/tests", "-test.run=^"+test+"$", "-test.v")...)
	return cmd
}

// TestFloodInTheMachine sends for FLOOD_TIME, or until SIGTERM, and says how much it was. Only a machine can give it what it wants.
func TestFloodInTheMachine(t *testing.T) {
	to := os.Getenv("FLOOD_TO")
	if to == "" {
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer cancel()
	limit, err := time.ParseDuration(os.Getenv("FLOOD_TIME"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, limit)
	defer cancel()
	n, err := flood.Flood{To: to, Rate: 20_000}.Send(ctx)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("sent %d messages\n", n)
}

// TestSocketsOutliveIt restarts and kills syslogd once a second under load, with the socket unit, which opens the UDP socket, and without
// one: then syslogd opens it, as it does the others, and systemd keeps it in its store. Both lose the same, and a connection that comes
// meanwhile is not refused.
func TestSocketsOutliveIt(t *testing.T) {
	t.Run("socket unit", func(t *testing.T) { outlive(t, true, "2") })
	t.Run("of its own", func(t *testing.T) { outlive(t, false, "3") })
}

func outlive(t *testing.T, socketUnit bool, kept string) {
	m := boot(t, `
listen: [udp://127.0.0.1:514, "tcp://:5514", unix:///run/syslogd/log]
outputs: [{file: /var/log/lb/lb.log, rotate: never}]
`, socketUnit)
	for round, c := range []struct {
		name, end string
		most      int // lines lost each time
	}{
		{"restart", "systemctl restart syslogd", 0},
		// As with a socket unit: 20,000 lines a second for a gather, a batch and a write, with room for a busy machine.
		{"kill", "until systemctl is-active -q syslogd; do :; done; systemctl kill -s KILL --kill-who=main syslogd", 20_000 / 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := *m
			m.t = t
			limit := long(5*time.Second, 30*time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), limit+time.Minute)
			defer cancel()
			type result struct {
				out []byte
				err error
			}
			ended := make(chan result)
			go func() {
				out, err := m.child(ctx, "TestFloodInTheMachine", "FLOOD_TO=127.0.0.1:514", "FLOOD_TIME="+limit.String()).CombinedOutput()
				ended <- result{out, err}
			}()
			times, n := 0, 0
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for n == 0 {
				select {
				case <-tick.C:
					m.sh("%s", c.end)
					times++
					m.sh("echo '<13>knock %s %d' >/dev/tcp/127.0.0.1/5514", c.name, times) // at once, whoever listens now
				case r := <-ended:
					sent := regexp.MustCompile(`sent (\d+) messages`).FindSubmatch(r.out)
					if r.err != nil || sent == nil {
						t.Fatalf("%v\n%s", r.err, r.out)
					}
					n, _ = strconv.Atoi(string(sent[1]))
				}
			}
			m.sh("until syslogd flush >/dev/null; do :; done")
			knocks := fmt.Sprintf("grep -c ' knock %s ' /var/log/lb/lb.log", c.name)
			m.sh("until test $(%s) = %d; do :; done", knocks, times)
			if c.name == "restart" && round == 0 {
				m.sh("logger -u /run/syslogd/log -t unix 'still there'; syslogd flush; grep -q 'unix: still there' /var/log/lb/lb.log")
			}
			out := t.TempDir()
			m.sh("grep flood /var/log/lb/lb.log >%s/lb.log; truncate -s 0 /var/log/lb/lb.log", m.dir)
			if err := os.Rename(filepath.Join(m.dir, "lb.log"), filepath.Join(out, "lb.log")); err != nil {
				t.Fatal(err)
			}
			l := account(t, out, "lb", 0, n, 200)
			if l.lost > times*c.most || l.twice > 0 || c.most == 0 && l.torn > 0 || l.torn > times {
				t.Errorf("%d times lost %d lines of %d, tore %d, and %d are there twice", times, l.lost, n, l.torn, l.twice)
			}
			t.Logf("%d lines, %d times %s: %d lost", n, times, c.name, l.lost)
		})
	}
	if got := m.sh("systemctl show syslogd -p NFileDescriptorStore --value"); got != kept {
		t.Errorf("systemd keeps %s sockets; want %s", got, kept)
	}
}

// TestKeptSocketsFollowTheConfiguration changes what is listened on, over a reload and over a restart. The store has exactly that.
func TestKeptSocketsFollowTheConfiguration(t *testing.T) {
	const outputs = "outputs: [{file: /var/log/lb/lb.log, rotate: never}]\n"
	m := boot(t, "listen: [udp://127.0.0.1:5514, tcp://127.0.0.1:5514, unix:///run/syslogd/log]\n"+outputs, false)
	kept := func(want string) {
		t.Helper()
		if got := m.sh("systemctl show syslogd -p NFileDescriptorStore --value"); got != want {
			t.Errorf("systemd keeps %s sockets; want %s", got, want)
		}
	}
	listening := func(want string) {
		t.Helper()
		got := m.sh(`{ ss -Hulnp; ss -Htlnp; } | grep '"syslogd"' | awk '{print $4}' | sort | tr '\n' ' '`)
		if strings.TrimSpace(got) != want {
			t.Errorf("it listens on %q; want %q", got, want)
		}
	}
	kept("3")
	inode := m.sh("ss -Hulne sport = :5514 2>/dev/null | grep -o 'ino:[0-9]*'")

	// By a reload: one goes, one comes.
	m.configure("listen: [udp://127.0.0.1:5514, unix:///run/syslogd/log, udp://127.0.0.1:5515]\n" + outputs)
	m.sh("syslogd reload")
	kept("3")
	if _, err := m.try("echo >/dev/tcp/127.0.0.1/5514"); err == nil {
		t.Error("the TCP socket is still open after the reload")
	}
	// Back and forth: what goes is closed in the store too when reload returns, or the address would be in use.
	for range 10 {
		m.configure("listen: udp://127.0.0.1:5514\n" + outputs)
		m.sh("syslogd reload")
		m.configure("listen: [udp://127.0.0.1:5514, unix:///run/syslogd/log, udp://127.0.0.1:5515]\n" + outputs)
		m.sh("syslogd reload")
	}
	kept("3")

	// By a restart: a wildcard is in the way of the address that comes, and the path goes.
	m.configure("listen: [udp://127.0.0.1:5514, \"udp://:5516\"]\n" + outputs)
	m.sh("systemctl restart syslogd; test ! -e /run/syslogd/log")
	kept("2")
	if out := m.sh("journalctl --sync; journalctl -u syslogd -o cat --no-pager | grep -c 'does not fit the configuration any more'"); out != "2" {
		t.Errorf("the journal tells %s times of sockets that do not fit", out)
	}
	m.configure("listen: [udp://127.0.0.1:5514, udp://127.0.0.1:5516, tcp://127.0.0.1:5514]\n" + outputs)
	m.sh("systemctl restart syslogd")
	kept("3")
	listening("127.0.0.1:5514 127.0.0.1:5514 127.0.0.1:5516")
	if now := m.sh("ss -Hulne sport = :5514 2>/dev/null | grep -o 'ino:[0-9]*'"); now != inode {
		t.Errorf("the UDP socket was opened anew: %s, was %s", now, inode)
	}
	// A path that somebody took away leads nowhere: the kept socket does not help.
	m.configure("listen: unix:///run/syslogd/log\n" + outputs)
	m.sh("systemctl restart syslogd; rm /run/syslogd/log; systemctl restart syslogd; logger -u /run/syslogd/log -t unix 'a new one'; syslogd flush; grep -q 'unix: a new one' /var/log/lb/lb.log")
	kept("1")
	m.sh("systemctl stop syslogd")
	kept("0")
}

// TestUnitLetsItWork has the unit as it is packaged, system call filter and all: files are rotated and compressed in both forms, strangers
// give no commands, a reload tells its outcome, and the watchdog replaces a process that does not read.
func TestUnitLetsItWork(t *testing.T) {
	const config = "listen: udp://127.0.0.1:5514\noutputs: [{file: /var/log/lb/lb.log, rotate: {size: 1MB, keep: 9, compress: %s}}]\n"
	m := boot(t, fmt.Sprintf(config, "zstd"), false)
	for _, c := range []struct{ form, suffix string }{{"zstd", "zst"}, {"gzip", "gz"}} {
		m.configure(fmt.Sprintf(config, c.form))
		m.sh("systemctl reload syslogd; logger -d -n 127.0.0.1 -P 5514 -t app one; syslogd rotate")
		m.sh("until ls /var/log/lb/lb-*.%s 2>/dev/null; do :; done", c.suffix)
	}
	// Who may give commands: root, the daemon's user and the members of its group. The kernel says who asks, whatever the socket's mode.
	const nobody = "setpriv --reuid=65534 --regid=65534 --groups=%s syslogd status"
	if out, err := m.try(nobody, "65534"); err == nil {
		t.Errorf("nobody may ask:\n%s", out)
	}
	m.sh(nobody, "$(id -g syslogd)")
	m.sh("chmod 666 /run/syslogd/control.sock")
	if out, err := m.try(nobody, "65534"); err == nil || !strings.Contains(out, "user 65534 may not give commands") {
		t.Errorf("nobody may ask when the mode says so: %v\n%s", err, out)
	}
	m.configure("listen: nowhere\n")
	if out, err := m.try("systemctl reload syslogd"); err == nil {
		t.Errorf("a bad configuration: the reload succeeded\n%s", out)
	}
	if s := m.sh("systemctl show syslogd -p ActiveState,StatusText --value"); !strings.Contains(s, "active") || !strings.Contains(s, "refused") {
		t.Errorf("after a bad configuration: %s", s)
	}
	m.configure(fmt.Sprintf(config, "zstd"))
	m.sh("systemctl reload syslogd; install -d /run/systemd/system/syslogd.service.d; printf '[Service]\nWatchdogSec=3s\n' >/run/systemd/system/syslogd.service.d/w.conf; systemctl daemon-reload; systemctl restart syslogd")
	before := m.sh("systemctl show syslogd -p MainPID --value")
	m.sh("kill -STOP %[1]s; until p=$(systemctl show syslogd -p MainPID --value); test $p != %[1]s -a $p != 0 && systemctl is-active -q syslogd; do :; done", before)
	m.sh("logger -d -n 127.0.0.1 -P 5514 -t app two; syslogd flush; grep -q ' app: two' /var/log/lb/lb.log")
}
