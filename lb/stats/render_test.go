package stats

import (
	"encoding/csv"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStatusText(t *testing.T) {
	is := func(want string, r Row) {
		t.Helper()
		r.Kind, r.CheckRise, r.CheckFall = Server, 2, 3
		if got := r.StatusText(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	up := Row{State: Running, Checks: Checks{CheckConfigured: true, CheckHealth: 4}}
	with := func(change func(r *Row)) Row {
		r := up
		change(&r)
		return r
	}
	is("UP", up)
	is("UP", with(func(r *Row) { r.State = Starting }))
	is("UP 2/3", with(func(r *Row) { r.CheckHealth = 3 }))
	is("UP 1/3", with(func(r *Row) { r.CheckHealth = 2 }))
	is("no check", with(func(r *Row) { r.CheckConfigured = false }))
	is("DOWN", with(func(r *Row) { r.State, r.CheckHealth = Stopped, 0 }))
	is("DOWN 1/2", with(func(r *Row) { r.State, r.CheckHealth = Stopped, 1 }))
	is("DOWN", with(func(r *Row) { r.State, r.CheckConfigured = Stopped, false }))
	is("NOLB", with(func(r *Row) { r.State = Stopping }))
	is("NOLB 1/3", with(func(r *Row) { r.State, r.CheckHealth = Stopping, 2 }))
	is("DRAIN", with(func(r *Row) { r.Admin = ForcedDrain }))
	is("DRAIN 2/3", with(func(r *Row) { r.Admin, r.CheckHealth = ForcedDrain, 3 }))
	is("DRAIN", with(func(r *Row) { r.Admin, r.CheckConfigured = ForcedDrain, false }))
	is("MAINT", with(func(r *Row) { r.Admin, r.State = ForcedMaint|ConfigMaint, Stopped }))
	is("MAINT (resolution)", with(func(r *Row) { r.Admin = ResolvedMaint }))
	is("MAINT (via b/s)", with(func(r *Row) { r.Admin, r.Tracked = InheritedMaint, "b/s" }))
	if got := (&Row{Kind: Backend, Status: "UP"}).StatusText(); got != "UP" {
		t.Errorf("backend %q", got)
	}
}

func TestUptime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0d 0h00m00s", 6 * time.Second: "0d 0h00m06s", 87 * time.Second: "0d 0h01m27s",
		90061 * time.Second: "1d 1h01m01s", 1000 * time.Hour: "41d 16h00m00s",
	} {
		if got := Uptime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for s, want := range map[int]string{-1: "?", 0: "0s", 59: "59s", 65: "1m5s", 3600: "1h0m", 90000: "1d1h"} {
		if got := Ago(s); got != want {
			t.Errorf("%d: %s, want %s", s, got, want)
		}
	}
}

// sample is a snapshot with a row of each kind.
func sample() *Snapshot {
	start := time.Unix(1700000000, 0)
	return &Snapshot{
		Info: Info{Name: "lb", Version: "9.87", Pid: 42, Threads: 2, Start: start, Now: start.Add(time.Minute), MaxConn: 10, BytesOutRate: 1e6},
		Rows: []Row{
			{Kind: Frontend, Proxy: "web", HTTP: true, ProxyID: 2, Status: "OPEN", SessLimit: 10},
			{Kind: Listener, Proxy: "web", HTTP: true, ProxyID: 2, Name: "sock-1", ID: 1, Status: "OPEN", Addr: "127.0.0.1:80"},
			{Kind: Server, Proxy: "app", HTTP: true, ProxyID: 3, Name: "a<1>", ID: 1, State: Running, Active: 1, Checks: Checks{CheckConfigured: true, CheckStatus: "L7OK", CheckCode: 200, CheckRise: 2, CheckFall: 3, CheckHealth: 4}, Addr: "127.0.0.1:81", Pool: Pool{IdleLimit: -1}},
			{Kind: Server, Proxy: "app", HTTP: true, ProxyID: 3, Name: "b", ID: 2, Backup: 1, Checks: Checks{CheckConfigured: true, CheckStatus: "L4CON", CheckInfo: "a,\"b\"\nc", CheckDuration: 1}, Pool: Pool{IdleLimit: 5}, Durations: Durations{QueueTime: 1500}},
			{Kind: Server, Proxy: "app", HTTP: true, ProxyID: 3, Name: "c", ID: 3, Active: 1, Admin: ForcedMaint, Pool: Pool{IdleLimit: -1}, Cookie: "x"},
			{Kind: Backend, Proxy: "app", HTTP: true, ProxyID: 3, Status: "UP", Servers: 3, ServersUp: 1, LastSess: -1, Algo: "roundrobin"},
		},
	}
}

// names of the rows a filter leaves, in short.
func filtered(t *testing.T, f Filter) string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(string(AppendCSV(nil, sample(), f)))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rows[1:] {
		names = append(names, r[1])
	}
	return strings.Join(names, " ")
}

func TestFilter(t *testing.T) {
	is := func(want string, f Filter) {
		t.Helper()
		if got := filtered(t, f); got != want {
			t.Errorf("%+v: %q, want %q", f, got, want)
		}
	}
	is("FRONTEND sock-1 a<1> b c BACKEND", Filter{})
	is("FRONTEND sock-1 a<1> b c BACKEND", Filter{ProxyID: -1, Kinds: -1, ServerID: -1})
	is("FRONTEND", Filter{Kinds: 1})
	is("BACKEND", Filter{Kinds: 2})
	is("a<1> b c", Filter{Kinds: 4})
	is("sock-1", Filter{Kinds: 8})
	is("FRONTEND BACKEND", Filter{Kinds: 3})
	is("FRONTEND sock-1", Filter{ProxyID: 2})
	is("b", Filter{ProxyID: 3, Kinds: 4, ServerID: 2})
	is("a<1> b c BACKEND", Filter{Proxy: "app"})
	is("", Filter{Proxy: "none"})
	is("FRONTEND sock-1 a<1> BACKEND", Filter{HideDown: true})
	is("FRONTEND sock-1 a<1> b BACKEND", Filter{HideMaint: true})

	if out := string(AppendCSV(nil, sample(), Filter{HideDown: true})); !strings.Contains(out, ",UP (1/3),") {
		t.Error("the backend does not tell how many servers are hidden")
	}
	out := string(AppendCSV(nil, sample(), Filter{HideSetup: true}))
	for _, secret := range []string{"127.0.0.1", "roundrobin", ",x,"} {
		if strings.Contains(out, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
}

// The families and their types are those of HAProxy's exporter; every sample
// is well-formed.
func TestPrometheusNames(t *testing.T) {
	want, err := os.ReadFile("testdata/prometheus-names.txt")
	if err != nil {
		t.Fatal(err)
	}
	page := string(AppendPrometheus(nil, sample(), AllScopes()))
	var families []string
	line := regexp.MustCompile(`^(haproxy_[a-z0-9_]+)(\{[a-z]+="(\\.|[^"\\\n])*"(,[a-z]+="(\\.|[^"\\\n])*")*\})? -?[0-9]+(\.[0-9]+)?$`)
	for l := range strings.SplitSeq(strings.TrimSuffix(page, "\n"), "\n") {
		if family, ok := strings.CutPrefix(l, "# TYPE "); ok {
			families = append(families, family)
			continue
		}
		if strings.HasPrefix(l, "# HELP ") {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("malformed: %s", l)
			continue
		}
		if family, _, _ := strings.Cut(families[len(families)-1], " "); m[1] != family {
			t.Errorf("%s stands under %s", l, family)
		}
	}
	for l := range strings.SplitSeq(strings.TrimSpace(string(want)), "\n") {
		if !slices.Contains(families, l) {
			t.Errorf("no family %s", l)
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(families)))); n != len(families) {
		t.Error("a family comes twice")
	}
}

func TestPrometheusValues(t *testing.T) {
	s := sample()
	s.Rows[0].Resp[1], s.Rows[3].ErrConn = 7, 9
	page := string(AppendPrometheus(nil, s, AllScopes()))
	for _, want := range []string{
		`haproxy_process_build_info{version="9.87"} 1`,
		`haproxy_process_uptime_seconds 60`,
		`haproxy_frontend_status{proxy="web",state="UP"} 1`,
		`haproxy_frontend_http_responses_total{proxy="web",code="2xx"} 7`,
		`haproxy_listener_current_sessions{proxy="web",listener="sock-1"} 0`,
		`haproxy_backend_status{proxy="app",state="DOWN"} 0`,
		`haproxy_backend_agg_server_status{proxy="app",state="DOWN"} 1`,
		`haproxy_backend_agg_server_status{proxy="app",state="MAINT"} 1`,
		`haproxy_backend_agg_check_status{proxy="app",state="L4CON"} 1`,
		`haproxy_server_status{proxy="app",server="a<1>",state="UP"} 1`,
		`haproxy_server_check_status{proxy="app",server="b",state="L4CON"} 1`,
		`haproxy_server_check_code{proxy="app",server="a<1>"} 200`,
		`haproxy_server_check_duration_seconds{proxy="app",server="b"} 0.001000`,
		`haproxy_server_queue_time_average_seconds{proxy="app",server="b"} 1.500000`,
		`haproxy_server_connection_errors_total{proxy="app",server="b"} 9`,
		`haproxy_server_idle_connections_limit{proxy="app",server="b"} 5`,
	} {
		if !strings.Contains(page, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(page, `idle_connections_limit{proxy="app",server="c"}`) {
		t.Error("an empty cell has a sample")
	}
}

// A cell can hold any text and the table still is one that a CSV reader, and a
// reader line by line, understands.
func FuzzCSVCell(f *testing.F) {
	for _, s := range []string{"", "a", "a,b", `a"b`, `"`, "a\nb", " a ", "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := string(str(s).appendCSV(nil)) + ",x,\n"
		if strings.Count(line, "\n") != 1 {
			t.Fatalf("%q became more than a line", s)
		}
		rd := csv.NewReader(strings.NewReader(line))
		rd.LazyQuotes = false
		cells, err := rd.Read()
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want := strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
		if len(cells) != 3 || cells[0] != want {
			t.Fatalf("%q was read as %q", s, cells)
		}
	})
}
