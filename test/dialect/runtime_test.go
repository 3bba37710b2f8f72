package dialect

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/test/tape"
)

// invocations are what is sent of each command of the page: right uses, wrong ones, and none.
var invocations = map[string][]string{
	"add server":                     {"add server", "add server b1", "add server b1/n1", "add server nope/n1 127.0.0.1:1", "add server b1/s1 127.0.0.1:1", "add server b1/n1 127.0.0.1:1", "add server b1/n1 127.0.0.1:1", "add server b1/n2 127.0.0.1:1 cookie x", "add server b1/n2 127.0.0.1:1 nope", "add server b1/n2 127.0.0.1:1 check weight 7 id 44 maxconn 5", "add server b1/n3 127.0.0.1:1 track b1/n1", "enable server b1/n2", "get weight b1/n2"},
	"del server":                     {"del server", "del server b1", "del server b1/nope", "del server b1/s1", "add server b1/n5 127.0.0.1:1", "del server b1/n5", "del server b1/n5", "set server b2/s3 state maint", "del server b2/s3", "show servers state b2"},
	"disable agent":                  {"disable agent", "disable agent b1/nope", "disable agent b1/s1"},
	"enable agent":                   {"enable agent", "enable agent b1/nope", "enable agent b1/s1"},
	"disable health":                 {"disable health", "disable health b1/s1", "disable health b1/s2", "disable health b1/nope", "disable health nope/s1"},
	"enable health":                  {"enable health", "enable health b1/s1", "enable health b1/s2", "enable health b1/nope"},
	"disable server":                 {"disable server", "disable server b1", "disable server b1/nope", "disable server b1/s1"},
	"enable server":                  {"enable server", "enable server b1/s1", "enable server nope/s1"},
	"get weight":                     {"get weight", "get weight b1/s1", "get weight b1/nope", "get weight b1", "get weight b1/#1", "get weight #4/s2", "get weight #4/#2", "get weight b1/#77"},
	"set weight":                     {"set weight", "set weight b1/s1", "set weight b1/s1 7", "set weight b1/s1 300", "get weight b1/s1", "set weight b3/h1 7", "set weight b2/s3 50%"},
	"set maxconn server":             {"set maxconn server", "set maxconn server b1/s1 7", "set maxconn server b1/nope 7", "set maxconn server b1/s1 x", "set maxconn server b1/s1 5x"},
	"set server":                     {"set server", "set server b1/s1", "set server b1/s1 state drain", "set server b1/s1 state ready", "set server b1/s1 weight 5", "set server b1/s1 health up", "set server b1/s1 addr", "set server b1/s1 addr x", "set server b1/s1 addr 127.0.0.9", "set server b1/s1 addr 127.0.0.1", "set server b1/s1 addr 127.0.0.1 port 7", "set server b1/s1 addr 127.0.0.1 port 7", "set server b1/s1 addr ::1 port 8", "set server b1/s1 addr ::1 port x", "set server b1/s1 addr ::1 port 70000", "set server b1/s1 check-addr", "set server b1/s1 check-addr 127.0.0.3 port 9", "set server b1/s1 check-addr x", "set server b1/s1 check-port x", "set server b1/s2 check-port 5", "set server b1/s1 fqdn", "set server b1/s1 fqdn x", "set server b1/s1 ssl on", "set server b1/s1 nope", "set server b1/s1 agent", "set server b1/s1 agent-addr", "set server b1/s1 agent-port", "set server b1/s1 agent-addr 127.0.0.1", "set server b1/s1 check-addr 127.0.0.3 port", "set server b1/s1 check-port -1", "set server b1/#1 weight 6"},
	"show servers conn":              {"show servers conn b1", "show servers conn nope"},
	"show servers state":             {"show servers state b2", "show servers state nope"},
	"shutdown sessions server":       {"shutdown sessions server", "shutdown sessions server b1/s1", "shutdown sessions server b1/nope", "shutdown sessions server b1"},
	"disable dynamic-cookie backend": {"disable dynamic-cookie backend", "disable dynamic-cookie backend b1"},
	"enable dynamic-cookie backend":  {"enable dynamic-cookie backend", "enable dynamic-cookie backend b1"},
	"set dynamic-cookie-key backend": {"set dynamic-cookie-key backend", "set dynamic-cookie-key backend b1 x"},

	"disable frontend":     {"disable frontend", "disable frontend nope", "disable frontend f2", "disable frontend f2"},
	"enable frontend":      {"enable frontend", "enable frontend nope", "enable frontend f2", "enable frontend f2", "enable frontend #3", "enable frontend #99"},
	"set maxconn frontend": {"set maxconn frontend", "set maxconn frontend f1", "set maxconn frontend nope 5", "set maxconn frontend f1 50", "set maxconn frontend f1 0", "set maxconn frontend f1 x", "set maxconn frontend #2 60"},
	"set maxconn global":   {"set maxconn global", "set maxconn global 99999999", "set maxconn global 50", "set maxconn global 0", "set maxconn global x"},
	"set rate-limit":       {"set rate-limit", "set rate-limit connections global", "set rate-limit nope global 7", "set rate-limit connections global 7000", "set rate-limit sessions global 7000", "set rate-limit ssl-sessions global 7000", "set rate-limit sessions global x", "set rate-limit http-compression global 7"},
	"show sess":            {"show sess", "show sess 0x12345", "show sess all"},
	"shutdown frontend":    {"shutdown frontend", "shutdown frontend nope", "shutdown frontend f2", "shutdown frontend f2", "enable frontend f2", "disable frontend f2"},
	"shutdown session":     {"shutdown session", "shutdown session 0x123", "shutdown session zz"},
	"show errors":          {"show errors", "show errors f1", "show errors nope", "show errors b1 request", "show errors #99"},

	"add acl":     {"add acl", "add acl DIR/a.lst", "add acl nope x", "add acl DIR/a.lst /new", "show acl DIR/a.lst"},
	"clear acl":   {"clear acl", "clear acl nope", "clear acl DIR/a.lst", "show acl DIR/a.lst"},
	"commit acl":  {"commit acl", "commit acl @1", "commit acl @7 DIR/a.lst", "commit acl DIR/a.lst"},
	"del acl":     {"del acl", "del acl nope x", "del acl DIR/a.lst nope", "add acl DIR/a.lst /x", "del acl DIR/a.lst /x", "show acl DIR/a.lst"},
	"get acl":     {"get acl", "get acl DIR/a.lst", "get acl nope x", "add acl DIR/a.lst /y", "get acl DIR/a.lst /y", "get acl DIR/a.lst /z"},
	"prepare acl": {"prepare acl", "prepare acl nope", "prepare acl DIR/a.lst", "add acl @1 DIR/a.lst /v1", "add acl @9 DIR/a.lst /v9", "show acl @1 DIR/a.lst", "show acl DIR/a.lst", "commit acl @1 DIR/a.lst", "commit acl @1 DIR/a.lst", "show acl DIR/a.lst"},
	"add map":     {"add map", "add map DIR/m.map", "add map DIR/m.map k", "add map nope k v", "add map DIR/m.map /new v", "add map DIR/m.map /extra v w", "add map DIR/m.map <<\nk\n", "add map DIR/m.map <<\nk1 v1\nset server b1/s1 state maint\nk2 v2\n", "show map DIR/m.map"},
	"clear map":   {"clear map", "clear map nope", "clear map DIR/m.map", "show map DIR/m.map"},
	"commit map":  {"commit map", "commit map @1", "commit map @7 DIR/m.map", "commit map DIR/m.map"},
	"del map":     {"del map", "del map nope x", "del map DIR/m.map nope", "add map DIR/m.map /x y", "del map DIR/m.map /x", "show map DIR/m.map"},
	"get map":     {"get map", "get map DIR/m.map", "get map nope x", "add map DIR/m.map /y z", "get map DIR/m.map /y/sub", "get map DIR/m.map q"},
	"prepare map": {"prepare map", "prepare map nope", "prepare map DIR/m.map", "add map @1 DIR/m.map /v1 one", "add map @1 DIR/m.map <<\n/v2 two\n/v3 three\n", "add map @9 DIR/m.map /v9 x", "show map @1 DIR/m.map", "show map @7 DIR/m.map", "clear map @1 DIR/m.map", "add map @1 DIR/m.map /v4 four", "show map DIR/m.map", "commit map @1 DIR/m.map", "commit map @1 DIR/m.map", "show map DIR/m.map"},
	"set map":     {"set map", "set map DIR/m.map", "set map DIR/m.map k", "set map nope k v", "set map DIR/m.map nope v", "add map DIR/m.map /s 1", "set map DIR/m.map /s 2 3", "get map DIR/m.map /s"},
	"show acl":    {"show acl", "show acl nope", "show acl DIR/a.lst"},
	"show map":    {"show map", "show map nope", "show map DIR/m.map"},
	"clear table": {"clear table", "clear table nope", "clear table b2", "clear table b2 key 10.0.0.1"},
	"set table":   {"set table", "set table nope", "set table b2 key 10.0.0.1 data.gpc0 5", "set table b2 key 10.0.0.1 data.nope 5"},
	"show table":  {"show table nope", "show table b2 key 10.0.0.9"},
	"get var":     {"get var", "get var proc.nope", "user;get var proc.x", "experimental-mode on; set var proc.b bin(0a0b)", "get var proc.b"},
	"set var":     {"set var proc.x str(a)", "experimental-mode on; set var proc.x str(a)", "get var proc.x", "experimental-mode on; set var proc.y expr int(5)", "experimental-mode on; set var proc.z fmt a%[var(proc.y)]b", "get var proc.y", "get var proc.z", "experimental-mode on; set var proc.x", "experimental-mode on; set var txn.x str(a)", "experimental-mode on; set var proc.x src"},

	"clear counters":    {"clear counters", "clear counters all", "clear counters foo"},
	"show activity":     {"show activity"},
	"show backend":      {"show backend"},
	"show cache":        {"show cache", "user;show cache"},
	"show env":          {"show env NOT_THERE"},
	"show events":       {"show events", "show events nope", "show events ring1", "show events ring1 -z"},
	"show fd":           {"show fd", "show fd 99999"},
	"show info":         {"show info"},
	"show libs":         {"show libs"},
	"show peers":        {"show peers"},
	"show pools":        {"show pools"},
	"show profiling":    {"show profiling", "show profiling status"},
	"set profiling":     {"set profiling", "set profiling tasks", "set profiling tasks nope", "set profiling memory nope", "set profiling memory on", "set profiling tasks on", "set profiling tasks off", "set profiling nope on"},
	"show resolvers":    {"show resolvers"},
	"show schema json":  {"show schema json"},
	"show startup-logs": {"show startup-logs", "user;show startup-logs"},
	"show stat":         {"show stat", "show stat nope 1 -1"},
	"show tasks":        {"show tasks"},
	"show threads":      {"show threads"},
	"show tls-keys":     {"show tls-keys"},
	"show trace":        {"show trace"},
	"show version":      {"show version"},
	"trace":             {"trace"},

	"abort ssl ca-file": {"abort ssl ca-file"}, "abort ssl cert": {"abort ssl cert", "abort ssl cert x"}, "abort ssl crl-file": {"abort ssl crl-file"},
	"add ssl crt-list": {"add ssl crt-list"}, "commit ssl ca-file": {"commit ssl ca-file"}, "commit ssl cert": {"commit ssl cert"}, "commit ssl crl-file": {"commit ssl crl-file"},
	"del ssl ca-file": {"del ssl ca-file"}, "del ssl cert": {"del ssl cert"}, "del ssl crl-file": {"del ssl crl-file"}, "del ssl crt-list": {"del ssl crt-list"},
	"new ssl ca-file": {"new ssl ca-file"}, "new ssl cert": {"new ssl cert"}, "new ssl crl-file": {"new ssl crl-file"},
	"set ssl ca-file": {"set ssl ca-file"}, "set ssl cert": {"set ssl cert", "set ssl cert x <<\nshow version\n"}, "set ssl crl-file": {"set ssl crl-file"},
	"set ssl ocsp-response": {"set ssl ocsp-response"}, "set ssl tls-key": {"set ssl tls-key"},
	"show ssl ca-file": {"show ssl ca-file"}, "show ssl cert": {"show ssl cert"}, "show ssl crl-file": {"show ssl crl-file"}, "show ssl crt-list": {"show ssl crt-list"},
	"show ssl ocsp-response": {"show ssl ocsp-response"}, "show ssl providers": {"show ssl providers"},

	"_getsocks":           {"_getsocks"}, // without expose-fd
	"experimental-mode":   {"experimental-mode", "experimental-mode on", "experimental-mode on;experimental-mode", "experimental-mode off;experimental-mode"},
	"expert-mode":         {"expert-mode", "expert-mode on;expert-mode", "expert-mode on;expert-mode off;expert-mode"},
	"help":                {"help"},
	"operator":            {"operator;show cli level", "operator;set weight b1/s1 1"},
	"prompt":              {"prompt;show cli level", "prompt;prompt"},
	"quit":                {"quit", "quit;show cli level"},
	"set severity-output": {"set severity-output", "set severity-output bogus", "set severity-output number;set weight b1/s1 999;get weight b1/nope;show cli level", "set severity-output string;set weight b1/s1 999;show cli level", "set severity-output none;get weight b1/nope"},
	"set timeout":         {"set timeout", "set timeout cli", "set timeout cli 5s", "set timeout foo 1"},
	"show cli level":      {"show cli level"},
	"show cli sockets":    {"show cli sockets"},
	"user":                {"user;show cli level", "user;clear counters all"},

	"wait": {"wait", "wait 1", "wait 1 srv-removable b2/s3"}, "add backend": {"add backend x from y"}, "del backend": {"del backend b1"},
	"publish backend": {"publish backend b1"}, "unpublish backend": {"unpublish backend b1"}, "set anon": {"set anon on"}, "show anon": {"show anon"},
	"dump stats-file": {"dump stats-file"}, "show dev": {"show dev"}, "debug": {"debug dev check", "debug dev fd"}, "httpclient": {"httpclient GET http://127.0.0.1:1/"},
}

