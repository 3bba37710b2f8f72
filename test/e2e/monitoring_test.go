package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/test/rig"
)

// metricName finds the names of series in a query; labels and functions are not written so.
var metricName = regexp.MustCompile(`\b(?:haproxy|lb|syslogd)_[a-z0-9_]+`)

// TestMonitoring: the packaged dashboard and alert rules are what Grafana and Prometheus read, and every series they ask for is one that
// the daemons have. The manual shows the same rules.
func TestMonitoring(t *testing.T) {
	const dir = "../../packaging/monitoring"
	read := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	queries := map[string]string{} // by where they stand

	var dashboard struct {
		Title         string
		SchemaVersion int
		Panels        []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ RefID, Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal([]byte(read(filepath.Join(dir, "grafana.json"))), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if p.Title == "" || p.Type == "" || p.GridPos.W == 0 || p.GridPos.X+p.GridPos.W > 24 || len(p.Targets) == 0 || ids[p.ID] {
			t.Errorf("panel %+v", p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			queries["panel "+p.Title+" "+target.RefID] = target.Expr
		}
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Annotations      map[string]string
			}
		}
	}
	alerts := read(filepath.Join(dir, "alerts.yaml"))
	decode := yaml.NewDecoder(strings.NewReader(alerts))
	decode.KnownFields(true)
	if err := decode.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("%s: %v", r.Alert, err)
			}
			if r.Alert == "" || r.Annotations["summary"] == "" {
				t.Errorf("rule %+v", r)
			}
			queries["alert "+r.Alert] = r.Expr
		}
	}
	if !strings.Contains(read("../../docs/operations.md"), "```yaml\n"+alerts+"```") {
		t.Error("docs/operations.md shows other rules than alerts.yaml has")
	}

	have := scraped(t)
	for where, query := range queries {
		names := metricName.FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("%s asks for nothing: %s", where, query)
		}
		for _, name := range names {
			if !have[name] {
				t.Errorf("%s: neither daemon has %s", where, name)
			}
		}
		for _, pair := range []string{"()", "[]", "{}"} {
			if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
				t.Errorf("%s: %s", where, query)
			}
		}
	}
}

// scraped are the names of the series that both daemons show after a request.
func scraped(t *testing.T) map[string]bool {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports, err := rig.FreePorts("127.0.0.1", 4)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	config := filepath.Join(dir, "syslogd.yaml")
	text := fmt.Sprintf("listen: [\"udp://%s\"]\ncontrol: %s/c.sock\nmetrics: %s\noutputs:\n  - match: \"*.*\"\n    file: %s/lb.log\n", at(0), dir, at(1), dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon, err := rig.Start(built.Syslogd, "-f", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Stop() })
	lb := rig.LBIn(dir)
	if err := lb.Start(t.Context(), built.LB, "-W", fmt.Sprintf("global\n  stats socket %s level admin\n  log %s local0\ndefaults\n  mode http\n  log global\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n"+
		"frontend web\n  bind %s\n  http-request use-service prometheus-exporter if { path /metrics }\n  default_backend app\nbackend app\n  server s1 %s\n", lb.Stats, at(0), at(2), at(3))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lb.Stop() })
	server := http.Server{Addr: at(3), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	go server.ListenAndServe()
	t.Cleanup(func() { server.Close() })
	have := map[string]bool{}
	get := func(url string) (string, bool) {
		r, err := http.Get(url)
		if err != nil {
			return "", false
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		return string(body), err == nil && r.StatusCode == http.StatusOK
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
			if time.Now().After(end) {
				t.Fatalf("timed out: %s", what)
			}
		}
	}
	await("a request", func() bool { _, ok := get("http://" + at(2) + "/"); return ok })
	for _, url := range []string{"http://" + at(2) + "/metrics", "http://" + at(1) + "/metrics"} {
		await(url, func() bool {
			text, ok := get(url)
			for line := range strings.Lines(text) {
				have[strings.TrimRight(strings.FieldsFunc(line+" ", func(r rune) bool { return r == '{' || r == ' ' })[0], "\n")] = true
			}
			return ok
		})
	}
	return have
}
