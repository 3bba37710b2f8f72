package rule

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// loggedRecord is a finished transaction.
func loggedRecord(x *sample.Ctx) {
	r := x.Rec
	r.Accept, r.Request = time.Now(), time.Now()
	r.TR, r.Tw, r.Tc, r.Tr, r.Ta, r.Tt = 1, 0, 2, 13, 16, 17
	r.Status, r.Sent, r.Received = 200, 2750, 431
	r.ActConn, r.FeConn, r.BeConn, r.SrvConn = 12, 11, 5, 3
	r.ServerAddr = netip.MustParseAddrPort("10.9.8.7:8080")
}

func TestFormatsDoNotAllocate(t *testing.T) {
	for _, text := range []string{
		logformat.HTTPLog, logformat.TCPLog, logformat.HTTPSLog, logformat.CLFLog, "%{+X}ci %{+X}cp %Ts %T %Tl %trg", "%[capture.req.uri,lower] %[src,ipmask(24)] %[src_port,add(1)] %[fe_name] %[var(txn.x)]",
	} {
		f, err := logformat.Parse(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		x := request(t, example)
		loggedRecord(x)
		x.Rec.ReqCaptures = []string{"curl/7.88", ""}
		dst := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(200, func() { dst = f.Append(dst[:0], x) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func TestConditionsDoNotAllocate(t *testing.T) {
	x := request(t, example)
	acls := acl.NewACLs()
	for _, c := range []string{
		"{ path_beg /static }", "{ path_beg -i /STATIC }", "{ path_end .css .js }", "{ hdr(host) -i www.example.com:8080 }", "{ hdr_dom(host) -i example }", "{ hdr(x-list) e }", "{ hdr(x-list,-1) e }",
		"{ src 10.0.0.0/8 192.168.0.0/16 }", "{ hdr_ip(x-forwarded-for) 203.0.113.0/24 }", "{ method GET }", "{ path_reg ^/static/.*\\.css$ }", "{ path_sub css }", "{ path_dir css }", "{ urlp(v) 12 }", "{ cook(theme) dark }",
		"{ path,lower -m beg /static }", "{ base_beg www }", "{ dst_port 80 }", "{ ssl_fc }", "{ hdr_cnt(x-list) 4 }", "{ query -m found }", "{ path_len gt 5 }", "METH_GET HTTP_1.1 !LOCALHOST",
	} {
		cond, err := acl.ParseCond(strings.Fields(c), acls)
		if err != nil {
			t.Fatal(err)
		}
		cond.Eval(x)
		if n := testing.AllocsPerRun(200, func() { cond.Eval(x) }); n > 0 {
			t.Errorf("%s: %v allocations", c, n)
		}
	}
}

func TestRulesDoNotAllocate(t *testing.T) {
	for _, text := range []string{
		"set-header X-Forwarded-Proto https if { ssl_fc }", "set-header X-Forwarded-Proto http if !{ ssl_fc }", "set-header X-Client %[src]:%[src_port]", "del-header x-num", "deny if { path_beg /admin }",
		"redirect scheme https if !{ ssl_fc }", "return status 200 content-type text/plain lf-string %[path] hdr X-A %[src]", "set-var(txn.a) path,lower", "set-log-level silent if { path /x }", "del-header x- -m beg",
	} {
		r, err := ParseRule(Request, strings.Fields(text), acl.NewACLs())
		if err != nil {
			t.Fatal(err)
		}
		rules := Rules{r}
		x := request(t, example)
		raw := []byte(strings.ReplaceAll(example, "\n", "\r\n") + "\r\n\r\n")
		run := func() {
			if _, err := x.Req.ParseRequest(raw); err != nil {
				t.Fatal(err)
			}
			x.Rec.Vars.Reset()
			rules.Eval(x)
		}
		run()
		if n := testing.AllocsPerRun(200, run); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkHTTPLog(b *testing.B) { benchmarkFormat(b, logformat.HTTPLog) }
func BenchmarkTCPLog(b *testing.B)  { benchmarkFormat(b, logformat.TCPLog) }

func benchmarkFormat(b *testing.B, text string) {
	f, err := logformat.Parse(text, nil)
	if err != nil {
		b.Fatal(err)
	}
	x := request(b, example)
	loggedRecord(x)
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = f.Append(dst[:0], x)
	}
}

func BenchmarkRules(b *testing.B) {
	var rules Rules
	for _, text := range []string{
		"set-header X-Forwarded-Proto http if !{ ssl_fc }", "deny if { path_beg /admin /private } !{ src 10.0.0.0/8 }", "del-header X-Powered-By", "set-header X-Real-IP %[src]", "redirect scheme https if { hdr(host) -i secure.example }",
	} {
		r, err := ParseRule(Request, strings.Fields(text), acl.NewACLs())
		if err != nil {
			b.Fatal(err)
		}
		rules = append(rules, r)
	}
	x := request(b, example)
	raw := []byte(strings.ReplaceAll(example, "\n", "\r\n") + "\r\n\r\n")
	var parsed http1.Head
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parsed.ParseRequest(raw); err != nil {
			b.Fatal(err)
		}
		x.Req = &parsed
		rules.Eval(x)
	}
}
