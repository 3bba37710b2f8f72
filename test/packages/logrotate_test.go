package packages

import (
	"fmt"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
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
	// The balancer does not know that anything was rotated.
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

// night makes a log of yesterday and lets logrotate's own timer fire, as it does at midnight; it returns when the log was rotated.
func (m *machine) night(log string) {
	m.t.Helper()
	m.sh(`printf 'logrotate state -- version 2\n"%s" 2020-1-1-0:0:0\n' >/var/lib/logrotate/status; mkdir -p /etc/systemd/system/logrotate.timer.d
		printf '[Timer]\nOnCalendar=\nOnActiveSec=300ms\nAccuracySec=1ms\nRandomizedDelaySec=0\n' >/etc/systemd/system/logrotate.timer.d/now.conf
		systemctl daemon-reload; systemctl restart logrotate.timer`, log)
	m.await("the timer", fmt.Sprintf("test -e %[1]s.1 -o -e %[1]s.1.gz && ! systemctl is-active -q logrotate.service", log))
	if result := m.sh("systemctl show logrotate.service -p Result,NRestarts,ExecMainStatus --value | head -1; systemctl show logrotate.timer -p LastTriggerUSec --value"); !strings.HasPrefix(result, "success\n") || strings.HasSuffix(result, "n/a") {
		m.t.Errorf("logrotate's timer and service: %s\n%s", result, m.sh("journalctl -u logrotate -o cat"))
	}
}

// TestTheStory is one night twice, under the same load: with HAProxy and the hook that an operator had, and with lb and syslogd.
//
// The first is the control: requests fail and the balancer is another process in the morning, and lb doctor says which line of which
// file did it. In the second none fails, each is in the log once, and the balancer has not noticed.
func TestTheStory(t *testing.T) {
	t.Parallel()
	tape.Require(t, "haproxy")
	m := boot(t, "story")
	m.install(version)
	m.sh("systemctl stop lb; systemd-run -q --unit backends %s/backend 127.0.0.1:9001 127.0.0.1:9002 127.0.0.1:9003", m.dir)
	plain := strings.Replace(site, "    bind 127.0.0.1:443 ssl crt /etc/lb/certs/\n", "", 1)

	m.write("/etc/haproxy/haproxy.cfg", strings.ReplaceAll(plain, "/run/lb", "/run/haproxy"))
	m.write("/etc/logrotate.d/haproxy", "/var/log/haproxy.log {\n    daily\n    rotate 7\n    missingok\n    compress\n    postrotate\n        systemctl restart haproxy\n    endscript\n}\n")
	m.sh("systemctl restart haproxy; echo line >/var/log/haproxy.log")
	m.await("the site", "curl -sf -o /dev/null http://127.0.0.1/r/probe/0")
	pid := m.sh("systemctl show haproxy -p MainPID --value")
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	m.sh("rm -f /root/load.pid")
	go func() {
		out, err := m.try("echo $$ >/root/load.pid; exec ./load -n 0 -least 6000 -rate 1500 -c 50 -per-conn 20 -timeout 5s 127.0.0.1:80")
		ended <- result{out, err}
	}()
	m.await("the load", `test "$(cat /proc/$(cat /root/load.pid)/comm)" = load`)
	m.night("/var/log/haproxy.log")
	m.sh("kill -INT $(cat /root/load.pid)")
	r := <-ended
	t.Logf("HAProxy: %s", strings.SplitN(r.out, "\n", 2)[0])
	if now := m.sh("systemctl show haproxy -p MainPID --value"); r.err == nil || now == pid {
		t.Errorf("no request failed, or the process is %s as before (%s): this shows nothing\n%s", now, pid, r.out)
	}
	if out, err := m.try("lb doctor"); err == nil || !strings.Contains(out, "/etc/logrotate.d/haproxy:7: postrotate restarts haproxy: systemctl restart haproxy") {
		t.Errorf("lb doctor: %v\n%s", err, out)
	}

	m.sh("systemctl stop haproxy; rm /etc/logrotate.d/haproxy; rm -f /var/log/lb/*")
	m.write("/etc/lb/lb.cfg", plain)
	m.sh("systemctl restart syslogd; systemctl start lb; lb doctor")
	m.await("the site", "curl -sf -o /dev/null http://127.0.0.1/r/probe/0")
	const who = "systemctl show lb -p MainPID,ActiveEnterTimestamp,NRestarts --value; pgrep -x lb | sort; lb status | sed -n '2p'"
	before := m.sh(who)
	m.load("night", 6000, 1500, func() {
		m.await("a line", "test -s /var/log/lb/lb.log")
		m.night("/var/log/lb/lb.log")
	})
	if now := m.sh(who); now != before {
		t.Errorf("the night changed the balancer from\n%s\nto\n%s", before, now)
	}
	if n := m.sh("ls /var/log/lb/lb.log.1.gz /var/log/lb/lb.log | wc -l"); n != "2" {
		t.Errorf("nothing was rotated:\n%s", m.sh("ls -l /var/log/lb"))
	}
}
