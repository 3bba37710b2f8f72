package box

import (
	"strings"
	"testing"
	"time"
)

// TestSocketUnit has systemd open the listening sockets, as packaging/systemd/lb.socket.example does it: lb finds them by address, over reloads
// that leave one out and take it back, an upgrade, restarts and the end of the master; nobody is refused, not even while lb is stopped.
func TestSocketUnit(t *testing.T) {
	m := boot(t, "socket")
	m.write("lb.socket", "[Socket]\nListenStream=127.0.0.1:80\nListenStream=127.0.0.1:81\nListenStream=/run/lb.http\nBacklog=4294967295\n")
	m.write("all.cfg", config+"    bind 127.0.0.1:81\n    bind /run/lb.http\n    bind 127.0.0.1:82\n")
	// No capability: only systemd can have opened ports below 1024.
	m.write("drop.conf", "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n")
	m.sh(`systemctl stop lb; mkdir -p /etc/systemd/system/lb.service.d; cp %[1]s/drop.conf /etc/systemd/system/lb.service.d/; cp %[1]s/lb.socket /etc/systemd/system/
		sysctl -qw net.ipv4.ip_unprivileged_port_start=82; systemctl daemon-reload; systemctl start lb.socket`, m.dir)
	// Whoever connects starts it, and is answered.
	m.sh("curl -sf -o /dev/null -m 20 http://127.0.0.1/")
	m.await("systemd hears that it serves", "systemctl is-active -q lb")
	const unwanted = "listens on 127.0.0.1:81, /run/lb.http, which no bind line asks for"
	if log := m.journal("-u lb -p warning"); strings.Count(log, unwanted) != 1 {
		t.Errorf("the journal's warnings are\n%s", log)
	}
	all := func() {
		t.Helper()
		m.sh("cp %s/all.cfg /etc/lb/lb.cfg; systemctl reload lb; for port in 80 81 82; do curl -sf -o /dev/null -m 20 http://127.0.0.1:$port/; done; curl -sf -o /dev/null -m 20 --unix-socket /run/lb.http http://lb/", m.dir)
	}
	all()
	step := 0
	if failed := m.load(150_000, "", func() {
		switch step++; step {
		case 1, 3:
			m.sh("cp %s/lb.cfg /etc/lb/lb.cfg; systemctl reload lb", m.dir)
		case 2, 4, 7:
			all()
		case 5:
			m.sh("lb upgrade; cp %s/lb.cfg /etc/lb/lb.cfg; systemctl reload lb", m.dir)
		case 6:
			m.sh("systemctl restart lb")
		case 8:
			before := m.mainPID()
			m.sh("kill -9 %s", before)
			m.await("the next master serves", "p=$(systemctl show lb -p MainPID --value); test $p != "+before+" && systemctl is-active -q lb")
		}
	}, 100*time.Millisecond); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	if step < 8 {
		t.Errorf("the load was over after %d steps", step)
	}
	all()
	m.sh("systemctl stop lb; curl -sf -o /dev/null -m 20 http://127.0.0.1:81/")
	m.await("systemd hears that it serves", "systemctl is-active -q lb")
	m.sh("systemctl stop lb.socket lb")
}
