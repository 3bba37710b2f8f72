package sample

// Uses collects what the lines of one proxy use of the rest of the
// configuration and of the engine. It is filled where a fetch, a converter or a
// log format's variable is bound, whatever line that stands on: no list of
// lines has to be kept in step. Its methods take nil, which collects nothing.
type Uses struct {
	refs  []Ref // read since the last Take
	rules Needs // of what rules evaluate
	logs  Needs // of what only log lines show
}

// Note keeps references for Take.
func (u *Uses) Note(refs ...Ref) {
	if u != nil {
		u.refs = append(u.refs, refs...)
	}
}

// Need adds what something needs that stands at a place.
func (u *Uses) Need(n Needs, at Where) {
	switch {
	case u == nil:
	case at == InLog:
		u.logs |= n
	default:
		u.rules |= n
	}
}

// Take gives the references that were read since the last Take.
func (u *Uses) Take() []Ref {
	if u == nil {
		return nil
	}
	refs := u.refs
	u.refs = nil
	return refs
}

// Inherit adds the needs of rules that come from a defaults section.
func (u *Uses) Inherit(from *Uses) {
	u.rules |= from.rules
	u.logs |= from.logs
}

// Needs is what the rules need, whether or not lines are logged.
func (u *Uses) Needs() Needs { return u.rules }

// LogNeeds is what log lines need besides.
func (u *Uses) LogNeeds() Needs { return u.logs }
