package packages

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// failure is a row of the table in docs/operations.md.
type failure struct {
	reload, start string // exit statuses; "-" is not tried
	unit, level   string
	shows         string
}

// failures reads the table.
func failures(t *testing.T) map[string]failure {
	t.Helper()
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]failure{}
	for _, r := range regexp.MustCompile("(?m)^\\| ([a-z ]+) \\| ([01-]), ([01-]) \\| (lb|syslogd), ([a-z]+) \\| `(.+?)` \\| .+ \\|$").FindAllStringSubmatch(string(document), -1) {
		rows[r[1]] = failure{reload: r[2], start: r[3], unit: r[4], level: r[5], shows: r[6]}
	}
	return rows
}

// shown waits for what a failure shows, and wants it once and with the level that the table tells.
func (m *machine) shown(f failure) {
	m.t.Helper()
	var have []string
	if !within(func() bool {
		have = nil
		found := 0
		for _, e := range m.journal("-u " + f.unit) {
			have = append(have, e.String())
			if e.get("SYSLOG_IDENTIFIER") == f.unit && strings.Contains(e.get("MESSAGE"), f.shows) {
				found++
				if !strings.HasPrefix(e.String(), f.level+" ") || len(e.get("MESSAGE_ID")) != 32 {
					m.t.Errorf("the level should be %s, and there should be a MESSAGE_ID: %s %s", f.level, e, e.get("MESSAGE_ID"))
				}
			}
		}
		return found == 1
	}) {
		m.t.Errorf("the journal should have %q once:\n%s", f.shows, strings.Join(have, "\n"))
	}
}

// exits runs a command, and wants its exit status.
func (m *machine) exits(command, status string) {
	m.t.Helper()
	if out, err := m.try("%s", command); err == nil != (status == "0") {
		m.t.Errorf("%s: %v, want status %s\n%s", command, err, status, out)
	}
}

