package sample

import (
	"fmt"
	"math"
	"slices"
)

// convRow is one converter. in is what it takes, out what it gives.
type convRow struct {
	name  string
	args  string // readArgs' signature
	in    Kind
	out   Kind
	same  bool // what comes out has the type of what went in: in and out do not count
	get   func(x *Ctx, a *args, v Value) (Value, bool)
	check func(a *args) error
}

// convs is the table; findConv reads it.
var convs = slices.Concat(convsValue, convsHash, convsBytes, convsProtocol, convsText, convsJSON, convsTable, convsMap, convsGauge)

// convsValue work on the sample alone (HAProxy configuration manual, section
// 7.3.1).
var convsValue = []convRow{
	{name: "add", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return saturate(a, b) })},
	{name: "and", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return a & b })},
	{name: "b64dec", in: Str, out: Bin, get: convB64Dec},
	{name: "base64", in: Bin, out: Str, get: convBase64},
	{name: "bool", in: Int, out: Bool, get: func(_ *Ctx, _ *args, v Value) (Value, bool) { n, ok := v.Integer(); return BoolValue(n != 0), ok }},
	{name: "bytes", args: "ii?", in: Bin, out: Bin, get: convBytes},
	{name: "concat", args: "s?s?s?", in: Str, out: Str, get: convConcat, check: checkConcat},
	{name: "cpl", in: Int, out: Int, get: unary(func(a int64) int64 { return ^a })},
	{name: "debug", args: "s?s?", same: true, check: checkDebug, get: func(_ *Ctx, _ *args, v Value) (Value, bool) { return v, true }}, // nobody is told: a log format can show it
	{name: "div", args: "o", in: Int, out: Int, get: arith(divide)},
	{name: "even", in: Int, out: Bool, get: test(func(n int64) bool { return n&1 == 0 })},
	{name: "field", args: "isi?", in: Str, out: Str, get: convField, check: checkDelims},
	{name: "hex", in: Bin, out: Str, get: convHex},
	{name: "hex2i", in: Str, out: Int, get: convHex2I},
	{name: "host_only", in: Str, out: Str, get: convHostOnly},
	{name: "http_date", args: "i?s?", in: Int, out: Str, get: convHTTPDate, check: checkDate},
	{name: "iif", args: "ss", in: Bool, out: Str, get: convIif},
	{name: "ipmask", args: "ss?", in: Addr, out: Addr, get: convIPMask, check: checkIPMask},
	{name: "length", in: Str, out: Int, get: func(x *Ctx, _ *args, v Value) (Value, bool) { return IntValue(int64(len(v.Text(x)))), true }},
	{name: "lower", in: Str, out: Str, get: mapped('A', 'Z', 'a'-'A')},
	{name: "ltime", args: "si?", in: Int, out: Str, get: clock(1, local), check: checkTime},
	{name: "ltrim", args: "s", in: Str, out: Str, get: convLTrim},
	{name: "mod", args: "o", in: Int, out: Int, get: arith(modulo)},
	{name: "ms_ltime", args: "si?", in: Int, out: Str, get: clock(1e3, local), check: checkFineTime},
	{name: "ms_utime", args: "si?", in: Int, out: Str, get: clock(1e3, utc), check: checkFineTime},
	{name: "mul", args: "o", in: Int, out: Int, get: arith(multiply)},
	{name: "neg", in: Int, out: Int, get: unary(func(a int64) int64 { return -max(a, -math.MaxInt64) })},
	{name: "not", in: Int, out: Bool, get: test(func(n int64) bool { return n == 0 })},
	{name: "odd", in: Int, out: Bool, get: test(func(n int64) bool { return n&1 == 1 })},
	{name: "or", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return a | b })},
	{name: "port_only", in: Str, out: Int, get: convPortOnly},
	{name: "regsub", args: "sss?", in: Str, out: Str, get: convRegsub, check: checkRegsub},
	{name: "reverse", in: Str, out: Str, get: convReverse},
	{name: "rtrim", args: "s", in: Str, out: Str, get: convRTrim},
	{name: "sha1", in: Bin, out: Bin, get: convSHA1},
	{name: "sha2", args: "i?", in: Bin, out: Bin, get: convSHA2, check: checkSHA2},
	{name: "strcmp", args: "s", in: Str, out: Int, get: convStrcmp, check: func(a *args) error { return CheckVar(a.s[0]) }},
	{name: "sub", args: "o", in: Int, out: Int, get: arith(func(a, b int64) int64 { return saturate(a, -b) })},
	{name: "ub64dec", in: Str, out: Bin, get: convUB64Dec},
	{name: "ub64enc", in: Bin, out: Str, get: convUB64Enc},
	{name: "upper", in: Str, out: Str, get: mapped('a', 'z', 'A'-'a'+256)},
	{name: "url_dec", args: "i?", in: Str, out: Str, get: convURLDec},
	{name: "url_enc", args: "s?", in: Str, out: Str, get: convURLEnc, check: checkURLEnc},
	{name: "us_ltime", args: "si?", in: Int, out: Str, get: clock(1e6, local), check: checkFineTime},
	{name: "us_utime", args: "si?", in: Int, out: Str, get: clock(1e6, utc), check: checkFineTime},
	{name: "utime", args: "si?", in: Int, out: Str, get: clock(1, utc), check: checkTime},
	{name: "word", args: "isi?", in: Str, out: Str, get: convWord, check: checkDelims},
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
	if err := noScript("converter", name); err != nil {
		return err
	}
	if why, ok := convRefused[name]; ok {
		return Refused(fmt.Sprintf("converter '%s'", name), why)
	}
	return fmt.Errorf("unknown converter '%s'%s", name, Hint(name, Converters()))
}
