package box

import (
	"fmt"
	"testing"
	"time"
)

const counting = `global
    stats socket /run/lb/admin.sock mode 600 level admin
    hard-stop-after 20s
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
listen www
    bind 127.0.0.1:80
    stick-table type ip size 1k expire 10m store http_req_cnt,conn_cur
    http-request track-sc0 src
    http-request return status 200
`

// TestTablesOutliveTheirMaster counts requests in a stick table through everything that replaces a master: not one is forgotten, and none
// counts twice.
func TestTablesOutliveTheirMaster(t *testing.T) {
	m := boot(t, "tables")
	m.write("counting.cfg", counting)
	m.sh("cp %s/counting.cfg /etc/lb/lb.cfg; systemctl reload lb", m.dir)
	const table = `echo "show table www" | socat -t 5 - /run/lb/admin.sock`
	// The worker before reports its last connections until it leaves; then nobody changes the table any more.
	counts := func(after string, total int) {
		t.Helper()
		m.await("one worker is left after "+after, `test "$(pgrep -fc '[l]b @worker')" = 1`)
		m.await(fmt.Sprintf("%d requests are counted after %s, and none is open", total, after),
			fmt.Sprintf(`%s | tee /dev/stderr | grep 'conn_cur=0 ' | grep -q 'key=127\.0\.0\.1 .*http_req_cnt=%d\b'`, table, total))
	}
	killed := func() {
		before := m.mainPID()
		m.sh("kill -9 %s", before)
		m.await("the next master serves", "p=$(systemctl show lb -p MainPID --value); test $p != "+before+" && systemctl is-active -q lb")
	}
	acts := []struct {
		name string
		do   func()
	}{
		{"a restart", func() { m.sh("systemctl restart lb") }},
		{"an upgrade", func() { m.sh("lb upgrade") }},
		{"a killed master", killed},
		{"a restart that meets a reload", func() { m.sh("systemctl reload lb & sleep 0.03; systemctl restart lb; wait") }},
		{"a bad configuration", func() {
			m.sh("echo nonsense >>/etc/lb/lb.cfg; ! systemctl restart lb; cp %s/counting.cfg /etc/lb/lb.cfg", m.dir)
			m.await("a master is in charge again", "systemctl is-active -q lb && systemctl reload lb")
		}},
	}
	total := 0
	for _, a := range acts {
		m.sh("for i in 1 2 3; do curl -sf -o /dev/null http://127.0.0.1/; done")
		total += 3
		a.do()
		counts(a.name, total)
	}
	const load = 150_000
	step := 0
	if failed := m.load(load, "-k", func() { acts[step%len(acts)].do(); step++ }, 100*time.Millisecond); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	counts("the load", total+load)
}