// TestFailures produces each failure that docs/operations.md describes, under a balancer that runs and, where a start can meet it, under
// one that starts; and wants what the table says: exit status, level, text, once.
func TestFailures(t *testing.T) {
	t.Parallel()
	rows := failures(t)
	const cert, key = "/etc/lb/certs/site.pem", "chgrp lb /etc/lb/certs/site.pem; chmod 640 /etc/lb/certs/site.pem"
	m := boot(t, "failures")
	m.install(version)
	m.servers()
	// A start that fails is looked at before systemd tries again.
	m.sh(`mkdir -p /etc/systemd/system/lb.service.d; printf '[Service]\nRestart=no\n' >/etc/systemd/system/lb.service.d/once.conf; systemctl daemon-reload`)
	tls := "sed -i 's#^backend app#    bind 127.0.0.1:443 ssl crt " + cert + "\\nbackend app#' /etc/lb/lb.cfg"
	const few = `sed -i 's/^global/global\n    maxconn 5000/' /etc/lb/lb.cfg; printf '[Service]\nLimitNOFILE=256\n' >/etc/systemd/system/lb.service.d/few.conf
		systemctl daemon-reload`
	const enough = "rm /etc/systemd/system/lb.service.d/few.conf; systemctl daemon-reload"
	for _, c := range []struct{ name, cause, undo string }{
		{"typo", "echo '    ballance x' >>/etc/lb/lb.cfg", ""},
		{"port taken", `systemd-run -q --unit squatter socat TCP-LISTEN:8088,bind=127.0.0.1,fork EXEC:cat
			until socat -u OPEN:/dev/null TCP:127.0.0.1:8088 2>/dev/null; do :; done
			sed -i 's/^backend app/    bind 127.0.0.1:8088\nbackend app/' /etc/lb/lb.cfg`, "systemctl stop squatter"},
		{"missing certificate", tls, ""},
		{"permission", tls + "; echo >" + cert + "; chmod 600 " + cert, "rm " + cert},
		{"expired certificate", tls + "; cat >" + cert + " <<'END'\n" + expired(t) + "END\n" + key, "rm " + cert},
		{"too few fds", few + `; systemctl restart lb
			ab -q -r -n 2000 -c 400 http://127.0.0.1/ >/root/ab; grep -q '^Failed requests: *0$' /root/ab || { cat /root/ab; exit 1; }`, enough},
		{"backend down", "systemctl stop s1", "systemctl start s1"},
		{"log daemon down", "systemctl stop syslogd.socket syslogd; for i in 1 2 3 4 5 6; do curl -s -o /dev/null http://127.0.0.1/; done", "systemctl start syslogd.socket syslogd"},
		{"disk full", `mount -t tmpfs -o size=64k,mode=2750,uid=$(id -u syslogd),gid=$(id -g syslogd) none /var/log/lb; systemctl reload syslogd
			ab -q -n 700 -c 10 http://127.0.0.1/$(printf %100d 0 | tr ' ' x)`, "umount -l /var/log/lb; systemctl reload syslogd"},
		{"crash loop", `for i in 1 2 3; do p=$(pgrep -fn '[l]b @worker'); kill -9 $p
			until n=$(pgrep -fn '[l]b @worker') && test $n != $p && lb status | grep -q "(worker $n) serves"; do :; done; done`, ""},
	} {
		f, ok := rows[c.name]
		delete(rows, c.name)
		t.Run(c.name, func(t *testing.T) {
			m := *m
			m.t = t
			if !ok {
				t.Fatalf("docs/operations.md does not tell of it")
			}
			m.write("/etc/lb/lb.cfg", twoServers)
			m.sh("systemctl restart lb; systemctl reload lb")
			m.forget()
			m.sh("%s", c.cause)
			if f.reload != "-" {
				m.exits("systemctl reload lb", f.reload)
			}
			m.shown(f)
			if f.unit == "lb" {
				m.sh("curl -sf -o /dev/null http://127.0.0.1/") // it serves on, or again
			}
			if f.reload == "1" {
				if s := m.sh("systemctl show lb -p StatusText --value"); !strings.Contains(s, f.shows) {
					t.Errorf("the status is %q", s)
				}
			}
			if c.name == "crash loop" {
				if s := m.sh("systemctl show lb -p StatusText --value"); !strings.Contains(s, "crashed 3 times, the last one at") || !strings.Contains(s, "it was killed by signal 9") {
					t.Errorf("the status is %q", s)
				}
			}
			if f.start != "-" {
				m.sh("systemctl stop lb")
				m.forget()
				m.exits("systemctl start lb", f.start)
				if c.name == "log daemon down" {
					m.sh("for i in 1 2 3 4 5 6; do curl -s -o /dev/null http://127.0.0.1/; done")
				}
				m.shown(f)
			}
			m.sh("%s", cmp.Or(c.undo, ":"))
		})
	}
	for name := range rows {
		t.Errorf("docs/operations.md describes %q, and it was not tried", name)
	}
}

// TestPatientStart has a start fail again and again: systemd tries without end, ever more slowly, and what an operator fixes applies
// without a command, or with any.
func TestPatientStart(t *testing.T) {
	t.Parallel()
	m := boot(t, "patient")
	m.install(version)
	m.sh("systemctl stop lb; cp /etc/lb/lb.cfg /root/good")
	spoil := func() {
		m.sh("echo ballance >>/etc/lb/lb.cfg")
		m.exits("systemctl start lb", "1")
		m.await("systemd tries again, and lb waits", "systemctl show lb -p StatusText --value | grep -q '^[4-9] starts in a row failed'")
	}
	spoil()
	m.sh("cp /root/good /etc/lb/lb.cfg")
	m.await("lb serves by itself", "systemctl is-active -q lb && curl -sf -o /dev/null http://127.0.0.1:8404/health")
	for _, command := range []string{"start", "restart"} {
		m.sh("systemctl stop lb")
		spoil()
		m.sh("cp /root/good /etc/lb/lb.cfg")
		m.exits("systemctl "+command+" lb", "0")
		m.sh("curl -sf -o /dev/null http://127.0.0.1:8404/health")
	}
	m.sh("systemctl stop lb")
	spoil()
	m.sh("systemctl stop lb; ! pgrep -x lb")
}

// expired is a certificate of the past, with its key.
func expired(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lb.example"}, DNSNames: []string{"lb.example"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, name, name, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
