package dialect

import (
	"regexp"
	"strings"
	"testing"
)

// TestFactsOfTheConnection: samples about both sides of an exchange, and variables of every scope.
func TestFactsOfTheConnection(t *testing.T) {
	theirs, ours := both(t, preface("set-var proc.start str(begun),upper\nset-var proc.n2 int(4),add(1)\nset-var-fmt proc.text \"%[var(proc.start)]-%[var(proc.n2)]\"", `LINE %ST %HU %[so_name]/%[fe_id]/%[be_id]/%[srv_id]/%[var(sess.n)]/%[var(proc.n)]/%[var(txn.last)]/%[be_server_timeout]/%[var(req.r)]/%[var(res.r)]`)+`
frontend fe
  bind HTTP name door id 77
  timeout client 20s
  tcp-request connection set-var(sess.n) int(0)
  tcp-request session set-var(proc.n) int(3)
  tcp-request content set-var(sess.c) str(content)
  http-request set-var(sess.n) var(sess.n),add(1)
  http-request set-var(req.r) str(request)
  http-request set-var(res.r) str(early)
  http-request set-header X-Proc %[var(proc.start)]/%[var(proc.n2)]/%[var(proc.text)]
  http-request set-header X-First %[http_first_req]
  http-request set-header X-Sess %[var(sess.n)]-%[var(sess.c)]-%[var(res.r)]
  http-request set-header X-Front %[fe_id]-%[fe_name]-%[fe_defbe]-%[fe_client_timeout]-%[so_name]-%[so_id]
  http-request set-header X-Conn %[fc_src]-%[fc_dst]-%[fc_http_major]-%[fc_err_str]-%[src_is_local]-%[dst_is_local]-%[fc_lost]
  http-request set-var-fmt(txn.greeting) "%[src]:%[path]"
  http-request set-var-fmt(txn.greeting,ifnotset) "never"
  http-request deny deny_status 403 hdr X-Rule %[last_rule_line] if { path /denied }
  http-after-response set-var(txn.last) last_rule_line
  http-after-response set-header X-Greeting %[var(txn.greeting)]
  http-after-response set-header X-Scope %[var(req.r)]-%[var(res.r)]
  default_backend be
backend be
  id 99
  timeout server 7s
  timeout tunnel 9s
  http-request set-header X-Back %[be_id]-%[be_name]-%[be_server_timeout]-%[be_tunnel_timeout] if { be_name be }
  http-response set-var(res.r) str(response)
  http-response set-header X-Vars %[var(req.r)]-%[var(res.r)]-%[srv_id]-%[srv_name]-%[bc_dst]-%[bc_http_major]
  http-response set-header X-Ver %[capture.res.ver]
  server first S2 id 5
`, nil)
	drive := func(s *subject) (got []string) {
		got = append(got, s.get("/headers"), s.get("/denied"))
		c := s.dial(s.addr)
		for range 3 {
			got = append(got, c.do(request("/headers/again")))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestNumbersByName: what there is to know of backends and servers, of those that a sample names and of the proxies of each exchange.
func TestNumbersByName(t *testing.T) {
	theirs, ours := both(t, `global
  stats socket STATS mode 600 level admin
defaults base
  mode http
  timeout connect 10s
  timeout client 20s
  timeout server 20s
  http-response set-header X-Own "%[nbsrv]/%[be_conn]"
defaults front
  mode http
  timeout client 20s
  http-request set-header X-Front "%[fe_conn]"
frontend fe from front
  bind HTTP
  http-request set-header X-Named "%[str(be),nbsrv]/%[str(nope),nbsrv]/%[str(be/s1),srv_queue]/%[str(be/nope),srv_queue]"
  http-request set-header X-Free "%[be_conn_free(be)]/%[be_conn_free(open)]/%[srv_conn_free(be/s1)]/%[srv_conn_free(open/s1)]/%[srv_uweight(be/s1)]"
  default_backend be
backend be from base
  server s1 S1 maxconn 7 weight 30
  server s2 S1 maxconn 3
backend open from base
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) { return append(got, s.get("/headers")) }
	same(t, "answer", seen(theirs, drive), drive(ours))
}

// TestFiguresOfTheProcess: rates of proxies and servers, priorities, and what is always the same.
func TestFiguresOfTheProcess(t *testing.T) {
	theirs, ours := both(t, `
global
  stats socket STATS mode 600 level admin
  nbthread 1
defaults
  mode http
  timeout connect 10s
  timeout client 20s
  timeout server 20s
frontend fe
  bind HTTP
  http-request set-header X-Early %[prio_class]/%[prio_offset]
  http-request set-priority-class int(-3) if { path /headers/prior }
  http-request set-priority-offset int(40) if { path /headers/prior }
  http-request set-header X-Prio %[prio_class]/%[prio_offset]
  http-request set-header X-Same %[nbproc]/%[thread]/%[stopping]/%[dst_conn]
  http-request set-header X-Rate %[fe_req_rate]/%[fe_sess_rate]/%[be_sess_rate(be)]/%[srv_sess_rate(be/s1)]/%[be_sess_rate(other)]
  http-request deny deny_status 429 if { fe_req_rate(fe) gt 100000 } || { srv_sess_rate(be/s1) gt 100000 }
  use_backend other if { path /never }
  default_backend be
backend be
  http-request set-header X-Weight %[srv_iweight(s1)]/%[srv_uweight(s1)]
  http-response set-header X-Counted yes if { fe_req_rate(fe) ge 1 } { fe_sess_rate(fe) ge 1 } { be_sess_rate ge 1 } { srv_sess_rate(s1) ge 1 }
  http-response set-header X-After %[bc_err]/%[bc_err_str]/%[res.cache_hit]/%[res.cache_name]
  server s1 S1 weight 7
backend other
  server s1 S2
`, nil)
	drive := func(s *subject) (got []string) {
		for range 20 { // one of them takes less than a second
			if strings.Contains(s.get("/counted"), "yes") {
				got = append(got, "counted")
				break
			}
		}
		c := s.dial(s.addr)
		for _, path := range []string{"/headers", "/headers/prior", "/headers/again"} {
			got = append(got, rates.ReplaceAllString(c.do(request(path)), "$1 counted"))
		}
		s.command("set weight be/s1 3")
		return append(got, rates.ReplaceAllString(c.do(request("/headers/weight")), "$1 counted"))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
}

// rates is a header whose numbers depend on the moment.
var rates = regexp.MustCompile(`(?i)(x-rate:) *\d+/\d+/\d+/\d+/\d+`)
