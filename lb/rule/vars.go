package rule

import (
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// setVar keeps a sample, or a format's text, under a name.
type setVar struct {
	name string
	when sample.VarConds
	expr *sample.Expr
	text *logformat.Format
}

func parseSetVar(p *ruleParser) (action, error) {
	a, err := newSetVar(p)
	if err != nil {
		return nil, err
	}
	word, err := p.need("a sample expression")
	if err != nil {
		return nil, err
	}
	a.expr, err = p.expression(word)
	return a, err
}

func parseSetVarFmt(p *ruleParser) (action, error) {
	a, err := newSetVar(p)
	if err != nil {
		return nil, err
	}
	a.text, err = p.format("a format")
	return a, err
}

func newSetVar(p *ruleParser) (*setVar, error) {
	name, when, err := sample.ParseVar(p.arg)
	return &setVar{name: name, when: when}, err
}

func (a *setVar) run(x *sample.Ctx) Verdict {
	if a.text != nil {
		x.Built = a.text.Append(x.Built[:0], x)
		x.SetVar(a.name, sample.StrValue(x.Built), a.when)
		return Continue
	}
	x.Begin()
	if v, ok := a.expr.Eval(x); ok {
		x.SetVar(a.name, v, a.when)
	}
	return Continue
}

type unsetVar struct{ name string }

func parseUnsetVar(p *ruleParser) (action, error) {
	return unsetVar{p.arg}, sample.CheckVar(p.arg)
}

func (a unsetVar) run(x *sample.Ctx) Verdict {
	x.UnsetVar(a.name)
	return Continue
}
