package rule

import (
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
)

// TestACLsThatNeverMatch: what an ACL looks at is not there where it is used:
// it is false, its opposite is true, and a note says so.
func TestACLsThatNeverMatch(t *testing.T) {
	x := request(t, example)
	for _, c := range []struct {
		cond string
		at   sample.Where
		want bool
	}{
		{"{ path_beg / }", sample.InResponse, false},
		{"!{ path_beg / }", sample.InResponse, true},
		{"{ path_beg / } || { always_true }", sample.InResponse, true},
		{"{ status 200 }", sample.InRequest, false},
		{"!{ status 200 } { path_beg / }", sample.InRequest, true},
		{"{ ssl_fc 0 }", sample.InConn, false},
		{"!{ ssl_fc } !{ ssl_c_used }", sample.InConn, true},
	} {
		acls := acl.NewACLs()
		cond, err := acl.ParseCondAt(strings.Fields(c.cond), acls, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := cond.Eval(x); got != c.want {
			t.Errorf("%s: %v", c.cond, got)
		}
		said := false
		for _, ref := range acls.Take() {
			if r, ok := ref.(*sample.NeverHere); ok {
				said = strings.Contains(r.Why.Error(), "never matches here: sample fetch <")
			}
		}
		if !said {
			t.Errorf("%s: nothing says that it never matches", c.cond)
		}
	}
}
