package rule

import (
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
)

func FuzzNormalize(f *testing.F) {
	for _, path := range []string{"/", "/a/../b", "/..//..", "/%61%%36%36?b&a#c", "/a/./.?x=1&x=0&&"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		for _, n := range normalizers {
			for _, form := range []normalizer{n.plain, n.with} {
				if form == nil {
					continue
				}
				once, ok := form(nil, []byte(path))
				if !ok || n.name == "percent-decode-unreserved" || n.name == "query-sort-by-name" { // they may find more to do in what they gave
					continue
				}
				if again, _ := form(nil, once); string(again) != string(once) {
					t.Errorf("%s: %q becomes %q, and that %q", n.name, path, once, again)
				}
				if once[0] != '/' {
					t.Errorf("%s: %q becomes %q", n.name, path, once)
				}
			}
		}
	})
}

// TestNormalWithoutMemory: a request that is in its normal form costs nothing.
func TestNormalWithoutMemory(t *testing.T) {
	for _, form := range []string{"fragment-strip", "path-merge-slashes", "path-strip-dot", "path-strip-dotdot full", "percent-decode-unreserved strict", "percent-to-uppercase"} {
		r, err := ParseRule(Request, strings.Fields("normalize-uri "+form), acl.NewACLs())
		if err != nil {
			t.Fatal(err)
		}
		x := request(t, "GET /a/b%2Fc?x=1 HTTP/1.1\nHost: h")
		if n := testing.AllocsPerRun(100, func() { Rules{r}.Eval(x) }); n > 0 {
			t.Errorf("%s: %v allocations", form, n)
		}
		if got := string(sample.PathQuery(x.Req)); got != "/a/b%2Fc?x=1" {
			t.Errorf("%s: %s", form, got)
		}
	}
	for words, want := range map[string]string{
		"normalize-uri":                             "expects a normalizer",
		"normalize-uri path-strip-dots":             "did you mean 'path-strip-dot'",
		"normalize-uri path-strip-dotdot half":      "not 'half'",
		"normalize-uri path-strip-dot full":         "not 'full'",
		"normalize-uri percent-to-uppercase full x": "not 'full'",
	} {
		if _, err := ParseRule(Request, strings.Fields(words), acl.NewACLs()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", words, err, want)
		}
	}
}
