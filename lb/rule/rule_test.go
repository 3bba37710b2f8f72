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

// request is a Ctx over a parsed request, as the engine makes one.
func request(t testing.TB, head string) *sample.Ctx {
	t.Helper()
	h := &http1.Head{}
	raw := []byte(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")
	if _, err := h.ParseRequest(raw); err != nil {
		t.Fatalf("request %q: %v", head, err)
	}
	at := time.Date(2026, 11, 21, 3, 4, 5, 123456789, time.UTC)
	return &sample.Ctx{Req: h, Rec: &sample.Record{Parties: sample.Parties{Client: netip.MustParseAddrPort("10.1.2.3:4567"), FrontAddr: netip.MustParseAddrPort("10.0.0.1:80"), Frontend: "web", Backend: "app", Server: "s1"}, Timers: sample.Timers{Accept: at, Request: at}, Hostname: "node1", Pid: 4711, Method: h.Method(), URI: h.URI(), Minor: h.Minor(), Status: -1, Term: [4]byte{'-', '-', '-', '-'}}}
}

const example = `GET /static/css/site.css?v=12&name=a%20b&empty HTTP/1.1
Host: www.Example.com:8080
User-Agent: curl/7.88
X-List: a, "b,c" ,d
X-Forwarded-For: 192.0.2.7, 203.0.113.9:443
X-List: e
Cookie: sid=abc; theme=dark; sid=def
Content-Length: 0
Empty:`

func TestConditions(t *testing.T) {
	acls := acl.NewACLs()
	for _, line := range []string{
		"static path_beg /static /img", "css path_end .css", "api path_beg /api", "css2 path_end .css", "js path_end .js",
		"internal src 10.0.0.0/8", "host hdr(host) -i www.example.com:8080", "twice path /a", "twice path_beg /static",
	} {
		if err := acls.Define(strings.Fields(line)); err != nil {
			t.Fatalf("acl %s: %v", line, err)
		}
	}
	x := request(t, example)
	for _, c := range []struct {
		cond string
		want bool
	}{
		{"static", true}, {"!static", false}, {"! static", false}, {"api", false}, {"static css", true}, {"static js", false}, {"api or css", true},
		{"api || js || css", true}, {"api or js", false}, {"!!static", true}, {"!api !js", true}, {"host", true}, {"twice", true}, {"internal", true},
		{"TRUE", true}, {"FALSE", false}, {"METH_GET", true}, {"METH_POST", false}, {"HTTP_1.1", true}, {"HTTP_1.0", false}, {"LOCALHOST", false}, {"HTTP", true},
		{"HTTP_URL_SLASH", true}, {"HTTP_URL_ABS", false}, {"HTTP_CONTENT", false},
		{"{ path /static/css/site.css }", true}, {"{ path -i /STATIC/css/site.CSS }", true}, {"{ path -i /STATIC }", false}, {"!{ path /x }", true}, {"{ path /x } or static", true},
		{"{ path -m beg /static }", true}, {"{ path_beg -i /STATIC }", true}, {"{ path_sub css/si }", true}, {"{ path_sub -i CSS/SI }", true}, {"{ path_dir css }", true},
		{"{ path_dir cs }", false}, {"{ path_dir static/css }", true}, {"{ path_dir /static/ }", true}, {"{ path_dir site.css }", true}, {"{ path_dir ite.css }", false},
		{"{ path_reg ^/static/.*\\.css$ }", true}, {"{ path_reg -i ^/STATIC }", true}, {"{ path_reg ^/x }", false}, {"{ path_len 20 }", true}, {"{ path_len gt 20 }", false},
		{"{ path_len ge 20 }", true}, {"{ path_len 1:30 }", true}, {"{ path_len :19 }", false}, {"{ path_len 20: }", true}, {"{ path_len lt 20 }", false}, {"{ path_len le 20 }", true}, {"{ path_len 5 eq 20 }", true},
		{"{ url_beg /static }", true}, {"{ url_sub v=12 }", true}, {"{ query v=12&name=a%20b&empty }", true}, {"{ query -m found }", true},
		{"{ hdr(host) www.Example.com:8080 }", true}, {"{ hdr(HOST) -i www.example.com:8080 }", true}, {"{ hdr_dom(host) -i example.com }", true}, {"{ hdr_dom(host) -i ample.com }", false},
		{"{ hdr_dom(host) 8080 }", true}, {"{ hdr_beg(host) www. }", true}, {"{ hdr_end(host) :8080 }", true}, {"{ hdr_reg(host) Ex.mple }", true}, {"{ hdr_sub(user-agent) -i CURL }", true},
		{"{ hdr(x-list) d }", true}, {"{ hdr(x-list) e }", true}, {"{ hdr(x-list) \"b,c\" }", true}, {"{ hdr(x-list) b }", false}, {"{ hdr(x-list,1) a }", true}, {"{ hdr(x-list,2) a }", false},
		{"{ hdr(x-list,-1) e }", true}, {"{ hdr(x-list,-4) a }", true}, {"{ hdr(x-list,-5) -m found }", false}, {"{ hdr(x-list,5) -m found }", false}, {"{ req.fhdr(x-list) e }", true},
		{"{ req.fhdr(x-list,1) -m beg a, }", true}, {"{ hdr_cnt(x-list) 4 }", true}, {"{ req.fhdr_cnt(x-list) 2 }", true}, {"{ hdr_cnt(nope) 0 }", true}, {"{ hdr(nope) -m found }", false},
		{"{ hdr(empty) -m found }", true}, {"{ hdr(empty) -m len 0 }", true}, {"{ hdr_ip(x-forwarded-for) 192.0.2.7 }", true}, {"{ hdr_ip(x-forwarded-for) 203.0.113.0/24 }", true},
		{"{ hdr_ip(x-forwarded-for,-1) 192.0.2.7 }", false}, {"{ hdr_ip(x-list) 0.0.0.0/0 }", false}, {"{ hdr_val(content-length) 0 }", true},
		{"{ cook(sid) abc }", true}, {"{ cook(sid) def }", true}, {"{ req.cook(theme) dark }", true}, {"{ cook(nope) -m found }", false}, {"{ cook_cnt(sid) 2 }", true}, {"{ cook_beg(theme) da }", true},
		{"{ urlp(v) 12 }", true}, {"{ urlp(v) -m int gt 11 }", true}, {"{ url_param(name) a%20b }", true}, {"{ urlp(empty) -m found }", false}, {"{ urlp(nope) -m found }", false}, {"{ urlp(name),url_dec -m sub b }", true},
		{"{ src 10.1.2.3 }", true}, {"{ src 10.1.2.0/24 172.16/12 }", true}, {"{ src 10 }", false}, {"{ src 10.0/8 }", true}, {"{ src 10.0.0.0/255.0.0.0 }", true}, {"{ src ::1 }", false}, {"{ src ::ffff:10.1.2.3 }", true},
		{"{ dst 10.0.0.1 }", true}, {"{ src_port 4567 }", true}, {"{ dst_port 80 443 }", true}, {"{ dst_port gt 1024 }", false}, {"{ src_port 1024:65535 }", true},
		{"{ method GET }", true}, {"{ method POST PUT }", false}, {"{ method -i get }", false}, {"{ method get }", false}, {"{ req.ver 1.1 }", true}, {"{ ssl_fc }", false}, {"!{ ssl_fc }", true}, {"{ ssl_fc_sni -m found }", false},
		{"{ base_beg www.Example.com:8080/static }", true}, {"{ base_dom Example.com }", true}, {"{ always_true }", true}, {"{ int(5) gt 4 }", true}, {"{ int(-5) lt 0 }", true}, {"{ int(-5) -5 }", true}, {"{ str(x) x }", true}, {"{ str(x) -m str y x }", true},
		{"{ bool(true) }", true}, {"{ bool(false) }", false}, {"{ path,lower -m beg /static }", true}, {"{ path,length 20 }", true}, {"{ path_beg,lower /static/css/site.css }", true}, {"{ path,hex -m bin 32 }", false},
		{"{ str(A) -m bin 41 }", true}, {"{ str(-i) -- -i }", true}, {"{ str(a) -i -m str A }", true}, {"{ path -m end -i .CSS }", true}, {"{ fe_name web }", true}, {"{ path /a /b /static/css/site.css }", true},
	} {
		got, err := acl.ParseCond(words(c.cond), acls)
		if err != nil {
			t.Errorf("%s: %v", c.cond, err)
			continue
		}
		if v := got.Eval(x); v != c.want {
			t.Errorf("%s = %v, want %v", c.cond, v, c.want)
		}
		if v := got.Negate().Eval(x); v == c.want {
			t.Errorf("unless %s = %v, want %v", c.cond, v, !c.want)
		}
	}
}

// words splits on blanks; double quotes keep their place as data.
func words(line string) []string { return strings.Fields(line) }

func TestNeeds(t *testing.T) {
	rule := func(stage Stage) func(string, *acl.ACLs) error {
		return func(line string, acls *acl.ACLs) error {
			_, err := ParseRule(stage, words(line), acls)
			return err
		}
	}
	format := func(text string, acls *acl.ACLs) error { _, err := logformat.Parse(text, &acls.Uses); return err }
	for _, c := range []struct {
		parse       func(string, *acl.ACLs) error
		line        string
		rules, logs sample.Needs
	}{
		{rule(Request), "set-header X %[src]", 0, 0},
		{rule(Request), "set-header X %[dst]", sample.NeedsFrontAddr, 0},
		{rule(Request), "deny if { dst_port 443 }", sample.NeedsFrontAddr, 0},
		{rule(Request), "set-var(txn.a) dst_port", sample.NeedsFrontAddr, 0},
		{rule(Request), "redirect location /%[dst]", sample.NeedsFrontAddr, 0},
		{rule(Request), "return content-type a/b lf-string %fi", sample.NeedsFrontAddr, 0},
		{rule(Request), "return hdr X %bi", sample.NeedsBackAddr, 0},
		{rule(Request), "deny if { path /dst }", 0, 0},
		{rule(Session), "reject if { dst 1.2.3.4 }", sample.NeedsFrontAddr, 0},
		{func(l string, a *acl.ACLs) error { _, err := ParseStick(words(l), a); return err }, "on dst", sample.NeedsFrontAddr, 0},
		{func(l string, a *acl.ACLs) error { _, err := acl.ParseCond(words(l), a); return err }, "{ dst_port 443 }", sample.NeedsFrontAddr, 0},
		{func(l string, a *acl.ACLs) error { return a.Define(words(l)) }, "tls dst_port 443", sample.NeedsFrontAddr, 0},
		{func(l string, a *acl.ACLs) error { _, err := logformat.ParseText(l, &a.Uses); return err }, "%fi", sample.NeedsFrontAddr, 0},
		{format, logformat.HTTPLog, 0, 0},
		{format, "%fp %bp", 0, sample.NeedsFrontAddr | sample.NeedsBackAddr},
		{format, "%[dst_port]", 0, sample.NeedsFrontAddr},
		{format, "%lc", 0, sample.NeedsLogCount},
	} {
		acls := acl.NewACLs()
		if err := c.parse(c.line, acls); err != nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		if rules, logs := acls.Needs(), acls.LogNeeds(); rules != c.rules || logs != c.logs {
			t.Errorf("%s needs %b and for logs %b, want %b and %b", c.line, rules, logs, c.rules, c.logs)
		}
	}
}
