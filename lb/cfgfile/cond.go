package cfgfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Conditions of .if and of the command line's -cc:
//
//	expr = and { "||" and }
//	and  = term { "&&" term }
//	term = "!" term | "(" expr ")" | integer | predicate "(" args ")"
//
// The empty condition is false.

// maxNesting bounds parentheses and exclamation marks: the parser recurses.
const maxNesting = 256

// Eval evaluates a condition.
func (e *Env) Eval(condition string) (bool, *SyntaxError) {
	p := condParser{text: condition, env: e}
	p.blanks()
	if p.at == len(p.text) {
		return false, nil
	}
	result, err := p.or()
	if err == nil && p.at < len(p.text) {
		err = p.fail("garbage '%s' after the condition", p.text[p.at:])
	}
	return result, err
}

type condParser struct {
	text  string
	at    int
	depth int
	env   *Env
}

func (p *condParser) fail(format string, args ...any) *SyntaxError {
	return &SyntaxError{Col: p.at + 1, Text: fmt.Sprintf(format, args...)}
}

func (p *condParser) blanks() {
	for p.at < len(p.text) && isBlank(p.text[p.at]) {
		p.at++
	}
}

// take skips token and the blanks after it if it is next.
func (p *condParser) take(token string) bool {
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	p.blanks()
	return true
}

// Both sides of an operator are always parsed: a mistake on the side that
// does not count is still a mistake.
func (p *condParser) or() (bool, *SyntaxError) {
	result, err := p.and()
	for err == nil && p.take("||") {
		var right bool
		right, err = p.and()
		result = result || right
	}
	return result, err
}

func (p *condParser) and() (bool, *SyntaxError) {
	result, err := p.term()
	for err == nil && p.take("&&") {
		var right bool
		right, err = p.term()
		result = result && right
	}
	return result, err
}

func (p *condParser) term() (bool, *SyntaxError) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		return false, p.fail("condition nested more than %d deep", maxNesting)
	}
	if p.take("!") {
		result, err := p.term()
		return !result, err
	}
	if p.take("(") {
		result, err := p.or()
		if err == nil && !p.take(")") {
			err = p.fail("expected ')'")
		}
		return result, err
	}
	word := p.word()
	if n, err := strconv.Atoi(word); err == nil {
		p.blanks()
		return n != 0, nil
	}
	return p.predicate(word)
}

// word reads an integer or a predicate's name.
func (p *condParser) word() string {
	from := p.at
	for p.at < len(p.text) && (isAlpha(p.text[p.at]) || isDigit(p.text[p.at]) || strings.IndexByte("_-+", p.text[p.at]) >= 0) {
		p.at++
	}
	return p.text[from:p.at]
}

// sslVersion is the OpenSSL that configurations see: the oldest whose
// words all mean the same to lb, whose TLS is Go's.
const sslVersion = "3.0.0"

// predicate is one question that a condition can ask.
type predicate struct {
	name string
	args int
	ask  func(e *Env, args []string) (bool, error)
}

func predicates() []predicate {
	version := func(want func(int) bool) func(*Env, []string) (bool, error) {
		return func(e *Env, args []string) (bool, error) {
			d, err := compareVersions(e.Version, args[0])
			return want(d), err
		}
	}
	library := func(want func(int) bool) func(*Env, []string) (bool, error) {
		return func(_ *Env, args []string) (bool, error) {
			// A letter after the version (1.1.1k) is its patch level.
			d, err := compareVersions(sslVersion, strings.TrimRight(args[0], "abcdefghijklmnopqrstuvwxyz"))
			return want(d), err
		}
	}
	return []predicate{
		{"defined", 1, func(e *Env, args []string) (bool, error) { _, set := e.vars[args[0]]; return set, nil }},
		{"enabled", 1, func(_ *Env, args []string) (bool, error) {
			return slices.Contains([]string{"EPOLL", "GETADDRINFO", "REUSEPORT", "SPLICE"}, args[0]), nil
		}},
		{"feature", 1, func(e *Env, args []string) (bool, error) { return slices.Contains(e.Features, args[0]), nil }},
		{"openssl_version_atleast", 1, library(func(d int) bool { return d >= 0 })},
		{"openssl_version_before", 1, library(func(d int) bool { return d < 0 })},
		{"ssllib_name_startswith", 1, func(_ *Env, args []string) (bool, error) {
			return strings.HasPrefix("OpenSSL "+sslVersion, args[0]), nil
		}},
		{"streq", 2, func(_ *Env, args []string) (bool, error) { return args[0] == args[1], nil }},
		{"strneq", 2, func(_ *Env, args []string) (bool, error) { return args[0] != args[1], nil }},
		{"version_atleast", 1, version(func(d int) bool { return d >= 0 })},
		{"version_before", 1, version(func(d int) bool { return d < 0 })},
	}
}

