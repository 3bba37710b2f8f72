package rule

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/sample"
)

// oracleRule is one or more rules ("|" between them) that only their own
// request meets. Words are separated by blanks; "~" inside a word stands for
// one.
var oracleRules = []string{
	"http-request set-header X-New value",
	"http-request set-header x-list one",
	"http-request set-header X-New %[src]:%[path,upper]:%[hdr(nope)]",
	"http-request set-header X-Enc2 %[hdr(x-enc),url_dec]",
	"http-request set-header Host new.example",
	"http-request add-header X-List f",
	"http-request add-header X-Copy %[req.fhdr(x-list,1)]",
	"http-request set-header X-Log %ci~%HM~%HU~%HV~%f~%r",
	"http-request set-header X-Q %{+Q}HM~%{+Q}[path]",
	"http-request del-header x-list",
	"http-request del-header X- -m beg",
	"http-request del-header -List -m end",
	"http-request del-header ^x-(list|num)$ -m reg",
	"http-request del-header num -m sub",
	"http-request replace-header X-List a(.*)d <\\1>",
	"http-request replace-header X-List nomatch <\\1>",
	"http-request replace-header User-Agent ^(.).* \\1\\1\\0",
	"http-request replace-value X-List ([a-d]) <\\1>",
	"http-request replace-value X-Forwarded-For ^192\\. %[src].",
	"http-request replace-header Cookie (.*)theme=[a-z]*;(.*) \\1\\2",
	"http-request set-path /new",
	"http-request set-path /new%[path]",
	"http-request set-path %[path,regsub(static,img)]",
	"http-request set-pathq /p?q=%[query,length]",
	"http-request set-query only=1",
	"http-request set-query %[query,regsub(v=12,v=13)]",
	"http-request set-uri /whole?a=b",
	"http-request set-uri http://other.example%[pathq]",
	"http-request replace-path ^/static(/.*) \\1",
	"http-request replace-path (.*)/css/(.*) \\1/js/\\2",
	"http-request replace-pathq (.*)\\?(.*) /x\\1&\\2",
	"http-request replace-uri (.*) http://h.example\\1",
	"http-request replace-uri nomatch /never",
	"http-request set-method PUT",
	"http-request set-var(txn.a) path,upper|http-request set-header X-Var %[var(txn.a)]:%[var(txn.a),length]:%[var(txn.none)]",
	"http-request set-var(txn.n) int(5)|http-request set-var(req.m) var(txn.n),add(2)|http-request set-header X-Var %[var(req.m),mul(txn.n)]",
	"http-request set-var-fmt(txn.f) a=%[src]~b|http-request set-header X-Var %[var(txn.f),concat(<,txn.f,>)]",
	"http-request set-var(txn.a) path|http-request unset-var(txn.a)|http-request set-header X-Var [%[var(txn.a)]]",
	"http-request set-var(txn.h) hdr(host)|http-request set-header X-Var %[str(www.Example.com:8080),strcmp(txn.h)]",
	"http-request allow|http-request set-header X-Never 1",
	"http-request deny",
	"http-request deny deny_status 429",
	"http-request deny status 503",
	"http-request deny status 418",
	"http-request deny status 418 content-type text/plain string no~tea",
	"http-request deny status 451 content-type text/html lf-string <%[src]> hdr X-Why %[path] hdr X-Two b",
	"http-request return status 200 content-type text/plain string hello",
	"http-request return content-type text/plain lf-string %[path]~%[hdr(x-enc),url_dec]",
	"http-request return status 204",
	"http-request return status 404",
	"http-request return status 404 default-errorfiles",
	"http-request redirect location /there",
	"http-request redirect location /there?from=%[path] code 301",
	"http-request redirect prefix https://other.example",
	"http-request redirect prefix https://other.example drop-query code 308",
	"http-request redirect prefix / drop-query append-slash",
	"http-request redirect prefix /pre/ set-cookie SEEN=1",
	"http-request redirect prefix http://%[hdr(host),host_only] code 307",
	"http-request redirect scheme https",
	"http-request redirect scheme https code 303 drop-query",
	"http-request redirect location / clear-cookie USERID=",
	"http-request redirect location %[hdr(nope)] ignore-empty",
	"http-request redirect location http://x/%[hdr(x-enc),url_dec]",
	"redirect location /plain%[path]",
	"redirect prefix http://plain.example code 301",
	"http-response set-header X-New %[res.hdr(x-one)]-%[status]",
	"http-response set-header X-New %[hdr(x-one)]",
	"http-response add-header X-One 2",
	"http-response del-header x-one",
	"http-response replace-header Set-Cookie (.*) \\1;~Secure",
	"http-response replace-value X-Many b c",
	"http-response set-status 503",
	"http-response set-status 418 reason teapot~here",
	"http-response deny",
	"http-response deny deny_status 503",
	"http-response return status 200 content-type text/plain string other",
	"http-response redirect location /elsewhere",
	"http-request set-var(txn.p) path|http-response set-header X-Path %[var(txn.p)]",
	"http-request set-header X-A 1|http-response set-header X-Uri %[capture.req.uri]",
	"http-response set-header X-Cook %[res.cook(sess)]:%[res.hdr_cnt(x-many)]:%[res.ver]",
}

const oracleResponse = "HTTP/1.1 201 Made\r\nX-One: 1\r\nX-Many: a, b, c\r\nSet-Cookie: sess=77; Path=/\r\nContent-Length: 2\r\n\r\nok"

