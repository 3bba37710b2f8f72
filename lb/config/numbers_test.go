package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/test/tape"
)

// verdicts loads configurations here and in HAProxy, each of which must say the same of them.
type verdicts struct {
	*testing.T
	peer *tape.Tape
	path string
}

func newVerdicts(t *testing.T) *verdicts {
	return &verdicts{t, tape.Open(t, "haproxy"), filepath.Join(t.TempDir(), "t.cfg")}
}

func (v *verdicts) load(text string) (c *Config, theirs bool, output string, err error) {
	v.Helper()
	if err := os.WriteFile(v.path, []byte(text), 0o600); err != nil {
		v.Fatal(err)
	}
	c, err = Load([]string{v.path}, Options{Environ: []string{}})
	theirs, output = verdictOf(v.T, v.peer, v.path)
	return c, theirs, output, err
}

// accept: both load it, and lb remarks on the part; "" is nothing.
func (v *verdicts) accept(text, part string) *Config {
	v.Helper()
	c, theirs, output, err := v.load(text)
	if err != nil || !theirs {
		v.Errorf("accepted by haproxy: %v\n%s\nlb: %v\nhaproxy: %s", theirs, text, err, output)
		return &Config{}
	}
	for _, n := range c.Notes {
		if part == "" || strings.Contains(n.Text, part) {
			return c
		}
	}
	if part != "" {
		v.Errorf("%s\nno remark has %q: %v", text, part, c.Notes)
	}
	return c
}

// refuse: neither loads it, and lb says the part.
func (v *verdicts) refuse(text, part string) {
	v.Helper()
	_, theirs, _, err := v.load(text)
	if err == nil || theirs {
		v.Errorf("accepted by lb: %v, by haproxy: %v\n%s", err == nil, theirs, text)
		return
	}
	for _, one := range err.(*cfgfile.Errors).List {
		if strings.Contains(one.Error(), part) {
			return
		}
	}
	v.Errorf("%s\nno error has %q: %v", text, part, err)
}

