package dialect

import (
	"fmt"
	"testing"
)

// TestErrorPages: pages from sections, files and texts, as the client gets them and as the log has them.
func TestErrorPages(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %ts %b %HU")+`
  errorfile 500 DIR/500.http
  timeout tarpit 20ms
http-errors site
  errorfile 503 DIR/503.http
  errorfile 403 DIR/403.http
  errorfile 429 DIR/429.http
frontend fe
  bind HTTP
  errorfiles site 503 429
  http-error status 403 content-type text/plain string "not you" hdr X-Why "100%% sure"
  http-error status 404 content-type text/html file DIR/404.html
  http-error status 410 errorfile DIR/403.http
  errorloc 405 /elsewhere
  errorloc303 413 /other
  http-request deny deny_status 403 if { path /403 }
  http-request deny deny_status 404 if { path /404 }
  http-request deny deny_status 405 if { path /405 }
  http-request deny deny_status 410 if { path /410 }
  http-request deny deny_status 413 if { path /413 }
  http-request deny deny_status 429 if { path /429 }
  http-request deny deny_status 500 if { path /500 }
  http-request deny deny_status 400 if { path /400 }
  http-request set-var(txn.v) str(kept)
  http-error status 502 content-type text/plain lf-string "%[path] %[var(txn.v)] %[req.hdr(host)]" hdr X-Var %[var(txn.v)] hdr X-None %[var(txn.none)]
  http-error status 408 content-type text/html lf-file DIR/lf.html
  http-error status 504 content-type text/plain lf-string "%[path] %[method]"
  http-error status 425 content-type text/plain string fixed hdr X-Path %[path] hdr X-Percent 100%%
  http-request deny deny_status 502 if { path /502 }
  http-request deny deny_status 502 hdr X-More %[path] if { path /more }
  http-request deny deny_status 408 if { path /408 }
  http-request deny deny_status 425 if { path /425 }
  http-request deny deny_status 429 errorfiles later if { path /errorfiles }
  http-request deny deny_status 401 errorfiles later if { path /missing }
  http-request return status 429 errorfiles later hdr X-A b if { path /return }
  http-request tarpit deny_status 429 errorfiles later if { path /tarpit }
  use_backend nobody if { path /refused }
  use_backend gone if { path /503 }
  use_backend own
backend gone
backend nobody
  http-error status 503 content-type text/plain lf-string "%[path] %[method] %[var(txn.v)] %s"
  http-request set-path /changed
  retries 0
  server s DOWN
http-errors later
  errorfile 429 DIR/403.http
backend own
  errorfiles site
  http-request deny if { path /own }
  http-request deny deny_status 404 if { path /own404 }
  server s1 S1
`, map[string]string{
		"500.http": "HTTP/1.0 500 Oh\r\nX-Page: 500\r\n\r\noh\n", "503.http": "HTTP/1.0 503 Gone fishing\r\nX-Page: 503\r\nContent-Type: text/plain\r\n\r\nfishing\n",
		"403.http": "HTTP/1.0 418 Teapot\r\nX-Page: 403\r\n\r\ntea\n", "429.http": "HTTP/1.1 429 Slow\r\nX-Page: 429\r\nContent-Length: 2\r\n\r\nno", "lf.html": "<p>%[path] %[src,length]</p>\n", "404.html": "<p>not\nhere</p>\n",
	})
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/403", "/404", "/405", "/410", "/413", "/429", "/500", "/400", "/503", "/own", "/own404", "/", "/502", "/more", "/408", "/425", "/errorfiles", "/missing", "/return", "/tarpit", "/refused"} {
			got = append(got, path+" "+s.get(path))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestReasonPhrases: what an answer of a rule says besides its status.
func TestReasonPhrases(t *testing.T) {
	config := preface("", "LINE %ST") + "frontend fe\n  bind HTTP\n"
	for status := 200; status < 600; status++ {
		config += fmt.Sprintf("  http-request return status %d if { path /%d }\n", status, status)
	}
	theirs, ours := both(t, config, nil)
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		for status := 200; status < 600; status++ {
			if status%100 < 60 {
				got = append(got, c.do(request(fmt.Sprint("/", status))))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
}
