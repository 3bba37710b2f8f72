package sample

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"lbsyslogd/lb/http1"
)

// Matcher compares a sample with patterns. Immutable once the ACL is defined.
type Matcher interface {
	Match(x *Ctx, v Value) bool
}

// Method is one matching method, the -m of an ACL.
type Method struct {
	name     string
	Patterns bool // needs patterns to mean anything
	Ints     bool // patterns are integers: operators are allowed
	On       func(k Kind) bool
	Compile  func(pats []Pattern) (Matcher, error)
}

// Pattern is one pattern as written, with the flags and the operator before it.
type Pattern struct {
	Text string
	Fold bool   // -i
	Op   string // eq, ge, gt, le, lt; "" means eq
}

func anyKind(Kind) bool     { return true }
func logical(k Kind) bool   { return k == Bool || k == Int || k == Str }
func textual(k Kind) bool   { return k == Str || k == Bin }
func countable(k Kind) bool { return k != Bin }
func addressed(k Kind) bool { return k == Addr || k == Str }

// matches is the table (HAProxy configuration manual, section 7.1).
var matches = []Method{
	{name: "found", On: anyKind, Compile: func([]Pattern) (Matcher, error) { return matchFound{}, nil }},
	{name: "bool", On: logical, Compile: func([]Pattern) (Matcher, error) { return matchBool{}, nil }},
	{name: "int", Patterns: true, Ints: true, On: countable, Compile: compileInt},
	{name: "len", Patterns: true, Ints: true, On: anyKind, Compile: compileLen},
	{name: "ip", Patterns: true, On: addressed, Compile: compileIP},
	{name: "bin", Patterns: true, On: textual, Compile: compileBin},
	{name: "str", Patterns: true, On: anyKind, Compile: compileStr},
	{name: "beg", Patterns: true, On: anyKind, Compile: compileBeg},
	{name: "end", Patterns: true, On: anyKind, Compile: compileEnd},
	{name: "sub", Patterns: true, On: anyKind, Compile: compileSub},
	{name: "dir", Patterns: true, On: anyKind, Compile: compileWords("/")},
	{name: "dom", Patterns: true, On: anyKind, Compile: compileWords("/?.:")},
	{name: "reg", Patterns: true, On: anyKind, Compile: compileReg},
	{name: "ver", Patterns: true, Ints: true, On: countable, Compile: compileVer},
	{name: "meth", Patterns: true, On: anyKind, Compile: compileMeth},
}

func FindMethod(name string) (*Method, error) {
	for i := range matches {
		if matches[i].name == name {
			return &matches[i], nil
		}
	}
	names := make([]string, len(matches))
	for i := range matches {
		names[i] = matches[i].name
	}
	return nil, fmt.Errorf("unknown matching method '%s'%s; use one of %s", name, Hint(name, names), strings.Join(names, ", "))
}

// DefaultMethod is the method a type has by itself, "" for binary samples.
func DefaultMethod(k Kind) string {
	return [...]string{Bool: "bool", Int: "int", Addr: "ip", Str: "str", Bin: ""}[k]
}

type matchFound struct{}

func (matchFound) Match(*Ctx, Value) bool { return true }

type matchBool struct{}

func (matchBool) Match(_ *Ctx, v Value) bool {
	n, ok := v.Integer()
	return ok && n != 0
}

// matchStr is an exact match: one map look-up per case rule.
type matchStr struct {
	exact  map[string]struct{}
	folded map[string]struct{}
}

func compileStr(pats []Pattern) (Matcher, error) {
	m := matchStr{exact: map[string]struct{}{}, folded: map[string]struct{}{}}
	for _, p := range pats {
		if p.Fold {
			m.folded[strings.ToLower(p.Text)] = struct{}{}
		} else {
			m.exact[p.Text] = struct{}{}
		}
	}
	return &m, nil
}

// compileMeth compares methods, which are case-sensitive whatever -i says (RFC
// 9110, section 9.1).
func compileMeth(pats []Pattern) (Matcher, error) {
	for i := range pats {
		pats[i].Fold = false
	}
	return compileStr(pats)
}

func (m *matchStr) Match(x *Ctx, v Value) bool {
	b := v.Text(x)
	if _, ok := m.exact[string(b)]; ok {
		return true
	}
	if len(m.folded) == 0 {
		return false
	}
	_, ok := m.folded[string(lowered(x, b))]
	return ok
}

// lowered is b in lower case, in the scratch.
func lowered(x *Ctx, b []byte) []byte {
	off := len(x.scratch)
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		x.scratch = append(x.scratch, c)
	}
	return x.scratch[off:]
}

// matchAffix is a prefix or suffix match: one map look-up per distinct length,
// so that a file of thousands of prefixes costs no more than a few.
type matchAffix struct {
	exact, folded affixes
	suffix        bool
}

