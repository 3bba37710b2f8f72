package box

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// tried serves over TCP, TLS and HTTP/2.
const tried = `global
    stats socket /run/lb/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend www
    bind 127.0.0.1:80
    bind 127.0.0.1:443 ssl crt /etc/lb/site.pem alpn h2,http/1.1
    default_backend be
backend be
    server s1 127.0.0.1:9000
`

// clients run ab (a connection for each request), ab over TLS, and h2load (HTTP/2), until /run/stop is there. Of each run they print what was lost, and how many answers were 5xx.
const clients = `rm -f /run/stop
again() { local out=$1; shift; until [ -e /run/stop ]; do "$@" >$out 2>&1 || echo "FAILED: $*"; cat $out; done; }
again /run/ab ab -r -q -s 20 -c 20 -n 1000 http://127.0.0.1/r/ab & again /run/tls ab -r -q -s 20 -c 5 -n 100 https://127.0.0.1/r/tls & again /run/h2 h2load -t1 -c20 -m2 -n200 https://127.0.0.1/r/h2 &
wait`

var (
	abLost  = regexp.MustCompile(`\(Connect: (\d+), Receive: (\d+), Length: \d+, Exceptions: (\d+)\)`)
	abRuns  = regexp.MustCompile(`Complete requests: +(1000|100)\n`)
	ab5xx   = regexp.MustCompile(`Non-2xx responses: +\d+`)
	h2Lost  = regexp.MustCompile(`(\d+) errored, (\d+) timeout\nstatus codes: \d+ 2xx, 0 3xx, 0 4xx, (\d+) 5xx`)
	refuses = "    http-request return status 503 if { rand(20) eq 0 }\n"
)

// underLoad runs act once while all kinds of clients are served, and fails the test if one of them has lost a connection. It gives how many runs had answers with 5xx.
func (m *machine) underLoad(act func()) (bad int) {
	m.t.Helper()
	once := sync.OnceFunc(func() {
		defer m.sh("touch /run/stop") // also where act ends the test
		act()
	})
	out, _ := m.during(clients, once, 500*time.Millisecond)
	if strings.Contains(out, "FAILED:") {
		m.t.Errorf("a client has failed:\n%.3000s", out)
	}
	for _, lost := range abLost.FindAllStringSubmatch(out, -1) {
		if lost[1]+lost[2]+lost[3] != "000" {
			m.t.Errorf("ab lost connections: %s", lost[0])
		}
	}
	over2 := h2Lost.FindAllStringSubmatch(out, -1)
	for _, lost := range over2 {
		if lost[1]+lost[2] != "00" {
			m.t.Errorf("h2load lost connections: %s", lost[0])
		}
		if lost[3] != "0" {
			bad++
		}
	}
	runs := len(abRuns.FindAllString(out, -1))
	if runs == 0 || len(over2) == 0 {
		m.t.Errorf("the clients have not been served:\n%.3000s", out)
	}
	bad += len(ab5xx.FindAllString(out, -1))
	m.t.Logf("%d runs of ab and %d of h2load, of which %d had answers with 5xx", runs, len(over2), bad)
	return bad
}

// TestCanary tries configurations on a machine with systemd, under clients over TCP, TLS and HTTP/2: one that fails is taken back by itself, one that is good
// is promoted, the journal and the unit's status say so, and nobody loses a connection.
func TestCanary(t *testing.T) {
	m := boot(t, "canary")
	m.tool("backend", "lbsyslogd/test/backend/cmd")
	m.write("tried.cfg", tried)
	m.write("bad.cfg", strings.Replace(tried, "    default_backend", refuses+"    default_backend", 1))
	m.write("good.cfg", tried+"    http-response set-header X-Release next\n")
	m.sh(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 -keyout /root/k -out /root/c 2>/dev/null; (umask 077; cat /root/c /root/k >/etc/lb/site.pem); chown lb /etc/lb/site.pem
systemd-run -q --unit backend %[1]s/backend 127.0.0.1:9000; cp %[1]s/tried.cfg /etc/lb/lb.cfg; systemctl restart lb`, m.dir)
	m.await("the backend serves", "curl -sf -o /dev/null http://127.0.0.1/r/up/0 && curl -sfk -o /dev/null https://127.0.0.1/r/up/0")

	bad := m.underLoad(func() {
		out, err := m.try("cp %s/bad.cfg /etc/lb/lb.cfg; lb reload --canary 20%% --for 60s --abort-if '5xx > 1%%'", m.dir)
		if err == nil || !strings.Contains(out, "answers are 5xx") {
			t.Errorf("a configuration that answers with 503 was not taken back: %v\n%s", err, out)
		}
	})
	if bad == 0 {
		t.Error("no client has met the configuration on trial")
	}
	if s := m.sh("systemctl show lb -p ActiveState -p StatusText"); !strings.Contains(s, "ActiveState=active") {
		t.Errorf("after the trial: %s", s)
	}
	if log := m.journal("-u lb -p warning"); !strings.Contains(log, "answers are 5xx") {
		t.Errorf("the journal's warnings do not have it:\n%s", log)
	}
	m.await("one worker is left", `test "$(pgrep -fc '[l]b @worker')" = 1`)

	if bad := m.underLoad(func() {
		if out, err := m.try("cp %s/good.cfg /etc/lb/lb.cfg; lb reload --canary 25%% --for 3s --abort-if '5xx > 1%%'", m.dir); err != nil {
			t.Errorf("a good configuration was not promoted: %v\n%s", err, out)
		}
	}); bad != 0 {
		t.Errorf("%d runs had answers with 5xx", bad)
	}
	m.await("the new configuration serves", `curl -sfi http://127.0.0.1/r/up/0 | grep -q '^X-Release: next\|^x-release: next'`)
	m.await("one worker is left", `test "$(pgrep -fc '[l]b @worker')" = 1`)
}
