package config

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/test/tape"
)

const timeouts = "  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"

// Each gives a whole configuration with the lines in one of its sections.
func inGlobalSection(lines string) string {
	return "global\n" + indent(lines) + "defaults\n  mode http\n" + timeouts + "frontend f\n  bind 127.0.0.1:18000\n  default_backend b\nbackend b\n  server s 127.0.0.1:1\n"
}

func inDefaultsSection(lines string) string {
	return "defaults\n  mode http\n" + timeouts + indent(lines) + "frontend f\n  bind 127.0.0.1:18000\n  default_backend b\nbackend b\n  server s 127.0.0.1:1\n"
}

func inFrontendSection(lines string) string {
	return "defaults\n  mode http\n" + timeouts + "frontend f\n  bind 127.0.0.1:18000\n  default_backend b\n" + indent(lines) + "backend b\n  server s 127.0.0.1:1\nbackend b2\n  server s 127.0.0.1:1\n"
}

func inBackendSection(lines string) string {
	return "defaults\n  mode http\n" + timeouts + "frontend f\n  bind 127.0.0.1:18000\n  default_backend b\nbackend b\n  server s 127.0.0.1:1\n" + indent(lines)
}

func indent(lines string) string { return "  " + strings.ReplaceAll(lines, "\n", "\n  ") + "\n" }

// verdictOf reports whether haproxy accepts the configuration in a file, and what it says of it; a recording has no more than the verdict.
func verdictOf(t *testing.T, peer *tape.Tape, path string, environ ...string) (accepted bool, output string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The directory of the run is in some texts, and never twice the same.
	sum := sha256.Sum256(bytes.ReplaceAll(text, []byte(filepath.Dir(path)), nil))
	accepted = tape.Observe(peer, fmt.Sprintf("%x", sum[:8]), func() bool {
		cmd := exec.Command(peer.Program(), "-c", "-f", path)
		cmd.Env = append(os.Environ(), environ...)
		out, err := cmd.CombinedOutput()
		if _, ran := err.(*exec.ExitError); err != nil && !ran {
			t.Fatal(err)
		}
		output = string(out)
		return err == nil
	})
	return accepted, output
}

