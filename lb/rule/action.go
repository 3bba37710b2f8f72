package rule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

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
	Tarpit       // Reply is to be sent after a while
	Reject       // close without a word
	Wait         // more bytes may decide: evaluate again then
	AwaitBody    // go on with the next rule when the body is there, as Ctx.Await says
	AwaitAgent   // go on with the next rule when the agent of Ctx.Await has answered
	AwaitAddress // go on with the next rule when the name of Ctx.Await is resolved
	UseCache     // go on with the next rule when the cache of Ctx.Await was asked
	StoreCache   // go on with the next rule when the cache of Ctx.Await was given the response
	Close        // pass on what the server has sent, and close
	SwitchHTTP   // go on as a connection of requests
)

func (v Verdict) String() string {
	return [...]string{"continue", "allow", "deny", "redirect", "return", "service", "unauthorized", "tarpit", "reject", "wait", "await body", "await agent", "await address", "use cache", "store cache", "close", "switch"}[v]
}

// Rule is one compiled line. Immutable after ParseRule.
type Rule struct {
	src  string
	act  action
	cond *acl.Cond

	// Place is where it stands; nil is not known. Set it before the first
	// evaluation.
	Place *sample.Place
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
	v, _ := r.EvalFrom(0, x)
	return v
}

// EvalFrom is Eval from the rule of a number on; next is the number of the rule
// after the one that stopped it.
func (r Rules) EvalFrom(from int, x *sample.Ctx) (v Verdict, next int) {
	if from == 0 {
		x.Rec.Lenient = false
	}
	for i, one := range r[min(from, len(r)):] {
		next = from + i + 1
		x.Missing = false
		if !one.cond.Eval(x) {
			if x.Missing {
				return Wait, next
			}
			continue
		}
		x.Place = one.Place
		if x.Rec.Lenient {
			v = one.runLenient(x)
		} else {
			v = one.act.run(x)
		}
		switch {
		case v >= AwaitBody && v <= StoreCache:
			return v, next
		case v == Continue || x.Again && v != Allow:
			continue
		}
		x.Rec.LastRule = one.Place
		return v, next
	}
	return Continue, next
}

// ParseRule compiles the words after "http-request" or "http-response". A
// plain redirect line has its own ParseRedirect, because there "%" is literal.
func ParseRule(stage Stage, words []string, acls *acl.ACLs) (*Rule, error) {
	p := newParser(stage, words, acls)
	name := p.next()
	if name == "" {
		return nil, fmt.Errorf("'%s' expects an action, such as %s", stage, strings.Join(ActionsOf(stage), ", "))
	}
	base, arg, paren := strings.Cut(name, "(")
	if paren {
		if !strings.HasSuffix(arg, ")") {
			return nil, fmt.Errorf("'%s %s' : expected ')'", stage, name)
		}
		p.arg = strings.TrimSuffix(arg, ")")
	}
	row := findAction(base)
	if row != nil && row.paren == "0" && !paren { // as HAProxy: the first counter
		p.arg, paren = "0", true
	}
	if row == nil || paren != (row.paren != "") {
		return nil, unknownAction(stage, name, base, row)
	}
	if row.stages&(1<<stage) == 0 {
		if actionRefused[base] != "" {
			return nil, unknownAction(stage, name, base, nil)
		}
		return nil, fmt.Errorf("'%s' is not an action of '%s'", name, stage)
	}
	act, err := row.parse(p)
	if err != nil {
		return nil, fmt.Errorf("error detected while parsing '%s %s' rule : %w", stage, name, err)
	}
	return p.finish(act)
}

// ParseRedirect compiles the words after a plain "redirect".
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
	stage Stage
	acls  *acl.ACLs
	arg   string // of action(arg)
}

