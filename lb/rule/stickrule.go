package rule

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

// Stick is one `stick` line: where a request's server is looked up, and where
// the one it got is kept. Immutable after ParseStick.
type Stick struct {
	Match    bool // the request goes to the server that its key has
	Store    bool // the server is kept under the request's key
	Response bool // the server is kept under the response's key

	key   *sample.Expr
	table *sample.TableRef
	cond  *acl.Cond
}

// ParseStick compiles the words after "stick".
func ParseStick(words []string, acls *acl.ACLs) (*Stick, error) {
	p := newParser(Request, words, acls)
	s := &Stick{}
	what := p.next()
	switch what {
	case "on":
		s.Match, s.Store = true, true
	case "match":
		s.Match = true
	case "store-request":
		s.Store = true
	case "store-response":
		s.Response, p.stage = true, Response
	default:
		return nil, fmt.Errorf("'stick' expects 'on', 'match', 'store-request' or 'store-response', not '%s'", what)
	}
	var err error
	if s.key, s.table, err = p.tableKey(); err != nil {
		return nil, fmt.Errorf("'stick %s' : %w", what, err)
	}
	s.table.Servers = true
	for p.at < len(p.words) && !p.atCond() { // as HAProxy
		p.remark("'stick %s' : '%s' is not read; a converter follows its key after a comma", what, p.next())
	}
	if s.cond, err = p.condition("stick " + what); err != nil {
		return nil, err
	}
	return s, nil
}

// Key is the table and the key that the rule comes to now; nil when it does not
// hold or has no key. The key is valid until the next evaluation.
func (s *Stick) Key(x *sample.Ctx) (*stick.Table, []byte) {
	t := s.table.Bound()
	if t == nil || !s.cond.Eval(x) {
		return nil, nil
	}
	x.Begin()
	v, ok := s.key.Eval(x)
	if !ok {
		return nil, nil
	}
	key, ok := x.TableKey(t, v)
	if !ok {
		return nil, nil
	}
	return t, key
}

// condition reads what is left: nothing, or a condition.
func (p *ruleParser) condition(what string) (*acl.Cond, error) {
	if p.at >= len(p.words) {
		return nil, nil
	}
	word := p.next()
	if word != "if" && word != "unless" {
		return nil, fmt.Errorf("'%s' expects 'if', 'unless' or nothing after its arguments, not '%s'", strings.TrimSpace(what), word)
	}
	cond, err := acl.ParseCondAt(p.words[p.at:], p.acls, p.stage.Where())
	if err != nil {
		return nil, fmt.Errorf("error detected in the condition of '%s' : %w", what, err)
	}
	if word == "unless" {
		cond = cond.Negate()
	}
	return cond, nil
}
