package dialect

import (
	"encoding/base64"
	"strings"
	"testing"

	"lbsyslogd/lb/sample"
)

// conversions are converters with their arguments; _BLANK_ is a blank within one.
var conversions = strings.Fields(`
add(1) add(txn.n) add(9223372036854775807) sub(-9223372036854775807) mul(2) mul(-1) mul(9223372036854775807) div(3) div(0) div(-1) mod(3) mod(0) mod(-5) and(7) or(8) xor(255) cpl neg not bool even odd
mul(txn.n) div(txn.n) mod(txn.n) and(txn.n) or(txn.nope) xor(txn.n)
add_item(;,txn.s) add_item(;,txn.s,suf) add_item(;,txn.nope) add_item(;,txn.nope,suf)
aes_gcm_dec(128,txn.nonce,txn.key,txn.tag) aes_gcm_dec(128,txn.nope,txn.key,txn.tag)
b64dec base64 base64,b64dec ub64enc ub64dec ub64enc,ub64dec
be2dec(:,1) be2dec(:,2) be2dec(-,3,1) be2dec(,4) be2hex be2hex(:,2) be2hex(,1) be2hex(:,3,1)
bytes(0) bytes(1) bytes(1,2) bytes(0,0) bytes(100) bytes(2,1000)
capture-req(0) capture-res(0)
concat(-) concat(-,txn.s) concat(-,txn.s,+) concat(,txn.nope,+) concat(,txn.s) concat()
crc32 crc32(1) crc32c crc32c(1) djb2 djb2(1) sdbm sdbm(1) wt6 wt6(1) xxh32 xxh32(5) xxh64 xxh64(5) xxh3 xxh3(5)
cut_crlf debug debug(x) debug(x,stderr)
digest(sha1) digest(md5) digest(sha256),hex digest(sha512),length sha1 sha1,hex sha2 sha2(224) sha2(256),hex sha2(384),length sha2(512),length hmac(sha256,a2V5) hmac(sha1,txn.key64) hmac(md5,a2V5),hex
field(1,.) field(-1,.) field(2,.,0) field(1,.,2) field(-1,.,2) field(9,.) word(1,.) word(-1,.) word(1,.,0) word(2,.,2) word(9,.) word(-2,.,2)
fix_is_valid fix_tag_value(35) fix_tag_value(BodyLength) mqtt_is_valid mqtt_field_value(connect,protocol_name)
hex hex2i hex,hex2i host_only htonl htonl,hex iif(yes,no) iif(,no) iif(yes,)
ipmask(24) ipmask(24,64) ipmask(255.255.0.0) ipmask(0,0) ipmask(32,128)
json json(ascii) json(utf8) json(utf8s) json(utf8p) json(utf8ps) json_query('$.a.b') json_query('$.a.b',int) json_query('$.c') json_query('$.c[1]') json_query('$.d') json_query('$.e') json_query('$.f') json_query('$.nope') json_query('$.a')
jwt_header_query('$.alg') jwt_payload_query('$.sub') jwt_payload_query('$.n','int') jwt_verify(txn.alg,txn.secret) jwt_verify(txn.alg,"secret")
language(en;fr) language(en;fr,de) length length,add(1) lower upper ltrim(_BLANK_a) ltrim(0) rtrim(c) rtrim(_BLANK_lai)
map_str(DIR/m) map_beg(DIR/m) map_sub(DIR/m,none) map_end(DIR/m) map_dir(DIR/m) map_dom(DIR/m) map_reg(DIR/m,none) map_regm(DIR/rm) map(DIR/m,none) map_int(DIR/im) map_ip(DIR/ipm) map_str_int(DIR/i,7) map_beg_int(DIR/i) map_sub_int(DIR/i) map_end_int(DIR/i) map_dir_int(DIR/i) map_dom_int(DIR/i) map_reg_int(DIR/i) map_int_int(DIR/ii) map_ip_int(DIR/iip) map_str_ip(DIR/p) map_beg_ip(DIR/p) map_sub_ip(DIR/p) map_end_ip(DIR/p) map_dir_ip(DIR/p) map_dom_ip(DIR/p) map_reg_ip(DIR/p) map_int_ip(DIR/pi) map_ip_ip(DIR/pp,1.1.1.1) map_str(DIR/m),length
nbsrv srv_queue in_table(be) table_conn_cnt(be) table_gpc0(be)
protobuf(1,int32) ungrpc(1,int32) ungrpc(1)
regsub(a,b) regsub(a,b,g) regsub(A,b,gi) regsub(^$,x) regsub("(a)(b)","\2\1") regsub(.,,g) regsub("[0-9]+",N,g)
regsub("a(?!b)",X,g) regsub("(?<=a)b",X,g) regsub("(?<!a)b",X,g) regsub("(?=a)",X) regsub("([a-z0-9])\\1",X,g) regsub("[0-9]++",X) regsub("(?>a|ab)c",X) regsub("(?!.*%)^(.+)$","<\\1>") regsub("^((?:(?!=).)*)$","<\\1>")
regsub(.,x,g) regsub("[^a-z]",_,g) regsub("\\xc3",C,g) regsub("^.{3}",T) regsub("[\\x80-\\xff]+",H,g) regsub("(.)$","<\\1>") regsub("\\w+",W,g) regsub("^.{0,1500}y",L)
regsub(a*,-,g) regsub(b?,-,g) regsub("[^a]*",-,g) regsub("\\h+",_,g) regsub("\\H",.,g) regsub("\\v",N,g) regsub("\\V+",T,g) regsub("\\R",N,g) regsub("\\N+",L) regsub("[\\h,]",_,g)
secure_memcmp(txn.s) secure_memcmp(txn.nope) strcmp(txn.s) strcmp(txn.nope)
set-var(txn.tmp) set-var(txn.tmp),unset-var(txn.tmp) unset-var(txn.s2)
url_dec url_dec(1) url_enc url_enc(query)
`)

