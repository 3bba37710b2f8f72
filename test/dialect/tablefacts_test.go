package dialect

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/sample"
	"lbsyslogd/test/wait"
)

// arrays are the words for elements of arrays: a table has either them or gpc0, gpc1 and gpt0.
var arrays = regexp.MustCompile(`_(gpc|gpt|gpc_rate)$`)

// weights are what TestWeightsOfTables compares, as HAProxy counts the bytes of its own form of a message of HTTP; moments depend on the time.
var (
	weights = regexp.MustCompile(`_(k?bytes)_`)
	moments = regexp.MustCompile(`_(expire|idle)$`)
)

// tableWords are the fetches and converters of stick tables whose names match or do not match, in the order in which they can be asked without hiding
// what the others say: those that read, those that count, those that clear. Fetches are followed by the arguments of their kind: "sc", "sc0" to
// "sc2", "src". Converters are asked of the client's entry in the table named own, and of keys of the table named other.
func tableWords(match func(name string) bool, args map[string][]string, own, other string) (expressions []string) {
	var steps [3][]string
	add := func(name, e string) {
		i := 0
		if strings.Contains(name, "_inc_") {
			i = 1
		} else if strings.Contains(name, "_clr_") {
			i = 2
		}
		steps[i] = append(steps[i], e)
	}
	for _, name := range sample.Fetches() {
		prefix, _, counter := strings.Cut(name, "_")
		if !counter || !match(name) || slices.Contains([]string{"src_port", "src_is_local", "src_updt_conn_cnt"}, name) {
			continue
		}
		for _, a := range args[prefix] {
			add(name, name+a)
		}
	}
	for _, name := range sample.Converters() {
		if strings.HasPrefix(name, "table_") && !lbAlone(name) && match(name) && name != "table_trackers" { // which is TestTrackers'
			add(name, "src,"+name+strings.ReplaceAll(own, "T", "fe"))
			add(name, "req.hdr(key),"+name+strings.ReplaceAll(other, "T", "keys"))
			add(name, "str(nobody),"+name+strings.ReplaceAll(other, "T", "keys"))
			add(name, "str(nobody),"+name+strings.ReplaceAll(own, "T", "fe")) // no address, which is what the table's keys are
		}
	}
	return slices.Concat(steps[0], steps[1], steps[2])
}

// tableFacts asks for everything that stick tables count but arrays and bytes: of the entries that three counters track, of those under the same keys in
// another table, of the client's, and of that of a key.
func tableFacts() []string {
	single := func(name string) bool {
		return !arrays.MatchString(name) && !weights.MatchString(name) && !moments.MatchString(name)
	}
	list := tableWords(single, map[string][]string{"sc": {"(0)", "(1)", "(2)", "(1,others)"}, "sc0": {"", "(twin)", "(bare)"}, "sc1": {"", "(others)"}, "sc2": {"", "(keys)"}, "src": {"(fe)", "(twin)"}}, "(T)", "(T)")
	reads := func(name string) bool {
		return single(name) && !strings.Contains(name, "_inc_") && !strings.Contains(name, "_clr_")
	}
	list = append(list, tableWords(reads, map[string][]string{"src": {"(bare)"}}, "(bare)", "(bare)")...)
	return append(list, "src_updt_conn_cnt(twin)", "src_updt_conn_cnt(fe)", "src,in_table(fe)", "req.hdr(key),in_table(keys)", "str(nobody),in_table(keys)", "str(nobody),in_table(fe)", "table_cnt(fe)", "table_avl(fe)", "table_cnt(keys)", "table_avl(keys)")
}

