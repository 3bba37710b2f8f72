package control

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/stats"
)

// command is one row of the language.
type command struct {
	words string // it begins with these
	usage string // for help
	help  string
	level Level
	run   func(c *session, args []string) // args are the words after words
	// absent is why there is no such command although HAProxy has it, and what
	// to do instead.
	absent string
}

// toReload is what to do instead of changing a running configuration.
const toReload = "change the configuration and reload: that loses no request"

// commands is the table of allCommands, which is made once: a session may have
// thousands of changes of a map.
func commands() []command {
	table.once.Do(func() { table.rows = allCommands() })
	return table.rows
}

var table struct {
	once sync.Once
	rows []command
}

// allCommands are in the order of help: HAProxy's texts, so that what reads them
// goes on working. A new command is a new row.
func allCommands() []command {
	return append(sslCommands(), []command{
		{"add acl", "add acl [@<ver>] <acl> <pattern>", "add an acl entry", Operator, fileKind("acl").add, ""},
		{"add map", "add map [@<ver>] <map> <key> <val>", "add a map entry (payload supported instead of key/val)", Operator, fileKind("map").add, ""},
		{"add server", "add server <bk>/<srv>", "create a new server", Admin, addServer, ""},
		{"clear acl", "clear acl [@<ver>] <acl>", "clear the contents of this acl", Operator, fileKind("acl").clear, ""},
		{"clear counters", "clear counters [all]", "clear max statistics counters (or all counters)", Operator, clearCounters, ""},
		{"clear map", "clear map [@<ver>] <map>", "clear the contents of this map", Operator, fileKind("map").clear, ""},
		{"clear runtime-changes", "clear runtime-changes", "undo what was changed at run time", Admin, clearRuntimeChanges, ""},
		{"clear table", "clear table <table> [<filter>]*", "remove an entry from a table (filter: data/key)", Operator, clearTable, ""},
		{"commit acl", "commit acl @<ver> <acl>", "commit the ACL at this version", Operator, fileKind("acl").commit, ""},
		{"commit map", "commit map @<ver> <map>", "commit the map at this version", Operator, fileKind("map").commit, ""},
		{"del acl", "del acl <acl> [<key>|#<ref>]", "delete acl entries matching <key>", Operator, fileKind("acl").remove, ""},
		{"del map", "del map <map> [<key>|#<ref>]", "delete map entries matching <key>", Operator, fileKind("map").remove, ""},
		{"del server", "del server <bk>/<srv>", "remove a dynamically added server", Admin, delServer, ""},
		{"disable agent", "disable agent", "disable agent checks", Admin, disableAgent, ""},
		{"disable dynamic-cookie backend", "disable dynamic-cookie backend <bk>", "disable dynamic cookies on a specific backend", Admin, dynamicCookie(false), ""},
		{"disable frontend", "disable frontend <frontend>", "temporarily disable specific frontend", Admin, disableFrontend, ""},
		{"disable health", "disable health", "disable health checks", Admin, disableHealth, ""},
		{"disable server", "disable server (DEPRECATED)", "disable a server for maintenance (use 'set server' instead)", Admin, disableServer, ""},
		{"enable agent", "enable agent", "enable agent checks", Admin, enableAgent, ""},
		{"enable dynamic-cookie backend", "enable dynamic-cookie backend <bk>", "enable dynamic cookies on a specific backend", Admin, dynamicCookie(true), ""},
		{"enable frontend", "enable frontend <frontend>", "re-enable specific frontend", Admin, enableFrontend, ""},
		{"enable health", "enable health", "enable health checks", Admin, enableHealth, ""},
		{"enable server", "enable server  (DEPRECATED)", "enable a disabled server (use 'set server' instead)", Admin, enableServer, ""},
		{"get acl", "get acl <acl> <value>", "report the patterns matching a sample for an ACL", User, fileKind("acl").get, ""},
		{"get map", "get map <acl> <value>", "report the keys and values matching a sample for a map", User, fileKind("map").get, ""},
		{"get var", "get var <name>", "retrieve contents of a process-wide variable", Operator, getVar, ""},
		{"get weight", "get weight <bk>/<srv>", "report a server's current weight", User, getWeight, ""},
		{"operator", "operator", "lower the level of the current CLI session to operator", Operator, lowerTo(Operator), ""},
		{"prepare acl", "prepare acl <acl>", "prepare a new version for atomic ACL replacement", Operator, fileKind("acl").prepare, ""},
		{"prepare map", "prepare map <acl>", "prepare a new version for atomic map replacement", Operator, fileKind("map").prepare, ""},
		{"set dynamic-cookie-key backend", "set dynamic-cookie-key backend <bk> <k>", "change a backend secret key for dynamic cookies", Admin, dynamicCookieKey, ""},
		{"set map", "set map <map> [<key>|#<ref>] <value>", "modify a map entry", Operator, fileKind("map").set, ""},
		{"set maxconn frontend", "set maxconn frontend <frontend> <value>", "change a frontend's maxconn setting", Admin, setMaxConnFrontend, ""},
		{"set maxconn global", "set maxconn global <value>", "change the per-process maxconn setting", Admin, setMaxConnGlobal, ""},
		{"set maxconn server", "set maxconn server <bk>/<srv>", "change a server's maxconn setting", Admin, setMaxConn, ""},
		{"set profiling", "set profiling <what> {auto|on|off}", "enable/disable resource profiling (tasks,memory)", Admin, setProfiling, ""},
		{"set rate-limit", "set rate-limit <setting> <value>", "change a rate limiting value", Admin, setRateLimit, ""},
		{"set server", "set server <bk>/<srv> [opts]", "change a server's state, weight, address or ssl", Admin, setServer, ""},
		{"set severity-output", "set severity-output [none|number|string]", "set presence of severity level in feedback information", User, setSeverity, ""},
		{"set table", "set table <table> key <k> [data.* <v>]*", "update or create a table entry's data", Operator, setTable, ""},
		{"set timeout", "set timeout [cli] <delay>", "change a timeout setting", User, setTimeout, ""},
		{"set var", "", "", Operator, setVar, ""},
		{"set weight", "set weight <bk>/<srv>  (DEPRECATED)", "change a server's weight (use 'set server' instead)", Admin, setWeight, ""},
		{"show acl", "show acl [@<ver>] <acl>]", "report available acls or dump an acl's contents", User, fileKind("acl").show, ""},
		{"show activity", "show activity", "show per-thread activity stats (for support/developers)", Operator, showActivity, ""},
		{"show backend", "show backend", "list backends in the current running config", User, showBackend, ""},
		{"show cache", "show cache", "show cache status", Operator, showCache, ""},
		{"show cli level", "show cli level", "display the level of the current CLI session", User, showLevel, ""},
		{"show cli sockets", "show cli sockets", "dump list of cli sockets", User, showSockets, ""},
		{"show env", "show env [var]", "dump environment variables known to the process", Operator, showEnv, ""},
		{"show errors", "show errors [<px>] [request|response]", "report last request and/or response errors for each proxy", Operator, showErrors, ""},
		{"show events", "show events [<sink>] [-w] [-n]", "show event sink state", Operator, showEvents, ""},
		{"show fd", "show fd [num]", "dump list of file descriptors in use or a specific one", Operator, showFD, ""},
		{"show info", "show info [desc|json|typed|float]*", "report information about the running process", User, showInfo, ""},
		{"show libs", "show libs", "show loaded object files and libraries", Operator, showLibs, ""},
		{"show map", "show map [@ver] [map]", "report available maps or dump a map's contents", User, fileKind("map").show, ""},
		{"show peers", "show peers [dict|-] [section]", "dump some information about all the peers or this peers section", User, showPeers, ""},
		{"show pools", "show pools", "report information about the memory pools usage", User, showPools, ""},
		{"show runtime-changes", "show runtime-changes", "list what was changed at run time", User, showRuntimeChanges, ""},
		{"show schema json", "show schema json", "report schema used for stats", User, heading(stats.Schema), ""},
		{"show servers conn", "show servers conn [<backend>]", "dump server connections status (all or for a single backend)", User, showServersConn, ""},
		{"show profiling", "show profiling [<what>|<#lines>|byaddr]*", "show profiling state (all,status,tasks,memory)", Admin, showProfiling, ""},
		{"show resolvers", "show resolvers [id]", "dumps counters from all resolvers section and associated name servers", User, showResolvers, ""},
		{"show servers state", "show servers state [<backend>]", "dump volatile server information (all or for a single backend)", User, showServersState, ""},
		{"show sess", "show sess [id]", "report the list of current sessions or dump this exact session", Operator, showSess, ""},
		{"show startup-logs", "show startup-logs", "report logs emitted during HAProxy startup", Operator, showStartupLogs, ""},
		{"show stat", "show stat [desc|json|no-maint|typed|up]*", "report counters for each proxy and server", User, showStat, ""},
		{"show table", "show table <table> [<filter>]*", "report table usage stats or dump this table's contents (filter: data/key)", User, showTable, ""},
		{"show tasks", "show tasks", "show running tasks", Operator, showTasks, ""},
		{"show threads", "show threads", "show some threads debugging information", Operator, showThreads, ""},
		{"show version", "show version", "show version of the current process", User, showVersion, ""},
		{"shutdown frontend", "shutdown frontend <frontend>", "stop a specific frontend", Admin, shutFrontend, ""},
		{"shutdown session", "shutdown session [id]", "kill a specific session", Admin, shutSession, ""},
		{"shutdown sessions server", "shutdown sessions server <bk>/<srv>", "kill sessions on a server", Admin, shutServerSessions, ""},
		{"user", "user", "lower the level of the current CLI session to user", User, lowerTo(User), ""},
		{"wait", "wait {-h|<delay_ms>} cond [args...]", "wait the specified delay or condition (-h to see list)", User, await, ""},
		{"help", "help [<command>]", "list matching or all commands", User, help, ""},
		{"prompt", "prompt", "toggle interactive mode with prompt", User, prompt, ""},
		{"quit", "quit", "disconnect", User, quit, ""},
		{"_getsocks", "", "", User, getSockets, ""},
		{"expert-mode", "", "", Admin, onOff("expert-mode", func(c *session) *bool { return &c.expert }), ""},
		{"experimental-mode", "", "", Admin, onOff("experimental-mode", func(c *session) *bool { return &c.experimental }), ""},

		{words: "debug", absent: "it is for HAProxy's developers"},
		{words: "show trace", absent: "the access log has each exchange, and strace shows the rest"},
		{words: "trace", absent: "the access log has each exchange, and strace shows the rest"},
		{words: "add backend", absent: "the rules that could choose it are in the configuration: " + toReload},
		{words: "del backend", absent: "the rules that choose it are in the configuration: " + toReload},
		{words: "publish backend", absent: "`enable frontend` and `set server` decide who gets requests; " + toReload},
		{words: "unpublish backend", absent: "`disable frontend` and `set server` decide who gets requests; " + toReload},
		{words: "httpclient", absent: "curl asks the same, and lb is no client of its own"},
		{words: "set anon", absent: "nothing is made anonymous; what commands show is for those who may read the configuration"},
		{words: "show anon", absent: "nothing is made anonymous"},
		{words: "dump stats-file", absent: "a reload passes counters to the next worker without a file"},
		{words: "show dev", absent: "`show info`, `show activity` and `lb -vv` have it"},
	}...)
}

