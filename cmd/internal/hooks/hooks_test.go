package hooks

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExamine(t *testing.T) {
	for _, c := range []struct {
		text, what string
		harm       bool
	}{
		// The night that killed a balancer, in the spellings that people have.
		{"systemctl restart haproxy", "restarts haproxy", true},
		{"/bin/systemctl reload haproxy.service > /dev/null 2>&1 || true", "reloads haproxy", true},
		{"systemctl --quiet reload-or-restart haproxy@blue.service", "reloads haproxy", true},
		{"systemctl try-restart nginx haproxy rsyslog", "restarts haproxy", true},
		{"systemctl is-active -q haproxy && systemctl stop haproxy", "stops haproxy", true},
		{"service haproxy restart >/dev/null 2>&1", "restarts haproxy", true},
		{"/etc/init.d/haproxy reload", "reloads haproxy", true},
		{"test -x /usr/sbin/haproxy && invoke-rc.d --quiet haproxy force-reload", "reloads haproxy", true},
		{"kill -HUP `cat /var/run/haproxy.pid`", "signals haproxy with HUP", true},
		{"[ ! -f /run/haproxy.pid ] || kill -USR1 $(cat /run/haproxy.pid)", "signals haproxy with USR1", true},
		{"kill -s 12 $(pidof haproxy)", "signals haproxy with USR2", true},
		{"pidof haproxy | xargs kill -9", "signals haproxy with KILL", true},
		{"for p in $(pidof haproxy); do kill $p; done", "signals haproxy", true},
		{`PID=/run/haproxy.pid; kill -HUP "$(cat $PID)"`, "signals haproxy with HUP", true},
		{"pkill -x -USR2 haproxy", "signals haproxy with USR2", true},
		{"sudo -n killall -s USR2 lb", "signals lb with USR2", true},
		{"systemctl kill -s HUP lb", "signals lb with HUP", true},
		{"systemctl kill --signal=SIGUSR1 haproxy.service", "signals haproxy with USR1", true},
		{"start-stop-daemon --stop --signal USR1 --pidfile /run/haproxy.pid", "signals haproxy with USR1", true},
		{"docker kill -s HUP site-haproxy-1", "signals haproxy with HUP", true},
		{"docker compose restart haproxy", "restarts haproxy", true},
		{"echo reload | socat - /run/haproxy-master.sock", "reloads haproxy", true},
		{"haproxy -D -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -sf $(cat /run/haproxy.pid)", "reloads haproxy", true},
		{"/usr/sbin/lb reload", "reloads lb", true},
		{"sh -c 'sleep 5; systemctl restart haproxy'", "restarts haproxy", true},
		{"su -s /bin/sh -c 'pkill -HUP haproxy' root", "signals haproxy with HUP", true},

		// What programs for certificates are told to run.
		{`certbot renew -q --post-hook "systemctl restart haproxy"`, "restarts haproxy", true},
		{`certbot renew --deploy-hook="cat a b > c && systemctl reload haproxy"`, "reloads haproxy", true},
		{`/root/.acme.sh/acme.sh --cron --reloadcmd 'service haproxy restart'`, "restarts haproxy", true},
		{`certbot renew --deploy-hook "lb reload --if-changed"`, "", false},
		{`certbot renew --post-hook`, "", false},

		// Log daemons: a signal is their way, but nobody waits for it.
		{"[ ! -x /usr/lib/rsyslog/rsyslog-rotate ] || /usr/lib/rsyslog/rsyslog-rotate", "signals rsyslog with HUP", false},
		{"invoke-rc.d rsyslog rotate > /dev/null", "signals rsyslog with HUP", false},
		{"systemctl restart rsyslog", "restarts rsyslog", false},
		{"systemctl kill -s HUP rsyslog.service", "signals rsyslog with HUP", false},
		{"kill -HUP $(cat /run/syslogd/syslogd.pid)", "signals syslogd with HUP", false},
		{"/usr/sbin/syslogd reopen >/dev/null || true", "hides that syslogd did not reopen", false},

		// Neither.
		{"/usr/sbin/syslogd reopen >/dev/null", "", false},
		{"/usr/sbin/lb reload --if-changed", "", false},
		{"systemctl reload nginx", "", false},
		{"systemctl is-active haproxy", "", false},
		{"systemctl restart haproxy-exporter", "", false},
		{"kill -0 $(cat /run/haproxy.pid)", "", false},
		{"invoke-rc.d apache2 reload", "", false},
		{"if invoke-rc.d apache2 status; then invoke-rc.d apache2 reload; fi; # not haproxy restart", "", false},
		{"echo haproxy was rotated", "", false},
		{"echo 'systemctl restart haproxy'", "", false},
		{"gzip /var/log/haproxy.log.1", "", false},
		{"kill -USR1 $(cat /run/glb.pid)", "", false},
	} {
		var vars variables
		l := line{by: "postrotate", text: c.text}
		found := examineAll("/nowhere", l, vars.expand(l))
		what, harm := "", false
		if len(found) > 0 {
			what, harm = found[0].what, found[0].harm
		}
		if what != c.what || harm != c.harm || len(found) > 1 {
			t.Errorf("%s: %q, harm %v, %d findings", c.text, what, harm, len(found))
		}
	}
}

