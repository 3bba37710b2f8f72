package rule

// Ways out that several words share.
const (
	noLimits       = "bandwidth is not limited by lb; remove the rule, and limit it with tc or in the server"
	onlyAtRequests = "only http-request and tcp-request content rules wait for name servers: write the rule there"
	scripts        = "scripts are not run"
)

// actionRefused are actions that HAProxy has and lb has not, with the way out.
var actionRefused = map[string]string{
	"do-resolve":      onlyAtRequests,
	"send-spoe-group": "agents are asked about requests: write http-request send-spoe-group", "set-bandwidth-limit": noLimits,

	"wait-for-body": "only http-request and http-response rules wait for bodies", "lua": scripts + "; set-header, set-var, replace-path, return, deny, maps and stick tables can often do what the script does, or a server that the request goes to",
}