// execute finds the command that most of the words name, and runs it.
func (c *session) execute(words []string) {
	table := commands()
	var best *command
	for i := range table {
		cmd := &table[i]
		if cmd.matches(words) && (best == nil || len(cmd.words) > len(best.words)) {
			best = cmd
		}
	}
	switch {
	case best == nil:
		c.unknown(table, words)
	case best.absent != "":
		c.fail("'" + best.words + "' is not available here: " + best.absent + ".")
	case c.level < best.level:
		c.fail("Permission denied")
	default:
		best.run(c, words[strings.Count(best.words, " ")+1:])
	}
}

// matches tells whether words begin with the command's.
func (cmd *command) matches(words []string) bool {
	rest := cmd.words
	for _, word := range words {
		own, more, goesOn := strings.Cut(rest, " ")
		if own != word {
			return false
		}
		if !goesOn {
			return true
		}
		rest = more
	}
	return false
}

// always are the commands that end every list.
func (cmd *command) always() bool {
	return cmd.words == "help" || cmd.words == "prompt" || cmd.words == "quit"
}

// likely tells whether the command may be meant: it begins as the words do, as far as any command does (n words).
func (cmd *command) likely(words []string, n int) bool {
	return strings.HasPrefix(cmd.words, strings.Join(words[:n], " "))
}

