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
