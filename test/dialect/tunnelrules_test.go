package dialect

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"lbsyslogd/test/backend"
)

// TestRulesOfTunnels: what rules of connections in mode tcp do that pass: they count, keep values, give addresses, and mark packets and lines. Where
// the bytes come in pieces, content rules are asked again with each: what they track is tracked once.
func TestRulesOfTunnels(t *testing.T) {
	echo, err := backend.StartEcho(host + ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	ip, port, _ := net.SplitHostPort(echo.Addr())
	theirs, ours := both(t, preface("", `LINE %f %ci:%cp %fi %[dst] %b/%s %ts %[var(sess.a)]/%[var(sess.a2)] %[var(sess.b)]/%[var(sess.b2)] %[var(txn.c)]/%[var(txn.c2)] %[var(txn.d)]/%[var(txn.d2)]`)+strings.NewReplacer("IP", ip, "PORT", port, "ECHO", echo.Addr()).Replace(`
listen connection
  bind HTTP
  mode tcp
  tcp-request connection track-sc0 str(1-connection) table plain
  tcp-request connection sc-inc-gpc0(0)
  tcp-request connection set-var-fmt(sess.a) "from %[src]"
  tcp-request connection set-var(sess.a2) str(x)
  tcp-request connection unset-var(sess.a2)
  tcp-request connection set-src src,ipmask(16)
  tcp-request connection set-src-port int(1001)
  tcp-request connection set-dst ipv4(IP)
  tcp-request connection set-dst-port int(PORT)
  tcp-request connection set-tos 0x10
  server s 0.0.0.0:0
listen session
  bind HTTP2
  mode tcp
  tcp-request session track-sc0 str(2-session) table plain
  tcp-request session sc-inc-gpc0(0)
  tcp-request session sc-inc-gpc1(0)
  tcp-request session sc-set-gpt0(0) 21
  tcp-request session set-var-fmt(sess.b) "from %[src]"
  tcp-request session set-var(sess.b2) str(x)
  tcp-request session unset-var(sess.b2)
  tcp-request session set-src src,ipmask(16)
  tcp-request session set-src-port int(1002)
  tcp-request session set-dst ipv4(IP)
  tcp-request session set-dst-port int(PORT)
  tcp-request session set-tos 0x20
  server s 0.0.0.0:0
listen content
  bind HTTP3
  mode tcp
  tcp-request inspect-delay 20s
  tcp-request content track-sc0 str(3-content) table plain
  tcp-request content set-var(sess.asked) str(x)
  tcp-request content set-tos 0x28 if { req.len ge 8 }
  tcp-request content sc-inc-gpc0(0) if { var(sess.asked) -m found }
  tcp-request content sc-inc-gpc1(0)
  tcp-request content sc-set-gpt0(0) req.payload(0,5),length
  tcp-request content set-var-fmt(txn.c) "c %[req.payload(0,4)]"
  tcp-request content set-var(txn.c2) str(x)
  tcp-request content unset-var(txn.c2) if { req.payload(0,4) -m str drop }
  tcp-request content set-log-level crit if { req.payload(0,4) -m str drop }
  tcp-request content set-src src,ipmask(16)
  tcp-request content set-src-port int(1003)
  tcp-request content set-dst ipv4(IP)
  tcp-request content set-dst-port int(PORT)
  server s 0.0.0.0:0
listen answer
  bind HTTP4
  mode tcp
  tcp-request content track-sc0 str(4-answer) table plain
  tcp-response inspect-delay 20s
  tcp-response content sc-inc-gpc0(0) if { res.len ge 8 }
  tcp-response content sc-inc-gpc1(0)
  tcp-response content sc-set-gpt0(0) res.payload(0,6),length
  tcp-response content set-var-fmt(txn.d) "d %[res.payload(0,4)]"
  tcp-response content set-var(txn.d2) str(x)
  tcp-response content unset-var(txn.d2) if { res.payload(0,4) -m str drop }
  tcp-response content set-log-level alert if { res.payload(0,4) -m str drop }
  tcp-response content set-tos 0x38
  server s ECHO
backend plain
  stick-table type string len 20 size 10 expire 1m store gpt0,gpc0,gpc1,conn_cnt,conn_rate(100s),sess_cnt
`), nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4"} {
			for _, pieces := range [][]string{{"dropped, and more of it"}, {"keep", "it, which", "comes in pieces"}} {
				c := s.dial(s.fill(name))
				for _, p := range pieces {
					io.WriteString(c, p)
					s.taken(c)
				}
				answer := make([]byte, len(strings.Join(pieces, "")))
				io.ReadFull(c, answer)
				client := c.LocalAddr().String() // another connection may have had it, to another port
				named := func(text string) string { return strings.ReplaceAll(text, client, "CLIENT-OF-"+name) }
				got = append(got, fmt.Sprintf("%s %s", answer, named(s.options(s.fill(name), client, "tos"))))
				c.Close()
				text, _ := s.logged()
				level, _, _ := strings.Cut(text, ">")
				_, line, _ := strings.Cut(text, "LINE ")
				got = append(got, level+"> "+highPort.ReplaceAllString(s.mask(named(strings.TrimSpace(line))), ":N"))
			}
		}
		s.letGo("plain")
		return append(got, entryFacts.ReplaceAllString(s.command("show table plain"), ""))
	}
	same(t, "seen", seen(theirs, drive), drive(ours))
}

// highPort is one that the kernel has chosen.
var highPort = regexp.MustCompile(`:\d{5}\b`)
