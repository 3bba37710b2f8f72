package rule

import (
	"lbsyslogd/lb/sample"
)

// once is disable-l7-retry: a server is given the request a single time.
type once struct{}

func (once) run(x *sample.Ctx) Verdict {
	x.Rec.Once = true
	return Continue
}

// priority is set-priority-class and set-priority-offset: where the request
// waits when every server is full.
type priority struct {
	expr   *sample.Expr
	offset bool
}

func parsePriority(offset bool) func(p *ruleParser) (action, error) {
	return func(p *ruleParser) (action, error) {
		word, err := p.need("an expression")
		if err != nil {
			return nil, err
		}
		e, err := p.integer(word)
		return &priority{e, offset}, err
	}
}

// maxPriorityClass and maxPriorityOffset bound the two, either side of 0; the
// offset is in milliseconds.
const (
	maxPriorityClass  = 2047
	maxPriorityOffset = 524287
)

func (a *priority) run(x *sample.Ctx) Verdict {
	x.Begin()
	x.Missing = false
	v, ok := a.expr.Eval(x)
	if !ok && x.Missing {
		return Wait
	}
	n, isInt := v.Integer()
	switch {
	case !ok || !isInt:
	case a.offset:
		x.Rec.PriorityOffset = int32(min(max(n, -maxPriorityOffset), maxPriorityOffset))
	default:
		x.Rec.PriorityClass = int32(min(max(n, -maxPriorityClass), maxPriorityClass))
	}
	return Continue
}
