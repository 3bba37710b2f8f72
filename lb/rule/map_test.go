package rule

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
		if n := testing.AllocsPerRun(100, func() { f.Append(dst, x) }); n > 0 && !strings.Contains(c.expr, "regm") && !(raced && strings.Contains(c.expr, "map_reg")) {
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

// TestEveryMethodFollowsItsFile: whatever way a rule matches, it follows each change of
// its file, and looking up allocates nothing.
func TestEveryMethodFollowsItsFile(t *testing.T) {
	x := request(t, "GET /a/b/c HTTP/1.1\nHost: www.Example.org\nX-N: 42")
	row := func(sample, method, hit, other string, flags ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(other+" no\n"+other+" no\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		acls := acl.NewACLs()
		words := append([]string{"{", sample, "-m", method}, flags...)
		cond, err := acl.ParseCond(append(words, "-M", "-f", path, "}"), acls)
		if err != nil {
			t.Fatal(err)
		}
		var value *logformat.Format
		if mapped := []string{"str", "beg", "sub", "dir", "dom", "end", "reg", "int", "ip"}; len(flags) == 0 && slices.Contains(mapped, method) {
			if value, err = logformat.ParseText("%["+sample+",map_"+method+"("+path+",none)]", &acls.Uses); err != nil {
				t.Fatal(err)
			}
		}
		files := bindFiles(t, acls)
		both := func(do func(f *lookup.File) error) {
			t.Helper()
			for _, f := range files {
				if err := do(f); err != nil {
					t.Errorf("-m %s: %v", method, err)
				}
			}
		}
		buf := make([]byte, 0, 100)
		sees := func(when, want string) {
			t.Helper()
			if got := cond.Eval(x); got != (want != "none") {
				t.Errorf("%s -m %s, %s: %v", sample, method, when, got)
			}
			if value != nil {
				if got := string(value.Append(buf, x)); got != want {
					t.Errorf("%s,map_%s, %s: %q, want %q", sample, method, when, got, want)
				}
			}
			if n := testing.AllocsPerRun(20, func() {
				cond.Eval(x)
				if value != nil {
					value.Append(buf, x)
				}
			}); n > 0 && method != "reg" { // the regular expressions' pool drops what it has under the race detector
				t.Errorf("%s -m %s, %s: %v allocations", sample, method, when, n)
			}
		}
		sees("as read", "none")
		both(func(f *lookup.File) error { return f.Add(lookup.Entry{Key: hit, Value: "one"}) })
		sees("one was added", "one")
		both(func(f *lookup.File) error { return f.Add(lookup.Entry{Key: hit, Value: "two"}) })
		sees("the first counts", "one")
		both(func(f *lookup.File) error { return f.Set(lookup.Ref{Key: hit}, "three") })
		sees("it was set", "three")
		both(func(f *lookup.File) error { return f.Delete(lookup.Ref{ID: 3}) })
		sees("one is left", "three")
		both(func(f *lookup.File) error { return f.Delete(lookup.Ref{Key: hit}) })
		sees("it was removed", "none")
		both(func(f *lookup.File) error {
			n := f.Prepare()
			f.AddTo(n, lookup.Entry{Key: hit, Value: "four"})
			return f.Commit(n)
		})
		sees("a version was put in its place", "four")
		both(func(f *lookup.File) error { return f.Clear() })
		sees("it was cleared", "none")
	}
	row("path", "str", "/a/b/c", "/x")
	row("path", "str", "/A/b/c", "/x", "-i")
	row("path", "beg", "/a", "/x")
	row("path", "beg", "/A/", "/x", "-i")
	row("path", "end", "/c", "/x")
	row("path", "end", "B/c", "/x", "-i")
	row("path", "sub", "b", "x")
	row("path", "sub", "/B/", "x", "-i")
	row("path", "dir", "b", "x")
	row("req.hdr(host)", "dom", "Example", "x")
	row("req.hdr(host)", "dom", "EXAMPLE.org", "x", "-i")
	row("path", "reg", "^/a/.*c$", "^x")
	row("path", "reg", "^/A/.*C$", "^x", "-i")
	row("req.hdr(x-n)", "int", "40:45", "7")
	row("path", "len", "6", "9")
	row("src", "ip", "10.1.0.0/16", "192.168.0.0/1")
	row("method", "meth", "GET", "PUT")
	row("path", "bin", "2f612f622f63", "00")
}

// TestChangesMeetReaders: a key that moves from one length to another, and a network
// from one mask to another, are found at every moment.
func TestChangesMeetReaders(t *testing.T) {
	dir := t.TempDir()
	at := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	acls := acl.NewACLs()
	cond, err := acl.ParseCond(strings.Fields("{ path_beg -f "+at("paths", "/a\n")+" } { src -f "+at("nets", "10.0.0.0/8\n")+" } { path_sub -f "+at("subs", "b\n")+" -f "+at("more", "z\n")+" }"), acls)
	if err != nil {
		t.Fatal(err)
	}
	files := bindFiles(t, acls)
	var readers sync.WaitGroup
	var stop atomic.Bool
	for range 2 {
		x := request(t, "GET /a/b/c HTTP/1.1\nHost: a")
		readers.Go(func() {
			for !stop.Load() {
				if !cond.Eval(x) {
					t.Error("there was a moment at which nothing matched")
					return
				}
			}
		})
	}
	for range 3000 {
		for i, keys := range [][2]string{{"/a", "/a/b"}, {"10.0.0.0/8", "10.1.2.0/24"}} {
			f := files[i]
			f.Add(lookup.Entry{Key: keys[1]})
			f.Delete(lookup.Ref{Key: keys[0]})
			f.Add(lookup.Entry{Key: keys[0]})
			f.Delete(lookup.Ref{Key: keys[1]})
		}
		files[3].Add(lookup.Entry{Key: "c"})
		files[2].Delete(lookup.Ref{Key: "b"})
		files[2].Add(lookup.Entry{Key: "b"})
		files[3].Delete(lookup.Ref{Key: "c"})
	}
	stop.Store(true)
	readers.Wait()
}

// BenchmarkChange is one change of a map of 100,000 lines.
func BenchmarkChange(b *testing.B) {
	for _, method := range []string{"str", "beg", "end", "sub", "reg"} {
		b.Run(method, func(b *testing.B) {
			var text strings.Builder
			for i := range 100_000 {
				fmt.Fprintf(&text, "/k%d/ v%d\n", i, i)
			}
			path := filepath.Join(b.TempDir(), "m")
			if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			acls := acl.NewACLs()
			if _, err := logformat.ParseText("%[path,map_"+method+"("+path+")]", &acls.Uses); err != nil {
				b.Fatal(err)
			}
			f := bindFiles(b, acls)[0]
			b.ResetTimer()
			for i := range b.N {
				key := fmt.Sprintf("/z%d/", i)
				if err := errors.Join(f.Add(lookup.Entry{Key: key, Value: "v"}), f.Set(lookup.Ref{Key: key}, "w"), f.Delete(lookup.Ref{Key: key})); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
