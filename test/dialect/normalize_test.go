package dialect

import (
	"strings"
	"testing"
)

// targets are requests' targets that normalizers may change, and some that they must leave.
var targets = strings.Fields(`/ /#foo /a#b?c#d /a?b#c // ///a//b/// /. /./bar/ /a/./a /.well-known/ /a/. /a/b/.?x /foo/../ /foo/../bar/ /foo/bar/../ /../bar/ /bar/../../
	/foo//../ /foo/%2E%2E/ /.. /a/.. /a/../.. /../.. /../../a /a/../../b /a/b/../../../../c /... /a/..b /a.. /a/.b./ /a/./../b /..//a /a//.. //.. /a/../b/../c/.. /a/../?x=/../y
	/%61dmin /foo%3Fbar=baz /%%36%36 /%ZZ /%6f /%zz /%6 /% /a%2f%2Fb?x=%2f%61 /%7e%2d%5F%2e%41 /a%80%fF?%c3%A9
	/?c=3&a=1&b=2 /?aaa=3&a=1&aa=2 /?a=3&b=4&a=1&b=5&a=2 /? /?a /?&&b&a& /?b=2&&a=1 /?& /?&& /?a& /?b=1&a=2& /?ab=1&a&a=2&ab /?b=/../x&a=// /x?a=1?b&A=2 /?a=b&=c&=a
	http://site.example/a/../b/./c//d?z=1&a=%61#f http://site.example http://site.example/.. http://site.example/%7a`)

// TestNormalizersAsHAProxy: each normalizer on each target.
func TestNormalizersAsHAProxy(t *testing.T) {
	// Each in a backend of its own: HAProxy 2.6 merges slashes when a condition follows a normalizer whose option is left out.
	names := []string{"fragment-encode", "fragment-strip", "path-merge-slashes", "path-strip-dot", "path-strip-dotdot", "path-strip-dotdot full", "percent-decode-unreserved", "percent-decode-unreserved strict",
		"percent-to-uppercase", "percent-to-uppercase strict", "query-sort-by-name"}
	var backends strings.Builder
	for _, name := range names {
		backends.WriteString("backend " + strings.ReplaceAll(name, " ", ".") + "\n  http-request normalize-uri " + name + "\n  http-request return status 200 content-type text/plain hdr X-URL [%[url]] hdr X-Path [%[path]] string done\n")
	}
	theirs, ours := both(t, `
global
  expose-experimental-directives
  stats socket STATS mode 600 level admin
defaults
  mode http
  timeout connect 10s
  timeout client 20s
  timeout server 20s
frontend fe
  bind HTTP
  option accept-invalid-http-request
  use_backend %[req.hdr(x-form)]
`+backends.String(), nil)
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		for _, name := range names {
			for _, target := range targets {
				answer := c.do(request(target, "X-Form: "+strings.ReplaceAll(name, " ", ".")))
				if strings.HasPrefix(answer, "400") {
					answer, c = "400", s.dial(s.addr) // each closes the connection or not in its own way
				}
				got = append(got, name+" "+target+" "+answer)
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	for i := range want {
		if want[i] != got[i] {
			t.Errorf("haproxy: %s\nlb:      %s", want[i], got[i])
		}
	}
}