func (p *condParser) predicate(name string) (bool, *SyntaxError) {
	known := predicates()
	i := slices.IndexFunc(known, func(k predicate) bool { return k.name == name })
	if i < 0 {
		names := make([]string, len(known))
		for i, k := range known {
			names[i] = k.name
		}
		p.at -= len(name)
		hint := ""
		if s := Suggest(name, names); s != "" && name != "" {
			hint = "; did you mean '" + s + "' maybe ?"
		}
		return false, p.fail("unparsable conditional expression '%s'%s", p.text[p.at:], hint)
	}
	start := p.at
	args, err := p.args(name)
	if err != nil {
		return false, err
	}
	if len(args) != known[i].args {
		p.at = start
		return false, p.fail("'%s' takes %d argument(s), not %d", name, known[i].args, len(args))
	}
	result, askErr := known[i].ask(p.env, args)
	if askErr != nil {
		p.at = start
		return false, p.fail("'%s': %v", name, askErr)
	}
	return result, nil
}

// args reads "(a,b)". Quotes protect commas and parentheses a second time.
func (p *condParser) args(name string) ([]string, *SyntaxError) {
	open := p.at
	if p.at == len(p.text) || p.text[p.at] != '(' {
		return nil, p.fail("expected '(' after '%s'", name)
	}
	var args []string
	var arg []byte
	quote := byte(0)
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '$' && quote == '"' && p.variable(&arg):
		case c == '\\' && quote != '\'' && p.at+1 < len(p.text):
			p.at++
			arg = append(arg, p.text[p.at])
		case quote == 0 && c == ',':
			args = append(args, strings.TrimSpace(string(arg)))
			arg = arg[:0]
		case quote == 0 && c == ')':
			p.take(")")
			return append(args, strings.TrimSpace(string(arg))), nil
		default:
			arg = append(arg, c)
		}
	}
	p.at = open
	return nil, p.fail("expected ')' after the arguments of '%s'", name)
}

// variable replaces the $NAME or ${NAME} that the text goes on with, as
// HAProxy does within double quotes: in -cc nothing else would.
func (p *condParser) variable(arg *[]byte) bool {
	name, size := variable(p.text[p.at:])
	if size == 0 {
		return false
	}
	*arg = append(*arg, p.env.vars[name]...)
	p.at += size - 1
	return true
}

// compareVersions orders versions such as 2.4-dev19, 2.6 and 2.6.12-1+deb12:
// missing parts count as zero, -devN is before -rcN is before the release.
func compareVersions(a, b string) (int, error) {
	x, err := parseVersion(a)
	if err != nil {
		return 0, err
	}
	y, err := parseVersion(b)
	if err != nil {
		return 0, err
	}
	return slices.Compare(x[:], y[:]), nil
}

// parseVersion gives major, minor, stage (0 dev, 1 rc, 2 release), patch or
// the stage's number.
func parseVersion(s string) (v [4]int, err error) {
	bad := fmt.Errorf("'%s' is no version (like 2.6 or 2.4-dev19)", s)
	rest := s
	number := func() int {
		end := 0
		for end < len(rest) && isDigit(rest[end]) {
			end++
		}
		n, convErr := strconv.Atoi(rest[:end])
		if convErr != nil {
			err = bad
		}
		rest = rest[end:]
		return n
	}
	v[0] = number()
	if strings.HasPrefix(rest, ".") {
		rest = rest[1:]
		v[1] = number()
	}
	v[2] = 2
	switch {
	case strings.HasPrefix(rest, "-dev"):
		rest, v[2] = rest[4:], 0
		v[3] = number()
	case strings.HasPrefix(rest, "-rc"):
		rest, v[2] = rest[3:], 1
		v[3] = number()
	case strings.HasPrefix(rest, "."):
		rest = rest[1:]
		v[3] = number()
	}
	return v, err
}
