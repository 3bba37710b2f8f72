package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWarnsAsHAProxy: what HAProxy warns of, lb says, too, and of what it does not warn neither does lb: with 'zero-warning' both refuse the
// same files.
func TestWarnsAsHAProxy(t *testing.T) {
	v := newVerdicts(t)
	warns := func(text, part string) {
		t.Helper()
		v.accept(text, part)
		v.refuse("global\n  zero-warning\n"+text, "zero-warning")
	}
	silent := func(text string) {
		t.Helper()
		v.accept("global\n  zero-warning\n"+text, "")
	}
	const (
		before = "rule will still be processed before"
		noop   = "further entries are NOOP"
		http   = "as it requires HTTP mode"
	)
	in := func(lines string) string {
		return strings.Replace(inFrontendSection(lines), "  default_backend b\n", "  default_backend b\n  acl a path /a\n", 1)
	}
	// A line that stands after those of rules that are asked later.
	warns(in("use_backend b2 if a\nredirect location /x if a"), "a 'redirect' rule placed after a 'use_backend' "+before)
	warns(in("redirect location /x if a\nhttp-request set-header X 1"), "a 'http-request' rule placed after a 'redirect' "+before)
	warns(in("http-request set-header X 1\nmonitor fail if a"), "a 'monitor fail' rule placed after an 'http-request' "+before)
	warns(in("monitor fail if a\ntcp-request content accept if a"), "a 'tcp-request' rule placed after a 'monitor fail' "+before)
	warns(in("tcp-request content accept if a\ntcp-request session accept"), "a 'tcp-request' rule placed after a 'tcp-request content' "+before)
	warns(in("tcp-request session accept\ntcp-request connection accept"), "a 'tcp-request' rule placed after a 'tcp-request session' "+before)
	warns(inBackendSection("use-server s if { path /a }\nhttp-request set-header X 1"), "a 'http-request' rule placed after a 'use-server' "+before)
	silent(in("tcp-request connection accept\ntcp-request session accept\ntcp-request content accept if a\nmonitor fail if a\nhttp-request set-header X 1\nredirect location /x if a\nuse_backend b2 if a\n" +
		"http-response set-header X 1\nhttp-after-response set-header X 1\ntcp-request inspect-delay 1s"))
	silent("defaults r\n  mode http\n" + timeouts + "  http-request set-header X 1\nfrontend f from r\n  bind 127.0.0.1:18000\n  tcp-request content accept\n  default_backend b\ndefaults\n  mode http\n" + timeouts + "backend b\n  server s 127.0.0.1:1\n")
	// A line that no request gets to.
	for _, action := range []string{"allow", "deny", "tarpit", "auth realm x", "redirect location /", "return status 200"} {
		warns(in("http-request "+action+"\nhttp-request set-header X 1"), "previous 'http-request' action is final and has no condition attached, "+noop)
		silent(in("http-request " + action + " if a\nhttp-request set-header X 1"))
	}
	warns(in("http-response deny\nhttp-response set-header X 1"), "previous 'http-response' action is final")
	warns(in("http-after-response allow\nhttp-after-response set-header X 1"), "previous 'http-after-response' action is final")
	silent(in("http-request reject\nhttp-request silent-drop\nhttp-request set-header X 1"))
	silent("defaults r\n  mode http\n" + timeouts + "  http-request allow\nfrontend f from r\n  bind 127.0.0.1:18000\n  http-request set-header X 1\n  default_backend b\ndefaults\n  mode http\n" + timeouts + "backend b\n  server s 127.0.0.1:1\n")
	// What means nothing in mode tcp, be it the proxy's own line or one of its defaults.
	tcp := func(lines, own string) string {
		return "defaults\n  mode http\n" + timeouts + indent(lines) + "frontend f\n  mode tcp\n  bind 127.0.0.1:18000\n  default_backend b\n" + indent(own) + "backend b\n  mode tcp\n  server s 127.0.0.1:1\n"
	}
	for _, o := range []string{"forwardfor", "originalto", "http-buffer-request", "http-ignore-probes", "idle-close-on-response", "prefer-last-server", "accept-invalid-http-request", "accept-invalid-http-response",
		"http-use-proxy-header", "http-pretend-keepalive", "http-no-delay", "disable-h2-upgrade", "checkcache"} {
		warns(tcp("option "+o, ""), "'option "+o+"' ignored for ")
	}
	warns(tcp("cookie X insert", ""), "'cookie' ignored for backend 'b' "+http)
	warns(tcp("stats uri /x", ""), "'stats' ignored for frontend 'f' "+http)
	warns(tcp("monitor-uri /x", ""), "'monitor-uri' ignored for frontend 'f' "+http)
	for _, b := range []string{"uri", "url_param x", "hdr(x)"} {
		warns(tcp("balance "+b, ""), "ignored for backend 'b' as it requires HTTP mode. Falling back to round robin")
	}
	warns(strings.Replace(tcp("", ""), "127.0.0.1:1\n", "127.0.0.1:1 cookie c\n", 1), "ignoring cookie for server 's' as HTTP mode is disabled")
	silent(tcp("compression algo gzip\nbalance rdp-cookie\nerrorfile 503 /dev/null\nunique-id-header X\nunique-id-format %ci\nhttp-send-name-header X\noption http-server-close\nno option checkcache", "unique-id-format %ci"))
	silent(tcp("option http-buffer-request\nno option http-buffer-request", ""))
	// A format without an address for its lines.
	warns(in("log-format-sd %ci"), "log format ignored for frontend 'f' since it has no log address")
	silent(in("error-log-format %ci"))
	unused := "global\n  log 127.0.0.1:514 local0\n" + in("option httplog")
	v.accept(unused, "log format ignored for frontend 'f' since it has no log address")
	v.refuse(strings.Replace(unused, "global\n", "global\n  zero-warning\n", 1), "zero-warning")
	warns(in("log-format %ci"), "log format ignored for frontend 'f' since it has no log address")
	warns(strings.Replace(in(""), "  mode http\n", "  mode http\n  log global\n  option httplog\n", 1), "log format ignored for frontend 'f'")
	silent(strings.Replace(in("log 127.0.0.1:514 local0"), "  mode http\n", "  mode http\n  log global\n  option httplog\n", 1))
	silent(strings.Replace(in(""), "  mode http\n", "  mode http\n  log global\n", 1))
	// A format that another one overrides: HAProxy warns of it in a defaults section alone.
	logged := func(lines, own string) string {
		return strings.Replace(in("log 127.0.0.1:514 local0\n"+own), "  mode http\n", "  mode http\n"+indent(lines), 1)
	}
	warns(logged("option httplog\nlog-format %ci", ""), "'log-format' overrides what line")
	warns(logged("option httplog\noption httplog", ""), "'option httplog' overrides what line")
	silent(logged("option httplog", "log-format %ci\noption tcplog"))
	// Words of a reply that it has no place for.
	warns(in("http-request return status 200 content-type text/plain"), "content-type 'text/plain' ignored by the http reply")
	warns(in("http-request return status 503 default-errorfiles hdr a b"), "hdr parameters ignored by the http reply")
	// What lb says of its own.
	silent(strings.Replace(in(""), "  mode http\n", "  mode tcp\n", 1) + "listen l\n  mode tcp\n  bind 127.0.0.1:18002\n  capture request header Host len 10\n")
	silent(in("persist rdp-cookie\nhash-balance-factor 150"))
	silent(inBackendSection("unique-id-header X"))
	silent(inGlobalSection("set-var proc.a env(NOPE)"))
	silent("defaults d\n  mode http\n" + timeouts + "frontend f from d\n  bind 127.0.0.1:18000\n  default_backend b\nbackend b\n  server s 127.0.0.1:1\n")
}

