package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/cache"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/test/tape"
)

// TestCachesAsHAProxy: what HAProxy accepts of caches is accepted, and what it refuses is refused.
func TestCachesAsHAProxy(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	path := filepath.Join(t.TempDir(), "t.cfg")
	const section = "cache c\n  total-max-size 4\n"
	use := func(lines string) string { return section + inFrontendSection(lines) }
	with := func(lines string) string { return "cache c\n" + indent(lines) + inFrontendSection("") }
	stricter := map[string]bool{with("total-max-size 4\nmax-age"): true, with("total-max-size 4\nprocess-vary yes"): true, with("total-max-size 4\nmax-age x"): true}
	for _, c := range []struct{ text, want string }{
		{use("http-request cache-use c\nhttp-response cache-store c"), ""},
		{use("http-request cache-use c if { path /a }\nfilter cache c\nhttp-response cache-store c unless { res.cache_hit }"), ""},
		{inFrontendSection("http-request cache-use c") + section, ""},
		{strings.Replace(use("filter cache c"), "mode http", "mode tcp", 1), ""},
		{with("total-max-size 4095\nmax-object-size 2146435072\nmax-age 0\nprocess-vary on\nmax-secondary-entries 5"), ""},
		{use("http-request wait-for-handshake\nhttp-request wait-for-handshake if { ssl_fc }"), ""},

		{use("http-request cache-use d"), "unable to find the cache 'd'"},
		{use("http-response cache-store d"), "unable to find the cache 'd'"},
		{use("filter cache d"), "unable to find the cache 'd'"},
		{use("filter cache"), "'filter cache' expects"},
		{use("filter cache c x"), "filter cache"},
		{use("filter cache c\nfilter cache c"), "'c' is there twice"},
		{use("http-request cache-use"), "expects a cache's name"},
		{use("http-request cache-use c d"), "not 'd'"},
		{use("http-response cache-use c"), "cache-use"},
		{use("http-request cache-store c"), "cache-store"},
		{use("http-response wait-for-handshake"), "wait-for-handshake"},
		{use("http-request wait-for-handshake x"), "not 'x'"},
		{section + use(""), "cache 'c' was declared before"},
		{"cache\n" + inFrontendSection(""), "'cache' expects a name"},
		{"cache c d\n  total-max-size 4\n" + inFrontendSection(""), "unexpected argument 'd'"},
		{"cache c\n" + inFrontendSection(""), "cache 'c' has no size"},
		{with("total-max-size 4096"), "from 1 to 4095"},
		{with("total-max-size 4x"), "not '4x'"},
		{with("total-max-size 0"), "not '0'"},
		{with("total-max-size"), "expects a value"},
		{with("total-max-size 4 5"), "unexpected argument '5'"},
		{with("total-max-size 4\nmax-object-size 2097153"), "2097152 bytes"},
		{with("total-max-size 4\nmax-object-size 5k"), "not '5k'"},
		{with("total-max-size 4\nmax-secondary-entries 0"), "not '0'"},
		{with("total-max-size 4\nmax-age"), "expects a value"},
		{with("total-max-size 4\nmax-age x"), "not 'x'"},
		{with("total-max-size 4\nprocess-vary yes"), "'yes'"},
		{with("total-max-size 4\nmax-size 5"), "max-size"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load([]string{path}, Options{Environ: []string{}})
		theirs, out := verdictOf(t, peer, path)
		switch e, _ := err.(*cfgfile.Errors); {
		case theirs != (err == nil || stricter[c.text]):
			t.Errorf("%s\nlb: %v\nhaproxy accepts it: %v\n%s", c.text, err, theirs, out)
		case c.want != "" && (e == nil || len(e.List) != 1 || !strings.Contains(e.List[0].Error(), c.want)):
			t.Errorf("%s\nlb: %v\nwant %q", c.text, err, c.want)
		case err == nil && (len(cfg.Caches) != strings.Count(c.text, "total-max-size") || len(cfg.Caches) > 0 && cfg.Caches[0].Name != "c"):
			t.Errorf("%s\ncaches: %v", c.text, cfg.Caches)
		}
	}
}

// TestCacheSettings: what the lines of a section say, and what holds without them.
func TestCacheSettings(t *testing.T) {
	cfg := load(t, "cache a\n  total-max-size 8\ncache b\n  total-max-size 4\n  max-object-size 5000\n  max-age 240\n  process-vary on\n  max-secondary-entries 3\n"+inFrontendSection(""), Options{})
	if got, want := cfg.Caches[0].Settings, (cache.Settings{Name: "a", Size: 8 << 20, MaxAge: 60, MaxSecondary: 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := cfg.Caches[1].Settings, (cache.Settings{Name: "b", Size: 4 << 20, MaxObject: 5000, MaxAge: 240, Vary: true, MaxSecondary: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
