package packages

import (
	"fmt"
	"strings"
	"testing"
)

// TestLogrotateHook runs the drop-in as it is packaged, in the variants that administrators make of it, under load.
func TestLogrotateHook(t *testing.T) {
	t.Parallel()
	m := boot(t, "logrotate")
	m.install(version)
	m.serve()
	pid := m.sh("systemctl show lb -p MainPID,ActiveEnterTimestamp --value; pgrep -x lb | sort")
	for _, c := range []struct{ name, edit string }{
		{"as it is", ""},
		{"delaycompress", `s/^    compress/    compress\n    delaycompress/`},
		{"uncompressed", `s/^    compress/    nocompress/`},
		{"dated", `s/^    compress/    compress\n    dateext\n    dateformat -%Y%m%d-%s/`},
		{"su", `s/^    compress/    compress\n    su syslogd adm/`},
		{"each file for itself", `/sharedscripts/d`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := *m
			m.t = t
			m.sh("sed -e '%s' /etc/logrotate.d/lb >/root/rotate; rm -f /var/log/lb/*.log.* /var/log/lb/*.log-*", c.edit)
			m.load(strings.ReplaceAll(c.name, " ", "-"), 6000, 4000, func() {
				for range 3 {
					m.await("a rotation", "logrotate -f /root/rotate") // a dated name is free once a second
				}
			})
			if n := m.sh("ls /var/log/lb | grep -c 'lb.log[.-]'"); n != "3" {
				t.Errorf("%s rotated files after three rotations:\n%s", n, m.sh("ls -l /var/log/lb"))
			}
		})
	}
	// The story: the balancer does not know that anything was rotated.
	if now := m.sh("systemctl show lb -p MainPID,ActiveEnterTimestamp --value; pgrep -x lb | sort"); now != pid {
		t.Errorf("rotation changed the balancer from\n%s\nto\n%s", pid, now)
	}
	if out := m.sh("lb doctor"); !strings.Contains(out, "none reaches for a balancer") {
		t.Errorf("lb doctor:\n%s", out)
	}
}

// TestLogrotateWithoutSyslogd rotates three times while syslogd is hung or gone: logrotate fails visibly, and no line is overwritten.
func TestLogrotateWithoutSyslogd(t *testing.T) {
	t.Parallel()
	m := boot(t, "failsafe")
	m.install(version)
	m.serve()
	// Otherwise systemd would help.
	m.sh("mkdir /etc/systemd/system/syslogd.service.d; printf '[Service]\nWatchdogSec=0\n' >/etc/systemd/system/syslogd.service.d/w.conf; systemctl daemon-reload; systemctl restart syslogd")
	m.sh("sed -e 's/syslogd reopen/syslogd reopen --timeout 300ms/' /etc/logrotate.d/lb >/root/rotate")
	lines := 0
	say := func() {
		lines++
		m.sh("logger -n 127.0.0.1 -P 514 -d --rfc3164 -p local0.info -t test 'line %d.'", lines)
	}
	const stop, cont = "kill -STOP $(systemctl show syslogd -p MainPID --value)", "kill -CONT $(systemctl show syslogd -p MainPID --value)"
	for round := range 3 {
		say()
		m.await("the line", fmt.Sprintf("syslogd flush >/dev/null; grep -q 'line %d\\.' /var/log/lb/lb.log", lines))
		m.sh(stop)
		if out, err := m.try("logrotate -f /root/rotate"); err == nil || !strings.Contains(out, "error running shared postrotate script") {
			t.Errorf("logrotate was content with a hung daemon: %v\n%s", err, out)
		} else if kept := strings.Contains(out, "it is kept as"); kept != (round > 0) {
			t.Errorf("round %d: logrotate said\n%s", round, out)
		}
		m.sh(cont)
		m.await("a new file", "test -e /var/log/lb/lb.log")
	}
	say()
	m.await("the line", fmt.Sprintf("syslogd flush >/dev/null; grep -q 'line %d\\.' /var/log/lb/lb.log", lines))
	m.sh("logrotate -f /root/rotate; test ! -e /var/log/lb/.reopen-failed")
	for i := range lines {
		if n := m.sh("zcat -f /var/log/lb/* | grep -c 'line %d\\.' || :", i+1); n != "1" {
			t.Errorf("line %d is there %s times:\n%s", i+1, n, m.sh("ls -l /var/log/lb"))
		}
	}
}