// TestLastFormatCounts: a format that another line overrides, or that no frontend has, is read by nobody, so that nothing in it is an error.
func TestLastFormatCounts(t *testing.T) {
	v := newVerdicts(t)
	logged := func(lines, own string) string {
		return "defaults\n  mode http\n  log 127.0.0.1:514 local0\n" + timeouts + indent(lines) + "frontend f\n  bind 127.0.0.1:18000\n  default_backend b\n" + indent(own) + "backend b\n  server s 127.0.0.1:1\n"
	}
	v.accept(logged("", "log-format %[nope]\noption httplog"), "")
	v.accept(logged("", "log-format %[nope]\nlog-format %ci"), "")
	v.accept(logged("log-format %[nope]", "option httplog"), "")
	v.accept(logged("log-format-sd %[nope]", "log-format-sd %ci"), "")
	v.accept(logged("error-log-format %[nope]", "error-log-format %ci"), "")
	v.refuse(logged("log-format %[nope]", ""), "t.cfg:7: 'log-format' : ")
	v.refuse(logged("error-log-format %[nope]", ""), "t.cfg:7: 'error-log-format' : ")
	v.refuse(logged("", "log-format-sd %[nope]"), "t.cfg:11: 'log-format-sd' : ")
	v.refuse(logged("unique-id-format %[nope]", ""), "t.cfg:7: 'unique-id-format' : ")
	v.refuse(logged("option httplog", "log-format %[nope]"), "t.cfg:11: 'log-format' : ")
}

