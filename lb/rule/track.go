package rule

import (
	"fmt"
	"strconv"

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

// setTag is sc-set-gpt0.
type setTag struct {
	slot int64
	n    int64
	expr *sample.Expr // nil: n
}

func parseSetTag(p *ruleParser) (action, error) {
	slot, err := p.trackSlot()
	if err != nil {
		return nil, err
	}
	word, err := p.need("an integer or an expression")
	if err != nil {
		return nil, err
	}
	if n, err := strconv.ParseUint(word, 10, 32); err == nil {
		return &setTag{slot: slot, n: int64(n)}, nil
	}
	e, err := p.expression(word)
	if err == nil && !sample.Castable(e.Kind, sample.Int) {
		err = fmt.Errorf("'%s' is of type %s, not an integer", word, e.Kind)
	}
	return &setTag{slot: slot, expr: e}, err
}

func (a *setTag) run(x *sample.Ctx) Verdict {
	n := a.n
	if a.expr != nil {
		x.Begin()
		v, ok := a.expr.Eval(x)
		if !ok {
			return Continue
		}
		if n, ok = v.Integer(); !ok {
			return Continue
		}
	}
	x.Tracked(a.slot).Set(stick.GPT0, uint64(uint32(n)), x.Now)
	return Continue
}
