package dialect

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var anotherServer = regexp.MustCompile(`another s[123]`)

// faulty answers a path /KIND/N/... wrongly N times for each client that names itself, then rightly with how often it was asked.
func faulty(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	asked := map[string]int{}
	answer := func(c net.Conn) {
		defer c.Close()
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
			parts := strings.Split(req.URL.Path, "/")
			faults, _ := strconv.Atoi(parts[2])
			mu.Lock()
			key := req.Header.Get("X-Who") + req.Method + req.URL.Path
			asked[key]++
			n := asked[key]
			mu.Unlock()
			if n > faults {
				text := fmt.Sprintf("attempt %d, %d bytes", n, len(body))
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Attempt: %d\r\n\r\n%s", len(text), n, text)
				continue
			}
			switch parts[1] {
			case "empty":
				return
			case "junk":
				io.WriteString(c, "this is no response\r\n\r\n")
				return
			case "partial":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nX-A: b\r\n")
				return
			case "slow":
				_, _ = r.ReadByte() // it never answers: the balancer hangs up
				return
			default:
				fmt.Fprintf(c, "HTTP/1.1 %s Bad\r\nContent-Length: 3\r\n\r\nbad", parts[1])
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String()
}

// TestRetryOn: what is asked again, how often, and of whom.
func TestRetryOn(t *testing.T) {
	server := faulty(t)
	backends := ""
	names := []string{"all", "none", "some", "statuses", "another", "few", "once", "default"}
	for _, name := range names {
		backends += "backend " + name + "\n  http-request set-timeout server 500ms if { path_beg /slow }\n" + map[string]string{
			"all": "  retry-on all-retryable-errors\n", "none": "  retry-on none\n", "some": "  retry-on empty-response junk-response\n", "statuses": "  retry-on 404 500 conn-failure response-timeout\n",
			"another": "  retry-on all-retryable-errors\n  option redispatch 1\n", "few": "  retries 1\n  retry-on all-retryable-errors\n",
			"once": "  retry-on all-retryable-errors\n  http-request disable-l7-retry if { method POST }\n",
		}[name] + "  server s1 " + server + "\n"
		if name == "another" {
			backends += "  server s2 " + server + "\n  server s3 " + server + "\n"
		}
	}
	theirs, ours := both(t, preface("", "LINE %HM %HP %b %s %ST %rc %ts")+"frontend fe\n  bind HTTP\n  use_backend %[path,field(4,/)]\n"+backends, nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		ask := func(method, path, body string) {
			c := s.dial(s.addr)
			got = append(got, fmt.Sprint(method, path, " ", c.do(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: site.example\r\nX-Who: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", method, path, s.name, len(body), body))))
			requests++
			c.Close()
		}
		for _, be := range names {
			for _, kind := range []string{"empty", "junk", "partial", "slow", "500", "404"} {
				for faults := 1; faults <= 3; faults++ {
					if kind != "slow" || faults == 1 && slices.Contains([]string{"all", "none", "statuses", "few"}, be) { // each takes its time
						ask("GET", fmt.Sprintf("/%s/%d/%s", kind, faults, be), "")
					}
				}
			}
			ask("POST", "/500/1/"+be, strings.Repeat("x", 2000))
			ask("PUT", "/empty/1/"+be, "small")
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	mask := func(lines []string) []string { // which of the others is asked depends on what was asked before
		for i, line := range lines {
			lines[i] = anotherServer.ReplaceAllString(line, "another s")
		}
		return lines
	}
	same(t, "line", mask(theirs.lines(requests)), mask(ours.lines(requests)))
}