// machine is a machine on which much reaches for the balancer. What Debian's packages bring is as they bring it.
func machine() map[string]string {
	return map[string]string{
		"/etc/logrotate.conf": "weekly\nrotate 4\ncreate\ninclude /etc/logrotate.d\n",
		"/etc/logrotate.d/haproxy": `/var/log/haproxy.log {
    daily
    rotate 7
    missingok
    notifempty
    compress
    delaycompress
    postrotate
        [ ! -x /usr/lib/rsyslog/rsyslog-rotate ] || /usr/lib/rsyslog/rsyslog-rotate
    endscript
}
`,
		"/etc/logrotate.d/nginx": `/var/log/nginx/*.log {
	daily
	sharedscripts
	prerotate
		if [ -d /etc/logrotate.d/httpd-prerotate ]; then \
			run-parts /etc/logrotate.d/httpd-prerotate; \
		fi \
	endscript
	postrotate
		invoke-rc.d nginx rotate >/dev/null 2>&1
	endscript
}
`,
		"/etc/logrotate.d/apache2": `/var/log/apache2/*.log {
	daily
	sharedscripts
	postrotate
		if pgrep -f ^/usr/sbin/apache2 > /dev/null; then
			invoke-rc.d apache2 reload 2>&1 | logger -t apache2.logrotate
		fi
	endscript
}
`,
		"/etc/logrotate.d/rsyslog": `/var/log/syslog
/var/log/mail.log
{
	rotate 4
	weekly
	sharedscripts
	postrotate
		/usr/lib/rsyslog/rsyslog-rotate
	endscript
}
`,
		"/etc/logrotate.d/edge": `/var/log/edge/haproxy-*.log {
    copytruncate
    lastaction
        # restart haproxy: only a comment
        systemctl kill -s HUP \
            haproxy.service
        /usr/local/sbin/after-rotation
    endscript
}
`,
		"/etc/logrotate.d/edge.dpkg-old":                   "x {\n postrotate\n systemctl restart haproxy\n endscript\n}\n",
		"/usr/lib/rsyslog/rsyslog-rotate":                  "#!/bin/sh\nif [ -d /run/systemd/system ]; then\n    systemctl kill -s HUP rsyslog.service\nelse\n    invoke-rc.d rsyslog rotate > /dev/null\nfi\n",
		"/usr/local/sbin/after-rotation":                   "#!/bin/bash\nset -e\nPID=$(cat /run/haproxy.pid)\nkill -USR2 \"$PID\"\n",
		"/etc/crontab":                                     "SHELL=/bin/sh\n17 * * * * root cd / && run-parts --report /etc/cron.hourly\n@daily root service haproxy restart\n",
		"/etc/cron.d/certbot":                              "0 */12 * * * root test -x /usr/bin/certbot && certbot -q renew && systemctl reload haproxy\n",
		"/etc/cron.d/old.bak":                              "@daily root pkill haproxy\n",
		"/etc/cron.d/own":                                  "*/5 * * * * root /usr/sbin/lb reload --if-changed\n",
		"/etc/cron.daily/rotate":                           "#!/bin/sh\nkillall -HUP haproxy\n",
		"/etc/cron.daily/program":                          "\x7fELF systemctl restart haproxy",
		"/var/spool/cron/crontabs/deploy":                  "30 3 * * 1-5 pkill -USR2 haproxy%ignored\n",
		"/etc/anacrontab":                                  "7 10 weekly.site systemctl restart haproxy\n",
		"/lib/systemd/system/tidy.timer":                   "[Timer]\nOnCalendar=daily\nUnit=tidy-up.service\n",
		"/etc/systemd/system/tidy-up.service":              "[Service]\nType=oneshot\nExecStart=-/bin/sh -c 'gzip /var/log/x; systemctl try-reload-or-restart haproxy'\nExecReload=/bin/true\n",
		"/etc/systemd/system/tidy-up.service.d/after.conf": "[Service]\nExecStartPost=/usr/bin/systemctl restart lb\n",
	}
}

