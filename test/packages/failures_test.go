package packages

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// wrong has the failures' line numbers in docs/operations.md.
const wrong = `global
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
    server a1 127.0.0.1:9001 check inter 200ms
    server a2 127.0.0.1:9002 check inter 200ms
`

// TestTenFailures produces each failure that docs/operations.md tells of, and wants what the table says: in the journal, or where
// else it points to.
func TestTenFailures(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string][2]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| ([a-z ]+) \\| (\\S+|show info) \\| `(.+)` \\|$").FindAllStringSubmatch(string(document), -1) {
		shown[row[1]] = [2]string{row[2], row[3]}
	}
	const cert, key = "/etc/lb/certs/site.pem", "chgrp lb /etc/lb/certs/site.pem; chmod 640 /etc/lb/certs/site.pem"
	m := boot(t, "failures")
	m.install(version)
	m.sh("systemd-run -q --unit backends %s/backend 127.0.0.1:9001 127.0.0.1:9002", m.dir)
	tls := "sed -i 's#^backend app#    bind 127.0.0.1:443 ssl crt " + cert + "\\nbackend app#' /etc/lb/lb.cfg"
	for _, c := range []struct {
		name    string
		cause   string
		refused bool // systemctl reload fails
		undo    string
	}{
		{"typo", "echo '    ballance x' >>/etc/lb/lb.cfg", true, ""},
		{"port taken", `systemd-run -q --unit squatter socat TCP-LISTEN:8088,bind=127.0.0.1,fork EXEC:cat
			until socat -u OPEN:/dev/null TCP:127.0.0.1:8088 2>/dev/null; do :; done
			sed -i 's/^backend app/    bind 127.0.0.1:8088\nbackend app/' /etc/lb/lb.cfg`, true, "systemctl stop squatter"},
		{"missing certificate", tls, true, ""},
		{"permission", tls + "; echo >" + cert + "; chmod 600 " + cert, true, ""},
		{"expired certificate", tls + "; cat >" + cert + " <<'END'\n" + expired(t) + "END\n" + key, false, "rm " + cert},
		{"out of fds", `sed -i 's/^global/global\n    maxconn 5000/' /etc/lb/lb.cfg; mkdir -p /etc/systemd/system/lb.service.d
			printf '[Service]\nLimitNOFILE=1024\n' >/etc/systemd/system/lb.service.d/few.conf; systemctl daemon-reload; systemctl restart lb`, false,
			"rm /etc/systemd/system/lb.service.d/few.conf; systemctl daemon-reload"},
		{"backend down", "systemctl stop backends", false, ""},
		{"log daemon down", "systemctl stop syslogd.socket syslogd; systemctl reload lb; for i in 1 2 3 4 5 6; do curl -s -o /dev/null http://127.0.0.1/; done", false, ""},
		{"disk full", `mount -t tmpfs -o size=64k,mode=2750,uid=$(id -u syslogd),gid=$(id -g syslogd) none /var/log/lb; systemctl start syslogd.socket syslogd
			ab -q -n 700 -c 10 http://127.0.0.1/$(printf %100d 0 | tr ' ' x)`, false, ""},
		{"crash loop", `for i in 1 2 3; do p=$(pgrep -fn '[l]b @worker'); kill -9 $p; until n=$(pgrep -fn '[l]b @worker') && test $n != $p; do :; done; done`, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := *m
			m.t = t
			m.write("/etc/lb/lb.cfg", wrong)
			m.sh("systemctl restart lb; systemctl reload lb; journalctl --rotate -q; journalctl --vacuum-time=1us -q")
			m.sh("%s", c.cause)
			if _, err := m.try("systemctl reload lb"); (err != nil) != c.refused {
				t.Errorf("the reload: %v", err)
			}
			row, ok := shown[c.name]
			if !ok {
				t.Fatalf("docs/operations.md does not tell of it")
			}
			look := "journalctl -u " + row[0] + " -n 30 -o cat --no-pager"
			switch {
			case row[0] == "show info":
				look = "echo 'show info' | socat - /run/lb/admin.sock | grep -v ': 0$'"
			case strings.HasPrefix(row[0], "/"):
				look = "syslogd flush >/dev/null; cat " + row[0]
			}
			m.await(row[1], fmt.Sprintf("(%s) | tee /root/seen | grep -q -F \"$(cat <<'END'\n%s\nEND\n)\" || { cat /root/seen; exit 1; }", look, row[1]))
			if c.refused {
				m.sh("curl -s -o /dev/null http://127.0.0.1/") // it serves on
			}
			m.sh("%s", cmp.Or(c.undo, ":"))
		})
	}
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
