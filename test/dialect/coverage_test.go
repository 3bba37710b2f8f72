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
var withoutCase = map[string]string{}

// openKeywords and openSamples are the words that still lack a case.
const openKeywords = `
global pp2-never-send-local
server downinter
server enabled
server fastinter
server no-backup
server no-check
server max-reuse
server pool-max-conn
server check-alpn
server check-send-proxy
server error-limit
server no-agent-check
server no-check-send-proxy
server no-check-ssl
server observe
server on-error
server on-marked-down
server on-marked-up
server slowstart
global h2-workaround-bogus-websocket-clients
bind severity-output
global handover
global nbproc
global pidfile
global nosplice
proxy clitimeout
proxy timeout client-hs
proxy contimeout
proxy srvtimeout
proxy timeout server-hs
proxy option forceclose
proxy redispatch
proxy option transparent
proxy reqadd
proxy rspadd
proxy reqdel
proxy reqidel
proxy rspdel
proxy rspidel
proxy compression algo-res
proxy compression type-res
proxy compression direction
proxy compression minsize-res
proxy filter cache
proxy option accept-unsafe-violations-in-http-request
proxy option accept-unsafe-violations-in-http-response
proxy hash-preserve-affinity
bind accept-netscaler-cip
bind maxconn
bind transparent
bind v4v6
bind v6only
bind no-sslv3
bind no-tlsv10
bind no-tlsv11
bind no-tlsv12
bind no-tlsv13
bind force-sslv3
bind force-tlsv10
bind force-tlsv11
bind force-tlsv12
bind force-tlsv13
bind default-crt
bind no-alpn
bind no-strict-sni
bind tls-tickets
server stick
server check-proto
server ws
server no-ssl
server no-tls-tickets
server ssl-reuse
server tls-tickets
server no-sslv3
server no-tlsv10
server no-tlsv11
server no-tlsv12
server no-tlsv13
server force-sslv3
server force-tlsv10
server force-tlsv11
server force-tlsv12
server force-tlsv13
server agent-addr
server agent-send
server sni-auto
server no-sni-auto
server no-renegotiate
server hash-key
server init-state
fetch ssl_bc_alg_keysize
fetch ssl_bc_client_random
fetch ssl_bc_err
fetch ssl_bc_err_str
fetch ssl_bc_npn
fetch ssl_bc_server_random
fetch ssl_bc_session_id
fetch ssl_bc_unique_id
fetch ssl_bc_use_keysize
fetch ssl_s_chain_der
fetch ssl_s_der
fetch ssl_s_i_dn
fetch ssl_s_key_alg
fetch ssl_s_notafter
fetch ssl_s_notbefore
fetch ssl_s_sha1
fetch ssl_s_sig_alg
fetch ssl_s_version
`

const openSamples = `
`
