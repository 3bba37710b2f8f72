package dialect

import "testing"

// TestACLsThatNeverMatch: rules with ACLs about what is not there where they run, as in many a configuration: they load, such an ACL is false, and its
// opposite true.
func TestACLsThatNeverMatch(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %ts")+`
frontend fe
  bind HTTP
  acl p path_beg /
  acl h hdr(host) site.example
  acl m method GET
  acl v req.ver 1.1
  acl u urlp(a) 1
  acl ok status 200
  tcp-request connection reject if p
  tcp-request session reject if h
  http-request deny if { path /deny }
  http-request return status 200 content-type text/plain string own if { path /own }
  http-request deny if ok
  http-request set-header X-No 1 unless ok
  use_backend nowhere if ok
  http-response set-header X-P 1 if p
  http-response set-header X-H 1 if h
  http-response set-header X-M 1 if m
  http-response set-header X-V 1 if v
  http-response set-header X-U 1 if u
  http-response set-header X-Ok 1 if ok
  http-response set-header X-Not-P 1 if !p
  http-response set-header X-Unless-P 1 unless p
  http-response set-header X-Either 1 if p or ok
  http-response set-header X-Both 1 if p ok
  http-after-response set-header X-After-P 1 if p
  http-after-response set-header X-After-H 1 if h
  http-after-response set-header X-After-Not-P 1 if !p
  default_backend be
backend nowhere
backend be
  server first S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/headers?a=1", "/deny?a=1", "/own?a=1"} {
			got = append(got, s.get(path))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(3), ours.lines(3))
}