// TestVerdictsAgainstHAProxy compares what lb and Debian's haproxy accept. A
// difference is allowed only where a row says so, and why.
func TestVerdictsAgainstHAProxy(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	dir := t.TempDir()
	errorfile := filepath.Join(dir, "503.http")
	if err := os.WriteFile(errorfile, []byte("HTTP/1.0 503 No\r\nConnection: close\r\n\r\nno\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "t.cfg")
	verdict := func(text string) (lb, theirs bool, output string, lbErr error) {
		text = strings.ReplaceAll(text, "ERRORFILE", errorfile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, lbErr = Load([]string{path}, Options{Environ: []string{"PORT=18001", "EMPTY=", "HOST=127.0.0.1"}})
		theirs, output = verdictOf(t, peer, path, "PORT=18001", "EMPTY=", "HOST=127.0.0.1")
		return lbErr == nil, theirs, output, lbErr
	}
	all := func(err error) string {
		e, ok := err.(*cfgfile.Errors)
		if !ok {
			return ""
		}
		var texts []string
		for _, one := range e.List {
			texts = append(texts, one.Error())
		}
		return strings.Join(texts, "\n")
	}
	accept := func(text string) {
		t.Helper()
		if lb, theirs, out, err := verdict(text); !lb || !theirs {
			t.Errorf("accepted by lb: %v, by haproxy: %v\n%s\nlb: %s\nhaproxy: %s", lb, theirs, text, all(err), out)
		}
	}
	refuse := func(text, part string) {
		t.Helper()
		if lb, theirs, _, err := verdict(text); lb || theirs || !strings.Contains(all(err), part) {
			t.Errorf("accepted by lb: %v, by haproxy: %v\n%s\nlb: %s\nwant %q", lb, theirs, text, all(err), part)
		}
	}
	stricter := func(text, part string) { // lb refuses what haproxy takes
		t.Helper()
		if lb, theirs, out, err := verdict(text); lb || !theirs || !strings.Contains(all(err), part) {
			t.Errorf("accepted by lb: %v, by haproxy: %v\n%s\nlb: %s\nwant %q\nhaproxy: %s", lb, theirs, text, all(err), part, out)
		}
	}
	looser := func(text string) { // lb reads what haproxy gave up
		t.Helper()
		if lb, theirs, _, err := verdict(text); !lb || theirs {
			t.Errorf("accepted by lb: %v, by haproxy: %v\n%s\nlb: %s", lb, theirs, text, all(err))
		}
	}

	// Sections and words.
	accept(inBackendSection(""))
	accept("global\nglobal\n" + inDefaultsSection(""))
	accept("# comment\n\n" + inFrontendSection("bind \"127.0.0.1:${PORT}\""))
	accept(inFrontendSection("bind 127.0.0.1:${PORT}")) // addresses expand without quotes
	accept(inFrontendSection("maxconn 10 # comment"))
	accept(strings.ReplaceAll(inFrontendSection("maxconn 10"), "\n", "\r\n"))
	accept("defaults a\n  mode http\n" + timeouts + "defaults b\n  mode tcp\n" + timeouts + "frontend f from a\n  bind 127.0.0.1:18000\n  default_backend x\nbackend x from a\n  server s 127.0.0.1:1\n")
	refuse("frobal\n  mode http\n", "unknown keyword 'frobal' out of section; did you mean 'global' maybe ?")
	refuse("mode http\n", "out of section")
	refuse("frontend\n", "expects a name")
	refuse("frontend a{b\n", "not permitted")
	refuse("backend b from nothing\n", "defaults section 'nothing' not found")
	refuse("frontend a\n  bind 127.0.0.1:18000\nfrontend a\n  bind 127.0.0.1:18001\n", "has the same name")
	refuse(inFrontendSection("fronted x"), "unknown keyword 'fronted'")
	refuse(inFrontendSection("mode 'http"), "unmatched quote")
	refuse("global\n  maxconn 1", "Missing LF")
	refuse(".if 1\nglobal\n", "no '.endif'")
	refuse(inGlobalSection("listen-on 1"), "unknown keyword 'listen-on' in 'global' section")
	stricter(inFrontendSection(`maxconn 10 "${EMPTY}" 20`), "argument 2 of 'maxconn' is empty")
	stricter(".if version_atleast(x)\n.endif\n"+inBackendSection(""), "no version")

	// Global.
	accept(inGlobalSection("maxconn 100\nnbthread 2\nhard-stop-after 30s\ndaemon\nspread-checks 5\nnode n\ndescription some words\nlog-tag lb"))
	accept(inGlobalSection("log 127.0.0.1 local0\nlog 127.0.0.1:514 len 2048 format rfc5424 daemon notice err\nlog /dev/log local1 info\nlog [::1]:514 local2"))
	accept(inGlobalSection("log-send-hostname\nmaster-worker no-exit-on-failure\nlog 127.0.0.1:514 local0"))
	accept(inGlobalSection("stats socket /tmp/h.sock mode 600 level admin expose-fd listeners\nstats socket ipv4@127.0.0.1:18099 level user\nstats timeout 2m"))
	accept(inGlobalSection("tune.bufsize 32768\ntune.maxrewrite 1024\ntune.ssl.default-dh-param 2048\nulimit-n 10000\ncpu-map 1 0\nno strict-limits\nnoepoll\nquiet"))
	accept(inGlobalSection("setenv X http\npresetenv X tcp\nunsetenv Y\nresetenv X") + "backend env\n  mode \"$X\"\n")
	accept(inGlobalSection("ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL\nssl-default-bind-options no-sslv3 no-tlsv10 no-tls-tickets ssl-min-ver TLSv1.2"))
	refuse(inGlobalSection("maxcon 10"), "did you mean 'maxconn'")
	refuse(inGlobalSection("maxconn"), "'maxconn' expects")
	refuse(inGlobalSection("maxconn 10 20"), "cannot handle unexpected argument '20'")
	refuse(inGlobalSection("daemon x"), "cannot handle unexpected argument 'x'")
	refuse(inGlobalSection("nbthread x"), "expects a number")
	refuse(inGlobalSection("nbthread 0"), "between 1 and 64")
	refuse(inGlobalSection("log 127.0.0.1 loc0"), "unknown log facility 'loc0'; did you mean 'local0'")
	refuse(inGlobalSection("log 127.0.0.1 local0 notify"), "unknown optional log level 'notify'")
	refuse(inGlobalSection("log 127.0.0.1"), "log")
	refuse(inGlobalSection("log 127.0.0.1 len 10 local0"), "between 80 and 65535")
	refuse(inGlobalSection("log 127.0.0.1 format foo local0"), "log format")
	refuse(inGlobalSection("stats socket /tmp/h.sock level root"), "level")
	refuse(inGlobalSection("stats socket /tmp/h.sock foo"), "unknown keyword 'foo'")
	refuse(inGlobalSection("stats timeout 2x"), "unit 'x'")
	refuse(inGlobalSection("hard-stop-after"), "expects")
	refuse(inGlobalSection("ssl-default-bind-options no-foo"), "no-foo")
	refuse(inGlobalSection("nbproc 4"), "nbthread 4")
	refuse(inGlobalSection("mode http"), "it belongs in a proxy")
	looser(inGlobalSection("nbproc 1"))
	accept(inGlobalSection("maxconn 10x"))
	accept(inGlobalSection("log stdout format raw local0\nlog stderr local0 notice\nlog fd@1 format iso local0\nlog 127.0.0.1 sample 1,3-4:5 local0\nlog tcp@127.0.0.1:5140 local0"))
	accept(inGlobalSection("log ring@r local0 info") + "ring r\n  description \"a ring\"\n  format timed\n  maxlen 1200\n  size 32764\n  timeout connect 5s\n  timeout server 10s\n  server s 127.0.0.1:6514 log-proto octet-count\n")
	stricter(inFrontendSection("log ring@r local0")+"ring q\n  format raw\n", "unable to find ring 'r'")
	refuse(inGlobalSection("log 127.0.0.1 sample 2 local0"), "'sample' expects <ranges>:<size>")
	refuse(inGlobalSection("log 127.0.0.1 sample 3-9:5 local0"), "between 3 and 5")
	refuse(inGlobalSection("log 127.0.0.1 sample 1-3,2:5 local0"), "overlap")
	refuse("ring r\n  format nope\n", "only supports")
	stricter(inGlobalSection("log fd@7 local0"), "workers inherit only 1 and 2")

	// Resolvers.
	inResolvers := func(section, server string) string {
		return "resolvers r\n" + indent(section) + inBackendSection(server)
	}
	accept(inResolvers("nameserver a 127.0.0.1:53\nnameserver b tcp@127.0.0.1:53\nhold valid 5s\nhold nx 1\nhold obsolete 0\nhold other 1s\nhold refused 1s\nhold timeout 1s\nresolve_retries 2\ntimeout resolve 2s\ntimeout retry 500\naccepted_payload_size 4096",
		"server a x.invalid:80 resolvers r init-addr last,none resolve-prefer ipv4 resolve-net 10.0.0.0/8,192.168.0.0/16 resolve-opts allow-dup-ip,ignore-weight\nserver-template t 3 _web._tcp.x.invalid resolvers r init-addr none check"))
	accept(inResolvers("parse-resolv-conf", "server a x.invalid:80 resolvers r init-addr none\nserver b x.invalid:80 init-addr none,127.0.0.1"))
	refuse(inResolvers("nameserver a x.invalid:53", ""), "is no IP address")
	refuse(inResolvers("nameserver a 127.0.0.1", ""), "invalid port")
	refuse(inResolvers("hold on 5s", ""), "only supports")
	refuse(inResolvers("timeout resolve x", ""), "expects a time")
	refuse(inResolvers("nameserver a", ""), "expects: nameserver <name>")
	refuse(inBackendSection("server a 127.0.0.1:80 resolvers nope"), "unable to find required resolvers 'nope'")
	accept(inResolvers("nameserver a 127.0.0.1:53", "http-request do-resolve(txn.ip,r,ipv4) hdr(host),host_only if { path_beg / }\nhttp-request do-resolve(sess.ip,r,ipv6) str(a.test)\n"+
		"http-request do-resolve(req.ip,r) src\nhttp-request do-resolve(req.ip,r,) src\nhttp-request set-dst var(txn.ip)\nserver a *:0"))
	for _, of := range [][2]string{
		{"do-resolve hdr(host)", "a variable and a resolvers section"}, {"do-resolve(txn.ip) hdr(host)", "expects (<var>,<resolvers>[,ipv4|ipv6])"},
		{"do-resolve(txn.ip,r,ipv4,x) hdr(host)", "expects (<var>"}, {"do-resolve(txn.ip,r,ipv5) hdr(host)", "ipv4 or ipv6"},
		{"do-resolve(txn.ip,r)", "a name, such as"}, {"do-resolve(txn.ip,nope) hdr(host)", "unable to find resolvers 'nope'"},
	} {
		refuse(inResolvers("nameserver a 127.0.0.1:53", "http-request "+of[0]), of[1])
	}
	accept(inResolvers("nameserver a 127.0.0.1:53", "tcp-request content do-resolve(txn.ip,r) src"))
	refuse(inResolvers("nameserver a 127.0.0.1:53", "http-response do-resolve(txn.ip,r) src"), "do-resolve")
	refuse(inBackendSection("server a 127.0.0.1:80 resolve-prefer ipv5"), "only supports")
	refuse(inBackendSection("server a 127.0.0.1:80 init-addr never"), "only supports")

	// Userlists.
	inList := func(lines string) string {
		return inFrontendSection("http-request auth unless { http_auth(u) }") + "userlist u\n" + indent(lines)
	}
	accept(inList("user a insecure-password b"))
	accept(inList("group g users a,b\ngroup h\nuser a insecure-password b groups h\nuser b password $5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM. groups g,h"))
	accept(inFrontendSection("stats http-request auth realm a\\ b unless { src 127.0.0.1 }\nstats http-request deny"))
	refuse(inFrontendSection("stats auth a:b\nstats http-request deny"), "can't be used at the same time")
	refuse(inList("user a insecure-password b groups g"), "no such group 'g'")
	refuse(inList("group g users x"), "no such user 'x'")
	refuse(inList("usr a insecure-password b"), "only supports 'user'")
	refuse(inList("user a pasword b"), "only supports 'password'")
	refuse(inFrontendSection("http-request auth unless { http_auth(w) }"), "unable to find userlist 'w'")
	refuse(inFrontendSection("http-request auth unless { http_auth }"), "missing arguments")
	refuse(inFrontendSection("http-request auth unless { http_auth_group(u) }")+"userlist u\n", "no group is given")
	accept(inList("user a password plain\nuser b password $5$salt$cut groups g\ngroup g"))
	stricter(inList("user a password abJnggxhB/yWI"), "DES is not supported")
	accept(inList("user a"))

	// The choice of servers and backends.
	accept(inBackendSection("use-server s if { path /x }\nuse-server %[hdr(x)] unless TRUE\nforce-persist if { src 127.0.0.1 }\nignore-persist unless { path_beg /static }"))
	accept(inFrontendSection("use_backend %[req.hdr(host),lower] if TRUE\nuse_backend b_%[path]"))
	refuse(inBackendSection("use-server t if TRUE"), "unable to find server 't'")
	refuse(inBackendSection("use-server s"), "'use-server' expects")
	refuse(inBackendSection("force-persist"), "'force-persist' expects")
	refuse(inFrontendSection("use_backend %[nosuch]"), "unknown fetch method 'nosuch'")

	// Ids, monitors and logs.
	accept(inFrontendSection("unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid\nunique-id-header X-ID\nmonitor-uri /x\nmonitor fail if { nbsrv(b) lt 1 } or { srv_is_up(b/s) -m bool false }"))
	accept(inFrontendSection("log-tag x\nerror-log-format %ci\noption logasap\nno option logasap"))
	refuse(inFrontendSection("monitor fail"), "'monitor fail' expects")
	refuse(inFrontendSection("monitor fail if { nbsrv(c) lt 1 }"), "unable to find backend 'c'")
	refuse(inFrontendSection("monitor fail if { srv_is_up(b/t) }"), "unable to find server 't'")
	refuse(inFrontendSection("unique-id-format %zz"), "no such format variable 'zz'")
	stricter(inFrontendSection("unique-id-format a\nunique-id-header a:b"), "not a header name")

	accept(inFrontendSection("capture cookie ID len 20"))
	accept(inBackendSection("http-send-name-header X-Server"))
	refuse(inBackendSection("http-send-name-header"), "'http-send-name-header' expects")
	refuse(inFrontendSection("capture cookie ID"), "'capture cookie' expects")
	accept(inBackendSection("http-send-name-header Host"))

	// Error pages.
	accept("http-errors site\n  errorfile 503 ERRORFILE\n  errorfile 404 ERRORFILE\n" + inFrontendSection("errorfiles site 503\nerrorfiles site\nhttp-error status 404 content-type text/plain string no hdr X-A b\nhttp-error status 503 errorfiles site"))
	accept(inFrontendSection("http-error status 404 content-type text/plain string no hdr X-A b\nhttp-error status 500 errorfile ERRORFILE\nhttp-error status 400 default-errorfiles"))
	accept(inFrontendSection("errorfiles site 503 500") + "http-errors site\n  errorfile 503 ERRORFILE\n")
	refuse(inDefaultsSection("errorfiles nowhere"), "unable to find http-errors section 'nowhere'")
	accept("defaults a\n  mode http\n  errorfiles nowhere\n" + inFrontendSection(""))
	refuse(inFrontendSection("errorfiles nowhere"), "unable to find http-errors section 'nowhere'")
	refuse(inFrontendSection("http-error status 999 content-type text/plain string no"), "not handled")
	refuse(inFrontendSection("http-error status 404 string no"), "content-type must be given")
	refuse("http-errors site\n  errorfil 503 ERRORFILE\n"+inFrontendSection(""), "only supports 'errorfile'")
	accept(inFrontendSection("http-error status 404 content-type text/plain lf-string %[src]\nhttp-error status 403 content-type text/plain string x hdr X-A %[src]"))
	refuse(inFrontendSection("http-error status 404 content-type text/plain lf-string %[none]"), "none")
	refuse(inFrontendSection("http-error status 404 content-type text/plain lf-file /nowhere/x"), "/nowhere/x")
	accept(inFrontendSection("http-request deny deny_status 503 errorfiles site") + "http-errors site\n  errorfile 503 ERRORFILE\n")
	refuse(inFrontendSection("http-request deny deny_status 503 errorfiles site"), "unable to find http-errors section 'site'")

	// Binds.
	accept(inFrontendSection("bind :18001\nbind *:18002,127.0.0.1:18003\nbind 127.0.0.1:18004-18006\nbind [::1]:18007\nbind ::1:18008\nbind [::]:18009 v4v6\nbind [::]:18010 v6only\nbind :18011 v6only\nbind 127.0.0.1:18012 v6only"))
	accept(inFrontendSection("acl a payload_lv(1,1) 16030100\nacl b var(txn.a) -m str x\nacl c var(txn.a),lower x\nacl d path_reg ^/(?!wp-|index).*\\.php$"))
	accept(inFrontendSection("http-response replace-header Set-Cookie ^((?:(?!;\\s[Ss]ecure\\b).)*)$ \\1;\\ Secure"))
	refuse(inFrontendSection("acl a var(txn.a) x"), "write how to compare it, such as '-m str'")
	accept(inFrontendSection("bind ipv4@127.0.0.1:18001\nbind ipv6@:18002\nbind /tmp/h-bind.sock mode 600\nbind unix@/tmp/h-bind2.sock\nbind abns@h-test"))
	accept(inFrontendSection("bind 127.0.0.1:18001 name x id 5 backlog 10 defer-accept tfo interface lo"))
	accept(inFrontendSection("bind localhost:18001"))
	refuse(inFrontendSection("bind 127.0.0.1"), "missing port")
	refuse(inFrontendSection("bind :99999"), "invalid port '99999'")
	refuse(inFrontendSection("bind :0"), "invalid port '0'")
	refuse(inFrontendSection("bind 1.2.3.4.5:80"), "invalid address")
	refuse(inFrontendSection("bind :18001 nam x"), "unknown keyword 'nam'; did you mean 'name'")
	refuse(inFrontendSection("bind :18001 name"), "'name' expects")
	refuse(inFrontendSection("bind :18001 ssl"), "needs a certificate")
	refuse(inFrontendSection("bind :18001 ssl crt /nonexistent verify sometimes"), "verify")
	accept(inFrontendSection("bind :18001 generate-certificates ca-sign-file /nonexistent ca-sign-pass x"))
	refuse(inFrontendSection("bind :18001 ssl crt /nonexistent generate-certificates"), "add ca-sign-file <file>")
	refuse(inFrontendSection("bind :18001 ssl strict-sni ca-sign-file /nonexistent generate-certificates"), "'ssl' needs a certificate")
	refuse(inFrontendSection("bind :18001 ssl crt /nonexistent ca-sign-file"), "'ca-sign-file' expects <file>")
	accept(inGlobalSection("tune.ssl.ssl-ctx-cache-size 0"))
	accept(inGlobalSection("ssl-provider default\nssl-provider legacy\nssl-provider-path /usr/lib\nssl-propquery provider=default"))
	refuse(inGlobalSection("ssl-provider nothing"), "'ssl-provider'")
	refuse(inGlobalSection("ssl-propquery fips=yes"), "not OpenSSL's with a validated module")
	const secure = " 127.0.0.1:1 ssl verify none "
	accept(inBackendSection("server a" + secure + "ssl-min-ver SSLv3\nserver b" + secure + "no-sslv3 ssl-min-ver SSLv3 ssl-max-ver TLSv1.2\ndefault-server ssl-min-ver SSLv3\nserver c" + secure))
	accept(inGlobalSection("ssl-default-bind-options ssl-min-ver SSLv3 no-sslv3\nssl-default-server-options ssl-min-ver SSLv3 no-sslv3"))
	for _, word := range []string{"force-sslv3", "ssl-max-ver SSLv3"} {
		refuse(inBackendSection("server a"+secure+word), "SSLv3 is broken")
	}
	accept(inBackendSection("server a" + secure + "ciphersuites nothing:TLS_AES_128_GCM_SHA256\nserver b" + secure + "ciphersuites TLS_AES_128_CCM_SHA256:"))
	for _, list := range []string{"nothing", "tls_aes_128_gcm_sha256", ":", "TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384"} {
		refuse(inBackendSection("server a"+secure+"ciphersuites "+list), "unable to set TLS 1.3 cipher suites")
	}
	refuse(inGlobalSection("tune.ssl.ssl-ctx-cache-size -1"), "must be between 0")
	accept(inFrontendSection("bind 127.0.0.1:18000"))
	accept(inFrontendSection("bind :18001 accept-proxy\nbind :18002 accept-netscaler-cip 1027423549\ntcp-request connection expect-proxy layer4 if { src 10.0.0.0/8 }\ntcp-request connection expect-netscaler-cip layer4 if FALSE"))
	accept(inBackendSection("server a 127.0.0.1:1 send-proxy\nserver b 127.0.0.1:1 send-proxy-v2 proxy-v2-options ssl,unique-id,crc32c,authority,ssl-cipher\nserver c 127.0.0.1:1 send-proxy-v2-ssl check-send-proxy check"))
	refuse(inFrontendSection("bind :18001 accept-netscaler-cip"), "'accept-netscaler-cip' expects")
	refuse(inFrontendSection("tcp-request connection expect-proxy layer5"), "expects 'layer4'")
	refuse(inFrontendSection("http-request expect-proxy layer4"), "expect-proxy")
	refuse(inBackendSection("server a 127.0.0.1:1 send-proxy-v2 proxy-v2-options nothing"), "only supports")
	accept(inBackendSection("server a 127.0.0.1:1 socks4 127.0.0.1:1080 check check-via-socks4\nserver b 127.0.0.1:1 socks4 [::1]:1080\nserver c 127.0.0.1:1 socks4 ${HOST}:1080 socks4 *:1080"))
	accept(inBackendSection("default-server socks4 127.0.0.1:1080 check-via-socks4\nserver a 127.0.0.1:1\nserver b [::1]:1"))
	accept(inBackendSection("option tcp-check\ntcp-check connect via-socks4\nserver a 127.0.0.1:1 check"))
	refuse(inBackendSection("server a 127.0.0.1:1 socks4"), "'socks4' expects <address>:<port>")
	refuse(inBackendSection("server a 127.0.0.1:1 socks4 127.0.0.1"), "missing port specification in '127.0.0.1'")
	for _, port := range []string{"0", "70000", "+80", "1-5"} {
		refuse(inBackendSection("server a 127.0.0.1:1 socks4 127.0.0.1:"+port), "invalid port '"+port+"'")
	}
	refuse(inBackendSection("server a 127.0.0.1:1 socks4 nobody.invalid:1080"), "invalid address: 'nobody.invalid'")
	refuse(inBackendSection("server a 127.0.0.1:1 no-socks4"), "unknown keyword 'no-socks4'")
	stricter(inBackendSection("server a 127.0.0.1:1 socks4 /run/proxy.sock"), "is a unix socket")
	accept("global\n  pp2-never-send-local\n" + inBackendSection("server a 127.0.0.1:1 send-proxy-v2-ssl-cn\nserver c 127.0.0.1:1 send-proxy-v2 proxy-v2-options cert-cn,cert-key,cert-sig"))

	// Proxies.
	accept(inDefaultsSection("retries 2\noption redispatch\nbalance roundrobin\nhttp-reuse always\nmaxconn 1000\nbacklog 100\nfullconn 10"))
	accept(inFrontendSection("acl a path_beg /x\nacl a hdr(host) -i example.com\nacl b src 10.0.0.0/8\nuse_backend b2 if a !b or METH_POST\nuse_backend b2 unless { path /y }"))
	accept(inFrontendSection("redirect scheme https code 301 if !{ ssl_fc }\nhttp-request set-header X-A %[src]\nhttp-request deny if { method TRACE }\nhttp-response del-header Server"))
	accept(inFrontendSection("capture request header Host len 64\ncapture response header Server len 16\nmonitor-uri /alive"))
	accept(inFrontendSection("option httplog\noption dontlognull\nno option dontlognull\noption dontlog-normal\noption log-separate-errors\nlog 127.0.0.1:514 local0\nno log"))
	accept(inFrontendSection(`log-format "%ci:%cp [%t] %ft %b/%s %Tq/%Tw/%Tc/%Tr/%Tt %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"`))
	accept(inFrontendSection("option forwardfor except 127.0.0.0/8 header X-Client if-none\noption http-server-close\noption httpclose\nno option httpclose\noption http-keep-alive"))
	accept(inFrontendSection("option originalto except 10.0.0.0/8 except 2001:db8::/32 header X-A header X-B\noption originalto"))
	refuse(inFrontendSection("option originalto if-none"), "only supports optional values: 'except', 'header'")
	refuse(inFrontendSection("option originalto header"), "expects a value")
	refuse(inFrontendSection("no option originalto"), "cannot be negated")
	accept(inBackendSection("option http-server-close\noption http-pretend-keepalive\nno option http-pretend-keepalive"))
	accept(inFrontendSection("acl a src,ipmask(24), -m found\nhttp-request set-var(txn.a) hdr(x),lower,,upper if a\nhttp-request set-var(txn.b) src, if a"))
	refuse(inFrontendSection("http-request set-header X %[src,]"), "unknown converter ''")
	accept("global\n  httpclient.ssl.verify none\n  httpclient.resolvers.prefer ipv4\n" + inFrontendSection(""))
	accept(inBackendSection("server r 127.0.0.1:2 redir http://images.example check"))
	for _, line := range []string{"server r 127.0.0.1:2 redir http://images.example", "default-server redir http://images.example\nserver r 127.0.0.1:2", "server-template r 2 127.0.0.1:2 redir http://images.example"} {
		refuse(inBackendSection("mode tcp\n"+line), "cannot have redirect prefix in non-HTTP mode")
	}
	accept(inBackendSection("") + "backend z\n  mode tcp\n  disabled\n  server r 127.0.0.1:2 redir http://images.example\n")
	accept(inFrontendSection("errorfile 503 ERRORFILE\nerrorloc 500 http://x/\nerrorloc303 502 /y"))
	accept(inFrontendSection("stats enable\nstats uri /s?x\nstats realm A\\ B\nstats auth a:b\nstats refresh 5s\nstats hide-version\nstats show-legends\nstats show-node\nstats show-desc some text"))
	accept(inFrontendSection("timeout client 10\ntimeout http-request 5s\ntimeout http-keep-alive 1m\ntimeout client-fin 1h\nid 77\ndescription x y\nenabled"))
	accept(inBackendSection("timeout queue 1d\ntimeout check 500ms\ntimeout tunnel 1h\ntimeout server-fin 1s\ntimeout tarpit 1s"))
	accept(inBackendSection("balance leastconn\nbalance static-rr\nbalance first\nbalance source\nbalance uri\nbalance uri len 5 depth 3 whole\nbalance random\nbalance random(3)\nhash-type consistent\nhash-type map-based sdbm\nhash-type consistent wt6 avalanche\nhash-type map-based crc32\nhash-balance-factor 0\nhash-balance-factor 150\nbalance hdr(host)\nbalance hdr(host) use_domain_only\nbalance url_param k\nbalance uri path-only\nbalance rdp-cookie\nbalance rdp-cookie(x)"))
	refuse(inBackendSection("balance hdr"), "balance")
	refuse(inBackendSection("balance url_param"), "balance")
	refuse(inBackendSection("hash-type map-based sdbm x"), "hash-type")
	refuse(inBackendSection("hash-type map-based x"), "hash-type")
	accept(inBackendSection("cookie SRV insert indirect nocache preserve httponly secure domain .x.org domain .y.org attr SameSite=Lax\nserver c 127.0.0.1:2 cookie c"))
	accept(inBackendSection("option httpchk\noption httpchk /x\noption httpchk GET /x\noption httpchk GET /x HTTP/1.0\nhttp-check send meth GET uri /y ver HTTP/1.1 hdr Host a hdr X b body x comment y\nhttp-check expect status 200,204,300-399"))
	// What HAProxy passes over.
	for _, line := range []string{
		"stats realm Haproxy Statistics", "stats auth a:b c", "stats uri /a b", "stats enable x", "stats hide-version x", "stats refresh 10s x", "stats scope . x", "stats show-legends x", "errorfile 503 ERRORFILE x",
		"errorloc 503 http://x y", "errorloc302 503 /x y", "errorloc303 404 /x y", "balance roundrobin x", "balance leastconn 5", "balance random 2", "option redispatch 3 x", "load-server-state-from-file none x", "unique-id-header X y", "rate-limit sessions 10 x",
		"timeout client 5sec", "timeout client 5min", "timeout check 2hours", "compression offload x",
	} {
		accept(inDefaultsSection(line))
	}
	for _, line := range []string{"stats timeout 30s x", "setenv A b c", "presetenv A b c", "hard-stop-after 1m x", "server-state-base /tmp x", "server-state-file /tmp/x y", "log-send-hostname a b", "ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256@SECLEVEL=1", "ssl-default-bind-ciphers DEFAULT@SECLEVEL=1"} {
		accept(inGlobalSection(line))
	}
	refuse(inDefaultsSection("balance uri x"), "balance")
	refuse(inDefaultsSection("mode http x"), "unexpected argument")
	accept(inFrontendSection("acl a src localhost 10.0.0.1"))
	for _, version := range []string{"HTTP/2", "HTTP/2.0", "HTTP/1.7", "HTTP/3", "http/1.1", "1.1", "x", "HTTP/1.1\\\\r\\\\nHost:x", "HTTP/1.1\\r\\nHost:\\ %[hostname]", "HTTP/1.1\\r\\nHost:\\ 100%%"} {
		accept(inBackendSection("option httpchk GET / " + version))
	}
	accept(inBackendSection("option httpchk\nhttp-check send ver HTTP/2"))
	refuse(inBackendSection("option httpchk GET / HTTP/1.1\\r\\nHost:\\ 100%"), "'option httpchk' : 'hdr Host'")
	refuse(inBackendSection("option httpchk GET / HTTP/1.1\\r\\nHost:\\ %[nosuch]"), "unknown fetch method 'nosuch'")
	refuse(inBackendSection("option httpchk GET / HTTP/1.1\\r\\nHost"), "is no header line")
	accept(inBackendSection("option httpchk\nhttp-check expect ! string bad"))
	accept(inBackendSection("option httpchk\nhttp-check expect rstring ok[0-9]"))
	accept(inBackendSection("option httpchk\nhttp-check expect !status 500"))
	refuse(inBackendSection("option httpchk\nhttp-check send meth GET\nhttp-check send uri /"), "a connection carries one request")
	for _, e := range []string{"method,add(1)", "method,bool", "meth(GET),iif(a,b)", "method,ipmask(8)"} {
		refuse(inFrontendSection("http-request set-header X %["+e+"]"), "cannot be applied to a sample of type method")
	}
	for _, m := range []string{"int 1", "bool", "ip 10.0.0.1"} {
		refuse(inFrontendSection("http-request deny if { method -m "+m+" }"), "does not apply to a sample of type method")
	}
	accept(inFrontendSection("http-request set-header X %[method,hex]-%[method,lower,add(1)]-%[method,debug,add(1)] if { method -m len 3 } { method -m found } { method -m beg G }"))
	refuse(inBackendSection("option httpchk\nhttp-check connect\nhttp-check send uri /\nhttp-check connect port 81"), "an http-check expect must come first")
	refuse(inBackendSection("option httpchk\nhttp-check connect\nhttp-check comment x\nhttp-check connect"), "an http-check send must come first")
	refuse(inBackendSection("option httpchk\nhttp-check connect\nhttp-check expect status 200"), "an http-check send must come first")
	refuse(inBackendSection("option httpchk\nhttp-check expect status 200\nhttp-check set-var(check.a) int(1)\nhttp-check send uri /"), "an http-check connect must come first")
	accept(inBackendSection("option httpchk\nhttp-check connect\nhttp-check send uri /\nhttp-check comment x\nhttp-check expect status 200\nhttp-check expect string a\nhttp-check connect\nhttp-check send uri /"))
	accept(inBackendSection("option abortonclose\noption allbackups\noption log-health-checks\noption redispatch 2\noption redispatch -1\nno option redispatch\nretry-on conn-failure\noption tcp-check"))
	accept(inBackendSection("no option splice-auto\noption splice-auto\noption tcpka\noption srvtcpka\noption prefer-last-server\nload-server-state-from-file none\nmax-keep-alive-queue 3"))
	accept(inBackendSection("load-server-state-from-file local\nserver-state-file-name use-backend-name\nserver-state-file-name\nserver-state-file-name /tmp/x"))
	refuse(inBackendSection("load-server-state-from-file all"), "load-server-state-from-file")
	refuse(inBackendSection("load-server-state-from-file"), "load-server-state-from-file")
	accept(inFrontendSection("timeout server 1s\nbalance roundrobin\noption redispatch")) // a warning each
	accept(inBackendSection("bind 127.0.0.1:1\nmaxconn 4\noption httplog"))               // a warning each
	refuse(inFrontendSection("mode tcp\nlog-format %ci%{+Q}r"), "'r' is reserved for HTTP mode")
	refuse(inFrontendSection("mode tcp\nerror-log-format %HM"), "'HM' is reserved for HTTP mode")
	accept(inFrontendSection("mode tcp\nlog-format %ci%Tw/%Tc/%Tt%ST%ts"))
	refuse(inFrontendSection("mode htp"), "unknown proxy mode 'htp'")
	refuse(inFrontendSection("moed http"), "did you mean 'mode'")
	refuse(inFrontendSection("timeout conect 1s"), "did you mean 'connect'")
	refuse(inFrontendSection("timeout client abc"), "expects a time")
	refuse(inFrontendSection("timeout client 30d"), "timer overflow")
	refuse(inFrontendSection("option httplgo"), "unknown option 'httplgo'; did you mean 'httplog'")
	refuse(inFrontendSection("no option httplog"), "cannot be negated")
	refuse(inFrontendSection("no maxconn"), "cannot be negated")
	refuse(inFrontendSection("use_backend nope"), "unable to find required use_backend: 'nope'")
	refuse(strings.Replace(inFrontendSection(""), "default_backend b\n", "default_backend bb2\n", 1), "did you mean 'b2'")
	refuse(inFrontendSection("use_backend b2 if nope"), "no such ACL : 'nope'")
	refuse(inFrontendSection("use_backend b2 when x"), "only 'if' and 'unless' are allowed")
	refuse(inFrontendSection("acl a pth /x"), "pth")
	refuse(inFrontendSection("http-request frob"), "frob")
	refuse(inFrontendSection("log-format %zz"), "zz")
	refuse(inFrontendSection("server s 127.0.0.1:1"), "no backend capability")
	refuse(inFrontendSection("errorfile 503 /nonexistent"), "no such file")
	refuse(inFrontendSection("errorfile 999 ERRORFILE"), "status code '999' not handled")
	refuse(inFrontendSection("option forwardfor foo"), "only supports optional values")
	refuse(inFrontendSection("option forwardfor except 10.0.0.0/99"), "expects <address>[/mask]")
	refuse(inFrontendSection("capture request header x"), "capture request header")
	refuse(inFrontendSection("stats uri"), "stats uri")
	refuse(inFrontendSection("stats refresh 1x"), "unit 'x'")
	refuse(inDefaultsSection("bind :1"), "'bind' not allowed in 'defaults' section")
	refuse(inDefaultsSection("server a 127.0.0.1:1"), "'server' not allowed in 'defaults' section")
	refuse(inDefaultsSection("acl a path /"), "anonymous 'defaults'")
	refuse(inDefaultsSection("http-request deny"), "anonymous 'defaults'")
	refuse(inDefaultsSection("use_backend x"), "'use_backend' not allowed")
	refuse(inBackendSection("balance rr"), "balance")
	refuse(inBackendSection("balance random(0)"), "between 1 and")
	refuse(inBackendSection("balance uri foo"), "balance uri")
	refuse(inBackendSection("hash-type x"), "hash-type")
	refuse(inBackendSection("http-reuse x"), "http-reuse")
	refuse(inBackendSection("cookie"), "cookie")
	refuse(inBackendSection("cookie X foo"), "cookie")
	refuse(inBackendSection("cookie X insert domain"), "domain")
	refuse(inBackendSection("cookie X insert maxidle"), "maxidle")
	refuse(inBackendSection("cookie X insert maxlife x"), "maxlife")
	refuse(inBackendSection("cookie X rewrite indirect"), "exclude each other")
	refuse(inBackendSection("cookie X rewrite insert"), "exclude each other")
	refuse(inBackendSection("cookie X prefix preserve"), "'preserve' needs")
	refuse(inBackendSection("dynamic-cookie-key"), "dynamic-cookie-key")
	accept(inBackendSection("cookie X insert maxidle 30m maxlife 8h\nserver c 127.0.0.1:2 cookie c"))
	accept(inBackendSection("cookie X prefix nocache\nserver c 127.0.0.1:2 cookie c"))
	accept(inBackendSection("cookie X\nserver c 127.0.0.1:2 cookie c"))
	accept(inBackendSection("cookie X insert dynamic\ndynamic-cookie-key some\nserver c 127.0.0.1:2"))
	accept("global\n  expose-experimental-directives\n" + inFrontendSection("http-request normalize-uri path-strip-dotdot full if { path /a }\nhttp-request normalize-uri query-sort-by-name"))
	refuse(inFrontendSection("http-request normalize-uri path-strip-dot"), "expose-experimental-directives")
	refuse("global\n  expose-experimental-directives\n"+inFrontendSection("http-request normalize-uri dots"), "unknown normalizer")
	refuse(inBackendSection("http-check expect x y"), "http-check expect")
	refuse(inBackendSection("http-check send foo"), "foo")
	stricter(inBackendSection("option httpchk\nhttp-check expect status 99"), "between 100 and 999")
	stricter(inBackendSection("retries -1"), "between 0 and")
	accept("frontend f\n  mode tcp\n  bind 127.0.0.1:18000\n" + timeouts + "  tcp-request content switch-mode http proto h1 if HTTP\n  http-request deny if { path /x }\n  use_backend b if HTTP\n  default_backend r\nbackend b\n  mode http\n" + timeouts + "  server s 127.0.0.1:1\nbackend r\n  mode tcp\n" + timeouts + "  server s 127.0.0.1:1\n")
	refuse(inBackendSection("mode tcp\ntcp-request content switch-mode http"), "no frontend capability")
	refuse(inFrontendSection("tcp-request content switch-mode smtp"), "expects 'http'")

	// What published configurations have besides.
	accept(inFrontendSection("http-request early-hint Link \"</style.css>; rel=preload\" if { path / }\nacl a var(txn.a),debug -m str x\nacl b req.ssl_ver 3.1: :3.4 3.1:3.3"))
	accept(inBackendSection("option httpchk\nhttp-check connect proto h1 linger\nserver a 127.0.0.1:1 check source 127.0.0.1:3000-4000"))
	refuse(inFrontendSection("http-request early-hint Link"), "early-hint")
	stricter(inFrontendSection("http-request early-hint a:b x"), "not a header name")
	refuse(inBackendSection("option httpchk\nhttp-check connect proto h9"), "only supports")
	refuse(inBackendSection("server a 127.0.0.1:1 source 127.0.0.1:4000-3000"), "'source port'")
	refuse("frontend f\n  mode http\n  bind 127.0.0.1:18000\n"+timeouts+"  default_backend b\nbackend b\n  mode tcp\n"+timeouts+"  server s 127.0.0.1:1\n", "incompatible")
	refuse("listen l\n  bind 127.0.0.1:18000\n"+timeouts+"  default_backend l\n", "loop detected")
	accept(inFrontendSection("use_backend b2 unless"))
	accept(inFrontendSection("use_backend b2 if"))
	accept(inBackendSection("option http-buffer-request\nhttp-request wait-for-body time 1s at-least 1k if METH_POST\nhttp-request deny if { req.body -m sub x } { req.body_len gt 3 } { req.body_size 3 } { req.body_param(a) -m str b }"))
	refuse(inBackendSection("filter spoe engine x"), "expects 'config <file>'")
	refuse(inBackendSection("filter spoe config /nothing/here"), "no such file")
	accept(inBackendSection("option http-restrict-req-hdr-names delete\noption accept-invalid-http-response\nno option h1-case-adjust-bogus-server"))
	refuse(inBackendSection("option http-restrict-req-hdr-names"), "expects")
	refuse(inBackendSection("option http-restrict-req-hdr-names some"), "only supports")
	accept(inGlobalSection("h1-case-adjust content-length Content-LENGTH\ntune.http.maxhdr 200"))
	accept(inGlobalSection("h1-case-adjust Content-length Content-Length"))
	refuse(inGlobalSection("h1-case-adjust content-length Length"), "only differ in case")
	refuse(inGlobalSection("tune.http.maxhdr 0"), "between")
	refuse(inBackendSection("http-request wait-for-body at-least 1k"), "expects 'time <time>'")
	accept(inBackendSection("http-response wait-for-body time 1s at-least 1k if { status 200 }\nhttp-response deny if { res.body -m sub x } or { res.body_len gt 3 } or { res.body_size 7 }\nhttp-after-response set-header x %[res.body_size]"))
	accept(inFrontendSection("filter trace name x random-forwarding quiet"))
	accept(inFrontendSection("acl a hdr(host) -i\nacl b hdr(host) \"\"\nacl c src --\nuse_backend b2 if a or { path }"))
	accept(inFrontendSection("log :514 local0\nlog *:514 local0\nlog \"${EMPTY}:514\" local0"))
	for _, lines := range []string{"http-request cache-use c", "http-response cache-store c", "filter cache c\nhttp-response cache-store c"} {
		const section = "cache c\n  total-max-size 4\n"
		refuse(section+inFrontendSection("filter compression\n"+lines), "unable to enable the compression filter before the cache 'c'")
		accept(section + inFrontendSection(lines+"\nfilter compression\nhttp-response cache-store c"))
		accept(section + inFrontendSection("compression algo gzip\n"+lines))
		accept(section + inFrontendSection("disabled\nfilter compression\n"+lines) + "frontend z\n  bind 127.0.0.1:18002\n  default_backend b\n")
	}
	accept(inBackendSection("compression algo gzip deflate raw-deflate identity\ncompression type text/ a/b\ncompression offload\nfilter compression"))
	refuse(inBackendSection("compression algo br"), "not a supported algorithm")
	refuse(inBackendSection("compression algo"), "")
	const table = "stick-table type ip size 1k expire 10s store gpc0,gpc0_rate(10s),http_req_rate(10s),conn_cur\n"
	accept(inFrontendSection(table + "tcp-request connection track-sc0 src\ntcp-request connection reject if { sc0_conn_cur gt 10 } !{ src 127.0.0.2 }\nhttp-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }"))
	accept(inFrontendSection(table+"http-request track-sc1 req.hdr(x) table f2 if { path /a }\ntcp-request session accept\ntcp-request content reject if { src_get_gpc0(f) gt 1 }\nhttp-request sc-inc-gpc0(0)\nhttp-request sc-set-gpt0(1) 7\nhttp-response sc-inc-gpc1(1)\nhttp-response track-sc2 src") + "backend f2\n  stick-table type string len 20 size 2k nopurge peers p\npeers p\n  peer here 127.0.0.1:18009\n")
	accept(inFrontendSection(table + "http-request deny if { src,table_http_req_rate(f) gt 3 }\nhttp-request deny if { src,in_table(f) } { table_avl(f) lt 5 } { table_cnt lt 5 } { src,table_expire(f,7) gt 1 }\nacl hot src_inc_gpc0 gt 1\nacl hot sc1_clr_gpc0(f) gt 1\nuse_backend b2 if hot"))
	accept(inBackendSection("stick-table type string len 20 size 10 srvkey addr\nstick on req.cook(a)"))
	refuse(inBackendSection("stick-table type string len 20 size 10 srvkey port\nstick on req.cook(a)"), "'stick-table: srvkey' only supports 'name', 'addr'")
	accept(inBackendSection("stick-table type string len 20 size 10 srvkey name\nstick on req.cook(a)\nstick match src,lower if { path /a }\nstick store-request hdr(x) unless { path /a }\nstick store-response res.cook(a)\nserver n 127.0.0.1:9 non-stick"))
	refuse(inBackendSection("stick on src"), "unable to find table 'b'")
	refuse(inBackendSection("stick onto src"), "did you mean 'on'")
	refuse(inBackendSection("stick-table type ip size 1k\nstick on res.cook(a)"), "HTTP response headers")
	refuse(inFrontendSection("http-request track-sc0 src table nope"), "unable to find table 'nope'")
	refuse(inFrontendSection("http-request deny if { src_conn_rate gt 3 }"), "unable to find table 'f'")
	refuse(inFrontendSection("tcp-request connection track-sc0 path"), "HTTP request headers")
	for _, fact := range []string{"ssl_fc", "ssl_fc_sni", "ssl_c_s_dn(CN)", "ssl_c_used", "ssl_f_serial", "ssl_fc_cipherlist_hex", "ssl_fc_has_crt"} {
		refuse(inFrontendSection("tcp-request connection set-var(sess.a) "+fact), "needs 'the TLS handshake'")
		accept(inFrontendSection("tcp-request session set-var(sess.a) " + fact + "\ntcp-request connection reject if { " + fact + " -m found }"))
	}
	refuse(inFrontendSection("tcp-request connection frob"), "frob")
	refuse(inFrontendSection("http-request sc-inc-gpc0(5)"), "there are counters 0 to 2")
	refuse(inFrontendSection("http-request deny if { sc_http_req_rate gt 3 }"), "missing arguments")
	refuse(inBackendSection("stick-table type ip"), "missing size")
	refuse(inBackendSection("stick-table size 1k"), "missing type")
	refuse(inBackendSection("stick-table type ip len 4 size 1k"), "len")
	refuse(inBackendSection("stick-table type foo size 1k"), "foo")
	refuse(inBackendSection("stick-table type ip size 0"), "missing size")
	refuse(inBackendSection("stick-table type ip size 1x"), "no size such as")
	refuse(inBackendSection("stick-table type ip size 1k expire"), "missing argument after 'expire'")
	refuse(inBackendSection("stick-table type ip size 1k store foo"), "unknown store option 'foo'")
	refuse(inBackendSection("stick-table type ip size 1k store conn_rate"), "missing argument to store option 'conn_rate'")
	refuse(inBackendSection("stick-table type ip size 1k store gpc0(10s)"), "unexpected argument to store option 'gpc0'")
	refuse(inBackendSection("stick-table type ip size 1k peers nope"), "unable to find sync peers 'nope'")
	refuse(inBackendSection("stick-table type ip size 1k\nstick-table type ip size 1k"), "has one already")
	accept(inBackendSection("stick-table type ip size 1k store gpc(3),gpc_rate(2,10s),gpt(1),conn_cnt"))
	refuse(inBackendSection("stick-table type ip size 1k store gpc(0)"), "gpc")
	refuse(inBackendSection("stick-table type ip size 1k store gpc(2),gpc0"), "gpc")
	refuse(inBackendSection("stick-table type ip size 1k store gpt0,gpt(2)"), "gpt")
	refuse(inBackendSection("stick-table type ip size 1k store gpc2"), "unknown")
	stricter(inBackendSection("stick-table type ip size 1k store gpc(13)"), "at most 12")
	refuse(inBackendSection("stick-table type ip size 1k store gpc0,cluster"), "add one, such as http_req_rate(10s)")
	refuse(inBackendSection("stick-table type ip size 1k store conn_cur,cluster"), "'peers <section>'")
	accept(inBackendSection("option spop-check\nmax-session-srv-conns 5"))
	accept(inGlobalSection("tune.ssl.capture-buffer-size 96") + "frontend g\n  bind 127.0.0.1:18001\n  http-request set-header X-JA3 %[ssl_fc_protocol_hello_id],%[ssl_fc_cipherlist_bin(1),be2dec(-,2)],%[ssl_fc_extlist_bin(1),be2dec(-,2)],%[ssl_fc_eclist_bin(1),be2dec(-,2)],%[ssl_fc_ecformats_bin,be2dec(-,1)]\n")
	accept(inBackendSection("retry-on all-retryable-errors 425\nretry-on none\nretry-on 503 empty-response junk-response response-timeout 0rtt-rejected"))
	refuse(inBackendSection("retry-on 505"), "505")
	refuse(inBackendSection("retry-on none 503"), "none")
	accept(inBackendSection("option checkcache\noption http-restrict-req-hdr-names delete\noption independent-streams\npersist rdp-cookie\npersist rdp-cookie(x)"))
	refuse(inBackendSection("option http-restrict-req-hdr-names maybe"), "maybe")
	refuse(inBackendSection("persist cookie"), "rdp-cookie")
	accept(inBackendSection("email-alert mailers m\nemail-alert from a@b\nemail-alert to c@d") + "mailers m\n  mailer x 127.0.0.1:25\n")
	refuse(inBackendSection("email-alert mailers m\nemail-alert from a@b\nemail-alert to c@d"), "unable to find mailers 'm'")
	refuse(inBackendSection("email-alert nobody m"), "nobody")
	refuse(inBackendSection("email-alert level loud"), "loud")
	stricter(inBackendSection("email-alert from"), "email-alert")
	accept(inBackendSection("option httplog\noption httplog clf\nno log"))
	refuse(inBackendSection("option httplog common"), "common")
	refuse(inBackendSection("no log 127.0.0.1 local0"), "does not expect arguments")
	refuse(inGlobalSection("no log 127.0.0.1 local0"), "does not expect arguments")
	refuse(inGlobalSection("tune.fd.edge-triggered on"), "expose-experimental-directives")
	accept(inGlobalSection("expose-experimental-directives\ntune.fd.edge-triggered on"))
	refuse(inBackendSection("balance roundrobin\noption transparent"), "both transparent and balance mode")
	// zero-warning means the warnings that HAProxy has.
	for _, unwarned := range []string{
		inGlobalSection("zero-warning") + "frontend g\n  bind 127.0.0.1:18001\n  log global\n",
		inGlobalSection("zero-warning\nssl-default-bind-ciphers NONE_OF_THESE") + "userlist u\n  user nobody\n",
		strings.Replace(inBackendSection("http-request deny if\nserver c 127.0.0.1:2 cookie c\noption redispatch 0"), "defaults", "global\n  zero-warning\ndefaults", 1),
	} {
		accept(unwarned)
	}
	for _, warned := range []string{"acl a path\nhttp-request deny if a", "http-request set-header a b if { res.hdr(a) b }", "option httplog", "load-server-state-from-file global"} {
		refuse(strings.Replace(inBackendSection(warned), "defaults", "global\n  zero-warning\ndefaults", 1), "'zero-warning' is set")
	}
	accept(inBackendSection("stick-table type ip size 1k peers p") + "peers p\n  peer here 127.0.0.1:18009\n  peer there 127.0.0.2:18009\n")
	peersOf := func(lines string) string {
		return "global\n  localpeer a\npeers p\n  " + strings.ReplaceAll(lines, "\n", "\n  ") + "\n" + inBackendSection("stick-table type ip size 1k peers p")
	}
	accept(peersOf("bind 127.0.0.1:18009\nserver a\nserver b 127.0.0.2:18009 weight 5\nlog 127.0.0.1:514 local0\ntable t type string len 10 size 1k store gpc0"))
	accept(peersOf("default-server ssl verify none\npeer a 127.0.0.1:18009\npeer b 127.0.0.2:18009 check"))
	accept(peersOf("disabled\npeer a 127.0.0.1:18009\npeer b 127.0.0.2:18009"))
	accept(peersOf("server a\nserver b 127.0.0.2:18009"))
	accept("peers q\n  peer b 127.0.0.2:18009\n" + peersOf("peer a 127.0.0.1:18009\npeer b 127.0.0.2:18009"))
	refuse(peersOf("bind 127.0.0.1:18010\npeer a 127.0.0.1:18009\npeer b 127.0.0.2:18009"), "stands both at")
	refuse(peersOf("peer a 127.0.0.1:18009\npeer a 127.0.0.3:18009\npeer b 127.0.0.2:18009"), "another peer of this name")
	refuse(peersOf("bind 127.0.0.1:18009\nbind 127.0.0.1:18010\nserver a\nserver b 127.0.0.2:18009"), "once in a peers section")
	refuse(peersOf("peer a 127.0.0.1:18009 backlog 5\npeer b 127.0.0.2:18009"), "unknown keyword 'backlog'")
	refuse(peersOf("peer a 127.0.0.1:18009\nnode b 127.0.0.2:18009"), "node")
	stricter(peersOf("peer a 127.0.0.1:18009\npeer b 127.0.0.2"), "missing port")
	stricter(peersOf("peer a 127.0.0.1:18009\npeer b"), "missing address")
	stricter(peersOf("peer a 127.0.0.1:18009\npeer b 127.0.0.2:18009 socks4 127.0.0.1:1080"), "'socks4' is known to HAProxy, but not supported by lb yet for a peer")
	stricter(peersOf("default-server socks4 127.0.0.1:1080\npeer a 127.0.0.1:18009\npeer b 127.0.0.2:18009"), "not supported by lb yet for a peer")
	accept(peersOf("peer a 127.0.0.1:18009\npeer b 127.0.0.2:18009 check-via-socks4"))
	stricter(inBackendSection("stick-table type ip size 1k store conn_rate(0)"), "more than 0")
	accept(inBackendSection("cookie X rewrite\nserver c 127.0.0.1:2 cookie c"))
	looser(inFrontendSection("reqadd X-A:\\ b\nrspadd X-B:\\ c if { status 200 }\nreqidel ^X-C:\nrspdel ^X-D:.*"))
	looser(inDefaultsSection("contimeout 1000\nclitimeout 1000\nsrvtimeout 1000"))
	looser(inFrontendSection("option forceclose"))
	looser(inFrontendSection("block if { path /x }"))
	looser(inDefaultsSection("redispatch"))
	refuse(inFrontendSection("reqrep ^a b"), "known to HAProxy")
	refuse(inFrontendSection("reqidel X-.*"), "cannot be translated")
	refuse("listen f 127.0.0.1:80\n", "takes no address any more")

	// Servers.
	accept(inBackendSection("server a 127.0.0.1:2 check inter 2s fastinter 1s downinter 5s rise 2 fall 3 weight 10 backup maxconn 5 maxqueue 6 id 9 port 80 addr 127.0.0.2"))
	accept(inBackendSection("default-server check inter 1s weight 5\nserver a 127.0.0.1:2 no-check\nserver c localhost:3 disabled\nserver d [::1]:4 enabled\nserver e ::1:5\nserver f /tmp/h.sock\nserver g unix@/tmp/h.sock"))
	// Where checks and agents are.
	for _, at := range []string{"server a 127.0.0.1:2 check addr %s", "option httpchk\nhttp-check connect addr %s", "option tcp-check\ntcp-check connect addr %s"} {
		for _, right := range []string{"$HOST", "${HOST}:80", "$HOST:$PORT", "[::1]", "[::1]:80", "ipv4@127.0.0.1", "localhost"} {
			accept(inBackendSection(fmt.Sprintf(at, right)))
		}
		refuse(inBackendSection(fmt.Sprintf(at, "$MISSING")), "empty address")
		refuse(inBackendSection(fmt.Sprintf(at, "127.0.0.1:99999")), "invalid port")
		refuse(inBackendSection(fmt.Sprintf(at, "127.0.0.1:80-90")), "invalid port")
		stricter(inBackendSection(fmt.Sprintf(at, "/run/x.sock")), "is a unix socket")
		stricter(inBackendSection(fmt.Sprintf(at, "*")), "invalid address")
		looser(inBackendSection(fmt.Sprintf(at, "::1"))) // HAProxy reads a port of 1
	}
	const agent = "server a 127.0.0.1:2 agent-check agent-port 1 agent-addr "
	accept(inBackendSection(agent + "127.0.0.1"))
	looser(inBackendSection(agent + "$HOST"))
	refuse(inBackendSection(agent+"127.0.0.1:80"), "write 'agent-port 80'")
	refuse(inBackendSection(agent+"$MISSING"), "empty address")
	accept(inBackendSection("server a 127.0.0.1\nserver c 127.0.0.1:0\nserver d localhost:3 init-addr last,libc"))
	accept(inBackendSection("server-template t 3 localhost:80 check\nserver-template u 1-2 127.0.0.1:80"))
	accept(inBackendSection("default-server pool-max-conn 10 pool-purge-delay 1s pool-low-conn 2 max-reuse 100 no-tfo"))
	refuse(inBackendSection("server a"), "'server' expects")
	refuse(inBackendSection("server a 127.0.0.1:2 chek"), "unknown keyword 'chek'; did you mean 'check'")
	refuse(inBackendSection("server a 127.0.0.1:2 inter"), "'inter' expects")
	refuse(inBackendSection("server a 127.0.0.1:2 inter 2x"), "unit 'x'")
	refuse(inBackendSection("server a 127.0.0.1:2 weight 300"), "between 0 and 256")
	refuse(inBackendSection("server a 127.0.0.1:99999"), "invalid port")
	refuse(inBackendSection("server a 1.2.3.4.5:80"), "invalid address")
	refuse(inBackendSection("server s 127.0.0.1:3"), "another server named 's'")
	refuse(inBackendSection("server a 127.0.0.1:2 id 5\nserver c 127.0.0.1:2 id 5"), "id 5 is taken")
	refuse(inBackendSection("server a{ 127.0.0.1:2"), "not permitted")
	refuse(inBackendSection("server a 127.0.0.1 check"), "neither a port nor a check port")
	accept(inBackendSection("server a 127.0.0.1:2 ssl verify none sni str(a.example) alpn http/1.1 ssl-min-ver TLSv1.2 no-tlsv13 no-ssl-reuse ciphers ECDHE-RSA-AES128-GCM-SHA256\nserver b 127.0.0.1:2 ssl verify none sni req.hdr(host) check\nserver c 127.0.0.1:2 ssl verify none no-ssl"))
	refuse(inBackendSection("server a 127.0.0.1:2 ssl"), "verify is enabled by default but no CA file specified")
	refuse(inBackendSection("server a 127.0.0.1:2 ssl verify none sni nonsense"), "sni")
	refuse(inBackendSection("server a 127.0.0.1:2 ssl verify maybe"), "verify")
	accept(inBackendSection("server a 127.0.0.1:+1\nserver b 127.0.0.1\nserver c 0.0.0.0:0\nserver d *:80\nserver e *\nserver f abns@x\nserver g 127.0.0.1:1 source 127.0.0.2 tcp-ut 5s\nserver h 127.0.0.1:1 source 127.0.0.2:0 interface lo"))
	for _, status := range []string{"100", "101", "103", "199"} { // a client would take the body for the answer
		stricter(inFrontendSection("http-response set-status "+status), "announces another answer")
	}
	accept(inFrontendSection("log unix@${HOST}/x.sock local0\nbind unix@$HOST/x.sock")) // addresses expand everywhere
	stricter(inFrontendSection("log-format %]"), "%]")
	stricter(inFrontendSection("log-format %(n)x"), "no such format variable")
	refuse(inFrontendSection("http-request set-header X-A %[str(a\\,b)]"), "too many arguments")
	refuse(inFrontendSection("http-request set-header X-A '%[req.hdr(a),regsub(a\\(b\\),c)]'"), "regsub")
	accept(inFrontendSection("http-request set-header X-A '%[req.hdr(a),regsub(\"a(b),c\",d)]'\nacl a req.hdr(a),regsub(a\\\\.b,c) x"))
	accept(inBackendSection("source 127.0.0.2 interface lo\nsource 0.0.0.0 usesrc clientip\nbalance"))
	accept(strings.ReplaceAll(inBackendSection("option transparent"), "server s 127.0.0.1:1", "dispatch 127.0.0.1:80"))
	accept(inFrontendSection("option clitcpka\nclitcpka-cnt 3\nclitcpka-idle 30s\nclitcpka-intvl 5\nrate-limit sessions 10\nerrorfile 421 ERRORFILE\nhttp-request set-src hdr(x)\nhttp-request set-dst-port int(80)\ntcp-request connection set-src str(1.2.3.4)"))
	accept(inGlobalSection("maxconnrate 10\nmaxsessrate 10\nmaxsslrate 10\nunix-bind mode 600 uid 0 gid 0\ndefault-path current\nssl-default-bind-ciphers PROFILE=SYSTEM"))
	refuse(inGlobalSection("unix-bind made 600"), "only supports")
	refuse(inGlobalSection("default-path nowhere"), "only supports")
	stricter(inFrontendSection("clitcpka-idle 0"), "between 1s and")
	refuse(inBackendSection("server a 127.0.0.1:1 source"), "'source' expects")
	refuse(inBackendSection("source x.y."), "is no IP address")
	accept(inBackendSection("server a 0.0.0.0:80 check\nserver b *:81 check inter 1s"))
	accept(inBackendSection("server a localhost:1 init-addr last,libc,none"))
	accept(inFrontendSection("bind 127.0.0.1:18001 maxconn 5 mss 1000 tcp-ut 5s"))
	accept(inFrontendSection("no option logasap"))
	accept(inFrontendSection("option disable-h2-upgrade\nno option disable-h2-upgrade"))
}
