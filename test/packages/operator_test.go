package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOperatorsOwnFiles runs an operator's configuration, init script and unit, written for HAProxy, with lb installed under the name
// that they expect. Nothing in them is changed.
func TestOperatorsOwnFiles(t *testing.T) {
	t.Parallel()
	m := boot(t, "operator")
	m.sh("dpkg -i lb_%[1]s-1_*.deb syslogd_%[1]s-1_*.deb; systemctl stop lb", version)
	m.sh("getent passwd haproxy || useradd --system --user-group haproxy")
	m.sh("ln -sf /usr/sbin/lb /usr/sbin/haproxy; mkdir -p /etc/haproxy/errors /run/haproxy /var/lib/haproxy")
	for _, name := range []string{"400", "403", "408", "500", "502", "503", "504"} {
		m.put("../cfg/errors/"+name+".http", "/etc/haproxy/errors/"+name+".http")
	}
	m.put("testdata/operator/haproxy.cfg", "/etc/haproxy/haproxy.cfg")
	m.put("testdata/operator/haproxy.init", "/etc/init.d/haproxy")
	m.put("testdata/operator/haproxy.service", "/etc/systemd/system/haproxy.service")
	m.sh(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=lb.example -keyout /root/key -out /root/crt 2>/dev/null
		cat /root/crt /root/key >/etc/haproxy/site.pem; chmod 600 /etc/haproxy/site.pem; chmod 755 /etc/init.d/haproxy; systemctl daemon-reload`)
	m.sh("systemd-run -q --unit backends %s/backend 127.0.0.1:9000 127.0.0.1:9001 127.0.0.1:9002", m.dir)

	answers := func() {
		t.Helper()
		m.await("the site answers", "curl -skf -o /dev/null https://127.0.0.1/r/probe/0")
		if out := m.sh("curl -ski http://127.0.0.1/r/probe/0"); !strings.HasPrefix(out, "HTTP/1.1 301") {
			t.Errorf("no redirection:\n%s", out)
		}
		if out := m.sh("curl -ski https://127.0.0.1/r/probe/0"); !strings.Contains(strings.ToLower(out), "x-served-by: lb\r\n") {
			t.Errorf("no header was added:\n%s", out)
		}
		m.sh("curl -sf -o /dev/null -u admin:secret 'http://127.0.0.1:8404/admin?stats'")
		if out := m.sh("curl -si 'http://127.0.0.1:8404/admin?stats'"); !strings.HasPrefix(out, "HTTP/1.1 401") || !strings.Contains(out, `realm="Strictly Private"`) {
			t.Errorf("the statistics are open:\n%s", out)
		}
		m.sh("find /run/haproxy/admin.sock -perm 777 | grep -q .")
	}

	m.sh("/etc/init.d/haproxy start")
	answers()
	for _, action := range []string{"reload", "reload-socket"} {
		m.ab("https://127.0.0.1/r/ab/0", 2000, 300*time.Millisecond, func() { m.sh("/etc/init.d/haproxy %s", action) })
	}
	m.sh("cp /etc/haproxy/haproxy.cfg /root; echo '    ballance x' >>/etc/haproxy/haproxy.cfg")
	if out, err := m.try("/etc/init.d/haproxy reload"); err == nil || !strings.Contains(out, "Errors in") {
		t.Errorf("a reload with a mistake: %v\n%s", err, out)
	}
	m.sh("cp /root/haproxy.cfg /etc/haproxy/; /etc/init.d/haproxy reload; /etc/init.d/haproxy stop")
	m.await("the balancer to leave", "! pgrep -x haproxy && ! pgrep -x lb")

	m.sh("systemctl start haproxy")
	answers()
	m.ab("https://127.0.0.1/r/ab/0", 2000, 300*time.Millisecond, func() { m.sh("systemctl reload haproxy") })
	m.sh("systemctl stop haproxy")
}

// put copies a file of this directory into the machine.
func (m *machine) put(from, to string) {
	m.t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(from))
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, string(text))
}
