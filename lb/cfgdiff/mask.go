package cfgdiff

import (
	"regexp"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
)

const hidden = "***"

// before are the words whose next one is a secret.
var before = []string{"password", "insecure-password", "auth"}

var (
	named = regexp.MustCompile(`(?i)passw|secret|token|credential|authori[sz]ation|api-?key|private-?key|^auth$`)
	// keyed are converters that have a key among their arguments.
	keyed = regexp.MustCompile(`\b(aes_(?:gcm|cbc)_(?:dec|enc)|hmac|jwt_verify|http_auth_bearer|digest)\([^)]*\)`)
	// schemes are of values of Authorization.
	schemes = regexp.MustCompile(`(?i)\b(Basic|Bearer)\s+[^\s"]+`)
)

// Mask is a line without its secrets: what is after `password`, `auth` and names
// that speak of secrets, what variables of the environment hold, and keys. values
// are secrets that were heard of otherwise.
func Mask(words, values []string) string {
	out := slices.Clone(words)
	from := len(out) // what is hidden from here on
	switch {
	case len(words) > 2 && (words[0] == "setenv" || words[0] == "presetenv"):
		from = 2
	case words[0] == "tcp-check" && slices.Contains(words, "send-binary"):
		from = slices.Index(words, "send-binary") + 1
	}
	for i, w := range words {
		if i < from && i > 0 {
			switch {
			case slices.Contains(before, words[i-1]) && !(words[i-1] == "auth" && words[0] != "stats"):
				out[i] = hidden
				if user, _, ok := strings.Cut(w, ":"); ok && words[i-1] == "auth" {
					out[i] = user + ":" + hidden
				}
				continue
			case named.MatchString(w) && !strings.ContainsAny(w, "{}(") && !slices.Contains(before, w) && words[0] != "acl" && words[0] != "userlist" && hides(words[0]):
				from = i + 1
			case hides(words[0]) && words[0] == "tcp-check" && strings.HasPrefix(strings.ToUpper(w), "AUTH"):
				out[i] = "AUTH " + hidden
				continue
			}
		}
		if i >= from && w != "if" && w != "unless" {
			out[i] = hidden
			continue
		}
		if i >= from { // a condition is none
			from = len(out)
		}
	}
	for i := range out {
		out[i] = keyed.ReplaceAllString(out[i], "$1("+hidden+")")
		out[i] = schemes.ReplaceAllString(out[i], "$1 "+hidden)
		for _, v := range values {
			out[i] = strings.ReplaceAll(out[i], v, hidden)
		}
	}
	return string(cfgfile.Append(nil, out...))
}

// hides says whether lines with this keyword set values by name.
func hides(keyword string) bool {
	switch keyword {
	case "http-request", "http-response", "http-after-response", "http-check", "tcp-check", "tcp-request", "tcp-response", "set-var", "set-var-fmt", "http-error", "errorfile":
		return true
	}
	return false
}

// Secrets are the values of variables of an environment whose names speak of
// secrets.
func Secrets(environ []string) (values []string) {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if len(value) >= 4 && (named.MatchString(name) || strings.HasSuffix(name, "_KEY") || strings.HasSuffix(name, "_AUTH") || strings.HasSuffix(name, "_PASS") || strings.HasSuffix(name, "_PW")) {
			values = append(values, value)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return values
}
