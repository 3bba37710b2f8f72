package sample

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/cfgfile"
)

// Where is a set of the places an expression may stand in; a fetch that needs
// the request's head is of no use once the response is there.
type Where uint8

const (
	InRequest Where = 1 << iota
	InResponse
	InLog
	InConn    // the connection alone, before anything came over it: tcp-request connection
	InSession // after the handshake: tcp-request session
	InCheck   // a rule of a health check: no client, no exchange

	Anywhere   = InRequest | InResponse | InLog | InConn | InSession // there is a client
	Everywhere = Anywhere | InCheck
)

func (w Where) String() string {
	switch w {
	case InRequest:
		return "a request rule"
	case InResponse:
		return "an http-response rule"
	case InConn, InSession:
		return "a rule about the connection"
	case InCheck:
		return "a health check"
	}
	return "a log format"
}

// Expr is a compiled sample expression: one fetch and its converters.
// Immutable after ParseExpr.
type Expr struct {
	src   string
	fetch *fetchRow
	args  args
	convs []conv
	Kind  Kind // of what comes out

	method bool // what comes out is a request's method
}

type conv struct {
	row  *convRow
	args args
}

// eval gives the sample; false when there is none (HAProxy: the fetch fails).
func (e *Expr) eval(x *Ctx) (Value, bool) {
	v, ok := e.fetch.get(x, &e.args)
	if !ok && x.HeadPartial && e.fetch.where == InRequest && x.Req == nil {
		x.missingHead()
	}
	for i := range e.convs {
		if !ok {
			return Value{}, false
		}
		v, ok = e.convs[i].row.get(x, &e.convs[i].args, v)
	}
	return v, ok
}

// String is the source.
func (e *Expr) String() string { return e.src }

// Places are where the expression can have a value.
func (e *Expr) Places() Where { return e.fetch.where }

// Matches tries every occurrence that the fetch has until one matches.
func (e *Expr) Matches(x *Ctx, m Matcher) bool {
	x.cur = cursor{all: true}
	for {
		x.cur.more = false
		v, ok := e.eval(x)
		if ok && m.Match(x, v) {
			return true
		}
		if !x.cur.more {
			return false
		}
	}
}

// Users is the userlist whose user the expression gives, nil of others.
func (e *Expr) Users() *UserRef {
	if len(e.convs) > 0 {
		return nil
	}
	return e.args.users
}

// Eval evaluates outside an ACL: the last occurrence or the one asked for.
func (e *Expr) Eval(x *Ctx) (Value, bool) {
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
	s       [5]string
	n       [5]int64
	bin     [5][]byte  // base64 decoded; nil where a variable's name stands in s
	ref     [2]operand // add(), concat(): a number, or a variable
	lit     Value      // what the row's check made of them
	re      *Regexp    // regsub's regular expression
	table   *TableRef  // a stick table, nil when none is named
	users   *UserRef   // a userlist
	gauge   *Gauge     // a number of a proxy or server
	mapping *mapping   // a map file's use
	gives   *Kind      // the type of what comes out, when the arguments decide it
	place   Where      // what they are read for
	any     any        // what else the row's check made: the row knows its type
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
	v, ok := x.Var(o.name)
	if !ok {
		return 0, false
	}
	return v.Integer()
}

// source reads an expression's text; parentheses and quotes inside arguments
// belong to it.
type source struct {
	text  string
	at    int
	place Where // what stands there, for uses
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
// parentheses; a backslash does not, as in HAProxy.
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
			if plain := unescape(s.text[s.at+1]); plain != 0 {
				s.at++
				c = plain
			}
			b.WriteByte(c)
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

// unescape is what a backslash and c stand for inside an argument; 0 leaves both
// to a regular expression.
func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case '\\', '\'', '"', ' ':
		return c
	}
	return 0
}

// ParseExpr reads a whole word as an expression.
func ParseExpr(text string, at Where, uses *Uses) (*Expr, error) {
	s := &source{text: text, place: at, uses: uses}
	e, _, err := s.expr(false)
	if err != nil {
		return nil, err
	}
	if s.at != len(text) {
		return nil, fmt.Errorf("unexpected '%s' after the expression '%s'", text[s.at:], text[:s.at])
	}
	return e, e.Allowed(at)
}

// ParsePrefix reads an expression at the beginning of a text, and gives where
// it ends. Whether it may stand there is left to the caller.
func ParsePrefix(text string, at Where, uses *Uses) (*Expr, int, error) {
	s := &source{text: text, place: at, uses: uses}
	e, _, err := s.expr(false)
	return e, s.at, err
}

// ParseCriterion reads what an ACL compares: an expression, or a keyword such
// as path_beg, whose matching method it gives.
func ParseCriterion(text string, uses *Uses) (*Expr, string, error) {
	s := &source{text: text, uses: uses}
	e, method, err := s.expr(true)
	if err == nil && s.at != len(text) {
		err = fmt.Errorf("unexpected '%s' after the expression '%s'", text[s.at:], text[:s.at])
	}
	return e, method, err
}

