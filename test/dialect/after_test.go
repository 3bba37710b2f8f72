package dialect

import (
	"strings"
	"testing"
)

// TestAfterResponse: http-after-response rules see whatever goes to a client, a server's answers and our own.
func TestAfterResponse(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %HU %ts %[var(txn.seen)]")+`
frontend fe
  bind HTTP
  errorfile 404 DIR/404.http
  monitor-uri /alive
  http-after-response set-var(txn.seen) status
  http-after-response set-header X-Front %[status]-%[res.hdr(content-type)]
  http-after-response add-header X-Many one if { status 200 }
  http-after-response add-header X-Many two,three if { status 200 }
  http-after-response replace-value X-Many ^t(.*)$ T\1
  http-after-response replace-header X-Front ^(4..)-.*$ \1
  http-after-response del-header X-Own
  http-after-response set-status 418 reason "Tea" if { status 410 }
  http-after-response allow if { status 403 }
  http-after-response set-header X-Last yes
  http-request deny if { path /denied }
  http-request deny deny_status 404 if { path /missing }
  http-request deny deny_status 410 if { path /gone }
  http-request redirect location /x code 301 if { path /moved }
  http-request return status 200 content-type text/plain string hello hdr X-Own 1 if { path /own }
  use_backend pages if { path_beg /stats }
  use_backend empty if { path /empty }
  use_backend stop if { path /headers/stop }
  default_backend be
backend be
  http-request return status 200 content-type text/plain string be if { path /beown }
  http-response deny if { res.hdr(x-nothing) -m found }
  http-response return status 203 content-type text/plain string late if { status 200 } { var(txn.late) -m found }
  http-request set-var(txn.late) int(1) if { path /late }
  http-after-response set-header X-Back %[status]
  server s1 S1
backend stop
  http-after-response set-header X-Back stop
  http-after-response allow
  http-after-response set-header X-Back never
  server s1 S1
backend pages
  http-after-response set-header X-Pages 1
  stats uri /stats
backend empty
  http-after-response set-header X-Empty 1
  server s1 DOWN
`, map[string]string{"404.http": "HTTP/1.0 404 Not here\r\nX-Page: mine\r\nContent-Type: text/x\r\n\r\ngone?\n"})
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/headers", "/denied", "/missing", "/gone", "/moved", "/own", "/beown", "/late", "/headers/stop", "/alive", "/empty"} {
			got = append(got, path+": "+s.get(path))
		}
		page, _, _ := strings.Cut(s.get("/stats"), " \"<")
		page = strings.ReplaceAll(page, "; charset=utf-8", "")
		got = append(got, strings.ReplaceAll(page, ` X-Content-Type-Options=["nosniff"]`, "")) // lb's page alone has it
		c := s.dial(s.addr)
		return append(got, c.do("GET / HTTP/1.1 and more\r\n\r\n"))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)-1), ours.lines(len(got)-1))
}
