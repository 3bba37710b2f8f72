package rule

import (
	"fmt"
	"slices"
)

// convRow is one converter. in is what it takes, out what it gives.
type convRow struct {
	name  string
	args  string // readArgs' signature
	in    kind
	out   kind
	get   func(x *Ctx, a *args, v value) (value, bool)
	check func(a *args) error
}

// convs is the table; findConv reads it.
var convs = slices.Concat(convsValue, convsTable, convsMap)

// convsValue work on the sample alone (HAProxy configuration manual, section
// 7.3.1).
var convsValue = []convRow{
	{name: "add", args: "o", in: kindInt, out: kindInt, get: arith(func(a, b int64) int64 { return saturate(a, b) })},
	{name: "and", args: "o", in: kindInt, out: kindInt, get: arith(func(a, b int64) int64 { return a & b })},
	{name: "b64dec", in: kindStr, out: kindBin, get: convB64Dec},
	{name: "base64", in: kindBin, out: kindStr, get: convBase64},
	{name: "bool", in: kindInt, out: kindBool, get: func(_ *Ctx, _ *args, v value) (value, bool) { n, ok := v.integer(); return boolValue(n != 0), ok }},
	{name: "bytes", args: "ii?", in: kindBin, out: kindBin, get: convBytes},
	{name: "concat", args: "s?s?s?", in: kindStr, out: kindStr, get: convConcat, check: checkConcat},
	{name: "cpl", in: kindInt, out: kindInt, get: unary(func(a int64) int64 { return ^a })},
	{name: "crc32", args: "i?", in: kindBin, out: kindInt, get: convCRC32},
	{name: "div", args: "o", in: kindInt, out: kindInt, get: arith(divide)},
	{name: "even", in: kindInt, out: kindBool, get: test(func(n int64) bool { return n&1 == 0 })},
	{name: "field", args: "isi?", in: kindStr, out: kindStr, get: convField, check: checkDelims},
	{name: "hex", in: kindBin, out: kindStr, get: convHex},
	{name: "hex2i", in: kindStr, out: kindInt, get: convHex2I},
	{name: "host_only", in: kindStr, out: kindStr, get: convHostOnly},
	{name: "http_date", args: "i?s?", in: kindInt, out: kindStr, get: convHTTPDate},
	{name: "iif", args: "ss", in: kindBool, out: kindStr, get: convIif},
	{name: "ipmask", args: "ss?", in: kindAddr, out: kindAddr, get: convIPMask, check: checkIPMask},
	{name: "length", in: kindStr, out: kindInt, get: func(x *Ctx, _ *args, v value) (value, bool) { return intValue(int64(len(v.text(x)))), true }},
	{name: "lower", in: kindStr, out: kindStr, get: mapped('A', 'Z', 'a'-'A')},
	{name: "ltime", args: "si?", in: kindInt, out: kindStr, get: convLocalTime, check: checkTime},
	{name: "ltrim", args: "s", in: kindStr, out: kindStr, get: convLTrim},
	{name: "mod", args: "o", in: kindInt, out: kindInt, get: arith(modulo)},
	{name: "mul", args: "o", in: kindInt, out: kindInt, get: arith(multiply)},
	{name: "neg", in: kindInt, out: kindInt, get: unary(func(a int64) int64 { return -a })},
	{name: "not", in: kindInt, out: kindBool, get: test(func(n int64) bool { return n == 0 })},
	{name: "odd", in: kindInt, out: kindBool, get: test(func(n int64) bool { return n&1 == 1 })},
	{name: "or", args: "o", in: kindInt, out: kindInt, get: arith(func(a, b int64) int64 { return a | b })},
	{name: "port_only", in: kindStr, out: kindInt, get: convPortOnly},
	{name: "regsub", args: "sss?", in: kindStr, out: kindStr, get: convRegsub, check: checkRegsub},
	{name: "rtrim", args: "s", in: kindStr, out: kindStr, get: convRTrim},
	{name: "sha1", in: kindBin, out: kindBin, get: convSHA1},
	{name: "sha2", args: "i?", in: kindBin, out: kindBin, get: convSHA2, check: checkSHA2},
	{name: "strcmp", args: "s", in: kindStr, out: kindInt, get: convStrcmp, check: func(a *args) error { return checkVar(a.s[0]) }},
	{name: "sub", args: "o", in: kindInt, out: kindInt, get: arith(func(a, b int64) int64 { return saturate(a, -b) })},
	{name: "ub64dec", in: kindStr, out: kindBin, get: convUB64Dec},
	{name: "ub64enc", in: kindBin, out: kindStr, get: convUB64Enc},
	{name: "upper", in: kindStr, out: kindStr, get: mapped('a', 'z', 'A'-'a'+256)},
	{name: "url_dec", args: "i?", in: kindStr, out: kindStr, get: convURLDec},
	{name: "url_enc", args: "s?", in: kindStr, out: kindStr, get: convURLEnc, check: checkURLEnc},
	{name: "utime", args: "si?", in: kindInt, out: kindStr, get: convUTCTime, check: checkTime},
	{name: "word", args: "isi?", in: kindStr, out: kindStr, get: convWord, check: checkDelims},
	{name: "xor", args: "o", in: kindInt, out: kindInt, get: arith(func(a, b int64) int64 { return a ^ b })},
}

// convRefused are converters HAProxy has and lb has not, with the way out.
var convRefused = map[string]string{
	"table_gpc": gpcArrays, "table_gpc_rate": gpcArrays, "table_gpt": gpcArrays,
	"len": "its name in HAProxy is 'length'", "json": "", "json_query": "", "jwt_verify": "", "jwt_header_query": "", "jwt_payload_query": "", "language": "", "djb2": "", "sdbm": "", "wt6": "",
	"xxh32": "", "xxh64": "", "xxh3": "", "sha": "its name in HAProxy is 'sha1' or 'sha2'", "hmac": "", "digest": "", "secure_memcmp": "", "aes_gcm_dec": "", "protobuf": "", "fix_tag_value": "",
	"htonl": "", "crc32c": "", "capture-req": "captures by rules are not supported by lb yet", "capture-res": "captures by rules are not supported by lb yet",
	"set-var": "use 'http-request set-var(txn.NAME)' instead", "unset-var": "", "debug": "", "nbsrv": "server counts in rules are not supported by lb yet", "srv_queue": "", "url32": "", "rfc7239_is_valid": "", "param": "", "add_item": "", "cut_crlf": "", "be2dec": "", "be2hex": "", "x509_v_err_str": "", "strcat": "its name in HAProxy is 'concat'",
}

func findConv(name string) *convRow {
	for i := range convs {
		if convs[i].name == name {
			return &convs[i]
		}
	}
	return nil
}

func unknownConv(name string) error {
	if why, ok := convRefused[name]; ok {
		if why == "" {
			why = "it is known to HAProxy, but not supported by lb yet"
		}
		return fmt.Errorf("converter '%s': %s", name, why)
	}
	names := make([]string, len(convs))
	for i := range convs {
		names[i] = convs[i].name
	}
	return fmt.Errorf("unknown converter '%s'%s", name, hint(name, names))
}
