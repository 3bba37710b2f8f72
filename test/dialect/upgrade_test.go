package dialect

import (
	"io"
	"strings"
	"testing"
)

// TestUpgrades: connections of frontends in mode tcp that become connections of requests, by a rule or by the backend that rules choose.
func TestUpgrades(t *testing.T) {
	text := strings.ReplaceAll(preface("", "LINE %ft %b/%s %ts"), "mode http", "mode tcp") + `
frontend rule
  bind HTTP
  tcp-request inspect-delay 5s
  tcp-request content track-sc0 src table seen
  tcp-request content set-var(txn.raw) str(yes)
  tcp-request content switch-mode http proto h1 if { req.proto_http }
  tcp-request content set-var(txn.after) bool(true)
  tcp-request content accept if { req.len gt 0 }
  http-request set-header X-Raw %[var(txn.raw)]
  http-request set-header X-After %[var(txn.after)]
  http-request set-header X-Conns %[sc_conn_cnt(0)]
  http-request deny if { path /deny }
  http-response set-header X-Res %[status]
  option forwardfor
  use_backend web if { path_beg /headers /own }
  use_backend raw if { path_beg /raw }
  default_backend raw
frontend backend
  bind HTTP2
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.proto_http }
  tcp-request content reject if { req.len gt 0 }
  use_backend web if { path_beg /headers /own }
  use_backend %[path,field(2,/)] if { path_beg /web }
frontend always
  bind HTTP3
  default_backend web
backend seen
  stick-table type ip size 10 store conn_cnt,http_req_cnt
backend web
  mode http
  http-request set-header X-Be %[var(txn.raw)]
  http-request return status 200 hdr X-Own %[path] if { path_beg /own }
  http-request set-path /headers if { path_beg /web }
  server s1 S1
backend raw
  server s2 S2
`
	theirs, ours := both(t, text, nil)
	lines := 0
	drive := func(s *subject) (got []string) {
		lines = 0
		for _, addr := range []string{s.addr, s.fill("HTTP2"), s.fill("HTTP3")} {
			for _, sent := range [][]string{
				{request("/headers"), request("/own"), request("/headers")},
				{request("/own", "Connection: close")},
				{request("/deny")},
				{request("/raw/x")},
				{request("/web"), request("/web")},
				{request("/headers"), "nonsense\r\n\r\n"},
				{"nonsense\r\n\r\n"},
				{request("/headers", "Expect: 100-continue", "Content-Length: 0")},
			} {
				c := s.dial(addr)
				for _, one := range sent {
					answer := gone(c.do(one))
					got = append(got, answer)
					lines++
					if answer == "gone" || strings.HasPrefix(answer, "4") || strings.Contains(one, "close") {
						break
					}
				}
				c.Close()
			}
		}
		// The head in two pieces.
		c := s.dial(s.fill("HTTP3"))
		io.WriteString(c, "GET /headers HTTP/1.1\r\nHo")
		got = append(got, c.do("st: h\r\n\r\n"))
		lines++
		c.Close()
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(lines), ours.lines(lines))

	// What was upgraded stays so over a reload.
	for _, addr := range []string{"HTTP", "HTTP2", "HTTP3"} {
		c := ours.dial(ours.fill(addr))
		before := c.do(request("/headers"))
		if out, err := ours.Reload(t.Context()); err != nil {
			t.Fatal(err, out)
		}
		if after := c.do(request("/headers")); !strings.HasPrefix(before, "200 ") || !strings.HasPrefix(after, "200 ") {
			t.Errorf("%s: before the reload %s\nafter it %s", addr, before, after)
		}
	}
}
