package stats

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The files haproxy-* are what HAProxy 2.6.12 answered, all of them within one
// second, with frontends, listeners, backends and servers of both modes:
// checked, unchecked, down, disabled, draining, backup and tracking ones.

func recorded(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fields says which field of Row a column shows. Columns without one are
// derived from others.
func fields() map[string]string {
	return map[string]string{
		"pxname": "Proxy", "svname": "Name", "qcur": "QueueCur", "qmax": "QueueMax", "scur": "SessCur", "smax": "SessMax",
		"slim": "SessLimit", "stot": "SessTotal", "bin": "BytesIn", "bout": "BytesOut", "dreq": "DeniedReq", "dresp": "DeniedResp",
		"ereq": "ErrReq", "econ": "ErrConn", "eresp": "ErrResp", "wretr": "Retries", "wredis": "Redispatches", "status": "Status",
		"weight": "Weight", "act": "Active", "bck": "Backup", "chkfail": "CheckFail", "chkdown": "CheckDown", "lastchg": "LastChange",
		"downtime": "Downtime", "qlimit": "QLimit", "iid": "ProxyID", "sid": "ID", "throttle": "Throttle", "lbtot": "LBTotal",
		"tracked": "Tracked", "rate": "SessRate", "rate_lim": "SessRateLimit", "rate_max": "SessRateMax",
		"check_status": "CheckStatus", "check_code": "CheckCode", "check_duration": "CheckDuration",
		"req_rate": "ReqRate", "req_rate_max": "ReqRateMax", "req_tot": "ReqTotal", "cli_abrt": "CliAborts", "srv_abrt": "SrvAborts",
		"lastsess": "LastSess", "last_chk": "CheckInfo", "qtime": "QueueTime", "ctime": "ConnectTime", "rtime": "ResponseTime",
		"ttime": "TotalTime", "check_desc": "CheckDesc", "check_rise": "CheckRise", "check_fall": "CheckFall", "check_health": "CheckHealth",
		"addr": "Addr", "cookie": "Cookie", "algo": "Algo", "conn_rate": "ConnRate", "conn_rate_max": "ConnRateMax", "conn_tot": "ConnTotal",
		"intercepted": "Intercepted", "dcon": "DeniedConn", "dses": "DeniedSess", "wrew": "FailedRewrites", "connect": "Connects",
		"reuse": "Reuses", "srv_icur": "IdleConns", "src_ilim": "IdleLimit", "qtime_max": "QueueTimeMax", "ctime_max": "ConnectTimeMax",
		"rtime_max": "ResponseTimeMax", "ttime_max": "TotalTimeMax", "eint": "InternalErrors", "idle_conn_cur": "UnsafeConns",
		"safe_conn_cur": "SafeConns", "used_conn_cur": "UsedConns", "need_conn_est": "NeedConns", "uweight": "UserWeight",
		"ssl_sess": "SSLSessions", "ssl_reused_sess": "SSLReused", "ssl_failed_handshake": "SSLFailed",
	}
}

// readRow makes a Row of a line HAProxy wrote.
func readRow(t *testing.T, header, cells []string) Row {
	t.Helper()
	r := Row{Checks: Checks{CheckDuration: -1}, Pool: Pool{IdleLimit: -1}}
	v := reflect.ValueOf(&r).Elem()
	get := map[string]string{}
	for i, name := range header {
		cell := cells[i]
		get[name] = cell
		field, ok := fields()[name]
		if !ok || cell == "" {
			continue
		}
		switch f := v.FieldByName(field); f.Kind() {
		case reflect.String:
			f.SetString(cell)
		case reflect.Int:
			n, err := strconv.Atoi(cell)
			if err != nil {
				t.Fatal(err)
			}
			f.SetInt(int64(n))
		case reflect.Uint64:
			n, err := strconv.ParseUint(cell, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			f.SetUint(n)
		default:
			t.Fatalf("no field for %s", name)
		}
	}
	for i, name := range []string{"hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"} {
		if get[name] != "" {
			n, err := strconv.ParseUint(get[name], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r.Resp[i] = n
		}
	}
	r.HTTP = get["mode"] == "http"
	kind, err := strconv.Atoi(get["type"])
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind = Kind(kind); r.Kind != Server {
		return r
	}
	r.CheckConfigured = get["chkfail"] != ""
	r.State = Running
	switch word, _, _ := strings.Cut(r.Status, " "); word {
	case "DOWN":
		r.State = Stopped
	case "MAINT":
		r.State, r.Admin = Stopped, ForcedMaint
	case "NOLB":
		r.State = Stopping
	case "DRAIN":
		r.Admin = ForcedDrain
	}
	return r
}

func readSnapshot(t *testing.T) (header []string, lines [][]string, s *Snapshot) {
	t.Helper()
	text, ok := strings.CutPrefix(strings.TrimSpace(recorded(t, "haproxy-stat.csv")), "# ")
	if !ok {
		t.Fatal("no header")
	}
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s = &Snapshot{}
	for _, l := range lines[1:] {
		s.Rows = append(s.Rows, readRow(t, lines[0], l))
	}
	return lines[0], lines[1:], s
}

// unlike are columns this program fills otherwise than HAProxy: it counts
// HTTP/1 once, in the columns before, and has no agent checks.
func unlike(name string) bool {
	return strings.HasPrefix(name, "h1_") || strings.HasPrefix(name, "agent_") || name == "last_agt"
}

// Every row HAProxy wrote, taken apart into a Row and written again, is the
// same: the same columns, the same cells empty, the same values.
func TestCSVAsHAProxy(t *testing.T) {
	header, lines, s := readSnapshot(t)
	out := string(AppendCSV(nil, s, Filter{}))
	for i, line := range strings.SplitAfter(out, "\n") {
		if line != "" && !strings.HasSuffix(line, ",\n") {
			t.Errorf("line %d does not end in a comma", i)
		}
	}
	ours, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out, "# "))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	// The columns after HAProxy's are ours.
	header = header[:len(header)-1] // what follows the last comma
	if got, want := strings.Join(ours[0][:len(header)], ","), strings.Join(header, ","); got != want {
		t.Fatalf("header\n%s\nwant\n%s", got, want)
	}
	seen := map[string]bool{}
	for i, line := range lines {
		for c, want := range line[:len(header)] {
			if got := ours[i+1][c]; got != want && !unlike(header[c]) {
				t.Errorf("%s/%s %s: %q, want %q", line[0], line[1], header[c], got, want)
			}
		}
		seen[line[17]] = true
	}
	for _, status := range []string{"OPEN", "PAUSED", "UP", "DOWN", "MAINT", "no check", "DRAIN", "NOLB"} {
		if !seen[status] {
			t.Errorf("the recording has no row with status %s", status)
		}
	}
}

// The typed lines have HAProxy's tags, types and positions.
func TestTypedAsHAProxy(t *testing.T) {
	_, _, s := readSnapshot(t)
	want := strings.Split(recorded(t, "haproxy-stat.typed"), "\n")
	got := map[string]string{}
	for line := range strings.SplitSeq(string(AppendTyped(nil, s, Filter{}, false)), "\n") {
		key, rest, _ := strings.Cut(line, ":")
		got[key] = rest
	}
	n := 0
	for _, line := range want {
		key, rest, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		if name := strings.Split(key, ".")[4]; unlike(name) {
			continue
		}
		n++
		// Values are compared without those that moved between the answers.
		tags := func(s string) string {
			return strings.Join(strings.SplitN(s, ":", 3)[:min(2, strings.Count(s, ":"))], ":")
		}
		if tags(got[key]) != tags(rest) {
			t.Errorf("%s:%s, want %s", key, got[key], rest)
		}
	}
	if n < 1000 {
		t.Errorf("only %d lines compared", n)
	}
}

func info() Info {
	start := time.Unix(1795233649, 0)
	return Info{
		Name: "HAProxy", Version: "2.6.12-1+deb12u4", ReleaseDate: "2026/10/17", BuildInfo: "2.6.12-1+deb12u4", Node: "node1",
		Threads: 2, Pid: 4711, Start: start, Now: start.Add(90061 * time.Second), MaxConn: 200, CurConns: -1,
	}
}

// `show info` has HAProxy's fields in its order and with its types.
func TestInfoAsHAProxy(t *testing.T) {
	in := info()
	names := func(s string) (out []string) {
		for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
			name, _, _ := strings.Cut(line, ":")
			out = append(out, name)
		}
		return out
	}
	if got, want := names(string(AppendInfo(nil, &in, InfoForm{}))), names(recorded(t, "haproxy-info.txt")); !reflect.DeepEqual(got, want) {
		t.Errorf("fields\n%q\nwant\n%q", got, want)
	}
	types := func(s string) (out []string) {
		for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
			p := strings.SplitN(line, ":", 4)
			out = append(out, strings.Join(p[:3], ":"))
		}
		return out
	}
	if got, want := types(string(AppendInfoTyped(nil, &in, InfoForm{}))), types(recorded(t, "haproxy-info.typed")); !reflect.DeepEqual(got, want) {
		t.Errorf("types\n%q\nwant\n%q", got, want)
	}
	text := string(AppendInfo(nil, &in, InfoForm{Desc: true}))
	for _, want := range []string{"Uptime: 1d 1h01m01s:\"", "Uptime_sec: 90061:\"", "CurrConns: 0:\"", "node: node1:\"Name of this node\"\n", "Start_time_sec: 1795233649:"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// The JSON forms are valid JSON and say what the typed lines say.
func TestJSON(t *testing.T) {
	_, _, s := readSnapshot(t)
	s.Info = info()
	type field struct {
		ObjType string
		Field   struct {
			Pos  int
			Name string
		}
		Tags struct{ Origin, Nature, Scope string }
		Val  struct {
			Type  string
			Value any
		} `json:"value"`
	}
	var rows [][]field
	if err := json.Unmarshal(AppendJSON(nil, s, Filter{}), &rows); err != nil {
		t.Fatal(err)
	}
	typed := strings.Split(strings.TrimSpace(string(AppendTyped(nil, s, Filter{}, false))), "\n\n")
	if len(rows) != len(typed) {
		t.Fatalf("%d rows, want %d", len(rows), len(typed))
	}
	for i, row := range rows {
		if n := strings.Count(typed[i], "\n") + 1; n != len(row) {
			t.Errorf("row %d has %d fields, want %d", i, len(row), n)
		}
		for _, f := range row {
			if f.Tags.Origin == "Unknown" || f.Tags.Nature == "Unknown" || f.Tags.Scope == "Unknown" || f.Val.Type == "" || f.Val.Value == nil {
				t.Errorf("field %+v", f)
			}
		}
	}
	var in []field
	if err := json.Unmarshal(AppendInfoJSON(nil, &s.Info, InfoForm{}), &in); err != nil {
		t.Fatal(err)
	}
	if len(in) != strings.Count(string(AppendInfoTyped(nil, &s.Info, InfoForm{})), "\n") {
		t.Errorf("%d fields of info", len(in))
	}
	odd := Snapshot{Rows: []Row{{Proxy: "a\"\\\n\xff", Status: "UP"}}}
	if err := json.Unmarshal(AppendJSON(nil, &odd, Filter{}), &rows); err != nil {
		t.Errorf("odd names: %v", err)
	}
	odd.Rows = nil
	if got := string(AppendJSON(nil, &odd, Filter{})); got != "[]\n" {
		t.Errorf("no rows: %q", got)
	}
}