type affixes struct {
	lengths []int
	set     map[string]struct{}
}

func (a *affixes) add(s string) {
	if a.set == nil {
		a.set = map[string]struct{}{}
	}
	a.set[s] = struct{}{}
	for _, n := range a.lengths {
		if n == len(s) {
			return
		}
	}
	a.lengths = append(a.lengths, len(s))
}

func (a *affixes) Match(b []byte, suffix bool) bool {
	for _, n := range a.lengths {
		if n > len(b) {
			continue
		}
		part := b[:n]
		if suffix {
			part = b[len(b)-n:]
		}
		if _, ok := a.set[string(part)]; ok {
			return true
		}
	}
	return false
}

func compileBeg(pats []Pattern) (Matcher, error) { return compileAffix(pats, false), nil }
func compileEnd(pats []Pattern) (Matcher, error) { return compileAffix(pats, true), nil }

func compileAffix(pats []Pattern, suffix bool) Matcher {
	m := &matchAffix{suffix: suffix}
	for _, p := range pats {
		if p.Fold {
			m.folded.add(strings.ToLower(p.Text))
		} else {
			m.exact.add(p.Text)
		}
	}
	return m
}

func (m *matchAffix) Match(x *Ctx, v Value) bool {
	b := v.Text(x)
	return m.exact.Match(b, m.suffix) || len(m.folded.set) > 0 && m.folded.Match(lowered(x, b), m.suffix)
}

// matchSub is a substring match.
type matchSub struct{ exact, folded [][]byte }

func compileSub(pats []Pattern) (Matcher, error) {
	m := &matchSub{}
	for _, p := range pats {
		if p.Fold {
			m.folded = append(m.folded, []byte(strings.ToLower(p.Text)))
		} else {
			m.exact = append(m.exact, []byte(p.Text))
		}
	}
	return m, nil
}

func (m *matchSub) Match(x *Ctx, v Value) bool {
	b := v.Text(x)
	for _, p := range m.exact {
		if bytes.Contains(b, p) {
			return true
		}
	}
	if len(m.folded) == 0 {
		return false
	}
	b = lowered(x, b)
	for _, p := range m.folded {
		if bytes.Contains(b, p) {
			return true
		}
	}
	return false
}

// matchWords looks for whole words between delimiters: -m dir, -m dom.
type matchWords struct {
	words  []word
	delims string
}

type word struct {
	text string
	fold bool
}

func compileWords(delims string) func([]Pattern) (Matcher, error) {
	return func(pats []Pattern) (Matcher, error) {
		m := &matchWords{delims: delims}
		for _, p := range pats {
			if text := strings.Trim(p.Text, delims); text != "" {
				m.words = append(m.words, word{text, p.Fold})
			}
		}
		return m, nil
	}
}

func (m *matchWords) Match(x *Ctx, v Value) bool {
	b := v.Text(x)
	for i := range m.words {
		if w := &m.words[i]; w.in(b, m.delims) {
			return true
		}
	}
	return false
}

// in reports whether the word stands in b with a delimiter or an end on both
// sides.
func (w *word) in(b []byte, delims string) bool {
	n := len(w.text)
	for at := 0; at+n <= len(b); at++ {
		if at > 0 && strings.IndexByte(delims, b[at-1]) < 0 {
			continue
		}
		if at+n < len(b) && strings.IndexByte(delims, b[at+n]) < 0 {
			continue
		}
		if part := b[at : at+n]; string(part) == w.text || w.fold && http1.EqualFold(part, w.text) {
			return true
		}
	}
	return false
}

type matchReg struct{ list []*Regexp }

func compileReg(pats []Pattern) (Matcher, error) {
	m := &matchReg{}
	for _, p := range pats {
		re, err := CompileRegexp(p.Text, p.Fold)
		if err != nil {
			return nil, err
		}
		m.list = append(m.list, re)
	}
	return m, nil
}

func (m *matchReg) Match(x *Ctx, v Value) bool {
	b := v.Text(x)
	for _, re := range m.list {
		if re.Match(b) {
			return true
		}
	}
	return false
}

func compileBin(pats []Pattern) (Matcher, error) {
	m := matchBin{}
	for _, p := range pats {
		b, err := hex.DecodeString(p.Text)
		if err != nil {
			return nil, fmt.Errorf("'%s' is not an even number of hexadecimal digits", p.Text)
		}
		m[string(b)] = struct{}{}
	}
	return m, nil
}

// matchBin is an exact match of blocks.
type matchBin map[string]struct{}

func (m matchBin) Match(x *Ctx, v Value) bool {
	_, ok := m[string(v.binary(x))]
	return ok
}

// Never is the matcher of no pattern.
type Never struct{}

// Match implements Matcher.
func (Never) Match(*Ctx, Value) bool { return false }