// TestWhoMayInheritRules: a defaults section with rules is for the proxies of one side.
func TestWhoMayInheritRules(t *testing.T) {
	v := newVerdicts(t)
	r := func(lines string) string { return "defaults r\n  mode http\n" + timeouts + indent(lines) }
	const back, front = "backend b from r\n  server s 127.0.0.1:1\n", "frontend f from r\n  bind 127.0.0.1:18000\n"
	const plain = "defaults p\n  mode http\n" + timeouts
	const request = "http-request set-header X 1"
	v.accept(r(request)+front+plain+"backend b from p\n  server s 127.0.0.1:1\n", "")
	v.accept(r(request)+front+"frontend g from r\n  bind 127.0.0.1:18001\n", "")
	v.accept(r(request)+back+plain+"listen l from p\n  bind 127.0.0.1:18000\n  server s 127.0.0.1:1\n", "")
	v.accept(r("tcp-request inspect-delay 1s\nacl a path /\nhttp-check expect status 200\noption httpchk")+"listen l from r\n  bind 127.0.0.1:18000\n  server s 127.0.0.1:1\n", "")
	for _, line := range []string{request, "tcp-request content accept", "http-response set-header X 1", "http-after-response set-header X 1", "tcp-response content accept", "tcp-request connection accept"} {
		v.refuse(r(line)+"listen l from r\n  bind 127.0.0.1:18000\n  server s 127.0.0.1:1\n", "a listen section cannot inherit from a defaults section defining TCP/HTTP rules")
	}
	v.refuse(r(request)+front+back, "frontends and backends cannot inherit from the same defaults section")
	v.refuse(r(request)+back+front, "frontends and backends cannot inherit from the same defaults section")
	v.refuse(r("tcp-request session accept")+back+plain+"listen l from p\n  bind 127.0.0.1:18000\n", "a backend section cannot inherit from a defaults section defining 'tcp-request connection' or 'tcp-request session' rules")
	v.refuse(r(request)+"defaults q from r\n  retries 1\n"+plain+"listen l from p\n  bind 127.0.0.1:18000\n", "a defaults section cannot inherit from a defaults section defining TCP/HTTP rules")
}

