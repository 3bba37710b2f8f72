package rule

import (
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
)

// TestRemarks: lines that HAProxy loads with a meaning that their author may not expect have that meaning, and a warning.
func TestRemarks(t *testing.T) {
	row := func(line, want string, remarks ...string) {
		t.Helper()
		acls := acl.NewACLs()
		r, err := ParseRule(Request, strings.Split(line, " "), acls)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			return
		}
		var said []string
		for _, ref := range acls.Take() {
			if remark, ok := ref.(*sample.Remark); ok {
				said = append(said, remark.Text)
			}
		}
		if len(said) != len(remarks) || !slices.EqualFunc(said, remarks, strings.Contains) {
			t.Errorf("%s: remarks %q, want %q", line, said, remarks)
		}
		x := request(t, "GET /a HTTP/1.1\nHost: h\nA: old")
		Rules{r}.Eval(x)
		if got := string(x.Req.Get("A")); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	row("set-header A x if { int(85) 80-90 }", "x")
	row("set-header A x if { int(91) 80-90 }", "old")
	row("set-header A x if { int(-5) -6--4 }", "x")
	row("set-header A x if { int(80) ne 80 }", "x", "'ne' is read as 'eq'")
	row("set-header A x if { int(81) ne 80 }", "old", "'ne' is read as 'eq'")
	row("set-header A x if { int(2) gt 2:5 }", "x", "'gt' before the range '2:5'")
	row("set-header A x if { int(6) gt 2:5 }", "old", "'gt' before the range '2:5'")
	row("set-header A x if FALSE OR TRUE", "x")
	row("set-header A x if TRUE or", "x", "ends in 'or'")
	row("set-header A x if or FALSE", "old", "no ACL stands before 'or'")
	row("set-header A x if TRUE ! or FALSE", "x", "no ACL stands before 'or'")
	row("set-header A x if !", "old", "ends in '!'")
	row("set-header A x if", "old", "no condition stands after")
	row("set-header A x unless", "x", "no condition stands after")
	row("set-header A: x", ": x", "the value of 'A' begins with ': '")
	row("del-header A:", "old", "no header has the name 'A:'")
	row(`del-header ^A:old`, "old", `no header has the name '^A:old'`)
	row("replace-header A: .* x", "old", "no header has the name 'A:'")
	row("set-header A %{+X}pid", "1267")
	row("set-header A %{+X,+Q}r", `"GET /a HTTP/1.1"`)
	row("set-header A %{+Q+X}pid", "1267", "'+Q' in '%{+Q+X}'")
	row("set-header A %{+X,Q}pid", "1267", "'Q' in '%{+X,Q}'")
	row("set-header A %{+B}pid", "4711", "'+B' in '%{+B}'")
	row("sc-inc-gpc0", "old")
}
