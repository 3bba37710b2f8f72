package logformat

import (
	"net/netip"
	"strconv"

	"lbsyslogd/lb/sample"
)

// varRow is one log-format variable. append tells whether the variable counts
// as shown: after one that does not, the next blank is dropped.
type varRow struct {
	name   string
	append func(dst []byte, x *sample.Ctx, o option) ([]byte, bool)
	maybe  bool         // it may show nothing
	needs  sample.Needs // facts the engine gathers only when asked
	form   form         // with +json
}

// requestVars are those that HAProxy has in mode http alone.
var requestVars = map[string]bool{
	"CC": true, "CS": true, "HM": true, "HP": true, "HPO": true, "HQ": true, "HU": true, "HV": true, "TR": true, "Ta": true, "Ti": true, "Tq": true, "Tr": true,
	"r": true, "tr": true, "trg": true, "trl": true,
}

// OfRequests is the first variable of the format that is about requests, and has
// nothing to show in mode tcp; "" there is none.
func (f *Format) OfRequests() string {
	for i := range f.steps {
		if row := f.steps[i].row; row != nil && requestVars[row.name] {
			return row.name
		}
	}
	return ""
}

// vars is the table (HAProxy configuration manual, section 8.2.6), the names
// of before 1.5 at its end.
var vars = []varRow{
	{"B", count(func(r *sample.Record) uint64 { return r.Sent }, true), false, 0, asNumber},
	{"CC", textOf(func(r *sample.Record) string { return r.Cookie }), false, 0, asText},
	{"CS", textOf(func(r *sample.Record) string { return r.SCookie }), false, 0, asText},
	{"H", textOf(func(r *sample.Record) string { return r.Hostname }), false, 0, asText},
	{"HM", requestPart(func(r *sample.Record) []byte { return r.Method }), false, 0, asText},
	{"HP", requestPart(uriPath), false, 0, asText},
	{"HPO", requestPart(pathOnly), false, 0, asText},
	{"HQ", requestPart(uriQuery), false, 0, asText},
	{"HU", requestPart(func(r *sample.Record) []byte { return r.URI }), false, 0, asText},
	{"HV", requestPart(httpVersion), false, 0, asText},
	{"ID", appendUniqueID, false, 0, asText},
	{"ST", number(func(r *sample.Record) int64 { return int64(r.Status) }), false, 0, asNumber},
	{"T", date(func(dst []byte, x *sample.Ctx) []byte { return x.Dates.AppendGMT(dst, x.Rec.Accept) }), false, 0, asText},
	{"Ta", timer(func(r *sample.Record) int32 { return r.Ta }, true), false, 0, asNumber},
	{"Tc", timer(func(r *sample.Record) int32 { return r.Tc }, false), false, 0, asNumber},
	{"Td", timer(func(r *sample.Record) int32 { return r.Td }, false), false, 0, asNumber},
	{"Th", timer(func(r *sample.Record) int32 { return r.Th }, false), false, 0, asNumber},
	{"Ti", timer(func(r *sample.Record) int32 { return r.Ti }, false), false, 0, asNumber},
	{"Tl", date(func(dst []byte, x *sample.Ctx) []byte { return x.Dates.AppendLocal(dst, x.Rec.Accept) }), false, 0, asText},
	{"TR", timer(func(r *sample.Record) int32 { return r.TR }, false), false, 0, asNumber},
	{"Tq", timer(func(r *sample.Record) int32 { return r.Tq }, false), false, 0, asNumber},
	{"Tr", timer(func(r *sample.Record) int32 { return r.Tr }, false), false, 0, asNumber},
	{"Ts", hexable(func(r *sample.Record) int64 { return r.Accept.Unix() }, 4), false, 0, asNumber},
	{"Tt", timer(func(r *sample.Record) int32 { return r.Tt }, true), false, 0, asNumber},
	{"Tu", timer(userTime, true), false, 0, asNumber},
	{"Tw", timer(func(r *sample.Record) int32 { return r.Tw }, false), false, 0, asNumber},
	{"U", count(func(r *sample.Record) uint64 { return r.Received }, false), false, 0, asNumber},
	{"ac", number(func(r *sample.Record) int64 { return int64(r.ActConn) }), false, 0, asNumber},
	{"b", textOf(func(r *sample.Record) string { return r.Backend }), false, 0, asText},
	{"bc", number(func(r *sample.Record) int64 { return int64(r.BeConn) }), false, 0, asNumber},
	{"bi", address(func(r *sample.Record) netip.AddrPort { return r.BackAddr }), false, sample.NeedsBackAddr, asText},
	{"bp", port(func(r *sample.Record) netip.AddrPort { return r.BackAddr }), false, sample.NeedsBackAddr, asNumber},
	{"bq", number(func(r *sample.Record) int64 { return int64(r.BeQueue) }), false, 0, asNumber},
	{"ci", appendClient, false, 0, asText},
	{"cp", appendClientPort, false, 0, asNumber},
	{"f", textOf(func(r *sample.Record) string { return r.Frontend }), false, 0, asText},
	{"fc", number(func(r *sample.Record) int64 { return int64(r.FeConn) }), false, 0, asNumber},
	{"fi", address(func(r *sample.Record) netip.AddrPort { return r.FrontAddr }), false, sample.NeedsFrontAddr, asText},
	{"fp", port(func(r *sample.Record) netip.AddrPort { return r.FrontAddr }), false, sample.NeedsFrontAddr, asNumber},
	{"ft", appendFrontend, false, 0, asText},
	{"hr", captures(func(r *sample.Record) []string { return r.ReqCaptures }), true, 0, asText},
	{"hrl", captureList(func(r *sample.Record) []string { return r.ReqCaptures }), true, 0, asRequestList},
	{"hs", captures(func(r *sample.Record) []string { return r.ResCaptures }), true, 0, asText},
	{"hsl", captureList(func(r *sample.Record) []string { return r.ResCaptures }), true, 0, asResponseList},
	{"lc", number(func(r *sample.Record) int64 { return int64(r.LogCount) }), false, sample.NeedsLogCount, asNumber},
	{"ms", appendMs, false, 0, asNumber},
	{"pid", hexable(func(r *sample.Record) int64 { return int64(r.Pid) }, 4), false, 0, asNumber},
	{"r", appendRequest, false, 0, asText},
	{"rc", appendRetries, false, 0, asNumber},
	{"rt", hexable(func(r *sample.Record) int64 { return int64(r.Counter) }, 4), false, 0, asNumber},
	{"s", textOf(func(r *sample.Record) string { return r.Server }), false, 0, asText},
	{"sc", number(func(r *sample.Record) int64 { return int64(r.SrvConn) }), false, 0, asNumber},
	{"si", address(func(r *sample.Record) netip.AddrPort { return r.ServerAddr }), false, 0, asText},
	{"sp", port(func(r *sample.Record) netip.AddrPort { return r.ServerAddr }), false, 0, asNumber},
	{"sq", number(func(r *sample.Record) int64 { return int64(r.SrvQueue) }), false, 0, asNumber},
	{"sslc", textOf(func(r *sample.Record) string { return r.Cipher }), false, 0, asText},
	{"sslv", textOf(func(r *sample.Record) string { return r.TLSVer }), false, 0, asText},
	{"t", date(func(dst []byte, x *sample.Ctx) []byte { return x.Dates.AppendLogDate(dst, x.Rec.Accept) }), false, 0, asText},
	{"tr", date(func(dst []byte, x *sample.Ctx) []byte { return x.Dates.AppendLogDate(dst, x.Rec.Request) }), false, 0, asText},
	{"trg", date(func(dst []byte, x *sample.Ctx) []byte { return x.Dates.AppendGMT(dst, x.Rec.Request) }), false, 0, asText},
	{"trl", date(func(dst []byte, x *sample.Ctx) []byte { return x.Dates.AppendLocal(dst, x.Rec.Request) }), false, 0, asText},
	{"ts", func(dst []byte, x *sample.Ctx, _ option) ([]byte, bool) { return append(dst, x.Rec.Term[:2]...), true }, false, 0, asText},
	{"tsc", func(dst []byte, x *sample.Ctx, _ option) ([]byte, bool) { return append(dst, x.Rec.Term[:]...), true }, false, 0, asText},
}

