package rule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
)

// Every mistake has to say what is wrong and the way out, so the sentences are
// part of what is tested.
func TestConditionMistakes(t *testing.T) {
	acls := acl.NewACLs()
	if err := acls.Define([]string{"static", "path_beg", "/static"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ cond, want string }{
		{"statik", "no such ACL : 'statik'; did you mean 'static'?"},
		{"METH_GRT", "did you mean 'METH_GET'?"},
		{"static ||| TRUE", "no such ACL : '|||'"},
		{"{ path /x", "missing closing '}' in condition"},
		{"{path /x }", "'{' must be a word of its own"},
		{"{ }", "missing fetch method"},
		{"{ set-cookie(x) y }", "unknown fetch method 'set-cookie'"},
		{"{ pth /x }", "unknown fetch method 'pth'; did you mean 'path'?"},
		{"{ path_beginning /x }", "unknown fetch method 'path_beginning'"},
		{"{ hdr_bg(host) x }", "did you mean 'hdr_beg'?"},
		{"{ path }", ""}, // a warning
		{"{ path -m found }", ""},
		{"{ path -m start /x }", "unknown matching method 'start'"},
		{"{ path -m }", "flag '-m' expects an argument"},
		{"{ path -q /x }", "unknown flag '-q'; the flags are -i, -f, -m, -M, -n, -u and --"},
		{"{ path -M /x }", "map files"},
		{"{ path_reg a(?=b)\\K }", `uses '\K', which PCRE has but this engine has not; write it as two conditions or without it`},
		{"{ path_reg ^(?R)$ }", "a recursion '(?R)'"},
		{"{ path_reg (a)?b(?(1)c|d) }", "a conditional '(?(...)'"},
		{"{ var(txn.a) x }", "write how to compare it, such as '-m str'"},
		{"{ var(txn.a) }", "write how to compare it, such as '-m str'"},
		{"{ path_reg ( }", "regex '(' is invalid (missing closing )"},
		{"{ src host.example }", "names are not resolved here, write the address"},
		{"{ src 1.2.3.4/33 }", "has an invalid netmask '33'"},
		{"{ src 10/8 }", "would be the network of 0.0.0.10; write all four octets"},
		{"{ dst_port http }", "'http' is not an integer nor a range such as 1024:65535"},
		{"{ dst_port : }", "is not an integer nor a range"},
		{"{ ssl_fc -m ip 1.2.3.4 }", "matching method 'ip' does not apply to a sample of type boolean"},
		{"{ path,nosuch /x }", "unknown converter 'nosuch'"},
		{"{ path,lowr /x }", "did you mean 'lower'?"},
		{"{ path,len 5 }", "its name in HAProxy is 'length'"},
		{"{ path(x) /x }", "too many arguments: 'x'"},
		{"{ hdr(host /x }", "expected ')'"},
		{`{ hdr("host) /x }`, "is not closed"},
		{"{ hdr(host,x) y }", "'x' is not an integer"},
		{"{ urlp(a),word(0,/) b }", "the index counts from 1"},
		{"{ path,word(1) b }", "missing arguments"},
		{"{ path,hex,add(x) b }", "neither an integer nor a variable"},
		{"{ var(x) y }", "it must begin with its scope, as in 'txn.x'"},
		{"{ var(foo.x) y }", "the scope 'foo' is unknown; use 'proc', 'sess', 'txn', 'req' or 'res'"},
		{"{ src_get_gpc(100) gt 1 }", "elements 0 to 99"},
		{"{ sc_get_gpc(0,3) gt 1 }", "counters 0 to 2"},
		{"{ sc_get_gpc0(3) gt 1 }", "there are counters 0 to 2, not 3"},
		{"{ path_beg,b64dec x }", "a binary sample has no matching method of its own; use '-m'"},
		{"{ path,b64dec,add(1) x }", "converter 'add' cannot be applied to a sample of type binary"},
		{"{ path]x y }", "unexpected ']x'"},
	} {
		_, err := acl.ParseCond(strings.Fields(c.cond), acls)
		checkError(t, c.cond, err, c.want)
	}
	for _, c := range []struct{ line, want string }{
		{"", "missing ACL name"},
		{"a=b path /x", "character '=' is not permitted in acl name 'a=b'"},
		{"or path /x", "'or' is the operator of conditions"},
		{"x", "missing fetch method"},
		{"x pathbeg /x", "error detected while parsing ACL 'x' : unknown fetch method 'pathbeg'; did you mean 'path_beg'?"},
	} {
		checkError(t, "acl "+c.line, acl.NewACLs().Define(strings.Fields(c.line)), c.want)
	}
}

func checkError(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && err == nil:
		t.Errorf("%s: accepted, want an error with %q", what, want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("%s:\n  error %q\n  wants %q", what, err, want)
	}
}

func TestRuleMistakes(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 20000), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ rule, want string }{
		{"", "expects an action, such as add-acl, add-header, allow"},
		{"set-headr X y", "but got 'set-headr'; did you mean 'set-header'?"},
		{"set-header", "expects a header name"},
		{"set-header X", "expects the value of 'X'"},
		{"set-header X if TRUE", "expects the value of 'X'"},
		{"set-header X y z", "expects 'if', 'unless' or nothing after its arguments, not 'z'"},
		{"set-header X:: y", "'X::' is not a header name"},
		{"set-header X %[path", "missing ']'"},
		{"set-header X %zz", "no such format variable 'zz'"},
		{"set-header X 100%", "you need to use '%%'"},
		{"set-header X %{+Zci", "a '}' is missing"},
		{"set-header X %{+Q}", "parse argument modifier without variable name near '%{+Q}'"},
		{"set-header X %[res.hdr(a)]", "use it in an http-response rule"},
		{"set-header X y if nosuch", "error detected in the condition of 'http-request set-header' : no such ACL : 'nosuch'"},
		{"set-header(X) y", "takes no parentheses"},
		{"set-var path", "expects a variable in parentheses, as in 'set-var(txn.name)'"},
		{"set-var(x) path", "it must begin with its scope"},
		{"set-var(txn.x", "expected ')'"},
		{"set-var(txn.x) nosuch", "unknown fetch method 'nosuch'"},
		{"set-status 200", "'set-status' is not an action of 'http-request'"},
		{"del-header", "expects a header name"},
		{"del-header x -m", "a matching method after '-m'"},
		{"del-header ^x -m rex", "use str, beg, end, sub or reg"},
		{"replace-header X", "expects a regular expression and its replacement"},
		{"replace-header X .*", "expects a replacement after the regular expression"},
		{"replace-header X ( y", "is invalid"},
		{"deny status", "expects a status code"},
		{"deny status 99", "between 200 and 599, not '99'"},
		{"deny deny_status 418", "status 418 has no error page; give the reply a payload"},
		{"deny stats 403", "unknown argument 'stats'; did you mean 'status'?"},
		{"deny string x", "a content-type must be given with a payload"},
		{"return deny_status 403", "'deny_status' belongs to deny"},
		{"return content-type a/b string x file y", "'string' and 'file' exclude each other"},
		{"return status 204 content-type a/b string x", "a 204 answer has no body"},
		{"return content-type a/b file /no/such", "cannot read the file"},
		{"return content-type a/b file " + big, "must fit in a buffer of 16384"},
		{"return errorfile " + broken, "does not begin with an HTTP response head"},
		{"redirect", "redirection type expected"},
		{"redirect locations /x", "unexpected keyword 'locations'; did you mean 'location'?"},
		{"redirect location /x code 305", "unsupported HTTP code '305'"},
		{"set-log-level loud", "'loud' is not a log level"},
		{"auth real x", "did you mean 'realm'"},
		{"auth realm", "expects a text after 'realm'"},
		{"track-sc0", "expects a key, such as src"},
		{"track-sc3 src", "did you mean"},
		{"sc-inc-gpc0(7)", "there are counters 0 to 2"},
		{"lua.x", "scripts are not run; set-header"},
		{"lua.cors_headers", "write http-response set-header Access-Control-Allow-Origin"},
		{"lua.auth-intercept x GET", "a proxy that does it (oauth2-proxy"},
		{"use-service lua.acme-http01", "let the ACME client answer by itself"},
		{"use-service lua.getpids", "http-request return status 200"},
		{"set-var(txn.x) src,lua.geoip", "src,map_ip(<file>)"},
		{"deny if !{ http_auth_bearer,lua.jwtverify }", "jwt_payload_query"},
		{"pause 10ms", "no rule waits by the clock"},
		{"set-bc-mark 1", "connections to servers serve many clients"},
		{"set-var(txn.x) fs.aborted", "rules run to their end"},
		{"set-var(txn.x) src,when(acl,x)", "two rules"},
		{"use-service lua.x", "scripts are not run; write an http-request return rule"},
		{"set-var(txn.x) lua.f(1)", "fetch method 'lua.f' is known to HAProxy, but not supported by lb yet: scripts are not run; converters"},
		{"deny if { path,lua.c x }", "converter 'lua.c' is known to HAProxy, but not supported by lb yet: scripts are not run; converters"},
		{"set-map(/f) k", "a value"},
		{"set-map() k v", "a file's name"},
		{"add-acl k", "a file's name in parentheses"},
		{"sc-inc-gpc(1)", "an element's number and a counter's"},
		{"sc-inc-gpc(100,0)", "elements 0 to 99"},
		{"sc-set-gpt(0,3) 1", "counters 0 to 2"},
		{"sc-add-gpc(0,0)", "an integer or an expression"},
		{"set-priority-class", "an expression"},
		{"set-var(txn.x,ifst) src", "'ifst' is not a condition of set-var; did you mean 'ifset'?"},
		{"deny if { path,len 1 }", "its name in HAProxy is 'length'"},
	} {
		_, err := ParseRule(Request, strings.Fields(c.rule), acl.NewACLs())
		checkError(t, "http-request "+c.rule, err, c.want)
	}
	for _, c := range []struct{ rule, want string }{
		{"set-header X %[path]", "'http-request set-var(txn.NAME) path' keeps the value, and var(txn.NAME) shows it there"},
		{"set-header X y if { path_beg /x }", ""},
		{"set-header X y if METH_GET", ""},
		{"set-header X y if HTTP_1.1", ""},
		{"set-path /x", "'set-path' is not an action of 'http-response'"},
		{"set-status 99", "between 200 and 999, not '99'"},
		{"redirect prefix /x", "a response can only be redirected by 'location'"},
	} {
		_, err := ParseRule(Response, strings.Fields(c.rule), acl.NewACLs())
		checkError(t, "http-response "+c.rule, err, c.want)
	}
	_, err := ParseRule(Request, []string{"set-header", "X", "a\r\nb"}, nil)
	checkError(t, "a line break", err, "holds a line break or a NUL")
	_, err = ParseRule(Request, []string{"redirect", "location", "/x", "set-cookie", "a\r\nb"}, nil)
	checkError(t, "a line break", err, "holds a line break or a NUL")
}

