package logformat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"lbsyslogd/lb/sample"
)

// With %{+json}o, as in HAProxy since 3.0, a line is an object of the parts that have names: %(name)variable, %(name:type)[expression]. What has
// none is left out, texts between the parts too. The bytes are HAProxy's, but control characters and what is not UTF-8, which it writes as they
// are and JSON does not allow.

// form is what a variable's value is in JSON.
type form uint8

const (
	asText form = iota
	asNumber
	asRequestList // of captured headers
	asResponseList
)

// cast is the type of (name:type).
type cast uint8

const (
	castNone cast = iota
	castText
	castInt
	castBool
)

var casts = map[string]cast{"str": castText, "sint": castInt, "bool": castBool}

// whole is whether a line is an object: if every %o says so.
type whole uint8

const (
	wholeUnsaid whole = iota
	wholeJSON
	wholeText
)

func (w whole) and(json bool) whole {
	if !json || w == wholeText {
		return wholeText
	}
	return wholeJSON
}

// itemName is what stands between % and a variable or an expression.
type itemName struct {
	text string
	cast cast
}

func (i itemName) to(s *step) {
	if s.cast = i.cast; i.text != "" {
		s.key = []byte(`"` + i.text + `": `)
	}
}

// itemName reads "(name)" and "(name:type)", if that is what comes.
func (p *formatParser) itemName() (i itemName, err error) {
	if p.peek() != '(' {
		return i, nil
	}
	end := strings.IndexByte(p.text[p.pos:], ')')
	if end < 0 {
		return i, fmt.Errorf("truncated line after '%s'; a ')' is missing", p.text[p.pos-1:])
	}
	inside := p.text[p.pos+1 : p.pos+end]
	p.pos += end + 1
	name, kind, typed := strings.Cut(inside, ":")
	for _, c := range []byte(name) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return i, fmt.Errorf("invalid character '%c' in the name '%s'; letters, digits, '_' and '-' are allowed", c, name)
		}
	}
	if i.text = name; !typed {
		return i, nil
	}
	known := false
	if i.cast, known = casts[kind]; !known {
		return i, fmt.Errorf("unexpected type '%s' of '%s'; the types are str, sint and bool", kind, name)
	}
	return i, nil
}

// JSON says whether a line is an object.
func (f *Format) JSON() bool { return f.json }

func (f *Format) renderJSON(dst []byte, x *sample.Ctx) []byte {
	dst = append(dst, '{')
	first := true
	for i := range f.steps {
		n := &f.steps[i]
		if n.key == nil {
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = n.appendJSON(append(dst, n.key...), x)
	}
	return append(dst, '}')
}

// appendJSON appends the value of a part.
func (n *step) appendJSON(dst []byte, x *sample.Ctx) []byte {
	if n.expr != nil {
		return n.appendSampleJSON(dst, x)
	}
	switch n.row.form {
	case asRequestList:
		return listJSON(dst, x.Rec.ReqCaptures, n.opt)
	case asResponseList:
		return listJSON(dst, x.Rec.ResCaptures, n.opt)
	}
	from := len(dst)
	dst, shown := n.row.append(dst, x, n.opt&^(optQuote|optMandatory|optEscape))
	if !shown {
		return append(dst[:from], "null"...)
	}
	if n.row.form == asNumber && n.opt&optHex == 0 {
		if number, ok := parseNumber(dst[from:]); ok {
			return appendNumber(dst[:from], number, n.cast)
		}
	}
	return quoteJSON(dst, from)
}

func (n *step) appendSampleJSON(dst []byte, x *sample.Ctx) []byte {
	v, ok := n.expr.Eval(x)
	if !ok {
		return append(dst, `""`...)
	}
	kind := v.Kind()
	number, isNumber := v.Integer()
	switch {
	case n.cast == castBool && isNumber, n.cast == castNone && kind == sample.Bool:
		return strconv.AppendBool(dst, number != 0)
	case n.cast == castInt && isNumber, n.cast == castNone && kind == sample.Int:
		return strconv.AppendInt(dst, number, 10)
	}
	from := len(dst)
	return quoteJSON(append(dst, v.Text(x)...), from)
}

func appendNumber(dst []byte, n int64, c cast) []byte {
	switch c {
	case castBool:
		return strconv.AppendBool(dst, n != 0)
	case castText:
		return append(strconv.AppendInt(append(dst, '"'), n, 10), '"')
	}
	return strconv.AppendInt(dst, n, 10)
}

// parseNumber reads what a variable shows as a number. A "+" before it says that it is not final, or that there was a redispatch: neither is
// for a program that reads numbers.
func parseNumber(b []byte) (n int64, ok bool) {
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	negative := len(b) > 1 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// quoteJSON makes a string of dst[from:], in its place.
func quoteJSON(dst []byte, from int) []byte {
	text := dst[from:]
	more := 2
	for i := 0; i < len(text); {
		n, size := escapedLen(text[i:])
		more += n - size
		i += size
	}
	end := len(dst)
	for range more {
		dst = append(dst, 0)
	}
	// From the end to the beginning, so that nothing is written over before it was read.
	to := len(dst) - 1
	dst[to] = '"'
	for i := end; i > from; {
		_, size := utf8.DecodeLastRune(dst[from:i])
		i -= size
		n, _ := escapedLen(dst[i : i+size])
		to -= n
		writeEscaped(dst[to:to+n], dst[i:i+size])
	}
	dst[from] = '"'
	return dst
}

// escapedLen says how many bytes the first character of text has in a string of JSON, and how many it has now.
func escapedLen(text []byte) (n, size int) {
	r, size := utf8.DecodeRune(text)
	switch {
	case r == '"' || r == '\\':
		return 2, 1
	case r < ' ', r == utf8.RuneError && size == 1:
		return len(`\u0000`), 1
	}
	return size, size
}

// writeEscaped writes one character over as many bytes as escapedLen says. Those of the source may be among them.
func writeEscaped(to, from []byte) {
	if len(to) == len(from) {
		copy(to, from)
		return
	}
	c := from[0]
	switch {
	case c == '"' || c == '\\':
		to[1], to[0] = c, '\\'
	case c < ' ':
		copy(to, `\u00`)
		to[4], to[5] = hexDigits[c>>4], hexDigits[c&15]
	default:
		copy(to, `\ufffd`)
	}
}

// listJSON appends captured headers. One that was absent is a dash, unless +Q says how to tell it from a dash.
func listJSON(dst []byte, list []string, o option) []byte {
	if len(list) == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '[')
	for i, text := range list {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if text == "" && o&optQuote == 0 {
			text = "-"
		}
		from := len(dst)
		dst = quoteJSON(appendHeaderText(dst, text, 0), from)
	}
	return append(dst, ']')
}
