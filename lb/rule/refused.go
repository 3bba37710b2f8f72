package rule

// Ways out that several words share.
const (
	noLimits       = "bandwidth is not limited by lb; remove the rule, and limit it with tc or in the server"
	onlyAtRequests = "only http-request and tcp-request content rules wait for name servers: write the rule there"
	scripts        = "scripts are not run"
	byRules        = "set-header, set-var, replace-path, return, deny, maps and stick tables can often do what the script does, or a server that the request goes to"
	noBinary       = "write set-header or add-header for each"
	sharedPaths    = "connections to servers serve many clients; a source address for each server (source on its line) can be told apart by ip rules"
)

// actionRefused are actions that HAProxy has and lb has not, with the way out.
var actionRefused = map[string]string{
	"do-resolve":      onlyAtRequests,
	"send-spoe-group": "agents are asked about requests: write http-request send-spoe-group", "set-bandwidth-limit": noLimits,

	"wait-for-body": "only http-request and http-response rules wait for bodies", "lua": scripts + "; " + byRules,

	// Of HAProxy 2.7 to 3.4.
	"add-headers-bin": noBinary, "del-headers-bin": "write del-header with -m", "set-headers-bin": noBinary,
	"attach-srv":  "connections are opened to servers, not by them; a VPN or an SSH tunnel reaches servers that accept none",
	"do-log":      "one line is logged for each request: set-var keeps what rules know for log-format",
	"pause":       "no rule waits by the clock: http-request tarpit holds up a request that is refused, and a server's maxconn and queue the others",
	"set-bc-mark": sharedPaths, "set-bc-tos": sharedPaths,
}
