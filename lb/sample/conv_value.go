package sample

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// convsText work on texts and variables.
var convsText = []convRow{
	{name: "add_item", args: "sn?s?", in: Str, out: Str, get: convAddItem, check: func(a *args) error {
		if a.s[1] == "" && a.s[2] == "" {
			return errors.New("a variable or a text to add is expected")
		}
		return nil
	}},
	{name: "capture-req", args: "i", in: Str, out: Str, get: captured(false)},
	{name: "capture-res", args: "i", in: Str, out: Str, get: captured(true)},
	{name: "cut_crlf", in: Str, out: Str, get: func(x *Ctx, _ *args, v Value) (Value, bool) {
		b := v.Text(x)
		if i := bytes.IndexAny(b, "\r\n"); i >= 0 {
			b = b[:i]
		}
		return StrValue(b), true
	}},
	{name: "language", args: "ss?", in: Str, out: Str, get: convLanguage},
	{name: "param", args: "ss?", in: Str, out: Str, get: convParam, check: func(a *args) error {
		if len(a.s[1]) > 1 {
			return errors.New("the delimiter is one character")
		}
		return nil
	}},
	{name: "set-var", args: "ns?s?s?s?", same: true, get: func(x *Ctx, a *args, v Value) (Value, bool) {
		return v, x.SetVar(a.s[0], v, a.any.(VarConds))
	}, check: func(a *args) error {
		when, err := parseVarConds(a.s[1:max(a.len, 1)])
		a.any = when
		return err
	}},
	{name: "unset-var", args: "n", same: true, get: func(x *Ctx, a *args, v Value) (Value, bool) {
		x.UnsetVar(a.s[0])
		return v, true
	}},
}

func captured(response bool) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		b := v.Text(x)
		return StrValue(b), x.Capture(response, int(a.n[0]), b)
	}
}

// gives is a type that arguments decided.
func gives(k Kind) *Kind { return &k }

// convAddItem appends an item, after a delimiter if there is something before it.
func convAddItem(x *Ctx, a *args, v Value) (Value, bool) {
	src := v.Text(x)
	item, held := Value{}, false
	if a.s[1] != "" {
		item, held = x.Var(a.s[1])
	}
	off := len(x.scratch)
	x.scratch = append(x.scratch, src...)
	if len(src) > 0 && (held || a.s[2] != "") {
		x.scratch = append(x.scratch, a.s[0]...)
	}
	if held {
		x.scratch = item.append(x.scratch)
	}
	x.scratch = append(x.scratch, a.s[2]...)
	return StrValue(x.scratch[off:]), true
}

// convParam gives what follows "name=" up to the delimiter, which is "&".
func convParam(x *Ctx, a *args, v Value) (Value, bool) {
	mark := byte('&')
	if a.s[1] != "" {
		mark = a.s[1][0]
	}
	for rest := v.Text(x); rest != nil; {
		part := rest
		if i := bytes.IndexByte(rest, mark); i >= 0 {
			part, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if name, val, ok := bytes.Cut(part, equals); string(name) == a.s[0] {
			if !ok {
				val = nil
			}
			return StrValue(val), true
		}
	}
	return Value{}, false
}

// convLanguage gives the language that the client likes best of a list.
func convLanguage(x *Ctx, a *args, v Value) (Value, bool) {
	best, weight := "", -1
	for rest := v.Text(x); len(rest) > 0; {
		end := CommaOrEnd(rest)
		item := rest[:end]
		if rest = rest[end:]; len(rest) > 0 {
			rest = rest[1:]
		}
		tag, params, _ := bytes.Cut(item, []byte(";"))
		q := quality(params)
		if q <= 0 || q <= weight {
			continue
		}
		tag = TrimBlank(tag)
		lang, ok := among(a.s[0], tag)
		if base, _, variant := bytes.Cut(tag, []byte("-")); !ok && variant {
			lang, ok = among(a.s[0], base)
		}
		if ok {
			best, weight = lang, q
		}
	}
	if weight < 0 {
		if a.len < 2 {
			return Value{}, false
		}
		best = a.s[1]
	}
	return stringValue(x, best), true
}

// among finds a word in a list with semicolons.
func among(list string, word []byte) (string, bool) {
	for one := range strings.SplitSeq(list, ";") {
		if one == string(word) {
			return one, true
		}
	}
	return "", false
}

// quality is the weight of ";q=0.8" in thousandths (RFC 9110 section 12.4.2).
func quality(params []byte) int {
	for param := range bytes.SplitSeq(params, []byte(";")) {
		if param = TrimBlank(param); len(param) > 2 && (param[0] == 'q' || param[0] == 'Q') && param[1] == '=' {
			f, err := strconv.ParseFloat(string(param[2:]), 64)
			if err != nil || f < 0 {
				return 0
			}
			return int(min(f, 1) * 1000)
		}
	}
	return 1000
}
