package config

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
)

// TestRowsAreWhole holds what the tables promise: names are unique, whatever
// is not simply supported says why, whatever is supported does something.
func TestRowsAreWhole(t *testing.T) {
	p := newParser(Options{Environ: []string{}})
	checkRows(t, "global", p.globals)
	checkRows(t, "proxy", p.proxies)
	checkRows(t, "bind", p.binds)
	checkRows(t, "server", p.servers)
}

func checkRows[T any](t *testing.T, kind string, x *index[T]) {
	t.Helper()
	if len(x.names) != len(x.rows) {
		t.Errorf("%s: %d names for %d rows: one is there twice", kind, len(x.names), len(x.rows))
	}
	for _, name := range x.names {
		r := x.rows[name]
		switch {
		case r.in == 0:
			t.Errorf("%s %s: allowed nowhere", kind, name)
		case r.status != Supported && r.doc == "":
			t.Errorf("%s %s: %s without a reason", kind, name, r.status)
		case r.status == Supported && r.apply == nil && !strings.HasPrefix(name, "no-"):
			t.Errorf("%s %s: supported, but it does nothing", kind, name)
		case r.status == Translated && r.apply == nil:
			t.Errorf("%s %s: translated to nothing", kind, name)
		case r.max >= 0 && r.max < r.min:
			t.Errorf("%s %s: at least %d, at most %d arguments", kind, name, r.min, r.max)
		case r.min > 0 && r.args == "":
			t.Errorf("%s %s: arguments without a description", kind, name)
		}
	}
}

// TestEveryKeywordOfHAProxyHasARow asks Debian's haproxy for the keywords it
// registered. (Those it compares by hand are not in the list; the rows for
// them come from its manual.)
func TestEveryKeywordOfHAProxyHasARow(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	out := tape.Observe(peer, "-dKcfg", func() string {
		out, err := exec.Command(peer.Program(), "-dKcfg", "-c", "-f", "/dev/null").Output()
		if _, ran := err.(*exec.ExitError); err != nil && !ran {
			t.Fatal(err)
		}
		return string(out)
	})
	p := newParser(Options{Environ: []string{}})
	bind := regexp.MustCompile(`^bind <addr> (?:ssl )?(\S+)`)
	server := regexp.MustCompile(`^server <name> <addr> (\S+)`)
	option := regexp.MustCompile(`^(option \S+)`)
	begins := func(names []string, word string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return n == word || strings.HasPrefix(n, word+" ") })
	}
	section, seen := "", 0
	for line := range strings.Lines(out) {
		word := strings.TrimSpace(line)
		if !strings.HasPrefix(line, "\t") {
			section = word
			continue
		}
		seen++
		switch {
		case section == "global":
			if !begins(p.globals.names, word) {
				t.Errorf("global: no row for %q", word)
			}
		case section != "listen":
		case bind.MatchString(word):
			if name := bind.FindStringSubmatch(word)[1]; p.binds.rows[name] == nil {
				t.Errorf("bind: no row for %q", name)
			}
		case server.MatchString(word):
			if name := server.FindStringSubmatch(word)[1]; p.servers.rows[name] == nil {
				t.Errorf("server: no row for %q", name)
			}
		case option.MatchString(word):
			if name := option.FindStringSubmatch(word)[1]; p.proxies.rows[name] == nil {
				t.Errorf("proxy: no row for %q", name)
			}
		default:
			if first := strings.Fields(word)[0]; !begins(p.proxies.names, first) {
				t.Errorf("proxy: no row for %q", first)
			}
		}
	}
	if seen < 300 {
		t.Errorf("haproxy listed only %d keywords:\n%s", seen, out)
	}
}
