package dialect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// alone are words that Debian's haproxy does not have, or of which nothing is to be seen in it, with the test of lb's own that looks at what they do.
var alone = []struct {
	why, file, test string
	names           string
}{
	{"HAProxy 2.8 and later has it", "newer_test.go", "TestNewerActions", `
tcp-request connection sc-add-gpc
tcp-request session sc-add-gpc
tcp-request content sc-add-gpc
http-request sc-add-gpc
tcp-response content sc-add-gpc
http-response sc-add-gpc
http-after-response sc-add-gpc
`},
	{"HAProxy 3.0 and later has it", "newer_test.go", "TestNewerActions", `
tcp-request connection set-fc-mark
tcp-request connection set-fc-tos
tcp-request session set-fc-mark
tcp-request session set-fc-tos
tcp-request content set-fc-mark
tcp-request content set-fc-tos
http-request set-fc-mark
http-request set-fc-tos
tcp-response content set-fc-mark
tcp-response content set-fc-tos
http-response set-fc-mark
http-response set-fc-tos
http-after-response set-fc-mark
http-after-response set-fc-tos
`},
	{"HAProxy 2.6 has it in the other sets of rules only", "newer_test.go", "TestNewerActions", `
http-after-response sc-inc-gpc
http-after-response sc-inc-gpc0
http-after-response sc-inc-gpc1
http-after-response sc-set-gpt
http-after-response sc-set-gpt0
http-after-response set-log-level
http-after-response set-mark
http-after-response set-tos
`},
	{"HAProxy 3.2 and later has it", "newer_test.go", "TestSetRetries", `
tcp-request content set-retries
http-request set-retries
`},
	{"it shares a processor's time among HAProxy's tasks, which no client can see, and lb has none", "newer_test.go", "TestNice", `
tcp-request content set-nice
tcp-response content set-nice
http-response set-nice
`},
	{unknown, "../../lb/rule/newer_test.go", "TestNewerSamples", `
converter aes_cbc_dec
converter aes_cbc_enc
converter aes_gcm_enc
converter base2
converter le2dec
converter ms_ltime
converter ms_utime
converter param
converter reverse
converter us_ltime
converter us_utime
`},
	{unknown, "../../lb/rule/newer_test.go", "TestTableConverterCounts", `
converter table_clr_gpc
converter table_clr_gpc0
converter table_clr_gpc1
converter table_inc_gpc
converter table_inc_gpc0
converter table_inc_gpc1
`},
	{unknown, "newersamples_test.go", "TestNewerNamesInLogs", `
fetch accept_date
fetch request_date
fetch bc.timer.connect
fetch fc.timer.handshake
fetch fc.timer.total
fetch req.timer.hdr
fetch req.timer.idle
fetch req.timer.queue
fetch req.timer.tq
fetch res.timer.data
fetch res.timer.hdr
fetch txn.timer.total
fetch txn.conn_retries
fetch txn.redispatched
fetch txn.sess_term_state
fetch txn.status
fetch bc_be_queue
fetch bc_srv_queue
`},
	{unknown, "newersamples_test.go", "TestNewerTimeouts", `
fetch be_connect_timeout
fetch be_queue_timeout
fetch be_tarpit_timeout
fetch cur_client_timeout
fetch cur_connect_timeout
fetch cur_queue_timeout
fetch cur_tarpit_timeout
fetch fe_tarpit_timeout
`},
	{unknown, "newersamples_test.go", "TestFaultInLogs", `
fetch lb_fault
`},
	{unknown, "../../lb/rule/newer_test.go", "TestOtherNames", `
fetch req_rdp_cookie
fetch req_rdp_cookie_cnt
fetch sc0_clr_gpc
fetch sc0_get_gpc
fetch sc0_get_gpt
fetch sc0_gpc_rate
fetch sc0_inc_gpc
fetch sc1_get_gpc
fetch sc1_get_gpt
fetch sc1_gpc_rate
fetch sc1_inc_gpc
fetch sc2_clr_gpc
fetch sc2_get_gpc
fetch sc2_get_gpt
fetch sc2_gpc_rate
fetch sc2_inc_gpc
converter map_beg_str
converter map_dir_str
converter map_dom_str
converter map_end_str
converter map_int_str
converter map_ip_str
converter map_reg_str
converter map_str_str
converter map_sub_str
`},
}

// aloneFiles are those of the tests that alone names: what stands in them is compared with nothing.
func aloneFiles() (files []string) {
	for _, a := range alone {
		files = append(files, a.file)
	}
	return files
}

// TestWordsAlone: the tests that alone names have the words.
func TestWordsAlone(t *testing.T) {
	patterns := map[string]term{}
	for _, w := range terms() {
		patterns[w.name] = w
	}
	for _, a := range alone {
		text, err := os.ReadFile(a.file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.Join(literalsOfTest(t, a.file, text, a.test), "\n"), "\n")
		if a.why == "" || len(lines) == 1 {
			t.Errorf("%s: it has no reason, or %s no %s", a.names, a.file, a.test)
		}
		for name := range strings.Lines(strings.TrimSpace(a.names)) {
			w, known := patterns[strings.TrimSpace(name)]
			if !known || !slices.ContainsFunc(lines, w.pattern.MatchString) {
				t.Errorf("%s: no word of lb, or not in %s of %s", strings.TrimSpace(name), a.test, a.file)
			}
		}
	}
}

// literalsOfTest are the strings of one function of a Go file.
func literalsOfTest(t *testing.T, name string, text []byte, test string) []string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == test {
			return literalsIn(f)
		}
	}
	return nil
}
