package packages

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/test/tape"
)

// TestLifeOfThePackages is an administrator's year in a minute: install, reload, rotate, upgrade, go back, purge. No request fails,
// each is in the log exactly once, and in the end nothing is left but the logs.
func TestLifeOfThePackages(t *testing.T) {
	m := boot(t, "life")
	const files = `find /etc /usr /var /opt /srv /home -xdev \( -path /var/log/lb -o -path /var/lib/dpkg -o -path /var/cache -o -path /var/tmp \) -prune -o -print |
		grep -v -E '^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|^/var/lib/(logrotate|systemd/random-seed|private)' | sort`
	m.sh("mkdir -p /root; %s >/root/before", files)

	m.install(version)
	if out := m.sh("systemctl is-active lb syslogd syslogd.socket; systemctl is-enabled lb syslogd syslogd.socket"); out != "active\nactive\nactive\nenabled\nenabled\nenabled" {
		t.Errorf("after the installation:\n%s", out)
	}
	m.sh("curl -sf -o /dev/null http://127.0.0.1:8404/health")
	m.serve()
	m.hardened()

	reload := func() { m.sh("systemctl reload lb") }
	year := m.load("year", 50_000, 6000, func() {
		for i := range 20 {
			reload()
			if i%2 == 0 {
				// logrotate leaves an empty log alone.
				m.await("a line to rotate", "test -s /var/log/lb/lb.log")
				m.sh("logrotate -f /etc/logrotate.d/lb")
			}
		}
	})
	if n := m.sh("ls /var/log/lb/lb.log.*.gz | wc -l"); n != "10" {
		t.Errorf("%s rotated files after ten rotations", n)
	}

	master := m.sh("systemctl show lb -p MainPID --value")
	m.load("upgrade", 20_000, 4000, func() { m.install(later) })
	m.runs(later)
	if now := m.sh("systemctl show lb -p MainPID --value"); now != master {
		t.Errorf("the upgrade replaced the main process %s by %s", master, now)
	}
	m.load("downgrade", 20_000, 4000, func() { m.install(version) })
	m.runs(version)
	if got := m.sh("cat /etc/lb/lb.cfg"); got+"\n" != site {
		t.Errorf("the configuration is not the administrator's any more:\n%s", got)
	}

	// Removed: stopped, and the configuration stays.
	m.sh("dpkg -r lb")
	if out, err := m.try("pgrep -a -x lb"); err == nil {
		t.Errorf("processes are left after the removal:\n%s", out)
	}
	m.sh("test -e /etc/lb/lb.cfg; getent passwd lb")
	m.sh("dpkg -i lb_%s-1_*.deb", version)
	m.sh("curl -sf -o /dev/null http://127.0.0.1/health")

	m.sh("rm /etc/lb/certs/site.pem")
	// As an output with a chain, or one for each sender, makes them.
	m.sh("install -d -m 2750 -o syslogd -g adm /var/log/lb/web && install -m 640 -o syslogd -g adm /dev/null /var/log/lb/web/a.log")
	m.sh("dpkg -P lb syslogd")
	m.sh("%s >/root/after", files)
	if out, err := m.try("diff /root/before /root/after"); err != nil {
		t.Errorf("the purge leaves (>) or took too much (<):\n%s", out)
	}
	if out, err := m.try("getent passwd lb syslogd; test $? = 2 || exit 0; systemctl list-unit-files --no-legend 'lb.*' 'syslogd.*' | grep . || ls -d /run/lb /run/syslogd 2>/dev/null || exit 9"); err == nil {
		t.Errorf("the purge leaves users, units or directories:\n%s", out)
	}
	if out := m.sh(`find /var/log/lb ! \( -user root -group adm \)`); out != "" {
		t.Errorf("logs belong to an account that is gone:\n%s", out)
	}
	m.sh("./ledger -run year -n %d /var/log/lb/lb.log", year)

	// Installed again, syslogd has the logs that the purge gave to root, and goes on in them.
	m.sh("dpkg -i syslogd_%s-1_*.deb", version)
	m.sh("systemctl is-active syslogd && logger -d -n 127.0.0.1 -p local0.info -t year again && syslogd flush && grep -q 'year: again' /var/log/lb/lb.log")
	if out := m.sh("find /var/log/lb ! -user syslogd"); out != "" {
		t.Errorf("syslogd cannot have these back:\n%s", out)
	}
}