// TestWholeMachine wants each of what is wrong, where it stands, and nothing of what is right.
func TestWholeMachine(t *testing.T) {
	root := t.TempDir()
	for name, text := range machine() {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	err := Doctor{Root: root, Out: &out, Errs: &errs}.Run(nil)
	if !errors.Is(err, ErrHarm) {
		t.Errorf("error: %v", err)
	}
	heads := func(text string) []string {
		var all []string
		for l := range strings.Lines(text) {
			if strings.HasPrefix(l, "/") {
				all = append(all, strings.TrimSpace(l))
			} else if len(l) < 60 {
				t.Errorf("what happens, and what to write instead, is only %q", l)
			}
		}
		slices.Sort(all)
		return all
	}
	if got, want := heads(errs.String()), []string{
		"/etc/anacrontab:1: anacron restarts haproxy: systemctl restart haproxy",
		"/etc/cron.d/certbot:1: cron reloads haproxy: test -x /usr/bin/certbot && certbot -q renew && systemctl reload haproxy",
		"/etc/cron.daily/rotate:2: cron signals haproxy with HUP: killall -HUP haproxy",
		"/etc/crontab:3: cron restarts haproxy: service haproxy restart",
		"/etc/logrotate.d/edge:5: lastaction signals haproxy with HUP: systemctl kill -s HUP              haproxy.service",
		"/etc/systemd/system/tidy-up.service.d/after.conf:2: timer tidy.timer restarts lb: /usr/bin/systemctl restart lb",
		"/etc/systemd/system/tidy-up.service:3: timer tidy.timer reloads haproxy: /bin/sh -c 'gzip /var/log/x; systemctl try-reload-or-restart haproxy'",
		"/usr/local/sbin/after-rotation:4: lastaction (/etc/logrotate.d/edge:7) signals haproxy with USR2: kill -USR2 \"$PID\"",
		"/var/spool/cron/crontabs/deploy:1: cron signals haproxy with USR2: pkill -USR2 haproxy",
	}; !slices.Equal(got, want) {
		t.Errorf("harm:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got, want := heads(out.String()), []string{
		"/etc/logrotate.d/edge:2: logrotate truncates a balancer's log: copytruncate",
		"/etc/logrotate.d/rsyslog:8: postrotate signals rsyslog with HUP: /usr/lib/rsyslog/rsyslog-rotate",
	}; !slices.Equal(got, want) {
		t.Errorf("advice:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// debian is what packages of Debian 12 bring that reaches for log daemons, or looks like a balancer's.
var debian = map[string]string{
	"/etc/logrotate.conf": "weekly\nrotate 4\ncreate\ninclude /etc/logrotate.d\n",
	"/etc/logrotate.d/haproxy": `/var/log/haproxy.log {
    daily
    rotate 7
    missingok
    notifempty
    compress
    delaycompress
    postrotate
        [ ! -x /usr/lib/rsyslog/rsyslog-rotate ] || /usr/lib/rsyslog/rsyslog-rotate
    endscript
}
`,
	"/etc/logrotate.d/rsyslog": `/var/log/syslog
/var/log/mail.log
{
	rotate 4
	weekly
	missingok
	notifempty
	compress
	delaycompress
	sharedscripts
	postrotate
		/usr/lib/rsyslog/rsyslog-rotate
	endscript
}
`,
	"/etc/logrotate.d/syslog-ng": `/var/log/syslog
{
	rotate 7
	delaycompress
	compress
	postrotate
		invoke-rc.d syslog-ng reload > /dev/null
	endscript
}
`,
	"/etc/logrotate.d/prometheus-haproxy-exporter": `/var/log/prometheus/prometheus-haproxy-exporter.log {
    weekly
    copytruncate
    compress
}
`,
	"/etc/logrotate.d/certbot":              "/var/log/letsencrypt/*.log {\n    rotate 12\n    compress\n}",
	"/usr/lib/rsyslog/rsyslog-rotate":       "#!/bin/sh\n\nif [ -d /run/systemd/system ]; then\n    systemctl kill -s HUP rsyslog.service\nfi\n",
	"/etc/crontab":                          "SHELL=/bin/sh\n17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly\n",
	"/etc/cron.d/certbot":                   "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && perl -e 'sleep int(rand(43200))' && certbot -q renew --no-random-sleep-on-renew\n",
	"/etc/cron.daily/logrotate":             "#!/bin/sh\nif [ -d /run/systemd/system ]; then\n    exit 0\nfi\n/usr/sbin/logrotate /etc/logrotate.conf\n",
	"/lib/systemd/system/certbot.timer":     "[Timer]\nOnCalendar=*-*-* 00,12:00:00\n",
	"/lib/systemd/system/certbot.service":   "[Service]\nType=oneshot\nExecStart=/usr/bin/certbot -q renew --no-random-sleep-on-renew\n",
	"/lib/systemd/system/logrotate.timer":   "[Timer]\nOnCalendar=daily\n",
	"/lib/systemd/system/logrotate.service": "[Service]\nType=oneshot\nExecStart=/usr/sbin/logrotate /etc/logrotate.conf\n",
}

// TestCleanDebian finds nothing in what Debian's packages bring, neither harm nor advice.
func TestCleanDebian(t *testing.T) {
	root := t.TempDir()
	for name, text := range debian {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	err := Doctor{Root: root, Out: &out, Errs: &errs}.Run(nil)
	if err != nil || errs.Len() > 0 || strings.Count(out.String(), "\n") != 1 || !strings.HasSuffix(out.String(), ": none reaches for a balancer.\n") {
		t.Errorf("%v\n%s%s", err, &out, &errs)
	}
}

func TestNamedFiles(t *testing.T) {
	var out, errs bytes.Buffer
	d := Doctor{Out: &out, Errs: &errs}
	// What this project ships is what it recommends.
	if err := d.Run([]string{"../../../logrotate/lb"}); err != nil || errs.Len() > 0 || !strings.HasPrefix(out.String(), "1 files with ") {
		t.Errorf("%v\n%s%s", err, &out, &errs)
	}
	dir := t.TempDir()
	if err := d.Run([]string{filepath.Join(dir, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	// A file that includes itself, and a directory.
	name := filepath.Join(dir, "a")
	if err := os.WriteFile(name, []byte("include "+dir+"\nx {\npostrotate\nservice haproxy restart"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Run([]string{dir}); !errors.Is(err, ErrHarm) || !strings.HasPrefix(errs.String(), name+":4: postrotate restarts haproxy") {
		t.Errorf("%v\n%s", err, &errs)
	}
}

func FuzzRead(f *testing.F) {
	for name, text := range machine() {
		f.Add(filepath.Base(name), text)
	}
	f.Add("x", "postrotate\nendscript\npostrotate\\")
	f.Add("x", "* * * * * a$(b`c")
	f.Fuzz(func(t *testing.T, _, text string) {
		dir := t.TempDir()
		for _, name := range []string{"rotate", "x.service", "x.timer", "cron"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := &reading{root: dir}
		r.logrotate("/rotate")
		r.crontab("/cron", true)
		r.timer("/x.timer", "x.service")
		var vars variables
		for _, l := range r.lines {
			if l.n < 1 || l.n > strings.Count(text, "\n")+1 {
				t.Fatalf("line %d of %q", l.n, text)
			}
			for _, f := range examineAll(dir, l, vars.expand(l)) {
				if f.what == "" || f.happens == "" || f.instead == "" {
					t.Fatalf("%+v says nothing", f)
				}
			}
		}
	})
}

// What certbot and the network run, and lines that empty a log; the worst comes first.
func TestOtherHooks(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(root+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("/etc/letsencrypt/renewal-hooks/deploy/lb.sh", "#!/bin/sh\ncat a b > /etc/lb/site.pem\nsystemctl reload haproxy\n")
	write("/etc/letsencrypt/renewal/site.conf", "[renewalparams]\npost_hook = systemctl restart haproxy\nserver = https://x\n")
	write("/etc/network/if-up.d/balancer", "#!/bin/sh\n[ \"$IFACE\" = eth0 ] && service haproxy stop\n")
	write("/etc/cron.daily/logs", "#!/bin/sh\ncp /var/log/lb/lb.log /backup\ntruncate -s 0 /var/log/lb/lb.log\n: > /var/log/haproxy.log\n>/var/log/other.log\n")
	write("/etc/letsencrypt/renewal-hooks/post/good", "#!/bin/sh\n/usr/sbin/lb reload --if-changed\n")
	var said bytes.Buffer
	err := Doctor{Root: root, Out: &said, Errs: &said}.Run(nil)
	if !errors.Is(err, ErrHarm) {
		t.Errorf("%v", err)
	}
	var found []string
	for l := range strings.Lines(said.String()) {
		if strings.HasPrefix(l, "/") {
			f := strings.SplitN(strings.TrimSpace(l), ": ", 3)
			found = append(found, f[0]+" "+f[1])
		}
	}
	want := []string{
		"/etc/network/if-up.d/balancer:2 network hook if-up.d stops haproxy",
		"/etc/letsencrypt/renewal/site.conf:2 certbot post hook restarts haproxy",
		"/etc/letsencrypt/renewal-hooks/deploy/lb.sh:3 certbot deploy hook reloads haproxy",
		"/etc/cron.daily/logs:3 cron empties /var/log/lb/lb.log",
		"/etc/cron.daily/logs:4 cron empties /var/log/haproxy.log",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found\n%s\nwant\n%s\nin\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"), said.String())
	}
	if !strings.Contains(said.String(), "lb reload --if-changed") {
		t.Error("no way out")
	}
}
