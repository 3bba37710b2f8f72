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
					// An empty file is not rotated; a dated name is free once a second.
					m.await("a rotation", "test -s /var/log/lb/lb.log && logrotate -f /root/rotate")
				}
			})
			if n := m.sh("ls /var/log/lb | grep -c 'lb.log[.-]'"); n != "3" {
				t.Errorf("%s rotated files after three rotations:\n%s", n, m.sh("ls -l /var/log/lb"))
			}
		})
	}
	// What logrotate's timer starts, with the sandbox of its unit, a day later.
	m.sh(`printf 'logrotate state -- version 2\n"/var/log/lb/lb.log" 2020-1-1-0:0:0\n' >/var/lib/logrotate/status; rm -f /var/log/lb/lb.log[.-]*`)
	m.sh("curl -s -o /dev/null http://127.0.0.1/r/night/0; syslogd flush; systemctl start logrotate.service; zgrep -q /r/night/0 /var/log/lb/lb.log.1.gz")
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

// TestTheStory is the control: HAProxy with the hook that an operator had, rotated under load. Requests fail, and lb doctor says which
// line of which file it was.
func TestTheStory(t *testing.T) {
	t.Parallel()
	m := boot(t, "story")
	m.sh("dpkg -i lb_%s-1_*.deb; systemctl stop lb", version)
	m.write("/etc/haproxy/haproxy.cfg", strings.NewReplacer("/run/lb", "/run/haproxy", "    bind 127.0.0.1:443 ssl crt /etc/lb/certs/\n", "").Replace(site))
	m.write("/etc/logrotate.d/haproxy", "/var/log/haproxy.log {\n    daily\n    rotate 7\n    missingok\n    compress\n    postrotate\n        systemctl restart haproxy\n    endscript\n}\n")
	m.sh("systemd-run -q --unit backends %s/backend 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003; systemctl restart haproxy", m.dir)
	m.await("the site", "curl -sf -o /dev/null http://127.0.0.1/r/probe/0")
	pid := m.sh("systemctl show haproxy -p MainPID --value")
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := m.try("./load -n 6000 -rate 2000 -c 50 -per-conn 20 -timeout 5s 127.0.0.1:80")
		ended <- result{out, err}
	}()
	for range 3 {
		m.sh("echo line >>/var/log/haproxy.log; logrotate -f /etc/logrotate.d/haproxy")
	}
	r := <-ended
	t.Logf("%s", r.out)
	if now := m.sh("systemctl show haproxy -p MainPID --value"); r.err == nil || now == pid {
		t.Errorf("no request failed, or the process is %s as before (%s): this shows nothing\n%s", now, pid, r.out)
	}
	if out, err := m.try("lb doctor"); err == nil || !strings.Contains(out, "/etc/logrotate.d/haproxy:7: postrotate restarts haproxy: systemctl restart haproxy") {
		t.Errorf("lb doctor: %v\n%s", err, out)
	}
}
