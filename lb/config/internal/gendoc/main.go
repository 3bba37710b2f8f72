// Gendoc writes docs/haproxy-compat.md from the keyword tables of lb/config:
//
//	go generate ./lb/config
//
// A test holds that the file in the tree is what it would write.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

func main() {
	out := flag.String("o", "", "file to write; without it, standard output")
	flag.Parse()
	var page bytes.Buffer
	render(&page)
	write := func(b []byte) error { return os.WriteFile(*out, b, 0o644) }
	if *out == "" {
		write = func(b []byte) error { _, err := os.Stdout.Write(b); return err }
	}
	if err := write(page.Bytes()); err != nil {
		fmt.Fprintf(os.Stderr, "gendoc: write the page: %v\n", err)
		os.Exit(1)
	}
}

const intro = `# HAProxy compatibility

<!-- Written by "go generate ./lb/config" from the keyword tables. Edit those. -->

` + "`lb`" + ` reads haproxy.cfg in the language of HAProxy ` + config.CompatVersion + ` (its configuration manual is the
reference for what each keyword means). No keyword is accepted silently:

| status | what happens |
|---|---|
| supported | it has its effect |
| translated | an older spelling that HAProxy itself gave up; read as today's, with a notice |
| ignored | accepted without effect, with a notice that gives the reason |
| refused | an error with its line and the way out; the configuration does not load |

` + "`lb -c -f FILE`" + ` prints all errors and notices of a file and changes nothing.

## Where lb is stricter

- An empty argument in the middle of a line (` + "`\"${UNSET}\"`" + `) is an error; HAProxy reads nothing after it.
- Both sides of a condition in ` + "`.if`" + ` are checked, and versions in it must be versions.
- ` + "`http-response set-status`" + ` and error files with a status of 1xx are errors: such a status announces another answer, and a client would take the
  body for it. HAProxy closes the connection when the rule applies.
- A 101 for a protocol that the request did not offer, for a WebSocket whose Sec-WebSocket-Key a rule has deleted, or with another Sec-WebSocket-Accept than the key asks for, is a 502. HAProxy does not look at the first, makes up a key,
  and leaves a wrong answer to the client. A request to
  upgrade that has a body (as Docker's clients send it) keeps its Upgrade field, which HAProxy 2.6 takes away.
- An answer that rules make a tunnel for one side only (` + "`set-status 200`" + ` on a 101, ` + "`set-method GET`" + ` for CONNECT) is a 502.
- A status with a body, made by ` + "`set-status`" + ` of one without, has ` + "`Content-Length: 0`" + `, whatever length the server named.
- What client and server say of their own connection (Connection, Keep-Alive, Proxy-Connection, TE but for trailers) ends at lb before rules see it.
  What rules write there holds for the connection that the head leaves by, as with HAProxy.
- A request of HTTP/1.1 without Host is a 400, and so is a malformed one (` + "`a:80:90`, `:80`" + `); where HTTP/1.0 has none, rules and servers see the host of an absolute
  target. HAProxy passes both on as they are.
- A transfer coding beneath chunked (` + "`Transfer-Encoding: gzip, chunked`" + `) is a 502 for clients of HTTP/1.0 and HTTP/2, which cannot be informed of it.
- In log formats ` + "`%]` and `%(name)x`" + ` are errors, for what comes after the ` + "`%`" + ` is missing or unknown; HAProxy takes them. In arguments of samples ` + "`\\,`" + ` is a comma
  (` + "`str(a\\,b)`" + `, which HAProxy refuses).
- Two servers of one name in a backend are an error, also where ` + "`id`" + ` tells them apart: sessions, states, pools and commands (` + "`set server b/NAME`" + `) find a
  server by its name, over reloads, too. Give each a name of its own; ` + "`id`" + ` may stay.
- Numbers that HAProxy reads as C does are read so here, with a warning that says what was read: ` + "`maxconn 10;`" + ` is 10, ` + "`maxconn abc`" + ` is 0, ` + "`maxconn -1`" + ` is
  very large. Numbers that make no sense (a port of 70000, ` + "`len -1`, `retries -1`, `max-reuse -2`" + `), and those beyond 31 bits, are errors.
- A list of ciphers or curves of which Go has none (DHE, CAMELLIA, NULL, brainpool curves) is an error where TLS uses it. Where no line with ` + "`ssl`" + ` does, it is a warning.
- ` + "`log fd@3`" + ` and higher descriptors are an error: workers inherit 1 and 2 only, whoever started them.
- What a disabled proxy names is not looked up, as in HAProxy (a notice says what is missing); but its lines must be well-formed: an unknown variable in its log-format or a
  server's name that stands twice is an error.
- A misspelled section is one error, and its lines are not read as part of the section before.

## Where framing is stricter

What lb takes, it and the server take for the same request. As in HAProxy 2.6, a message that says its length in two ways that agree is passed on with one: of equal
numbers (in several Content-Length, or in a list in one) the first, of chunks and a length the chunks. After chunks with a length, and after chunks of HTTP/1.0, the connection ends: what its
peer took for a part of the message is never read. lb sends a request of HTTP/1.0 with chunks to the server as HTTP/1.1, and an answer with them to the client, for a server that ignores chunks in
1.0 would take them for the next request; HAProxy sends it as it is. lb answers 400 to what follows; HAProxy 2.6 passes it on, as it is or corrected:

- ` + "`Transfer-Encoding: chunked,`" + ` with an empty element
- chunks whose lines end without CR, and trailers that name a length, a coding or a host
- a header line that continues the one before it (folding), a control character or NUL in a value
- more than one blank, or a tab, in the request line; ` + "`HTTP/2.0`" + ` in it
- HTTP/1.1 without Host; a Host with several names, a path, an open bracket or two ports; a user in the target (` + "`http://user@host/`" + `)

What HTTP/2 can carry and HTTP/1 cannot ends its stream (PROTOCOL_ERROR) in both. lb also refuses what HAProxy 2.6 passes on or corrects: control characters and
blanks around a value, several hosts without an authority, a user, path or bad port in the authority, no authority at all, lengths that are equal
or a list, a length without a body, an asterisk that is not of OPTIONS, bytes beyond ASCII in a path, CONNECT but for WebSockets, more fields than a head
may have. A length or a host in trailers is not passed on; HAProxy ends the stream.

Answers of servers are held to the same rules for their heads (a folded line or a
control character in one, or an empty line before its first, is a 502, and ` + "`show errors`" + ` says which), and more than 1,000 interim answers (1xx) to one request are a 502, or the end of the
connection as the client has seen some; HAProxy passes on any number. In one point lb takes more: a target without a path (` + "`http://host?query`" + `), which
RFC 9112 allows, is a 400 in HAProxy.

## Where rules differ

- Regular expressions are PCRE's, matched byte by byte. Those with lookaround, backreferences, atomic groups or possessive quantifiers are matched by backtracking, which may
  take some hundredths of a second for one text (HAProxy has PCRE's match limit); one that takes longer does not match. All others take a time that is linear in the text. Recursion, conditionals,
  verbs and ` + "`\\K`" + ` are refused.
- ` + "`hdr_ip`" + ` also reads an IPv6 address in brackets, with or without a port; HAProxy 2.6 passes over it, and a list that denies would let it by.
  So does whatever else makes an address of a text (` + "`http-request set-src hdr(x)`, `-m ip`, `ipmask`, `map_ip`" + `, keys of stick tables). There, as in HAProxy, an IPv4 address ends
  at the first character that is no digit and no dot: ` + "`192.0.2.1:443`" + ` and ` + "`192.0.2.1;x`" + ` are that address.
- A target without a path (` + "`*`" + `, or ` + "`http://host`" + `) stays as it is under ` + "`set-query`" + ` when it is ` + "`*`" + `; HAProxy makes ` + "`*?...`" + ` of it.
- ` + "`jwt_payload_query`" + ` and ` + "`jwt_header_query`" + ` without a path give all of that part, as the manual says; HAProxy 2.6.12 gives nothing.
- In mode http there is nothing to wait for when ` + "`tcp-request content`" + ` rules run: the request's head is there. ` + "`WAIT_END`" + ` holds at once, ` + "`req.payload`" + `
  has nothing, ` + "`req.len` and `res.len`" + ` have no value, and ` + "`tcp-request inspect-delay`" + ` is for mode tcp. There ` + "`http-request`" + ` rules do not run before an upgrade (` + "`switch-mode http`" + `), but the request's fields are known to
  ` + "`tcp-request content`" + ` rules and ` + "`use_backend`" + ` once its head has come.
- ` + "`http-request normalize-uri`" + ` with one of the normalizers that have an option, without it and with a condition, does what it says; HAProxy 2.6.12 merges slashes then.
- The converter ` + "`debug`" + ` gives its value on and writes it nowhere.
- Beside ` + "`dispatch`" + ` without ` + "`balance`" + `, lb asks the ` + "`server`" + ` lines in turn with it; HAProxy asks the address of ` + "`dispatch`" + ` alone, but for what cookies or ` + "`use-server`" + ` send to a server.
- ` + "`option checkcache`" + ` answers 502, as the manual says; HAProxy 2.6.12 sends its page for the status that the server gave.
- Arrays of stick tables (` + "`gpc(N)`, `gpt(N)`, `gpc_rate(N,PERIOD)`" + `) have at most 12 elements. Their first elements are ` + "`gpc0`, `gpc1` and `gpt0`" + `
  under another name, in tables that store either; HAProxy's array fetches find nothing in a table that stores ` + "`gpc0`" + `. In a table that stores
  ` + "`gpc(3),gpc0_rate(1m)`" + `, the array's words count into that rate and read it, too; HAProxy counts there what ` + "`sc-inc-gpc0`" + ` counts alone.
- ` + "`urlp(NAME,;)`" + `: parameters after the first ` + "`;`" + ` end at ` + "`?`" + ` too, as the manual says; HAProxy 2.6.12 takes ` + "`ID?x=1`" + ` for the value in ` + "`/p;name=ID?x=1`" + `.
- ` + "`tcp-response content close`" + ` is for mode tcp; in mode http it is an error. A server's first bytes that rules look into in mode tcp are held by the
  process that began with it: its tunnel moves over a reload once they have decided, or ` + "`tcp-response inspect-delay`" + ` is over. Rules without a delay
  are asked once, before the server has said anything, as in HAProxy; lb warns of them.
- With ` + "`roundrobin`" + `, servers of different weights get their parts in an order of lb's own: each server's turns are spread as evenly as they can be.
- ` + "`usesrc hdr_ip(NAME)`" + ` binds nothing for a request without that value, as the manual says: the connection comes from the address of ` + "`source`" + `. HAProxy 2.6.12 answers 500.
- ` + "`table_trackers`" + ` counts who tracks the key; HAProxy 2.6 counts the request that asks as well. ` + "`%bi` and `%bp`" + ` have no value where no connection to a server came to be.
- Files that a bind or server line names for TLS are not read where the line has no ` + "`ssl`" + ` (a notice says so); HAProxy reads them.
- ` + "`cpu_calls`, `cpu_ns_avg`, `cpu_ns_tot`, `lat_ns_avg` and `lat_ns_tot`" + ` are 0, with a warning: nobody measures what one request takes of the CPU. HAProxy counts calls, and
  times with ` + "`profiling.tasks`" + `.
- Numbers in fields, cookies and parameters (` + "`hdr_val`, `cook_val`, `urlp_val`" + `) have 64 bits; HAProxy 2.6 keeps the lower 32 of them. Its ` + "`add` and `sub`" + ` take a negative
  number and another negative one for an overflow, and its ` + "`ltime`, `utime` and `http_date`" + ` have wrong years before 1970; lb's are right.
- ` + "`cook`, `req.cook`" + ` and their kin find a cookie without a value at the end of its field (` + "`Cookie: a=`" + `), which HAProxy 2.6 does not. ` + "`res.cook_cnt`" + ` without a name
  counts cookies, not their attributes.
- ` + "`json_query`" + ` gives text in UTF-8; HAProxy 2.6 makes one byte of ` + "`\\u00e4`" + `.
- ` + "`http-response return`" + ` knows the answer in whose place it stands: ` + "`res.hdr` and `status`" + ` have a value in its format, and none in HAProxy. ` + "`capture.req.uri` and\n  `capture.req.method`" + `
  have a value in every rule, whatever is logged.
- Rules on Content-Length and Transfer-Encoding do nothing (a warning): they say where a message ends, and lb frames what it sends by itself. HAProxy frames anew where a rule deletes
  the field, and answers 500 or sends a wrong length where a rule sets another.
- ` + "`set-nice`" + ` and ` + "`strict-mode`" + ` are taken and change nothing: connections of a loop have the same priority, and a head that cannot be sent is an error.
- A variable of scope ` + "`proc`" + ` begins anew with each worker, as in HAProxy; one of scope ` + "`sess`" + ` moves with its connection.

## Where checks differ

- ` + "`http-check expect`" + ` lines of a proxy's own keep the request of its defaults (` + "`option httpchk`, `http-check send`" + `); HAProxy sends nothing then.
- Regular expressions are those of rules (above).
- When a server sends an interim answer (1xx) before the final one, ` + "`http-check expect`" + ` judges the interim answer's status and header fields, as in
  HAProxy, and the final answer's body, whenever that comes. HAProxy finds that body only if it comes together with the interim answer.
- Expressions and formats of checks know constants, ` + "`date`, `env`, `hostname`, `pid`, `rand`, `uuid`, `be_name`, `srv_name`, `var`, `status`" + ` and the payload of a
  ` + "`tcp-check`" + ` answer, with all converters but those of stick tables, and ` + "`%H`, `%b`, `%pid` and `%s`" + `. Others are refused. Line ends out of a variable are
  ` + "`%0D%0A`" + ` in a request's URI and headers; HAProxy sends them as they are, so they begin a new line there.
- What an agent repeats (` + "`ready`, `drain`, `maint`" + `, a weight, a maxconn) changes nothing: what an operator does after it was said first holds until the agent says something
  else, also over reloads. HAProxy does it again each time the agent says it, so an operator's command holds for one ` + "`agent-inter`" + `.
- Checks offer TLS what ` + "`check-alpn`" + ` says, and without it what ` + "`alpn`" + ` says, but for h2: they go over HTTP/1. HAProxy 2.6.12 offers h2 too, and goes on in HTTP/1 when TLS has
  agreed on it: such a check fails there.
- With ` + "`hash-type consistent`, `slowstart`" + ` lowers a server's maxconn and the weight that is shown, but not its part of the requests.
- What checks and agents found, a slow start under way, ` + "`disable agent` and `set maxconn server`" + ` survive a reload; ` + "`set server ... agent-addr`,\n  `agent-port` and `agent-send`" + ` last until the next one, as HAProxy's do.

## What a reload keeps

State that has grown while the balancer ran goes along: stick tables, counters, what checks and operators made of the servers. So does what commands
changed (maps, files of ACL patterns, servers, certificates and more), unlike in HAProxy, until the configuration or the file changes that very thing:
[runtime-api.md](runtime-api.md). Whoever was let in by a userlist is asked for the password's hash once more by each new worker, which takes a moment and
shows nowhere.

`

