package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

// chapter is a part of docs/operations.md with the commands in it.
type chapter struct {
	heading  string
	commands []string // blocks marked sh, and the second column of tables
	rules    string   // a block marked yaml
}

// chapters reads a document.
func chapters(t *testing.T, path string) []chapter {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []chapter
	for _, part := range regexp.MustCompile(`(?m)^## `).Split(string(text), -1)[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		c := chapter{heading: heading}
		for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$|^\\| [^|]+ \\| `([^`]+)` \\| [^|]*\\|$").FindAllStringSubmatch(body, -1) {
			switch {
			case m[1] == "sh":
				c.commands = append(c.commands, m[2])
			case m[1] == "yaml":
				c.rules += m[2]
			case m[3] != "" && heading == "Day by day":
				c.commands = append(c.commands, m[3])
			}
		}
		all = append(all, c)
	}
	return all
}

// haproxyCfg is what an administrator who comes from HAProxy has.
const haproxyCfg = `global
    log /dev/log local0
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
    user haproxy
    group haproxy
    daemon
defaults
    mode http
    log global
    option httplog
    option idle-close-on-response
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend www
    bind 127.0.0.1:80
    default_backend app
backend app
    server a1 127.0.0.1:9001
    server a2 127.0.0.1:9002
`

// step is what a test has to do around a chapter.
type step struct {
	before string // shell commands for what the chapter presumes
	load   int    // requests while it goes on, none of which may fail; 0 for none, endless for as long as it goes on
	logged bool   // and each of them is in lb's log once
	after  func(m *machine, out string)
}

const endless = -1

// TestTheManual runs every command of docs/operations.md as it stands there, from top to bottom. A chapter with commands that has no
// step here fails it.
func TestTheManual(t *testing.T) {
	t.Parallel()
	tape.Require(t, "haproxy")
	m := boot(t, "manual")
	m.logs = `rm -rf /root/got; cp -r /var/log/lb /root/got; rm -f /root/got/*.tmp; zstd -dqf --rm /root/got/*.zst 2>/dev/null || :; zcat -f /root/got/* >/root/ledger/lb.log`
	m.sh(`mkdir -p /root/manual/dist; cp %[1]s/*_%[2]s-1_*.deb /root/manual/dist
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=lb.example -keyout /root/site.key -out /root/site.crt 2>/dev/null
		systemd-run -q --unit backends -p LimitNOFILE=20000 %[1]s/backend 127.0.0.1:9001 127.0.0.1:9002`, m.dir, version)
	steps := map[string]step{
		"Install": {after: func(m *machine, _ string) {
			m.sh(`sed '/^# A site/,$d' /etc/lb/lb.cfg >/root/none.cfg; cp /root/none.cfg /root/own.cfg; cat >>/root/own.cfg <<'END'
frontend www
    bind 127.0.0.1:80
    bind 127.0.0.1:443 ssl crt /etc/lb/certs/
    default_backend app
backend app
    server a1 127.0.0.1:9001
    server a2 127.0.0.1:9002
END
				cp /root/own.cfg /etc/lb/lb.cfg; systemctl reload lb; curl -skf -o /dev/null https://127.0.0.1/r/probe/0`)
		}},
		"Day by day": {load: 12_000, logged: true},
		"Rotate": {load: 8000, logged: true, after: func(m *machine, out string) {
			m.says(out, "lb-20")
		}},
		"Upgrade and go back": {"mv dist former; mkdir dist; cp " + m.dir + "/*_" + later + "-1_*.deb dist", 12_000, true, func(m *machine, out string) {
			m.says(out, "lb "+later, "syslogd "+later)
			m.runs(version)
		}},
		"From HAProxy": {`cp /root/none.cfg /etc/lb/lb.cfg; systemctl reload lb; cat >/etc/haproxy/haproxy.cfg <<'END'
` + haproxyCfg + "END\nsystemctl restart haproxy", endless, false, func(m *machine, out string) {
			m.says(out, "serves since")
			if out := m.sh("systemctl is-active haproxy lb || :; tail -1 /etc/default/lb"); out != "active\ninactive\nEXTRAOPTS=" {
				m.t.Errorf("in the end, HAProxy, lb, and its options:\n%s", out)
			}
			m.sh("systemctl stop haproxy; cp /root/own.cfg /etc/lb/lb.cfg; systemctl start lb")
		}},
		"Hooks that signal a balancer": {before: "printf '/var/log/h.log {\n postrotate\n  systemctl restart haproxy\n endscript\n}\n' >/etc/logrotate.d/h",
			after: func(m *machine, out string) { m.says(out, "/etc/logrotate.d/h:3: ", "something above reaches") }},
		"Tune": {load: 16_000, logged: true, after: func(m *machine, out string) {
			m.says(out, " 65536 ", " 250000 ")
			if cpus := m.sh("grep Cpus_allowed_list /proc/$(pgrep -fn '[l]b @worker')/status"); !strings.HasSuffix(cpus, "\t0") {
				m.t.Errorf("the worker's processors: %s", cpus)
			}
		}},
		"Monitor": {after: func(m *machine, out string) {
			m.says(out, "Generation ", "www,FRONTEND,", "DroppedLogs: 0", `"kernel_drops"`, "lb_reloads_total", "syslogd_input_received_total")
		}},
		"Containers": {before: engine + "\nsystemctl stop lb syslogd.socket syslogd; sysctl -q -w net.ipv4.ip_unprivileged_port_start=0; cp -r " + m.dir + "/site dist/container",
			after: func(m *machine, _ string) {
				m.sh("podman ps | grep -q ' b$'; curl -sf -o /dev/null http://127.0.0.1:8404/health; podman stop b")
			}},
	}
	for _, c := range chapters(t, "../../docs/operations.md") {
		s, ok := steps[c.heading]
		delete(steps, c.heading)
		if len(c.commands) == 0 {
			continue
		}
		if passed := t.Run(c.heading, func(t *testing.T) {
			if !ok {
				t.Fatalf("no test runs its commands:\n%s", strings.Join(c.commands, "\n"))
			}
			m := *m
			m.t = t
			m.follow(c, s)
		}); !passed {
			return // one chapter presumes the other
		}
	}
	if len(steps) > 0 {
		t.Errorf("the document lacks the chapters of %v", steps)
	}
}

// TestTakeoverByCommand runs the commands of docs/reload.md, and the one of lb(8), that go from HAProxy to lb and back, under load.
func TestTakeoverByCommand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/reload.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## From HAProxy and back\n")
	part, _, _ := strings.Cut(rest, "\n## ")
	commands := regexp.MustCompile(`(?m)^    .*$`).FindAllString(part, -1)
	if len(commands) != 2 {
		t.Fatalf("docs/reload.md has not two commands, but %q", commands)
	}
	manual, err := os.ReadFile("../../packaging/man/lb.8.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?m)^lb .* -x .*$`).FindString(string(manual))
	tape.Require(t, "haproxy")
	m := boot(t, "takeover")
	m.sh("dpkg -i lb_%[1]s-1_*.deb; systemctl stop lb; mkdir -p /run/haproxy /run/lb; systemd-run -q --unit backends -p LimitNOFILE=20000 %[2]s/backend 127.0.0.1:9001 127.0.0.1:9002", version, m.dir)
	m.write("/etc/haproxy/haproxy.cfg", haproxyCfg)
	m.sh("sed 's#/run/haproxy/#/run/lb/#' /etc/haproxy/haproxy.cfg >/etc/lb/lb.cfg; haproxy -W -D -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid")
	m.underLoad(func() {
		for _, c := range []struct{ command, serves, other, directory string }{
			{commands[0], "lb", "haproxy", "lb"},
			{commands[1], "haproxy", "lb", "haproxy"},
			// One configuration for both: the stats socket's path goes from hand to hand.
			{example, "lb", "haproxy", "haproxy"},
			{strings.Replace(commands[1], "/run/lb/admin.sock", "/run/haproxy/admin.sock", 1), "haproxy", "lb", "haproxy"},
		} {
			m.sh("%s", c.command)
			m.await(c.other+" to leave", "! pgrep -x "+c.other)
			info := m.sh("echo 'show info' | socat - /run/%s/admin.sock; test -s /run/%s.pid", c.directory, c.serves)
			if ours := strings.Contains(info, "\nBuild info: lb "); !strings.HasPrefix(info, "Name: HAProxy\n") || ours != (c.serves == "lb") {
				t.Errorf("%s serves:\n%s", c.other, info)
			}
		}
	})
}

// TestQuickStart runs the commands of the README's quick start at once, as somebody does who pastes them.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## Quick start\n")
	part, _, _ := strings.Cut(rest, "\n## ")
	commands := strings.Join(regexp.MustCompile(`(?m)^    (.*)$`).FindAllString(part, -1), "\n")
	if !strings.Contains(commands, "make build") {
		t.Fatalf("the README's quick start is not there:\n%s", part)
	}
	// The tree, where it can be written to, and the toolchain with its caches, which the machine has at the same places.
	tree := filepath.Join(built, "tree")
	if out, err := exec.Command("bash", "-c", "mkdir "+tree+"; cd ../..; cp -r Makefile go.mod go.sum cmd lb rotate syslogd "+tree).CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v\n%s", err, out)
	}
	goenv, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	where := strings.Fields(string(goenv))
	m := boot(t, "quick")
	out := m.sh("export PATH=%s/bin:$PATH GOMODCACHE=%s GOCACHE=%s GOPROXY=off; cd %s\n%s", where[0], where[1], where[2], tree, unindented(commands))
	m.says(out, "HTTP/1.1 200", "Generation 2 serves", "generation 2 (worker ")
	m.await("everything to have ended", "! pgrep -x lb")
}

func unindented(text string) string {
	return regexp.MustCompile(`(?m)^    `).ReplaceAllString(text, "")
}

// follow does what a chapter says.
func (m *machine) follow(c chapter, s step) {
	m.t.Helper()
	m.sh("cd /root/manual\n%s", s.before)
	var out strings.Builder
	act := func() {
		for _, command := range c.commands {
			// Everything in it has to succeed. For a reader it goes on; here it does not.
			out.WriteString(m.sh("cd /root/manual; export DOCKER_HOST=unix:///run/podman/podman.sock\n%s", command) + "\n")
		}
	}
	switch {
	case s.logged:
		m.load(regexp.MustCompile(`\W`).ReplaceAllString(c.heading, ""), s.load, 2000, act)
	case s.load == endless:
		m.underLoad(act)
	default:
		act()
	}
	if s.after != nil {
		s.after(m, out.String())
	}
	if c.rules != "" {
		m.measured(c.rules)
	}
}

// underLoad sends requests for as long as act runs, however long that is; none of them may fail.
func (m *machine) underLoad(act func()) {
	m.t.Helper()
	m.sh("rm -f /root/load; systemd-run -q --unit load -p LimitNOFILE=20000 -p StandardOutput=file:/root/load %s/load -n 0 -rate 1500 -c 50 -per-conn 20 127.0.0.1:80", m.dir)
	act()
	m.sh("systemctl is-active -q load; systemctl stop load; grep -q '^[1-9][0-9]* ok over' /root/load || { cat /root/load; exit 1; }")
}

// says wants texts in an output.
func (m *machine) says(out string, want ...string) {
	m.t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			m.t.Errorf("no %q in\n%s", w, out)
		}
	}
}

// measured wants each metric that rules speak of to be there.
func (m *machine) measured(rules string) {
	m.t.Helper()
	scraped := m.sh("curl -s http://127.0.0.1:8404/metrics; curl -s http://127.0.0.1:8514/metrics")
	names := regexp.MustCompile(`\b(?:haproxy|lb|syslogd)_\w+`).FindAllString(rules, -1)
	if len(names) < 10 {
		m.t.Errorf("the rules have only %v", names)
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(scraped) {
			m.t.Errorf("there is no metric %s", name)
		}
	}
}
