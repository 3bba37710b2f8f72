package dialect

import (
	"fmt"
	"testing"
)

// TestCountersOfEachStage: what rules of each stage count, tag and track is in the tables, once for each connection or each request.
func TestCountersOfEachStage(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST")+`
listen connection
  bind HTTP
  tcp-request connection track-sc0 str(1-connection) table plain
  tcp-request connection track-sc1 str(1-connection) table arrays
  tcp-request connection track-sc2 str(1-connection) table visits
  tcp-request connection sc-inc-gpc0(0)
  tcp-request connection sc-inc-gpc1(0) if { src 127.0.0.1 }
  tcp-request connection sc-inc-gpc1(0)
  tcp-request connection sc-set-gpt0(0) 11
  tcp-request connection sc-inc-gpc(0,1)
  tcp-request connection sc-inc-gpc(2,1) if { src 127.0.0.1 }
  tcp-request connection sc-set-gpt(1,1) 12
  server s1 S1
listen session
  bind HTTP2
  tcp-request session track-sc0 str(2-session) table plain
  tcp-request session track-sc1 str(2-session) table arrays
  tcp-request session track-sc2 str(2-session) table visits
  tcp-request session sc-inc-gpc0(0)
  tcp-request session sc-inc-gpc1(0) if { src 127.0.0.1 }
  tcp-request session sc-inc-gpc1(0)
  tcp-request session sc-set-gpt0(0) src_port,mul(0),add(21)
  tcp-request session sc-inc-gpc(1,1)
  tcp-request session sc-inc-gpc(2,1) if { src 127.0.0.1 }
  tcp-request session sc-set-gpt(0,1) 22
  server s1 S1
listen content
  bind HTTP3
  tcp-request content track-sc0 req.hdr(x-key) table plain
  tcp-request content track-sc1 req.hdr(x-key) table arrays
  tcp-request content track-sc2 req.hdr(x-key) table visits
  tcp-request content sc-inc-gpc0(0) if { path /r/b }
  tcp-request content sc-inc-gpc1(0)
  tcp-request content sc-set-gpt0(0) req.hdr(x),length
  tcp-request content sc-inc-gpc(0,1)
  tcp-request content sc-inc-gpc(1,1) if { path /r/b }
  tcp-request content sc-set-gpt(1,1) 32
  server s1 S1
listen request
  bind HTTP4
  http-request track-sc0 str(4-request) table plain
  http-request track-sc1 str(4-request) table arrays
  http-request track-sc2 str(4-request) table visits
  http-request sc-inc-gpc0(0) if { path /r/b }
  http-request sc-inc-gpc1(0)
  http-request sc-set-gpt0(0) 41
  http-request sc-inc-gpc(0,1)
  http-request sc-inc-gpc(2,1) if { path /r/b }
  http-request sc-set-gpt(1,1) req.hdr(x),length,add(40)
  server s1 S1
listen answer
  bind HTTP5
  http-request track-sc0 str(5-answer) table plain
  http-request track-sc1 str(5-answer) table arrays
  http-request set-var(txn.path) path
  tcp-response content sc-inc-gpc0(0) if { var(txn.path) -m beg /r/ }
  tcp-response content sc-inc-gpc1(0)
  tcp-response content sc-set-gpt0(0) var(txn.path),length
  tcp-response content sc-inc-gpc(1,1)
  tcp-response content sc-inc-gpc(2,1) if { var(txn.path) -m str /status/404 }
  tcp-response content sc-set-gpt(0,1) 52
  server s1 S1
listen response
  bind HTTP6
  http-response track-sc0 str(6-response) table plain
  http-response track-sc1 str(6-response) table arrays
  http-response track-sc2 str(6-response) table visits
  http-response sc-inc-gpc0(0) if { status 200 }
  http-response sc-inc-gpc1(0)
  http-response sc-set-gpt0(0) status
  http-response sc-inc-gpc(2,1) if { status 404 }
  http-response sc-inc-gpc(1,1)
  http-response sc-set-gpt(1,1) res.hdr(x-backend),length
  server s1 S1
backend plain
  stick-table type string len 20 size 10 expire 1m store gpt0,gpc0,gpc0_rate(100s),gpc1,gpc1_rate(100s)
backend arrays
  stick-table type string len 20 size 10 expire 1m store gpt(2),gpc(3),gpc_rate(3,100s)
backend visits
  stick-table type string len 20 size 10 expire 1m store conn_cnt,sess_cnt,http_req_cnt,http_err_cnt
`, nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4", "HTTP5", "HTTP6"} {
			for _, paths := range [][]string{{"/r/a", "/r/b", "/status/404"}, {"/r/b"}} {
				c := s.dial(s.fill(name))
				for _, path := range paths {
					got = append(got, fmt.Sprintf("%s %s: %s", name, path, c.do(request(path, "X: abc", "X-Key: 3-content"))))
				}
				c.Close()
			}
		}
		for _, table := range []string{"plain", "arrays", "visits"} {
			s.letGo(table)
			got = append(got, entryFacts.ReplaceAllString(s.command("show table "+table), ""))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
}

// TestVariablesOfEachStage: what rules of each stage set, and what they take back.
func TestVariablesOfEachStage(t *testing.T) {
	theirs, ours := both(t, preface("", `LINE %HU %ST %[var(sess.a)]/%[var(sess.a2)]%[var(sess.a3)] %[var(sess.b)]/%[var(sess.b2)]%[var(sess.b3)] %[var(txn.c)]/%[var(txn.c2)] %[var(txn.d)]/%[var(txn.d2)] %[var(txn.e)]/%[var(txn.e2)] %[var(txn.f)]/%[var(txn.f2)] %[var(txn.g)]/%[var(txn.g2)]`)+`
frontend fe
  bind HTTP
  tcp-request connection set-var-fmt(sess.a) "from %[src],%[dst]"
  tcp-request connection set-var(sess.a2) str(x)
  tcp-request connection unset-var(sess.a2)
  tcp-request connection set-var(sess.a3) str(x)
  tcp-request connection unset-var(sess.a3) if { src 127.0.0.9 }
  tcp-request session set-var-fmt(sess.b) "b after %[var(sess.a)]"
  tcp-request session set-var(sess.b2) str(x)
  tcp-request session unset-var(sess.b2)
  tcp-request session set-var(sess.b3) str(x)
  tcp-request session unset-var(sess.b3) if { src 127.0.0.9 }
  tcp-request content set-var-fmt(txn.c) "c %[method] %[path]"
  tcp-request content set-var(txn.c2) str(x)
  tcp-request content unset-var(txn.c2) if { path_end /drop }
  http-request set-var-fmt(txn.d) "d %[path]%%"
  http-request set-var(txn.d2) str(x)
  http-request unset-var(txn.d2) if { path_end /drop }
  http-request set-var(txn.drop) bool(true) if { path_end /drop }
  http-request return status 404 if { path_beg /own }
  http-after-response set-var-fmt(txn.g) "g %[status] %[res.hdr(x-backend)]"
  http-after-response set-var(txn.g2) str(x)
  http-after-response unset-var(txn.g2) if { var(txn.drop) -m found }
  default_backend be
backend be
  tcp-response content set-var-fmt(txn.e) "e %[var(txn.d)] %[var(txn.c)]"
  tcp-response content set-var(txn.e2) str(x)
  tcp-response content unset-var(txn.e2) if { var(txn.drop) -m found }
  http-response set-var-fmt(txn.f) "f %[res.hdr(x-backend)] %[var(txn.e)]"
  http-response set-var(txn.f2) str(x)
  http-response unset-var(txn.f2) if { var(txn.drop) -m found }
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		for _, path := range []string{"/r/a", "/r/a/drop", "/own", "/own/drop", "/r/b"} {
			got = append(got, c.do(request(path)))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}
