package sample

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

// fetchesFacts look at the connection, the process and the configuration
// (HAProxy configuration manual, sections 7.3.2 to 7.3.4).
var fetchesFacts = []fetchRow{
	{name: "always_false", kind: Bool, where: Everywhere, get: func(*Ctx, *args) (Value, bool) { return BoolValue(false), true }},
	{name: "always_true", kind: Bool, where: Everywhere, get: func(*Ctx, *args) (Value, bool) { return BoolValue(true), true }},
	{name: "accept_date", args: "s?", kind: Int, where: Anywhere, check: checkUnit, get: dateOf(func(r *Record) time.Time { return r.Accept })},
	{name: "bin", args: "s", kind: Bin, where: Everywhere, get: literal, check: func(a *args) error {
		b, err := hex.DecodeString(a.s[0])
		if err != nil || len(b) == 0 {
			return errors.New("'" + a.s[0] + "' is not an even number of hexadecimal digits")
		}
		a.lit = Value{kind: Bin, b: b}
		return nil
	}},
	{name: "bool", args: "s", kind: Bool, where: Everywhere, get: literal, check: checkBool},
	{name: "date", args: "i?s?", kind: Int, where: Everywhere, get: fetchDate, check: checkDate},
	{name: "date_us", kind: Int, where: Everywhere, get: func(*Ctx, *args) (Value, bool) {
		return IntValue(int64(time.Now().Nanosecond() / 1000)), true
	}},
	{name: "dst", kind: Addr, where: Anywhere, log: "%fi", needs: NeedsFrontAddr, get: func(x *Ctx, _ *args) (Value, bool) {
		return AddrValue(x.Rec.FrontAddr.Addr().Unmap()), x.Rec.FrontAddr.IsValid()
	}},
	{name: "dst_port", kind: Int, where: Anywhere, needs: NeedsFrontAddr, get: func(x *Ctx, _ *args) (Value, bool) {
		return IntValue(int64(x.Rec.FrontAddr.Port())), x.Rec.FrontAddr.IsValid()
	}},
	{name: "env", args: "s", kind: Str, where: Everywhere, get: fetchEnv, check: checkEnv},
	{name: "fc_err", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(x.Rec.NotMade.number()), true }},
	{name: "fe_name", kind: Str, where: Anywhere, log: "%f", get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Frontend) }},
	{name: "hostname", kind: Str, where: Everywhere, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Hostname) }},
	{name: "int", args: "i", kind: Int, where: Everywhere, get: func(_ *Ctx, a *args) (Value, bool) { return IntValue(a.n[0]), true }},
	{name: "internal.strm.is_htx", kind: Bool, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Req != nil || x.Res != nil), true }},
	{name: "ipv4", args: "s", kind: Addr, where: Everywhere, get: literal, check: checkAddr},
	{name: "ipv6", args: "s", kind: Addr, where: Everywhere, get: literal, check: checkAddr},
	{name: "last_rule_file", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Rec.LastRule == nil {
			return Value{}, false
		}
		return named(x, x.Rec.LastRule.File)
	}},
	{name: "last_rule_line", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Rec.LastRule == nil {
			return Value{}, false
		}
		return IntValue(int64(x.Rec.LastRule.Line)), true
	}},
	{name: "meth", args: "s", kind: Str, method: true, where: Everywhere, get: literal, check: checkStr},
	{name: "nbproc", kind: Int, where: Everywhere, get: func(*Ctx, *args) (Value, bool) { return IntValue(1), true }},
	{name: "cpu_calls", kind: Int, where: Everywhere, get: none, idle: effort},
	{name: "cpu_ns_avg", kind: Int, where: Everywhere, get: none, idle: effort},
	{name: "cpu_ns_tot", kind: Int, where: Everywhere, get: none, idle: effort},
	{name: "lat_ns_avg", kind: Int, where: Everywhere, get: none, idle: effort},
	{name: "lat_ns_tot", kind: Int, where: Everywhere, get: none, idle: effort},
	{name: "pid", kind: Int, where: Everywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Rec.Pid)), true }},
	{name: "prio_class", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Rec.PriorityClass)), true }},
	{name: "prio_offset", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Rec.PriorityOffset)), true }},
	{name: "proc", kind: Int, where: Everywhere, get: func(*Ctx, *args) (Value, bool) { return IntValue(1), true }},
	{name: "rand", args: "i?", kind: Int, where: Everywhere, get: fetchRand},
	{name: "res.cache_hit", kind: Bool, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.Cache != ""), true }},
	{name: "res.cache_name", kind: Str, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Cache) }},
	{name: "request_date", args: "s?", kind: Int, where: Anywhere, check: checkUnit, get: dateOf(func(r *Record) time.Time { return r.Request })},
	{name: "src", kind: Addr, where: Anywhere, log: "%ci", get: func(x *Ctx, _ *args) (Value, bool) {
		return AddrValue(x.Rec.Client.Addr().Unmap()), x.Rec.Client.IsValid()
	}},
	{name: "src_port", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		return IntValue(int64(x.Rec.Client.Port())), x.Rec.Client.IsValid()
	}},
	{name: "srv_name", kind: Str, where: InResponse | InLog | InCheck, get: func(x *Ctx, _ *args) (Value, bool) { return serverName(x) }},
	{name: "ssl_bc", kind: Bool, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.BackTLS.TLS), true }},
	{name: "ssl_bc_alpn", kind: Str, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.BackTLS.ALPN) }},
	{name: "ssl_bc_cipher", kind: Str, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.BackTLS.Cipher) }},
	{name: "ssl_bc_is_resumed", kind: Bool, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.BackTLS.Resumed), true }},
	{name: "ssl_bc_protocol", kind: Str, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.BackTLS.TLSVer) }},
	{name: "ssl_fc", kind: Bool, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.TLS), true }},
	{name: "ssl_fc_alpn", kind: Str, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.ALPN) }},
	{name: "ssl_fc_cipher", kind: Str, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Cipher) }},
	{name: "ssl_bc_err", kind: Int, where: InResponse | InLog, get: func(x *Ctx, _ *args) (Value, bool) { return tlsError(&x.Rec.BackTLS) }},
	{name: "ssl_fc_err", kind: Int, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) { return tlsError(&x.Rec.TLSFacts) }},
	{name: "ssl_fc_has_sni", kind: Bool, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.SNI != ""), true }},
	{name: "ssl_fc_is_resumed", kind: Bool, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.Resumed), true }},
	{name: "ssl_fc_protocol", kind: Str, where: afterHandshake, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.TLSVer) }},
	{name: "ssl_fc_sni", kind: Str, where: afterHandshake, derive: true, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.SNI) }},
	{name: "str", args: "s", kind: Str, where: Everywhere, get: literal, check: checkStr},
	{name: "unique-id", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		id := x.UniqueID()
		return StrValue(id), len(id) > 0
	}},
	{name: "thread", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Thread)), true }},
	{name: "uuid", args: "i?", kind: Str, where: Everywhere, get: fetchUUID, check: func(a *args) error {
		if a.len > 0 && a.n[0] != 4 {
			return errors.New("version 4 is the only one")
		}
		return nil
	}},
	{name: "var", args: "ss?", kind: Str, where: Everywhere, get: fetchVar, check: checkVar},
}

