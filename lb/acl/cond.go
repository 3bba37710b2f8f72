package acl

import (
	"errors"
	"fmt"
	"strings"

	"lbsyslogd/lb/sample"
)

// Cond is a condition: alternatives of terms that must all hold. A nil Cond is
// always true. Immutable after ParseCond.
type Cond struct {
	any [][]term
	not bool
}

type term struct {
	acl *acl
	not bool
}

// ParseCond reads the words after "if", for a request.
func ParseCond(words []string, acls *ACLs) (*Cond, error) {
	return ParseCondAt(words, acls, sample.InRequest)
}

// Negate gives the opposite condition.
func (c *Cond) Negate() *Cond {
	if c == nil {
		return &Cond{}
	}
	return &Cond{any: c.any, not: !c.not}
}

// Eval tells whether the condition holds now.
func (c *Cond) Eval(x *sample.Ctx) bool {
	if c == nil {
		return true
	}
	x.Begin()
	missing := false
	for _, all := range c.any {
		x.Missing = false
		if holds(all, x) {
			x.Missing = false
			return !c.not
		}
		missing = missing || x.Missing
	}
	if x.Missing = missing; missing {
		return false // undecided: it neither holds nor does its opposite
	}
	return c.not
}

// holds tells whether all terms do. When none is false and one is undecided, it
// leaves x.Missing set.
func holds(all []term, x *sample.Ctx) bool {
	missing := false
	for i := range all {
		x.Missing = false
		ok := all[i].acl.eval(x)
		if !ok && x.Missing {
			missing = true
			continue
		}
		if ok == all[i].not {
			x.Missing = false
			return false
		}
	}
	x.Missing = missing
	return !missing
}

// ParseCondAt reads ACL names and { tests }, each with "!" before it; side by
// side means and, "or" in any case or "||" between means or. What has no ACL is
// worth a warning: without a single one it never holds, as in HAProxy.
func ParseCondAt(words []string, acls *ACLs, at sample.Where) (*Cond, error) {
	if acls == nil {
		acls = NewACLs()
	}
	if len(words) == 0 {
		acls.Uses.Note(&sample.Remark{Text: "no condition stands after 'if' or 'unless': it never holds, as in HAProxy; name an ACL or write { criterion pattern }"})
	}
	c := &Cond{}
	var all []term
	not := false
	for i := 0; i < len(words); i++ {
		w := words[i]
		if strings.EqualFold(w, "or") || w == "||" {
			if len(all) == 0 || not {
				acls.Uses.Note(&sample.Remark{Text: fmt.Sprintf("no ACL stands before '%s' in the condition", w)})
			}
			if not = false; len(all) > 0 {
				c.any, all = append(c.any, all), nil
			}
			continue
		}
		for strings.HasPrefix(w, "!") {
			not, w = !not, w[1:]
		}
		if w == "" {
			continue // "!" alone belongs to the next word
		}
		var t term
		if w == "{" {
			end := i + 1
			for end < len(words) && words[end] != "}" {
				end++
			}
			if end == len(words) {
				return nil, errors.New("missing closing '}' in condition; it must be a word of its own, with a space before it")
			}
			test, err := parseTest(words[i+1:end], &acls.Uses)
			if err != nil {
				return nil, err
			}
			i = end
			t.acl = &acl{name: "{ " + test.expr.String() + " }", tests: []*aclTest{test}, where: test.expr.Places()}
		} else {
			found, err := acls.find(w)
			if err != nil {
				if strings.HasPrefix(w, "{") {
					err = fmt.Errorf("%w; '{' must be a word of its own, with a space after it", err)
				}
				return nil, err
			}
			t.acl = found
		}
		if t.acl.where&at == 0 {
			acls.Uses.Note(&sample.NeverHere{Why: t.acl.misplaced(at)})
			t.acl = &acl{name: t.acl.name, where: sample.Anywhere} // without a test it never matches, as in HAProxy
		}
		t.not, not = not, false
		all = append(all, t)
	}
	if len(words) > 0 && (not || len(all) == 0) {
		acls.Uses.Note(&sample.Remark{Text: fmt.Sprintf("the condition ends in '%s', where an ACL is expected: without one it has no effect, as in HAProxy", words[len(words)-1])})
	}
	if len(all) > 0 {
		c.any = append(c.any, all)
	}
	return c, nil
}

// misplaced says why an ACL never matches at that place.
func (a *acl) misplaced(at sample.Where) error {
	for _, t := range a.tests {
		if err := t.expr.Allowed(at); err != nil {
			return fmt.Errorf("acl '%s' never matches here: %w", a.name, err)
		}
	}
	return fmt.Errorf("acl '%s' never matches in %s", a.name, at)
}
