package dialect

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/accept"
)

// TestWhatFramingIsRefused holds the points of docs/haproxy-compat.md, "Where framing is stricter": each message that two servers could read in two
// ways, what lb answers, and what HAProxy does. Of an answer of HAProxy below 300 the server saw a request.
func TestWhatFramingIsRefused(t *testing.T) {
	theirs, ours := both(t, preface("", "%ST")+"  timeout http-request 20s\nfrontend f\n  bind HTTP\n  http-request return status 200\n", nil)
	row := func(what, request string, lb, haproxy int) {
		t.Helper()
		drive := func(s *subject) int { return s.status(request) }
		if got := seen(theirs, drive); got != haproxy {
			t.Errorf("%s: haproxy answers %d, and the page says %d", what, got, haproxy)
		}
		if got := drive(ours); got != lb {
			t.Errorf("%s: lb answers %d, and the page says %d", what, got, lb)
		}
	}
	post := func(fields, body string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body }
	get := func(line, fields string) string { return line + "\r\n" + fields + "\r\n" }
	row("a coding and a comma", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), 400, 200)
	row("a folded line", post("X: a\r\n b\r\nContent-Length: 0\r\n", ""), 400, 200)
	row("a control character in a value", get("GET / HTTP/1.1", "Host: a\r\nX: a\x0bb\r\n"), 400, 200)
	row("NUL in a value", get("GET / HTTP/1.1", "Host: a\r\nX: a\x00b\r\n"), 400, 200)
	row("two blanks in the request line", get("GET  / HTTP/1.1", "Host: a\r\n"), 400, 200)
	row("a tab in the request line", get("GET\t/ HTTP/1.1", "Host: a\r\n"), 400, 200)
	row("HTTP/2.0 in a request line", get("GET / HTTP/2.0", "Host: a\r\n"), 400, 200)
	row("no Host", get("GET / HTTP/1.1", ""), 400, 200)
	row("two names in Host", get("GET / HTTP/1.1", "Host: a, b\r\n"), 400, 200)
	row("a path in Host", get("GET / HTTP/1.1", "Host: a/b\r\n"), 400, 200)
	row("an open bracket in Host", get("GET / HTTP/1.1", "Host: [::1\r\n"), 400, 200)
	row("two ports in Host", get("GET / HTTP/1.1", "Host: a:80:90\r\n"), 400, 200)
	row("a user in the target", get("GET http://u@a/ HTTP/1.1", "Host: a\r\n"), 400, 200)

	// What both pass on with one framing, what both refuse, and the one that lb takes: an empty path is one (RFC 9112 section 3.2.2).
	row("a length and a coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 200, 200)
	row("equal lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ok"), 200, 200)
	row("a list of equal lengths", post("Content-Length: 2, 2\r\n", "ok"), 200, 200)
	row("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, 200)
	row("a coding beneath chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 422, 422)
	row("an unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400, 400)
	row("a WebSocket without a key", get("GET / HTTP/1.1", "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), 400, 400)
	row("different lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "ok"), 400, 400)
	row("a signed length", post("Content-Length: +2\r\n", "ok"), 400, 400)
	row("a blank before the colon", post("Content-Length : 2\r\n", "ok"), 400, 400)
	row("another host in the target", get("GET http://b/ HTTP/1.1", "Host: a\r\n"), 400, 400)
	row("a target without a path", get("GET http://a?x=1 HTTP/1.1", "Host: a\r\n"), 200, 400)
}

// TestInterimAnswers: answers before the answer are passed on, but not without end.
func TestInterimAnswers(t *testing.T) {
	addr := accept.Each(t, host+":0", func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			n, _ := strconv.Atoi(req.URL.Query().Get("n"))
			if _, err := io.WriteString(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", n)+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
				return
			}
		}
	})
	s := start(t, built.LB, preface("", "%ST %ts")+"frontend f\n  bind HTTP\n  default_backend b\nbackend b\n  server s "+addr+"\n", nil)
	for _, c := range []struct{ interim, passed, status int }{{3, 3, 200}, {1000, 1000, 200}, {1001, 1000, 0}} {
		c1, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c1.Close()
		c1.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c1, "GET /?n="+strconv.Itoa(c.interim)+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		all, _ := io.ReadAll(c1)
		passed, status := strings.Count(string(all), "HTTP/1.1 103 "), 0
		if strings.Contains(string(all), "HTTP/1.1 200 ") {
			status = 200
		}
		if passed != c.passed || status != c.status {
			t.Errorf("of %d interim answers %d were passed on, and then %d; want %d, %d", c.interim, passed, status, c.passed, c.status)
		}
	}
}

// TestStatusLineWithoutReason: a client reads the space before the reason also where the server left both out.
func TestStatusLineWithoutReason(t *testing.T) {
	addr := accept.Each(t, host+":0", func(c net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 "+req.Header.Get("X-Status")+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	})
	theirs, ours := both(t, preface("", "%ST")+"frontend f\n  bind HTTP\n  default_backend b\nbackend b\n  server s "+addr+"\n", nil)
	drive := func(s *subject) (got []string) {
		for _, status := range []string{"200", "200 ", "200 OK", "299", "404"} {
			c := s.dial(s.addr)
			io.WriteString(c, request("/", "X-Status: "+status, "Connection: close"))
			line, _ := c.r.ReadString('\n')
			got = append(got, line)
		}
		return got
	}
	same(t, "status line", seen(theirs, drive), drive(ours))
}

// status is the status of the first answer to a message; 0 is none.
func (s *subject) status(message string) int {
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, message); err != nil {
		s.t.Fatal(err)
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	f := strings.Fields(line)
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}