// TestNumbersAsHAProxy: where HAProxy reads numbers as C does, lb reads them so and says what it read.
func TestNumbersAsHAProxy(t *testing.T) {
	v := newVerdicts(t)
	const zero, large = "is no number, and is read as 0", "is read as a very large number"
	for _, name := range []string{"maxconn", "spread-checks", "maxconnrate", "maxsessrate", "maxsslrate", "maxsslconn", "maxcomprate", "maxcompcpuusage", "tune.ssl.capture-buffer-size"} {
		v.accept(inGlobalSection(name+" abc"), "'"+name+"' : 'abc' "+zero)
		v.accept(inGlobalSection(name+" 5;"), "only '5' is read of '5;'")
	}
	v.refuse(inGlobalSection("nbthread abc"), "expects a number")
	v.accept(inGlobalSection("tune.http.maxhdr 101;"), "only '101'")
	v.accept(inGlobalSection("uid abc\ngid 5;"), "'uid abc' is ignored, as in HAProxy")
	v.accept(inGlobalSection("log 127.0.0.1 len 1000; local0"), "only '1000'")
	if c := v.accept(inGlobalSection("maxconn -1"), large); c.Global.MaxConn != 1<<31-1 {
		t.Errorf("maxconn -1 is %d", c.Global.MaxConn)
	}

	for _, name := range []string{"maxconn", "backlog"} {
		v.accept(inFrontendSection(name+" abc"), zero)
		v.accept(inFrontendSection(name+" -1"), large)
	}
	v.accept(inFrontendSection("rate-limit sessions -1"), large)
	v.refuse(inFrontendSection("rate-limit sessions abc"), "expects a number")
	v.accept(inFrontendSection("bind :18003 maxconn abc backlog abc mss 5; uid abc gid 5;"), zero)
	v.refuse(inFrontendSection("bind :18003 id abc"), "expects a number")
	v.accept(inFrontendSection("capture request header A len 10;\ncapture response header B len abc\ncapture cookie C len 0\nhttp-request capture req.hdr(a) len 10;"), "only '10'")
	v.refuse(inFrontendSection("declare capture request len 10;"), "expects a number")
	v.accept(inFrontendSection("http-request deny deny_status 429;\nhttp-request redirect location / code 301;\nhttp-request set-nice abc\nhttp-request set-nice 5;\nhttp-request wait-for-body time 1s;"), "only '429' is read of '429;'")
	v.accept(inFrontendSection("http-request set-nice 2000\nhttp-request set-nice -1025\nhttp-request set-nice 99999999999999999999"), "beyond -1024 to 1024")
	v.refuse(inFrontendSection("http-request deny deny_status abc"), "expects a status code")
	for _, section := range []string{"frontend", "listen"} {
		v.refuse("defaults\n  mode http\n"+timeouts+section+" l\n  bind 127.0.0.1:18000\n  declare capture request len 5\n  http-request capture req.hdr(a) id 1\n", "unable to find capture id '1'")
		v.refuse("defaults\n  mode http\n"+timeouts+section+" l\n  bind 127.0.0.1:18000\n  declare capture request len 5\n  http-response capture res.hdr(a) id 0\n", "unable to find capture id '0'")
	}
	v.accept(inBackendSection("http-request capture req.hdr(a) id 7"), "")
	v.refuse(inFrontendSection("http-request redirect location / code abc"), "unsupported HTTP code")

	v.accept(inBackendSection("retries abc\nfullconn -1"), large)
	v.accept(inBackendSection("balance uri len 5; depth 2;"), "only '5'")
	v.accept(inBackendSection("hash-balance-factor abc"), zero)
	v.refuse(inBackendSection("balance url_param x max_wait 5"), "only accepts 'check_post'")
	v.accept(inBackendSection("http-request set-timeout server 5s;"), "only '5s'")
	v.accept(inBackendSection("cookie X insert maxidle 30m;"), "only '30m'")
	v.accept(inBackendSection("stick-table type string len 10; size 1m expire 30m; store http_req_rate(10s;)"), "only '10s' is read of '10s;'")
	v.refuse(inBackendSection("stick-table type string len abc size 1m"), "expects a number")
	v.refuse(inBackendSection("stick-table type ip size 1m; expire 30m"), "is no size")
	c := v.accept(inBackendSection("server-template a 3; 127.0.0.1:80\nserver-template b 1-2; 127.0.0.1:80"), "only '3' is read of '3;'")
	if n := len(c.Proxies[1].Servers); n != 6 {
		t.Errorf("%d servers", n)
	}
	v.refuse(inBackendSection("server-template a abc 127.0.0.1:80"), "expects a number")
	c = v.accept(inBackendSection("server a 127.0.0.1:80 weight abc maxconn -1 minconn abc maxqueue -1 check port abc inter 5s; agent-check agent-port 80; pool-max-conn abc max-reuse 5;\nserver b 127.0.0.1:80 maxconn abc check port 0"), zero)
	if a := c.Proxies[1].Servers[1]; a.Weight != 0 || a.MaxConn != 1<<31-1 || a.MaxQueue != 1<<31-1 || a.CheckPort != 0 || a.Inter != 5*time.Second || a.AgentPort != 80 || a.PoolMaxConn != 0 || a.MaxReuse != 5 {
		t.Errorf("numbers of a server: %+v", a)
	}
	v.refuse(inBackendSection("server a 127.0.0.1:80 check fall abc"), "expects a number")

	v.accept("resolvers r\n  nameserver n 127.0.0.1:53;\n  hold valid 5s;\n  timeout retry 1s;\n  resolve_retries abc\n  accepted_payload_size 8192;\n"+inBackendSection(""), "only '8192'")
	v.accept("ring q\n  maxlen 1200;\n  size 32768;\n  timeout connect 5s;\n"+inBackendSection(""), "only '1200'")
}

