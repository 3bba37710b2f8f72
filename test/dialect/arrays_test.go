package dialect

import (
	"regexp"
	"testing"
)

// entryFacts are what two tables cannot have the same: addresses, moments, and how many hold an entry (a connection may end just after its answer was read).
var entryFacts = regexp.MustCompile(`0x[0-9a-f]+: | use=\d+|exp=\d+`)

// TestArrays: arrays of counters and tags in stick tables.
func TestArrays(t *testing.T) {
	const values = `"get %[sc_get_gpc(0,0)] %[sc_get_gpc(2,0)] %[sc0_get_gpc0] x%[sc_get_gpc(7,0)]x %[sc_get_gpt(1,0)] %[sc_get_gpt0(0)] rate %[sc_gpc_rate(0,0)] x%[sc_gpc_rate(2,0)]x src %[src_get_gpc(0,fe)] %[src_get_gpt(1,fe)] t %[src,table_gpc(2,fe)] %[src,table_gpt(1,fe)] %[src,table_gpc_rate(1,fe)] x%[src,table_gpc(9,fe)]x %[src,table_gpc0(fe)] c %[src_conn_cnt]"`
	theirs, ours := both(t, preface("", "LINE %ST")+`
frontend fe
  bind HTTP
  stick-table type ip size 10 expire 1m store gpc(3),gpt(2),gpc_rate(2,100s),conn_cnt
  http-request track-sc0 src
  http-request sc-inc-gpc(0,0) if { path /0 }
  http-request sc-inc-gpc(2,0) if { path /2 }
  http-request sc-inc-gpc0(0) if { path /i }
  http-request sc-inc-gpc(7,0) if { path /7 }
  http-request sc-set-gpt(1,0) 12 if { path /set }
  http-request sc-set-gpt(0,0) req.hdr(x),length if { path /set }
  http-request set-var(txn.n) sc_inc_gpc(1,0) if { path /inc }
  http-request set-var(txn.n) src_inc_gpc(2,fe) if { path /inc }
  http-request set-var(txn.n) src_updt_conn_cnt if { path /updt }
  http-request set-var(txn.n) sc_clr_gpc(2,0) if { path /clr }
  http-request return status 200 content-type text/plain lf-string `+values+` hdr X-N %[var(txn.n)]
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/", "/0", "/2", "/i", "/7", "/set", "/inc", "/inc", "/updt", "/clr", "/"} {
			got = append(got, path+" "+s.get(path, "X: abc"))
		}
		return append(got, entryFacts.ReplaceAllString(s.command("show table fe"), ""))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
}

// TestEditedFiles: rules that change maps and files of ACL patterns, and what the next request and an operator see of it.
func TestEditedFiles(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST")+`
frontend fe
  bind HTTP
  acl known req.hdr(x) -f DIR/names.lst
  http-request set-header X-Known yes if known
  http-request set-var(txn.before) req.hdr(x),map(DIR/all.map,none)
  http-request add-acl(DIR/names.lst) %[req.hdr(x)] if { path /add }
  http-request del-acl(DIR/names.lst) %[req.hdr(x)] if { path /del }
  http-request set-map(DIR/all.map) %[req.hdr(x)] "v %[req.hdr(y)]" if { path /set }
  http-request del-map(DIR/all.map) %[req.hdr(x)] if { path /unset }
  http-response set-map(DIR/all.map) seen %[status] if { res.hdr(x-backend) -m found }
  http-response set-map(DIR/all.map) %[src] x
  http-request return status 200 hdr X-Known %[req.hdr(x-known)] hdr X-Now %[req.hdr(x),map(DIR/all.map,none)] hdr X-Before %[var(txn.before)] hdr X-Again yes if known
  http-request return status 404 hdr X-Known %[req.hdr(x-known)] hdr X-Now %[req.hdr(x),map(DIR/all.map,none)] hdr X-Before %[var(txn.before)] unless { path_beg /server }
  default_backend be
backend be
  server s1 S1
`, map[string]string{"names.lst": "bob\n", "all.map": "bob old\n"})
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/", "/add", "/add", "/", "/set", "/set", "/", "/del", "/del", "/", "/unset", "/", "/set", "/server"} {
			for _, name := range []string{"bob", "ann"} {
				got = append(got, path+" "+s.get(path, "X: "+name, "Y: z"))
			}
		}
		for _, command := range []string{"show acl DIR/names.lst", "show map DIR/all.map"} {
			got = append(got, entryFacts.ReplaceAllString(regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(s.command(command), "0x"), ""))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
}
