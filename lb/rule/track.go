package rule

import (
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
)

// track is track-sc0 to track-sc2: the request or the session is counted in
// the entry of its key from here to its end.
type track struct {
	stage Stage
	slot  int
	key   *sample.Expr
	table *sample.TableRef
}

func parseTrack(slot int) func(p *ruleParser) (action, error) {
	return func(p *ruleParser) (action, error) {
		e, ref, err := p.tableKey()
		return &track{stage: p.stage, slot: slot, key: e, table: ref}, err
	}
}

// tableKey reads EXPRESSION [table NAME].
func (p *ruleParser) tableKey() (*sample.Expr, *sample.TableRef, error) {
	word, err := p.need("a key, such as src")
	if err != nil {
		return nil, nil, err
	}
	e, err := p.expression(word)
	if err != nil {
		return nil, nil, err
	}
	ref := sample.KeyedTable(e.Kind)
	if p.peek() == "table" {
		p.next()
		if ref.Name, err = p.need("a table's name after 'table'"); err != nil {
			return nil, nil, err
		}
	}
	p.acls.Note(ref)
	return e, ref, nil
}

func (a *track) run(x *sample.Ctx) Verdict {
	slots := x.Txn
	if a.stage == Connection || a.stage == Session {
		slots = x.Session
	}
	t := a.table.Bound()
	if slots == nil || t == nil || x.Tracked(int64(a.slot)).Valid() { // the first rule has it
		return Continue
	}
	x.Begin()
	x.Missing = false
	v, ok := a.key.Eval(x)
	if !ok && x.Missing {
		return Wait
	}
	if !ok {
		return Continue
	}
	key, ok := x.TableKey(t, v)
	if !ok {
		return Continue
	}
	ref := t.Track(key, x.Now)
	slots[a.slot] = ref
	// The request was counted before these rules in what was tracked then.
	if a.stage == Request || a.stage == Response {
		ref.Count(stick.HTTPReqCnt, stick.HTTPReqRate, 1, x.Now)
	}
	if a.stage == Response && x.Res != nil {
		CountStatus(ref, x.Res.Status(), x.Now)
	}
	return Continue
}

// CountStatus counts a server's answer: 4xx is the client's error, 5xx the
// server's, but for those that say what the server cannot do at all.
func CountStatus(r stick.Ref, status int, now int64) {
	switch {
	case status/100 == 4:
		r.Count(stick.HTTPErrCnt, stick.HTTPErrRate, 1, now)
	case status/100 == 5 && status != 501 && status != 505:
		r.Count(stick.HTTPFailCnt, stick.HTTPFailRate, 1, now)
	}
}

// counterStep is sc-inc-gpc0 and sc-inc-gpc1.
type counterStep struct {
	slot      int64
	cnt, rate stick.Data
}

func parseStep(cnt, rate stick.Data) func(p *ruleParser) (action, error) {
	return func(p *ruleParser) (action, error) {
		slot, err := p.trackSlot()
		return &counterStep{slot, cnt, rate}, err
	}
}

// trackSlot reads the number in the action's parentheses.
func (p *ruleParser) trackSlot() (int64, error) {
	n, err := strconv.ParseUint(p.arg, 10, 8)
	if err != nil || n >= sample.TrackSlots {
		return 0, fmt.Errorf("there are counters 0 to %d, not '%s'", sample.TrackSlots-1, p.arg)
	}
	return int64(n), nil
}

func (a *counterStep) run(x *sample.Ctx) Verdict {
	if !x.Again {
		x.Tracked(a.slot).Count(a.cnt, a.rate, 1, x.Now)
	}
	return Continue
}

// element reads the numbers of an array's element and of a counter in the
// action's parentheses.
func (p *ruleParser) element(array func(int64) (stick.Data, bool)) (i, slot int64, d stick.Data, err error) {
	first, second, both := strings.Cut(p.arg, ",")
	if !both {
		return 0, 0, 0, fmt.Errorf("expects an element's number and a counter's, as in '(0,0)', not '(%s)'", p.arg)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(first), 10, 8)
	if err != nil || n > 99 {
		return 0, 0, 0, fmt.Errorf("an array has the elements 0 to 99, not '%s'", first)
	}
	d, known := array(int64(n))
	if !known {
		return 0, 0, 0, fmt.Errorf("arrays have at most %d elements in lb, the last is %d", stick.MaxArray, stick.MaxArray-1)
	}
	p.arg = strings.TrimSpace(second)
	slot, err = p.trackSlot()
	return int64(n), slot, d, err
}

// parseIncCounter reads sc-inc-gpc(ELEMENT,COUNTER).
func parseIncCounter(p *ruleParser) (action, error) {
	i, slot, d, err := p.element(stick.GPC)
	rate, _ := stick.GPCRate(i)
	return &counterStep{slot, d, rate}, err
}

// addCounter is sc-add-gpc.
type addCounter struct {
	setTag
	rate stick.Data
}

// parseAddCounter reads sc-add-gpc(ELEMENT,COUNTER) and how much.
func parseAddCounter(p *ruleParser) (action, error) {
	i, slot, d, err := p.element(stick.GPC)
	if err != nil {
		return nil, err
	}
	a := &addCounter{setTag: setTag{slot: slot, data: d}}
	a.rate, _ = stick.GPCRate(i)
	return a, a.amount(p)
}

func (a *addCounter) run(x *sample.Ctx) Verdict {
	if n, ok := a.number(x); ok && !x.Again {
		x.Tracked(a.slot).Count(a.data, a.rate, uint64(uint32(n)), x.Now)
	}
	return Continue
}

// setTag is sc-set-gpt0 and sc-set-gpt.
type setTag struct {
	slot int64
	data stick.Data
	n    int64
	expr *sample.Expr // nil: n
}

func parseSetTag(p *ruleParser) (action, error) {
	slot, err := p.trackSlot()
	if err != nil {
		return nil, err
	}
	a := &setTag{slot: slot, data: stick.GPT0}
	return a, a.amount(p)
}

// parseSetElement reads sc-set-gpt(ELEMENT,COUNTER) and the value.
func parseSetElement(p *ruleParser) (action, error) {
	_, slot, d, err := p.element(stick.GPT)
	if err != nil {
		return nil, err
	}
	a := &setTag{slot: slot, data: d}
	return a, a.amount(p)
}

// amount reads the value that is set or added.
func (a *setTag) amount(p *ruleParser) error {
	word, err := p.need("an integer or an expression")
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(word, 10, 32); err == nil {
		a.n = int64(n)
		return nil
	}
	a.expr, err = p.integer(word)
	return err
}

// integer compiles an expression that gives a number.
func (p *ruleParser) integer(word string) (*sample.Expr, error) {
	e, err := p.expression(word)
	if err == nil && !sample.Castable(e.Kind, sample.Int) {
		err = fmt.Errorf("'%s' is of type %s, not an integer", word, e.Kind)
	}
	return e, err
}

// number is the value that is set or added.
func (a *setTag) number(x *sample.Ctx) (int64, bool) {
	if a.expr == nil {
		return a.n, true
	}
	x.Begin()
	v, ok := a.expr.Eval(x)
	if !ok {
		return 0, false
	}
	return v.Integer()
}

func (a *setTag) run(x *sample.Ctx) Verdict {
	if n, ok := a.number(x); ok {
		x.Tracked(a.slot).Set(a.data, uint64(uint32(n)), x.Now)
	}
	return Continue
}
