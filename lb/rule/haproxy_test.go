package rule

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/test/port"
	"lbsyslogd/test/tape"
)

// These tests ask Debian's HAProxy 2.6 the same questions and compare answers.

// oracleRequest is what both sides see; %d is replaced by nothing, the text is
// sent as it stands.
const oracleRequest = "GET /static/css/a%20b.css?v=12&name=a%20b+c&empty&void=&x=%zz;y=1 HTTP/1.1\r\n" +
	"Host: www.Example.com:8080\r\n" +
	"User-Agent: u\"a#{x|y}\\]\xc3\xa9\tz\r\n" +
	"X-List: a, \"b,c\" ,d\r\n" +
	"X-Forwarded-For: 192.0.2.7, 203.0.113.9:443\r\n" +
	"X-List: e\r\n" +
	"X-Ip: 010.0.0.1, 10.1, 0x0a000001, 10.0.0.1:80, [::ffff:10.0.0.1], ::ffff:10.0.0.1%eth0, \"10.0.0.1\", 10.0.0.1x, 1.2.3.4.5, ::1.2.3.4, 10.0.0.256, 0000000010.0.0.1, [::1]:80, ::ffff:0a00:0001, 10.0.0.1/8, 167772161, 10.0.0.1:x, 10.0.0.1;a\r\n" +
	"X-Num: 42abc\r\n" +
	"X-Enc: a%0d%0ab%09c%00d\r\n" +
	"Cookie: sid=abc; theme=dark;  sid=def ; q=\"x;y\"; c=1,2; d=3,e=4;noeq\r\n" +
	"Empty:\r\n" +
	"Authorization: Bearer abc.def\r\n" +
	"Connection: close\r\n\r\n"

// freePort gives a TCP port nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	return int(netip.MustParseAddrPort(port.Reserve(t)).Port())
}

// haproxy starts one with cfg and waits until port answers.
func haproxy(t *testing.T, cfg string, port int) {
	t.Helper()
	bin := tape.Require(t, "haproxy")
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(bin, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		select {
		case <-ended:
			ended <- nil
			t.Fatalf("haproxy ended:\n%s", out.String())
		default:
		}
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("haproxy does not listen")
		}
	}
}

// ask sends the request and gives the whole answer and our own port.
func ask(t *testing.T, port int, request string) (answer string, from netip.AddrPort) {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), c.LocalAddr().(*net.TCPAddr).AddrPort()
}

const oracleHead = "global\n tune.http.maxhdr 1000\n tune.bufsize 65536\ndefaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n"

// oracleCtx is our view of that request.
func oracleCtx(t testing.TB, client netip.AddrPort, port int) *sample.Ctx {
	t.Helper()
	h := &http1.Head{}
	if _, err := h.ParseRequest([]byte(oracleRequest)); err != nil {
		t.Fatal(err)
	}
	return &sample.Ctx{Req: h, SessVars: &sample.Vars{}, Proc: &sample.ProcVars{}, Rec: &sample.Record{Parties: sample.Parties{Client: client, FrontAddr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)), Frontend: "f", Backend: "f", Server: "<NOSRV>"}, Method: h.Method(), URI: h.URI(), Minor: 1, Status: -1, Hostname: hostname(t)}}
}

