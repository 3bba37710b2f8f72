package sample

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
	get   func(x *Ctx, a *args, v Value) (Value, bool)
	check func(a *args) error
}

// convs is the table; findConv reads it.
var convs = slices.Concat(convsValue, convsTable, convsMap)

// convsValue work on the sample alone (HAProxy configuration manual, section
// 7.3.1).
var convsValue = []convRow{
	{name: "add", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return saturate(a, b) })},
	{name: "and", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return a & b })},
	{name: "b64dec", in: kindStr, out: kindBin, get: convB64Dec},
	{name: "base64", in: kindBin, out: kindStr, get: convBase64},
	{name: "bool", in: Int, out: kindBool, get: func(_ *Ctx, _ *args, v Value) (Value, bool) { n, ok := v.Integer(); return boolValue(n != 0), ok }},
	{name: "bytes", args: "ii?", in: kindBin, out: kindBin, get: convBytes},
	{name: "concat", args: "s?s?s?", in: kindStr, out: kindStr, get: convConcat, check: checkConcat},
	{name: "cpl", in: Int, out: Int, get: unary(func(a int64) int64 { return ^a })},
	{name: "crc32", args: "i?", in: kindBin, out: Int, get: convCRC32},
	{name: "div", args: "o", in: Int, out: Int, get: arith(divide)},
	{name: "even", in: Int, out: kindBool, get: test(func(n int64) bool { return n&1 == 0 })},
	{name: "field", args: "isi?", in: kindStr, out: kindStr, get: convField, check: checkDelims},
	{name: "hex", in: kindBin, out: kindStr, get: convHex},
	{name: "hex2i", in: kindStr, out: Int, get: convHex2I},
	{name: "host_only", in: kindStr, out: kindStr, get: convHostOnly},
	{name: "http_date", args: "i?s?", in: Int, out: kindStr, get: convHTTPDate},
	{name: "iif", args: "ss", in: kindBool, out: kindStr, get: convIif},
	{name: "ipmask", args: "ss?", in: kindAddr, out: kindAddr, get: convIPMask, check: checkIPMask},
	{name: "length", in: kindStr, out: Int, get: func(x *Ctx, _ *args, v Value) (Value, bool) { return intValue(int64(len(v.Text(x)))), true }},
	{name: "lower", in: kindStr, out: kindStr, get: mapped('A', 'Z', 'a'-'A')},
	{name: "ltime", args: "si?", in: Int, out: kindStr, get: convLocalTime, check: checkTime},
	{name: "ltrim", args: "s", in: kindStr, out: kindStr, get: convLTrim},
	{name: "mod", args: "o", in: Int, out: Int, get: arith(modulo)},
	{name: "mul", args: "o", in: Int, out: Int, get: arith(multiply)},
	{name: "neg", in: Int, out: Int, get: unary(func(a int64) int64 { return -a })},
	{name: "not", in: Int, out: kindBool, get: test(func(n int64) bool { return n == 0 })},
	{name: "odd", in: Int, out: kindBool, get: test(func(n int64) bool { return n&1 == 1 })},
	{name: "or", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return a | b })},
	{name: "port_only", in: kindStr, out: Int, get: convPortOnly},
	{name: "regsub", args: "sss?", in: kindStr, out: kindStr, get: convRegsub, check: checkRegsub},
	{name: "rtrim", args: "s", in: kindStr, out: kindStr, get: convRTrim},
	{name: "sha1", in: kindBin, out: kindBin, get: convSHA1},
	{name: "sha2", args: "i?", in: kindBin, out: kindBin, get: convSHA2, check: checkSHA2},
	{name: "strcmp", args: "s", in: kindStr, out: Int, get: convStrcmp, check: func(a *args) error { return CheckVar(a.s[0]) }},
	{name: "sub", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return saturate(a, -b) })},
	{name: "ub64dec", in: kindStr, out: kindBin, get: convUB64Dec},
	{name: "ub64enc", in: kindBin, out: kindStr, get: convUB64Enc},
	{name: "upper", in: kindStr, out: kindStr, get: mapped('a', 'z', 'A'-'a'+256)},
	{name: "url_dec", args: "i?", in: kindStr, out: kindStr, get: convURLDec},
	{name: "url_enc", args: "s?", in: kindStr, out: kindStr, get: convURLEnc, check: checkURLEnc},
	{name: "utime", args: "si?", in: Int, out: kindStr, get: convUTCTime, check: checkTime},
	{name: "word", args: "isi?", in: kindStr, out: kindStr, get: convWord, check: checkDelims},
	{name: "xor", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return a ^ b })},
}

// Converters names all converters.
func Converters() []string {
	names := make([]string, len(convs))
	for i := range convs {
		names[i] = convs[i].name
	}
	slices.Sort(names)
	return names
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
	if real, ok := convMeant[name]; ok {
		return fmt.Errorf("unknown converter '%s': its name in HAProxy is %s", name, real)
	}
	if why, ok := convRefused[name]; ok {
		return Refused(fmt.Sprintf("converter '%s'", name), why)
	}
	return fmt.Errorf("unknown converter '%s'%s", name, Hint(name, Converters()))
}
