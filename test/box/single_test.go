package box

import (
	"strings"
	"testing"
)

// TestOneProcessGivesUpRoot replaces a process of root by one that gives root up, and that by the next, without a master or systemd: each
// can end the one before, whoever that runs as, and take its paths in a directory of root's; and nothing of root stays with it.
func TestOneProcessGivesUpRoot(t *testing.T) {
	m := boot(t, "single")
	const text = `global
    stats socket /root-run/admin.sock mode 600 level admin
USER
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
listen www
    bind 127.0.0.1:90
    monitor-uri /
`
	m.write("root.cfg", strings.Replace(text, "USER", "", 1))
	m.write("user.cfg", strings.Replace(text, "USER", "    user lb\n    group lb", 1))
	m.sh("mkdir -m 755 /root-run; lb -D -f %s/root.cfg -p /root-run/pid", m.dir)
	for range 2 {
		old := m.sh("cat /root-run/pid")
		m.sh("lb -D -f %s/user.cfg -p /root-run/pid -sf %s", m.dir, old)
		m.await("the old process leaves", "! kill -0 "+old)
		m.sh("curl -sf -o /dev/null -m 10 http://127.0.0.1:90/; echo 'show info' | socat - /root-run/admin.sock | grep -q \"^Pid: $(cat /root-run/pid)$\"")
		user, group := m.sh("id -u lb"), m.sh("id -g lb")
		if got := strings.Fields(m.sh("grep -E '^(Uid|Gid|CapPrm):' /proc/$(cat /root-run/pid)/task/*/status -h | sort -u")); strings.Join(got, " ") !=
			strings.Join([]string{"CapPrm:", "0000000000000000", "Gid:", group, group, group, group, "Uid:", user, user, user, user}, " ") {
			t.Errorf("with `user lb` (%s) it runs as %v", user, got)
		}
	}
}
