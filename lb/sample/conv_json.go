package sample

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// convsJSON read and write JSON, and JSON web tokens (HAProxy configuration
// manual, section 7.3.1).
var convsJSON = []convRow{
	{name: "json", args: "s?", in: Str, out: Str, get: convJSON, check: checkJSONCode},
	{name: "json_query", args: "ss?", in: Str, out: Str, get: func(x *Ctx, a *args, v Value) (Value, bool) {
		return a.any.(*jsonQuery).of(x, v.Text(x))
	}, check: func(a *args) error { return checkQuery(a, 0) }},
	{name: "jwt_header_query", args: "s?s?", in: Bin, out: Str, get: jwtQuery(0), check: checkJWTQuery},
	{name: "jwt_payload_query", args: "s?s?", in: Bin, out: Str, get: jwtQuery(1), check: checkJWTQuery},
	{name: "jwt_verify", args: "ss", in: Bin, out: Int, get: convJWTVerify, check: checkJWTVerify},
}

// jsonQuery is a path and whether its value is to be an integer. Immutable.
type jsonQuery struct {
	path    []pathStep
	integer bool
}

func checkQuery(a *args, at int) error {
	path, err := parsePath(a.s[at])
	if err != nil {
		return err
	}
	q := &jsonQuery{path: path}
	switch a.s[at+1] {
	case "":
	case "int":
		q.integer, a.gives = true, gives(Int)
	default:
		return fmt.Errorf("'%s' is not an output type; 'int' is the only one", a.s[at+1])
	}
	a.any = q
	return nil
}

// JavaScript's integers.
const maxJSONInt = 1<<53 - 1

// of gives a string, a number or a boolean; other values give nothing. A number
// is a text unless an integer was asked for.
func (q *jsonQuery) of(x *Ctx, doc []byte) (Value, bool) {
	b, ok := findJSON(doc, q.path)
	if !ok {
		return Value{}, false
	}
	switch {
	case b[0] == '"':
		off := len(x.scratch)
		var ok bool
		x.scratch, ok = appendUnquoted(x.scratch, b)
		return StrValue(x.scratch[off:]), ok
	case string(b) == "true":
		return BoolValue(true), true
	case string(b) == "false":
		return BoolValue(false), true
	case b[0] != '-' && (b[0] < '0' || b[0] > '9'):
		return Value{}, false
	case q.integer:
		n := leadingInt(b)
		return IntValue(n), n >= -maxJSONInt && n <= maxJSONInt
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return Value{}, false
	}
	off := len(x.scratch)
	x.scratch = append(x.scratch, fmt.Sprintf("%g", cFloat(f))...)
	return StrValue(x.scratch[off:]), true
}

// cFloat is shown as C's %g has it: six significant digits.
type cFloat float64

func (f cFloat) Format(s fmt.State, _ rune) {
	text := strconv.FormatFloat(float64(f), 'g', 6, 64)
	if mant, exp, ok := strings.Cut(text, "e"); ok && strings.Contains(mant, ".") {
		text = strings.TrimRight(strings.TrimRight(mant, "0"), ".") + "e" + exp
	}
	fmt.Fprint(s, text)
}

// checkJSONCode reads how bytes are read: json's argument.
func checkJSONCode(a *args) error {
	switch a.s[0] {
	case "", "ascii", "utf8", "utf8s", "utf8p", "utf8ps":
		return nil
	}
	return fmt.Errorf("'%s' is not an input code; use ascii, utf8, utf8s, utf8p or utf8ps", a.s[0])
}

// convJSON escapes a text for a JSON string.
func convJSON(x *Ctx, a *args, v Value) (Value, bool) {
	src := v.Text(x)
	code := a.s[0]
	off := len(x.scratch)
	for len(src) > 0 {
		r, n := rune(src[0]), 1
		if strings.HasPrefix(code, "utf8") {
			var err error
			if r, n, err = decodeRune(src, strings.Contains(code[4:], "p")); err != nil {
				if !strings.HasSuffix(code, "s") {
					return Value{}, false
				}
				src = src[n:]
				continue
			}
		}
		src = src[n:]
		switch {
		case r == '"', r == '\\', r == '/':
			x.scratch = append(x.scratch, '\\', byte(r))
		case r == '\b':
			x.scratch = append(x.scratch, `\b`...)
		case r == '\f':
			x.scratch = append(x.scratch, `\f`...)
		case r == '\n':
			x.scratch = append(x.scratch, `\n`...)
		case r == '\r':
			x.scratch = append(x.scratch, `\r`...)
		case r == '\t':
			x.scratch = append(x.scratch, `\t`...)
		case r > 0xffff:
			if !strings.HasSuffix(code, "s") { // four digits are not enough
				return Value{}, false
			}
		case r < 0x20 || r > 0x7e:
			x.scratch = append(x.scratch, '\\', 'u', lowerHex[r>>12&15], lowerHex[r>>8&15], lowerHex[r>>4&15], lowerHex[r&15])
		default:
			x.scratch = append(x.scratch, byte(r))
		}
	}
	return StrValue(x.scratch[off:]), true
}

const lowerHex = "0123456789abcdef"

var errUTF8 = errors.New("not UTF-8")

// decodeRune reads one character; permissive takes it if it is longer than it
// has to be. n is what it takes, or what an error is to be passed over with.
func decodeRune(b []byte, permissive bool) (r rune, n int, err error) {
	r, n = utf8.DecodeRune(b)
	if r != utf8.RuneError || n != 1 {
		return r, n, nil
	}
	size := 0
	switch c := b[0]; {
	case c >= 0xc0 && c < 0xe0:
		size, r = 2, rune(c&0x1f)
	case c >= 0xe0 && c < 0xf0:
		size, r = 3, rune(c&0x0f)
	case c >= 0xf0 && c < 0xf8:
		size, r = 4, rune(c&0x07)
	default:
		return 0, 1, errUTF8
	}
	for n = 1; n < size; n++ {
		if n == len(b) || b[n]&0xc0 != 0x80 {
			return 0, n, errUTF8
		}
		r = r<<6 | rune(b[n]&0x3f)
	}
	overlong := size == 2 && r < 0x80 || size == 3 && r < 0x800 || size == 4 && r < 0x10000
	if overlong && permissive {
		return r, n, nil
	}
	return 0, n, errUTF8
}

func checkJWTQuery(a *args) error {
	if a.s[0] == "" {
		if a.s[1] != "" {
			return errors.New("an output type without a path")
		}
		return nil
	}
	return checkQuery(a, 0)
}

// jwtQuery looks into a part of a token.
func jwtQuery(part int) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		parts, n := jwtParts(v.binary(x))
		if n == 0 {
			return Value{}, false
		}
		off := len(x.scratch)
		out, err := base64.RawURLEncoding.AppendDecode(x.scratch, parts[part])
		if err != nil {
			return Value{}, false
		}
		x.scratch = out
		if a.any == nil {
			return StrValue(out[off:]), true
		}
		return a.any.(*jsonQuery).of(x, out[off:])
	}
}

// jwtParts are header, payload and signature of a token in its compact form, and how
// many of them there are: one that is not signed may be without its last dot. 0 is no
// token.
func jwtParts(token []byte) (parts [3][]byte, n int) {
	if wrapped64(token) {
		return parts, 0
	}
	for more := true; more && n < len(parts); n++ {
		parts[n], token, more = bytes.Cut(token, []byte("."))
		if n == 0 && !more || n == 2 && more {
			return parts, 0
		}
	}
	return parts, n
}
