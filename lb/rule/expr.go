package rule

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/cfgfile"
)

// where is a set of the places an expression may stand in; a fetch that needs
// the request's head is of no use once the response is there.
type where uint8

const (
	inRequest where = 1 << iota
	inResponse
	inLog
	inConn // the connection alone: tcp-request connection and session

	anywhere = inRequest | inResponse | inLog | inConn
)

func (w where) String() string {
	switch w {
	case inRequest:
		return "a request rule"
	case inResponse:
		return "an http-response rule"
	case inConn:
		return "a rule about the connection"
	}
	return "a log format"
}

// expr is a compiled sample expression: one fetch and its converters.
// Immutable after parseExpr.
type expr struct {
	src   string
	fetch *fetchRow
	args  args
	convs []conv
	kind  kind // of what comes out
}

type conv struct {
	row  *convRow
	args args
}

// eval gives the sample; false when there is none (HAProxy: the fetch fails).
func (e *expr) eval(x *Ctx) (value, bool) {
	v, ok := e.fetch.get(x, &e.args)
	for i := range e.convs {
		if !ok {
			return value{}, false
		}
		v, ok = e.convs[i].row.get(x, &e.convs[i].args, v)
	}
	return v, ok
}

// one evaluates outside an ACL: the last occurrence or the one asked for.
func (e *expr) one(x *Ctx) (value, bool) {
	x.cur = cursor{}
	return e.eval(x)
}

// cursor lets an ACL see every occurrence of a header or cookie in turn.
type cursor struct {
	all   bool // set by the ACL: give the next occurrence, not the last
	more  bool // set by the fetch: another may follow
	field int  // header field the fetch stands at
	pos   int  // and the offset in its value
}

// args are the arguments of one fetch or converter, read at compile time.
type args struct {
	s       [4]string
	n       [4]int64
	ref     [2]operand // add(), concat(): a number, or a variable
	lit     value      // what the row's check made of them
	re      *pattern   // regsub's regular expression
	table   *TableRef  // a stick table, nil when none is named
	users   *UserRef   // a userlist
	gauge   *Gauge     // a number of a proxy or server
	mapping *mapping   // a map file's use
	len     int
}

// operand is an integer or the name of a variable.
type operand struct {
	n    int64
	name string
}

// value is the operand now; an unset variable fails.
func (o *operand) value(x *Ctx) (int64, bool) {
	if o.name == "" {
		return o.n, true
	}
	v, ok := x.Rec.Vars.get(o.name)
	if !ok {
		return 0, false
	}
	return v.integer()
}

// source reads an expression's text; parentheses and quotes inside arguments
// belong to it.
type source struct {
	text  string
	at    int
	place where // what stands there, for uses
	uses  *Uses
}

func (s *source) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// word reads a keyword: up to "(", "," or the end.
func (s *source) word() string {
	from := s.at
	for s.at < len(s.text) && !strings.ContainsRune("(),] \t", rune(s.text[s.at])) {
		s.at++
	}
	return s.text[from:s.at]
}

