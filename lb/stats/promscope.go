package stats

import (
	"net/url"
	"strings"
)

// Scopes says which metrics a scrape is for.
type Scopes struct {
	Global, Tables bool
	Kinds          [4]bool // by Kind
	NoMaint        bool    // without servers in maintenance
}

// AllScopes is a scrape without parameters.
func AllScopes() Scopes {
	return Scopes{Global: true, Tables: true, Kinds: [4]bool{true, true, true, true}}
}

// ParseScopes reads the parameters of HAProxy's exporter: "scope", as often as one likes,
// for parts of the metrics ("*" all, "" none so far), and "no-maint". It passes over others;
// a scope that there is not is false.
func ParseScopes(uri string) (s Scopes, ok bool) {
	s = AllScopes()
	_, query, _ := strings.Cut(uri, "?")
	query, _, _ = strings.Cut(query, "#")
	first := true
	for part := range strings.SplitSeq(query, "&") {
		name, value, valued := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != "scope" {
			s.NoMaint = s.NoMaint || name == "no-maint"
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil || !valued {
			return s, false
		}
		if first {
			first, s = false, Scopes{NoMaint: s.NoMaint}
		}
		if !s.add(value) {
			return s, false
		}
	}
	return s, true
}

func (s *Scopes) add(name string) bool {
	switch name {
	case "":
		*s = Scopes{NoMaint: s.NoMaint}
	case "*":
		maint := s.NoMaint
		*s = AllScopes()
		s.NoMaint = maint
	case "global":
		s.Global = true
	case "sticktable":
		s.Tables = true
	default:
		for _, k := range []Kind{Frontend, Listener, Backend, Server} {
			if name == k.metricName() {
				s.Kinds[k] = true
				return true
			}
		}
		return false
	}
	return true
}