// toMaster are what is sent to the master's socket, by the rows of the page.
var toMaster = map[string][]string{
	"@":                               {"@;show cli level", "@1;show cli level;@;show cli level", "@!1 show cli level"},
	"@master":                         {"@master show cli level", "@1;show cli level;@master;show cli level"},
	"expert-mode on the master":       {"expert-mode", "expert-mode on;expert-mode off", "prompt;expert-mode on"},
	"experimental-mode on the master": {"experimental-mode", "experimental-mode on", "experimental-mode on; @1 experimental-mode", "experimental-mode on; @1 set var proc.m int(3); @1 get var proc.m", "experimental-mode on; experimental-mode off; @1 experimental-mode", "expert-mode on; @1 expert-mode"},
	"mcli-debug-mode":                 {"mcli-debug-mode", "mcli-debug-mode on;show activity"},
	"operator on the master":          {"operator;show cli level", "operator;@1 show cli level", "operator;@1 clear counters all", "operator;operator;show cli level", "user;operator"},
	"user on the master":              {"user;show cli level", "user;reload", "user;@1 set weight b1/s1 5", "user;@1 show cli level;@1 clear counters all", "@1 get weight b1/s1"},
	"prompt on the master":            {"prompt;experimental-mode on"},
	"show cli level on the master":    {"show cli level"},
	"show cli sockets on the master":  {"show cli sockets"},
	"show proc":                       {"show proc"},
	"show version on the master":      {"show version"},
	"help on the master":              {"help"},
	"quit on the master":              {"quit", "quit;show cli level"},
}