// TestChecksOfWordsWithoutEffect: lb needs neither the files nor the order of words that it ignores, and checks both as HAProxy does.
func TestChecksOfWordsWithoutEffect(t *testing.T) {
	v := newVerdicts(t)
	v.accept(inGlobalSection("expose-experimental-directives\ntune.fd.edge-triggered on"), "tune.fd.edge-triggered")
	v.refuse(inGlobalSection("tune.fd.edge-triggered on\nexpose-experimental-directives"), "experimental")
	params := filepath.Join(filepath.Dir(v.path), "dh.pem")
	if err := os.WriteFile(params, []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.refuse(inGlobalSection("ssl-dh-param-file "+params), "unable to load DH parameters")
	// Of RFC 7919, ffdhe2048.
	const group = "-----BEGIN DH PARAMETERS-----\nMIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz\n+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a\n" +
		"87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7\nYdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi\n" +
		"7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD\nssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==\n-----END DH PARAMETERS-----\n"
	if err := os.WriteFile(params, []byte(group), 0o600); err != nil {
		t.Fatal(err)
	}
	v.accept(inGlobalSection("ssl-dh-param-file "+params), "ssl-dh-param-file")
	other := filepath.Join(filepath.Dir(v.path), "x942.pem")
	if err := os.WriteFile(other, []byte(strings.ReplaceAll(group, " DH ", " X9.42 DH ")), 0o600); err != nil {
		t.Fatal(err)
	}
	v.refuse(inGlobalSection("ssl-dh-param-file "+other), "unable to load DH parameters")
}

// TestLinesWithoutEffectAreRead: a line in a proxy of the other side has no effect, and its words are checked even so, as HAProxy does.
func TestLinesWithoutEffectAreRead(t *testing.T) {
	v := newVerdicts(t)
	for _, line := range []string{
		"default_backend b2", "use_backend b2", "use_backend b2 if { path / }", "use_backend %[path]", "monitor fail if { path / }", "capture request header X len 5", "unique-id-format %ci", "monitor-uri /x", "bind :18001", "option httplog",
		"timeout client 5s", "option httplog clf", "maxconn x", "backlog x", "log-format %[nope]", "option http-ignore-probes",
	} {
		v.accept(inBackendSection(line)+"backend b2\n  server s 127.0.0.1:1\n", "backend 'b'")
	}
	for line, part := range map[string]string{
		"default_backend nope": "unable to find required default_backend: 'nope'", "use_backend nope": "unable to find required use_backend: 'nope'", "use_backend b if nope": "no such ACL", "use_backend b": "loop detected", "monitor fail if nope": "no such ACL",
		"capture request header": "expects arguments", "unique-id-format %[nope]": "unknown fetch method 'nope'", "monitor-uri": "expects arguments", "bind nope": "missing port", "bind :18001 nope": "unknown keyword 'nope'",
		"rate-limit sessions x": "rate-limit sessions", "option httplog x": "only supports", "timeout client x": "timeout client", "tcp-request connection accept": "no frontend capability", "tcp-request session accept": "no frontend capability",
	} {
		v.refuse(inBackendSection(line), part)
	}
	for _, line := range []string{
		"stick on nope", "stick on src table nope", "cookie X insert", "balance uri", "balance", "option httpchk", "option httpchk GET /x", "http-check expect status 200", "timeout server 5s", "force-persist if { path / }", "dispatch 127.0.0.1:1",
		"source 127.0.0.1", "hash-type consistent", "http-reuse never", "load-server-state-from-file none", "option mysql-check user x", "option ssl-hello-chk", "dynamic-cookie-key x", "http-send-name-header X", "fullconn x", "persist rdp-cookie", "option redispatch x",
	} {
		v.accept(inFrontendSection(line), "frontend 'f'")
	}
	for line, part := range map[string]string{
		"use-server s if { path / }": "unable to find server 's'", "use-server s if nope": "no such ACL", "cookie": "expects arguments", "cookie X nope": "only supports", "balance nope": "only supports", "http-check expect nope x": "only supports",
		"timeout server x": "timeout server", "timeout server": "expects arguments", "force-persist if nope": "no such ACL", "ignore-persist if nope": "no such ACL", "dispatch nope": "missing port specification", "source nope": "source",
		"hash-type nope": "only supports", "http-reuse nope": "only supports", "load-server-state-from-file nope": "load-server-state-from-file", "retry-on 503": "no backend capability", "option mysql-check foo": "mysql-check",
		"option ssl-hello-chk x": "unexpected argument", "external-check command": "expects arguments", "dynamic-cookie-key": "expects arguments", "persist nope": "persist", "http-send-name-header": "expects arguments",
		"tcp-response content accept": "no backend capability", "tcp-response inspect-delay 1s": "no backend capability",
	} {
		v.refuse(inFrontendSection(line), part)
	}
	v.refuse(strings.ReplaceAll(inBackendSection("dispatch 127.0.0.1"), "  server s 127.0.0.1:1\n", ""), "missing port specification")
}

// TestUnusedWordsOfReplies: what an answer has no place for is warned of; pages of a section may come from one below, or be missing there.
func TestUnusedWordsOfReplies(t *testing.T) {
	v := newVerdicts(t)
	page := filepath.Join(filepath.Dir(v.path), "503.http")
	if err := os.WriteFile(page, []byte("HTTP/1.0 503 No\r\n\r\nno\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const nowhere, beside, fields = "because neither errorfile nor payload defined", "content-type 'text/plain' ignored by the http reply when used with an e", "hdr parameters ignored by the http reply when used with an e"
	section := "http-errors e\n  errorfile 503 " + page + "\n"
	for line, part := range map[string]string{
		"http-request return status 200 content-type text/plain": nowhere, "http-request deny deny_status 403 content-type text/plain": nowhere, "http-error status 503 content-type text/plain": nowhere,
		"http-request return status 200 content-type text/plain errorfile " + page: beside, "http-request return content-type text/plain default-errorfiles": beside, "http-error status 503 content-type text/plain errorfile " + page: beside,
		"http-error status 503 content-type text/plain default-errorfiles": beside, "http-error status 503 errorfiles e content-type text/plain": beside, "http-request return status 503 errorfiles e content-type text/plain": beside,
		"http-request return status 200 hdr X y errorfile " + page: fields, "http-request deny hdr X y default-errorfiles": fields, "http-error status 503 hdr X y errorfile " + page: fields,
		"http-error status 500 errorfiles e": "status '500' not declared in http-errors section 'e'",
	} {
		v.accept(section+inFrontendSection(line), part)
		v.refuse("global\n  zero-warning\n"+section+inFrontendSection(line), "zero-warning")
	}
	for _, line := range []string{"http-request return status 200 content-type text/plain string x", "http-request deny hdr X y", "http-error status 503 hdr X y", "http-error status 503 errorfiles e"} {
		v.accept("global\n  zero-warning\n"+section+inFrontendSection(line), "")
		v.accept("global\n  zero-warning\n"+inFrontendSection(line)+section, "")
	}
	v.refuse(inFrontendSection("http-error status 503 errorfiles nope"), "unable to find http-errors section 'nope'")
}

// TestConditionsWithoutBraces: who forgets the braces is told.
func TestConditionsWithoutBraces(t *testing.T) {
	v := newVerdicts(t)
	for _, cond := range []string{"path /x", "path_beg /x", "hdr(host) x", "src 10.0.0.0/8"} {
		v.refuse(inFrontendSection("http-request deny if "+cond), "it stands in braces, with blanks around them")
	}
	v.refuse(inFrontendSection("acl pat path /x\nhttp-request deny if path"), "did you mean 'pat'")
}

// TestDispatchAsHAProxy: dispatch takes an address, the last one counts, and a balance line has it ignored.
func TestDispatchAsHAProxy(t *testing.T) {
	v := newVerdicts(t)
	with := func(lines string) string {
		return strings.Replace(inBackendSection(lines), "  server s 127.0.0.1:1\n", "", 1)
	}
	addresses := func(text, part string) (all []string) {
		t.Helper()
		for _, p := range v.accept(text, part).Proxies {
			for _, s := range p.Servers {
				all = append(all, s.Host)
			}
		}
		return all
	}
	for _, c := range []struct{ lines, part, want string }{
		{"dispatch 127.0.0.1:80", "", "127.0.0.1"},
		{"dispatch [::1]:80", "", "::1"},
		{"dispatch /tmp/x.sock", "", "/tmp/x.sock"},
		{"dispatch unix@/tmp/x.sock", "", "/tmp/x.sock"},
		{"dispatch abns@x", "", "x"},
		{"dispatch 127.0.0.1:80\ndispatch 127.0.0.2:80", "", "127.0.0.2"},
		{"server dispatch 127.0.0.1:1\ndispatch 127.0.0.2:80", "", "127.0.0.1 127.0.0.2"},
		{"balance roundrobin\ndispatch 127.0.0.1:80", "dispatch address of backend 'b' will be ignored in balance mode", ""},
		{"dispatch 127.0.0.1:80\nserver s 127.0.0.2:1\nbalance source", "will be ignored in balance mode", "127.0.0.2"},
	} {
		if got := strings.Join(addresses(with(c.lines), c.part), " "); got != c.want {
			t.Errorf("%s: servers at %q, want %q", c.lines, got, c.want)
		}
	}
	v.refuse(with("dispatch 127.0.0.1"), "missing port specification")
	v.refuse(with("dispatch 127.0.0.1:0"), "missing port specification")
	v.refuse(with("default-server port 9\ndispatch 127.0.0.1"), "missing port specification")
	v.refuse(with("dispatch 127.0.0.1:+80"), "port offset not permitted")
	v.refuse(with("dispatch 127.0.0.1:80\nuse-server dispatch if { path / }"), "unable to find server 'dispatch'")
}

// TestMailersAreLookedForWithAllElse: HAProxy passes over email-alert lines that are not enough for a mail, and over mailers that they name.
func TestMailersAreLookedForWithAllElse(t *testing.T) {
	v := newVerdicts(t)
	const ignored = "'email-alert' will be ignored for "
	v.accept(inDefaultsSection("email-alert mailers nobody"), ignored+"backend 'b'")
	v.accept(inFrontendSection("email-alert mailers nobody\nemail-alert from a@b"), ignored+"frontend 'f'")
	v.accept(inFrontendSection("email-alert from a@b more"), ignored+"frontend 'f'")
	v.refuse(inDefaultsSection("email-alert mailers nobody\nemail-alert from a@b\nemail-alert to c@d"), "unable to find mailers 'nobody'")
	v.accept(inDefaultsSection("email-alert mailers nobody\nemail-alert mailers m\nemail-alert from a@b\nemail-alert to c@d")+"mailers m\n  mailer x 127.0.0.1:25\n", "no mail is sent")
}
