package sample

import (
	"fmt"
	"iter"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// backtrackLimit is how long a pattern that only backtracking can match may
// take; then it does not match, as with the match limit of PCRE. It is read
// about ten times a second.
const backtrackLimit = 50 * time.Millisecond

// Regexp is a compiled regular expression of PCRE's language, which HAProxy
// reads byte by byte. Go's engine runs in linear time whatever the input, which
// PCRE does not, and lacks what cannot be done so: lookaround, backreferences,
// possessive quantifiers. A pattern with one of these is matched by
// backtracking, within backtrackLimit.
type Regexp struct {
	re   *regexp.Regexp
	back *regexp2.Regexp // in place of re

	// tail is re for a text that ends with a line's end, before which PCRE's $
	// holds, too; nil where the pattern has no $. It is made when first used.
	tail func() *regexp2.Regexp

	// empties says that a text may match without a character of it, wherever that
	// is.
	empties bool
}

func CompileRegexp(text string, fold bool) (*Regexp, error) {
	p, err := compileRegexp(text, fold)
	if err == nil {
		begins := strings.Contains(strings.ReplaceAll(text, "[^", "["), "^") || strings.Contains(text, `\A`)
		p.empties = !begins && p.Match(nil)
	}
	return p, err
}

func compileRegexp(text string, fold bool) (*Regexp, error) {
	flags := ""
	if fold {
		flags = "(?i)"
	}
	// Each byte beyond ASCII is a character of its own, in patterns and in what they are matched with.
	pattern := flags + string(latin1(nil, spelled(text)))
	re, err := regexp.Compile(pattern)
	if err == nil {
		p := &Regexp{re: re}
		if strings.Contains(pattern, "$") {
			p.tail = sync.OnceValue(func() *regexp2.Regexp {
				back, _ := backtracking(pattern) // without it, $ is the end alone
				return back
			})
		}
		return p, nil
	}
	if what := perlOnly(spelled(text)); what != "" {
		return nil, fmt.Errorf("regex '%s' uses %s, which PCRE has but this engine has not; write it as two conditions or without it", text, what)
	}
	if back, err := backtracking(pattern); err == nil {
		return &Regexp{back: back}, nil
	}
	if e, ok := err.(*syntax.Error); ok {
		return nil, fmt.Errorf("regex '%s' is invalid (%s: %s)", text, e.Code, e.Expr)
	}
	return nil, fmt.Errorf("regex '%s' is invalid: %w", text, err)
}

// The blanks of one line, and what ends lines, for PCRE.
const (
	blanks   = `\t\x20\xa0`
	lineEnds = `\n\x0b\f\r\x85`
)

// escapes are PCRE's for sets of characters that the engines write in another
// manner, or read as something else (\v), outside of classes and in them.
var escapes = map[byte]struct{ outside, inside string }{
	'h': {"[" + blanks + "]", blanks},
	'H': {"[^" + blanks + "]", ""},
	'v': {"[" + lineEnds + "]", lineEnds},
	'V': {"[^" + lineEnds + "]", ""},
	'N': {`[^\n]`, ""},
	'R': {`(?>\r\n|[` + lineEnds + `])`, ""},
}

// patternParts gives what a pattern consists of, one after the other: an escape of two
// bytes, text from \Q up to its \E, a [:name:] in a class, else a byte; and whether
// it is in a class.
func patternParts(pattern string) iter.Seq2[string, bool] {
	return func(yield func(piece string, inClass bool) bool) {
		class := 0 // where the first character of the class is: there a ] is one of them
		for at, n := 0, 1; at < len(pattern); at += n {
			inside := class > 0
			switch rest := pattern[at:]; {
			case strings.HasPrefix(rest, `\Q`):
				if n = strings.Index(rest, `\E`); n < 0 {
					n = len(rest)
				}
			case rest[0] == '\\' && len(rest) > 1:
				n = 2
			case inside:
				n = namedClass(rest)
				if rest[0] == ']' && at > class {
					class = 0
				}
			default:
				n = 1
				if rest[0] == '[' {
					class = at + 1
					if strings.HasPrefix(rest[1:], "^") {
						class++
					}
				}
			}
			if !yield(pattern[at:at+n], inside) {
				return
			}
		}
	}
}

// namedClass gives the length of the [:name:] that text in a class begins with;
// 1 where it begins with something else.
func namedClass(text string) int {
	if strings.HasPrefix(text, "[:") {
		if end := strings.IndexAny(text[2:], "]["); end > 0 && text[2+end] == ']' && text[1+end] == ':' {
			return 2 + end + 1
		}
	}
	return 1
}

// spelled writes those escapes as the engines have them.
func spelled(pattern string) string {
	if !strings.ContainsRune(pattern, '\\') {
		return pattern
	}
	var b strings.Builder
	at := 0
	for piece, class := range patternParts(pattern) {
		at += len(piece)
		if len(piece) == 2 && piece[0] == '\\' {
			e := escapes[piece[1]]
			if class {
				e.outside = e.inside
			}
			if piece[1] == 'N' && strings.HasPrefix(pattern[at:], "{") { // a character's name
				e.outside = ""
			}
			if e.outside != "" {
				piece = e.outside
			}
		}
		b.WriteString(piece)
	}
	return b.String()
}

// backtracking compiles a pattern for the second engine, whose $ is no more
// than the end of the text.
func backtracking(pattern string) (*regexp2.Regexp, error) {
	lines := strings.Contains(pattern, "(?m") // then $ is the end of a line, too
	var b strings.Builder
	for piece, class := range patternParts(pattern) {
		if piece == "$" && !class && !lines {
			piece = `(?=\n?\z)`
		}
		b.WriteString(piece)
	}
	re, err := regexp2.Compile(b.String(), regexp2.RE2, regexp2.OptionMaintainCaptureOrder())
	if err == nil {
		re.MatchTimeout = backtrackLimit
	}
	return re, err
}

// perlOnly names the construct of PCRE that made a pattern fail, and that
// neither engine has. Some of them mean something else to the second.
func perlOnly(text string) string {
	var bare strings.Builder // without classes and escapes
	for piece, class := range patternParts(text) {
		switch {
		case piece[0] == '\\':
			if len(piece) == 2 && strings.IndexByte("CGghHKNoRvVX", piece[1]) >= 0 {
				return "'" + piece + "'"
			}
		case !class && piece != "[":
			bare.WriteString(piece)
		}
	}
	rest := bare.String()
	for _, c := range []struct{ mark, name string }{
		{"(?(", "a conditional '(?(...)'"}, {"(?|", "a branch reset '(?|...)'"}, {"(?R", "a recursion '(?R)'"}, {"(?&", "a recursion '(?&...)'"}, {"(?P>", "a recursion '(?P>...)'"},
		{"(?C", "a callout '(?C)'"}, {"(*", "a verb '(*...)'"},
	} {
		if strings.Contains(rest, c.mark) {
			return c.name
		}
	}
	for i := 0; i+2 < len(rest); i++ {
		if c := rest[i+2]; rest[i:i+2] == "(?" && (c >= '0' && c <= '9' || c == '+') {
			return "a recursion '(?" + rest[i+2:i+3] + ")'"
		}
	}
	return ""
}

func (p *Regexp) Match(b []byte) bool {
	if back := p.backFor(b); back != nil {
		ok, err := back.MatchRunes(runes(b))
		return ok && err == nil
	}
	if isASCII(b) {
		return p.re.Match(b)
	}
	return p.re.Match(latin1(nil, b))
}

// backFor gives the second engine where it has to match b; else nil.
func (p *Regexp) backFor(b []byte) *regexp2.Regexp {
	if p.tail != nil && len(b) > 0 && b[len(b)-1] == '\n' {
		return p.tail()
	}
	return p.back
}

// Submatches gives the first match and its groups as offsets; nil without one.
func (p *Regexp) Submatches(b []byte) []int {
	if p.backFor(b) == nil && isASCII(b) {
		return p.re.FindSubmatchIndex(b)
	}
	if all := p.all(b, 1); len(all) > 0 {
		return all[0]
	}
	return nil
}

// all gives the first matches, or all of them where limit is negative.
func (p *Regexp) all(b []byte, limit int) (all [][]int) {
	if back := p.backFor(b); back != nil {
		// What was found before an error is kept: the rest is as if it did not match.
		_ = back.FindRunesMatches(runes(b), 0, func(m regexp2.MatchView) bool {
			var one []int
			for g := range m.GroupCount() {
				if at, n, ok := m.GroupRange(g); ok {
					one = append(one, at, at+n)
				} else {
					one = append(one, -1, -1)
				}
			}
			all = append(all, one)
			return len(all) != limit
		})
		return all
	}
	if isASCII(b) {
		return p.re.FindAllSubmatchIndex(b, limit)
	}
	wide := latin1(nil, b)
	all = p.re.FindAllSubmatchIndex(wide, limit)
	at := make([]int, len(wide)+1) // of a byte in wide, where it is in b
	for i, n := 0, 0; i <= len(wide); i++ {
		at[i] = n
		if i < len(wide) && wide[i]&0xC0 != 0xC0 { // the first of two is not counted
			n++
		}
	}
	for _, one := range all {
		for i, pos := range one {
			if pos >= 0 {
				one[i] = at[pos]
			}
		}
	}
	return all
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// latin1 appends b with each of its bytes as a character of UTF-8.
func latin1[T []byte | string](dst []byte, b T) []byte {
	for i := range len(b) {
		dst = utf8.AppendRune(dst, rune(b[i]))
	}
	return dst
}

func runes(b []byte) []rune {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return r
}

// replaceAll appends b with the first match, or every one, replaced by
// template.
func (p *Regexp) replaceAll(dst, b []byte, template string, all bool) []byte {
	limit := 1
	if all {
		limit = -1
	}
	at := 0
	matches := p.all(b, limit)
	for i, m := range matches {
		dst = append(dst, b[at:m[0]]...)
		dst = Expand(dst, template, b, m)
		at = m[1]
		if !all || !p.empties || m[0] == m[1] || i+1 < len(matches) && matches[i+1][0] == at {
			continue
		}
		// Between a match and what follows there is one of nothing, as in HAProxy.
		if none := p.Submatches(b[at:]); none != nil && none[1] == 0 {
			dst = Expand(dst, template, b[at:], none)
		}
	}
	return append(dst, b[at:]...)
}

// Expand appends a replacement: \0 to \9 are the groups, \xHH a byte, a
// backslash before anything else protects it (HAProxy's exp_replace).
func Expand(dst []byte, template string, b []byte, m []int) []byte {
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '\\' || i+1 == len(template) {
			dst = append(dst, c)
			continue
		}
		i++
		switch c = template[i]; {
		case c >= '0' && c <= '9':
			if g := int(c-'0') * 2; g+1 < len(m) && m[g] >= 0 {
				dst = append(dst, b[m[g]:m[g+1]]...)
			}
		case c == 'x' && i+2 < len(template) && unhex(template[i+1]) >= 0 && unhex(template[i+2]) >= 0:
			dst = append(dst, byte(unhex(template[i+1])<<4|unhex(template[i+2])))
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