// TestFactsOfTables: each fetch and converter of stick tables, of an entry that counts, of one by another key, and of none.
func TestFactsOfTables(t *testing.T) {
	const stored = "size 10 expire 1m store server_id,gpt0,gpc0,gpc1,gpc0_rate(100s),gpc1_rate(100s),conn_cnt,conn_cur,conn_rate(100s),sess_cnt,sess_rate(100s),http_req_cnt,http_req_rate(100s),http_err_cnt,http_err_rate(100s),http_fail_cnt,http_fail_rate(100s),bytes_in_cnt,bytes_in_rate(100s),bytes_out_cnt,bytes_out_rate(100s)"
	facts := tableFacts()
	theirs, ours := both(t, preface("tune.bufsize 65536", "LINE %ST")+`
frontend fe
  bind HTTP
  stick-table type ip `+stored+`
  tcp-request connection track-sc0 src
  http-request track-sc1 req.hdr(key) table keys
  http-request track-sc2 req.hdr(other) table others
  http-request sc-inc-gpc0(0) if { path /inc }
  http-request sc-inc-gpc1(0) if { path /inc }
  http-request sc-inc-gpc1(1) if { path /inc }
  http-request sc-inc-gpc0(2) if { path /inc }
  http-request sc-set-gpt0(0) 17 if { path /inc }
  http-request sc-set-gpt0(1) 18 if { path /inc }
  http-request sc-set-gpt0(2) 19 if { path /inc }
  http-request deny if { path /deny }
  http-request return status 200 content-type text/plain lf-file DIR/facts unless { path_beg /status }
  default_backend be
backend be
  server s1 S1
backend twin
  stick-table type ip `+stored+`
backend bare
  stick-table type ip size 10 expire 1m
backend keys
  stick-table type string len 8 `+stored+`
backend others
  stick-table type string len 8 `+stored+`
`, map[string]string{"facts": factsFile(facts)})
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		ask := func(path, key, other string) string { return c.do(request(path, "Key: "+key, "Other: "+other)) }
		got = append(got, ask("/", "ann", "bob"), ask("/inc", "ann", "bob"), ask("/", "a long key", "bob"))
		ask("/inc", "ann", "ann")
		s.command("set table bare key 127.0.0.1")
		for _, path := range []string{"/deny", "/status/404", "/status/500", "/status/503", "/inc"} {
			ask(path, "ann", "bob")
		}
		return append(got, ask("/", "ann", "bob"), ask("/", "bob", "ann"), c.do(request("/")))
	}
	compareFacts(t, facts, theirs, ours, drive)
}

// arrayFacts asks for the elements of arrays of counters, tags and rates: of three of them that there are, and of one that there is not.
func arrayFacts() []string {
	element := func(name string) bool { return arrays.MatchString(name) && !lbAlone(name) }
	args := map[string][]string{"sc": {"(0,0)", "(1,0)", "(2,1)", "(0,2)", "(1,1,others)", "(9,0)"}, "sc1": {"(0)", "(1,others)"}, "src": {"(0,fe)", "(1,fe)", "(2,fe)", "(9,fe)"}} // of an address without an entry, src_inc_gpc ends HAProxy 2.6.12
	return append(tableWords(element, args, "(1,T)", "(0,T)"), tableWords(element, nil, "(2,T)", "(9,T)")...)
}

