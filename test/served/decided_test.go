package served

import (
	"regexp"
	"slices"
	"strings"
)

// decision is a difference that is meant: a documented one, or one that chance makes between two runs of HAProxy itself.
type decision struct {
	why   string // where it is documented
	alike func(what, theirs, ours string) bool
}

// replaced makes a decision: what is left of both is the same when what matches is taken away.
func replaced(why, what string, patterns ...string) decision {
	var list []*regexp.Regexp
	for _, p := range patterns {
		list = append(list, regexp.MustCompile(p))
	}
	about := regexp.MustCompile(what)
	return decision{why, func(what, theirs, ours string) bool {
		if !about.MatchString(what) {
			return false
		}
		for _, re := range list {
			theirs, ours = re.ReplaceAllString(theirs, ""), re.ReplaceAllString(ours, "")
		}
		return theirs == ours
	}}
}

// decisions, in the order of the documents.
var decisions = []decision{
	replaced("logs.md: bytes of the 400 or 408 that answers an unreadable request", `line$`, ` B$`),
	replaced("logs.md: stats auth without a password has status 401, in HAProxy's log 400", `line$`, `(<STATS> \S+ )40[01]`),
	replaced("logs.md: a redirect after a complete body keeps the connection", `answer$`, `^then closed$`, `^HTTP/1.1 30\d [A-Z a-z]+?( close)? \|`),
	{"logs.md: an errorfile is sent with a length, so that the connection outlives it", func(what, theirs, ours string) bool {
		return strings.HasSuffix(what, "answer") && (theirs == "then closed" && ours == "" || errorFile.ReplaceAllString(theirs, "") == errorFile.ReplaceAllString(ours, "") && ownPage.MatchString(theirs))
	}},
	replaced("http2.md: the log shows the path as it was requested", ` h2 .*line$`, `https?://[^/ ]+`),
	replaced("logs.md: status has a value in log-format", `^captures: .*line$`, ` (200|404|500|503|302|304|101|400|-) \S+$`),
	replaced("haproxy-compat.md: a line 'dispatch' is a server of that name", `^old-1.4: `, `/dispatch`, `/<NOSRV>`, ` lbtot=\d+`),
	replaced("haproxy-compat.md: servers of different weights have their turns in another order", `^env-conditions: .*line$`, ` b/[st] `),
	replaced("logs.md: the statistics page and the metrics are sent with a length, and the page with a policy", `answer$`, ` chunked`, ` content-length=\*;`,
		` content-security-policy=.*base-uri 'none'; frame-ancestors 'none';`, `; charset=utf-8`, `; referrer-policy=same-origin`),
	replaced("logs.md: the statistics page is sent with a length, also to HEAD", ` HEAD .*answer$`, ` content-length=\d{5};`, ` content-security-policy=.*base-uri 'none'; frame-ancestors 'none';`, `; charset=utf-8`, `; referrer-policy=same-origin`),
	{"by chance: HAProxy has read a client's first bytes, or not, when it finds that no server is up (option dontlognull)", func(what, theirs, ours string) bool {
		return strings.HasSuffix(what, "line") && (theirs == "" || ours == "") && strings.Contains(theirs+ours, "/<NOSRV> -1/-1/N ") && strings.Contains(theirs+ours, " SC ")
	}},
	{"by chance: what a client sends to a connection that was dropped silently finds nobody, or is not sent any more", func(what, theirs, ours string) bool {
		return strings.HasPrefix(what, "minecraft: ") && (theirs == "closed" && ours == "silence" || theirs == "silence" && ours == "closed")
	}},
}

// Of the files in testdata/etc/errors.
var (
	errorFile = regexp.MustCompile(`^HTTP/1.[01]| close|content-length=\d+; `)
	ownPage   = regexp.MustCompile(`"<h1>(No|Back soon)</h1>`)
)

// decided reports whether some decisions make two texts alike.
func decided(what, theirs, ours string) bool {
	return slices.ContainsFunc(decisions, func(d decision) bool { return d.alike(what, theirs, ours) })
}
