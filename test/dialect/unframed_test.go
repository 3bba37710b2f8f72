package dialect

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/test/accept"
)

// TestRulesDoNotFrame: rules on Content-Length and Transfer-Encoding change nothing of where messages end, in no stage: both sides read what was sent, and the
// connections go on. HAProxy frames anew where a rule deletes the field, answers 500, or sends what two would read in two ways.
func TestRulesDoNotFrame(t *testing.T) {
	addr := accept.Each(t, host+":0", func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			text := fmt.Sprintf("%s %d %v %q", req.Method, req.ContentLength, req.TransferEncoding, body)
			if req.URL.Path == "/chunks" {
				_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text)
			} else {
				_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
			}
			if err != nil {
				return
			}
		}
	})
	var rules []string
	for _, field := range []string{"Content-Length", "transfer-encoding"} {
		for _, set := range []string{"http-request", "http-response", "http-after-response"} {
			for _, what := range []string{"set-header FIELD 3", "add-header FIELD chunked", "set-header FIELD: 3", "replace-header FIELD .* 3", "replace-value FIELD .* chunked", "del-header FIELD"} {
				rules = append(rules, set+" "+strings.ReplaceAll(what, "FIELD", field))
			}
		}
	}
	each := func(rules ...string) {
		t.Helper()
		s := start(t, built.LB, preface("", "%ST %ts")+"frontend f\n  bind HTTP\n  http-request return status 200 content-type text/plain string own hdr Content-Length 9 hdr Content-Type a/b if { path /own }\n  "+strings.Join(rules, "\n  ")+"\n  default_backend b\nbackend b\n  server s "+addr+"\n", nil)
		c := s.dial(s.addr)
		defer c.Close()
		ask := func(request, want string) {
			t.Helper()
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatalf("%q with %q: %v", request, rules, err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != 200 || string(body) != want {
				t.Errorf("%q with %q: %d %q, %v; want %q", request, rules, answer.StatusCode, body, err, want)
			}
		}
		for _, path := range []string{"/", "/chunks"} {
			ask("POST "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", `POST 5 [] "hello"`)
			ask("POST "+path+" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", `POST -1 [chunked] "hello"`)
			ask("GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n", `GET 0 [] ""`)
		}
		ask("GET /own HTTP/1.1\r\nHost: h\r\n\r\n", "own")
	}
	each(rules...)
	for _, i := range []int{0, 5, 24} {
		each(rules[i])
	}
}