// TestFactsOfArrays: each fetch and converter of arrays in stick tables.
func TestFactsOfArrays(t *testing.T) {
	const stored = "size 10 expire 1m store gpc(3),gpt(3),gpc_rate(3,100s)"
	facts := arrayFacts()
	theirs, ours := both(t, preface("tune.bufsize 65536", "LINE %ST")+`
frontend fe
  bind HTTP
  stick-table type ip `+stored+`
  tcp-request connection track-sc0 src
  http-request track-sc1 req.hdr(key) table keys
  http-request track-sc2 req.hdr(other) table others
  http-request sc-inc-gpc(0,0) if { path /inc }
  http-request sc-inc-gpc(1,0) if { path /inc }
  http-request sc-inc-gpc(2,1) if { path /inc }
  http-request sc-inc-gpc(0,2) if { path /inc }
  http-request sc-inc-gpc(1,2) if { path /inc }
  http-request sc-set-gpt(0,0) 17 if { path /inc }
  http-request sc-set-gpt(1,0) 18 if { path /inc }
  http-request sc-set-gpt(2,1) 19 if { path /inc }
  http-request sc-set-gpt(0,1) 20 if { path /inc }
  http-request sc-set-gpt(0,2) 21 if { path /inc }
  http-request sc-set-gpt(1,2) 22 if { path /inc }
  http-request return status 200 content-type text/plain string done if { path /inc }
  http-request return status 200 content-type text/plain lf-file DIR/facts
backend twin
  stick-table type ip `+stored+`
backend keys
  stick-table type string len 8 `+stored+`
backend others
  stick-table type string len 8 `+stored+`
`, map[string]string{"facts": factsFile(facts)})
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		ask := func(path, key, other string) string { return c.do(request(path, "Key: "+key, "Other: "+other)) }
		got = append(got, ask("/", "ann", "bob"))
		ask("/inc", "ann", "ann")
		ask("/inc", "ann", "bob")
		return append(got, ask("/", "ann", "bob"), ask("/", "bob", "ann"), c.do(request("/")))
	}
	compareFacts(t, facts, theirs, ours, drive)
}

// weightFacts asks how many bytes passed through a table in mode tcp, where both count the same, and for moments as far as two runs share them.
func weightFacts() []string {
	list := tableWords(weights.MatchString, map[string][]string{"sc": {"(0,tcp)", "(2,tcp)"}, "sc0": {"(tcp)"}, "sc1": {"(tcp)"}, "sc2": {"(tcp)"}, "src": {"(tcp)"}}, "(tcp)", "(tcp)")
	return append(list, "src,table_expire(tcp),div(100000)", "str(10.9.9.9),table_expire(tcp)", "str(10.9.9.9),table_expire(tcp,7)", "src,table_idle(tcp),add(txn.expire)", "str(10.9.9.9),table_idle(tcp)", "str(10.9.9.9),table_idle(tcp,-8)", "str(nobody),table_idle(tcp,8)", "str(nobody),table_expire(tcp,8)")
}

// TestWeightsOfTables: what tables count in bytes, and when their entries were touched and will end.
func TestWeightsOfTables(t *testing.T) {
	facts := weightFacts()
	theirs, ours := both(t, preface("", "LINE %ST")+`
frontend fe
  bind HTTP
  stick-table type ip size 10 expire 1m store gpc0
  tcp-request connection track-sc0 src
  tcp-request connection track-sc1 src table one
  tcp-request connection track-sc2 src table two
  http-request set-var(txn.expire) src,table_expire(tcp)
  http-request return status 202 if { path /idle } { src,table_idle(tcp) ge 50 } { src,table_idle(tcp) lt 30000 }
  http-request return status 200 content-type text/plain lf-file DIR/facts
backend one
  stick-table type ip size 10 expire 1m store gpc0
backend two
  stick-table type ip size 10 expire 1m store gpc0
frontend tcp
  mode tcp
  bind HTTP2
  stick-table type ip size 10 expire 150s store bytes_in_cnt,bytes_in_rate(100s),bytes_out_cnt,bytes_out_rate(100s)
  tcp-request connection track-sc0 src
  default_backend be
backend be
  mode tcp
  server s1 S1
`, map[string]string{"facts": factsFile(facts)})
	drive := func(s *subject) (got []string) {
		head := "X-Long: " + strings.Repeat("long", 900)
		for range 3 {
			c := s.dial(s.fill("HTTP2"))
			c.do(request("/bytes/5000", head, "Connection: close"))
			c.Close()
		}
		s.letGo("tcp")
		got = append(got, s.get("/"))
		wait.Until(t, s.name+"'s entry to be idle", func() bool { return strings.HasPrefix(s.get("/idle"), "202") })
		return append(got, s.get("/"))
	}
	compareFacts(t, facts, theirs, ours, drive)
}