// datings are those of times, which HAProxy 2.6 gets wrong before 1970.
var datings = strings.Fields(`
http_date(10) http_date(1,ms) http_date(0,us) ltime(%Y) ltime(%Y-%m-%dT%H:%M:%S,3600) utime(%Y-%m-%d) utime(%s,-1) utime(%%%j) add(-1) sub(1) sub(txn.n)
`)

// What is converted: header values, blocks of bytes, and numbers that are read first.
var (
	manyTexts = []string{
		"", "0", "-1", "42", "9223372036854775807", "-9223372036854775808", "99999999999999999999", "abc", "abcab,ABC.def;ghi.", "a%20b+c%zz%41%", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1",
		`{"a":{"b":1},"c":[1,"x"],"d":null,"e":true,"f":1.5}`, `{"a":{"b":"x\u0041\ty"}}`, "example.com:8080", "[::1x]:81" /* lb alone reads one in brackets as an address */, "2f4", "0aFF", "true", "\"quo\\ted'", "0x1F", "1e3", "\xc3\xa4\xe2\x82\xac", "\xff\xfe",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSIsIm4iOjd9.vRN9p_9Uy6XdCVcOKXrDmYxs5LTnFsXZPgwFPwB1ZCE", "a.b.c", "fr, en;q=0.5, de;q=0.1", strings.Repeat("xyz.", 100), "a=1&b=2", "YWJj", "YWJj=", "YW-_Jj", "1733011200",
	}
	manyBytes = []string{
		"", "\x00", "abc", "a\x00b", "\x01\x02\x03\x04\x05\x06\x07\x08\x09", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00", "\x08\x96\x01", "\x00\x00\x00\x00\x03\x08\x96\x01", "8=FIX.4.2\x019=5\x0135=0\x0110=163\x01", "line\r\nnext", "one\n",
		"\x03\x62\x7e\x9e\x4f\x0c\x48\xed\x23\x77\x12\x9c\xf0", // what aes_gcm_dec opens
	}
	manyNumbers = []string{"0", "-1", "42", "2147483647", "-2147483648", "1733011200"}
)

// inputs are samples of each type, by the name of the file that has their conversions.
var inputs = map[string]string{"text": "req.hdr(v)", "bytes": "req.hdr(v),b64dec", "int": "req.hdr_val(v)", "ip": "req.hdr_ip(v)", "bool": "always_true", "nothing": "var(txn.nope)"}

