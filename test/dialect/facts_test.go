package dialect

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Expressions whose values depend on the moment or on the process are brought down to what does not: whether they have a value, or how long it is.
var (
	// requestFacts are asked in http-request rules.
	requestFacts = strings.Fields(`
base base32 base32+src baseq url url32 url32+src url_ip url_port path pathq query method req.ver req_ver
capture.req.method capture.req.uri capture.req.ver
cook(a) cook(b) cook(nope) cook() cook cook_cnt(a) cook_cnt(nope) cook_cnt cook_val(n) cook_val(a) cook_val(big)
req.cook(a) req.cook(nope) req.cook_cnt(a) req.cook_val(n) cookie(a)
hdr(x) hdr(nope) hdr(empty) hdr(x,1) hdr(x,2) hdr(x,-1) hdr(x,-2) hdr(x,9) hdr(x,-9) hdr_cnt(x) hdr_cnt(nope) hdr_cnt hdr_val(n) hdr_val(x) hdr_val(neg) hdr_val(big) hdr_ip(ip) hdr_ip(ip,2) hdr_ip(ip,-1) hdr_ip(x) hdr_ip(ip6)
req.hdr(quoted,1) req.hdr(quoted,2) req.hdr_cnt(quoted)
req.fhdr(x) req.fhdr(date) req.fhdr(x,-1) req.fhdr(quoted) req.fhdr(empty) req.fhdr_cnt(x) req.fhdr_cnt req.fhdr_cnt(nope) req.hdr_ip(ip) req.hdr_val(n) req.hdr_names req.hdr_names(:) req.hdrs req.hdrs_bin
urlp(k) urlp(K) urlp(k,;) urlp(nope) urlp(e) urlp() urlp url_param(k) urlp_val(n) urlp_val(k) urlp_val(neg)
http_auth_type http_auth_user http_auth_pass http_auth_bearer http_auth_bearer(x-token)
rdp_cookie rdp_cookie(name) rdp_cookie_cnt(name)
req.body req.body_len req.body_size req.body_param(k) req.body_param
always_true always_false bool(1) bool(0) bool(true) int(0) int(-5) int(9223372036854775807) int(-9223372036854775808) ipv4(1.2.3.4) ipv6(::1) ipv6(::ffff:1.2.3.4) bin(00ff41) str() str(x) env(FACT) env(NOPE) meth(GET)
src src,ipmask(8) dst src_is_local dst_is_local fc_src fc_dst fc_src_is_local fc_dst_is_local fc_http_major fc_rcvd_proxy fc_pp_authority fc_pp_unique_id fc_err fc_err_str
src_port,mul(0) dst_port,mul(0) fc_src_port,mul(0) fc_dst_port,mul(0)
date,mul(0) date(10),mul(0) date(0,ms),mul(0) date(-5,us),mul(0) date_us,mul(0) rand,mul(0) rand(1) uuid,length uuid(4),length hostname,length,mul(0) nbproc thread,mul(0) stopping
fc_rtt,mul(0) fc_rttvar,mul(0) fc_rtt(us),mul(0) fc_rttvar(ms),mul(0) fc_unacked fc_sacked fc_retrans fc_fackets fc_lost fc_reordering
http_first_req last_rule_file last_rule_line unique-id so_id so_name fe_id fe_name fe_defbe fe_client_timeout
prio_class prio_offset var(txn.nope) var(proc.nope) var(req.a)
wait_end req.proto_http req_proto_http req.payload(0,3) req.payload(0,0) req.payload_lv(0,1) payload(0,3) payload_lv(0,1) req.ssl_ver req.ssl_sni req.ssl_hello_type req.ssl_alpn req.ssl_st_ext req.ssl_ec_ext req_ssl_sni req_ssl_ver req_ssl_hello_type req.rdp_cookie req.rdp_cookie(a) req.rdp_cookie_cnt
ssl_fc ssl_fc_sni ssl_fc_cipher ssl_fc_protocol ssl_fc_alpn ssl_fc_has_sni ssl_fc_has_crt ssl_fc_is_resumed ssl_fc_err ssl_c_used ssl_c_verify ssl_c_s_dn
nbsrv(be) be_conn(be) be_conn_free(be) connslots(be) queue(be) avg_queue(be) srv_conn(be/s1) srv_conn_free(be/s1) srv_is_up(be/s1) srv_weight(be/s1) srv_iweight(be/s1) srv_uweight(be/s1) srv_queue(be/s1) table_cnt(be) table_avl(be)
`)
	// responseFacts are asked in http-response rules, of an answer of a server.
	responseFacts = strings.Fields(`
res.hdrs_bin,hex status res.ver resp_ver res.hdr(x-backend) res.hdr(nope) res.hdr(x-many) res.hdr(x-many,1) res.hdr(x-many,-1) res.hdr_cnt(x-many) res.hdr_cnt res.hdr_val(x-num) res.hdr_ip(x-ip) res.hdr_names res.hdr_names(:) res.hdrs,length
res.fhdr(x-many) res.fhdr(x-date) res.fhdr(x-many,2) res.fhdr_cnt(x-many) res.fhdr_cnt(nope)
shdr(x-many) shdr_cnt(x-many) shdr_ip(x-ip) shdr_val(x-num) hdr(x-many)
res.cook(sid) res.cook(nope) res.cook_cnt(sid) res.cook_val(num) res.cook scook(sid) scook_cnt(sid) scook_val(num)
capture.res.hdr(0) capture.res.hdr(1) capture.req.hdr(0) capture.req.hdr(9) capture.res.ver capture.req.uri capture.req.method capture.req.ver
method http_first_req
srv_id srv_name be_id be_name fe_id fe_name bc_dst bc_src bc_http_major bc_err bc_err_str bc_src_port,mul(0) bc_dst_port,mul(0)
res.comp res.comp_algo res.cache_hit res.cache_name res.body_len res.body_size res.payload(0,1) res.payload_lv(0,1) res.ssl_hello_type
be_server_timeout cur_server_timeout be_tunnel_timeout cur_tunnel_timeout last_rule_line
ssl_bc ssl_bc_is_resumed ssl_bc_cipher ssl_bc_alpn ssl_s_s_dn
`)
)