// TestIgnoredArguments: a keyword without effect has its arguments checked as HAProxy does.
func TestIgnoredArguments(t *testing.T) {
	v := newVerdicts(t)
	v.accept(inGlobalSection("cpu-map auto:1/1-4 0-3\ncpu-map 1 0,2\ncpu-map odd 0;\ncpu-map 1/all 0-\ntune.h2.max-frame-size 16384\ntune.h2.header-table-size 4096;\ntune.idletimer 1s\ntune.vars.global-max-size 100\nprofiling.tasks auto\n"+
		"ulimit-n abc\ntune.comp.maxlevel 9\nstats maxconn 10;\nthread-groups 1\ntune.ssl.default-dh-param 2048\ntune.ssl.keylog off\ntune.pool-low-fd-ratio 10\ntune.lua.maxmem 0\nssl-default-bind-ciphersuites foo"), "")
	for _, line := range []string{
		"cpu-map a b", "cpu-map 1", "cpu-map 99 0", "cpu-map 1 99999", "cpu-map 1/65 0", "cpu-map 1 all", "tune.h2.max-frame-size 100", "tune.h2.header-table-size 70000", "tune.h2.initial-window-size -1",
		"tune.ssl.cachesize -1", "tune.ssl.lifetime abc", "tune.ssl.default-dh-param 512", "tune.ssl.keylog abc", "tune.vars.global-max-size abc", "tune.comp.maxlevel 10", "tune.pool-low-fd-ratio 101",
		"tune.listener.multi-queue abc", "tune.sched.low-latency abc", "tune.idle-pool.shared abc", "tune.peers.max-updates-at-once abc", "tune.lua.forced-yield abc", "tune.lua.session-timeout abc", "tune.idletimer abc",
		"thread-groups abc", "busy-polling x", "profiling.tasks abc", "quiet x", "noepoll x", "strict-limits x", "stats maxconn abc", "stats maxconn 0", "grace abc", "ssl-dh-param-file /nonexistent", "ssl-default-bind-ciphersuites", "tune.maxaccept",
		"tune.ssl.force-private-cache x", "tune.http.cookielen 1 2",
	} {
		name, _, _ := strings.Cut(line, " ")
		v.refuse(inGlobalSection(line), name)
	}
	v.accept(inFrontendSection("bind :18003 nice -1024 thread 1/1-4 shards by-thread proto h1 process 1/odd"), "")
	for _, words := range []string{"nice 2000", "nice -2000", "thread abc", "thread 99", "thread 0", "thread 1/", "process abc", "process 2", "process 1/65", "shards 0", "shards abc", "proto foo"} {
		name, _, _ := strings.Cut(words, " ")
		v.refuse(inFrontendSection("bind :18003 "+words), "'"+name+"'")
	}
	v.refuse(inBackendSection("server a 127.0.0.1:80 pool-purge-delay abc"), "pool-purge-delay")
	v.refuse(inBackendSection("server a 127.0.0.1:80 log-proto foo"), "log-proto")
}

// selfSigned gives a certificate and its key.
func selfSigned(t *testing.T) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, like, like, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
}

