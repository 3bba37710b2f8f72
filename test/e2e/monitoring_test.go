package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
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

	watched := scraped(t)
	promtool(t, watched)
	exporter(t, watched)
	watched.ask(t, queries)
	have := watched.have
	for where, query := range queries {
		names := metricName.FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("%s asks for nothing: %s", where, query)
		}
		for _, name := range names {
			watched.await(where+": one of the daemons to have "+name, func() bool { return have[name] || watched.look() && have[name] })
		}
		for _, pair := range []string{"()", "[]", "{}"} {
			if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
				t.Errorf("%s: %s", where, query)
			}
		}
	}
}

// watched are both daemons while somebody scrapes them.
type watched struct {
	dir         string
	lb, syslogd string          // where their metrics are
	stats       string          // lb's stats socket
	page        string          // lb's statistics page
	free        string          // an address for another program
	have        map[string]bool // the names of the series of both
	pages       []string
	await       func(what string, ok func() bool)
	get         func(url string) (string, bool)
}

// scraped starts both and sends a request.
func scraped(t *testing.T) *watched {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports, err := rig.FreePorts("127.0.0.1", 5)
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
		"frontend web\n  bind %s\n  http-request use-service prometheus-exporter if { path /metrics }\n  stats uri /stats\n  default_backend app\nbackend app\n  server s1 %s\n", lb.Stats, at(0), at(2), at(3))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lb.Stop() })
	server := http.Server{Addr: at(3), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	go server.ListenAndServe()
	t.Cleanup(func() { server.Close() })
	w := &watched{dir: dir, lb: at(2), syslogd: at(1), stats: lb.Stats, page: "http://" + at(2) + "/stats;csv", free: at(4), have: map[string]bool{}}
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
		for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
			if time.Now().After(end) {
				t.Fatalf("timed out: %s", what)
			}
		}
	}
	await("a request", func() bool { _, ok := get("http://" + at(2) + "/"); return ok })
	// The master reports a moment after the worker has begun to serve.
	await("what the master says of reloads", func() bool {
		text, _ := get("http://" + at(2) + "/metrics")
		return strings.Contains(text, "\nlb_reloads_total ")
	})
	w.await, w.get = await, get
	await("the metrics of both", w.look)
	return w
}

// look reads the metrics of both, and keeps the names of their series: some have one only when there was something to count.
func (w *watched) look() bool {
	w.pages = nil
	for _, of := range []string{w.lb, w.syslogd} {
		text, ok := w.get("http://" + of + "/metrics")
		if !ok {
			return false
		}
		w.pages = append(w.pages, text)
		for line := range strings.Lines(text) {
			w.have[strings.TrimRight(strings.FieldsFunc(line+" ", func(r rune) bool { return r == '{' || r == ' ' })[0], "\n")] = true
		}
	}
	return true
}

// promtool, Prometheus' own, reads the rules and what the daemons show. What it does not like may only be names that are HAProxy's.
func promtool(t *testing.T, w *watched) {
	t.Helper()
	program := tape.Require(t, "promtool")
	if out, err := exec.Command(program, "check", "rules", "../../packaging/monitoring/alerts.yaml").CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	for _, page := range w.pages {
		cmd := exec.Command(program, "check", "metrics")
		cmd.Stdin = strings.NewReader(page)
		out, err := cmd.CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, "haproxy_") {
				t.Errorf("promtool: %v, %s", err, line)
			}
		}
	}
}

// exporter is prometheus-haproxy-exporter, which people ran before HAProxy had metrics of its own: it reads the stats socket, or the page's CSV.
func exporter(t *testing.T, w *watched) {
	t.Helper()
	for _, from := range []string{"unix:" + w.stats, w.page} {
		p, err := rig.Start(tape.Require(t, "prometheus-haproxy-exporter"), "--haproxy.scrape-uri="+from, "--web.listen-address="+w.free)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		w.await("the exporter", func() (ok bool) { text, ok = w.get("http://" + w.free + "/metrics"); return ok })
		for _, want := range []string{"haproxy_up 1\n", "haproxy_exporter_csv_parse_failures_total 0\n", `haproxy_server_up{backend="app",server="s1"} `, `haproxy_frontend_http_requests_total{frontend="web"} `} {
			if !strings.Contains(text, want) {
				t.Errorf("prometheus-haproxy-exporter of %s has no %q", from, want)
			}
		}
		p.Stop()
	}
}

// ask has Prometheus scrape both daemons, and every query of the dashboard and the alert rules answered: the dashboard's with data, the rules' without an error.
func (w *watched) ask(t *testing.T, queries map[string]string) {
	t.Helper()
	config := filepath.Join(w.dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 400ms, scrape_timeout: 400ms}\nscrape_configs:\n- job_name: both\n  static_configs: [{targets: [%q, %q]}]\n", w.lb, w.syslogd)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := rig.Start(tape.Require(t, "prometheus"), "--config.file="+config, "--storage.tsdb.path="+filepath.Join(w.dir, "tsdb"), "--web.listen-address="+w.free, "--log.level=error")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	fill := strings.NewReplacer("$instance", ".*", "$__rate_interval", "10s", "$__range", "10s")
	for where, query := range queries {
		w.await(where, func() bool {
			w.get("http://" + w.lb + "/") // or some rates would be 0/0
			r, err := http.PostForm("http://"+w.free+"/api/v1/query", url.Values{"query": {fill.Replace(query)}})
			if err != nil {
				return false // it is starting
			}
			defer r.Body.Close()
			var a struct {
				Status, Error string
				Data          struct{ Result []struct{ Value [2]any } }
			}
			err = json.NewDecoder(r.Body).Decode(&a)
			if err != nil {
				return false
			}
			if a.Status == "error" && r.StatusCode == http.StatusBadRequest {
				t.Fatalf("%s: %s: %s", where, query, a.Error)
			}
			if strings.HasPrefix(where, "alert ") {
				return a.Status == "success"
			}
			return len(a.Data.Result) > 0 && a.Data.Result[0].Value[1] != "NaN"
		})
	}
}
