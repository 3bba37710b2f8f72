package dialect

import "testing"

// TestCookiesAndNames: cookies in the log, and what servers are told of themselves.
func TestCookiesAndNames(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %CC %CS %{+Q}CC")+`
frontend fe
  bind HTTP
  capture cookie ID len 10
  http-request return status 200 hdr Set-Cookie ID2=own if { path /own }
  http-response set-header Set-Cookie "IDENTITY=0123456789; path=/" if { res.hdr(x-backend) s2 }
  use_backend two if { path /two }
  default_backend be
backend be
  http-send-name-header X-Server-Name
  server s1 S1
backend two
  server s2 S2
`, nil)
	drive := func(s *subject) (got []string) {
		for i, cookie := range []string{"", "ID=1", "a=b; ID=abc; ID=def", "IDX=12345678901", "XID=1; b", "id=1", "ID", "a=\"x;ID=y\";ID=z", "ID=1 ; c=d"} {
			for _, path := range []string{"/headers/" + string(rune('a'+i)), "/two", "/own"} {
				got = append(got, s.get(path, "Cookie: "+cookie, "X-Server-Name: mine", "x-server-name: too"))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestCapturesOfOwnReplies: what the log shows of a request that no server sees, and of the reply that it gets.
func TestCapturesOfOwnReplies(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %f %b/%s %ST %tsc %CC %CS %hr %hs")+`
frontend fe
  bind HTTP
  capture cookie ID len 10
  capture request header X-Req len 8
  capture response header X-Res len 8
  capture response header Set-Cookie len 8
  timeout tarpit 10ms
  stats enable
  stats uri /stats
  monitor-uri /monitor
  errorfile 403 DIR/403
  http-request set-var(txn.path) path
  http-after-response set-header X-Res after if { var(txn.path) -m beg /after }
  http-request deny if { path_sub /deny }
  http-request deny deny_status 429 hdr X-Res own if { path_sub /429 }
  http-request tarpit if { path_sub /tarpit }
  http-request reject if { path_sub /reject }
  http-request return status 200 hdr X-Res own hdr Set-Cookie ID=own if { path_sub /return }
  http-request redirect location / if { path_sub /redirect }
  http-request auth if { path_sub /auth }
  http-response deny if { var(txn.path) -m sub /late }
  http-response return status 200 hdr X-Res own if { var(txn.path) -m sub /instead }
  use_backend none if { path_beg /none }
  use_backend two if { path_beg /two }
  default_backend be
backend be
  server s1 S1
backend none
  timeout tarpit 10ms
  cookie SRV insert
  http-request deny if { path_sub /back }
  http-request tarpit if { path_sub /slow }
  http-request return status 200 if { path_sub /answer }
backend two
  timeout tarpit 10ms
  cookie SRV insert
  http-request deny if { path_sub /back }
  http-request tarpit if { path_sub /slow }
  http-request return status 200 if { path_sub /answer }
  http-request redirect location / if { path_sub /go }
  server s1 S1 cookie c1
listen li
  bind HTTP2
  capture cookie ID len 10
  capture request header X-Req len 8
  timeout tarpit 10ms
  cookie SRV insert
  http-request deny if { path_sub /deny }
  http-request tarpit if { path_sub /tarpit }
  http-request return status 200 if { path_sub /return }
  server s1 S1 cookie c1
`, map[string]string{"403": "HTTP/1.0 403 No\r\nX-Res: file\r\nConnection: close\r\n\r\nno\n"})
	drive := func(s *subject) (got []string) {
		for _, cookie := range []string{"ID=1; SRV=c1", "SRV=none", "a=b"} {
			for _, path := range []string{
				"/deny", "/429", "/tarpit", "/reject", "/return", "/redirect", "/auth", "/after/deny", "/after/return", "/after/headers/late", "/late", "/instead", "/stats", "/none", "/none/back", "/none/slow", "/none/answer",
				"/two", "/two/back", "/two/slow", "/two/answer", "/two/go", "/headers/x",
			} {
				got = append(got, s.get(path, "Cookie: "+cookie, "X-Req: asked"))
			}
			got = append(got, s.get("/monitor", "Cookie: "+cookie))
			for _, path := range []string{"/deny", "/tarpit", "/return", "/"} {
				got = append(got, s.dial(s.fill("HTTP2")).do(request(path, "Cookie: "+cookie, "X-Req: asked")))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	for i := range want {
		if i < len(got) && len(want[i]) > 300 {
			want[i], got[i] = "page", "page"
		}
	}
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)-3), ours.lines(len(got)-3))
}