const maybeMeant = "Unknown command, but maybe one of the following ones is a better match:"

// unknown answers what is no command with those it may have been.
func (c *session) unknown(table []command, words []string) {
	for n := len(words); n > 0; n-- {
		if words[0] != "" && slices.ContainsFunc(table, func(cmd command) bool { return c.offered(&cmd) && cmd.likely(words, n) }) {
			c.message(asInfo, maybeMeant)
			c.list(table, func(cmd *command) bool { return cmd.likely(words, n) })
			return
		}
	}
	if len(words) == 0 || words[0] == "" {
		c.message(asInfo, "Unknown command. Please enter one of the following commands only:")
		c.list(table, func(*command) bool { return true })
		return
	}
	c.message(asInfo, maybeMeant)
	near := c.nearest(table, words)
	c.list(table, func(cmd *command) bool { return slices.Contains(near, cmd.words) })
}

// nearest are the commands that are spelled most like the words, as many as HAProxy names.
func (c *session) nearest(table []command, words []string) (near []string) {
	const most = 5
	from := map[string]int{}
	for i := range table {
		if cmd := &table[i]; c.offered(cmd) {
			n := min(strings.Count(cmd.words, " ")+1, len(words))
			from[cmd.words] = cfgfile.Distance(strings.Join(words[:n], " "), cmd.words)
			near = append(near, cmd.words)
		}
	}
	slices.SortFunc(near, func(a, b string) int { return cmp.Or(cmp.Compare(from[a], from[b]), strings.Compare(a, b)) })
	return near[:min(len(near), most)]
}