// serverName is none where logs have <NOSRV> or another name that is no server's.
func serverName(x *Ctx) (Value, bool) {
	if strings.HasPrefix(x.Rec.Server, "<") {
		return Value{}, false
	}
	return named(x, x.Rec.Server)
}

// named is a string fact; an empty one counts as absent.
func named(x *Ctx, s string) (Value, bool) {
	if s == "" {
		return Value{}, false
	}
	return stringValue(x, s), true
}

// tlsError is OpenSSL's number of what a handshake failed with; 0 if it did not.
func tlsError(f *TLSFacts) (Value, bool) {
	if f.NotMade != nil {
		return IntValue(f.NotMade.TLS), f.TLS
	}
	return IntValue(0), f.TLS
}

// literal is a value computed when the configuration was read.
func literal(_ *Ctx, a *args) (Value, bool) { return a.lit, true }

func checkStr(a *args) error {
	a.lit = StrValue([]byte(a.s[0]))
	return nil
}

func checkBool(a *args) error {
	switch a.s[0] {
	case "1", "true", "on", "yes":
		a.lit = BoolValue(true)
	case "0", "false", "off", "no":
		a.lit = BoolValue(false)
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
	a.lit = AddrValue(addr)
	return nil
}

// EnvRef is an environment variable that an expression shows. Its value is the
// process's own, until a configuration that sets variables says otherwise.
type EnvRef struct {
	Name  string
	Value []byte // nil: there is no such variable
}

func (*EnvRef) isRef() {}

func checkEnv(a *args) error {
	ref := &EnvRef{Name: a.s[0]}
	if value, ok := os.LookupEnv(ref.Name); ok {
		ref.Value = append([]byte{}, value...)
	}
	a.any = ref
	return nil
}

func fetchEnv(_ *Ctx, a *args) (Value, bool) {
	value := a.any.(*EnvRef).Value
	return StrValue(value), value != nil
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
		return IntValue(now.UnixMilli() + a.n[0]), true
	case "us":
		return IntValue(now.UnixMicro() + a.n[0]), true
	}
	return IntValue(now.Unix() + a.n[0]), true
}

