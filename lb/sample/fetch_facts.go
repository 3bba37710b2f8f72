package sample

import (
	"errors"
	"math/rand/v2"
	"os"
	"time"
)

// fetchesFacts look at the connection, the process and the configuration
// (HAProxy configuration manual, sections 7.3.2 to 7.3.4).
var fetchesFacts = []fetchRow{
	{name: "always_false", kind: kindBool, where: Anywhere, get: func(*Ctx, *args) (Value, bool) { return boolValue(false), true }},
	{name: "always_true", kind: kindBool, where: Anywhere, get: func(*Ctx, *args) (Value, bool) { return boolValue(true), true }},
	{name: "be_name", kind: kindStr, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Backend) }},
	{name: "bool", args: "s", kind: kindBool, where: Anywhere, get: literal, check: checkBool},
	{name: "date", args: "i?s?", kind: Int, where: Anywhere, get: fetchDate, check: checkDate},
	{name: "dst", kind: kindAddr, where: Anywhere, log: "%fi", needs: NeedsFrontAddr, get: func(x *Ctx, _ *args) (Value, bool) {
		return addrValue(x.Rec.FrontAddr.Addr().Unmap()), x.Rec.FrontAddr.IsValid()
	}},
	{name: "dst_port", kind: Int, where: Anywhere, needs: NeedsFrontAddr, get: func(x *Ctx, _ *args) (Value, bool) {
		return intValue(int64(x.Rec.FrontAddr.Port())), x.Rec.FrontAddr.IsValid()
	}},
	{name: "env", args: "s", kind: kindStr, where: Anywhere, get: literal, check: checkEnv},
	{name: "fc_err", kind: Int, where: Anywhere, get: func(*Ctx, *args) (Value, bool) { return intValue(0), true }},
	{name: "fe_name", kind: kindStr, where: Anywhere, log: "%f", get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Frontend) }},
	{name: "hostname", kind: kindStr, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Hostname) }},
	{name: "int", args: "i", kind: Int, where: Anywhere, get: func(_ *Ctx, a *args) (Value, bool) { return intValue(a.n[0]), true }},
	{name: "ipv4", args: "s", kind: kindAddr, where: Anywhere, get: literal, check: checkAddr},
	{name: "ipv6", args: "s", kind: kindAddr, where: Anywhere, get: literal, check: checkAddr},
	{name: "meth", args: "s", kind: kindStr, where: Anywhere, get: literal, check: checkStr},
	{name: "rand", args: "i?", kind: Int, where: Anywhere, get: fetchRand},
	{name: "src", kind: kindAddr, where: Anywhere, log: "%ci", get: func(x *Ctx, _ *args) (Value, bool) {
		return addrValue(x.Rec.Client.Addr().Unmap()), x.Rec.Client.IsValid()
	}},
	{name: "src_port", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		return intValue(int64(x.Rec.Client.Port())), x.Rec.Client.IsValid()
	}},
	{name: "srv_name", kind: kindStr, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Server) }},
	{name: "ssl_c_ca_err", kind: Int, where: Anywhere, get: noTLSError},
	{name: "ssl_c_err", kind: Int, where: Anywhere, get: noTLSError},
	{name: "ssl_fc", kind: kindBool, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return boolValue(x.Rec.TLS), true }},
	{name: "ssl_fc_alpn", kind: kindStr, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.ALPN) }},
	{name: "ssl_fc_cipher", kind: kindStr, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Cipher) }},
	{name: "ssl_fc_err", kind: Int, where: Anywhere, get: noTLSError},
	{name: "ssl_fc_has_sni", kind: kindBool, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return boolValue(x.Rec.SNI != ""), true }},
	{name: "ssl_fc_is_resumed", kind: kindBool, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return boolValue(x.Rec.Resumed), true }},
	{name: "ssl_fc_protocol", kind: kindStr, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.TLSVer) }},
	{name: "ssl_fc_sni", kind: kindStr, where: Anywhere, derive: true, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.SNI) }},
	{name: "str", args: "s", kind: kindStr, where: Anywhere, get: literal, check: checkStr},
	{name: "unique-id", kind: kindStr, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		id := x.UniqueID()
		return StrValue(id), len(id) > 0
	}},
	{name: "var", args: "s", kind: kindStr, where: Anywhere, get: fetchVar, check: func(a *args) error { return CheckVar(a.s[0]) }},
}

// named is a string fact; an empty one counts as absent.
func named(x *Ctx, s string) (Value, bool) {
	if s == "" {
		return Value{}, false
	}
	return stringValue(x, s), true
}

// noTLSError is the error number of a connection that reached a rule: a failed
// handshake never does.
func noTLSError(x *Ctx, _ *args) (Value, bool) { return intValue(0), x.Rec.TLS }

// literal is a value computed when the configuration was read.
func literal(_ *Ctx, a *args) (Value, bool) { return a.lit, true }

func checkStr(a *args) error {
	a.lit = StrValue([]byte(a.s[0]))
	return nil
}

func checkBool(a *args) error {
	switch a.s[0] {
	case "1", "true", "on", "yes":
		a.lit = boolValue(true)
	case "0", "false", "off", "no":
		a.lit = boolValue(false)
	default:
		return errors.New("'" + a.s[0] + "' is not a boolean; use true or false")
	}
	return nil
}

func checkAddr(a *args) error {
	addr, ok := ParseAddr([]byte(a.s[0]))
	if !ok {
		return errors.New("'" + a.s[0] + "' is not an IP address")
	}
	a.lit = addrValue(addr)
	return nil
}

func checkEnv(a *args) error {
	a.lit = StrValue([]byte(os.Getenv(a.s[0])))
	return nil
}

func checkDate(a *args) error {
	switch a.s[1] {
	case "", "s", "ms", "us":
		return nil
	}
	return errors.New("'" + a.s[1] + "' is not a unit; use s, ms or us")
}

func fetchDate(_ *Ctx, a *args) (Value, bool) {
	now := time.Now()
	switch a.s[1] {
	case "ms":
		return intValue(now.UnixMilli() + a.n[0]), true
	case "us":
		return intValue(now.UnixMicro() + a.n[0]), true
	}
	return intValue(now.Unix() + a.n[0]), true
}

func fetchRand(_ *Ctx, a *args) (Value, bool) {
	if a.n[0] > 0 {
		return intValue(rand.Int64N(a.n[0])), true
	}
	return intValue(int64(rand.Uint32())), true
}

func fetchVar(x *Ctx, a *args) (Value, bool) { return x.Rec.Vars.get(a.s[0]) }
