package dialect

import (
	"fmt"
	"io"
	"testing"
)

// TestForwardForOriginalTo: the fields that tell servers the addresses of the client's connection: from the frontend, the backend or both.
func TestForwardForOriginalTo(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST")+`
frontend fe
  bind HTTP accept-proxy
  option forwardfor except 192.0.2.1 except 192.0.2.3 if-none
  option originalto except 192.0.2.0/31
  http-request set-dst str(203.0.113.9) if { path_end /moved }
  use_backend %[path,field(3,/)]
frontend bare
  bind HTTP2 accept-proxy
  use_backend %[path,field(3,/)]
backend none
  server s S1
backend same
  option forwardfor
  option originalto
  server s S1
backend other
  option forwardfor header X-Client except 192.0.2.2/31
  option originalto header X-Server except 2001:db8::/32 except 192.0.2.2
  server s S1
backend missing
  option forwardfor header X-Client if-none
  server s S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, addr := range []string{s.addr, s.fill("HTTP2")} {
			for _, from := range []string{"TCP4 192.0.2.1 192.0.2.2", "TCP4 192.0.2.2 192.0.2.1", "TCP4 192.0.2.3 192.0.2.4", "TCP6 2001:db8::1 2001:db8::2", "TCP6 ::1 2001:db9:0:0::0:2"} {
				c := s.dial(addr)
				io.WriteString(c, "PROXY "+from+" 1 2\r\n")
				for _, path := range []string{"/headers/none", "/headers/same", "/headers/other", "/headers/missing", "/headers/other/moved"} {
					for _, given := range []string{"X: y", "X-Forwarded-For: a\r\nX-Original-To: b", "X-Client: a\r\nX-Server: b"} {
						got = append(got, fmt.Sprintf("%s %s %q: %s", from, path, given, c.do(request(path, given))))
					}
				}
				c.Close()
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
}
