package dialect

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"lbsyslogd/test/accept"
)

// mirror is a server whose answer has a text of its own in the head, and the request's head as its body.
func mirror(t *testing.T, head string) (addr string) {
	t.Helper()
	return accept.Each(t, host+":0", func(c net.Conn) {
		r, text := bufio.NewReader(c), ""
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			text += line
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, len(text), text)
	})
}

// TestNamesOfFields: names that are not what a peer expects are deleted, refused, let through or written in the case that it minds, and targets with
// odd bytes pass where they may.
func TestNamesOfFields(t *testing.T) {
	server := mirror(t, "X-Answer: 1\r\nx(odd): 2\r\n")
	theirs, ours := both(t, preface("h1-case-adjust x-answer X-aNSWER\nh1-case-adjust x-asked X-aSKED\nh1-case-adjust-file DIR/cases", "LINE %ST %ts %{+Q}HU %s")+`
  option accept-invalid-http-response
frontend strict
  bind HTTP
  use_backend deletes if { path_beg /delete }
  use_backend rejects if { path_beg /reject }
  default_backend be
frontend lax
  bind HTTP2
  option accept-invalid-http-request
  option h1-case-adjust-bogus-client
  http-request return status 200 hdr x-own 1 if { path /own }
  default_backend be
frontend rejecting
  bind HTTP3
  option http-restrict-req-hdr-names reject
  http-request del-header x_may
  default_backend be
backend be
  option h1-case-adjust-bogus-server
  server s1 `+server+`
backend deletes
  option http-restrict-req-hdr-names delete
  server s1 `+server+`
backend rejects
  option http-restrict-req-hdr-names reject
  server s1 `+server+`
`, map[string]string{"cases": "# a comment\n\nx-own  X-oWN\ndate DATE\n"})
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		ask := func(addr, path, field string) {
			requests++
			c := s.dial(addr)
			defer c.Close()
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n"+field+"\r\nConnection: close\r\n\r\n")
			b, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			status, _, _ := strings.Cut(text, "\r\n")
			seen := []string{path, fmt.Sprintf("%q", field), status}
			for _, word := range []string{"X-aNSWER", "(odd)", "X-aSKED", "X-oWN"} {
				seen = append(seen, fmt.Sprint(strings.Contains(text, word)))
			}
			for _, word := range []string{"x-asked", "x_asked", "x_may", "x(asked)", "caf\xc3\xa9", "#part"} {
				seen = append(seen, fmt.Sprint(strings.Contains(strings.ToLower(text), word)))
			}
			got = append(got, strings.Join(seen, " "))
		}
		for _, addr := range []string{s.addr, s.fill("HTTP2"), s.fill("HTTP3")} {
			for _, field := range []string{"X-Asked: 1", "X_Asked: 1", "X_May: 1", "X(Asked): 1", "X\xe9: 1"} {
				ask(addr, "/", field)
			}
			for _, path := range []string{"/caf\xc3\xa9", "/a#part", "/own", "/delete", "/reject", "/a\x7f", "/a\"<>\\^`{|}"} {
				ask(addr, path, "X_Asked: 1")
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
}