// factsFile is a log-format text that names each expression's value, and its length: that of nothing is nothing.
func factsFile(expressions []string) string {
	var text strings.Builder
	for i, e := range expressions {
		fmt.Fprintf(&text, "%d. <%%[%s]>", i, e)
		if !strings.Contains(e, "_ip(DIR") { // HAProxy has no length of an address out of a map
			fmt.Fprintf(&text, " <%%[%s,length]>", e)
		}
		text.WriteString("\n")
	}
	return text.String()
}

// compareFacts requests the same of both, and names the expressions of lines of the answers that differ.
func compareFacts(t *testing.T, expressions []string, theirs, ours *subject, drive func(s *subject) []string) {
	t.Helper()
	want, got := seen(theirs, drive), drive(ours)
	for i := range want {
		w, g := strings.Split(want[i], `\n`), strings.Split(got[i], `\n`)
		if len(w) != len(g) || len(w) < len(expressions) {
			t.Errorf("answer %d:\n    lb: %s\nhaproxy: %s", i, got[i], want[i])
			continue
		}
		for j := range w {
			if w[j] == g[j] {
				continue
			}
			about := ""
			if j < len(expressions) {
				about = expressions[j]
			}
			t.Errorf("answer %d: %s\n    lb: %s\nhaproxy: %s", i, about, g[j], w[j])
		}
	}
}

// TestFactsOfRequests: each sample that a rule for requests may ask for, of several requests.
func TestFactsOfRequests(t *testing.T) {
	theirs, ours := both(t, preface("setenv FACT fact", "LINE %ST")+`
frontend fe
  bind HTTP name door
  option http-buffer-request
  http-request set-var(req.a) str(a)
  http-request return status 200 content-type text/plain lf-file DIR/facts
  default_backend be
backend be
  stick-table type ip size 10
  server s1 S1 weight 3 maxconn 9
`, map[string]string{"facts": factsFile(requestFacts)})
	drive := func(s *subject) (got []string) {
		long := strings.Repeat("long", 60)
		for _, r := range []string{
			request("/", "Connection: close"),
			request("/a/b?k=v&n=12&e=&neg=-7&K=upper", "X: one, two", "X: three", "Empty: ", "N: 42", "Neg: -3", "Big: 2147483647", "IP: 10.1.2.3, 192.168.0.1", "IP6: 2001:db8::1", "Cookie: a=1; b=two; n=17; a=2; big=-2147483648", "Quoted: \"a,b\", c", "Date: Mon, 30 Nov 2026 06:00:00 GMT", "Authorization: Basic dXNlcjpwYTpzcw==", "Connection: close"),
			request("/p;k=semi", "Authorization: Bearer tok.en", "X-Token: Bearer other", "Cookie: a=; c= ;b=3;a=;z", "X: ,a,,b,", "Connection: close"),
			"GET http://10.0.0.9:8080/abs?k HTTP/1.1\r\nHost: 10.0.0.9:8080\r\nConnection: close\r\nAuthorization: Digest x=1\r\n\r\n",
			request("/"+long+"?k="+long, "X: "+long, "Cookie: a="+long, "Connection: close"),
			"POST /body?k=u HTTP/1.1\r\nHost: Site.Example:81\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\nConnection: close\r\n\r\nk=b&n=%41%00",
			"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"GET / HTTP/1.0\r\n\r\n",
			request("/%41%zz?k=x&n=0x1F", "N: 12abc", "N: 3", "IP: nonsense", "Cookie: \"a\"=\"q;r\"; a =sp", "Authorization: Basic !!!", "Connection: close"),
		} {
			c := s.dial(s.addr)
			got = append(got, c.do(r))
			c.Close()
		}
		return got
	}
	compareFacts(t, requestFacts, theirs, ours, drive)
}

// factFields are the fields that TestFactsOfResponses adds to an answer, of which each shows one fact.
var factFields = regexp.MustCompile(`X-Fact-\d+=\["[^"]*"\]`)

// TestFactsOfResponses: the same of answers of servers.
func TestFactsOfResponses(t *testing.T) {
	var fields strings.Builder
	for i, e := range responseFacts {
		fmt.Fprintf(&fields, "  http-response set-header X-Fact-%03d \"<%%[%s]> <%%[%s,length]>\"\n", i, e, e)
	}
	theirs, ours := both(t, preface("", "LINE %ST %HU")+`
frontend fe
  bind HTTP name door
  http-request capture req.hdr(x) len 5
  declare capture response len 6
  default_backend be
backend be
  http-response set-header X-Many "a, b,c"
  http-response add-header X-Many d
  http-response set-header X-Date "Mon, 30 Nov 2026 06:00:00 GMT"
  http-response set-header X-Num 12
  http-response set-header X-IP 10.0.0.7
  http-response add-header Set-Cookie "sid=abc; path=/"
  http-response add-header Set-Cookie "num=15"
  http-response capture res.hdr(x-backend) id 0
`+fields.String()+`
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/a/b?k=v", "/headers"} {
			answer := s.get(path, "X: one")
			got = append(got, strings.Join(factFields.FindAllString(answer, -1), `\n`))
		}
		return got
	}
	compareFacts(t, responseFacts, theirs, ours, drive)
}