// converted has each conversion that the input's type allows, and nothing in the place of the others. That HAProxy takes those as well is seen as it
// starts.
func converted(input string, conversions []string) (expressions []string) {
	for _, c := range conversions {
		e := input + "," + strings.ReplaceAll(c, "_BLANK_", `\ `)
		if _, err := sample.ParseExpr(e, sample.Anywhere, nil); err != nil {
			e = "str(),length"
		}
		expressions = append(expressions, e)
	}
	return expressions
}

// TestConversions: each converter, of texts, numbers, addresses and bytes that suit it and that do not.
func TestConversions(t *testing.T) {
	half := len(conversions) / 2
	for name, part := range map[string][]string{"first": conversions[:half], "second": conversions[half:]} {
		t.Run(name, func(t *testing.T) { compareConversions(t, part, manyTexts, manyNumbers) })
	}
	t.Run("dates", func(t *testing.T) {
		compareConversions(t, datings, []string{"", "0", "42", "abc", "1733011200", "253402300799"}, []string{"0", "42", "1733011200"})
	})
}

func compareConversions(t *testing.T, conversions, texts, numbers []string) {
	files := map[string]string{
		"m": "abc v\nother w\n", "rm": "^(a)(b) \\2-\\1\n", "im": "42 v\n7 w\n", "ipm": "10.0.0.0/8 v\n10.0.0.1 exact\n", "i": "abc 12\n", "ii": "42 -3\n", "iip": "10.0.0.0/8 99\n",
		"p": "abc 1.2.3.4\n", "pi": "42 2001:db8::7\n", "pp": "10.0.0.0/8 1.2.3.4\n",
	}
	for name, input := range inputs {
		files[name] = factsFile(converted(input, conversions))
	}
	theirs, ours := both(t, preface("tune.bufsize 131072", "LINE %ST")+`
frontend fe
  bind HTTP
  declare capture request len 8
  declare capture response len 8
  http-request set-var(txn.n) int(3)
  http-request set-var(txn.s) str(some)
  http-request set-var(txn.s2) str(two)
  http-request set-var(txn.alg) str(HS256)
  http-request set-var(txn.secret) str(secret)
  http-request set-var(txn.key) str(MDEyMzQ1Njc4OWFiY2RlZg==)
  http-request set-var(txn.key64) str(a2V5)
  http-request set-var(txn.nonce) str(MDEyMzQ1Njc4OWFi)
  http-request set-var(txn.tag) str(7n6LncaKEu8qG3y8rrFfmQ==)
  http-request return status 200 content-type text/plain lf-file DIR/bytes if { path /bytes }
  http-request return status 200 content-type text/plain lf-file DIR/int if { path /int }
  http-request return status 200 content-type text/plain lf-file DIR/ip if { path /ip }
  http-request return status 200 content-type text/plain lf-file DIR/bool if { path /bool }
  http-request return status 200 content-type text/plain lf-file DIR/nothing if { path /nothing }
  http-request return status 200 content-type text/plain lf-file DIR/text
  default_backend be
backend be
  stick-table type string size 10 store conn_cnt,gpc0
  server s1 S1
`, files)
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		ask := func(path, value string) { got = append(got, path+" "+c.do(request(path, "V: "+value))) }
		for _, v := range texts {
			if ask("/", v); v == "[::1]:81" { // an address to lb, as to its hdr_ip, which HAProxy passes over (docs/haproxy-compat.md)
				last := len(got) - 1
				lines := strings.Split(got[last], `\n`)
				for i := range min(len(lines), len(conversions)) {
					if name := conversions[i]; strings.HasPrefix(name, "ipmask") || strings.HasPrefix(name, "map_ip") {
						lines[i] = ""
					}
				}
				got[last] = strings.Join(lines, `\n`)
			}
		}
		for _, v := range manyBytes {
			ask("/bytes", base64.StdEncoding.EncodeToString([]byte(v)))
		}
		for _, v := range numbers {
			ask("/int", v)
		}
		for _, v := range []string{"10.0.0.1", "2001:db8::1", "nonsense"} {
			ask("/ip", v)
		}
		ask("/bool", "")
		ask("/nothing", "")
		return got
	}
	compareFacts(t, conversions, theirs, ours, drive)
}
