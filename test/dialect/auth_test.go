package dialect

import (
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/test/tape"
)

// users is a userlist with passwords of every kind: each user's is its name twice.
func users(t *testing.T) string {
	t.Helper()
	text := "userlist site\n  group admins users anna,bert\n  group staff\n  group nobody\n"
	for name, scheme := range map[string]string{"anna": "6", "bert": "5", "cleo": "1"} {
		hash, err := exec.Command(tape.Require(t, "openssl"), "passwd", "-"+scheme, "-salt", "pepper", name+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		text += "  user " + name + " password " + strings.TrimSpace(string(hash)) + " groups staff\n"
	}
	return text + "  user dora insecure-password doradora\n"
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestUserlists: who is let in, by which rule, and what the others are told.
func TestUserlists(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ts %b/%s %HU")+`
frontend fe
  bind HTTP
  errorfile 401 DIR/401.http
  acl known http_auth(site)
  acl admin http_auth_group(site) admins
  http-request auth realm Sub\ Scription if { path /realm } !known
  http-request auth if { path /plain } !known
  http-request deny deny_status 403 if { path_beg /group } !{ http_auth_group(site) nobody staff }
  http-request auth if { path /admin } !admin
  http-request set-header X-User %[http_auth_group(site)]/%[http_auth(site)]/%[http_auth_user]
  use_backend stats if { path_beg /stats }
  default_backend be
backend be
  http-request auth if { path /behind } !{ http_auth(site) }
  server s1 S1
backend stats
  stats uri /stats
  stats http-request allow if { src 127.0.0.9 }
  stats http-request deny if { path /stats/denied }
  stats http-request auth unless { http_auth(site) }
`+users(t), map[string]string{"401.http": "HTTP/1.0 401 No\r\nX-Page: mine\r\n\r\nwho?\n"})
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/realm", "/plain", "/group", "/admin", "/headers", "/behind", "/stats/denied", "/stats;x"} {
			for _, auth := range []string{
				"X-None: 1", basic("anna", "annaanna"), basic("anna", "anna"), basic("bert", "bertbert"), basic("cleo", "cleocleo"), basic("cleo", ""),
				basic("dora", "doradora"), basic("dora", "x"), basic("nobody", "x"), basic("", ""), "Authorization: Bearer x", "Authorization: Basic !", "authorization: basic  x",
			} {
				a := s.get(path, auth)
				if path == "/stats;x" {
					a = a[:3] // the page itself differs
				}
				got = append(got, path+" "+auth+": "+a)
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestManyPasswords: many clients at once with passwords that are hashed, right and wrong, on connections that are kept; each has its answer, over a
// reload as well.
func TestManyPasswords(t *testing.T) {
	s := start(t, built.LB, preface("", "LINE %ST")+`
frontend fe
  bind HTTP
  http-request auth unless { http_auth(site) }
  default_backend be
backend be
  server s1 S1
`+users(t), nil)
	var work sync.WaitGroup
	errs := make(chan error, 100)
	for i := range 8 {
		c := s.dial(s.addr)
		work.Go(func() {
			for k := range 30 {
				name := []string{"anna", "bert", "cleo", "dora"}[(i+k)%4]
				password, want := name+name, "200"
				if k%3 == 2 {
					password, want = fmt.Sprint("wrong", i, k), "401"
				}
				if a := c.do(request("/r/a/1", basic(name, password))); !strings.HasPrefix(a, want) {
					errs <- fmt.Errorf("%s with %s: %s", name, password, a)
					return
				}
			}
		})
	}
	if out, err := s.Reload(t.Context()); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	work.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
