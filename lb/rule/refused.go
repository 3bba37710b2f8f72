package rule

// Ways out that several words share.
const (
	nothingKept  = "answers are not cached; remove the rule"
	noFilters    = "there are no filters; remove the rule"
	resolvedOnce = "names are resolved once, at start; reload to resolve again"
	marks        = "mark packets with nftables, by address and port"
	scripts      = "scripts are not run"
)

// actionRefused are actions that HAProxy has and lb has not, with the way out.
var actionRefused = map[string]string{
	"cache-use": nothingKept, "cache-store": nothingKept,
	"do-resolve": resolvedOnce,
	"early-hint": "remove the rule", "normalize-uri": "write replace-path rules",
	"send-spoe-group": "agents are asked about requests: write http-request send-spoe-group", "set-bandwidth-limit": noFilters,

	"wait-for-body": "only http-request rules wait for bodies", "wait-for-handshake": "early data is not taken; remove the rule", "lua": scripts + "; set-header, set-var, replace-path, return, deny, maps and stick tables can often do what the script does, or a server that the request goes to",
}
