package dialect

import (
	"fmt"
	"testing"
)

// TestPretendKeepAlive: what servers hear of the connection when each serves one request; and an expression that ends in a comma.
func TestPretendKeepAlive(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST %ts")+`
frontend fe
  bind HTTP
  option http-server-close
  http-request set-header X-Lower %[var(txn.low)] if { path_beg /headers/none /headers/both } { req.hdr(a),lower, -m found }
  http-request set-var(txn.low) req.hdr(a),lower,,length, if { path_beg /headers }
  http-request set-header X-Length %[var(txn.low)]
  use_backend %[path,field(3,/)]
frontend keeps
  bind HTTP2
  use_backend %[path,field(3,/)]
backend none
  server s S1
backend pretend
  option http-pretend-keepalive
  server s S1
backend both
  option httpclose
  option http-pretend-keepalive
  server s S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, addr := range []string{s.addr, s.fill("HTTP2")} {
			for _, path := range []string{"/headers/none", "/headers/pretend", "/headers/both"} {
				for _, words := range []string{"A: Abc", "Connection: close", "Connection: keep-alive"} {
					c := s.dial(addr)
					got = append(got, fmt.Sprint(path, words, c.do(request(path, words)), gone(c.do(request(path, words)))))
					c.Close()
				}
				if path != "/headers/none" { // lb tells servers of HTTP/1.0 too that it closes
					c := s.dial(addr)
					got = append(got, c.do("GET "+path+" HTTP/1.0\r\nHost: site.example\r\n\r\n"))
					c.Close()
				}
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
}
