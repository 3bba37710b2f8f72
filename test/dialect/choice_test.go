package dialect

import (
	"fmt"
	"strings"
	"testing"
)

// TestChoiceOfServers: use-server, force-persist and ignore-persist together with cookies, stick tables and servers that are down.
func TestChoiceOfServers(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %tsc %b/%s %HU")+`
frontend fe
  bind HTTP
  use_backend forced if { path_beg /force }
  use_backend ignored if { path_beg /ignore }
  use_backend stuck if { path_beg /stuck }
  use_backend down if { path_beg /down }
  default_backend be
backend be
  cookie SRV insert indirect
  use-server s3 if { path /s3 }
  use-server off if { path /off }
  use-server off if { path /both }
  use-server s2 if { path /both }
  use-server %[urlp(to)] if { path /named }
  server s1 S1 cookie c1
  server s2 S2 cookie c2 weight 0
  server s3 S3 cookie c3 weight 0
  server off S3 cookie c4 disabled
backend forced
  cookie SRV insert indirect
  force-persist if { path /force }
  ignore-persist if { path /force/not }
  use-server off if { urlp(x) use }
  server s1 S1 cookie c1
  server off S2 cookie c2 disabled
backend ignored
  cookie SRV insert indirect
  ignore-persist if { path /ignore }
  server s1 S1 cookie c1
  server s2 S2 cookie c2 weight 0
backend stuck
  stick-table type string size 100
  stick on urlp(k)
  ignore-persist if { path /stuck/ignore }
  force-persist if { path /stuck/force }
  use-server s2 if { hdr(to) s2 }
  server s1 S1
  server s2 S2 weight 0
backend down
  use-server off if TRUE
  server off S1 disabled
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{
			"/", "/s3", "/off", "/both", "/named?to=s2", "/named?to=off", "/named?to=nobody", "/named", "/down",
			"/force", "/force/not", "/force/other", "/force?x=use", "/force/other?x=use", "/ignore", "/ignore/other",
		} {
			for _, cookie := range []string{"", "c1", "c2", "c3", "c4", "zz"} {
				header := "X-None: 1"
				if cookie != "" {
					header = "Cookie: SRV=" + cookie
				}
				got = append(got, path+" "+cookie+" "+s.get(path, header))
			}
		}
		for i, path := range []string{"/stuck?k=a", "/stuck?k=b", "/stuck?k=b", "/stuck/ignore?k=b", "/stuck?k=b", "/stuck/force?k=b", "/stuck?k=c"} {
			to := "s1"
			if i == 1 {
				to = "s2"
			}
			got = append(got, path+" "+s.get(path, "To: "+to))
		}
		if out := s.command("disable server stuck/s2"); strings.TrimSpace(out) != "" {
			t.Fatal(out)
		}
		for _, path := range []string{"/stuck/force?k=b", "/stuck?k=b", "/stuck/force?k=b"} {
			got = append(got, path+" "+s.get(path, "To: "))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestBackendsByName: a backend that the request names.
func TestBackendsByName(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %ts %b/%s %HU")+`
frontend fe
  bind HTTP
  use_backend %[urlp(b),lower] if { path /lower }
  use_backend be_%[req.hdr(x-b)] if { path /prefix }
  use_backend b2 if { path /last }
  default_backend b1
backend b1
  server s1 S1
backend b2
  server s2 S2
backend be_3
  server s3 S3
backend tunnel
  mode tcp
  server s3 S3
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/", "/last", "/lower", "/lower?b=B2", "/lower?b=be_3", "/lower?b=zz", "/lower?b=fe", "/prefix", "/prefix?x"} {
			for _, h := range []string{"", "3", "4", strings.Repeat("x", 500)} {
				got = append(got, fmt.Sprintf("%s %.10s %s", path, h, s.get(path, "X-B: "+h)))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}