// varAlias are names that HAProxy dropped after 1.5 and that old
// configurations still carry.
var varAlias = map[string]string{
	"Bi": "bi", "Bp": "bp", "Ci": "ci", "Cp": "cp", "Fi": "fi", "Fp": "fp", "Si": "si", "Sp": "sp", "cc": "CC", "cs": "CS", "st": "ST",
}

func findVar(name string) *varRow {
	if now, ok := varAlias[name]; ok {
		name = now
	}
	for i := range vars {
		if vars[i].name == name {
			return &vars[i]
		}
	}
	return nil
}

// inChecks are the variables of the process and of the server that is checked.
var inChecks = map[string]bool{"H": true, "b": true, "pid": true, "s": true}

// Variables lists the names of the variables of log formats, without the % before them.
func Variables() []string {
	names := make([]string, len(vars))
	for i := range vars {
		names[i] = vars[i].name
	}
	return names
}

func textOf(get func(*sample.Record) string) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
		return appendString(dst, get(x.Rec), o), true
	}
}

// appendString is appendText for names out of the configuration and facts of
// the engine, which hold nothing that breaks a line.
func appendString(dst []byte, s string, o option) []byte {
	switch {
	case o&optQuote != 0:
		dst = append(dst, '"')
		dst = appendEscapedString(dst, s, o)
		return append(dst, '"')
	case s == "" && o&optMandatory != 0:
		return append(dst, '-')
	}
	return appendEscapedString(dst, s, o)
}

