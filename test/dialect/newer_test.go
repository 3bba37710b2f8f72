package dialect

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestNewerActions: the actions that Debian's haproxy does not have, in each stage: what they count, and what they write into packets and lines, as the
// manual of the release that has them says. In http-after-response that is most of them: HAProxy 2.6 has them in the other stages.
func TestNewerActions(t *testing.T) {
	lb := start(t, built.LB, preface("", "LINE %HU %ST")+`
listen connection
  bind HTTP
  tcp-request connection track-sc0 str(1-connection) table arrays
  tcp-request connection sc-add-gpc(0,0) 5
  tcp-request connection sc-add-gpc(1,0) src_port,mul(0),add(3)
  tcp-request connection set-fc-tos 0x10
  tcp-request connection set-fc-mark 0x101
  server s1 S1
listen session
  bind HTTP2
  tcp-request session track-sc0 str(2-session) table arrays
  tcp-request session sc-add-gpc(0,0) 5
  tcp-request session sc-add-gpc(1,0) src_port,mul(0),add(4)
  tcp-request session set-fc-tos 0x20
  tcp-request session set-fc-mark src_port,mul(0),add(258)
  server s1 S1
listen content
  bind HTTP3
  http-request track-sc1 str(3-content) table arrays
  tcp-request content track-sc0 str(3-content) table arrays
  tcp-request content sc-add-gpc(0,0) 5
  tcp-request content sc-add-gpc(1,0) req.hdr(x),length
  tcp-request content set-fc-tos 0x28
  tcp-request content set-fc-mark 0x103
  server s1 S1
listen request
  bind HTTP4
  http-request track-sc0 str(4-request) table arrays
  http-request sc-add-gpc(0,0) 5
  http-request sc-add-gpc(1,0) req.hdr(x),length
  http-request set-fc-tos req.hdr(x),length,mul(16)
  http-request set-fc-tos int(256)
  http-request set-fc-tos req.hdr(none),length
  http-request set-fc-mark 0x104
  server s1 S1
listen answer
  bind HTTP5
  http-request track-sc0 str(5-answer) table arrays
  tcp-response content sc-add-gpc(0,0) 5 if { status 200 }
  tcp-response content sc-add-gpc(1,0) status
  tcp-response content set-fc-tos 0x38
  tcp-response content set-fc-mark 0x105
  server s1 S1
listen response
  bind HTTP6
  http-response track-sc0 str(6-response) table arrays
  http-response sc-add-gpc(0,0) 5 if { status 200 }
  http-response sc-add-gpc(1,0) status
  http-response set-fc-tos 0x40
  http-response set-fc-mark 0x106
  server s1 S1
listen after
  bind HTTP7
  http-request track-sc0 str(7-after) table arrays
  http-request track-sc1 str(7-after) table plain
  http-request return status 404 if { path /own }
  http-after-response sc-add-gpc(0,0) 5 if { status 200 }
  http-after-response sc-add-gpc(1,0) status
  http-after-response set-fc-tos 0x48 unless { status 404 }
  http-after-response set-fc-mark 0x107 unless { status 404 }
  http-after-response sc-inc-gpc(2,0) if { status 404 }
  http-after-response sc-inc-gpc0(1)
  http-after-response sc-inc-gpc1(1) if { status 404 }
  http-after-response sc-set-gpt(0,0) status
  http-after-response sc-set-gpt0(1) 72
  http-after-response set-log-level emerg if { status 404 }
  http-after-response set-log-level silent if { status 500 }
  http-after-response set-tos 0x50 if { status 404 }
  http-after-response set-mark 0x108 if { status 404 }
  server s1 S1
backend arrays
  stick-table type string len 20 size 10 expire 1m store gpt(2),gpc(3)
backend plain
  stick-table type string len 20 size 10 expire 1m store gpt0,gpc0,gpc1
`, nil)
	words := "tos"
	if os.Geteuid() == 0 { // who is not root may not mark
		words += " mark"
	}
	var got []string
	for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4", "HTTP5", "HTTP6", "HTTP7"} {
		c := lb.dial(lb.fill(name))
		client := c.LocalAddr().String() // another connection may have had it, to another port
		options := func() string {
			return strings.ReplaceAll(lb.options(lb.fill(name), client, words), client, "CLIENT-OF-"+name)
		}
		for _, path := range []string{"/r/a", "/r/b"} {
			c.do(request(path, "X: abc"))
			got = append(got, options())
		}
		if name == "HTTP7" {
			c.do(request("/status/500"))
			c.do(request("/own"))
			got = append(got, options())
		}
		c.Close()
	}
	for _, table := range []string{"arrays", "plain"} {
		lb.letGo(table)
		for line := range strings.Lines(entryFacts.ReplaceAllString(lb.command("show table "+table), "")) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				got = append(got, line)
			}
		}
	}
	for range 15 { // two requests of each, and one more; the line of the 500 is not written
		text, _ := lb.logged()
		if level, rest, _ := strings.Cut(text, ">"); !strings.HasPrefix(level, "<134") || strings.Contains(text, "/own") {
			_, rest, _ = strings.Cut(rest, "LINE ")
			got = append(got, level+"> "+strings.TrimSpace(rest))
		}
	}
	var want []string
	for i, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4", "HTTP5", "HTTP6", "HTTP7"} {
		values := []int{0x10, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50}
		line := func(i int) string {
			text := fmt.Sprintf("%s-CLIENT-OF-%s: tos=%d", name, name, values[i])
			if os.Geteuid() == 0 {
				text += fmt.Sprintf(" mark=%d", 0x101+i)
			}
			return text
		}
		if want = append(want, line(i), line(i)); name == "HTTP7" {
			want = append(want, line(7))
		}
	}
	same(t, "newer", append(want,
		"key=1-connection  gpt0=0 gpt1=0 gpc0=5 gpc1=3 gpc2=0",
		"key=2-session  gpt0=0 gpt1=0 gpc0=5 gpc1=4 gpc2=0",
		"key=3-content  gpt0=0 gpt1=0 gpc0=10 gpc1=6 gpc2=0",
		"key=4-request  gpt0=0 gpt1=0 gpc0=10 gpc1=6 gpc2=0",
		"key=5-answer  gpt0=0 gpt1=0 gpc0=10 gpc1=400 gpc2=0",
		"key=6-response  gpt0=0 gpt1=0 gpc0=10 gpc1=400 gpc2=0",
		"key=7-after  gpt0=404 gpt1=0 gpc0=10 gpc1=1304 gpc2=1",
		"key=7-after  gpt0=72 gpc0=4 gpc1=1",
		"<128> /own 404",
	), got)
}

