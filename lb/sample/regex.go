package sample

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Regexp is a compiled regular expression. Go's engine runs in linear time
// whatever the input, which PCRE does not, and lacks what cannot be done so:
// lookaround, backreferences, possessive quantifiers.
type Regexp struct {
	re *regexp.Regexp
}

func CompileRegexp(text string, fold bool) (*Regexp, error) {
	flags := ""
	if fold {
		flags = "(?i)"
	}
	re, err := regexp.Compile(flags + text)
	if err == nil {
		return &Regexp{re}, nil
	}
	if what := perlOnly(text); what != "" {
		return nil, fmt.Errorf("regex '%s' uses %s, which PCRE has but this engine has not (it promises linear time); write it as two conditions or without it", text, what)
	}
	if e, ok := err.(*syntax.Error); ok {
		return nil, fmt.Errorf("regex '%s' is invalid (%s: %s)", text, e.Code, e.Expr)
	}
	return nil, fmt.Errorf("regex '%s' is invalid: %w", text, err)
}

// perlOnly names the construct of PCRE that made a pattern fail here.
func perlOnly(text string) string {
	for _, c := range []struct{ mark, name string }{
		{"(?=", "a lookahead '(?=...)'"}, {"(?!", "a negative lookahead '(?!...)'"},
		{"(?<=", "a lookbehind '(?<=...)'"}, {"(?<!", "a negative lookbehind '(?<!...)'"},
		{"(?>", "an atomic group '(?>...)'"}, {"(?#", "a comment '(?#...)'"}, {"(?(", "a conditional '(?(...)'"},
		{"(?R", "a recursion '(?R)'"}, {"(?1", "a recursion '(?1)'"}, {`\G`, `'\G'`}, {`\K`, `'\K'`}, {`\R`, `'\R'`},
		{"*+", "a possessive quantifier '*+'"}, {"++", "a possessive quantifier '++'"}, {"?+", "a possessive quantifier '?+'"},
	} {
		if strings.Contains(text, c.mark) {
			return c.name
		}
	}
	for i := 0; i+1 < len(text); i++ {
		if text[i] == '\\' {
			if i++; text[i] >= '1' && text[i] <= '9' {
				return `a backreference '\` + text[i:i+1] + `'`
			}
		}
	}
	return ""
}

func (p *Regexp) Match(b []byte) bool { return p.re.Match(b) }

// Submatches gives the first match and its groups as offsets; nil without one.
func (p *Regexp) Submatches(b []byte) []int { return p.re.FindSubmatchIndex(b) }

// replaceAll appends b with the first match, or every one, replaced by
// template.
func (p *Regexp) replaceAll(dst, b []byte, template string, all bool) []byte {
	limit := 1
	if all {
		limit = -1
	}
	at := 0
	for _, m := range p.re.FindAllSubmatchIndex(b, limit) {
		dst = append(dst, b[at:m[0]]...)
		dst = Expand(dst, template, b, m)
		at = m[1]
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
