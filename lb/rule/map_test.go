package rule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/sample"
)

// bindFiles reads the files that acls name.
func bindFiles(t testing.TB, acls *acl.ACLs) (files []*lookup.File) {
	t.Helper()
	for _, ref := range acls.Take() {
		r := ref.(*sample.FileRef)
		f, err := lookup.Read(r.Path, r.Map)
		if err == nil {
			err = r.Bind(f)
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func TestMaps(t *testing.T) {
	dir := t.TempDir()
	at := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	strs := at("strs", "/a first\n/a/b second\n/a later\n")
	nets, spans, regs := at("nets", "10.0.0.0/8 ten\n10.1.0.0/16 one\n::/0 six\n"), at("spans", "1:9 digit\n10: more\n"), at("regs", "^/([a-z])(.*) <\\2\\1>\n")
	nums := at("nums", "/a 5\n")
	x := request(t, "GET /a/b/c HTTP/1.1\nHost: a")
	for _, c := range []struct{ expr, want string }{
		{"path,map(" + strs + ")", ""}, {"path,map(" + strs + ",none)", "none"}, {"str(/a),map_str(" + strs + ")", "first"}, {"path,map_beg(" + strs + ")", "second"},
		{"path,map_sub(" + strs + ")", "first"}, {"path,map_dir(" + strs + ")", "first"}, {"str(x/a),map_end(" + strs + ")", "first"},
		{"src,map_ip(" + nets + ")", ""}, {"str(10.1.9.9),map_ip(" + nets + ",none)", "one"}, {"str(10.2.0.1),map_ip(" + nets + ")", "ten"}, {"str(1::1),map_ip(" + nets + ")", "six"}, {"str(x),map_ip(" + nets + ",none)", ""},
		{"int(7),map_int(" + spans + ")", "digit"}, {"int(70),map_int(" + spans + ")", "more"}, {"int(0),map_int(" + spans + ",low)", "low"},
		{"path,map_regm(" + regs + ")", "</b/ca>"}, {"path,map_reg(" + regs + ")", "<\\2\\1>"}, {"str(/a),map_str_int(" + nums + "),add(2)", "7"}, {"str(/b),map_str_int(" + nums + ",1),add(2)", "3"},
	} {
		acls := acl.NewACLs()
		f, err := logformat.ParseText("%["+c.expr+"]", &acls.Uses)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		bindFiles(t, acls)
		dst := make([]byte, 0, 100)
		want := c.want
		if strings.HasPrefix(c.expr, "src") {
			want = "one" // the client is 10.1.2.3
		}
		if got := string(f.Append(dst, x)); got != want {
			t.Errorf("%s gives %q, not %q", c.expr, got, want)
		}
		if n := testing.AllocsPerRun(100, func() { f.Append(dst, x) }); n > 0 && !strings.Contains(c.expr, "regm") {
			t.Errorf("%s: %v allocations", c.expr, n)
		}
	}
	for _, bad := range []string{"path,map", "path,map()", "path,map_str_int(f,x)", "path,map_str_ip(f,x)", "path,map_foo(f)"} {
		if _, err := logformat.ParseText("%["+bad+"]", &acl.NewACLs().Uses); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	for name, expr := range map[string]string{nets: "path,map_str_int(", strs: "src,map_ip(", spans: "path,map_str_ip("} {
		acls := acl.NewACLs()
		if _, err := logformat.ParseText("%["+expr+name+")]", &acls.Uses); err != nil {
			t.Fatal(err)
		}
		f, err := lookup.Read(name, true)
		if err != nil {
			t.Fatal(err)
		}
		if acls.Take()[0].(*sample.FileRef).Bind(f) == nil {
			t.Errorf("%s%s) takes the file", expr, filepath.Base(name))
		}
	}
}

// TestFilesOfPatterns: an ACL follows what becomes of its files.
func TestFilesOfPatterns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("/A one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	acls := acl.NewACLs()
	cond, err := acl.ParseCond(strings.Fields("{ path_beg -i -M -f "+path+" /z }"), acls)
	if err != nil {
		t.Fatal(err)
	}
	f := bindFiles(t, acls)[0]
	holds := func(uri string, want bool) {
		t.Helper()
		if got := cond.Eval(request(t, "GET "+uri+" HTTP/1.1\nHost: a")); got != want {
			t.Errorf("%s: %v", uri, got)
		}
	}
	holds("/abc", true)
	holds("/Zz", true)
	holds("/b", false)
	f.Add(lookup.Entry{Key: "/B"})
	holds("/b", true)
	f.Clear()
	holds("/abc", false)
	holds("/z", true)
}