func render(w io.Writer) {
	io.WriteString(w, intro)
	sections(w)
	for _, kind := range []struct{ name, title, text string }{
		{"global", "Global section", ""},
		{"proxy", "Proxies", "D, F, L and B stand for the sections defaults, frontend, listen and backend. In a frontend or backend\nthat cannot use a keyword it is ignored with a warning, as in HAProxy."},
		{"bind", "Bind lines", "They also stand on `stats socket` lines, where only those about the socket itself have a meaning."},
		{"server", "Server lines", "They also stand on `default-server` and `server-template` lines."},
	} {
		fmt.Fprintf(w, "\n## %s\n\n", kind.title)
		if kind.text != "" {
			fmt.Fprintf(w, "%s\n\n", kind.text)
		}
		table(w, config.Keywords(kind.name), kind.name == "proxy")
	}
	actions(w)
	samples(w)
}

// sections lists what can begin a section.
func sections(w io.Writer) {
	all := config.Sections()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprint(w, "## Sections\n\n| section | status | note |\n|---|---|---|\n")
	for _, name := range names {
		status, note := config.Supported, all[name]
		switch {
		case name == "mailers":
			status, note = config.Ignored, "no mail is sent, and a warning says so; Prometheus alerts from the metrics (packaging/monitoring/alerts.yaml)"
		case name == "peers":
			note = "docs/peers.md; a section without another peer is ignored, as stick tables move to the next worker by themselves"
		case note != "":
			status = config.Refused
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", name, status, note)
	}
}

// table lists keywords by name, with a count of each status on top.
func table(w io.Writer, rows []config.Keyword, places bool) {
	slices.SortFunc(rows, func(a, b config.Keyword) int { return strings.Compare(a.Name, b.Name) })
	counts := map[config.Status]int{}
	for _, k := range rows {
		counts[k.Status]++
	}
	fmt.Fprintf(w, "%d supported, %d translated, %d ignored, %d refused.\n\n", counts[config.Supported], counts[config.Translated], counts[config.Ignored], counts[config.Refused])
	if places {
		fmt.Fprint(w, "| keyword | in | status | note |\n|---|---|---|---|\n")
	} else {
		fmt.Fprint(w, "| keyword | status | note |\n|---|---|---|\n")
	}
	for _, k := range rows {
		fmt.Fprintf(w, "| `%s` |", cell(strings.TrimSpace(k.Name+" "+usage(k))))
		if places {
			fmt.Fprintf(w, " %s |", letters(k.Places))
		}
		fmt.Fprintf(w, " %s | %s |\n", k.Status, cell(k.Note))
	}
}

// usage leaves out arguments of what cannot be used anyway.
func usage(k config.Keyword) string {
	if k.Status == config.Refused || k.Args == "..." {
		return ""
	}
	return k.Args
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

func letters(places []string) string {
	var out []string
	for _, p := range places {
		out = append(out, strings.ToUpper(p[:1]))
	}
	return strings.Join(out, " ")
}

// actions lists the actions by asking the compiler for each in which rules it
// knows it.
func actions(w io.Writer) {
	fmt.Fprint(w, "\n## Actions of rules\n\n| action |")
	for stage := range rule.Stages {
		fmt.Fprintf(w, " %s |", stage)
	}
	fmt.Fprint(w, "\n|---"+strings.Repeat("|---", int(rule.Stages))+"|\n")
	for _, name := range rule.Actions() {
		fmt.Fprintf(w, "| `%s` |", name)
		for stage := range rule.Stages {
			fmt.Fprintf(w, " %s |", known(stage, name))
		}
		fmt.Fprintln(w)
	}
}

// samples lists the fetches and converters of expressions, without the rows of
// those that differ in a number or a type.
func samples(w io.Writer) {
	list := func(names []string, families ...string) {
		names = slices.DeleteFunc(names, func(name string) bool {
			return slices.ContainsFunc(families, func(f string) bool { return name != "src_port" && strings.HasPrefix(name, f) })
		})
		fmt.Fprintf(w, "`%s`", strings.Join(names, "`, `"))
	}
	fmt.Fprint(w, "\n## Fetches and converters\n\nWhat HAProxy has beyond these is refused, with a hint. ACLs know the derivatives too (`path_beg`, `hdr_dom`, `url_reg` and so on).\n\nFetches: ")
	list(sample.Fetches(), "sc_", "sc0_", "sc1_", "sc2_", "src_")
	fmt.Fprint(w, "; and `sc_NAME`, `sc0_NAME` to `sc2_NAME` and `src_NAME` for what stick tables count (stick-tables.md).\n\nConverters: ")
	list(sample.Converters(), "table_", "map_")
	fmt.Fprint(w, "; `map_str`, `map_beg`, `map_sub`, `map_end`, `map_dir`, `map_dom`, `map_reg`, `map_regm`, `map_int` and `map_ip`, also with `_str`, `_int` or `_ip` at the end; and `table_NAME` for what stick tables count.\n")
}

// known asks for an action without arguments: one that exists complains about
// those, or wants parentheses.
func known(kind rule.Stage, name string) string {
	for _, word := range []string{name, name + "(txn.x)"} {
		_, err := rule.ParseRule(kind, []string{word}, acl.NewACLs())
		if err == nil || strings.HasPrefix(err.Error(), "error detected while parsing") {
			return config.Supported.String()
		}
		if strings.Contains(err.Error(), "is not an action of") {
			return ""
		}
	}
	return config.Refused.String()
}