// TestUnusedTLSFaults: what is wrong with ciphers and curves counts where they are used.
func TestUnusedTLSFaults(t *testing.T) {
	v := newVerdicts(t)
	v.accept(inGlobalSection("ssl-default-bind-ciphers foo\nssl-default-bind-curves foo\nssl-default-server-ciphers foo"), "no line with 'ssl' uses it")
	v.accept(inFrontendSection("bind :18003 ciphers foo\nbind :18004 curves foo\nbind :18005 ecdhe foo\nbind :18006 ciphersuites foo"), "the line has no 'ssl'")
	v.accept(inBackendSection("server a 127.0.0.1:80 ciphers foo\nserver b 127.0.0.1:80 ciphersuites foo"), "the line has no 'ssl'")
	v.accept(inBackendSection("server a 127.0.0.1:80 ssl verify none ciphersuites foo:TLS_AES_128_GCM_SHA256"), "")
	v.refuse(inBackendSection("server a 127.0.0.1:80 ssl verify none ciphers foo"), "no cipher suite of TLS 1.2 is left")
	v.refuse(inBackendSection("server a 127.0.0.1:80 ssl verify none ciphersuites foo"), "unable to set TLS 1.3 cipher suites")
	v.refuse("global\n  ssl-default-server-ciphers foo\n"+inBackendSection("server a 127.0.0.1:80 ssl verify none"), ":2: ")
	v.refuse("global\n  ssl-default-server-ciphers foo\n"+inBackendSection("server a 127.0.0.1:80 check check-ssl verify none"), ":2: ")

	// The last word of a name counts.
	bad := "default-server ciphers foo ciphersuites foo\nserver a 127.0.0.1:80 ssl verify none"
	v.accept(inBackendSection(bad+" ciphers AES128-SHA ciphersuites TLS_AES_128_GCM_SHA256"), "")
	v.refuse(inBackendSection(bad+" ciphers AES128-SHA"), "unable to set TLS 1.3 cipher suites")
	v.refuse(inBackendSection(bad+" ciphersuites TLS_AES_128_GCM_SHA256"), "no cipher suite of TLS 1.2 is left")
	v.refuse(inBackendSection("server a 127.0.0.1:80 ssl verify none ciphers AES128-SHA ciphers foo"), "no cipher suite of TLS 1.2 is left")
	if err := os.WriteFile(filepath.Join(filepath.Dir(v.path), "c.pem"), selfSigned(t), 0o600); err != nil {
		t.Fatal(err)
	}
	secure := "bind :18003 ssl crt " + filepath.Join(filepath.Dir(v.path), "c.pem") + " "
	for _, words := range []string{"ciphers foo ciphers AES128-SHA", "ciphersuites foo ciphersuites TLS_AES_128_GCM_SHA256", "curves foo curves P-256", "ecdhe foo ecdhe prime256v1"} {
		v.accept(inFrontendSection(secure+words), "")
	}
	v.refuse("global\n  ssl-default-bind-ciphersuites foo\n"+inFrontendSection(secure), "unable to set TLS 1.3 cipher suites")
	v.accept("global\n  ssl-default-bind-ciphersuites foo\n"+inFrontendSection(secure+"ciphersuites TLS_AES_256_GCM_SHA384"), "")
	v.refuse(inFrontendSection(secure+"ciphersuites foo ciphers AES128-SHA"), "unable to set TLS 1.3 cipher suites")
	v.refuse(inFrontendSection(secure+"ciphers AES128-SHA ciphers foo"), "no cipher suite of TLS 1.2 is left")

	// Checks are connections over TLS, too.
	v.refuse(inBackendSection("server a 127.0.0.1:80 check check-ssl verify none ciphers foo"), "no cipher suite of TLS 1.2 is left")
	v.refuse(inBackendSection("server a 127.0.0.1:80 check-ssl verify none ciphers foo"), "no cipher suite of TLS 1.2 is left")
	v.refuse(inBackendSection("server a 127.0.0.1:80 check-ssl"), "verify is enabled by default but no CA file specified")
	v.refuse(inBackendSection("option tcp-check\ntcp-check connect ssl\nserver a 127.0.0.1:80 check verify none ciphers foo"), "no cipher suite of TLS 1.2 is left")
	v.accept(inBackendSection("server a 127.0.0.1:80 check check-ssl verify none ciphers foo no-check-ssl"), "the line has no 'ssl'")
}

// TestTLSFaultsAreKept: what is wrong with a word is never forgotten, however much is wrong.
func TestTLSFaultsAreKept(t *testing.T) {
	c := &call{p: &parser{}, name: "ciphers"}
	c.p.tls.faults = make([]wordFault, math.MaxUint16-1)
	wrong := errors.New("wrong")
	var last, over Server
	if err := c.withTLS(&last, wrong); err != nil || len(c.p.tls.faultsOf(&last)) != 1 {
		t.Errorf("%v, %v", err, c.p.tls.faultsOf(&last))
	}
	if err := c.withTLS(&over, wrong); err != wrong {
		t.Errorf("one too many: %v", err)
	}
}

