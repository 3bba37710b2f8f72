package config

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
	"lbsyslogd/test/tape"
)

// TestEveryKeywordIsKnown: each keyword that HAProxy's build has registered (haproxy -dKall) is in the tables, be it only to be refused with the way out.
func TestEveryKeywordIsKnown(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	lines := tape.Observe(peer, "keywords", func() []string {
		out, _ := exec.Command("haproxy", "-dKall", "-q", "-c", "-f", "/dev/null").Output() // it has no proxies to serve: that is an error
		_, text, _ := strings.Cut(string(out), "# List of registered configuration keywords:\n")
		text, _, _ = strings.Cut(text, "\n# ")
		return strings.Split(text, "\n")
	})
	names := map[string][]string{}
	for _, kind := range []string{"global", "proxy", "bind", "server"} {
		for _, k := range Keywords(kind) {
			names[kind] = append(names[kind], k.Name)
		}
	}
	known := func(kind, word string) bool {
		return slices.ContainsFunc(names[kind], func(n string) bool { return n == word || strings.HasPrefix(n, word+" ") })
	}
	// Words of HAProxy's own that are no keywords of the manual, or of a library that Debian's build has.
	skip := []string{"use-fcgi-app"}
	section, seen := "", 0
	for _, line := range lines {
		if !strings.HasPrefix(line, "\t") {
			section = line
			continue
		}
		words := strings.Fields(line)
		kind, word := map[string]string{"global": "global", "listen": "proxy"}[section], words[0]
		switch {
		case kind == "" || slices.Contains(skip, word):
			continue
		case section == "listen" && word == "bind" && len(words) > 2:
			kind, word = "bind", strings.TrimPrefix(strings.Join(words[2:], " "), "ssl ")
		case section == "listen" && word == "server" && len(words) > 3:
			kind, word = "server", words[3]
		case section == "listen" && len(words) > 1:
			continue // actions, which have tables of their own
		}
		word, _, _ = strings.Cut(word, " ")
		seen++
		if !known(kind, word) {
			t.Errorf("%s: '%s' is in no table", kind, word)
		}
	}
	if seen < 100 {
		t.Errorf("only %d keywords were seen", seen)
	}
}

// TestEveryFetchIsKnown: each sample fetch and each ACL keyword of HAProxy's build is supported, or refused with the reason.
func TestEveryFetchIsKnown(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	lines := tape.Observe(peer, "fetches", func() []string {
		out, _ := exec.Command("haproxy", "-dKsmp,acl", "-q", "-c", "-f", "/dev/null").Output() // it has no proxies to serve: that is an error
		return strings.Split(string(out), "\n")
	})
	seen := 0
	for _, line := range lines {
		_, row, isFetch := strings.Cut(line, " ] ") // after the places where it may stand
		name, _, isACL := strings.Cut(line, " = ")
		switch {
		case strings.HasPrefix(line, "#") || line == "":
			continue
		case isFetch:
			name = row[:strings.IndexAny(row, "(:")]
			_, err := sample.ParseExpr(name, sample.Anywhere, nil)
			if err != nil && strings.Contains(err.Error(), "unknown fetch method") {
				t.Errorf("fetch %s: %v", name, err)
			}
		case isACL:
			_, err := acl.ParseCond([]string{"{", name, "x", "}"}, acl.NewACLs())
			if err != nil && strings.Contains(err.Error(), "unknown fetch method") {
				t.Errorf("ACL keyword %s: %v", name, err)
			}
		default:
			continue
		}
		seen++
	}
	if seen < 500 {
		t.Errorf("only %d were seen", seen)
	}
}

// TestManualIsKnown: each keyword that the manual of HAProxy 2.6 lists for proxies and for the global section is in the tables.
func TestManualIsKnown(t *testing.T) {
	data, err := os.ReadFile("testdata/manual-2.6.keywords")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, kind := range []string{"global", "proxy"} {
		for _, k := range Keywords(kind) {
			names[kind] = append(names[kind], k.Name)
		}
	}
	for line := range strings.Lines(string(data)) {
		kind, word, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !slices.ContainsFunc(names[kind], func(n string) bool {
			return n == word || strings.HasPrefix(n, word+" ") || strings.HasPrefix(word, n+" ")
		}) {
			t.Errorf("%s: '%s' is in no table", kind, word)
		}
	}
}
