package dialect

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// cookieDates are what cannot be the same twice.
var cookieDates = regexp.MustCompile(`\|[A-Za-z0-9+/]{5}`)

// madeCookie is a value made of a port, which is another one in each run.
var madeCookie = regexp.MustCompile(`=[0-9a-f]{16};`)

// TestCookieModes: who writes the cookie that binds a client to its server, and what becomes of the servers' own.
func TestCookieModes(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %s %ST %tsc %CC")+`
frontend fe
  bind HTTP
  capture cookie SRV len 40
  use_backend %[path,field(3,/)]
frontend app
  no log
  bind HTTP2
  http-request return status 200 hdr Set-Cookie "SRV=own; path=/x" hdr X-Cookie %[req.hdr(cookie)] if { path_end /own }
  http-request return status 200 hdr Set-Cookie "A=b" hdr Set-Cookie "SRV=own" hdr Set-Cookie "SRVX=y" hdr X-Cookie %[req.hdr(cookie)] if { path_end /more }
  http-request return status 200 hdr X-Cookie %[req.hdr(cookie)] hdr Cache-Control public if { path_end /public }
  http-request return status 200 hdr X-Cookie %[req.hdr(cookie)] hdr Cache-Control "max-age=5, private" if { path_end /private }
  http-request return status 200 hdr X-Cookie %[req.hdr(cookie)] hdr Cache-Control "no-cache=x" if { path_end /nocache }
  http-request return status 200 hdr Cache-Control max-age=5 if { path_end /maxage }
  http-request return status 200 hdr Expires "Sat, 01 Jan 2050 00:00:00 GMT" if { path_end /expires }
  http-request return status 200 hdr ETag "\"x\"" if { path_end /etag }
  http-request return status 200 hdr Last-Modified "Sat, 01 Jan 2000 00:00:00 GMT" if { path_end /modified }
  http-request return status 200 hdr Pragma no-cache hdr ETag x if { path_end /pragma }
  http-request return status 200 hdr Cache-Control "public, no-cache=\"set-cookie\"" if { path_end /setcookie }
  http-request return status 200 hdr Cache-Control "public, max-age=0" if { path_end /zero }
  http-request return status 500 hdr Cache-Control public if { path_end /500 }
  http-request return status 404 hdr X-Cookie %[req.hdr(cookie)] if { path_end /404 }
  http-request return status 302 hdr X-Cookie %[req.hdr(cookie)] if { path_end /302 }
  http-request return status 200 hdr X-Cookie %[req.hdr(cookie)]
defaults of
  mode http
  log global
  timeout connect 10s
  timeout client 20s
  timeout server 20s
backend rewrite from of
  cookie SRV rewrite
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend passive from of
  cookie SRV
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend indirect from of
  cookie SRV indirect
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend prefix from of
  cookie SRV prefix
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend insert from of
  cookie SRV insert nocache
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
  server bare HTTP2 weight 0
  use-server bare if { path_beg /headers/insert/bare }
backend bare from of
  cookie SRV insert indirect domain a.example domain .b.example secure httponly attr A=b attr C
  server bare HTTP2
  server s2 HTTP2 cookie c2 weight 0
backend preserve from of
  cookie SRV insert indirect preserve postonly
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend idle from of
  cookie SRV insert indirect maxidle 60
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend life from of
  cookie SRV insert maxlife 2m maxidle 60s
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend only from of
  cookie SRV insert maxlife 100
  server s1 HTTP2 cookie c1
  server s2 HTTP2 cookie c2 weight 0
backend dynamic from of
  cookie SRV insert indirect dynamic
  dynamic-cookie-key "secret key"
  server s1 127.0.0.1:8080 disabled
  server s2 HTTP2 cookie c2 weight 0
  server s3 HTTP2
backend twice from of
  cookie SRV insert indirect
  server s1 HTTP2 cookie c1 disabled
  server s2 HTTP2 cookie c1 weight 0
  server s3 HTTP2 cookie c3
`, nil)
	date := func(ago time.Duration) string {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		n, text := time.Now().Add(-ago).Unix()>>2, ""
		for shift := 24; shift >= 0; shift -= 6 {
			text += string(letters[n>>shift&63])
		}
		return text
	}
	drive := func(s *subject) (got []string) {
		ask := func(method, path, cookie, what string) {
			words := "X: y\r\n"
			if cookie != "" {
				words += "Cookie: " + cookie + "\r\n"
			}
			c := s.dial(s.addr)
			answer := c.do(method + " " + path + " HTTP/1.1\r\nHost: site.example\r\n" + words + "Content-Length: 0\r\nConnection: close\r\n\r\n")
			got = append(got, fmt.Sprint(method, " ", path, " ", what, ": ", madeCookie.ReplaceAllString(cookieDates.ReplaceAllString(answer, "|date"), "=made;")))
			c.Close()
			if line := s.readLines(1)[0]; !strings.Contains(line, "/dynamic") {
				got = append(got, cookieDates.ReplaceAllString(line, "|date"))
			}
		}
		for _, be := range []string{"rewrite", "passive", "indirect", "prefix", "insert", "bare", "preserve", "twice"} {
			for _, cookie := range []string{"", "SRV=c1", "SRV=c2", "a=b; SRV=c2~rest; d=e", "SRV=own; X=y", "SRV=~x", "SRV=", "SRVX=c2", "SRV=c2|", "SRV=c2|AAAAA|AAAAA", "SRV=c1~x~y"} {
				for _, path := range []string{"", "/own", "/more"} {
					ask("GET", "/headers/"+be+path, cookie, cookie)
				}
			}
			ask("POST", "/headers/"+be, "", "")
			ask("POST", "/headers/"+be+"/own", "SRV=c2", "c2")
		}
		for _, path := range []string{"/public", "/private", "/nocache", "/404", "/302", "/bare", "/maxage", "/expires", "/etag", "/modified", "/pragma", "/setcookie", "/zero", "/500"} {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
				ask(method, "/headers/insert"+path, "", "")
			}
		}
		ask("GET", "/headers/insert/bare", "SRV=c1", "c1")
		long, soon := date(200*time.Second), date(-30*time.Hour)
		now, while := date(-60*time.Second), date(70*time.Second) // more than maxidle, and by far less than maxlife
		for _, be := range []string{"idle", "life", "only", "insert"} {
			for _, one := range [][2]string{
				{"none", "SRV=c2"},
				{"now", "SRV=c2|" + now},
				{"long", "SRV=c2|" + long},
				{"soon", "SRV=c2|" + soon},
				{"now now", "SRV=c2|" + now + "|" + now},
				{"now long", "SRV=c2|" + now + "|" + long},
				{"now while", "SRV=c2|" + now + "|" + while},
				{"while", "SRV=c2|" + while + "|" + now},
				{"now soon", "SRV=c2|" + now + "|" + soon},
				{"short", "SRV=c2|abc"},
				{"bad", "SRV=c2|-----|++++-"},
				{"empty", "SRV=c2||" + now},
			} {
				ask("GET", "/headers/"+be, one[1], one[0])
			}
		}
		ask("GET", "/headers/dynamic", "SRV=c2", "dynamic")
		ask("GET", "/headers/dynamic", "SRV=0123456789abcdef", "unknown")
		for row := range strings.Lines(s.command("show stat")) {
			if strings.HasPrefix(row, "dynamic,s") {
				if fields := strings.Split(row, ","); fields[1] != "s3" { // whose port differs
					got = append(got, fields[0]+fields[1]+" "+fields[74])
				}
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer or line", want, got)
}