// TestDisabledProxies: HAProxy does not look at what a disabled proxy names, and loads it.
func TestDisabledProxies(t *testing.T) {
	v := newVerdicts(t)
	const rest = "frontend zz\n  mode http\n  bind :18099\n  timeout client 1s\n  http-request return status 200\n"
	for _, one := range []string{
		"frontend f\n  bind :18003\n  disabled\n  default_backend nope\n",
		"frontend f\n  mode http\n  bind :18003\n  disabled\n  use_backend nope if TRUE\n  http-request track-sc0 src table nope\n",
		"frontend f\n  mode http\n  bind :18003\n  disabled\n  http-request deny if { http_auth(nope) } or { nbsrv(nope) lt 1 }\n",
		"frontend f\n  mode http\n  bind :18003\n  disabled\n  stats auth a:b\n  stats http-request deny\n  filter cache nope\n  http-request capture req.hdr(x) id 4\n",
		"frontend f\n  mode tcp\n  bind :18003\n  disabled\n  log-format %HM\n  log ring@nope local0\n",
		"backend b\n  disabled\n  server s 127.0.0.1:1 ssl\n  server t 127.0.0.1:1 track x/y\n  server u 127.0.0.1:1 resolvers nope\n  server v 127.0.0.1 check\n",
		"backend b\n  mode http\n  disabled\n  stick on src table nope\n  http-request cache-use nope\n  stick-table type ip size 1 peers nope\n",
		"listen b\n  disabled\n  bind :18003\n  mode http\n  server s 127.0.0.1:1\n  default_backend b\n",
		"frontend f\n  bind :18003\n  mode http\n  disabled\n  default_backend b\nbackend b\n  mode tcp\n",
	} {
		v.accept(one+rest, "is disabled)")
	}
	v.accept("backend b\n  disabled\n  server s 127.0.0.1:1 check\nbackend c\n  server s 127.0.0.1:1 track b/s\n"+rest, "stays up, as in HAProxy")
	v.refuse("frontend f\n  bind :18003\n  disabled\n  default_backend nope\n  foo bar\n"+rest, "unknown keyword 'foo'")
	v.refuse("frontend f\n  mode http\n  bind :18003\n  disabled\n  http-request deny if { path -f /nonexistent }\n"+rest, "/nonexistent")
	for _, one := range []string{"frontend f\n  bind :18003\n%sbackend f\n  disabled\n%s", "frontend f\n  bind :18003\n  disabled\n%sbackend f\n%s", "frontend f\n  bind :18003\n  disabled\n%sbackend f\n  disabled\n%s"} {
		table := "  stick-table type %s size 10\n"
		v.refuse(fmt.Sprintf(one, fmt.Sprintf(table, "ip"), fmt.Sprintf(table, "string"))+rest, "stick-table name 'f' conflicts with table declared in frontend 'f'")
		v.refuse(fmt.Sprintf(one, "  id 5\n", "  id 5\n")+rest, "id 5 is taken by frontend 'f'")
	}
	v.refuse("frontend f\n  bind :18003\nfrontend f\n  disabled\n"+rest, "has the same name")
	v.refuse("backend f\n  disabled\n  server a 127.0.0.1:1 id 4\n  server b 127.0.0.1:1 id 4\n"+rest, "id 4 is taken by server 'a'")
	v.refuse("frontend f\n  disabled\n  bind :18003 id 4\n  bind :18004 id 4\n"+rest, "'id' : custom id 4 already used at")
	v.refuse("frontend f\n  bind :18003-18004 id 4\n"+rest, "'id' can only be used with a single socket")
	v.accept("frontend f\n  disabled\n  bind :18003 id 4\nfrontend g\n  bind :18003 id 4\n"+rest, "")
	v.accept("frontend f\n  disabled\n  bind :18003\nfrontend g\n  bind :18003\n"+rest, "")
	v.refuse("frontend f\n  bind :18003\n  disabled\nfrontend g\n  bind :18004\n  default_backend nope\n"+rest, "unable to find required default_backend")
}

// TestFramingRules: rules on the fields that frame a message load, and do nothing; test/dialect has what is sent.
func TestFramingRules(t *testing.T) {
	v := newVerdicts(t)
	for _, set := range []string{"http-request", "http-response", "http-after-response"} {
		for _, rule := range []string{"set-header Content-Length 5", "add-header content-length 5", "del-header Transfer-Encoding", "replace-header Content-Length (.*) 5", "replace-value Transfer-Encoding .* x", "set-header Content-Length: 5", "set-header Transfer-Encoding chunked if { status 200 } or TRUE"} {
			if set == "http-request" {
				rule, _, _ = strings.Cut(rule, " if")
			}
			v.accept(inFrontendSection(set+" "+rule), "says where the body ends")
		}
		v.refuse(inFrontendSection(set+" set-header Content-Length"), "Content-Length")
		v.refuse(inFrontendSection(set+" set-header Content-Length %[nosuch]"), "unknown fetch method 'nosuch'")
	}
	v.accept(inFrontendSection("http-request return status 200 content-type text/plain string x hdr Content-Length 5 hdr Content-Type a/b hdr Transfer-Encoding chunked"), "is ignored, as in HAProxy")
	v.accept(inFrontendSection("http-error status 404 content-type text/plain string x hdr Content-Length 5"), "is ignored, as in HAProxy")
}

