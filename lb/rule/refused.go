package rule

import (
	"lbsyslogd/lb/sample"
)

// Ways out that several words share.
const (
	nothingKept  = "answers are not cached; remove the rule"
	noFilters    = "there are no filters; remove the rule"
	inOrder      = "requests wait in the order in which they came; remove the rule"
	resolvedOnce = "names are resolved once, at start; reload to resolve again"
	marks        = "mark packets with nftables, by address and port"
	scripts      = "scripts are not run"
)

// actionRefused are actions that HAProxy has and lb has not, with the way out.
var actionRefused = map[string]string{

	"add-acl": "'add acl' on the stats socket does it", "del-acl": "'del acl' on the stats socket does it",
	"set-map": "'set map' on the stats socket does it", "del-map": "'del map' on the stats socket does it",
	"cache-use": nothingKept, "cache-store": nothingKept, "sc-inc-gpc": sample.GPCArrays, "sc-set-gpt": sample.GPCArrays, "sc-add-gpc": sample.GPCArrays,
	"do-resolve":       resolvedOnce,
	"disable-l7-retry": "a request that a server has seen is not sent twice; remove the rule", "early-hint": "remove the rule", "normalize-uri": "write replace-path rules",
	"send-spoe-group": noFilters, "set-bandwidth-limit": noFilters,
	"set-priority-class": inOrder, "set-priority-offset": inOrder,

	"wait-for-body": "only http-request rules wait for bodies", "wait-for-handshake": "early data is not taken; remove the rule", "lua": scripts + "; set-header, set-var, replace-path, return, deny, maps and stick tables can often do what the script does, or a server that the request goes to",
}