func hostname(t testing.TB) string {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

var oracleConditions = []string{
	"path /static/css/a%20b.css", "path -i /STATIC/CSS/A%20B.CSS", "path_beg /static", "path_beg -i /STATIC", "path_end .css", "path_end -i .CSS .js", "path_sub css/a", "path_sub -i CSS/A", "path_sub nope",
	"path_dir css", "path_dir cs", "path_dir static/css", "path_dir /static/css/", "path_dir a%20b.css", "path_dir b.css", "path_dom css", "path_dom b", "path_reg ^/static/.*\\.css$", "path_reg -i ^/STATIC", "path_reg css.", "path_len 21",
	"path_len 20:22", "path_len gt 20", "path_len lt 20", "path_len ge 21", "path_len :5 100:", "path -m found", "path_beg /x /y /static", "url_beg /static", "url_sub v=12", "url_end zz", "url_len gt 40", "query -m found", "query -m beg v=",
	"base_beg www.Example.com:8080/static", "base_dom Example.com", "base_dom -i example.com", "base_end .css", "hdr(host) www.Example.com:8080", "hdr(host) -i WWW.example.com:8080", "hdr(HOST) -m end 8080", "hdr_dom(host) Example.com", "hdr_dom(host) -i example", "hdr_dom(host) ample.com",
	"hdr_dom(host) .Example.com.", "hdr_dom(host) 8080", "hdr_beg(host) www", "hdr_end(host) :8080", "hdr_reg(host) Ex.mple", "hdr_sub(user-agent) x|y", "hdr_len(host) 20", "hdr(x-list) a", "hdr(x-list) d", "hdr(x-list) e", "hdr(x-list) \\\"b,c\\\"", "hdr(x-list) b",
	"hdr(x-list,1) a", "hdr(x-list,2) a", "hdr(x-list,-1) e", "hdr(x-list,-4) a", "hdr(x-list,-5) -m found", "hdr(x-list,9) -m found", "req.fhdr(x-list) e", "req.fhdr(x-list,1) -m beg a,", "hdr_cnt(x-list) 4", "hdr_cnt(x-list) 3", "req.fhdr_cnt(x-list) 2", "hdr_cnt(nope) 0", "hdr(nope) -m found", "hdr(empty) -m found",
	"hdr(empty) -m len 0", "hdr_ip(x-forwarded-for) 192.0.2.7", "hdr_ip(x-forwarded-for) 203.0.113.0/24", "hdr_ip(x-forwarded-for,-1) 192.0.2.7", "hdr_ip(x-list) 0.0.0.0/0", "hdr_val(x-num) 42", "hdr_val(x-num) gt 41", "hdr_val(x-list) 0", "cook(sid) abc", "cook(sid) def", "cook(theme) dark", "cook(nope) -m found", "cook_cnt(sid) 2", "cook_beg(theme) da",
	"req.cook(q) -m found", "req.cook(q) -m len gt 2", "cook(c) 1", "cook(c) 1,2", "cook(e) 4", "cook(noeq) -m found", "cook_cnt 8", "urlp(v) 12", "urlp(v) -m int gt 11", "url_param(name) a%20b+c", "urlp(empty) -m found", "urlp(void) -m found", "urlp(y) 1", "urlp(x) -m found", "urlp(nope) -m found", "urlp(name),url_dec -m sub b", "urlp(x) -m found", "urlp(x),url_dec -m found", "src 127.0.0.1", "src 127.0.0.0/8 10.0.0.0/8", "src 127", "src 127.1", "src 127.0.1", "src 127.0.0/8", "src 127.1/32", "src 127.0.0.0/255.0.0.0", "src ::1", "src ::ffff:127.0.0.1",
	"dst 127.0.0.1", "src_port 1024:65535", "dst_port lt 5", "method GET", "method POST PUT", "method get", "method -i get", "req.ver 1.1", "req.ver 1.0", "ssl_fc", "always_true", "always_false", "int(5) gt 4", "int(-5) lt 0", "int(5) 1:9", "str(x) x", "str(x) y", "bool(true)", "bool(0)", "path,lower -m beg /static", "path,upper -m sub CSS", "path,length 21", "path_beg,lower /static/css/a%20b.css",
	"str(A) -m bin 41", "str(-i) -- -i", "str(a) -i -m str A", "str(abc) -m sub b", "str(abc) -m reg ^a.c$", "str(abc) -m len 3", "int(10) -m str 10", "src -m str 127.0.0.1", "src -m beg 127.", "http_auth_bearer abc.def", "str(5) -m int 5", "str(5x) -m int 5", "str(x) -m int 0", "str(10.1.2.3) -m ip 10.0.0.0/8", "str(nope) -m ip 0.0.0.0/0",
	"str() -m found", "str() -m str a", "always_true -m int 1", "int(0) -m bool", "int(7) -m bool", "rand(1) 0", "path_beg", "capture.req.uri -m beg /static", "capture.req.method GET",
	"ipv6(2002:0a00:0001::) -m ip 10.0.0.0/8", "ipv6(::ffff:10.0.0.1) -m ip 10.0.0.0/8", "ipv6(::10.0.0.1) -m ip 10.0.0.0/8", "ipv6(64:ff9b::10.0.0.1) -m ip 10.0.0.0/8", "ipv4(10.0.0.1) -m ip ::ffff:10.0.0.1", "ipv4(10.0.0.1) -m ip ::ffff:0.0.0.0/96", "hdr_ip(x-ip) 10.0.0.1",
	// Types and the methods that match them.
	"str(f1__f2),field(9,_) -m found", "str(f1__f2),word(9,_) -m found", "str(1) -m bool", "str(0) -m bool", "str(abc) -m bool", "str() -m bool", "str(-1) -m bool", "env(NOPE) -m bool", "env(PATH) -m bool", "var(txn.none) -m bool", "hdr(x-num) -m bool",
	"bin(616263) -m str abc", "bin(61006263) -m len 4", "bin(61006263) -m len 1", "bin(61006263),length 1", "bin(616263) -m bin 616263", "bin(61006263) -m bin 61006263", "bin(61006263) -m sub bc", "bin(61006263) -m beg a", "str(a) -m int 0", "always_true -m str 1", "always_true -m beg 1",
	"int(10) -m beg 1", "int(10) -m end 0", "int(10) -m reg ^1.$", "int(10) -m len 2", "src -m int 2130706433", "src -m len 9", "src -m reg ^127", "src -m end .1", "str(127.0.0.1) -m ip 127.0.0.0/8", "str(x) -m ip 127.0.0.0/8",
	"always_true -m found", "always_false -m found", "int(0) -m found", "always_false -m int 0", "always_true -m len 1", "path,length -m bool", "req.hdr_cnt(nope) -m bool", "urlp(v) -m bool", "urlp(empty) -m bool",
}

func TestConditionsAgreeWithHAProxy(t *testing.T) {
	port := freePort(t)
	cfg := oracleHead + fmt.Sprintf("frontend f\n bind 127.0.0.1:%d\n", port)
	var ours []*acl.Cond
	var asked []string
	for _, c := range oracleConditions {
		w, err := cfgWords(c)
		if err != nil {
			t.Fatal(err)
		}
		cond, err := acl.ParseCond(append(append([]string{"{"}, w...), "}"), acl.NewACLs())
		if err != nil {
			if c == "path_beg" { // HAProxy takes an ACL that can never match; we say so
				continue
			}
			t.Errorf("%s: %v", c, err)
			continue
		}
		cfg += fmt.Sprintf(" http-request add-header x-cond-%d 1 if { %s }\n", len(ours), c)
		ours, asked = append(ours, cond), append(asked, c)
	}
	cfg += ` http-request return status 200 content-type text/plain lf-string "%[req.hdr_names],"` + "\n"
	haproxy(t, cfg, port)
	answer, from := ask(t, port, oracleRequest)
	x := oracleCtx(t, from, port)
	for i, c := range ours {
		theirs := strings.Contains(answer, fmt.Sprintf(",x-cond-%d,", i))
		if got := c.Eval(x); got != theirs {
			t.Errorf("{ %s }: we say %v, HAProxy says %v", asked[i], got, theirs)
		}
	}
}

// cfgWords splits a line of the tables: blanks separate, a backslash protects.
func cfgWords(line string) ([]string, error) {
	var words []string
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && strings.IndexByte("\\\" #", line[i+1]) >= 0:
			i++
			b.WriteByte(line[i])
		case c == ' ':
			words = append(words, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(words, b.String()), nil
}

var oracleSamples = []string{
	"path", "path,lower", "path,upper", "path,length", "path,hex", "path,base64", "url", "query", "pathq", "base", "baseq", "method", "method,lower", "req.ver", "src", "dst", "src_port", "dst_port", "hdr(host)", "req.hdr(x-list)", "req.hdr(x-list,1)", "req.hdr(x-list,2)",
	"req.hdr(x-list,-2)", "req.fhdr(x-list)", "req.fhdr(x-list,1)", "req.fhdr_cnt(x-list)", "hdr_cnt(x-list)", "hdr_cnt(nope)", "hdr(nope)", "hdr(empty)", "hdr_ip(x-forwarded-for)", "hdr_ip(x-forwarded-for,1)", "hdr_val(x-num)", "hdr(user-agent)", "cook(sid)", "cook(theme)", "cook(nope)", "cook_cnt(sid)", "cook", "req.cook(q)",
	"urlp(v)", "urlp(name)", "urlp(name),url_dec", "urlp(name),url_dec(1)", "urlp(empty)", "urlp(nope)", "urlp(void)", "urlp(y)", "urlp(x)", "urlp(x),url_dec", "urlp", "hdr(x-enc),url_dec", "path,url_dec", "path,word(1,/)", "path,word(2,/)", "path,word(-1,/)", "path,word(9,/)", "path,field(1,/)", "path,field(2,/)", "path,field(-1,/)",
	"str(f1_f2_f3__f5),field(5,_)", "str(f1_f2_f3__f5),field(2,_,0)", "str(f1_f2_f3__f5),field(2,_,2)", "str(f1_f2_f3__f5),field(-2,_,3)", "str(f1_f2_f3__f5),field(-3,_,0)", "str(f1_f2_f3__f5),field(4,_)", "str(f1_f2_f3__f5),field(6,_)",
	"str(f1_f2_f3__f5),word(4,_)", "str(f1_f2_f3__f5),word(2,_,0)", "str(f1_f2_f3__f5),word(3,_,2)", "str(f1_f2_f3__f5),word(-2,_,3)", "str(f1_f2_f3__f5),word(-3,_,0)", "str(/f1/f2/f3/f4),word(1,/)", "str(__a__b__),word(2,_)", "str(a.b-c),field(2,.-)",
	"path,regsub(css,js)", "path,regsub(s,S,g)", "path,regsub(S,x,gi)", "path,regsub(\"^/([a-z]+)/\",\"/\\1/\")", "str(aaa),regsub(^a,b,g)", "str(abc),regsub(x*,-)", "int(5),add(3)", "int(5),sub(8)", "int(5),mul(-2)", "int(7),div(2)", "int(-7),div(2)", "int(-7),mod(3)", "int(7),mod(0)", "int(7),div(0)", "int(5),neg",
	"int(5),not", "int(0),not", "int(5),odd", "int(5),even", "int(5),and(4)", "int(5),or(2)", "int(5),xor(1)", "int(5),cpl", "int(5),bool", "int(9223372036854775807),add(1)", "int(-9223372036854775807),sub(9)", "int(9223372036854775807),mul(2)", "int(255),hex", "str(ab),hex", "str(ff),hex2i", "str(7fffffff),hex2i",
	"str(abc),concat(x)", "str(abc),concat(x,,y)", "str(abc),concat(,txn.none,y)", "str(YWJj),b64dec", "str(abc),base64", "str(ab?),ub64enc", "str(YWI_),ub64dec", "str(abc),bytes(1)", "str(abc),bytes(1,1)", "str(abc),bytes(0,9)", "str(abc),crc32", "str(abc),crc32(1)", "str(abc),sha1,hex", "str(abc),sha2,hex", "str(abc),sha2(512),hex",
	"src,ipmask(24)", "src,ipmask(255.0.0.0)", "str(a b/c?d),url_enc", "str(xxabcxx),ltrim(x)", "str(xxabcxx),rtrim(x)", "hdr(host),host_only", "hdr(host),port_only", "str([::1]:80),host_only", "str([::1]:80),port_only", "str(abc),host_only", "str(abc),port_only", "int(0),http_date", "int(1700000000),http_date", "int(1700000000),utime(\"%Y-%m-%d %H:%M:%S\")",
	"always_true", "always_false", "always_true,iif(yes,no)", "always_false,iif(yes,no)", "bool(true)", "int(5)", "str(a b)", "ipv4(1.2.3.4)", "ipv6(::1)", "ipv6(2001:db8::0:1)", "meth(PUT)", "capture.req.uri", "capture.req.method", "capture.req.ver", "hostname", "ssl_fc", "ssl_fc_sni", "fe_name", "var(txn.none)", "http_auth_bearer", "unique-id", "req.hdr_names(;),regsub(;connection,)", "src,hex", "src,base64", "int(255),base64", "int(5),crc32", "src,sha1,hex", "always_true,hex", "src,bytes(1,2),hex", "ipv6(::1),hex", "ipv6(::1),ipmask(24,64)", "src,add(1)", "src,concat(x)", "src_port,bytes(0,6),hex", "always_true,add(1)", "str(5),add(1)", "str(5x),add(1)", "str(x),add(1)", "src,lower",
	"hdr_ip(x-ip,1)", "hdr_ip(x-ip,2)", "hdr_ip(x-ip,3)", "hdr_ip(x-ip,4)", "hdr_ip(x-ip,6)", "hdr_ip(x-ip,7)", "hdr_ip(x-ip,8)", "hdr_ip(x-ip,9)", "hdr_ip(x-ip,10)", "hdr_ip(x-ip,11)", "hdr_ip(x-ip,12)", "hdr_ip(x-ip,14)", "hdr_ip(x-ip,15)", "hdr_ip(x-ip,16)", "hdr_ip(x-ip,17)", "hdr_ip(x-ip,18)",
	// Hashes, digests and keys.
	"path,crc32(1)", "path,crc32c", "path,crc32c(1)", "path,djb2", "path,djb2(1)", "path,sdbm", "path,sdbm(1)", "path,wt6", "path,wt6(1)", "str(),wt6", "str(),djb2", "path,xxh32", "path,xxh32(7)", "path,xxh64", "path,xxh64(7)", "path,xxh3", "path,xxh3(7)",
	"int(0),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1700000000),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1736000000),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1609459200),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1230768000),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1104537600),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1704067200),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1672531200),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1735689599),utime(u=%u w=%w U=%U W=%W V=%V G=%G g=%g C=%C P=%P k=%k l=%l E=%EY/%Ex O=%Od +=%+)", "int(1700000000),ltime(%u%l)",
	"path,digest(sha-256),hex", "path,digest(SHA-512),hex", "path,digest(SHA2-256),hex", "path,digest(SHA2-224),hex", "path,digest(RSA-SHA256),hex", "path,digest(rsa-sha1),hex", "path,digest(RSA-SHA1-2),hex", "path,digest(sha-1),hex", "path,digest(rsa-md5),hex", "path,digest(ssl3-md5),hex", "path,digest(SSL3-SHA1),hex", "path,digest(SHA-512/256),hex", "path,digest(SHA2-512/224),hex", "path,digest(RSA-SHA512/256),hex", "path,digest(RSA-SHA3-256),hex", "path,digest(sha384WithRSAEncryption),hex", "path,digest(sha512-224WITHRSAENCRYPTION),hex", "path,digest(md5WithRSAEncryption),hex", "path,digest(ID-RSASSA-PKCS1-v1_5-WITH-SHA3-384),hex", "path,hmac(SHA-384,a2V5),hex", "path,hmac(rsa-sha512,a2V5),hex",
	"str(a),xxh32", "str(abcdefgh),xxh32", "url,xxh32", "url,xxh3", "url,xxh64", "str(),xxh32", "str(),xxh3", "path,digest(sha256),hex", "path,digest(md5),hex", "path,digest(SHA1),hex", "path,digest(sha3-256),hex", "path,hmac(sha256,a2V5),hex", "path,hmac(sha1,txn.none),hex",
	"str(YQ==),b64dec,hmac(md5,YQ==),base64", "str(abc),secure_memcmp(txn.none)",
	// Blocks of bytes.
	"bin(01020304050607)", "bin(01020304050607),hex", "bin(01020304050607),be2dec(:,2)", "bin(01020304050607),be2dec(-,2,1)", "bin(01020304050607),be2dec(,2,1)", "bin(7f000001),be2dec(.,1)", "bin(01020304050607),be2hex", "bin(01020304050607),be2hex(:,2)",
	"bin(01020304050607),be2hex(--,2,1)", "bin(0102030405060708),be2hex(,3,1)", "bin(616263)", "bin(616263),lower", "bin(616263),length", "str(abc),b64dec", "int(258),htonl,hex", "int(258),hex", "always_true,hex", "src,hex", "int(5),length", "src,length",
	"bin(0896011202686918ffffffffffffffffff01),protobuf(1,int32)", "bin(0896011202686918ffffffffffffffffff01),protobuf(2)", "bin(0896011202686918ffffffffffffffffff01),protobuf(3,int64)", "bin(0896011202686918ffffffffffffffffff01),protobuf(9)",
	"bin(0801),protobuf(1,sint32)", "bin(0d0000803f),protobuf(1,float)", "bin(09000000000000f03f),protobuf(1,double)", "bin(0a020805),protobuf(1.1,int32)", "bin(00000000040a020805),ungrpc(1.1,int32)", "bin(00000000040a020805),ungrpc(1)", "bin(0d01000000),protobuf(1,fixed32)",
	// JSON and tokens.
	"hdr(user-agent),json", "hdr(user-agent),json(utf8)", "hdr(user-agent),json(utf8s)", "hdr(user-agent),json(ascii)", "bin(c0af41),json(utf8)", "bin(c0af41),json(utf8s)", "bin(c0af41),json(utf8p)", "bin(c0af41),json(utf8ps)", "bin(f09f9880),json(utf8)",
	"bin(f09f988041),json(utf8s)", "bin(ff41),json(utf8s)", "bin(e282ac),json(utf8)", "bin(080c0a0d09017f),json",
	"str('{\"a\":1,\"b\":{\"c\":[true,false,null,\"x\\ty\"],\"d.e\":2.50},\"big\":123456789,\"neg\":-7}'),json_query('$.a')", "str('{\"a\":1}'),json_query('$.a','int'),add(1)", "str('{\"b\":{\"c\":[true,false,null,\"xy\"]}}'),json_query('$.b.c[0]')",
	"str('{\"b\":{\"c\":[true,false,null,\"xy\"]}}'),json_query('$.b.c[1]')", "str('{\"b\":{\"c\":[true,false,null,\"xy\"]}}'),json_query('$.b.c[2]')", "str('{\"b\":{\"c\":[true,false,null,\"xy\"]}}'),json_query('$.b.c[3]')", "str('{\"b\":{\"c\":[1]}}'),json_query('$.b')",
	"str('{\"a\":2.50}'),json_query('$.a')", "str('{\"a\":123456789}'),json_query('$.a')", "str('{\"a\":1e3}'),json_query('$.a')", "str('{\"a\":-7}'),json_query('$.a',int)", "str('{\"a\":9007199254740993}'),json_query('$.a',int)", "str('{\"a\":1'),json_query('$.a')", "str('[1,2]'),json_query('$[1]')",
	"str(eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c),jwt_header_query('$.alg')",
	"str(eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c),jwt_payload_query('$.iat','int')",
	"str(eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c),jwt_verify(HS256,your-256-bit-secret)",
	"str(eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c),jwt_verify(HS256,wrong)",
	"str(a.b),jwt_verify(none,x)", "str(.),jwt_verify(none,x)", "str(ab),jwt_verify(none,x)", "str(a.b.A),jwt_verify(none,x)", "str(a.b.),jwt_verify(HS256,x)",
	"str(eyJhbGciOiJIUzI1NiJ9.e30),jwt_header_query('$.alg')", "str(x),capture-req(9)", "str(x),capture-res(9)", "internal.strm.is_htx",
	"str(a.b.c),jwt_verify(HS256,x)", "str(a.b),jwt_verify(HS256,x)", "str(a.b.c),jwt_verify(txn.none,x)", "str(a.b.),jwt_verify(none,x)", "str(a.b.c.d),jwt_verify(HS256,x)",
	// Texts and variables.
	"str(a\rb),cut_crlf", "str(abc),cut_crlf", "str(abc),add_item(:,txn.none,x)", "str(abc),add_item(:,txn.none)", "str(),add_item(:,,x)", "str(abc),set-var(txn.mine),add_item(:,txn.mine)", "int(7),set-var(txn.seven),add(txn.seven)", "var(txn.seven)", "int(9),set-var(txn.seven,ifnotset)", "var(txn.seven)",
	"int(5),set-var(txn.seven,ifgt)", "var(txn.seven)", "int(6),set-var(txn.seven,iflt)", "var(txn.seven)", "str(x),set-var(txn.gone),unset-var(txn.gone)", "var(txn.gone)", "str(y),set-var(txn.gone,ifexists)", "var(txn.gone)", "var(txn.gone,else)", "var(txn.gone,7),add(1)", "var(txn.gone,)", "var(txn.seven,else)", "str(y),set-var(txn.new,ifexists)", "var(txn.new)",
	"str(),set-var(txn.e,ifnotempty)", "var(txn.e)", "str(a),set-var(sess.a)", "var(sess.a)", "str(p),set-var(proc.a)", "var(proc.a)", "str(r),set-var(res.a)", "var(res.a)", "str(r),set-var(req.a)", "var(req.a)",
	"str(\"fr;q=0.5, en-US, de;q=0.9\"),language(de;en)", "str(\"fr;q=0.5,en;q=0,de;q=0.2\"),language(en;de;fr)", "str(xx),language(en,none)", "str(xx),language(en)", "str(\"en;q=0.4,de;q=0.4\"),language(de;en)",
	"str(f1__f2),field(9,_)", "str(f1__f2),word(9,_)", "hdr_ip(host)",
	"int(1000),ipmask(24)", "str(10.1.2.3),ipmask(8)", "bool(true),add(1)", "str(12abc),add(1)", "str(0x10),add(1)", "str(010),add(1)", "str(1.2.3.4),add(1)", "ipv4(1.2.3.4),add(1)", "ipv6(::1),length", "base32", "base32+src", "base32+src,hex", "url32", "url32+src,hex", "url_ip", "url_port", "uuid,length", "uuid(4),field(3,-),bytes(0,1)", "uuid,field(5,-),length", "fc_src", "fc_dst", "fc_dst_port,sub(0)", "src_is_local", "dst_is_local", "fc_err_str", "fc_http_major", "last_rule_line", "last_rule_file", "proc",
}

func TestSamplesAgreeWithHAProxy(t *testing.T) {
	port := freePort(t)
	var lines []string
	for _, s := range oracleSamples {
		lines = append(lines, "<%["+s+"]|%{+Q}["+s+"]|%{+E}["+s+"]>")
	}
	file := filepath.Join(t.TempDir(), "lf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	haproxy(t, oracleHead+fmt.Sprintf("frontend f\n bind 127.0.0.1:%d\n http-request return status 200 content-type text/plain lf-file %s\n", port, file), port)
	answer, from := ask(t, port, oracleRequest)
	_, body, ok := strings.Cut(answer, "\r\n\r\n")
	if !ok {
		t.Fatalf("answer: %q", answer)
	}
	theirs := strings.Split(body, "\n")
	if len(theirs) != len(lines) {
		t.Fatalf("%d lines for %d questions:\n%s", len(theirs), len(lines), body)
	}
	x := oracleCtx(t, from, port)
	for i, text := range lines {
		f, err := logformat.ParseAt(text, sample.InRequest, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := string(f.Append(nil, x)); got != theirs[i] {
			t.Errorf("%s: we say\n  %q, HAProxy says\n  %q", oracleSamples[i], got, theirs[i])
		}
	}
}

// oracleVars are shown plain and with every flag; those whose value depends on
// the moment are masked.
var oracleVars = []string{
	"B", "CC", "CS", "H", "HM", "HP", "HPO", "HQ", "HU", "HV", "ID", "ST", "T", "Ta", "Tc", "Td", "Th", "Ti", "Tl", "TR", "Tq", "Tr", "Ts", "Tt", "Tu", "Tw", "U", "ac", "b", "bc", "bi", "bp", "bq", "ci", "cp", "f", "fc", "fi", "fp", "ft",
	"hr", "hrl", "hs", "hsl", "lc", "ms", "pid", "r", "rc", "rt", "s", "sc", "si", "sp", "sq", "sslc", "sslv", "t", "tr", "trg", "trl", "ts", "tsc", "[capture.req.hdr(0)]", "[capture.req.hdr(1)]", "[capture.req.hdr(2)]", "[src]", "[src_port]", "[ssl_fc_sni]", "[int(5)]", "[str(a\\]b)]", "[method]", "[fc_err]", "[ssl_fc_err,hex]", "[ssl_c_err]", "[ssl_fc_is_resumed]",
}

// volatile masks what two processes cannot share: times, counters, the pid.
var volatile = regexp.MustCompile(`\d+/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(\.\d{3})?`)

func TestLogVariablesAgreeWithHAProxy(t *testing.T) {
	port := freePort(t)
	sock := filepath.Join(t.TempDir(), "log")
	logs, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: sock, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	var parts []string
	changing := map[string]bool{"Ts": true, "ms": true, "pid": true, "rt": true, "lc": true, "B": true, "U": true, "ac": true, "fc": true,
		"Ta": true, "Th": true, "Ti": true, "TR": true, "Tq": true, "Tt": true, "Tu": true}
	for _, v := range oracleVars {
		for _, flags := range []string{"", "{+Q}", "{+X}", "{+E}", "{+Q,+E}", "{+Q,+X}"} {
			parts = append(parts, "<"+v+flags+" %"+flags+v+">")
		}
	}
	format := strings.Join(parts, " %hs ")
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, " ", `\ `, "#", `\#`).Replace(format)
	cfg := strings.Replace(oracleHead, "global\n", "global\n log "+sock+" len 65535 format raw local0\n", 1) +
		fmt.Sprintf("frontend f\n bind 127.0.0.1:%d\n log global\n capture request header User-Agent len 64\n capture request header X-None len 10\n capture request header Host len 8\n log-format %s\n http-request return status 200\n", port, quoted)
	haproxy(t, cfg, port)
	answer, from := ask(t, port, oracleRequest)
	x := oracleCtx(t, from, port)
	r := x.Rec
	r.Status, r.Sent, r.Received = 200, uint64(len(answer)), uint64(len(oracleRequest))
	r.Term = [4]byte{'L', 'R', '-', '-'}
	r.Tw, r.Tc, r.Tr, r.Td = -1, -1, -1, -1
	r.ReqCaptures = []string{"u\"a#{x|y}\\]\xc3\xa9\tz", "", "www.Exam"}
	r.Accept, r.Request = time.Now(), time.Now()
	r.ActConn, r.FeConn = 1, 1
	line := ""
	for buf := make([]byte, 1<<17); !strings.Contains(line, "GET /static"); { // the readiness probe is logged too
		if err := logs.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := logs.Read(buf)
		if err != nil {
			t.Fatalf("no log line: %v", err)
		}
		line = string(buf[:n])
	}
	f, err := logformat.Parse(format, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := volatile.ReplaceAllString(string(f.Append(nil, x)), "DATE")
	want := volatile.ReplaceAllString(strings.TrimSuffix(line, "\n"), "DATE")
	for v := range changing {
		mask := regexp.MustCompile(`(<` + v + `\S* "?)[0-9A-F]+`)
		got, want = mask.ReplaceAllString(got, "${1}N"), mask.ReplaceAllString(want, "${1}N")
	}
	gots, wants := strings.Split(got, "> "), strings.Split(want, "> ")
	if len(gots) != len(wants) {
		t.Fatalf("we say\n%s\nHAProxy says\n%s", got, want)
	}
	for i := range gots {
		if gots[i] != wants[i] {
			t.Errorf("we say  %s>, HAProxy says  %s>", gots[i], wants[i])
		}
	}
}
