package stats

import (
	"slices"
	"strings"
	"testing"
)

// What haproxy 2.6 shows for each.
func TestMetricScopes(t *testing.T) {
	for query, want := range map[string]string{
		"":                               "backend frontend listener process server tables",
		"?foo=bar":                       "backend frontend listener process server tables",
		"?scope=global":                  "process",
		"?scope=frontend":                "frontend",
		"?scope=listener":                "listener",
		"?scope=sticktable":              "tables",
		"?scope=":                        "",
		"?scope=*":                       "backend frontend listener process server tables",
		"?scope=frontend&scope=%73erver": "frontend server",
		"?scope=server&scope=":           "",
		"?&scope=backend#x":              "backend",
		"?no-maint":                      "backend frontend listener process server tables, no maint",
		"?no-maint=1&scope=server":       "server, no maint",
		"?scope=server&no-maint":         "server, no maint",
		"?scope=*&no-maint&scope=*":      "backend frontend listener process server tables, no maint",
		"?scope=nope":                    "error",
		"?scope=Server":                  "error",
		"?scope":                         "error",
	} {
		s, ok := ParseScopes("/metrics" + query)
		var parts []string
		for _, k := range []Kind{Frontend, Listener, Backend, Server} {
			if s.Kinds[k] {
				parts = append(parts, k.metricName())
			}
		}
		if s.Global {
			parts = append(parts, "process")
		}
		if s.Tables {
			parts = append(parts, "tables")
		}
		slices.Sort(parts)
		got := strings.Join(parts, " ")
		if s.NoMaint {
			got += ", no maint"
		}
		if !ok {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestMetricsOfScope(t *testing.T) {
	s := sample()
	only, _ := ParseScopes("/metrics?scope=server")
	page := string(AppendPrometheus(nil, s, only))
	if strings.Contains(page, "haproxy_frontend_") || strings.Contains(page, "haproxy_process_") || !strings.Contains(page, "haproxy_server_status{") {
		t.Errorf("scope=server: %s", page)
	}
	for i := range s.Rows {
		if s.Rows[i].Kind == Server {
			s.Rows[i].Admin |= ForcedMaint
		}
	}
	only.NoMaint = true
	if page := string(AppendPrometheus(nil, s, only)); strings.Contains(page, "haproxy_server_status{") {
		t.Errorf("no-maint: %s", page)
	}
}