// backendCatching answers every request with oracleResponse and hands on the
// request's head.
func backendCatching(t *testing.T) (addr string, heads <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			head := ""
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == "\r\n" {
					break
				}
				head += line
			}
			if head != "" {
				got <- head
				io.WriteString(c, oracleResponse)
			}
			c.Close()
		}
	}()
	return l.Addr().String(), got
}

// normal is a head as a sorted list of lower-case field lines after its
// start line; what each proxy adds for its own connection is left out.
func normal(head string) string {
	lines := strings.Split(strings.TrimSpace(head), "\r\n")
	var fields []string
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		switch name = strings.ToLower(name); name {
		case "connection", "x-case", "content-length", "date":
			continue
		}
		fields = append(fields, name+": "+strings.TrimSpace(value))
	}
	slices.Sort(fields)
	return lines[0] + "\n" + strings.Join(fields, "\n")
}

func TestRulesAgreeWithHAProxy(t *testing.T) {
	server, heads := backendCatching(t)
	port := freePort(t)
	quote := func(w string) string { return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'" }
	cfg := oracleHead + fmt.Sprintf("frontend f\n bind 127.0.0.1:%d\n log 127.0.0.1:9 local0\n option httplog\n http-request set-var(txn.case) hdr(x-case)\n default_backend b\nbackend b\n server s %s\n", port, server)
	var redirects string
	for i, one := range oracleRules {
		for _, line := range strings.Split(one, "|http-") {
			if !strings.HasPrefix(line, "http-") && !strings.HasPrefix(line, "redirect") {
				line = "http-" + line
			}
			quoted := " "
			for _, w := range ruleWords(line) {
				quoted += quote(w) + " "
			}
			text := fmt.Sprintf("%s if { var(txn.case) -m str %d }\n", quoted, i)
			if strings.HasPrefix(line, "redirect") {
				redirects += text
			} else {
				cfg += text
			}
		}
	}
	haproxy(t, cfg+redirects, port)
	for i, one := range oracleRules {
		request := strings.Replace(oracleRequest, "\r\n", fmt.Sprintf("\r\nX-Case: %d\r\n", i), 1)
		answer, from := ask(t, port, request)
		seen := ""
		select {
		case seen = <-heads:
		default: // HAProxy answered by itself
		}

		x := oracleCtx(t, from, port)
		if _, err := x.Req.ParseRequest([]byte(request)); err != nil {
			t.Fatal(err)
		}
		x.Rec.Frontend = "f"
		verdict := Continue
		var reqRules, resRules Rules
		for _, line := range strings.Split(one, "|http-") {
			if !strings.HasPrefix(line, "http-") && !strings.HasPrefix(line, "redirect") {
				line = "http-" + line
			}
			w := ruleWords(line)
			var r *Rule
			var err error
			switch w[0] {
			case "redirect":
				r, err = ParseRedirect(w[1:], acl.NewACLs())
				reqRules = append(reqRules, r)
			case "http-request":
				r, err = ParseRule(Request, w[1:], acl.NewACLs())
				reqRules = append(reqRules, r)
			default:
				r, err = ParseRule(Response, w[1:], acl.NewACLs())
				resRules = append(resRules, r)
			}
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		verdict = reqRules.Eval(x)
		if verdict == Continue || verdict == Allow {
			if seen == "" {
				t.Errorf("%s: we go on, HAProxy answers %q", one, answer)
				continue
			}
			if got, want := normal(string(x.Req.Append(nil))), normal(seen); got != want {
				t.Errorf("%s: our request\n%s\nHAProxy's\n%s", one, got, want)
			}
			x.Req, x.Res = nil, &http1.Head{}
			if _, err := x.Res.ParseResponse([]byte(oracleResponse)); err != nil {
				t.Fatal(err)
			}
			if verdict = resRules.Eval(x); verdict == Continue || verdict == Allow {
				head, _, _ := strings.Cut(answer, "\r\n\r\n")
				if got, want := normal(string(x.Res.Append(nil))), normal(head); got != want {
					t.Errorf("%s: our response\n%s\nHAProxy's\n%s", one, got, want)
				}
				continue
			}
		} else if seen != "" {
			t.Errorf("%s: we say %s, HAProxy goes on with %q", one, verdict, seen)
			continue
		}
		compareReply(t, one, &x.Reply, answer)
	}
}

// ruleWords splits a rule of the table.
func ruleWords(line string) []string {
	words := strings.Fields(line)
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "~", " ")
	}
	return words
}

func compareReply(t *testing.T, rule string, r *sample.Reply, answer string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("%s: HAProxy's answer %q: %v", rule, answer, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != res.StatusCode {
		t.Errorf("%s: we answer %d, HAProxy %d", rule, r.Status, res.StatusCode)
	}
	if r.ErrorFile {
		if !bytes.Contains(body, []byte("<html>")) {
			t.Errorf("%s: we send the error page, HAProxy %q", rule, body)
		}
		return
	}
	if !bytes.Equal(r.Body, body) {
		t.Errorf("%s: our body %q, HAProxy's %q", rule, r.Body, body)
	}
	head, _, _ := strings.Cut(answer, "\r\n\r\n")
	start, _, _ := strings.Cut(head, "\r\n")
	if got, want := normal(start+"\r\n"+string(r.Header)), normal(head); got != want {
		t.Errorf("%s: our reply\n%s\nHAProxy's\n%s", rule, got, want)
	}
}
