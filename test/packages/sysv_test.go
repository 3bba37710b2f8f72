package packages

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// bare runs a command in the machine as if there were no systemd: what shows it is out of sight.
func (m *machine) bare(format string, args ...any) string {
	m.t.Helper()
	return m.sh(bare, fmt.Sprintf(format, args...))
}

const bare = `unshare --mount bash -c 'set -e; mount -t tmpfs none /run/systemd; %s'`

// TestSysvScripts installs the packages on a machine without systemd, and has the init scripts do what they can under ab.
func TestSysvScripts(t *testing.T) {
	m := boot(t, "sysv")
	m.bare("dpkg -i lb_%[1]s-1_*.deb syslogd_%[1]s-1_*.deb", version)
	m.sh("ls /etc/rc2.d/S*lb /etc/rc2.d/S*syslogd /etc/rc0.d/K*lb")
	// Whether invoke-rc.d starts anything without an init is its own affair.
	m.bare("/etc/init.d/syslogd start; /etc/init.d/lb start")
	m.bare("/etc/init.d/syslogd status; /etc/init.d/lb status")
	if out := m.sh("ps -o user= -C syslogd"); out != "syslogd" {
		t.Errorf("syslogd runs as %s", out)
	}
	if out := m.sh(`ps -o user= -p "$(pgrep -f '[l]b @worker')"`); out != "lb" {
		t.Errorf("the worker runs as %s", out)
	}

	m.write("/etc/lb/lb.cfg", strings.ReplaceAll(site, "    bind 127.0.0.1:443 ssl crt /etc/lb/certs/\n", ""))
	m.bare("/etc/init.d/lb reload")
	for _, c := range []struct {
		action    string
		newMaster bool
	}{{"reload", false}, {"reload-socket", true}, {"restart", true}, {"upgrade", false}} {
		t.Run(c.action, func(t *testing.T) {
			m := *m
			m.t = t
			before := m.sh("cat /run/lb/lb.pid")
			m.ab("http://127.0.0.1/health", 50_000, 500*time.Millisecond, func() { m.bare("/etc/init.d/lb %s", c.action) })
			if after := m.sh("cat /run/lb/lb.pid"); (after != before) != c.newMaster {
				t.Errorf("the master was %s and is %s", before, after)
			}
			m.await("former processes to leave", `test "$(pgrep -xc lb)" = 2`)
			m.sh("echo 'show info' | socat - /run/lb/admin.sock | grep -q '^Build info: lb'")
		})
	}

	m.sh("echo '    ballance roundrobin' >>/etc/lb/lb.cfg")
	for _, action := range []string{"reload", "reload-socket", "restart", "configtest"} {
		if out, err := m.try(bare, "/etc/init.d/lb "+action); err == nil || !strings.Contains(out, "ballance") {
			t.Errorf("%s with a mistake in the configuration: %v\n%s", action, err, out)
		}
	}
	m.sh("curl -sf -o /dev/null http://127.0.0.1/health")
	m.sh("curl -s -o /dev/null http://127.0.0.1/logged; syslogd flush; grep -q 'GET /logged' /var/log/lb/lb.log")
	m.bare("/etc/init.d/syslogd reload; /etc/init.d/syslogd restart")

	m.bare("/etc/init.d/lb stop; /etc/init.d/syslogd stop")
	if out, err := m.try("pgrep -a -x lb; pgrep -a -x syslogd"); err == nil {
		t.Errorf("processes are left:\n%s", out)
	}
	for _, name := range []string{"lb", "syslogd"} {
		if out := m.bare("/etc/init.d/%s status && echo 0 || echo $?", name); !strings.HasSuffix(out, "3") {
			t.Errorf("the status of %s when stopped: %s", name, out)
		}
	}
	m.bare("dpkg -P lb syslogd")
	if out, err := m.try("ls -d /etc/rc*.d/*lb /etc/rc*.d/*syslogd /etc/lb /etc/syslogd /run/lb /run/syslogd 2>/dev/null"); out != "" {
		t.Errorf("the purge leaves, %v:\n%s", err, out)
	}
}

// ab asks for a page while act is done again and again; no request may fail.
func (m *machine) ab(url string, requests int, every time.Duration, act func()) {
	m.t.Helper()
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := m.try("ab -r -q -s 20 -c 100 -n %d %s", requests, url)
		ended <- result{out, err}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for acts := 0; ; {
		select {
		case <-tick.C:
			act()
			acts++
		case r := <-ended:
			if r.err != nil {
				m.t.Fatalf("ab: %v\n%s", r.err, r.out)
			}
			complete, failed := number(m.t, r.out, "Complete requests:"), number(m.t, r.out, "Failed requests:")
			m.t.Logf("%d requests, %d failed, %d times", complete, failed, acts)
			if complete != requests || failed != 0 || strings.Contains(r.out, "Non-2xx") || acts == 0 {
				m.t.Errorf("ab:\n%s", r.out)
			}
			return
		}
	}
}
