package rule

import (
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/lb/sample"
)

// reject ends a connection without a word; of a request it is a Reject, of a
// connection in mode tcp a Deny.
type reject struct{ verdict Verdict }

func parseReject(p *ruleParser) (action, error) { return reject{p.withoutWords()}, nil }

// withoutWords is the verdict that closes at the rule's stage.
func (p *ruleParser) withoutWords() Verdict {
	if p.stage.HTTP() {
		return Reject
	}
	return Deny
}

func (a reject) run(*sample.Ctx) Verdict { return a.verdict }

// silentDrop closes so that the client does not learn of it.
type silentDrop struct{ verdict Verdict }

func parseSilentDrop(p *ruleParser) (action, error) {
	if p.peek() == "rst-ttl" { // HAProxy 2.7
		return nil, fmt.Errorf("'rst-ttl' is known to HAProxy, but not supported by lb yet: the client is never told")
	}
	if p.stage == Connection || p.stage == Session {
		return silentDrop{Reject}, nil // counted as a request, as with HAProxy
	}
	return silentDrop{p.withoutWords()}, nil
}

func (a silentDrop) run(x *sample.Ctx) Verdict {
	if x.Client != nil {
		x.Client.Silence()
	}
	return a.verdict
}

// setPackets marks the packets to the client: their DSCP field or, for the
// machine's own routing, their mark.
type setPackets struct {
	set   func(sample.Socket, int)
	value int
	expr  *sample.Expr // nil: value
	limit int64        // the largest value
}

func parseTOS(p *ruleParser) (action, error) {
	return p.packets(sample.Socket.SetTOS, "a value of 0 to 255 for the field", 8)
}

func parseMark(p *ruleParser) (action, error) {
	return p.packets(sample.Socket.SetMark, "a mark of 32 bits", 32)
}

// packets reads a number of so many bits, or as HAProxy 3.0 an expression that gives one.
func (p *ruleParser) packets(set func(sample.Socket, int), what string, bits int) (action, error) {
	word, err := p.need(what)
	if err != nil {
		return nil, err
	}
	a := &setPackets{set: set, limit: 1<<bits - 1}
	n, err := strconv.ParseUint(word, 0, bits)
	if err == nil {
		a.value = int(n)
		return a, nil
	}
	if c := word[0] | 0x20; c < 'a' || c > 'z' {
		return nil, fmt.Errorf("expects %s, not '%s'", what, word)
	}
	if a.expr, err = p.integer(word); err != nil {
		err = fmt.Errorf("expects %s, or an expression that gives one: %w", what, err)
	}
	return a, err
}

func (a *setPackets) run(x *sample.Ctx) Verdict {
	if x.Client == nil {
		return Continue
	}
	value := a.value
	if a.expr != nil {
		x.Begin()
		v, ok := a.expr.Eval(x)
		if !ok {
			return Continue
		}
		n, ok := v.Integer()
		if !ok || n < 0 || n > a.limit {
			return Continue
		}
		value = int(n)
	}
	a.set(x.Client, value)
	return Continue
}

// nothing is an action that says how HAProxy should do what lb does in one way
// only: set-nice (all connections of a loop have the same priority) and
// wait-for-handshake (each request comes after it).
type nothing struct{}

func (nothing) run(*sample.Ctx) Verdict { return Continue }

func parseNice(p *ruleParser) (action, error) {
	word, err := p.need("a number from -1024 to 1024")
	if err != nil {
		return nil, err
	}
	number := p.leading(word)
	if number == "" {
		p.remark("'set-nice' : '%s' is no number, and is read as 0, as in HAProxy", word)
		number = "0"
	}
	if n, err := strconv.Atoi(number); err != nil || n < -1024 || n > 1024 {
		p.remark("'set-nice' : '%s' is beyond -1024 to 1024, and is read as the nearest of these, as in HAProxy", word)
	}
	return nothing{}, nil
}

// strictMode says what becomes of a request or an answer whose head a later rule
// of the set makes too large: on, the default, it is an error; off, the rule is
// left out.
type strictMode struct{ off bool }

func parseStrictMode(p *ruleParser) (action, error) {
	word := p.next()
	if word != "on" && word != "off" {
		return nil, fmt.Errorf("expects 'on' or 'off', not '%s'", word)
	}
	return strictMode{off: word == "off"}, nil
}

func (a strictMode) run(x *sample.Ctx) Verdict {
	x.Rec.Lenient = a.off
	return Continue
}

// runLenient runs the rule, and takes back what it did to a head that would be too large to send.
func (r *Rule) runLenient(x *sample.Ctx) Verdict {
	h := x.Res
	if h == nil {
		h = x.Req
	}
	if h == nil || x.Room == 0 {
		return r.act.run(x)
	}
	h.Save(&x.Undo)
	v := r.act.run(x)
	if h.Size() > x.Room {
		h.Restore(&x.Undo)
	}
	return v
}

