package dialect

import (
	"bufio"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"

	"lbsyslogd/test/tape"
)

// TestLogOutputs: lines on standard output and error in each format, samples of them, and lines over TCP, alone and from a ring.
func TestLogOutputs(t *testing.T) {
	tape.Require(t, "haproxy")
	const config = `global
  stats socket STATS mode 600 level admin
  log-tag tag
ring kept
  format short
  size 32764
ring sent
  format priority
  maxlen 200
  server one TCP2
defaults
  mode http
  timeout connect 10s
  timeout client 20s
  timeout server 20s
  log-format "LINE %HU"
frontend fe
  bind HTTP
  log stdout local0
  log stdout format rfc3164 local1 info
  log stdout format rfc5424 local2
  log stdout format priority local3 notice
  log stderr format short local4
  log stdout format timed local5 info warning
  log fd@1 format iso local6
  log stdout len 80 format raw local7
  log stdout format raw sample 1,3-4:4 local7
  log tcp@TCP1 local0
  log ring@kept local0
  log ring@sent local0
  http-request return status 200
`
	mask := func(line string) string {
		for _, re := range []struct{ re, to string }{
			{`[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d`, "DATE"},
			{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d`, "ISO"},
			{`tag\[\d+\]`, "tag[PID]"}, {`tag \d+ - - `, "tag PID - - "},
		} {
			line = regexp.MustCompile(re.re).ReplaceAllString(line, re.to)
		}
		return line
	}
	const n = 6
	type output struct{ Printed, Sent, Kept []string }
	run := func(program string) output {
		var logs []net.Listener
		text := config
		for _, word := range []string{"TCP1", "TCP2"} {
			l, err := net.Listen("tcp", host+":0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			logs = append(logs, l)
			text = strings.ReplaceAll(text, word, l.Addr().String())
		}
		return seen(start(t, program, text, nil), func(s *subject) (o output) {
			c := s.dial(s.addr) // one loop, so that lines come in the order of requests
			for i := range n {
				c.do(request("/" + string(rune('a'+i))))
			}
			c.do(request("/" + strings.Repeat("x", 300)))
			for _, l := range logs {
				for _, line := range received(t, l, n+1) {
					o.Sent = append(o.Sent, mask(line))
				}
			}
			const all = (n+1)*7 + 5 // 7 targets that take all, notice takes none, and the sample
			wait.Until(t, s.name+"'s lines", func() bool {
				o.Printed = nil
				for line := range strings.Lines(s.Output()) {
					if strings.Contains(line, "LINE") {
						o.Printed = append(o.Printed, mask(strings.TrimSpace(line)))
					}
				}
				return len(o.Printed) >= all
			})
			slices.Sort(o.Printed) // each target's lines are in order, lb writes one target's after the other's
			wait.Until(t, s.name+"'s ring", func() bool {
				o.Kept = nil
				for line := range strings.Lines(s.command("show events kept")) {
					if strings.Contains(line, "LINE") {
						o.Kept = append(o.Kept, line)
					}
				}
				return len(o.Kept) >= n+1
			})
			return o
		})
	}
	theirs, ours := run("haproxy"), run(built.LB)
	same(t, "printed", theirs.Printed, ours.Printed)
	same(t, "sent", theirs.Sent, ours.Sent)
	same(t, "kept", theirs.Kept, ours.Kept)
}

// received reads lines of the next connection.
func received(t *testing.T, l net.Listener, n int) (lines []string) {
	t.Helper()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	for len(lines) < n {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}
