package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExamine(t *testing.T) {
	for _, c := range []struct {
		line, what string
		harm       bool
	}{
		// The night that killed a balancer, in the spellings that people have.
		{"systemctl restart haproxy", "restarts haproxy", true},
		{"/bin/systemctl reload haproxy.service > /dev/null 2>&1 || true", "reloads haproxy", true},
		{"service haproxy restart >/dev/null 2>&1", "restarts haproxy", true},
		{"/etc/init.d/haproxy reload", "reloads haproxy", true},
		{"invoke-rc.d haproxy force-reload", "reloads haproxy", true},
		{"kill -HUP `cat /var/run/haproxy.pid`", "signals haproxy", true},
		{"[ ! -f /run/haproxy.pid ] || kill -USR1 $(cat /run/haproxy.pid)", "signals haproxy", true},
		{"pkill -HUP haproxy", "signals haproxy", true},
		{"killall -s USR2 lb", "signals lb", true},
		{"systemctl kill -s HUP lb", "signals lb", true},
		{"/usr/sbin/lb reload", "reloads lb", true},

		// Log daemons: a signal is their way, but nobody waits for it.
		{"/usr/lib/rsyslog/rsyslog-rotate", "signals rsyslog", false},
		{"systemctl restart rsyslog", "restarts rsyslog", false},
		{"systemctl kill -s HUP rsyslog.service", "signals rsyslog", false},
		{"kill -HUP $(cat /run/syslogd/syslogd.pid)", "signals syslogd", false},

		// Neither.
		{"/usr/sbin/syslogd reopen >/dev/null", "", false},
		{"systemctl reload nginx", "", false},
		{"invoke-rc.d apache2 reload", "", false},
		{"echo haproxy was rotated", "", false},
		{"gzip /var/log/haproxy.log.1", "", false},
		{"kill -USR1 $(cat /run/glb.pid)", "", false},
	} {
		f, ok := examine(hook{script: "postrotate", text: c.line})
		if f.what != c.what || f.harm != c.harm || ok != (c.what != "") {
			t.Errorf("%s: %q, harm %v, %v", c.line, f.what, f.harm, ok)
		}
	}
}

func TestDoctorSaysWhere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	main := write("logrotate.conf", "weekly\ninclude "+dir+"/logrotate.d\n")
	bad := write("logrotate.d/haproxy", "/var/log/haproxy.log {\n  daily\n  # restart haproxy: only a comment\n  postrotate\n    systemctl restart haproxy\n  endscript\n}\n")
	write("logrotate.d/haproxy.dpkg-old", "x {\n postrotate\n systemctl restart haproxy\n endscript\n}\n")
	var out, errs bytes.Buffer
	err := doctor([]string{main}, &out, &errs)
	if err == nil || !strings.Contains(err.Error(), "1 of 1 lines") {
		t.Errorf("error: %v", err)
	}
	if want := bad + ":5: postrotate restarts haproxy: systemctl restart haproxy\n"; !strings.HasPrefix(errs.String(), want) || strings.Count(errs.String(), "\n") != 2 {
		t.Errorf("it said\n%s, want one finding that begins\n%s", errs.String(), want)
	}

	write("logrotate.d/haproxy", "/var/log/haproxy.log {\n postrotate\n  /usr/lib/rsyslog/rsyslog-rotate\n endscript\n}\n")
	out.Reset()
	errs.Reset()
	if err := doctor([]string{main}, &out, &errs); err != nil || errs.Len() > 0 || !strings.Contains(out.String(), ":3: postrotate signals") || !strings.Contains(out.String(), "none reaches for a balancer") {
		t.Errorf("%v\n%s%s", err, out.String(), errs.String())
	}

	// What this project ships is what it recommends.
	if err := doctor([]string{"../../logrotate/lb"}, &out, &errs); err != nil || errs.Len() > 0 {
		t.Errorf("%v\n%s", err, errs.String())
	}
	if err := doctor([]string{filepath.Join(dir, "none")}, &out, &errs); err == nil {
		t.Error("a file that is not there is no error")
	}
}

func FuzzReadHooks(f *testing.F) {
	f.Add("/a {\n postrotate\n  kill x\n endscript\n}\ninclude /etc/logrotate.d\n")
	f.Add("postrotate\nendscript\npostrotate")
	f.Fuzz(func(t *testing.T, text string) {
		hooks, _, err := readHooks("f", strings.NewReader(text))
		if err != nil {
			return
		}
		lines := strings.Split(text, "\n")
		for _, h := range hooks {
			if h.line > len(lines) || strings.TrimSpace(lines[h.line-1]) != h.text {
				t.Fatalf("line %d of %q is not %q", h.line, text, h.text)
			}
			examine(h)
		}
	})
}