// capture keeps a sample in a slot that the log shows.
type capture struct {
	expr     *sample.Expr
	slot     int
	response bool
}

// parseCapture reads EXPRESSION id SLOT. A slot of its own, which 'len' makes, is
// the configuration's to number.
func parseCapture(p *ruleParser) (action, error) {
	word, err := p.need("a sample expression")
	if err != nil {
		return nil, err
	}
	a := &capture{response: p.stage.Where() == sample.InResponse}
	if a.expr, err = p.expression(word); err != nil {
		return nil, err
	}
	if word := p.next(); word != "id" {
		return nil, fmt.Errorf("expects 'id <slot>' after the expression, or 'len <length>' in a frontend's request rule, not '%s'", word)
	}
	word, err = p.need("a slot's number")
	if err != nil {
		return nil, err
	}
	if a.slot, err = strconv.Atoi(word); err != nil || a.slot < 0 {
		return nil, fmt.Errorf("'%s' is not a slot's number", word)
	}
	return a, nil
}

// CaptureSlot is the slot that a capture rule fills; false for other rules.
func (r *Rule) CaptureSlot() (slot int, response, ok bool) {
	a, ok := r.act.(*capture)
	if !ok {
		return 0, false, false
	}
	return a.slot, a.response, true
}

func (a *capture) run(x *sample.Ctx) Verdict {
	x.Begin()
	if v, ok := a.expr.Eval(x); ok {
		x.Capture(a.response, a.slot, v.Text(x))
	}
	return Continue
}

// setTimeout replaces a timeout of the backend for one exchange.
type setTimeout struct {
	of   func(*sample.Record) *int64
	expr *sample.Expr // nil: ms
	ms   int64
}

func parseSetTimeout(p *ruleParser) (action, error) {
	a := &setTimeout{}
	switch word := p.next(); word {
	case "server":
		a.of = func(r *sample.Record) *int64 { return &r.ServerTimeout }
	case "tunnel":
		a.of = func(r *sample.Record) *int64 { return &r.TunnelTimeout }
	default:
		return nil, fmt.Errorf("expects 'server' or 'tunnel', not '%s'", word)
	}
	word, err := p.need("a time, or an expression that gives milliseconds")
	if err != nil {
		return nil, err
	}
	if word[0] >= '0' && word[0] <= '9' {
		a.ms, err = p.milliseconds(word)
		return a, err
	}
	a.expr, err = p.expression(word)
	return a, err
}

// milliseconds reads "30s": a number and its unit, ms without one.
func (p *ruleParser) milliseconds(word string) (int64, error) {
	if bare := strings.TrimRight(word, ";,."); bare != word && strings.ContainsAny(bare, "dhmsu") {
		p.passedOver(bare, word)
		word = bare
	}
	digits := strings.TrimRight(word, "dhmsu")
	n, err := strconv.ParseInt(digits, 10, 40)
	scale, ok := map[string]int64{"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3600_000, "d": 86400_000}[word[len(digits):]]
	if err != nil || !ok || n == 0 {
		return 0, fmt.Errorf("'%s' is not a time such as 30s", word)
	}
	return n * scale, nil
}

func (a *setTimeout) run(x *sample.Ctx) Verdict {
	ms := a.ms
	if a.expr != nil {
		x.Begin()
		v, ok := a.expr.Eval(x)
		if !ok {
			return Continue
		}
		if ms, ok = v.Integer(); !ok || ms <= 0 {
			return Continue
		}
	}
	*a.of(x.Rec) = ms
	return Continue
}

// switchMode is switch-mode http: of a connection in mode tcp, whose client
// speaks HTTP from then on. A request passes.
type switchMode struct{}

// parseSwitch reads http [proto <name>].
func parseSwitch(p *ruleParser) (action, error) {
	if word := p.next(); word != "http" {
		return nil, fmt.Errorf("expects 'http', not '%s'", word)
	}
	if p.peek() != "proto" {
		return switchMode{}, nil
	}
	p.next()
	word, err := p.need("a protocol's name: h1 or h2")
	if err == nil && word != "h1" && word != "h2" {
		err = fmt.Errorf("'proto %s' is unknown: h1 and h2 are spoken, and told apart by the client's first bytes", word)
	}
	return switchMode{}, err
}

func (switchMode) run(*sample.Ctx) Verdict { return SwitchHTTP }

// Switches reports whether the rule is switch-mode.
func (r *Rule) Switches() bool {
	_, ok := r.act.(switchMode)
	return ok
}
