package rule

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"lbsyslogd/lb/http1"
)

// matcher compares a sample with patterns. Immutable once the ACL is defined.
type matcher interface {
	match(x *Ctx, v value) bool
}

// matchRow is one matching method, the -m of an ACL.
type matchRow struct {
	name     string
	patterns bool // needs patterns to mean anything
	ints     bool // patterns are integers: operators are allowed
	on       func(k kind) bool
	compile  func(pats []pat) (matcher, error)
}

// pat is one pattern as written, with the flags and the operator before it.
type pat struct {
	text string
	fold bool   // -i
	op   string // eq, ge, gt, le, lt; "" means eq
}

func anyKind(kind) bool     { return true }
func numeric(k kind) bool   { return k == kindBool || k == kindInt }
func textual(k kind) bool   { return k == kindStr || k == kindBin }
func countable(k kind) bool { return k != kindBin }
func addressed(k kind) bool { return k == kindAddr || textual(k) }

// matches is the table (HAProxy configuration manual, section 7.1).
var matches = []matchRow{
	{name: "found", on: anyKind, compile: func([]pat) (matcher, error) { return matchFound{}, nil }},
	{name: "bool", on: numeric, compile: func([]pat) (matcher, error) { return matchBool{}, nil }},
	{name: "int", patterns: true, ints: true, on: countable, compile: compileInt},
	{name: "len", patterns: true, ints: true, on: anyKind, compile: compileLen},
	{name: "ip", patterns: true, on: addressed, compile: compileIP},
	{name: "bin", patterns: true, on: textual, compile: compileBin},
	{name: "str", patterns: true, on: anyKind, compile: compileStr},
	{name: "beg", patterns: true, on: anyKind, compile: compileBeg},
	{name: "end", patterns: true, on: anyKind, compile: compileEnd},
	{name: "sub", patterns: true, on: anyKind, compile: compileSub},
	{name: "dir", patterns: true, on: anyKind, compile: compileWords("/")},
	{name: "dom", patterns: true, on: anyKind, compile: compileWords("/?.:")},
	{name: "reg", patterns: true, on: anyKind, compile: compileReg},
	{name: "meth", patterns: true, on: anyKind, compile: compileMeth},
}

func findMatch(name string) (*matchRow, error) {
	for i := range matches {
		if matches[i].name == name {
			return &matches[i], nil
		}
	}
	names := make([]string, len(matches))
	for i := range matches {
		names[i] = matches[i].name
	}
	return nil, fmt.Errorf("unknown matching method '%s'%s; use one of %s", name, hint(name, names), strings.Join(names, ", "))
}

// defaultMatch is the method a type has by itself, "" for binary samples.
func defaultMatch(k kind) string {
	return [...]string{kindBool: "bool", kindInt: "int", kindAddr: "ip", kindStr: "str", kindBin: ""}[k]
}

type matchFound struct{}

func (matchFound) match(*Ctx, value) bool { return true }

type matchBool struct{}

func (matchBool) match(_ *Ctx, v value) bool { return v.n != 0 }

// matchStr is an exact match: one map look-up per case rule.
type matchStr struct {
	exact  map[string]struct{}
	folded map[string]struct{}
}

func compileStr(pats []pat) (matcher, error) {
	m := matchStr{exact: map[string]struct{}{}, folded: map[string]struct{}{}}
	for _, p := range pats {
		if p.fold {
			m.folded[strings.ToLower(p.text)] = struct{}{}
		} else {
			m.exact[p.text] = struct{}{}
		}
	}
	return &m, nil
}

// compileMeth compares methods, which are case-sensitive whatever -i says (RFC
// 9110, section 9.1).
func compileMeth(pats []pat) (matcher, error) {
	for i := range pats {
		pats[i].fold = false
	}
	return compileStr(pats)
}

func (m *matchStr) match(x *Ctx, v value) bool {
	b := v.text(x)
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

func (a *affixes) match(b []byte, suffix bool) bool {
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

func compileBeg(pats []pat) (matcher, error) { return compileAffix(pats, false), nil }
func compileEnd(pats []pat) (matcher, error) { return compileAffix(pats, true), nil }

func compileAffix(pats []pat, suffix bool) matcher {
	m := &matchAffix{suffix: suffix}
	for _, p := range pats {
		if p.fold {
			m.folded.add(strings.ToLower(p.text))
		} else {
			m.exact.add(p.text)
		}
	}
	return m
}

func (m *matchAffix) match(x *Ctx, v value) bool {
	b := v.text(x)
	return m.exact.match(b, m.suffix) || len(m.folded.set) > 0 && m.folded.match(lowered(x, b), m.suffix)
}

// matchSub is a substring match.
type matchSub struct{ exact, folded [][]byte }

func compileSub(pats []pat) (matcher, error) {
	m := &matchSub{}
	for _, p := range pats {
		if p.fold {
			m.folded = append(m.folded, []byte(strings.ToLower(p.text)))
		} else {
			m.exact = append(m.exact, []byte(p.text))
		}
	}
	return m, nil
}

func (m *matchSub) match(x *Ctx, v value) bool {
	b := v.text(x)
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

func compileWords(delims string) func([]pat) (matcher, error) {
	return func(pats []pat) (matcher, error) {
		m := &matchWords{delims: delims}
		for _, p := range pats {
			if text := strings.Trim(p.text, delims); text != "" {
				m.words = append(m.words, word{text, p.fold})
			}
		}
		return m, nil
	}
}

func (m *matchWords) match(x *Ctx, v value) bool {
	b := v.text(x)
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

type matchReg struct{ list []*pattern }

func compileReg(pats []pat) (matcher, error) {
	m := &matchReg{}
	for _, p := range pats {
		re, err := compileRegex(p.text, p.fold)
		if err != nil {
			return nil, err
		}
		m.list = append(m.list, re)
	}
	return m, nil
}

func (m *matchReg) match(x *Ctx, v value) bool {
	b := v.text(x)
	for _, re := range m.list {
		if re.match(b) {
			return true
		}
	}
	return false
}

func compileBin(pats []pat) (matcher, error) {
	for i, p := range pats {
		b, err := hex.DecodeString(p.text)
		if err != nil {
			return nil, fmt.Errorf("'%s' is not an even number of hexadecimal digits", p.text)
		}
		pats[i].text = string(b)
	}
	return compileStr(pats)
}

var errNoPattern = errors.New("no pattern is given, so it would never match; '-m found' tests for presence alone")