func appendEscapedString(dst []byte, s string, o option) []byte {
	if o&optEscape == 0 {
		return append(dst, s...)
	}
	for i := range len(s) {
		if c := s[i]; c == '"' || c == '\\' || c == ']' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return dst
}

func number(get func(*sample.Record) int64) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, _ option) ([]byte, bool) {
		return strconv.AppendInt(dst, get(x.Rec), 10), true
	}
}

// count is a number of bytes; early ones get a "+", when option logasap wrote
// the line before the end. What was no request has none, as in HAProxy: neither
// what was read of it nor the answer to it.
func count(get func(*sample.Record) uint64, early bool) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, _ option) ([]byte, bool) {
		if early && x.Rec.Asap {
			dst = append(dst, '+')
		}
		if x.Rec.BadReq {
			return append(dst, '0'), true
		}
		return strconv.AppendUint(dst, get(x.Rec), 10), true
	}
}

func timer(get func(*sample.Record) int32, early bool) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, _ option) ([]byte, bool) {
		if early && x.Rec.Asap {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, int64(get(x.Rec)), 10), true
	}
}

// userTime is what the user waited: the total without the idle time.
func userTime(r *sample.Record) int32 {
	if r.Tt < 0 || r.Ti < 0 {
		return -1
	}
	return r.Tt - r.Ti
}

// hexable is a number that the flag X shows in at least width hexadecimal
// digits.
func hexable(get func(*sample.Record) int64, width int) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
		n := get(x.Rec)
		if o&optHex != 0 {
			return appendHex(dst, uint64(n), width), true
		}
		return strconv.AppendInt(dst, n, 10), true
	}
}

func appendHex(dst []byte, n uint64, width int) []byte {
	for w := 16; w > 0; w-- {
		d := n >> ((w - 1) * 4)
		if d != 0 || w <= width {
			dst = append(dst, hexDigits[d&15])
		}
	}
	return dst
}

func date(f func([]byte, *sample.Ctx) []byte) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, _ option) ([]byte, bool) { return f(dst, x), true }
}

func appendMs(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
	if o&optHex != 0 {
		return appendHex(dst, uint64(x.Rec.Accept.Nanosecond()/1e6), 2), true
	}
	return sample.AppendMillis(dst, x.Rec.Accept), true
}

func address(get func(*sample.Record) netip.AddrPort) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
		return appendAddr(dst, get(x.Rec).Addr(), o), true
	}
}

func appendAddr(dst []byte, a netip.Addr, o option) []byte {
	if !a.IsValid() {
		return appendText(dst, nil, o)
	}
	if o&optHex != 0 {
		if a = a.Unmap(); a.Is4() {
			for _, c := range a.As4() {
				dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
			}
			return dst
		}
		for _, c := range a.As16() {
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		}
		return dst
	}
	if o&optQuote != 0 {
		dst = a.AppendTo(append(dst, '"'))
		return append(dst, '"')
	}
	return a.AppendTo(dst)
}

func port(get func(*sample.Record) netip.AddrPort) func([]byte, *sample.Ctx, option) ([]byte, bool) {
	return func(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
		a := get(x.Rec)
		if !a.IsValid() {
			return appendText(dst, nil, o), true
		}
		return appendPort(dst, a.Port(), o), true
	}
}

func appendPort(dst []byte, p uint16, o option) []byte {
	if o&optHex != 0 {
		return appendHex(dst, uint64(p), 4)
	}
	return strconv.AppendUint(dst, uint64(p), 10)
}

// appendClient shows "unix" for a client of a unix socket.
func appendClient(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
	if a := x.Rec.Client.Addr(); a.IsValid() {
		return appendAddr(dst, a, o), true
	}
	return appendString(dst, "unix", o), true
}

// appendClientPort shows the number of the bind line for a client of a unix socket,
// as HAProxy does.
func appendClientPort(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
	if !x.Rec.Client.Addr().IsValid() && x.Listener != nil {
		return strconv.AppendInt(dst, int64(x.Listener.ID), 10), true
	}
	return appendPort(dst, x.Rec.Client.Port(), o), true
}

func appendFrontend(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
	if !x.Rec.TLS {
		return appendString(dst, x.Rec.Frontend, o), true
	}
	if o&optQuote != 0 {
		dst = appendEscapedString(append(dst, '"'), x.Rec.Frontend, o)
		return append(dst, '~', '"'), true
	}
	return append(appendEscapedString(dst, x.Rec.Frontend, o), '~'), true
}

// appendRetries puts a "+" before the number when the request went to another
// server.
func appendRetries(dst []byte, x *sample.Ctx, _ option) ([]byte, bool) {
	if x.Rec.Redispatched {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, int64(x.Rec.Retries), 10), true
}

func appendUniqueID(dst []byte, x *sample.Ctx, o option) ([]byte, bool) {
	return appendText(dst, x.UniqueID(), o), true
}
