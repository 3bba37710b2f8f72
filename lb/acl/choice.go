package acl

import "lbsyslogd/lb/sample"

// Choice finds the first of many conditions that holds. Where some in a row compare the
// same thing with texts, as in thousands of "use_backend b if { hdr(host) -i h }", they
// are one look-up. Immutable after NewChoice.
type Choice struct {
	conds []*Cond
	runs  []run
}

// run is some conditions in a row: one that is evaluated, or those of a look-up.
type run struct {
	from, to int
	pick     *sample.Pick // nil: each is evaluated
}

// shortRun is from how many comparisons on a look-up is worth it.
const shortRun = 4

// NewChoice compiles the conditions; nil ones hold always.
func NewChoice(conds []*Cond) *Choice {
	c := &Choice{conds: conds}
	for at := 0; at < len(conds); {
		r := run{from: at, to: at + 1}
		if expr, m, ok := conds[at].comparison(); ok {
			if pick := sample.NewPick(expr, m); pick != nil {
				pick.Add(expr, m, at)
				for r.to < len(conds) {
					expr, m, ok := conds[r.to].comparison()
					if !ok || !pick.Add(expr, m, r.to) {
						break
					}
					r.to++
				}
				if r.to-r.from >= shortRun {
					r.pick = pick
				}
			}
		}
		c.runs = append(c.runs, r)
		at = r.to
	}
	return c
}

// comparison is what a condition compares, if it does nothing else.
func (c *Cond) comparison() (*sample.Expr, sample.Matcher, bool) {
	if c == nil || c.not || len(c.any) != 1 || len(c.any[0]) != 1 {
		return nil, nil, false
	}
	t := c.any[0][0]
	if t.not || len(t.acl.tests) != 1 {
		return nil, nil, false
	}
	return t.acl.tests[0].expr, t.acl.tests[0].match, true
}

// First is the first condition that holds; false: none does.
func (c *Choice) First(x *sample.Ctx) (n int, ok bool) {
	for i := range c.runs {
		r := &c.runs[i]
		if r.pick != nil {
			if n, ok := r.pick.First(x); ok {
				return n, true
			}
			continue
		}
		for n := r.from; n < r.to; n++ {
			if c.conds[n].Eval(x) {
				return n, true
			}
		}
	}
	return 0, false
}
