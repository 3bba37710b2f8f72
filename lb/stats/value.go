package stats

import "strconv"

// valueType says how a value is written; the names are those of the typed
// output formats.
type valueType uint8

const (
	empty valueType = iota
	text
	unsigned32
	unsigned64
	signed32
	float // n millionths
)

func (t valueType) String() string {
	return [...]string{"", "str", "u32", "u64", "s32", "flt"}[t]
}

// value is one cell: a text, a number, or nothing.
type value struct {
	typ valueType
	n   uint64
	s   string
}

func str(s string) value { return value{typ: text, s: s} }

// strIf is a text that is absent when it is empty.
func strIf(s string) value {
	if s == "" {
		return value{}
	}
	return str(s)
}

// gauge is a count that cannot be negative. A count of what several loops
// hold is summed without stopping them and may dip below zero for an instant.
func gauge(n int) value { return value{typ: unsigned32, n: uint64(max(n, 0))} }

// gaugeIf is a number that is absent when it is zero.
func gaugeIf(n int) value {
	if n == 0 {
		return value{}
	}
	return gauge(n)
}

func counter(n uint64) value { return value{typ: unsigned64, n: n} }

func signed(n int) value { return value{typ: signed32, n: uint64(int64(n))} }

// append writes the value as it stands in a typed line.
func (v value) append(dst []byte) []byte {
	switch v.typ {
	case text:
		return append(dst, v.s...)
	case signed32:
		return strconv.AppendInt(dst, int64(v.n), 10)
	case float:
		return strconv.AppendFloat(dst, float64(v.n)/1e6, 'f', -1, 64)
	case unsigned32, unsigned64:
		return strconv.AppendUint(dst, v.n, 10)
	}
	return dst
}

// appendCSV writes the value as a CSV field. A text is quoted only if it has
// to be, as HAProxy does.
func (v value) appendCSV(dst []byte) []byte {
	if v.typ != text {
		return v.append(dst)
	}
	quote := false
	for i := 0; i < len(v.s); i++ {
		switch v.s[i] {
		case ',', '"', '\n', '\r':
			quote = true
		}
	}
	if !quote {
		return append(dst, v.s...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(v.s); i++ {
		switch c := v.s[i]; c {
		case '"':
			dst = append(dst, '"', '"')
		case '\n', '\r':
			// One row is one line for everybody who reads line by line.
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// appendJSON writes the value as a JSON scalar.
func (v value) appendJSON(dst []byte) []byte {
	if v.typ != text {
		return v.append(dst)
	}
	return appendJSONString(dst, v.s)
}

func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c >= 0x7f:
			// Bytes beyond ASCII come from servers' answers in any encoding:
			// taken as Latin-1 the output is valid JSON whatever they are.
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
