package served

import (
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// difference is one between what HAProxy gave and what lb gave for a file: its text, what of it, and both.
type difference struct{ file, what, theirs, ours string }

// decision is a difference that is meant: a documented one, or one that chance makes between two runs of HAProxy itself.
type decision struct {
	why    string // where it is documented
	chance bool   // not in every run
	alike  func(difference) bool
}

// replaced makes a decision: what is left of both is the same when what matches is taken away.
func replaced(why, what string, patterns ...string) decision {
	var list []*regexp.Regexp
	for _, p := range patterns {
		list = append(list, regexp.MustCompile(p))
	}
	about := regexp.MustCompile(what)
	return decision{why: why, alike: func(d difference) bool {
		if !about.MatchString(d.what) {
			return false
		}
		for _, re := range list {
			d.theirs, d.ours = re.ReplaceAllString(d.theirs, ""), re.ReplaceAllString(d.ours, "")
		}
		return d.theirs == d.ours
	}}
}

// decisions, in the order of the documents.
var decisions = []decision{
	replaced("logs.md: stats auth without a password has status 401, in HAProxy's log 400", `line$`, `(<STATS> \S+ )40[01]`),
	replaced("logs.md: a redirect after a complete body keeps the connection", `answer$`, `^then closed$`, `^HTTP/1.1 30\d [A-Z a-z]+?( close)? \|`),
	{why: "logs.md: an errorfile is sent with a length, so that the connection outlives it", alike: func(d difference) bool {
		return strings.HasSuffix(d.what, "answer") && (d.theirs == "then closed" && d.ours == "" || errorFile.ReplaceAllString(d.theirs, "") == errorFile.ReplaceAllString(d.ours, "") && ownPage.MatchString(d.theirs))
	}},
	{why: "logs.md: %[status] has a value in log-format", alike: func(d difference) bool { // the last but one word of the format
		return strings.HasPrefix(d.what, "captures: ") && strings.HasSuffix(d.what, "line") && noStatus.MatchString(d.theirs) && status.ReplaceAllString(d.ours, "$1 - $3") == d.theirs
	}},
	replaced("logs.md: the statistics page and the metrics are sent with a length, and the page with a policy", `answer$`, ` chunked`, ` content-length=\*;`,
		` content-security-policy=.*base-uri 'none'; frame-ancestors 'none';`, `; charset=utf-8`, `; referrer-policy=same-origin`),
	replaced("logs.md: the statistics page is sent with a length, also to HEAD", ` HEAD .*answer$`, ` content-length=\d{5};`, ` content-security-policy=.*base-uri 'none'; frame-ancestors 'none';`, `; charset=utf-8`, `; referrer-policy=same-origin`),
	{why: "by chance: either program has read a client's first bytes, or not, when it finds that no server is up (option dontlognull)", chance: true, alike: func(d difference) bool {
		return dontLogNull.MatchString(d.file) && strings.HasSuffix(d.what, "line") && (d.theirs == "" || d.ours == "") && nullLine.MatchString(d.theirs+d.ours)
	}},
	{why: "by chance: what a client sends to a connection that was dropped silently finds nobody, or is not sent any more", chance: true, alike: func(d difference) bool {
		return strings.HasPrefix(d.what, "minecraft: ") && strings.Contains(d.what, " from 10.9.0.1 ") && (d.theirs == "closed" && d.ours == "silence" || d.theirs == "silence" && d.ours == "closed")
	}},
}

var (
	dontLogNull = regexp.MustCompile(`(?m)^\s*option\s+dontlognull\b`)
	nullLine    = regexp.MustCompile(`/<NOSRV> -1/-1/N (0|B) SC C/C/C/C/0 0/0$`) // of tcplog: nothing was read, nothing sent
	noStatus    = regexp.MustCompile(` - \S+$`)
	status      = regexp.MustCompile(`^(.*) (\d{3}) (\S+)$`)
)

// Of the files in testdata/etc/errors.
var (
	errorFile = regexp.MustCompile(`^HTTP/1.[01]| close|content-length=\d+; `)
	ownPage   = regexp.MustCompile(`"<h1>(No|Back soon)</h1>`)
)

// needed are the decisions that something needed, by their place.
var needed = make([]atomic.Bool, len(decisions))

// decided reports whether some decisions make two texts alike.
func decided(d difference) bool {
	for i := range decisions {
		if decisions[i].alike(d) {
			needed[i].Store(true)
			return true
		}
	}
	return false
}

// unneeded fails the test for each decision that nothing needed.
func unneeded(t *testing.T) {
	t.Helper()
	for i, d := range decisions {
		if !d.chance && !needed[i].Load() {
			t.Errorf("nothing needs the decision any more, so that it has to go: %s", d.why)
		}
	}
}