// TestUselessSOCKS4: HAProxy takes servers that SOCKS4 cannot name, and serves nothing of them.
func TestUselessSOCKS4(t *testing.T) {
	v := newVerdicts(t)
	for _, server := range []string{"[::1]:80", "/run/none.sock", "unix@/run/none.sock", "abns@none"} {
		v.accept(inBackendSection("server a "+server+" socks4 127.0.0.1:1080 check"), "SOCKS4 has no way to write")
	}
	v.accept(inBackendSection("default-server socks4 127.0.0.1:1080\nserver a [::1]:80"), "SOCKS4 has no way to write")
	for _, proxy := range []string{":1080", "*:1080", "0.0.0.0:1080", "[::]:1080"} {
		v.accept(inBackendSection("server a 127.0.0.1:80 socks4 "+proxy), "is no address of a proxy")
	}
	for _, server := range []string{"127.0.0.1:80", "[::ffff:127.0.0.1]:80", "localhost:80", "*:80"} {
		c := v.accept(inBackendSection("server a "+server+" socks4 [::1]:1080"), "")
		if slices.ContainsFunc(c.Notes, func(n cfgfile.Note) bool {
			return strings.Contains(n.Text, "SOCKS4") || strings.Contains(n.Text, "socks4")
		}) {
			t.Errorf("%s: %v", server, c.Notes)
		}
	}
}

// TestLateErrorPages: a section may stand below the errorfiles lines that name it, and the last line for a status counts.
func TestLateErrorPages(t *testing.T) {
	v := newVerdicts(t)
	dir := filepath.Dir(v.path)
	page := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("HTTP/1.0 503 "+name+"\r\nContent-Length: 0\r\n\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b, own := page("a"), page("b"), page("own")
	site := "http-errors site\n  errorfile 503 " + a + "\n  errorfile 500 " + a + "\nhttp-errors first\n  errorfile 503 " + b + "\n"
	for lines, want := range map[string][2]string{ // of 503 and 500
		"errorfiles site":                                               {a, a},
		"errorfiles site 500":                                           {"", a},
		"errorfiles site\n  errorfile 503 " + own:                       {own, a},
		"errorfile 503 " + own + "\n  errorfiles site":                  {a, a},
		"errorfiles site\n  errorfiles first":                           {b, a},
		"errorfiles first\n  errorfiles site 500 404":                   {b, a},
		"errorfiles site\n  errorloc 500 /":                             {a, "/"},
		"mode http\ndefaults y\n  errorfiles site\nfrontend g from y\n": {"", ""},
	} {
		section := "frontend f\n  bind :18003\n  mode http\n  timeout client 1s\n  "
		c := v.accept(section+lines+"\n"+site, "")
		if len(c.Proxies) > 0 {
			for i, status := range []int{503, 500} {
				if got := c.Proxies[0].ErrorFiles[status]; got.Path != want[i] && want[i] != "/" {
					t.Errorf("%s: %d is %s, not %s", lines, status, got.Path, want[i])
				}
			}
		}
	}
	c := v.accept("defaults\n  mode http\n  timeout client 1s\n  errorfiles site\nfrontend f\n  bind :18003\n  errorfile 500 "+own+"\nfrontend g\n  bind :18004\n"+site, "")
	if len(c.Proxies) != 2 || c.Proxies[0].ErrorFiles[503].Path != a || c.Proxies[0].ErrorFiles[500].Path != own || c.Proxies[1].ErrorFiles[500].Path != a {
		t.Errorf("of defaults: %+v", c.Proxies)
	}
	v.accept("frontend f\n  disabled\n  bind :18003\n  errorfiles none\nfrontend g\n  bind :18004\n  mode http\n  timeout client 1s\n", "is disabled)")
}
