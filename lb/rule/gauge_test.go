package rule

import (
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

func TestGauges(t *testing.T) {
	acls := acl.NewACLs()
	cond, err := acl.ParseCond(strings.Fields("{ nbsrv(b) lt 1 } !{ srv_is_up(b/s) }"), acls)
	if err != nil {
		t.Fatal(err)
	}
	x := request(t, example)
	if cond.Eval(x) {
		t.Error("holds before anybody can tell")
	}
	n := int64(0)
	refs := acls.Take()
	for _, ref := range refs {
		ref.(*sample.Gauge).Read = func() int64 { return n }
	}
	if g := refs[1].(*sample.Gauge); g.What != "srv_is_up" || g.Proxy != "b" || g.Server != "s" {
		t.Errorf("%+v", g)
	}
	if !cond.Eval(x) {
		t.Error("does not hold")
	}
	if n = 1; cond.Eval(x) {
		t.Error("holds")
	}
	if k := testing.AllocsPerRun(100, func() { cond.Eval(x) }); k > 0 {
		t.Errorf("%v allocations", k)
	}
	if _, err := acl.ParseCond(strings.Fields("{ srv_is_up(b/) }"), acls); err == nil {
		t.Error("a server without a name is accepted")
	}
}

// TestUniqueID: the id is made once, when it is shown first, in the middle of
// another evaluation as well.
func TestUniqueID(t *testing.T) {
	acls := acl.NewACLs()
	id, err := logformat.ParseText("%{+X}o %ci-%[path,upper]-%ID", &acls.Uses)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := logformat.ParseAt("%[path,lower]/%[unique-id]/%[path,upper]/%ID", sample.InRequest, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := request(t, "GET /Abc HTTP/1.1\nHost: a")
	x.ID = id
	if got := string(shown.Append(nil, x)); got != "/abc/0A010203-/ABC-//ABC/0A010203-/ABC-" {
		t.Errorf("got %s", got)
	}
	if n := testing.AllocsPerRun(100, func() {
		x.Rec.UniqueID = x.Rec.UniqueID[:0]
		x.UniqueID()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
