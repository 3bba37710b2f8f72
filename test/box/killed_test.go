package box

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// backed serves from a backend and logs, to the journal, what did not go as usual.
const backed = `global
    stats socket /run/lb/admin.sock mode 600 level admin
    log /dev/log local0
defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen www
    bind 127.0.0.1:80
    server s1 127.0.0.1:9000
`

// kill kills the worker that serves, and waits for the next.
func (m *machine) kill() {
	m.t.Helper()
	m.sh(`kill -9 "$(pgrep -fn '[l]b @worker')"`)
	m.await("a new worker serves", "curl -sf -o /dev/null http://127.0.0.1/r/up/0")
}

// TestKilledWorker kills workers as the kernel does when memory is short. At most what was in flight in them fails, and each request that was
// has its line in the log and is counted; nobody else notices.
func TestKilledWorker(t *testing.T) {
	m := boot(t, "killworker")
	m.tool("backend", "lbsyslogd/test/backend/cmd")
	m.tool("load", "lbsyslogd/test/load/cmd")
	m.write("backed.cfg", backed)
	m.sh("systemd-run -q --unit backend %[1]s/backend 127.0.0.1:9000; systemctl stop lb; cp %[1]s/backed.cfg /etc/lb/lb.cfg; systemctl start lb", m.dir)
	m.await("the backend serves", "curl -sf -o /dev/null http://127.0.0.1/r/up/0")

	// Under load, with a new connection for each request.
	const conns, most = 50, 3
	kills := 0
	out, _ := m.during(fmt.Sprintf("%s/load -n 60000 -c %d -per-conn 1 127.0.0.1:80 || true", m.dir, conns), func() {
		if kills < most {
			kills++
			m.kill()
		}
	}, 400*time.Millisecond)
	t.Logf("%d kills: %s", kills, out)
	ok := regexp.MustCompile(`^(\d+) ok`).FindStringSubmatch(out)
	if ok == nil {
		t.Fatalf("the load says %q", out)
	}
	if failed := 60000 - atoi(t, ok[1]); failed > kills*conns {
		t.Errorf("%d requests failed in %d kills, more than were in flight: %s", failed, kills, out)
	}
	if strings.Contains(out, "refused") {
		t.Errorf("connections were refused: %s", out)
	}
	if log := m.journal("-u lb"); strings.Count(log, "was killed by signal 9") != kills {
		t.Errorf("the journal does not tell of %d crashes:\n%s", kills, log)
	}

	// Requests that are in flight for certain: in the worker that serves, then in one that finishes them for a master that did not start it.
	m.lose("lost", `kill -9 "$(pgrep -fn '[l]b @worker')"`)
	m.await("a new worker serves", "curl -sf -o /dev/null http://127.0.0.1/r/up/0")
	m.lose("left", `w=$(pgrep -fn '[l]b @worker'); kill -9 "$(systemctl show lb -p MainPID --value)"; until systemctl is-active -q lb && test "$(pgrep -fn '[l]b @worker')" != $w; do sleep 0.05; done; kill -9 $w`)
	if strings.Contains(m.journal(""), "/r/up/") {
		t.Error("a request that went well is said to be lost")
	}
}

// lose has requests in flight when a worker is killed, and wants a line for each.
func (m *machine) lose(name, kill string) {
	m.t.Helper()
	const held = 20
	m.sh(`for i in $(seq %d); do curl -s -o /dev/null "http://127.0.0.1/delay/20000?%s-$i-" & done; until [ "$(echo show stat | socat -t 5 - /run/lb/admin.sock | awk -F, '$1 == "www" && $2 == "s1" { print $5 }')" = %[1]d ]; do sleep 0.02; done; %[3]s; wait`, held, name, kill)
	m.await("a line for each", fmt.Sprintf(`test "$(journalctl -o cat --no-pager | grep -c ' XH-- .*%s-')" -ge %d`, name, held))
	lines := m.journal("")
	for i := 1; i <= held; i++ {
		if n := len(regexp.MustCompile(fmt.Sprintf(`www/s1 .* -1 \d+ - - XH-- .*"GET /delay/20000\?%s-%d- HTTP/1\.1"`, name, i)).FindAllString(lines, -1)); n != 1 {
			m.t.Errorf("lost request %s-%d has %d lines", name, i, n)
		}
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
