package rule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/syslogd/message"
)

// one compiles a request rule whose words are separated by blanks.
func one(t *testing.T, text string) Rules {
	t.Helper()
	r, err := ParseRule(Request, ruleWords(text), acl.NewACLs())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return Rules{r}
}

// What a client sends must never become a second request line or header.
func TestSamplesCannotBreakTheRequest(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"set-path %[hdr(x-in),url_dec]", "GET a%20HTTP/1.1%0D%0AX:%20y%E9%00?q=1 HTTP/1.1"},
		{"set-query %[hdr(x-in),url_dec]", "GET /p?a%20HTTP/1.1%0D%0AX:%20y%E9%00 HTTP/1.1"},
		{"set-uri /%[hdr(x-in),url_dec]", "GET /a%20HTTP/1.1%0D%0AX:%20y%E9%00 HTTP/1.1"},
		{"replace-path (.*) \\1%[hdr(x-in),url_dec]", "GET /pa%20HTTP/1.1%0D%0AX:%20y%E9%00?q=1 HTTP/1.1"},
		{"set-path %[hdr(nope)]", "GET /?q=1 HTTP/1.1"},
		{"set-uri %[hdr(nope)]", "GET / HTTP/1.1"},
		{"set-method %[hdr(x-in),url_dec]", "GET /p?q=1 HTTP/1.1"},
		{"set-method %[str(PATCH)]", "PATCH /p?q=1 HTTP/1.1"},
	} {
		x := request(t, "GET /p?q=1 HTTP/1.1\nHost: h\nX-In: a%20HTTP/1.1%0d%0aX:%20y%e9%00")
		one(t, c.rule).Eval(x)
		got, _, _ := strings.Cut(string(x.Req.Append(nil)), "\r\n")
		// The header's own encoder takes control characters first, so a "%" of
		// theirs stays as it is.
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.rule, got, c.want)
		}
	}
}

// A server goes by an absolute target, so it has to agree with Host.
func TestHostAndTargetAgree(t *testing.T) {
	x := request(t, "GET http://old/p HTTP/1.1\nHost: old")
	one(t, "set-header Host new").Eval(x)
	if got := string(x.Req.URI()); got != "http://new/p" {
		t.Errorf("target %s", got)
	}
	one(t, "set-uri http://other:81/x").Eval(x)
	if got := string(x.Req.Get("host")); got != "other:81" {
		t.Errorf("host %s", got)
	}
	x = request(t, "GET /p HTTP/1.1\nHost: old")
	one(t, "set-header Host new").Eval(x)
	if got := string(x.Req.URI()); got != "/p" {
		t.Errorf("target %s", got)
	}
}