// TestTrackers: how many connections hold an entry. Of the converter, HAProxy 2.6 counts the one that asks as well (docs/haproxy-compat.md).
func TestTrackers(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST")+`
frontend fe
  bind HTTP
  stick-table type ip size 10 expire 1m store gpc0
  tcp-request connection track-sc0 src
  http-request return status 200 content-type text/plain lf-string "%[sc0_trackers] %[sc_trackers(0)] %[src,table_trackers(fe)] %[str(10.9.9.9),table_trackers(fe)]"
`, nil)
	drive := func(s *subject) (got []string) {
		for range 3 {
			got = append(got, s.dial(s.addr).do(request("/"))) // and stays
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	for i := range 3 {
		ours, theirs := fmt.Sprintf(`200 OK Content-Type=["text/plain"] "%d %d %d 0"`, i+1, i+1, i+1), fmt.Sprintf(`200 OK Content-Type=["text/plain"] "%d %d %d 0"`, i+1, i+1, i+2)
		if got[i] != ours || want[i] != theirs {
			t.Errorf("with %d connections\n    lb: %s\nhaproxy: %s", i+1, got[i], want[i])
		}
	}
}

// variables are all that a log format may have, but for those that name one process or one request (%pid, %rt, %ID).
const variables = `%HM %HP %HPO %HQ %HU %HV %ST %B+%U %CC %CS %b %f %ft %s %ts %tsc %rc %hr %hrl %hs %hsl %sslc %sslv %bi %si %fi %ci %ac-%fc-%bc-%sc-%sq-%bq %T|%Tl|%t|%tr|%trg|%trl|%Ts|%ms %Ta/%Tc/%Td/%Th/%Ti/%Tq/%TR/%Tr/%Tt/%Tu/%Tw %bp/%cp/%fp/%sp %r`

// TestLogVariables: each variable of log formats, of requests that a server answers.
func TestLogVariables(t *testing.T) {
	theirs, ours := both(t, preface("nbthread 1", "LINE "+variables)+`
frontend fe
  bind HTTP
  capture request header X-One len 5
  capture request header X-Two len 5
  capture response header X-Backend len 9
  declare capture response len 4
  http-request set-var(txn.c) str(converted),capture-res(1)
  capture cookie who len 12
  default_backend be
backend be
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		for _, path := range []string{"/a?b=c&d", "/?"} {
			got = append(got, c.do(request(path, "X-One: 1234567", "Cookie: who=ann")))
			got = append(got, timeless(s.lines(1))...) // before the next request is another one that counts
		}
		return got
	}
	same(t, "answer and line", seen(theirs, drive), drive(ours))
}

// TestLoadInLogs: how many connections and requests in queues there were besides, as a request is answered and as it ends.
func TestLoadInLogs(t *testing.T) {
	theirs, ours := both(t, preface("nbthread 1", "LINE %s %ST %HU %ac+%fc/%bc/%sc/%sq/%bq")+`
frontend fe
  bind HTTP
  option logasap
  default_backend be
frontend other
  bind HTTP2
  default_backend be
backend be
  use-server s1 if { url_end s1 }
  server s1 S1 maxconn 3
  server s2 S2 maxconn 2
`, nil)
	drive := func(s *subject) (lines []string) {
		var held []*client
		hold := func(path string) {
			c := s.dial(s.addr)
			io.WriteString(c, request(path))
			held = append(held, c)
		}
		queued := func(row string, n int) { s.until(row, fmt.Sprintf("qcur=%d", n), "qcur") }
		for i := range 4 {
			hold(fmt.Sprintf("/drip/30000?%d", i))
			lines = append(lines, s.lines(1)...)
		}
		s.dial(s.fill("HTTP2")).do(request("/short")) // and its connection stays
		lines = append(lines, s.lines(1)...)
		hold("/drip/30000?4")
		lines = append(lines, s.lines(1)...)
		// Those for one server come first: whoever waits for it goes before whoever waits for any of them, if both began to wait in the same millisecond.
		for i := range 2 {
			hold(fmt.Sprintf("/drip/30000?%d/s1", i))
			queued("be/s1", i+1)
		}
		for i := range 2 {
			hold(fmt.Sprintf("/drip/30000?any%d", i))
			queued("be/BACKEND", i+1)
		}
		for _, i := range []int{0, 1, 2, 4} { // their places are taken by those who wait
			held[i].Close()
			line := s.lines(1)[0] // the connection may have gone already, or not yet
			lines = append(lines, regexp.MustCompile(`\d+\+\d+/`).ReplaceAllString(line, "N+N/"))
		}
		return lines
	}
	same(t, "line", seen(theirs, drive), drive(ours))
}