// arguments reads "(a,b)" if it is there. Quotes protect commas and
// parentheses, a backslash protects the next character.
func (s *source) arguments() ([]string, error) {
	if s.peek() != '(' {
		return nil, nil
	}
	s.at++
	var list []string
	var b strings.Builder
	quote := byte(0)
	for ; s.at < len(s.text); s.at++ {
		c := s.text[s.at]
		switch {
		case quote == '\'' && c != '\'':
			b.WriteByte(c)
		case c == '\\' && s.at+1 < len(s.text):
			s.at++
			b.WriteString(unescape(s.text[s.at]))
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote = c
		case c == ',':
			list = append(list, b.String())
			b.Reset()
		case c == ')':
			s.at++
			return append(list, b.String()), nil
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c is not closed in '%s'", quote, s.text)
	}
	return nil, fmt.Errorf("expected ')' in '%s'", s.text)
}

// unescape is what a backslash and c stand for inside an argument.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '\\', '\'', '"', ' ', ',', '(', ')':
		return string(c)
	}
	return `\` + string(c) // left for a regular expression
}

// parseExpr reads a whole word as an expression.
func parseExpr(text string, at where, uses *Uses) (*expr, error) {
	s := &source{text: text, place: at, uses: uses}
	e, _, err := s.expr(false)
	if err != nil {
		return nil, err
	}
	if s.at != len(text) {
		return nil, fmt.Errorf("unexpected '%s' behind the expression '%s'", text[s.at:], text[:s.at])
	}
	return e, e.allowed(at)
}

// expr reads a fetch and its converters from s; with acl set, ACL keywords
// such as path_beg count as the fetch with a default match, which it gives.
func (s *source) expr(acl bool) (*expr, string, error) {
	from := s.at
	name := s.word()
	row, match, err := findFetch(name, acl)
	if err != nil {
		return nil, "", err
	}
	list, err := s.arguments()
	if err != nil {
		return nil, "", fmt.Errorf("fetch method '%s' : %w", name, err)
	}
	e := &expr{fetch: row, kind: row.kind}
	if e.args, err = readArgs(row.args, list); err == nil && row.check != nil {
		err = row.check(&e.args)
	}
	if err != nil {
		return nil, "", fmt.Errorf("invalid args in fetch method '%s' : %w", name, err)
	}
	s.uses.need(row.needs, s.place)
	s.uses.note(e.args.refs()...)
	for s.peek() == ',' {
		s.at++
		name := s.word()
		c := findConv(name)
		if c == nil {
			return nil, "", unknownConv(name)
		}
		list, err := s.arguments()
		if err != nil {
			return nil, "", fmt.Errorf("converter '%s' : %w", name, err)
		}
		cv := conv{row: c}
		if cv.args, err = readArgs(c.args, list); err == nil && c.check != nil {
			err = c.check(&cv.args)
		}
		if err != nil {
			return nil, "", fmt.Errorf("invalid args in converter '%s' : %w", name, err)
		}
		if !castable(e.kind, c.in) {
			return nil, "", fmt.Errorf("converter '%s' cannot be applied to a sample of type %s", name, e.kind)
		}
		s.uses.note(cv.args.refs()...)
		e.convs = append(e.convs, cv)
		e.kind, match = c.out, ""
	}
	e.src = s.text[from:s.at]
	return e, match, nil
}

// castable reports whether HAProxy can turn a sample of one type into another.
func castable(from, to kind) bool {
	switch {
	case from == to, to == kindStr, to == kindBin:
		return true
	case to == kindAddr:
		return from == kindStr || from == kindBin
	case to == kindInt, to == kindBool:
		return from != kindBin
	}
	return false
}

// allowed refuses a place where the expression could never have a value.
func (e *expr) allowed(at where) error {
	if e.fetch.where&at != 0 {
		return nil
	}
	needs := "HTTP request headers"
	hint := "'http-request set-var(txn.NAME) " + e.src + "' keeps the value, and var(txn.NAME) shows it there"
	if e.fetch.where&inRequest == 0 {
		needs = "HTTP response headers"
		if at == inRequest {
			hint = "use it in an http-response rule"
		} else {
			hint = "'http-response set-var(txn.NAME) " + e.src + "' keeps the value, and var(txn.NAME) shows it there"
		}
	}
	if at == inConn {
		hint = "use it in an http-request rule"
	}
	if at == inLog && e.fetch.log != "" {
		hint = "a log format has " + e.fetch.log + " for it"
	}
	return fmt.Errorf("sample fetch <%s> needs '%s', which %s does not have; %s", e.src, needs, at, hint)
}

// hint is the "did you mean" of an unknown word, empty when nothing is near.
func hint(word string, among []string) string {
	if near := cfgfile.Suggest(word, among); near != "" {
		return "; did you mean '" + near + "'?"
	}
	return ""
}
