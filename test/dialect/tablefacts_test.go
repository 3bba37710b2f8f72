package dialect

import (
	"regexp"
	"strings"
	"testing"

	"lbsyslogd/lb/sample"
)

// arrays are what TestArrays compares: a table has either them or gpc0, gpc1 and gpt0.
var arrays = regexp.MustCompile(`_(gpc|gpt|gpc_rate)$`)

// moments are values that depend on the time, or on when bytes are counted: what is compared is whether there are any.
var moments = regexp.MustCompile(`bytes|expire|idle`)

// tableFacts asks for everything that stick tables count: of the entries that three counters track, of the client's, and of that of a key.
func tableFacts() (expressions []string) {
	add := func(name, args string) {
		if arrays.MatchString(name) {
			return
		}
		e := name + args
		if moments.MatchString(name) {
			e += ",mul(0)"
		}
		expressions = append(expressions, e)
	}
	for _, name := range sample.Fetches() {
		switch prefix, _, _ := strings.Cut(name, "_"); prefix {
		case "sc":
			add(name, "(0)")
			add(name, "(1)")
		case "sc0", "sc1", "sc2":
			add(name, "")
		case "src":
			if name != "src" && name != "src_port" && name != "src_is_local" {
				add(name, "(fe)")
			}
		}
	}
	for _, name := range sample.Converters() {
		newer := strings.HasPrefix(name, "table_inc_") || strings.HasPrefix(name, "table_clr_") // than HAProxy 2.6
		if strings.HasPrefix(name, "table_") && !newer && name != "table_trackers" {            // where HAProxy counts the one who asks
			add("src,"+name, "(fe)")
			add("str(nobody),"+name, "(keys)")
		}
	}
	return append(expressions, "src,in_table(fe)", "str(nobody),in_table(keys)", "table_cnt(fe)", "table_avl(fe)")
}

// TestFactsOfTables: each fetch and converter of stick tables, of an entry that counts, of one by another key, and of none.
func TestFactsOfTables(t *testing.T) {
	const stored = "store server_id,gpt0,gpc0,gpc1,gpc0_rate(100s),gpc1_rate(100s),conn_cnt,conn_cur,conn_rate(100s),sess_cnt,sess_rate(100s),http_req_cnt,http_req_rate(100s),http_err_cnt,http_err_rate(100s),http_fail_cnt,http_fail_rate(100s),bytes_in_cnt,bytes_in_rate(100s),bytes_out_cnt,bytes_out_rate(100s)"
	facts := tableFacts()
	theirs, ours := both(t, preface("tune.bufsize 65536", "LINE %ST")+`
frontend fe
  bind HTTP
  stick-table type ip size 10 expire 1m `+stored+`
  tcp-request connection track-sc0 src
  http-request track-sc1 req.hdr(key) table keys
  http-request sc-inc-gpc0(0) if { path /inc }
  http-request sc-inc-gpc1(1) if { path /inc }
  http-request sc-set-gpt0(0) 17 if { path /inc }
  http-request deny if { path /deny }
  http-request return status 200 content-type text/plain lf-file DIR/facts
backend keys
  stick-table type string len 8 size 10 expire 1m `+stored+`
`, map[string]string{"facts": factsFile(facts)})
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		ask := func(path, key string) string { return c.do(request(path, "Key: "+key)) }
		got = append(got, ask("/", "ann"), ask("/inc", "ann"), ask("/", "a long key"))
		ask("/deny", "ann")
		return append(got, ask("/", "ann"), c.do(request("/")))
	}
	compareFacts(t, facts, theirs, ours, drive)
}

// variables are all that a log format may have, but for those that name one process or one request (%pid, %rt, %ID).
const variables = `%HM %HP %HPO %HQ %HU %HV %ST %B %U %CC %CS %b %f %ft %s %ts %tsc %rc %hr %hrl %hs %hsl %sslc %sslv %bi %si %fi %ci %ac-%fc-%bc-%sc-%sq-%bq %T|%Tl|%t|%tr|%trg|%trl|%Ts|%ms %Ta/%Tc/%Td/%Th/%Ti/%Tq/%TR/%Tr/%Tt/%Tu/%Tw %bp/%cp/%fp/%sp %r`

// TestLogVariables: each variable of log formats, of requests that a server answers.
func TestLogVariables(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE "+variables)+`
frontend fe
  bind HTTP
  capture request header X-One len 5
  capture request header X-Two len 5
  capture response header X-Backend len 9
  capture cookie who len 12
  default_backend be
backend be
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/a?b=c&d", "/?"} {
			got = append(got, s.get(path, "X-One: 1234567", "Cookie: who=ann"))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", timeless(theirs.lines(len(want))), timeless(ours.lines(len(got))))
}

var (
	clocks = regexp.MustCompile(`[^ ]*(:| )\d\d[^|]*\|.*\|\d+`)                      // from the date on to the milliseconds
	timers = regexp.MustCompile(` [-+]?\d+(/[-+]?\d+){10} `)                         // of the request
	month  = regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|[A-Z][a-z]{2}/?)\b`) // and days
	digits = regexp.MustCompile(`\d+`)
	ports  = regexp.MustCompile(` (\d+|-)(/(\d+|-)){3} `)
)

// timeless leaves the shapes of times and ports in lines.
func timeless(lines []string) []string {
	for i, line := range lines {
		line = timers.ReplaceAllStringFunc(line, func(s string) string { return digits.ReplaceAllString(s, "N") })
		line = ports.ReplaceAllStringFunc(line, func(s string) string { return digits.ReplaceAllString(s, "N") })
		lines[i] = clocks.ReplaceAllStringFunc(line, func(s string) string { return digits.ReplaceAllString(month.ReplaceAllString(s, "Day"), "N") })
	}
	return lines
}