// TestLeftInQueues: a request that waits in vain, for one server or for any, and one whose client leaves meanwhile.
func TestLeftInQueues(t *testing.T) {
	theirs, ours := both(t, preface("nbthread 1", "LINE %HU %s %ts %ST %[srv_id] %sc %sq/%bq")+`
  option abortonclose
frontend fe
  bind HTTP
  use_backend hasty if { path_beg /hasty }
  default_backend be
backend hasty
  timeout queue 100ms
  use-server s2 if { url_end s2 }
  server s1 S1 maxconn 1
  server s2 S2 maxconn 1
backend be
  use-server s2 if { url_end s2 }
  server s1 S1 maxconn 1
  server s2 S2 maxconn 1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/drip/30000", "/drip/30000"} { // and stay
			io.WriteString(s.dial(s.addr), request(path))
		}
		s.until("be/BACKEND", "scur=2", "scur")
		for i, path := range []string{"/drip/1", "/drip/1?s2"} {
			row := []string{"be/BACKEND", "be/s2"}[i]
			c := s.dial(s.addr)
			io.WriteString(c, request(path))
			s.until(row, "qcur=1", "qcur")
			c.Close()
			got = append(got, s.lines(1)...)
		}
		for range 2 {
			io.WriteString(s.dial(s.addr), "POST /hasty HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n") // whose body does not come
		}
		s.until("hasty/BACKEND", "scur=2", "scur")
		for _, path := range []string{"/hasty", "/hasty?s2"} {
			got = append(got, s.get(path)[:3])
			got = append(got, s.lines(1)...)
		}
		return got
	}
	same(t, "line", seen(theirs, drive), drive(ours))
}

var (
	clocks = regexp.MustCompile(`\d\d/[A-Z][a-z]{2}/\d{4}:[^|]*\|.*\|\d+`)           // from the date on to the milliseconds
	sizes  = regexp.MustCompile(` \d+\+\d+ `)                                        // which HAProxy counts without a few bytes (docs/logs.md)
	timers = regexp.MustCompile(` [-+]?\d+(/[-+]?\d+){10} `)                         // of the request
	month  = regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|[A-Z][a-z]{2}/?)\b`) // and days
	digits = regexp.MustCompile(`\d+`)
	ports  = regexp.MustCompile(` (\d+|-)(/(\d+|-)){3} `)
)

// timeless leaves the shapes of times and ports in lines.
func timeless(lines []string) []string {
	for i, line := range lines {
		line = sizes.ReplaceAllString(line, " N+N ")
		line = timers.ReplaceAllStringFunc(line, func(s string) string { return digits.ReplaceAllString(s, "N") })
		line = ports.ReplaceAllStringFunc(line, func(s string) string { return digits.ReplaceAllString(s, "N") })
		lines[i] = clocks.ReplaceAllStringFunc(line, func(s string) string { return digits.ReplaceAllString(month.ReplaceAllString(s, "Day"), "N") })
	}
	return lines
}
