package message

// longestWord is that of the lists below.
const longestWord = 13

// lower is a word in small letters, as far as one of the lists could have it.
func lower(word []byte, to *[longestWord]byte) []byte {
	if len(word) > longestWord {
		return nil
	}
	for i, c := range word {
		to[i] = c | 0x20
	}
	return to[:len(word)]
}

// isLevel says whether a word is a severity. F5 and others write it between the host and the tag.
func isLevel(word []byte) bool {
	if len(word) < len("err") || len(word) > len("emergency") {
		return false
	}
	switch word[0] | 0x20 {
	case 'a', 'c', 'd', 'e', 'i', 'n', 'w':
	default:
		return false
	}
	var buf [longestWord]byte
	switch string(lower(word, &buf)) {
	case "emerg", "emergency", "alert", "crit", "critical", "err", "error", "warn", "warning", "notice", "info", "debug":
		return true
	}
	return false
}

// isZone says whether a word is the abbreviation of a time zone. Which zone it means cannot be known ("CST" is three of them), so a time is
// taken as it was sent.
func isZone(word []byte) bool {
	switch string(word) {
	case "Z", "UTC", "GMT", "WET", "WEST", "BST", "IST", "CET", "CEST", "EET", "EEST", "MSK", "TRT", "SAST", "EAT", "WAT", "CAT", "GST", "PKT", "NPT",
		"WIB", "ICT", "SGT", "HKT", "PHT", "AWST", "KST", "JST", "ACST", "ACDT", "AEST", "AEDT", "NZST", "NZDT", "BRT", "ART", "CLT", "CLST", "AST", "ADT",
		"NST", "NDT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "AKST", "AKDT", "HST":
		return true
	}
	return false
}

// mayBeHost says whether a word that texts begin with may be the name of a host too. It is one only where a tag follows.
func mayBeHost(word []byte) bool {
	var buf [longestWord]byte
	switch string(lower(word, &buf)) {
	case "server", "service", "network", "system", "kernel", "device", "disk", "memory", "file", "files", "link", "port", "interface", "log", "test",
		"data", "power", "fan", "hello", "one", "two", "three", "time", "status", "state", "access", "new", "old", "other", "first", "head", "post":
		return true
	}
	return false
}

// isTextWord says whether a text begins with this word rather than with a host's name.
func isTextWord(word []byte) bool {
	var buf [longestWord]byte
	switch string(lower(word, &buf)) {
	case "a", "an", "the", "this", "that", "these", "those", "it", "its", "he", "she", "we", "you", "they", "i", "there", "all", "any", "no", "not",
		"none", "some", "each", "every", "other", "another", "and", "or", "but", "if", "then", "else", "when", "while", "because", "as", "so", "than",
		"for", "from", "to", "of", "in", "on", "at", "by", "with", "without", "into", "out", "up", "down", "over", "under", "after", "before", "since",
		"until", "during", "about", "between", "through", "is", "are", "was", "were", "be", "been", "being", "has", "have", "had", "do", "does", "did",
		"can", "cannot", "could", "may", "might", "must", "shall", "should", "will", "would", "last", "first", "next", "new", "old", "same", "one",
		"two", "three", "once", "again", "now", "still", "already", "just", "only", "also", "very", "more", "less", "most", "too", "message",
		"messages", "repeated", "times", "time", "user", "users", "session", "sessions", "connection", "connections", "connect", "connected",
		"connecting", "disconnect", "disconnected", "close", "closed", "closing", "open", "opened", "opening", "start", "started", "starting", "stop",
		"stopped", "stopping", "restart", "restarted", "restarting", "reload", "reloaded", "reloading", "shutdown", "shutting", "boot", "booting",
		"exit", "exited", "exiting", "fail", "failed", "failing", "failure", "errors", "warnings", "fatal", "panic", "accept", "accepted", "deny",
		"denied", "drop", "dropped", "dropping", "reject", "rejected", "refused", "block", "blocked", "allow", "allowed", "permit", "permitted",
		"invalid", "unknown", "unable", "missing", "found", "received", "receiving", "send", "sending", "sent", "read", "reading", "write",
		"writing", "written", "link", "interface", "port", "ports", "network", "server", "service", "process", "kernel", "system", "device", "disk",
		"memory", "file", "files", "directory", "login", "logout", "logged", "log", "password", "access", "request", "requests", "response", "reply",
		"timeout", "timed", "init", "initialized", "initializing", "load", "loaded", "loading", "enable", "enabled", "enabling", "disable",
		"disabled", "disabling", "config", "configuration", "configured", "configuring", "remove", "removed", "removing", "add", "added", "adding", "create",
		"created", "creating", "delete", "deleted", "deleting", "change", "changed", "changing", "update", "updated", "updating", "set", "get",
		"got", "put", "post", "head", "using", "used", "try", "trying", "tried", "running", "ready", "waiting", "done", "finished", "complete",
		"completed", "success", "successful", "successfully", "ok", "yes", "true", "false", "null", "hello", "test", "text", "data", "status", "state",
		"packet", "packets", "temperature", "fan", "power", "please", "see", "check", "checking", "detected", "lost", "reached", "exceeded":
		return true
	}
	return isLevel(word)
}
