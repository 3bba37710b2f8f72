package rule

// Needs are facts that cost the engine a system call, and that it gathers only
// when something shows them.
type Needs uint8

// The facts.
const (
	NeedsFrontAddr Needs = 1 << iota // Record.FrontAddr: %fi, %fp, dst, dst_port
	NeedsBackAddr                    // Record.BackAddr: %bi, %bp
)

// Needs is what the format shows.
func (f *Format) Needs() Needs {
	var n Needs
	if f == nil {
		return n
	}
	for i := range f.steps {
		if e := f.steps[i].expr; e != nil {
			n |= e.fetch.needs
		}
		if row := f.steps[i].row; row != nil {
			if row.trait&showsFront != 0 {
				n |= NeedsFrontAddr
			}
			if row.trait&showsBack != 0 {
				n |= NeedsBackAddr
			}
		}
	}
	return n
}

// Needs is what the condition tests, named ACLs included.
func (c *Cond) Needs() Needs {
	var n Needs
	if c == nil {
		return n
	}
	for _, all := range c.any {
		for i := range all {
			for _, t := range all[i].acl.tests {
				n |= t.expr.fetch.needs
			}
		}
	}
	return n
}

// Needs is what the rules show and test.
func (r Rules) Needs() Needs {
	var n Needs
	for _, one := range r {
		n |= one.needs | one.cond.Needs()
	}
	return n
}