// offered tells whether help shows the command to this session.
func (c *session) offered(cmd *command) bool {
	return cmd.usage != "" && cmd.level <= c.level && !cmd.always()
}

// list writes the offered commands that want holds for in their order, then those that are
// always there.
func (c *session) list(table []command, want func(*command) bool) {
	var lines []string
	for i := range table {
		if cmd := &table[i]; c.offered(cmd) && want(cmd) {
			lines = append(lines, cmd.line())
		}
	}
	slices.Sort(lines)
	for i := range table {
		if cmd := &table[i]; cmd.always() {
			lines = append(lines, cmd.line())
		}
	}
	for _, line := range lines {
		c.say(line)
	}
}

func (cmd *command) line() string {
	const width = 40
	return "  " + cmd.usage + strings.Repeat(" ", max(width-len(cmd.usage), 0)) + ": " + cmd.help
}

// help lists all commands, or those that begin with the given words.
func help(c *session, args []string) {
	c.message(asInfo, "The following commands are valid at this level:")
	c.list(commands(), func(cmd *command) bool {
		return strings.HasPrefix(cmd.words+" ", strings.Join(append(args, ""), " "))
	})
}

func prompt(c *session, _ []string) { c.prompt = !c.prompt }

func quit(c *session, _ []string) { c.done = true }

// lowerTo gives up rights for the rest of the session.
func lowerTo(l Level) func(c *session, _ []string) {
	return func(c *session, _ []string) { c.level = min(c.level, l) }
}

// getSockets gives the listening sockets away. There is no answer in words,
// and none at all if that is not allowed: HAProxy understands the silence.
func getSockets(c *session, _ []string) {
	c.done = true
	if conn, ok := c.conn.(*net.UnixConn); ok && c.ExposeFD && c.flush() {
		conn.SetDeadline(time.Now().Add(c.timeout))
		// The other side sees how far it came, and says so: there is nobody
		// here to tell.
		_ = c.Runtime.SendSockets(conn)
	}
}
