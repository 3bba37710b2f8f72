package config

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
	"lbsyslogd/test/tape"
)

// TestWrongArguments: no line with too few, too many or ill-typed arguments is accepted here that HAProxy refuses. Of each keyword, option, action, fetch
// and converter there is a line with each of some wrong arguments; those that lb accepts are put to haproxy, all at once, and again without those that it
// refuses until it is content: some dozen runs for thousands of lines. LB_LONG=1 has more arguments.
func TestWrongArguments(t *testing.T) {
	const base = "defaults\n  mode http\n" + timeouts
	arguments := []string{"", "x", "-1", "99999999999999999999", "x y z"}
	inside := []string{"", "()", "(x)", "(-1)", "(1,2)", "(a,b,c,d)"}
	if os.Getenv("LB_LONG") != "" {
		arguments = append(arguments, "0", "1x", "1 2 3 4 5", `""`, "1 x", "x 1")
		inside = append(inside, "(0)", "(txn.a)", "(txn.a,txn.b)", "(99999999999999999999)", "(a,b)", "( )")
	}
	each := func(kind string, line func(n int) string, skip ...string) (lines []string) {
		for _, k := range Keywords(kind) {
			if k.Status == Refused || k.Status == Ignored || slices.Contains(skip, k.Name) {
				continue
			}
			for _, a := range arguments {
				lines = append(lines, strings.TrimSpace(line(len(lines))+k.Name+" "+a))
			}
		}
		return lines
	}
	plain := func(int) string { return "" }
	t.Run("global", func(t *testing.T) {
		compareLines(t, "global\n", each("global", plain, "zero-warning", "chroot", "stats socket", "unix-bind"), base+"frontend f\n  bind 127.0.0.1:18000\n")
	})
	t.Run("proxy", func(t *testing.T) {
		compareLines(t, base+"listen f\n  bind 127.0.0.1:18000\n", each("proxy", plain, "mode", "disabled", "bind", "option transparent", "transparent", "dispatch", "id"), "")
	})
	t.Run("bind", func(t *testing.T) {
		compareLines(t, base+"frontend f\n", each("bind", func(n int) string { return fmt.Sprintf("bind 127.0.0.1:1%04d ", n) }), "  bind 127.0.0.1:18000\n")
	})
	t.Run("server", func(t *testing.T) {
		compareLines(t, base+"frontend f\n  bind 127.0.0.1:18000\n  default_backend b\nbackend b\n", each("server", func(n int) string { return fmt.Sprintf("server s%d 127.0.0.1:1 ", n) }), "")
	})
	const tabled = "backend b2\n  stick-table type ip size 10 store gpc0\nlisten f\n  bind 127.0.0.1:18000\n  stick-table type ip size 10 store gpc(5),gpt(5)\n"
	t.Run("actions", func(t *testing.T) {
		var lines []string
		for stage := range rule.Stages {
			for _, name := range rule.Actions() {
				for _, in := range inside {
					for _, a := range arguments {
						lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s%s %s", stage, name, in, a)))
					}
				}
			}
		}
		compareLines(t, "global\n  expose-experimental-directives\n"+base+tabled, lines, "")
	})
	t.Run("samples", func(t *testing.T) {
		var lines []string
		for _, in := range inside {
			for _, name := range sample.Fetches() {
				lines = append(lines, "http-request set-var(txn.v) "+name+in, "http-response set-var(txn.v) "+name+in)
			}
			for _, name := range sample.Converters() {
				lines = append(lines, "http-request set-var(txn.v) str(a),"+name+in)
			}
		}
		compareLines(t, base+tabled, lines, "")
	})
}

// mayBeRefused are HAProxy's words for what lb takes knowingly: what newer versions have, what older ones had, words about TLS on lines without it (a notice),
// and what HAProxy itself calls its own error.
var mayBeRefused = regexp.MustCompile(`not supported any ?more|unknown (fetch method|converter|keyword)|expects 'algo', 'type' or 'offload'|already specified|` +
	`unable to load|Couldn't open the|'(tcp-request \w+|tcp-response content|http-request|http-response|http-after-response)' expects|please report this bug|` +
	`keyword .* in '?global'? section|verify is enabled by default|'namespace'|sni expression|'addr' : invalid address|parsing agent-addr failed|` +
	`extracts information from 'backend'|missing arguments \(got 1/2\), type 'table'|got ''|expected '\)' before ',|one compression filter|missing expect rule|address 'x'|Unexpected arg type|got '(client|server)-hs'`)

// compareLines loads a section with lines here, then what is accepted with haproxy.
func compareLines(t *testing.T, before string, lines []string, after string) {
	t.Helper()
	peer := tape.Open(t, "haproxy")
	path := filepath.Join(t.TempDir(), "t.cfg")
	first := strings.Count(before, "\n") + 1
	rest := slices.Clone(lines)
	write := func(lines []string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(before+"  "+strings.Join(lines, "\n  ")+"\n"+after), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for again := true; again; {
		write(rest)
		_, err := Load([]string{path}, Options{Environ: []string{}, Privileged: true})
		var all *cfgfile.Errors
		again = false
		if errors.As(err, &all) {
			for _, e := range all.List {
				if i := e.Pos.Line - first; i >= 0 && i < len(rest) && rest[i] != "" {
					rest[i], again = "", true
				}
			}
		}
	}
	accepted := 0
	for _, line := range rest {
		if line != "" {
			accepted++
		}
	}
	if accepted == 0 {
		t.Fatal("lb accepts none of the lines")
	}
	// Recorded by lines, not by files: a word that comes later leaves what is known of the others as it is.
	refused := tape.Observe(peer, "refused", func() map[string]string {
		all := map[string]string{}
		left := slices.Clone(rest)
		for again := true; again; {
			write(left)
			again = false
			for n, why := range refusals(peer.Program(), path) {
				if i := n - first; i >= 0 && i < len(left) && left[i] != "" {
					all[left[i]] = why
					left[i], again = "", true
				}
			}
		}
		return all
	})
	for _, line := range rest {
		if why, ok := refused[line]; ok && line != "" && !mayBeRefused.MatchString(why) && !unknownOption(line, why) {
			t.Errorf("accepted here: %s\nhaproxy: %s", line, why)
		}
	}
	t.Logf("%d lines, %d accepted", len(lines), accepted)
}

// unknownOption reports whether HAProxy does not have the option of a line.
func unknownOption(line, why string) bool {
	words := strings.Fields(line)
	return len(words) > 1 && words[0] == "option" && strings.Contains(why, "unknown option '"+words[1]+"'")
}

var alertLine = regexp.MustCompile(`\[ALERT\][^\n]*?t\.cfg:(\d+)\] ?:? ?([^\n]*)`)

// refusals are the lines that haproxy refuses, by number.
func refusals(haproxy, path string) map[int]string {
	all := map[int]string{}
	out, _ := exec.Command(haproxy, "-c", "-f", path).CombinedOutput() // that it fails is expected
	for _, m := range alertLine.FindAllStringSubmatch(string(out), -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		if all[n] == "" {          // the first word about a line is what is wrong with it
			all[n] = strings.ReplaceAll(m[2], filepath.Dir(path), "DIR")
		}
	}
	return all
}
