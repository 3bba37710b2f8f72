package rule

import (
	"errors"
	"fmt"
	"strings"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

// Kind says which rule set a rule belongs to.
type Kind uint8

// The rule sets.
const (
	Request       Kind = iota // http-request, redirect
	Response                  // http-response
	TCPConnection             // tcp-request connection: before anything was read
	TCPSession                // tcp-request session: behind a TLS handshake
	TCPContent                // tcp-request content: in mode http once a request's head is there
)

func (k Kind) String() string {
	return [...]string{"http-request", "http-response", "tcp-request connection", "tcp-request session", "tcp-request content"}[k]
}

func (k Kind) where() sample.Where {
	switch k {
	case Response:
		return sample.InResponse
	case TCPConnection, TCPSession:
		return sample.InConn
	}
	return sample.InRequest
}

// Verdict is what a list of rules came to.
type Verdict uint8

// The verdicts. Deny, Redirect and Return have filled the Ctx's Reply; Service
// leaves the answer to the engine.
const (
	Continue Verdict = iota // no rule stopped the evaluation
	Allow                   // go on with the request, no further rules of this list
	Deny
	Redirect
	Return
	Service
	Unauthorized // Reply asks who the client is
)

func (v Verdict) String() string {
	return [...]string{"continue", "allow", "deny", "redirect", "return", "service", "unauthorized"}[v]
}

// Rule is one compiled line. Immutable after ParseRule.
type Rule struct {
	src  string
	act  action
	cond *acl.Cond
}

// Rules are the lines of one set in their order.
type Rules []*Rule

// action does its work on a Ctx; what it answers other than Continue ends the
// list.
type action interface {
	run(x *sample.Ctx) Verdict
}

// String is the line without its set's name.
func (r *Rule) String() string { return r.src }

// Eval runs the rules whose conditions hold until one stops the list.
func (r Rules) Eval(x *sample.Ctx) Verdict {
	for _, one := range r {
		if !one.cond.Eval(x) {
			continue
		}
		v := one.act.run(x)
		if v == Continue || x.Again && v != Allow {
			continue
		}
		return v
	}
	return Continue
}

// ParseRule compiles the words behind "http-request" or "http-response". A
// plain redirect line has its own ParseRedirect, because there "%" is literal.
func ParseRule(kind Kind, words []string, acls *acl.ACLs) (*Rule, error) {
	p := newParser(kind, words, acls)
	name := p.next()
	if name == "" {
		return nil, fmt.Errorf("'%s' expects an action, such as %s", kind, strings.Join(actionNames(kind), ", "))
	}
	base, arg, paren := strings.Cut(name, "(")
	if paren {
		if !strings.HasSuffix(arg, ")") {
			return nil, fmt.Errorf("'%s %s' : expected ')'", kind, name)
		}
		p.arg = strings.TrimSuffix(arg, ")")
	}
	row := findAction(base)
	if row == nil || paren != (row.paren != "") {
		return nil, unknownAction(kind, name, base, row)
	}
	if row.kinds&(1<<kind) == 0 {
		if actionRefused[base] != "" {
			return nil, unknownAction(kind, name, base, nil)
		}
		return nil, fmt.Errorf("'%s' is not an action of '%s'", name, kind)
	}
	act, err := row.parse(p)
	if err != nil {
		return nil, fmt.Errorf("error detected while parsing '%s %s' rule : %w", kind, name, err)
	}
	return p.finish(act)
}

// ParseRedirect compiles the words behind a plain "redirect".
func ParseRedirect(words []string, acls *acl.ACLs) (*Rule, error) {
	p := newParser(Request, words, acls)
	act, err := parseRedirect(p, true)
	if err != nil {
		return nil, fmt.Errorf("error detected while parsing redirect rule : %w", err)
	}
	return p.finish(act)
}

// ruleParser walks along a rule's words.
type ruleParser struct {
	words []string
	at    int
	kind  Kind
	acls  *acl.ACLs
	arg   string // of action(arg)
}

func newParser(kind Kind, words []string, acls *acl.ACLs) *ruleParser {
	if acls == nil {
		acls = acl.NewACLs()
	}
	return &ruleParser{words: words, kind: kind, acls: acls}
}

// next gives the next word and moves on, "" at the end.
func (p *ruleParser) next() string {
	w := p.peek()
	if p.at < len(p.words) {
		p.at++
	}
	return w
}

func (p *ruleParser) peek() string {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return ""
}

// atCond reports whether the action's own words are over.
func (p *ruleParser) atCond() bool {
	if p.at >= len(p.words) {
		return true
	}
	w := p.words[p.at]
	return w == "if" || w == "unless"
}

// need gives the next word, which must be there; what names it in the error.
func (p *ruleParser) need(what string) (string, error) {
	if p.at >= len(p.words) {
		return "", fmt.Errorf("expects %s", what)
	}
	return p.next(), nil
}

// format reads a format whose text goes to a header, a path or a body.
func (p *ruleParser) format(what string) (*logformat.Format, error) {
	text, err := p.need(what)
	if err != nil {
		return nil, err
	}
	return p.compile(text)
}

// expression compiles a whole word as an expression.
func (p *ruleParser) expression(word string) (*sample.Expr, error) {
	return sample.ParseExpr(word, p.kind.where(), &p.acls.Uses)
}

// compile makes a format.
func (p *ruleParser) compile(text string) (*logformat.Format, error) {
	return logformat.ParseAt(text, p.kind.where(), &p.acls.Uses)
}

// finish reads the condition and makes the rule.
func (p *ruleParser) finish(act action) (*Rule, error) {
	r := &Rule{src: strings.Join(p.words, " "), act: act}
	var err error
	if r.cond, err = p.condition(fmt.Sprintf("%s %s", p.kind, p.words[0])); err != nil {
		return nil, err
	}
	return r, nil
}

// actionRow is one action.
type actionRow struct {
	name  string
	kinds kindSet
	paren string // its name carries an argument, such as this one: set-var(txn.name)
	parse func(p *ruleParser) (action, error)
}

// kindSet is a set of rule sets.
type kindSet uint8

const (
	onRequest  kindSet = 1 << Request
	onResponse kindSet = 1 << Response
	onHTTP             = onRequest | onResponse
	onTCP      kindSet = 1<<TCPConnection | 1<<TCPSession | 1<<TCPContent
	onContent  kindSet = 1 << TCPContent
)

// actions is the table; findAction reads it.
var actions = []actionRow{
	{name: "accept", kinds: onTCP, parse: func(*ruleParser) (action, error) { return allow{}, nil }},
	{name: "add-header", kinds: onHTTP, parse: parseAddHeader},
	{name: "allow", kinds: onHTTP, parse: func(*ruleParser) (action, error) { return allow{}, nil }},
	{name: "del-header", kinds: onHTTP, parse: parseDelHeader},
	{name: "auth", kinds: onRequest, parse: parseAuth},
	{name: "deny", kinds: onHTTP, parse: parseDeny},
	{name: "redirect", kinds: onHTTP, parse: func(p *ruleParser) (action, error) { return parseRedirect(p, false) }},
	{name: "reject", kinds: onTCP, parse: func(*ruleParser) (action, error) { return reject{}, nil }},
	{name: "replace-header", kinds: onHTTP, parse: parseReplaceHeader},
	{name: "replace-path", kinds: onRequest, parse: parseReplacePath},
	{name: "replace-pathq", kinds: onRequest, parse: parseReplacePathQ},
	{name: "replace-uri", kinds: onRequest, parse: parseReplaceURI},
	{name: "replace-value", kinds: onHTTP, parse: parseReplaceValue},
	{name: "return", kinds: onHTTP, parse: parseReturn},
	{name: "sc-inc-gpc0", kinds: onHTTP | onTCP, paren: "0", parse: parseStep(stick.GPC0, stick.GPC0Rate)},
	{name: "sc-inc-gpc1", kinds: onHTTP | onTCP, paren: "0", parse: parseStep(stick.GPC1, stick.GPC1Rate)},
	{name: "sc-set-gpt0", kinds: onHTTP | onTCP, paren: "0", parse: parseSetTag},
	{name: "set-header", kinds: onHTTP, parse: parseSetHeader},
	{name: "set-log-level", kinds: onHTTP, parse: parseLogLevel},
	{name: "set-method", kinds: onRequest, parse: parseSetMethod},
	{name: "set-path", kinds: onRequest, parse: parseSetPath},
	{name: "set-pathq", kinds: onRequest, parse: parseSetPathQ},
	{name: "set-query", kinds: onRequest, parse: parseSetQuery},
	{name: "set-status", kinds: onResponse, parse: parseSetStatus},
	{name: "set-uri", kinds: onRequest, parse: parseSetURI},
	{name: "set-var", kinds: onHTTP | onContent, paren: "txn.name", parse: parseSetVar},
	{name: "set-var-fmt", kinds: onHTTP | onContent, paren: "txn.name", parse: parseSetVarFmt},
	{name: "track-sc0", kinds: onHTTP | onTCP, parse: parseTrack(0)},
	{name: "track-sc1", kinds: onHTTP | onTCP, parse: parseTrack(1)},
	{name: "track-sc2", kinds: onHTTP | onTCP, parse: parseTrack(2)},
	{name: "use-service", kinds: onRequest, parse: parseUseService},
	{name: "unset-var", kinds: onHTTP | onContent, paren: "txn.name", parse: parseUnsetVar},
}

func findAction(name string) *actionRow {
	for i := range actions {
		if actions[i].name == name {
			return &actions[i]
		}
	}
	return nil
}

func actionNames(kind Kind) []string {
	var names []string
	for i := range actions {
		if actions[i].kinds&(1<<kind) != 0 {
			names = append(names, actions[i].name)
		}
	}
	return names
}

func unknownAction(kind Kind, name, base string, row *actionRow) error {
	if row != nil {
		if row.paren != "" {
			what := "a variable"
			if row.paren == "0" {
				what = "a counter's number"
			}
			return fmt.Errorf("'%s %s' expects %s in parentheses, as in '%s(%s)'", kind, name, what, base, row.paren)
		}
		return fmt.Errorf("'%s %s': '%s' takes no parentheses", kind, name, base)
	}
	if strings.HasPrefix(base, "lua.") {
		base = "lua"
	}
	if why, ok := actionRefused[base]; ok {
		return sample.Refused(fmt.Sprintf("'%s %s'", kind, name), why)
	}
	return fmt.Errorf("'%s' expects one of %s, but got '%s'%s", kind, strings.Join(actionNames(kind), ", "), name, sample.Hint(base, actionNames(kind)))
}

type allow struct{}

func (allow) run(*sample.Ctx) Verdict { return Allow }

// errLineBreak refuses what would end a header line early.
var errLineBreak = errors.New("the text holds a line break or a NUL, which a header cannot carry")

// oneLine checks a format's literal parts; what expressions give is encoded
// when it is evaluated.
func oneLine(f *logformat.Format) error {
	if f.BreaksLine() {
		return errLineBreak
	}
	return nil
}
