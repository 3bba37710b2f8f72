package dialect

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestBodies: rules that wait for a request's body see what HAProxy's see, and the server gets all of it.
func TestBodies(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %ts %HM %HU %s")+`
frontend all
  bind HTTP
  timeout http-request 2s
  option http-buffer-request
  http-request set-header X-First 1
  http-request set-var(txn.body) req.body
  http-request set-header X-Front "%[req.body_len] %[req.body_size] %[req.body_param(a)] %[req.body_param] %[req.body,length] %[var(txn.body),sha1,hex]"
  http-request deny deny_status 422 if { req.body -m sub evil }
  http-request deny deny_status 429 if { req.body_param(b) -m str three }
  http-request return status 200 content-type text/plain lf-string '%[req.body,json_query("$.user.name")] %[req.body_len]' if { path /json }
  http-request return status 200 content-type text/plain lf-string "%[req.body_len] of %[req.body_size]" if { path /size }
  use_backend two if { req.body_param(to),url_dec -m str "number two" }
  default_backend one
backend one
  http-request set-header X-Back %[req.body_len]
  server s1 S1
backend two
  server s2 S2
frontend some
  bind HTTP2
  http-request set-header X-First 1
  http-request wait-for-body time 2s if { path_beg /echo/wait /wait }
  http-request wait-for-body time 2s at-least 5 if { path_beg /five }
  http-request set-header X-Front %[req.body_size]
  http-request return status 200 content-type text/plain lf-string "%[req.body] %[req.body_len]" if { path_beg /five /wait }
  use_backend later if { path_beg /echo/late /headers/late }
  default_backend plain
backend plain
  server s1 S1
backend later
  option http-buffer-request
  http-request set-header X-Back "%[req.body_len] %[req.hdr(x-front)]"
  http-request wait-for-body time 2s
  http-request deny deny_status 410 if { req.body -m end tea }
  server s1 S1
`, nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		send := func(addr, path, fields string, parts ...string) {
			requests++
			c := s.dial(addr)
			defer c.Close()
			head := "POST " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + "\r\n\r\n"
			for _, part := range parts[:len(parts)-1] {
				if _, err := io.WriteString(c, head+part); err != nil {
					t.Fatal(err)
				}
				head = ""
				if strings.Contains(fields, "Expect") {
					line, _ := c.r.ReadString('\n')
					empty, _ := c.r.ReadString('\n')
					got = append(got, line+empty)
				}
			}
			got = append(got, fmt.Sprint(path, " ", fields, ": ", c.do(head+parts[len(parts)-1])))
		}
		plain := func(addr, path, body string) { send(addr, path, fmt.Sprint("Content-Length: ", len(body)), body) }
		http2 := s.fill("HTTP2")
		for _, body := range []string{"", "x", "a=1&b=2", "b=two&b=three", "something evil", "a=1&to=number+two", "a=1&to=number%20two&a=2"} {
			plain(s.addr, "/headers/"+fmt.Sprint(len(body)), body)
			plain(s.addr, "/echo", body)
		}
		plain(s.addr, "/json", `{"user": {"name": "Ada"}}`)
		plain(s.addr, "/echo/long", strings.Repeat("0123456789abcdef", 20_000))
		send(s.addr, "/echo/pieces", "Content-Length: 6", "abc", "def")
		send(s.addr, "/echo/chunks", "Transfer-Encoding: chunked", "3\r\na=1\r\n2", "\r\n&b\r\n0\r\n\r\n")
		send(s.addr, "/size", "Transfer-Encoding: chunked", "3\r\na=1\r\n2", ";x=y\r\n&b\r\n0\r\nT: 1\r\n\r\n")
		send(s.addr, "/echo/expect", "Expect: 100-continue\r\nContent-Length: 6", "", "a=evil")
		send(s.addr, "/echo/bad", "Transfer-Encoding: chunked", "3\r\na=1\r\n2", "\r\n&bad\r\n0\r\n\r\n")
		send(s.addr, "/slow", "Content-Length: 6", "abc", "")
		plain(http2, "/echo/wait", "some body")
		plain(http2, "/wait", "")
		send(http2, "/wait", "Content-Length: 6", "abc", "def")
		send(http2, "/wait", "Content-Length: 6", "abc", "")
		send(http2, "/five", "Content-Length: 16", "", "abcde")
		send(http2, "/echo/wait", "Expect: 100-continue\r\nContent-Length: 6", "", "abcdef")
		send(http2, "/echo/late", "Content-Length: 6", "abc", "def")
		send(http2, "/headers/late", "Content-Length: 6", "", "abcdef")
		send(http2, "/echo/late/tea", "Content-Length: 6", "abc", "tea")
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	shown := func(lines []string) []string {
		for i, line := range lines { // by chance HAProxy shows what it has read of it, as lb does
			lines[i] = strings.Replace(line, "PR <BADREQ> <BADREQ>", "PR POST /echo/bad", 1)
		}
		return lines
	}
	same(t, "line", shown(theirs.lines(requests)), shown(ours.lines(requests)))
}