func TestErrorfileReply(t *testing.T) {
	file := filepath.Join(t.TempDir(), "maintenance.http")
	if err := os.WriteFile(file, []byte("HTTP/1.0 503 Down\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Length: 6\r\nContent-Type: text/html\r\n\r\n<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := request(t, "GET / HTTP/1.1\nHost: h")
	if v := one(t, "return errorfile "+file).Eval(x); v != Return {
		t.Fatalf("verdict %s", v)
	}
	r := x.Reply
	if r.Status != 503 || string(r.Reason) != "Down" || string(r.Body) != "<html>" || string(r.Header) != "Cache-Control: no-cache\r\nContent-Type: text/html\r\n" {
		t.Errorf("reply %d %s %q %q", r.Status, r.Reason, r.Header, r.Body)
	}
}

// TestLenientRules: with strict-mode off a rule that makes a head too large leaves it as it was; the next set of rules is strict again.
func TestLenientRules(t *testing.T) {
	big := strings.Repeat("x", 60)
	rules := rulesOf(t, acl.NewACLs(), Request, "set-header A "+big+" if { path_beg /s }", "strict-mode off if { path_end off }", "set-header Host "+big, "set-path /"+big, "set-method "+big, "set-header B b", "strict-mode on", "set-header C "+big)
	for path, want := range map[string]string{
		"/off": "GET /off HTTP/1.1\r\nHost: h\r\nB: b\r\nC: " + big + "\r\n\r\n",
		"/s":   big + " /" + big + " HTTP/1.1\r\nA: " + big + "\r\nHost: " + big + "\r\nB: b\r\nC: " + big + "\r\n\r\n",
	} {
		x := request(t, "GET "+path+" HTTP/1.1\nHost: h")
		x.Room = 80
		if v := rules.Eval(x); v != Continue {
			t.Error(path, v)
		}
		if got := string(x.Req.Append(nil)); got != want {
			t.Errorf("%s:\n got %q\nwant %q", path, got, want)
		}
	}
	x := request(t, "GET /a HTTP/1.1\nHost: h")
	x.Room = 80
	rulesOf(t, acl.NewACLs(), Request, "strict-mode off").Eval(x)
	rulesOf(t, acl.NewACLs(), Request, "set-header A "+big).Eval(x)
	if x.Req.Get("a") == nil {
		t.Error("the next set is lenient too")
	}
}

func TestLogLevel(t *testing.T) {
	for text, want := range map[string]int8{
		"set-log-level silent": sample.LevelSilent, "set-log-level emerg": int8(message.Emerg) + 1, "set-log-level debug": int8(message.Debug) + 1, "allow": 0,
	} {
		x := request(t, "GET / HTTP/1.1\nHost: h")
		one(t, text).Eval(x)
		if x.Rec.Level != want {
			t.Errorf("%s: level %d, want %d", text, x.Rec.Level, want)
		}
	}
}

// Variables outlive the request's own buffers, and one transaction's are not
// another's.
func TestVariables(t *testing.T) {
	x := request(t, "GET /one HTTP/1.1\nHost: h")
	var vs sample.Vars
	x.Rec.Vars = vs
	for _, text := range []string{"set-var(txn.a) path", "set-var(txn.b) src", "set-var(txn.c) int(7)", "set-var(txn.a) path,upper", "set-var(txn.none) hdr(none)"} {
		one(t, text).Eval(x)
	}
	copy(x.Req.URI(), "/xxx")
	f, err := logformat.Parse("%[var(txn.a)] %[var(txn.b)] %[var(txn.c),add(txn.c)] %[var(txn.none)]", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, x)); got != "/ONE 10.1.2.3 14 -" {
		t.Errorf("got %s", got)
	}
	x.Rec.Vars.Reset()
	if got := string(f.Append(nil, x)); got != "- - - -" {
		t.Errorf("after Reset: %s", got)
	}
	one(t, "set-var(txn.c) path").Eval(x) // takes the slot that held txn.a
	if got := string(f.Append(nil, x)); got != "- - - -" && !strings.HasPrefix(got, "- - ") {
		t.Errorf("after reuse: %s", got)
	}
}

func TestRulesStopInOrder(t *testing.T) {
	var rules Rules
	for _, text := range []string{
		"set-header X-A 1", "deny if { path /secret }", "allow if { path /open }", "redirect scheme https unless { ssl_fc }", "return status 204",
	} {
		rules = append(rules, one(t, text)...)
	}
	for target, want := range map[string]Verdict{"/secret": Deny, "/open": Allow, "/": Redirect} {
		x := request(t, "GET "+target+" HTTP/1.1\nHost: h")
		if v := rules.Eval(x); v != want {
			t.Errorf("%s: %s, want %s", target, v, want)
		}
		if string(x.Req.Get("x-a")) != "1" {
			t.Errorf("%s: the first rule did not run", target)
		}
	}
	x := request(t, "GET / HTTP/1.1\nHost: h")
	x.Rec.TLS = true
	if v := rules.Eval(x); v != Return || x.Reply.Status != 204 {
		t.Errorf("over TLS: %s", v)
	}
	if got := rules[3].String(); got != "redirect scheme https unless { ssl_fc }" {
		t.Errorf("String is %q", got)
	}
}

func TestBlanksOfALogLine(t *testing.T) {
	x := request(t, "GET / HTTP/1.1\nHost: h")
	for format, want := range map[string]string{
		"  a   b  ":        "a b ",
		"%hr %hs x":        "x",
		"a %hr %hs x":      "a x",
		"a%hr%hs x":        "a x",
		"a %hr":            "a ",
		"%f  %hr  %b":      "web app",
		"%% %f%%":          "% web%",
		"a\t\n%f":          "a web",
		"%hr%f %hr %hr %b": "web app",
		"":                 "",
	} {
		f, err := logformat.Parse(format, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.Append(nil, x)); got != want {
			t.Errorf("%q: %q, want %q", format, got, want)
		}
	}
	x.Rec.ReqCaptures, x.Rec.ResCaptures = []string{"a", ""}, []string{""}
	f, err := logformat.Parse("1 %hr %hs %hrl 2", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, x)); got != "1 {a|} {} a - 2" {
		t.Errorf("got %q", got)
	}
}
