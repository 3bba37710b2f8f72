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
	m.sh("cp /etc/logrotate.d/lb /root/drop-in")
	pid := m.sh("systemctl show lb -p MainPID,ActiveEnterTimestamp --value; pgrep -x lb | sort")
	for _, c := range []struct{ name, edit string }{
		{"as it is", ""},
		{"delaycompress", `s/^    nodelaycompress/    delaycompress/`},
		{"uncompressed", `s/^    compress/    nocompress/`},
		{"dated", `s/^    compress/    compress\n    dateext\n    dateformat -%Y%m%d-%s/`},
		{"su", `s/^    compress/    compress\n    su syslogd adm/`},
		{"each file for itself", `/sharedscripts/d`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := *m
			m.t = t
			m.sh("sed -e '%s' /root/drop-in >/etc/logrotate.d/lb; rm -f /var/log/lb/*.log.* /var/log/lb/*.log-*", c.edit)
			m.load(strings.ReplaceAll(c.name, " ", "-"), 6000, 2000, func() {
				for range 3 {
					// An empty file is not rotated; a dated name is free once a second.
					m.await("a rotation", "test -s /var/log/lb/lb.log && logrotate -f /etc/logrotate.d/lb")
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

// TestLogrotateThatFails rotates while syslogd is hung or gone, or while the compressor fails, in the variants of the drop-in:
// logrotate fails visibly, and no line is overwritten, neither then nor by the runs after it.
func TestLogrotateThatFails(t *testing.T) {
	t.Parallel()
	m := boot(t, "failsafe")
	m.install(version)
	// Otherwise systemd would help.
	m.sh("mkdir /etc/systemd/system/syslogd.service.d; printf '[Service]\nWatchdogSec=0\n' >/etc/systemd/system/syslogd.service.d/w.conf; systemctl daemon-reload; systemctl restart syslogd")
	m.sh("cp /etc/logrotate.d/lb /root/drop-in")
	for _, c := range []struct{ name, edit string }{
		{"as it is", ""},
		{"delaycompress", `s/^    nodelaycompress/    delaycompress/`},
		{"dated", `s/^    compress/    compress\n    dateext\n    dateformat -%Y%m%d-%s/`},
		{"su", `s/^    compress/    compress\n    su syslogd adm/`},
		{"each file for itself", `/sharedscripts/d`},
		{"from zero", `s/^    compress/    compress\n    start 0/`},
		{"in a directory", `s/^    compress/    compress\n    olddir old\n    createolddir 750 syslogd adm/`},
	} {
		for _, f := range []struct{ name, edit, begin, end, said string }{
			{"hung", "s/syslogd reopen/syslogd reopen --timeout 300ms/", "kill -STOP $(systemctl show syslogd -p MainPID --value)", "kill -CONT $(systemctl show syslogd -p MainPID --value)", "postrotate script"},
			{"gone", "", "systemctl stop syslogd.socket syslogd", "systemctl start syslogd.socket syslogd", "postrotate script"},
			{"compressor", "s#^    compress#    compress\\n    compresscmd /root/compress\\n    compressext .gz#", "rm -f /root/compress; printf '#!/bin/sh\\nexit 1\\n' >/root/compress; chmod 755 /root /root/compress", "ln -sf /bin/gzip /root/compress", "failed to compress"},
		} {
			t.Run(c.name+", "+f.name, func(t *testing.T) {
				m := *m
				m.t = t
				m.sh("sed -e '%s' -e '%s' /root/drop-in >/etc/logrotate.d/lb; rm -rf /var/log/lb/old /var/log/lb/*.log?*", c.edit, f.edit)
				lines := 0
				say := func() {
					lines++
					m.sh("logger -n 127.0.0.1 -P 514 -d --rfc3164 -p local0.info -t test '%s line %d.'", t.Name(), lines)
					m.await("the line", fmt.Sprintf("syslogd flush >/dev/null; grep -qF '%s line %d.' /var/log/lb/lb.log", t.Name(), lines))
				}
				for round := range 2 {
					say()
					m.sh("%s", f.begin)
					out, err := m.try("logrotate -f /etc/logrotate.d/lb")
					// The compressor comes late with delaycompress: there is nothing to compress at first.
					if late := f.name == "compressor" && c.name == "delaycompress" && round == 0; (err == nil) != late || !late && !strings.Contains(out, f.said) {
						t.Errorf("round %d: logrotate: %v\n%s", round, err, out)
					}
					m.sh("%s", f.end)
					m.await("a file to write to", "syslogd reopen >/dev/null && test -e /var/log/lb/lb.log")
				}
				say()
				m.await("a rotation that succeeds", "logrotate -f /etc/logrotate.d/lb && test ! -e /var/log/lb/.reopen-failed")
				for i := range lines {
					if n := m.sh("zcat -f $(find /var/log/lb -type f) | grep -cF '%s line %d.' || :", t.Name(), i+1); n != "1" {
						t.Errorf("line %d is there %s times:\n%s", i+1, n, m.sh("ls -lR /var/log/lb"))
					}
				}
			})
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
