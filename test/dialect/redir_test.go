package dialect

import (
	"fmt"
	"testing"
)

// TestServerRedir: a server whose line has `redir` is not asked for what GET and HEAD can fetch elsewhere.
func TestServerRedir(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HM %HU %s %ST %ts")+`
frontend fe
  bind HTTP
  http-request set-path /rewritten if { path /headers/old }
  use_backend two if { path_beg /two }
  default_backend be
backend be
  server s1 S1 redir http://images.example
backend two
  cookie SRV insert
  server s1 DOWN redir https://one.example/x/ cookie a
  server s2 S2 cookie b
`, nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			for _, target := range []string{"/x?y=1;z", "/headers/old", "http://site.example/a?b", "http://site.example"} {
				c := s.dial(s.addr)
				got = append(got, fmt.Sprint(method, " ", target, ": ", c.do(method+" "+target+" HTTP/1.1\r\nHost: site.example\r\nContent-Length: 0\r\n\r\n")))
				requests++
				c.Close()
			}
		}
		for _, cookie := range []string{"a", "b"} {
			got = append(got, s.get("/two", "Cookie: SRV="+cookie))
			requests++
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
}