// expr reads a fetch and its converters from s; with acl set, ACL keywords
// such as path_beg count as the fetch with a default match, which it gives.
func (s *source) expr(acl bool) (*Expr, string, error) {
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
	e := &Expr{fetch: row, Kind: row.kind, method: row.method}
	e.args, err = readArgs(row.args, list)
	e.args.place = s.place
	if err == nil && row.check != nil {
		err = row.check(&e.args)
	}
	if err != nil {
		return nil, "", fmt.Errorf("invalid args in fetch method '%s' : %w", name, err)
	}
	s.uses.Need(row.needs, s.place)
	if row.idle != "" {
		s.uses.Note(&Remark{Text: fmt.Sprintf("'%s' is always 0: %s", name, row.idle)})
	}
	s.uses.Note(e.args.refs()...)
	for s.peek() == ',' {
		s.at++
		name := s.word()
		if name == "" && (s.at == len(s.text) || s.peek() == ',') {
			continue // HAProxy passes over a comma that nothing follows
		}
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
		if !c.same && !e.castable(c.in) {
			return nil, "", fmt.Errorf("converter '%s' cannot be applied to a sample of type %s", name, e.TypeName())
		}
		s.uses.Note(cv.args.refs()...)
		e.convs = append(e.convs, cv)
		e.method = false // as HAProxy, also after one that changes nothing
		match = ""
		switch {
		case cv.args.gives != nil:
			e.Kind = *cv.args.gives
		case !c.same:
			e.Kind = c.out
		}
	}
	e.src = s.text[from:s.at]
	return e, match, nil
}

// Castable reports whether HAProxy can turn a sample of one type into another
// (src/sample.c, sample_casts).
func Castable(from, to Kind) bool {
	switch to {
	case from, Str, Bin:
		return true
	case Addr:
		return from == Str || from == Int
	case Int:
		return from != Bin
	case Bool:
		return from == Int || from == Str
	}
	return false
}

// castable is Castable of the expression's type; a request's method is a text,
// and no number, truth or address.
func (e *Expr) castable(to Kind) bool {
	return Castable(e.Kind, to) && (!e.method || to == Str || to == Bin)
}

// TypeName is the type in messages.
func (e *Expr) TypeName() string {
	if e.method {
		return "method"
	}
	return e.Kind.String()
}

// Untyped reports whether the sample may have any type, as a variable has the
// one of what it was set to.
func (e *Expr) Untyped() bool { return e.fetch.name == "var" && len(e.convs) == 0 }

// MatchedBy reports whether a matching method applies to what comes out.
func (e *Expr) MatchedBy(m *Method) bool {
	return m.On(e.Kind) && (!e.method || m.name != "bool" && m.name != "int" && m.name != "ip")
}

// Allowed refuses a place where the expression could never have a value.
func (e *Expr) Allowed(at Where) error {
	if at == InCheck {
		return e.allowedInCheck()
	}
	if e.fetch.where&at != 0 {
		return nil
	}
	needs := "HTTP request headers"
	hint := "'http-request set-var(txn.NAME) " + e.src + "' keeps the value, and var(txn.NAME) shows it there"
	if e.fetch.where&InRequest == 0 {
		needs = "HTTP response headers"
		if at == InRequest {
			hint = "use it in an http-response rule"
		} else {
			hint = "'http-response set-var(txn.NAME) " + e.src + "' keeps the value, and var(txn.NAME) shows it there"
		}
	}
	switch {
	case at == InConn && e.fetch.where&InSession != 0:
		needs, hint = "the TLS handshake", "use it in a tcp-request session rule"
	case at == InConn || at == InSession:
		hint = "use it in an http-request rule"
	}
	if at == InLog && e.fetch.log != "" {
		hint = "a log format has " + e.fetch.log + " for it"
	}
	return fmt.Errorf("sample fetch <%s> needs '%s', which %s does not have; %s", e.src, needs, at, hint)
}

// allowedInCheck refuses what only a client's exchange has, and stick tables,
// whose entries belong to the loops.
func (e *Expr) allowedInCheck() error {
	for i := range e.convs {
		if e.convs[i].args.table != nil {
			return fmt.Errorf("converter '%s' in '%s' : %s has no stick tables; a map, or a variable of scope 'proc' that a rule sets, can carry what is wanted", e.convs[i].row.name, e.src, InCheck)
		}
	}
	if e.fetch.where&InCheck != 0 {
		return nil
	}
	return fmt.Errorf("sample fetch <%s> is known to HAProxy, but not supported by lb yet in %s: constants, date, env, hostname, pid, rand, uuid, var, be_name, srv_name, status and what the server answered (res.hdr, res.body, res.payload and their kin) are there", e.src, InCheck)
}

// Hint is the "did you mean" of an unknown word, empty when nothing is near.
func Hint(word string, among []string) string {
	if near := cfgfile.Suggest(word, among); near != "" {
		return "; did you mean '" + near + "'?"
	}
	return ""
}
