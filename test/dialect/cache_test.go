package dialect

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cachedAnswer is what an answer says of itself and of the cache.
func (s *subject) cachedAnswer(addr, request string) string {
	s.t.Helper()
	c := s.dial(addr)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return "not sent"
	}
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "broken: " + err.Error()
	}
	aged := "young"
	if r.Header.Get("Age") != "" {
		aged = "aged"
	}
	var fields []string
	for _, name := range []string{"Etag", "Vary", "Content-Encoding", "Set-Cookie", "X-Before", "X-After", "X-Hit", "X-Always"} {
		if v := r.Header[name]; v != nil {
			fields = append(fields, fmt.Sprintf("%s=%q", name, v))
		}
	}
	size := fmt.Sprint(len(body))
	if r.Header.Get("Content-Encoding") == "gzip" {
		size = "gzip"
	}
	return fmt.Sprintf("%d %v %s %s %s", r.StatusCode, r.TransferEncoding, aged, strings.Join(fields, " "), size)
}

// TestCache: what is kept, what is answered from it and how, is as in HAProxy, but for three things that RFC 9111 has otherwise: s-maxage goes before
// max-age=0 wherever it stands, absolute targets share their objects with others, and objects that vary by Referer are found.
func TestCache(t *testing.T) {
	text := strings.Repeat("0123456789", 30)
	answer := func(fields string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(text), text)
	}
	const fresh = "Cache-Control: max-age=60\r\n"
	answers := map[string]string{
		"/fresh": answer(fresh), "/post": answer(fresh), "/put": answer(fresh), "/etag": answer("ETag: \"a\"\r\n"), "/weak": answer("ETag: W/\"a\"\r\n" + fresh), "/modified": answer("Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n"),
		"/nothing": answer(""), "/shared": answer(fresh + "Cache-Control: public\r\n"), "/negative": answer("Cache-Control: max-age=-1\r\n"), "/soon": answer("Cache-Control: max-age=soon\r\n"),
		"/public": answer("Cache-Control: public\r\n"), "/private": answer(fresh + "Cache-Control: private\r\n"), "/nostore": answer("Cache-Control: max-age=5, no-store\r\n"),
		"/zero": answer("Cache-Control: max-age=0\r\n"), "/sharedzero": answer("Cache-Control: s-maxage=0, max-age=60\r\n"),
		"/expires": answer("Expires: Wed, 21 Oct 2099 07:28:00 GMT\r\n"), "/expired": answer("Expires: Wed, 21 Oct 2015 07:28:00 GMT\r\n"), "/never": answer("Expires: 0\r\n"),
		"/pragma": answer(fresh + "Pragma: no-cache\r\n"), "/cookie": answer(fresh + "Set-Cookie: a=b\r\n"), "/vary": answer(fresh + "Vary: Accept-Encoding\r\n"),
		"/other": answer(fresh + "Vary: Accept-Encoding, Cookie\r\n"), "/coded": answer(fresh + "Vary: Accept-Encoding\r\nContent-Encoding: br\r\n"), "/odd": answer(fresh + "Vary: Accept-Encoding\r\nContent-Encoding: odd\r\n"),
		"/stale": answer(fresh + "Age: 61\r\n"), "/aged": answer(fresh + "Age: 59\r\n"), "/badage": answer(fresh + "Age: x\r\n"),
		"/chunks":  "HTTP/1.1 200 OK\r\n" + fresh + "Transfer-Encoding: chunked\r\n\r\n12c\r\n" + text + "\r\n5;ext=1\r\nabcde\r\n0\r\nX-Trailer: 1\r\n\r\n",
		"/close":   "HTTP/1.1 200 OK\r\n" + fresh + "\r\n" + text,
		"/short":   "HTTP/1.1 200 OK\r\n" + fresh + "Content-Length: 0\r\n\r\n",
		"/missing": "HTTP/1.1 404 Not Found\r\n" + fresh + "Content-Length: 3\r\n\r\nabc", "/moved": "HTTP/1.1 301 Moved\r\n" + fresh + "Location: /\r\nContent-Length: 0\r\n\r\n",
		"/non": "HTTP/1.1 203 OK\r\n" + fresh + "Content-Length: 0\r\n\r\n", "/auth": answer(fresh), "/request": answer(fresh), "/head": answer(fresh), "/old": answer(fresh),
		"/large": "HTTP/1.1 200 OK\r\n" + fresh + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), "/medium": "HTTP/1.1 200 OK\r\n" + fresh + "Content-Length: 60000\r\n\r\n" + strings.Repeat("x", 60000),
		"/text": answer(fresh + "Content-Type: text/plain\r\nETag: \"t\"\r\n"),
	}
	server := scripted(t, answers)
	theirs, ours := both(t, preface("", "LINE %ST %HM %HU %b %s %ts %[res.cache_hit] %[res.cache_name]")+`
cache small
  total-max-size 4
  max-object-size 65536
  max-age 3600
cache varied
  total-max-size 4
  process-vary on
  max-secondary-entries 2
frontend fe
  bind HTTP
  http-request set-path /fresh if { path /alias }
  use_backend varied if { hdr(host) varied }
  use_backend packed if { hdr(host) packed }
  default_backend be
backend be
  http-request cache-use small unless { hdr(x-skip) -m found }
  http-response set-header X-Before %[res.cache_hit]
  http-response cache-store small
  http-response set-header X-After %[res.cache_hit]
  http-response set-header X-Hit %[res.cache_name]
  http-after-response set-header X-Always 1
  server s1 `+server+`
backend varied
  http-request cache-use varied
  http-response cache-store varied
  http-response set-header X-Hit %[res.cache_name]
  server s1 `+server+`
backend packed
  compression algo gzip
  compression type text/plain
  http-request cache-use small
  http-response cache-store small
  http-response set-header X-Hit %[res.cache_name]
  server s1 `+server+`
frontend own
  bind HTTP2
  http-request cache-use small
  http-response cache-store small
  http-response set-header X-Hit %[res.cache_name]
  default_backend plain
backend plain
  server s1 `+server+`
`, nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		ask := func(addr, line string, fields ...string) {
			requests++
			got = append(got, fmt.Sprint(line, fields, ": ", s.cachedAnswer(addr, line+"\r\n"+strings.Join(append(fields, "Connection: close\r\n\r\n"), "\r\n"))))
		}
		get := func(path string, fields ...string) {
			ask(s.addr, "GET "+path+" HTTP/1.1", append([]string{"Host: a.test"}, fields...)...)
		}
		var paths []string
		for path := range answers {
			paths = append(paths, path)
		}
		slices.Sort(paths)
		for _, path := range paths {
			if slices.Contains([]string{"/auth", "/shared", "/request", "/head", "/old"}, path) {
				continue
			}
			get(path)
			get(path)
		}
		get("/alias")
		get("/fresh", "X-Skip: 1")
		get("/fresh?")
		ask(s.addr, "GET /fresh HTTP/1.1", "Host: b.test")
		ask(s.addr, "HEAD /fresh HTTP/1.1", "Host: a.test")
		ask(s.addr, "HEAD /chunks HTTP/1.1", "Host: a.test")
		ask(s.addr, "GET /fresh HTTP/1.0", "Host: a.test")
		for _, fields := range []string{
			`If-None-Match: "a"`, `If-None-Match: W/"a"`, `If-None-Match: "b"`, `If-None-Match: "b", "a"`, "If-None-Match: *", "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT", "Range: bytes=0-5",
			"Cache-Control: no-cache", "Cache-Control: max-age=100", "Cache-Control: max-stale", "Cache-Control: no-transform", "Pragma: no-cache", "Authorization: x",
		} {
			get("/etag", fields)
			get("/weak", fields)
		}
		get("/modified", "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT")
		get("/modified", "If-Modified-Since: Wed, 21 Oct 2015 07:27:59 GMT")
		get("/modified", "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT", `If-None-Match: "x"`)
		get("/auth", "Authorization: x")
		get("/auth")
		get("/shared", "Authorization: x")
		get("/shared")
		get("/shared", "Authorization: x")
		get("/request", "Cache-Control: no-cache")
		get("/request")
		ask(s.addr, "HEAD /head HTTP/1.1", "Host: a.test")
		get("/head")
		ask(s.addr, "GET /old HTTP/1.0", "Host: a.test")
		get("/old")
		ask(s.addr, "POST /post HTTP/1.1", "Host: a.test", "Content-Length: 0")
		get("/post")
		ask(s.addr, "PUT /put HTTP/1.1", "Host: a.test", "Content-Length: 0")
		get("/put")
		ask(s.addr, "OPTIONS /put HTTP/1.1", "Host: a.test", "Content-Length: 0")
		get("/put")

		varied := func(path string, fields ...string) {
			ask(s.addr, "GET "+path+" HTTP/1.1", append([]string{"Host: varied"}, fields...)...)
		}
		for _, path := range []string{"/fresh", "/vary", "/other", "/coded", "/odd"} {
			for _, accepts := range []string{"Accept-Encoding: gzip, br", "Accept-Encoding: br", "X: y", "Accept-Encoding: *", "Accept-Encoding: gzip", "Accept-Encoding: br;q=0, *", "Accept-Encoding: identity;q=0", "Accept-Encoding: unknown", "Accept-Encoding: BR"} {
				varied(path, accepts)
			}
		}
		for _, accepts := range []string{"X: y", "Accept-Encoding: gzip", "X: y"} {
			ask(s.addr, "GET /text HTTP/1.1", "Host: packed", accepts)
		}
		for range 2 {
			ask(s.fill("HTTP2"), "GET /fresh HTTP/1.1", "Host: own.test")
			ask(s.fill("HTTP2"), "GET /chunks HTTP/1.1", "Host: own.test")
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	for i, line := range got { // HAProxy takes Age from the answer that it keeps, and its client takes that for a fresh one
		if strings.HasPrefix(line, "GET /aged ") && strings.Contains(line, "X-Before=[\"0\"]") {
			got[i] = strings.Replace(line, "aged X-", "young X-", 1)
		}
	}
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
	counters := func(s *subject) []string {
		var list []string
		for _, line := range strings.Split(s.command("show stat typed"), "\n") {
			if f := strings.Split(line, ":"); len(f) > 3 && strings.Contains(f[0], ".cache_") {
				list = append(list, f[0]+"="+f[len(f)-1])
			}
		}
		slices.Sort(list)
		return list
	}
	same(t, "counter", counters(theirs), counters(ours))
	kept := regexp.MustCompile(`hash:.*size:`)
	for _, s := range []*subject{theirs, ours} {
		if out := s.command("show cache"); !regexp.MustCompile(`(?m)^0x[0-9a-f]+: small \(shctx:0x[0-9a-f]+, available blocks:\d+\)$`).MatchString(out) || len(kept.FindAllString(out, -1)) < 10 {
			t.Errorf("%s: show cache:\n%s", s.name, out)
		}
	}
}
