package packages

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// severities are the journal's priorities by number.
var severities = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

// entry is one line of the journal, with all its fields.
type entry map[string]any

func (e entry) get(name string) string {
	s, _ := e[name].(string)
	return s
}

// String is the entry as docs/journal.md shows it.
func (e entry) String() string {
	level := e.get("PRIORITY")
	if n := strings.Index("01234567", level); n >= 0 && level != "" {
		level = severities[n]
	}
	return fmt.Sprintf("%-8s %s: %s", level, e.get("SYSLOG_IDENTIFIER"), e.get("MESSAGE"))
}

// journal reads what journalctl finds.
func (m *machine) journal(matches string) []entry {
	m.t.Helper()
	var all []entry
	for line := range strings.Lines(m.sh("journalctl --sync; journalctl --no-pager -q -o json %s", matches)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			m.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// said is what the two daemons say, without systemd.
func (m *machine) said() []entry {
	m.t.Helper()
	return slices.DeleteFunc(m.journal("-u lb -u syslogd"), func(e entry) bool {
		return e.get("SYSLOG_IDENTIFIER") != "lb" && e.get("SYSLOG_IDENTIFIER") != "syslogd"
	})
}

// forget empties the journal.
func (m *machine) forget() {
	m.sh("journalctl --sync; journalctl --rotate -q; journalctl --vacuum-time=1us -q")
}

// changing is what is another each time.
var changing = regexp.MustCompile(`worker [0-9]+|[0-9.]+m?s\b|[0-9]+ KiB|[0-9]+ lines? (were |was )?lost.*|(waited|totals|receive_buffer)=("[^"]*"|[0-9]+)`)

func masked(lines []string) string { return changing.ReplaceAllString(strings.Join(lines, "\n"), "*") }

// twoServers is the configuration of docs/journal.md and of the table of failures.
const twoServers = `global
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
    default_backend app
backend app
    server s1 127.0.0.1:9001 check inter 1s fastinter 200ms downinter 200ms
    server s2 127.0.0.1:9002 check inter 1s fastinter 200ms downinter 200ms
`

// servers starts the servers of that configuration, as units s1 and s2.
func (m *machine) servers() {
	m.t.Helper()
	for i := 1; i <= 2; i++ {
		m.write(fmt.Sprintf("/etc/systemd/system/s%d.service", i), fmt.Sprintf("[Service]\nExecStart=%s/backend 127.0.0.1:900%d\n", m.dir, i))
	}
	m.sh("systemctl daemon-reload; systemctl start s1 s2")
	m.await("the servers answer", "curl -sf -o /dev/null http://127.0.0.1:9001/ && curl -sf -o /dev/null http://127.0.0.1:9002/")
}

// TestDayInTheJournal lives through the day in docs/journal.md: it runs the commands there, and the journal has the lines below
// each, and no others.
func TestDayInTheJournal(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/journal.md")
	if err != nil {
		t.Fatal(err)
	}
	_, day, _ := strings.Cut(string(text), "## A day\n")
	_, day, _ = strings.Cut(day, "```text\n")
	day, _, ok := strings.Cut(day, "```\n")
	if !ok {
		t.Fatal("docs/journal.md has no day")
	}
	m := boot(t, "day")
	m.install(version)
	m.servers()
	m.sh("systemctl stop lb; mount -t tmpfs -o size=512k,mode=2750,uid=$(id -u syslogd),gid=$(id -g syslogd) none /var/log/lb; systemctl reload syslogd")
	m.write("/etc/lb/lb.cfg", twoServers)
	m.forget()
	steps := strings.Split("\n"+day, "\n$ ")[1:]
	var so []string // far
	for _, step := range steps {
		command, rest, _ := strings.Cut(step, "\n")
		for line := range strings.Lines(rest) {
			if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "# ") {
				so = append(so, line)
			}
		}
		if strings.HasPrefix(command, "kill") {
			// One that dies sooner is blamed on its configuration.
			m.await("the worker is old enough", `test "$(ps -o etimes= -p $(pgrep -nf '[l]b @worker'))" -gt 6`)
		}
		m.try("set +e; %s", strings.NewReplacer("curl -s ", "curl -s -o /dev/null ").Replace(command))
		var have []string
		if !within(func() bool {
			have = have[:0]
			for _, e := range m.said() {
				have = append(have, e.String())
			}
			return masked(have) == masked(so)
		}) {
			t.Fatalf("after %q the journal has\n%s\n\nand docs/journal.md has\n%s", command, strings.Join(have, "\n"), strings.Join(so, "\n"))
		}
	}
	m.fields()
}

// TestSyslogdInTheJournal holds what syslogd says when messages are lost, and when it is told nonsense: once, with number and level.
func TestSyslogdInTheJournal(t *testing.T) {
	t.Parallel()
	m := boot(t, "lossy")
	m.install(version)
	m.sh(`systemctl stop lb syslogd.socket syslogd; mkdir -p /etc/systemd/system/syslogd.service.d
		printf '[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n' >/etc/systemd/system/syslogd.service.d/poor.conf; systemctl daemon-reload`)
	m.write("/etc/syslogd/syslogd.yaml", "listen: [udp://127.0.0.1:5514]\noutputs: [{match: '*.*', file: /var/log/lb/lb.log}]\n")
	m.forget()
	m.sh("systemctl start syslogd")
	has := func(want ...string) {
		t.Helper()
		var have []string
		if !within(func() bool {
			have = nil
			for _, e := range m.said() {
				have = append(have, e.String())
			}
			return masked(have) == masked(want)
		}) {
			t.Fatalf("the journal has\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
		m.forget()
	}
	has("warning  syslogd: systemd passed a socket that nothing in the configuration listens on (name=lb)",
		"warning  syslogd: the receive buffer is small: the kernel granted 416 KiB of receive buffer, so a burst of messages may be dropped; run with CAP_NET_ADMIN or raise net.core.rmem_max to 67108864 (input=udp://127.0.0.1:5514)",
		"notice   syslogd: ready (inputs=udp://127.0.0.1:5514 outputs=/var/log/lb/lb.log)")

	// It does not read for a moment, and what comes does not fit.
	m.sh(`pkill -STOP -x syslogd; exec 3>/dev/udp/127.0.0.1/5514; for i in {1..30000}; do echo "<13>Nov 21 03:04:05 h t: $i" >&3; done; pkill -CONT -x syslogd`)
	status := ""
	m.await("the loss is counted", `syslogd flush >/dev/null; syslogd status --json >/root/status; test "$(jq .inputs[0].kernel_drops /root/status)" -gt 0`)
	status = m.sh("jq .inputs[0].kernel_drops /root/status")
	has(fmt.Sprintf("warning  syslogd: the kernel dropped messages because the receive buffer was full (input=udp://127.0.0.1:5514 messages=%[1]s since_start=%[1]s receive_buffer=425984)", status))

	m.sh("echo 'bogus: 1' >>/etc/syslogd/syslogd.yaml")
	m.exits("systemctl reload syslogd", "1")
	found := m.journal("-u syslogd -p err SYSLOGD_CONFIG_FILE=/etc/syslogd/syslogd.yaml SYSLOGD_CONFIG_LINE=3")
	if len(found) != 1 || !strings.Contains(found[0].get("MESSAGE"), "bogus") {
		t.Errorf("the refused configuration: %v", m.said())
	}
	if s := m.sh("systemctl show syslogd -p StatusText --value"); !strings.Contains(s, "bogus") {
		t.Errorf("the status is %q", s)
	}
}

// fields looks for the day's events by their fields.
func (m *machine) fields() {
	row := func(matches string, want int, has string) {
		m.t.Helper()
		found := m.journal(matches)
		if len(found) != want || want > 0 && !strings.Contains(found[0].get("MESSAGE"), has) {
			m.t.Errorf("journalctl %s: %d lines, want %d with %q\n%v", matches, len(found), want, has, found)
		}
		for _, e := range found {
			if id := e.get("MESSAGE_ID"); len(id) != 32 {
				m.t.Errorf("%s: MESSAGE_ID %q", e, id)
			}
		}
	}
	row("-u lb LB_SERVER=app/s1", 2, "Server app/s1 is DOWN")
	row("-u lb LB_SERVER_ADDRESS=127.0.0.1:9002", 2, "Server app/s2 is DOWN")
	row("-u lb LB_PROXY=app", 5, "Server app/s1 is DOWN")
	row("-u lb LB_RELOAD_ID=3", 3, "unknown keyword 'ballance'")
	row("-u lb LB_CONFIG_FILE=/etc/lb/lb.cfg LB_CONFIG_LINE=18", 1, "unknown keyword 'srever'")
	row("-u lb LB_GENERATION=9", 2, "reload 7: generation 9")
	row("-u lb -p alert", 1, "no server available")
	row("-u syslogd -p warning -t syslogd", 1, "the disk takes no lines")
	row("-u syslogd SYSLOGD_OUTPUT=/var/log/lb/lb.log", 2, "the disk takes no lines")
	row("-u lb MESSAGE_ID=3c5c6a2b45fd4d21bc3516e4471ff949", 1, "was killed by signal 9")
	if out := m.sh("journalctl --sync; journalctl --no-pager -x -u lb LB_RELOAD_ID=2"); !strings.Contains(out, "lb -c -f /etc/lb/lb.cfg") || !strings.Contains(out, "Reload 2 failed") {
		m.t.Errorf("journalctl -x explains nothing:\n%s", out)
	}
}
