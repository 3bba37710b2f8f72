package rule

import (
	"fmt"
	"strconv"

	"lbsyslogd/lb/sample"
)

// once is disable-l7-retry: a server is given the request a single time.
type once struct{}

func (once) run(x *sample.Ctx) Verdict {
	x.Rec.Once = true
	return Continue
}

// setRetries is set-retries: how often an attempt at a server may be made again.
type setRetries struct {
	expr *sample.Expr // nil: n
	n    int
}

// maxRetries is the most that HAProxy takes.
const maxRetries = 100

func parseSetRetries(p *ruleParser) (action, error) {
	word, err := p.need("a number, or an expression that gives one")
	if err != nil {
		return nil, err
	}
	if word[0] >= '0' && word[0] <= '9' {
		n, err := strconv.Atoi(word)
		if err != nil || n > maxRetries {
			return nil, fmt.Errorf("expects 0 to %d retries, not '%s'", maxRetries, word)
		}
		return &setRetries{n: n}, nil
	}
	e, err := p.integer(word)
	return &setRetries{expr: e}, err
}

func (a *setRetries) run(x *sample.Ctx) Verdict {
	n := int64(a.n)
	if a.expr != nil {
		x.Begin()
		x.Missing = false
		v, ok := a.expr.Eval(x)
		if !ok && x.Missing {
			return Wait
		}
		if n, ok = v.Integer(); !ok || n < 0 || n > maxRetries {
			return Continue
		}
	}
	x.Rec.MaxRetries = int(n) + 1
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