// hardened checks what the units promise about privileges.
func (m *machine) hardened() {
	m.t.Helper()
	if out := m.sh("systemd-analyze verify lb.service syslogd.service syslogd.socket 2>&1"); out != "" {
		m.t.Errorf("systemd-analyze verify:\n%s", out)
	}
	exposure := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`)
	for _, unit := range []string{"lb", "syslogd"} {
		out := m.sh("systemd-analyze security --no-pager %s", unit)
		level := exposure.FindStringSubmatch(out)
		if level == nil {
			m.t.Fatalf("systemd-analyze security %s:\n%s", unit, out)
		}
		m.t.Logf("%s is exposed at %s of 10", unit, level[1])
		if x, err := strconv.ParseFloat(level[1], 64); err != nil || x > 2.0 {
			m.t.Errorf("the exposure of %s is %s", unit, level[1])
		}
		if users := m.sh("ps -o user= -C %s | sort -u", unit); users != unit {
			m.t.Errorf("%s runs as %q", unit, users)
		}
		// Bounding set: nothing beyond what the unit names, not even for a program that would be started.
		if caps := m.sh(`for p in $(pgrep -x %s); do grep -h -E '^Cap(Eff|Bnd)' /proc/$p/status; done | awk '{print $2}' | sort -u`, unit); caps != map[string]string{"lb": "0000000000000400", "syslogd": "0000000000001400"}[unit] {
			m.t.Errorf("the capabilities of %s are %s", unit, caps)
		}
	}
	for _, port := range []string{"-ltn sport = :80", "-ltn sport = :443", "-lun sport = :514"} {
		if out := m.sh("ss -H %s", port); !strings.Contains(out, "127.0.0.1:") {
			m.t.Errorf("nobody listens: ss %s", port)
		}
	}
	m.sh("curl -skf -o /dev/null https://127.0.0.1/health")
}

// runs checks which version is in charge of both daemons.
func (m *machine) runs(version string) {
	m.t.Helper()
	if out := m.sh("lb status"); !strings.Contains(out, "lb "+version) {
		m.t.Errorf("lb is not %s:\n%s", version, out)
	}
	if out := m.sh("readlink /proc/$(systemctl show syslogd -p MainPID --value)/exe; syslogd -version"); out != "/usr/sbin/syslogd\nsyslogd "+version {
		m.t.Errorf("syslogd is not %s:\n%s", version, out)
	}
}

// TestUpgradeThatCannotBe installs a version while the configuration is broken: the former one serves on, and dpkg says what to do.
func TestUpgradeThatCannotBe(t *testing.T) {
	t.Parallel()
	m := boot(t, "refused")
	m.install(version)
	m.serve()
	m.sh("echo '    ballance roundrobin' >>/etc/lb/lb.cfg")
	out := m.sh("dpkg -i lb_%s-1_*.deb 2>&1", later)
	for _, want := range []string{"/etc/lb/lb.cfg:20", "ballance", "the former version is still in charge", "repeat 'lb upgrade'"} {
		if !strings.Contains(out, want) {
			t.Errorf("dpkg did not say %q:\n%s", want, out)
		}
	}
	m.sh("curl -sf -o /dev/null http://127.0.0.1/r/probe/0")
	m.write("/etc/lb/lb.cfg", site)
	m.sh("lb upgrade")
	m.sh("curl -sf -o /dev/null http://127.0.0.1/r/probe/0")
}

// TestPackagesAreReproducible builds packages and what images are made of twice: into and by way of different directories, in
// different time zones, for somebody whose new files nobody else may read.
func TestPackagesAreReproducible(t *testing.T) {
	once, again := t.TempDir(), t.TempDir()
	for _, dir := range []string{once, again} {
		t.Setenv("TMPDIR", dir)
		if dir == again {
			t.Setenv("TZ", "Asia/Tokyo")
			defer syscall.Umask(syscall.Umask(0o077))
		}
		out := filepath.Join(dir, "out")
		if err := pack(out, version, "deb rpm"); err != nil {
			t.Fatal(err)
		}
		if err := produce("container/build", out, version, ""); err != nil {
			t.Fatal(err)
		}
	}
	first, err := filepath.Glob(filepath.Join(once, "out", "*"))
	if err != nil || len(first) != 8 {
		t.Fatalf("%v %v", first, err)
	}
	for _, name := range first {
		a, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(again, "out", filepath.Base(name)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from one build to the next", filepath.Base(name))
		}
	}
}

// TestBesideRsyslog: the system's log daemon keeps /dev/log and its files, whatever happens to syslogd.
func TestBesideRsyslog(t *testing.T) {
	t.Parallel()
	tape.Require(t, "rsyslogd")
	m := boot(t, "beside")
	m.sh("systemctl start rsyslog")
	socket := m.sh("readlink -f /dev/log; systemctl show rsyslog -p MainPID --value")
	m.install(version)
	m.sh("systemctl restart syslogd lb; systemctl is-active syslogd rsyslog; logger -p local0.info from-the-system; curl -s -o /dev/null http://127.0.0.1:8404/from-the-balancer; syslogd flush")
	m.await("both logs", "grep -q from-the-system /var/log/syslog && grep -q from-the-balancer /var/log/lb/lb.log")
	m.sh("! grep -q from-the-system /var/log/lb/lb.log; ! grep -q from-the-balancer /var/log/syslog")
	m.sh("dpkg -P syslogd lb")
	if now := m.sh("readlink -f /dev/log; systemctl show rsyslog -p MainPID --value"); now != socket {
		t.Errorf("/dev/log and rsyslog were\n%s\nand are\n%s", socket, now)
	}
}