// reloading comes last: HAProxy's master answers nobody meanwhile.
var reloading = map[string][]string{"reload": {"user;reload", "reload"}}

// master sends a command to the master's socket.
func (s *subject) master(text string) string {
	s.t.Helper()
	return tape.Observe(s.tape, "master "+text, func() string {
		out, err := s.MasterCommand(text)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) { // as HAProxy's master starts anew
			s.t.Fatalf("%s: %s: %v", s.name, text, err)
		}
		return s.mask(out)
	})
}

// document is the page of the commands.
const document = "../../docs/runtime-api.md"

// verdicts reads the page: what it says of each command.
func verdicts(t *testing.T) map[string]string {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`( on the master)? \\| (same|differs: .*|no: .*) \\|$").FindAllStringSubmatch(string(text), -1) {
		said[m[1]+m[2]], _, _ = strings.Cut(m[3], ":")
	}
	return said
}

// passing is what differs between two processes although both are right: where an entry lies, when a server changed, its port, and line numbers of a file.
var passing = regexp.MustCompile(`0x[0-9a-f]+|(?m)^(\d+ \S+ \d+ \S+ \S+ \d+ \d+ \d+ \d+) \d+ |file '[^']*' line \d+| - \d{4,5} - `)

// TestRuntimeAPI sends every command that HAProxy has to both, and holds the page to the answers: none is unknown.
func TestRuntimeAPI(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE")+`
ring ring1
  size 32764
frontend f1
  bind HTTP
  maxconn 100
  http-request set-header X-M %[path,map_beg(DIR/m.map,none)]
  http-request deny if { path -f DIR/a.lst }
  default_backend b1
frontend f2
  bind HTTP2
  default_backend b1
backend b1
  server s1 S1 check inter 1h weight 10
  server s2 S2
backend b2
  stick-table type ip size 100 expire 1h store gpc0
  server s3 S3
backend b3
  balance source
  server h1 S3
`, map[string]string{"m.map": "/a va\n/b vb\n", "a.lst": "/bad\n/worse\n"})
	said := verdicts(t)
	bad := func(s *subject) string { // for show errors
		c := s.dial(s.addr)
		defer c.Close()
		return c.do("GET /x HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n")[:3]
	}
	if want, got := seen(theirs, bad), bad(ours); want != "400" || got != want {
		t.Errorf("a bad request: %s and %s", want, got)
	}

	// Whatever HAProxy's help or manual has is in a row, and every row is tried.
	rows := keys(said)
	known := func(usage, where string) {
		usage = strings.Replace(usage, "new ssl crlfile", "new ssl crl-file", 1) // as HAProxy's help misspells it
		if !slices.ContainsFunc(rows, func(words string) bool {
			words, _, _ = strings.Cut(words, " on the master")
			return usage == words || strings.HasPrefix(usage, words+" ") || words == "@" && usage[0] == '@'
		}) {
			t.Errorf("%s has no row for %q, which is in HAProxy's %s", document, usage, where)
		}
	}
	offered := offers(theirs.command("help") + theirs.command("expert-mode on; experimental-mode on; help"))
	masters := offers(theirs.master("help"))
	manual, ofMaster := manuals(t)
	for where, list := range map[string][]string{"help": offered, "help on the master's socket": masters, "manual (9.3)": manual, "manual (9.4.1)": ofMaster} {
		for _, usage := range list {
			known(usage, where)
		}
	}
	for _, words := range rows {
		if len(invocations[words])+len(toMaster[words])+len(reloading[words]) == 0 {
			t.Errorf("%q is not tried", words)
		}
	}
	count := map[string]int{}
	sent := 0
	for _, part := range []struct {
		tried        map[string][]string
		order        []string
		theirs, ours func(string) string
	}{
		{invocations, keys(invocations), theirs.command, ours.command},
		{toMaster, keys(toMaster), theirs.master, ours.master},
		{reloading, keys(reloading), theirs.master, ours.master},
	} {
		for _, words := range part.order {
			different := 0
			for _, command := range part.tried[words] {
				want, got := plain(part.theirs(command)), plain(part.ours(command))
				sent++
				switch {
				case want == got:
				case said[words] == "same":
					t.Errorf("%s:\n    lb: %q\nhaproxy: %q", command, got, want)
				default:
					different++
				}
			}
			if said[words] == "" {
				t.Errorf("%s has no row for %q", document, words)
			}
			if said[words] != "same" && different == 0 {
				t.Errorf("%s says that %q answers otherwise than HAProxy, and it does not", document, words)
			}
			count[said[words]]++
		}
	}
	t.Logf("%d commands: %d answer the same, %d differ as the page says, %d are refused with the reason; %d lines were sent to both; in HAProxy's help stand %d (and %d on the master's socket), in its manual %d (and %d): all have their row",
		len(rows), count["same"], count["differs"], count["no"], sent, len(offered), len(masters), len(manual), len(ofMaster))
}

// plain is an answer without what differs between two processes.
func plain(s string) string { return strings.TrimSpace(passing.ReplaceAllString(s, "$1 ~ ")) }

// offers are the usages in the answer of `help`, each once.
func offers(help string) (list []string) {
	for line := range strings.Lines(help) {
		if usage, _, ok := strings.Cut(strings.TrimSpace(line), " : "); ok && strings.HasPrefix(line, "  ") && !slices.Contains(list, strings.TrimSpace(usage)) {
			list = append(list, strings.TrimSpace(usage))
		}
	}
	return list
}

// manuals are the usages in HAProxy's management manual.
func manuals(t *testing.T) (stats, master []string) {
	text, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(string(text), "MASTER\n")
	lines := func(s string) (list []string) {
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				list = append(list, line)
			}
		}
		return list
	}
	return lines(first), lines(second)
}

// keys are a map's, in order.
func keys[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
