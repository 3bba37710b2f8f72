package dialect

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

// compared are the tests that run lb and haproxy on the same configuration, or a scenario that both pass. Whatever a configuration may say stands in
// one of them.
var compared = []string{
	"*_test.go", "../tables/*_test.go", "../vtc/testdata/*.vtc", "../../lb/assemble/*haproxy_test.go", "../../lb/assemble/external_test.go", "../../lb/rule/haproxy*_test.go", "../../lb/rule/protocol_test.go", "../../lb/accesslog/haproxy_test.go",
}

// TestEveryWordHasACase: each keyword that lb applies, each fetch, converter, action (in each set of rules) and log variable stands in a configuration
// of these tests. What is ignored has none, as nothing is to be seen of it.
func TestEveryWordHasACase(t *testing.T) {
	lines := comparedLines(t)
	if len(lines) < 1000 {
		t.Fatalf("only %d words were found", len(lines))
	}
	excused := map[string]bool{}
	for name, why := range withoutCase {
		if excused[name] = true; why == "" {
			t.Errorf("%s: excused without a reason", name)
		}
	}
	names := openKeywords + openSamples
	for _, a := range alone {
		names += a.names
	}
	for name := range strings.Lines(names) {
		if name = strings.TrimSpace(name); name != "" {
			excused[name] = true
		}
	}
	for _, w := range terms() {
		found := slices.ContainsFunc(lines[w.key], w.pattern.MatchString)
		switch {
		case !found && !excused[w.name]:
			t.Errorf("%s: no case", w.name)
		case found && excused[w.name]:
			t.Errorf("%s: it has a case, and an excuse as well", w.name)
		}
		delete(excused, w.name)
	}
	for name := range excused {
		t.Errorf("%s: excused, but no word of lb", name)
	}
}

// term is something that a configuration may say, and what a line looks like that says it.
type term struct {
	name    string // with its kind: "converter lower"
	key     string // the last piece of it: a line that says it has that piece
	pattern *regexp.Regexp
}

// piece is what lines are indexed by.
var piece = regexp.MustCompile(`[A-Za-z0-9_.-]+`)

// terms are all that lb applies.
func terms() (all []term) {
	add := func(name, format string, args ...any) {
		pieces := piece.FindAllString(name, -1)
		all = append(all, term{name, pieces[len(pieces)-1], regexp.MustCompile(fmt.Sprintf(format, args...))})
	}
	for _, kind := range []string{"global", "proxy", "bind", "server"} {
		for _, k := range config.Keywords(kind) {
			if k.Status == config.Ignored || k.Status == config.Refused {
				continue
			}
			name := regexp.QuoteMeta(k.Name)
			switch kind {
			case "bind": // a table of bind lines may have them without their address
				add("bind "+k.Name, `^\s*(bind|stats socket|crt|crt-list) (.*\s)?%s(\s|$)`, name)
			case "server": // a table of server lines may begin with an address such as S1, or with check
				add("server "+k.Name, `^\s*(server|default-server|server-template|[A-Z][A-Z_]*\d?|check|agent-check|weight)\s(.*\s)?%s(\s|$)`, name)
			default:
				add(kind+" "+k.Name, `^\s*(no )?%s([\s(]|$)`, strings.ReplaceAll(name, " ", `\s+`))
			}
		}
	}
	for stage := range rule.Stages {
		for _, name := range rule.ActionsOf(stage) {
			add(fmt.Sprintf("%s %s", stage, name), `^\s*%s\s+%s([\s(]|$)`, stage, regexp.QuoteMeta(name))
		}
	}
	for _, name := range sample.Fetches() {
		before := `(%%\[|[\s(,"])`
		if strings.ContainsAny(name, "._") { // such a word may begin a line of a list
			before = `(%%\[|[\s(,"]|^)`
		}
		add("fetch "+name, before+`%s([],(\s"]|$)`, regexp.QuoteMeta(name))
	}
	for _, name := range sample.Converters() {
		add("converter "+name, `,%s([],(\s"]|$)`, regexp.QuoteMeta(name))
	}
	for _, name := range logformat.Variables() {
		add("variable "+name, `%%(\{[^}]*\})?(\([^)]*\))?%s\b`, regexp.QuoteMeta(name))
	}
	return all
}

// listed are the expressions of lists that tests make in loops, each as a log format has it. What stands before ",mul(0)" is left out: of that is compared
// only whether there is anything.
func listed() (lines []string) {
	lists := [][]string{tableFacts(), arrayFacts(), weightFacts(), requestFacts, responseFacts}
	for _, input := range inputs {
		lists = append(lists, converted(input, conversions), converted(input, datings))
	}
	for _, list := range lists {
		for _, e := range list {
			if !strings.HasSuffix(e, ",mul(0)") {
				lines = append(lines, "%["+e+"]")
			}
		}
	}
	return lines
}

// comparedLines are the lines of all texts in the compared tests, by each piece of them.
func comparedLines(t *testing.T) map[string][]string {
	t.Helper()
	lines := map[string][]string{}
	seen := map[string]bool{}
	keep := func(line string) {
		if line = strings.TrimSuffix(line, "\n"); seen[line] || len(line) > 10_000 {
			return
		}
		seen[line] = true
		for _, p := range piece.FindAllString(line, -1) {
			for _, p := range []string{p, strings.Trim(p, ".-")} { // %ac-%fc: a dash may also stand between two
				if of := lines[p]; len(of) == 0 || of[len(of)-1] != line {
					lines[p] = append(of, line)
				}
			}
		}
	}
	for _, line := range listed() {
		keep(line)
	}
	for _, pattern := range compared {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files (%v)", pattern, err)
		}
		for _, file := range files {
			if base := filepath.Base(file); base == "coverage_test.go" || base == "alone_test.go" || slices.Contains(aloneFiles(), file) {
				continue // excuses are no cases
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(file) == ".go" {
				text = []byte(strings.Join(literals(t, file, text), "\n"))
			}
			for line := range strings.Lines(string(text)) {
				keep(line)
			}
		}
	}
	return lines
}

// literals are the strings of a Go file.
func literals(t *testing.T, name string, text []byte) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return literalsIn(file)
}

// literalsIn are the strings of a part of a Go file.
func literalsIn(part ast.Node) (all []string) {
	ast.Inspect(part, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				all = append(all, s)
			}
		}
		return true
	})
	return all
}

// withoutCase are the words that cannot be compared, and why.
var withoutCase = map[string]string{
	"global handover":       "lb's own word: TestPolicies in test/handover",
	"global nbproc":         "HAProxy 2.6 refuses it, and lb has one worker in any case: TestVerdictsAgainstHAProxy in lb/config",
	"server no-renegotiate": "it forbids what neither OpenSSL 3 nor Go does of itself, so that with and without it the same is seen: TestNewerWords in lb/config",
}

// openKeywords and openSamples are the words that still lack a case.
const openKeywords = `
`

const openSamples = `
`