func newParser(stage Stage, words []string, acls *acl.ACLs) *ruleParser {
	if acls == nil {
		acls = acl.NewACLs()
	}
	return &ruleParser{words: words, stage: stage, acls: acls}
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

// remark is a warning about the line that HAProxy does not have.
func (p *ruleParser) remark(format string, args ...any) {
	p.acls.Note(&sample.Remark{Text: fmt.Sprintf(format, args...)})
}

// warn is a warning that HAProxy has, too.
func (p *ruleParser) warn(format string, args ...any) {
	p.acls.Note(&sample.Remark{Text: fmt.Sprintf(format, args...), Shared: true})
}

// leading gives the number that a word begins with, which is what HAProxy reads
// of it in some places; "" for none.
func (p *ruleParser) leading(word string) string {
	rest := strings.TrimLeft(strings.TrimPrefix(word, "-"), "0123456789")
	number := strings.TrimSuffix(word, rest)
	if number != "" && number != "-" && rest != "" {
		p.passedOver(number, word)
	}
	return number
}

// passedOver warns of a word that is read in part.
func (p *ruleParser) passedOver(read, word string) {
	p.remark("only '%s' is read of '%s', as in HAProxy", read, word)
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
	return sample.ParseExpr(word, p.stage.Where(), &p.acls.Uses)
}

// compile makes a format.
func (p *ruleParser) compile(text string) (*logformat.Format, error) {
	return logformat.ParseAt(text, p.stage.Where(), &p.acls.Uses)
}

// finish reads the condition and makes the rule.
func (p *ruleParser) finish(act action) (*Rule, error) {
	r := &Rule{src: strings.Join(p.words, " "), act: act}
	var err error
	if r.cond, err = p.condition(fmt.Sprintf("%s %s", p.stage, p.words[0])); err != nil {
		return nil, err
	}
	return r, nil
}

// actionRow is one action.
type actionRow struct {
	name   string
	stages stageSet
	paren  string // its name carries an argument, such as this one: set-var(txn.name)
	parse  func(p *ruleParser) (action, error)
}

// stageSet is a set of stages.
type stageSet uint8

const (
	onRequest  stageSet = 1 << Request
	onResponse stageSet = 1 << Response
	onContent  stageSet = 1 << Content
	onHTTP              = onRequest | onResponse
	onHeads             = onHTTP | 1<<AfterResponse // whatever has a head to edit
	onTCPReq   stageSet = 1<<Connection | 1<<Session | 1<<Content
	onTCP               = onTCPReq | 1<<TCPResponse
	onAll               = onTCP | onHeads
)

// actions is the table; findAction reads it.
var actions = []actionRow{
	{name: "accept", stages: onTCP, parse: func(*ruleParser) (action, error) { return allow{}, nil }},
	{name: "add-acl", stages: onHTTP, paren: "file", parse: parseEdit(false, false)},
	{name: "add-header", stages: onHeads, parse: parseAddHeader},
	{name: "allow", stages: onHeads, parse: func(*ruleParser) (action, error) { return allow{}, nil }},
	{name: "auth", stages: onRequest, parse: parseAuth},
	{name: "cache-store", stages: onResponse, parse: parseStoreCache},
	{name: "cache-use", stages: onRequest, parse: parseUseCache},
	{name: "capture", stages: onHeads | onContent, parse: parseCapture},
	{name: "close", stages: 1 << TCPResponse, parse: func(*ruleParser) (action, error) { return closeServer{}, nil }},
	{name: "del-acl", stages: onHTTP, paren: "file", parse: parseEdit(false, true)},
	{name: "del-header", stages: onHeads, parse: parseDelHeader},
	{name: "del-map", stages: onHTTP, paren: "file", parse: parseEdit(true, true)},
	{name: "deny", stages: onHTTP, parse: parseDeny},
	{name: "disable-l7-retry", stages: onRequest, parse: func(*ruleParser) (action, error) { return once{}, nil }},
	{name: "do-resolve", stages: onRequest | onContent, paren: "txn.name,resolvers", parse: parseDoResolve},
	{name: "early-hint", stages: onRequest, parse: parseEarlyHint},
	{name: "expect-netscaler-cip", stages: 1 << Connection, parse: parseExpect(sample.NetScalerCIP)},
	{name: "expect-proxy", stages: 1 << Connection, parse: parseExpect(sample.ProxyHeader)},
	{name: "normalize-uri", stages: onRequest, parse: parseNormalize},
	{name: "redirect", stages: onHTTP, parse: func(p *ruleParser) (action, error) { return parseRedirect(p, false) }},
	{name: "reject", stages: onTCP | onRequest, parse: parseReject},
	{name: "replace-header", stages: onHeads, parse: parseReplaceHeader},
	{name: "replace-path", stages: onRequest, parse: parseReplacePath},
	{name: "replace-pathq", stages: onRequest, parse: parseReplacePathQ},
	{name: "replace-uri", stages: onRequest, parse: parseReplaceURI},
	{name: "replace-value", stages: onHeads, parse: parseReplaceValue},
	{name: "return", stages: onHTTP, parse: parseReturn},
	{name: "sc-add-gpc", stages: onAll, paren: "0,0", parse: parseAddCounter}, // 2.8
	{name: "sc-inc-gpc", stages: onAll, paren: "0,0", parse: parseIncCounter},
	{name: "sc-inc-gpc0", stages: onAll, paren: "0", parse: parseStep(stick.GPC0, stick.GPC0Rate)},
	{name: "sc-inc-gpc1", stages: onAll, paren: "0", parse: parseStep(stick.GPC1, stick.GPC1Rate)},
	{name: "sc-set-gpt", stages: onAll, paren: "0,0", parse: parseSetElement},
	{name: "sc-set-gpt0", stages: onAll, paren: "0", parse: parseSetTag},
	{name: "send-spoe-group", stages: onRequest, parse: parseSendGroup},
	{name: "set-dst", stages: onRequest | onTCPReq, parse: parseSetAddress(target, false)},
	{name: "set-dst-port", stages: onRequest | onTCPReq, parse: parseSetAddress(target, true)},
	{name: "set-header", stages: onHeads, parse: parseSetHeader},
	{name: "set-log-level", stages: onHeads | onContent | 1<<TCPResponse, parse: parseLogLevel},
	{name: "set-fc-mark", stages: onAll, parse: parseMark}, // 3.0
	{name: "set-fc-tos", stages: onAll, parse: parseTOS},
	{name: "set-map", stages: onHTTP, paren: "file", parse: parseEdit(true, false)},
	{name: "set-mark", stages: onAll, parse: parseMark},
	{name: "set-method", stages: onRequest, parse: parseSetMethod},
	{name: "set-nice", stages: onHTTP | onContent | 1<<TCPResponse, parse: parseNice},
	{name: "set-path", stages: onRequest, parse: parseSetPath},
	{name: "set-pathq", stages: onRequest, parse: parseSetPathQ},
	{name: "set-priority-class", stages: onRequest | onContent, parse: parsePriority(false)},
	{name: "set-priority-offset", stages: onRequest | onContent, parse: parsePriority(true)},
	{name: "set-query", stages: onRequest, parse: parseSetQuery},
	{name: "set-retries", stages: onRequest | onContent, parse: parseSetRetries}, // 3.2
	{name: "set-src", stages: onRequest | onTCPReq, parse: parseSetAddress(client, false)},
	{name: "set-src-port", stages: onRequest | onTCPReq, parse: parseSetAddress(client, true)},
	{name: "set-status", stages: onResponse | 1<<AfterResponse, parse: parseSetStatus},
	{name: "set-timeout", stages: onRequest, parse: parseSetTimeout},
	{name: "set-tos", stages: onAll, parse: parseTOS},
	{name: "set-uri", stages: onRequest, parse: parseSetURI},
	{name: "set-var", stages: onAll, paren: "txn.name", parse: parseSetVar},
	{name: "set-var-fmt", stages: onAll, paren: "txn.name", parse: parseSetVarFmt},
	{name: "silent-drop", stages: onTCP | onHTTP, parse: parseSilentDrop},
	{name: "strict-mode", stages: onHeads, parse: parseStrictMode},
	{name: "switch-mode", stages: onContent, parse: parseSwitch},
	{name: "tarpit", stages: onRequest, parse: parseTarpit},
	{name: "track-sc0", stages: onHTTP | onTCPReq, parse: parseTrack(0)},
	{name: "track-sc1", stages: onHTTP | onTCPReq, parse: parseTrack(1)},
	{name: "track-sc2", stages: onHTTP | onTCPReq, parse: parseTrack(2)},
	{name: "unset-var", stages: onAll, paren: "txn.name", parse: parseUnsetVar},
	{name: "wait-for-body", stages: onHTTP, parse: parseWaitForBody},
	{name: "wait-for-handshake", stages: onRequest, parse: func(*ruleParser) (action, error) { return nothing{}, nil }}, // no early data is taken: each request comes after it
	{name: "use-service", stages: onRequest, parse: parseUseService},
}

func findAction(name string) *actionRow {
	for i := range actions {
		if actions[i].name == name {
			return &actions[i]
		}
	}
	return nil
}

// Actions lists the names of all actions, also of those that are refused with an alternative.
func Actions() []string {
	names := slices.Collect(maps.Keys(actionRefused))
	for i := range actions {
		names = append(names, actions[i].name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ActionsOf lists the names of the actions that rules of a stage may have.
func ActionsOf(stage Stage) []string {
	var names []string
	for i := range actions {
		if actions[i].stages&(1<<stage) != 0 {
			names = append(names, actions[i].name)
		}
	}
	return names
}

func unknownAction(stage Stage, name, base string, row *actionRow) error {
	if row != nil {
		if row.paren != "" {
			what := "a variable"
			switch row.paren {
			case "0":
				what = "a counter's number"
			case "file":
				what = "a file's name"
			case "txn.name,resolvers":
				what = "a variable and a resolvers section"
			case "0,0":
				what = "an element's number and a counter's"
			}
			return fmt.Errorf("'%s %s' expects %s in parentheses, as in '%s(%s)'", stage, name, what, base, row.paren)
		}
		return fmt.Errorf("'%s %s': '%s' takes no parentheses", stage, name, base)
	}
	why, ok := actionRefused[base]
	if strings.HasPrefix(base, "lua.") {
		ok, why = true, scripts+"; "+sample.ScriptWay(base, byRules)
	}
	if ok {
		return sample.Refused(fmt.Sprintf("'%s %s'", stage, name), why)
	}
	return fmt.Errorf("'%s' expects one of %s, but got '%s'%s", stage, strings.Join(ActionsOf(stage), ", "), name, sample.Hint(base, ActionsOf(stage)))
}

type allow struct{}

func (allow) run(*sample.Ctx) Verdict { return Allow }

// closeServer ends the server's connection.
type closeServer struct{}

func (closeServer) run(*sample.Ctx) Verdict { return Close }

// Closes reports whether the rule ends the server's connection.
func (r *Rule) Closes() bool {
	_, ok := r.act.(closeServer)
	return ok
}

// Final reports whether no rule after it in its list is ever asked: it has no
// condition, and its action always ends the list.
func (r *Rule) Final() bool {
	if r.cond != nil {
		return false
	}
	switch r.act.(type) {
	case allow, *askAuth, *redirect, *reply:
		return true
	}
	return false
}

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
