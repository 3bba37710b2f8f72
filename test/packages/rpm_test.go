package packages

import (
	"strings"
	"testing"
)

// TestRPM installs, upgrades and erases the rpm packages, as a distribution does that has rpm and systemd, and none of Debian's
// helpers. Dependencies are left aside: the machine's other packages are unknown to its rpm.
func TestRPM(t *testing.T) {
	t.Parallel()
	m := boot(t, "rpm")
	m.sh("rm /usr/bin/deb-systemd-helper /usr/bin/deb-systemd-invoke /usr/sbin/update-rc.d /usr/sbin/invoke-rc.d; rpm --initdb")
	// What rpm distributions say of services that are not theirs.
	m.sh("mkdir -p /etc/systemd/system-preset; echo 'disable *' >/etc/systemd/system-preset/99-default.preset")
	m.sh("rpm -i --nodeps lb-%[1]s-1.*.rpm syslogd-%[1]s-1.*.rpm", version)
	if out := m.sh("systemctl is-active lb syslogd syslogd.socket || :; systemctl is-enabled lb syslogd syslogd.socket || :"); out != "inactive\ninactive\ninactive\ndisabled\ndisabled\ndisabled" {
		t.Errorf("after the installation:\n%s", out)
	}
	if out := m.sh("%s", "stat -c '%U:%G %a' /etc/lb/certs /var/log/lb; rpm -V --nodeps lb syslogd; getent passwd lb syslogd | cut -d: -f1"); out != "root:lb 750\nsyslogd:adm 2750\nlb\nsyslogd" {
		t.Errorf("directories, verification, users:\n%s", out)
	}
	m.sh("systemctl enable -q --now syslogd.socket syslogd lb")
	m.serve()
	m.hardened()

	master := m.sh("systemctl show lb -p MainPID --value")
	m.load("upgrade", 12_000, 3000, func() { m.sh("rpm -U --nodeps lb-%[1]s-1.*.rpm syslogd-%[1]s-1.*.rpm", later) })
	m.runs(later)
	m.load("downgrade", 12_000, 3000, func() { m.sh("rpm -U --nodeps --oldpackage lb-%[1]s-1.*.rpm syslogd-%[1]s-1.*.rpm", version) })
	m.runs(version)
	if now := m.sh("systemctl show lb -p MainPID --value; systemctl is-enabled lb"); now != master+"\nenabled" {
		t.Errorf("the main process was %s, and is\n%s", master, now)
	}
	if got := m.sh("cat /etc/lb/lb.cfg"); got+"\n" != site {
		t.Errorf("the configuration is not the administrator's any more:\n%s", got)
	}
	// A stopped service stays so.
	m.sh("systemctl stop lb; rpm -U --nodeps lb-%s-1.*.rpm; ! systemctl is-active lb; systemctl start lb", later)

	m.sh("rm /etc/lb/certs/site.pem; rpm -e lb syslogd")
	if out, err := m.try("pgrep -a -x lb; pgrep -a -x syslogd"); err == nil {
		t.Errorf("processes are left:\n%s", out)
	}
	left := m.sh("ls -d /etc/lb/* /etc/syslogd /etc/logrotate.d/lb* /etc/default/lb /usr/sbin/lb /usr/sbin/syslogd /usr/lib/systemd/system/lb.* /usr/lib/systemd/system/syslogd.* /run/lb /run/syslogd /etc/systemd/system/*/lb.service 2>/dev/null || :")
	if left != "/etc/lb/lb.cfg.rpmsave" {
		t.Errorf("left, besides the administrator's configuration:\n%s", left)
	}
	if out := m.sh("systemctl list-unit-files --no-legend 'lb.*' 'syslogd.*' || :; ls /var/log/lb"); !strings.HasPrefix(out, "lb.log") {
		t.Errorf("units, and logs:\n%s", out)
	}
}