// TestSetRetries: HAProxy 3.2's set-retries takes the place of retries for one request.
func TestSetRetries(t *testing.T) {
	lb := start(t, built.LB, preface("", "LINE %HU %ST %tsc %rc")+`
frontend fe
  bind HTTP
  tcp-request content set-retries 3 if { path /content }
  http-request set-retries 1 if { path /front }
  default_backend be
backend be
  timeout connect 20ms
  retries 2
  tcp-request content set-retries req.hdr_val(x-tries) if { path /content/asked }
  http-request set-retries 0 if { path /none }
  http-request set-retries req.hdr_val(x-tries) if { path /asked }
  server s1 DOWN
`, nil)
	for _, path := range []string{"/", "/content", "/content/asked", "/front", "/none", "/asked"} {
		lb.get(path, "X-Tries: 4")
	}
	same(t, "line", []string{"/ 503 SC-- 2", "/asked 503 SC-- 4", "/content 503 SC-- 3", "/content/asked 503 SC-- 4", "/front 503 SC-- 1", "/none 503 SC-- 0"}, lb.lines(6))
}

// TestNice: set-nice gives a connection's task of HAProxy more or less of a processor's time. lb has no such tasks: the rules that follow run, and an
// answer is what it is without it.
func TestNice(t *testing.T) {
	lb := start(t, built.LB, preface("", "LINE %HU %ST %[var(txn.n)]")+`
frontend fe
  bind HTTP
  tcp-request content set-nice -1024 if { path /r/a }
  tcp-request content set-var(txn.n) str(a)
  http-request set-nice 5 if { path /r/a }
  http-request set-var(txn.n) var(txn.n),concat(b)
  default_backend be
backend be
  tcp-response content set-nice 1024 if { status 200 }
  tcp-response content set-var(txn.n) var(txn.n),concat(c)
  http-response set-nice 0 if { status 200 }
  http-response set-var(txn.n) var(txn.n),concat(d)
  server s1 S1
`, nil)
	for _, path := range []string{"/r/a", "/r/b"} {
		if got := lb.get(path); !strings.HasPrefix(got, "200 ") {
			t.Error(path, got)
		}
	}
	same(t, "line", []string{"/r/a 200 abcd", "/r/b 200 abcd"}, lb.lines(2))
}
