package dialect

import "testing"

// TestActions: what rules do besides editing heads.
func TestActions(t *testing.T) {
	theirs, ours := both(t, preface("", `LINE %ST %HU %ts %b/%s %hr %hs %[cur_server_timeout]/%[cur_tunnel_timeout]`)+`
  timeout tarpit 150ms
frontend fe
  bind HTTP
  declare capture request len 5
  capture request header X-Cap len 8
  declare capture response len 6
  http-request capture path len 20
  http-request capture req.hdr(user-agent) id 0
  http-request set-header X-Id %[req.hdr(x-cap),lower,capture-req(0),upper] if { path /headers/conv }
  http-request tarpit if { path /tarpit }
  http-request tarpit deny_status 429 if { path /tarpit429 }
  http-request reject if { path /reject }
  http-response capture res.hdr(x-backend) id 0
  default_backend be
backend be
  http-request set-timeout server 5s if { path /headers/timeout }
  http-request set-timeout tunnel int(1234) if { path /headers/timeout }
  http-request set-timeout server int(7000) if { path /headers/backend }
  http-request capture path id 0 if { path /headers/slot }
  http-response set-header X-Slots %[capture.req.hdr(0)]-%[capture.req.hdr(1)]-%[capture.req.hdr(2)]-%[capture.res.hdr(0)]
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/headers", "/headers/conv", "/tarpit", "/tarpit429", "/reject", "/headers/timeout", "/headers/backend", "/headers/slot"} {
			got = append(got, path+": "+s.get(path, "User-Agent: browser/1", "X-Cap: CaPtured-header"))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestTargetsWithoutAPath: what rewrites a target makes of one that has no path.
func TestTargetsWithoutAPath(t *testing.T) {
	theirs, ours := both(t, preface("", `LINE %ST %HU`)+`
frontend fe
  bind HTTP
  http-request set-path /headers/p if { req.hdr(x-do) path }
  http-request set-pathq /headers/q?y=1 if { req.hdr(x-do) pathq }
  http-request set-query z=1 if { req.hdr(x-do) query }
  http-request replace-path (.*) /headers/r\1 if { req.hdr(x-do) replace }
  http-request set-uri /headers/u if { req.hdr(x-do) uri }
  http-request set-header X-Path %[path]|%[pathq]|%[query]|%[url]
  http-request return status 200 content-type text/plain lf-string %[path]|%[pathq]|%[query]|%[url]
`, nil)
	drive := func(s *subject) (got []string) {
		for _, target := range []string{"http://site.example", "http://site.example/", "*", "/a?b", "http://site.example/a?b"} {
			for _, do := range []string{"none", "path", "pathq", "query", "replace", "uri"} {
				method := "GET"
				if target == "*" {
					if method = "OPTIONS"; do == "query" { // HAProxy makes "*?z=1" of it, which is no target
						continue
					}
				}
				c := s.dial(s.addr)
				got = append(got, target+" "+do+": "+c.do(method+" "+target+" HTTP/1.1\r\nHost: site.example\r\nX-Do: "+do+"\r\nConnection: close\r\n\r\n"))
			}
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
}