func TestFormatMistakes(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"%foo", "no such format variable 'foo'"},
		{"%Tcx", "no such format variable 'Tcx'; did you mean 'Tc'?"},
		{"%[path]", "which a log format does not have; a log format has %HPO for it"},
		{"%[req.hdr(x)]", "keeps the value, and var(txn.NAME) shows it there"},
		{"%[res.hdr(x)]", "'http-response set-var(txn.NAME) res.hdr(x)'"},
		{"%[src", "missing ']' after 'src'"},
		{"%[path_beg]", "'path_beg' is an ACL keyword, not a fetch method; use 'path'"},
		{"%", "truncated line after '%'"},
		{"a %- b", "no variable name after '%'"},
		{"%st %cc %Ci:%Cp", ""},
	} {
		_, err := logformat.Parse(c.format, nil)
		checkError(t, c.format, err, c.want)
	}
}

// Patterns from files: comments, blanks, DOS line ends and duplicates.
func TestPatternFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	paths := write("paths", "# comment\n\n/a\r\n  /static/css\n/a\n #hash\n")
	nets := write("nets", "10.0.0.0/8\n2001:db8::/32\n")
	empty := write("empty", "")
	x := request(t, example)
	for _, c := range []struct {
		cond string
		want bool
	}{
		{"{ path_beg -f " + paths + " }", true},
		{"{ path_beg -i -f " + paths + " }", true},
		{"{ path -f " + paths + " }", false},
		{"{ path -f " + paths + " /static/css/site.css }", true},
		{"{ path -m beg -f " + paths + " -f " + nets + " }", true},
		{"{ src -f " + nets + " }", true},
		{"{ src -n -f " + nets + " -- 1.2.3.4 }", true},
		{"{ src -f " + empty + " }", false},
		{"{ str(#hash) -f " + paths + " }", true},
	} {
		acls := acl.NewACLs()
		cond, err := acl.ParseCond(strings.Fields(c.cond), acls)
		if err != nil {
			t.Errorf("%s: %v", c.cond, err)
			continue
		}
		bindFiles(t, acls)
		if got := cond.Eval(x); got != c.want {
			t.Errorf("%s = %v", c.cond, got)
		}
	}
	_, err := acl.ParseCond(strings.Fields("{ path -f "+paths+" -m beg }"), nil)
	checkError(t, "-m after -f", err, "'-m' must stand before '-f'")
}