// dateOf is a time in seconds, or in another unit.
func dateOf(get func(*Record) time.Time) func(*Ctx, *args) (Value, bool) {
	return func(x *Ctx, a *args) (Value, bool) {
		t := get(x.Rec)
		switch a.s[0] {
		case "ms":
			return IntValue(t.UnixMilli()), !t.IsZero()
		case "us":
			return IntValue(t.UnixMicro()), !t.IsZero()
		}
		return IntValue(t.Unix()), !t.IsZero()
	}
}

func checkUnit(a *args) error {
	switch a.s[0] {
	case "", "s", "ms", "us":
		return nil
	}
	return errors.New("'" + a.s[0] + "' is not a unit; use s, ms or us")
}

// fetchUUID makes a random identifier (RFC 9562 section 5.4).
func fetchUUID(x *Ctx, _ *args) (Value, bool) {
	hi, lo := rand.Uint64()&^0xf000|0x4000, rand.Uint64()&^(3<<62)|2<<62
	off := len(x.scratch)
	for i := 60; i >= 0; i -= 4 {
		x.scratch = append(x.scratch, lowerHex[hi>>i&15])
		if i == 32 || i == 16 || i == 0 {
			x.scratch = append(x.scratch, '-')
		}
	}
	for i := 60; i >= 0; i -= 4 {
		x.scratch = append(x.scratch, lowerHex[lo>>i&15])
		if i == 48 {
			x.scratch = append(x.scratch, '-')
		}
	}
	return StrValue(x.scratch[off:]), true
}

func fetchRand(_ *Ctx, a *args) (Value, bool) {
	if a.n[0] > 0 {
		return IntValue(rand.Int64N(a.n[0])), true
	}
	return IntValue(int64(rand.Uint32())), true
}

// checkVar reads a variable's name and what it is when it is not set.
func checkVar(a *args) error {
	if a.len > 1 {
		a.lit = StrValue([]byte(a.s[1]))
	}
	return CheckVarAt(a.s[0], a.place)
}

// fetchVar gives a variable's value, or the one that its words have for one that is not set.
func fetchVar(x *Ctx, a *args) (Value, bool) {
	v, ok := x.Var(a.s[0])
	if !ok && a.len > 1 {
		return a.lit, true
	}
	return v, ok
}

// none is the value of what is not measured: HAProxy's without profiling.
func none(*Ctx, *args) (Value, bool) { return IntValue(0), true }
