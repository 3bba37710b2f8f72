package stats

import (
	"strconv"
	"strings"
)

// PrometheusType is the Content-Type of AppendPrometheus.
const PrometheusType = "text/plain; version=0.0.4"

// unit says how a metric's value is made of its column's.
type unit uint8

const (
	asIs   unit = iota
	millis      // the column is in ms, the metric in seconds
)

// metric is one family of the Prometheus page that shows a column: the name
// is haproxy_ + the kind + _ + name, for each kind in kinds. A name that ends
// in _total is a counter.
type metric struct {
	name   string
	kinds  uint8
	column string
	unit   unit
}

// metrics in HAProxy's order. Families with a label of their own (code, state)
// have a function in labelled instead of a column. Never written after init.
var metrics = [...]metric{
	{"current_queue", onB | onS, "qcur", asIs},
	{"max_queue", onB | onS, "qmax", asIs},
	{"current_sessions", all, "scur", asIs},
	{"max_sessions", all, "smax", asIs},
	{"limit_sessions", all, "slim", asIs},
	{"sessions_total", all, "stot", asIs},
	{"bytes_in_total", all, "bin", asIs},
	{"bytes_out_total", all, "bout", asIs},
	{"requests_denied_total", onF | onB | onL, "dreq", asIs},
	{"responses_denied_total", all, "dresp", asIs},
	{"request_errors_total", onF | onL, "ereq", asIs},
	{"connection_errors_total", onB | onS, "econ", asIs},
	{"response_errors_total", onB | onS, "eresp", asIs},
	{"retry_warnings_total", onB | onS, "wretr", asIs},
	{"redispatch_warnings_total", onB | onS, "wredis", asIs},
	{"status", all, "status", asIs},
	{"weight", onB | onS, "weight", asIs},
	{"active_servers", onB, "act", asIs},
	{"backup_servers", onB, "bck", asIs},
	{"check_failures_total", onS, "chkfail", asIs},
	{"check_up_down_total", onB | onS, "chkdown", asIs},
	{"check_last_change_seconds", onB | onS, "lastchg", asIs},
	{"downtime_seconds_total", onB | onS, "downtime", asIs},
	{"queue_limit", onS, "qlimit", asIs},
	{"current_throttle", onS, "throttle", asIs},
	{"loadbalanced_total", onB | onS, "lbtot", asIs},
	{"limit_session_rate", onF, "rate_lim", asIs},
	{"max_session_rate", onF | onB | onS, "rate_max", asIs},
	{"check_status", onS, "check_status", asIs},
	{"check_code", onS, "check_code", asIs},
	{"check_duration_seconds", onS, "check_duration", millis},
	{"http_responses_total", onF | onB | onS, "hrsp_1xx", asIs},
	{"http_requests_rate_max", onF, "req_rate_max", asIs},
	{"http_requests_total", onF | onB, "req_tot", asIs},
	{"client_aborts_total", onB | onS, "cli_abrt", asIs},
	{"server_aborts_total", onB | onS, "srv_abrt", asIs},
	{"http_comp_bytes_in_total", onF | onB, "comp_in", asIs},
	{"http_comp_bytes_out_total", onF | onB, "comp_out", asIs},
	{"http_comp_bytes_bypassed_total", onF | onB, "comp_byp", asIs},
	{"http_comp_responses_total", onF | onB, "comp_rsp", asIs},
	{"last_session_seconds", onB | onS, "lastsess", asIs},
	{"queue_time_average_seconds", onB | onS, "qtime", millis},
	{"connect_time_average_seconds", onB | onS, "ctime", millis},
	{"response_time_average_seconds", onB | onS, "rtime", millis},
	{"total_time_average_seconds", onB | onS, "ttime", millis},
	{"connections_rate_max", onF, "conn_rate_max", asIs},
	{"connections_total", onF, "conn_tot", asIs},
	{"intercepted_requests_total", onF, "intercepted", asIs},
	{"denied_connections_total", onF | onL, "dcon", asIs},
	{"denied_sessions_total", onF | onL, "dses", asIs},
	{"failed_header_rewriting_total", all, "wrew", asIs},
	{"connection_attempts_total", onB | onS, "connect", asIs},
	{"connection_reuses_total", onB | onS, "reuse", asIs},
	{"http_cache_lookups_total", onF | onB, "cache_lookups", asIs},
	{"http_cache_hits_total", onF | onB, "cache_hits", asIs},
	{"idle_connections_current", onS, "srv_icur", asIs},
	{"idle_connections_limit", onS, "src_ilim", asIs},
	{"max_queue_time_seconds", onB | onS, "qtime_max", millis},
	{"max_connect_time_seconds", onB | onS, "ctime_max", millis},
	{"max_response_time_seconds", onB | onS, "rtime_max", millis},
	{"max_total_time_seconds", onB | onS, "ttime_max", millis},
	{"internal_errors_total", all, "eint", asIs},
	{"unsafe_idle_connections_current", onS, "idle_conn_cur", asIs},
	{"safe_idle_connections_current", onS, "safe_conn_cur", asIs},
	{"used_connections_current", onS, "used_conn_cur", asIs},
	{"need_connections_current", onS, "need_conn_est", asIs},
	{"uweight", onB | onS, "uweight", asIs},
	{"agg_server_status", onB, "agg_server_status", asIs},
	{"agg_server_check_status", onB, "agg_server_check_status", asIs},
	{"agg_check_status", onB, "agg_check_status", asIs},
}

// processMetric is one family about the process, which shows a field of `show
// info`.
type processMetric struct {
	name, field string
	counter     bool
}

// processMetrics in HAProxy's order. Never written after init.
var processMetrics = [...]processMetric{
	{"nbthread", "Nbthread", false},
	{"nbproc", "Nbproc", false},
	{"relative_process_id", "Process_num", false},
	{"uptime_seconds", "Uptime_sec", false},
	{"pool_failures_total", "PoolFailed", true},
	{"max_fds", "Ulimit-n", false},
	{"max_sockets", "Maxsock", false},
	{"max_connections", "Maxconn", false},
	{"hard_max_connections", "Hard_maxconn", false},
	{"current_connections", "CurrConns", false},
	{"connections_total", "CumConns", true},
	{"requests_total", "CumReq", true},
	{"max_ssl_connections", "MaxSslConns", false},
	{"current_ssl_connections", "CurrSslConns", false},
	{"ssl_connections_total", "CumSslConns", true},
	{"max_pipes", "Maxpipes", false},
	{"pipes_used_total", "PipesUsed", true},
	{"pipes_free_total", "PipesFree", true},
	{"current_connection_rate", "ConnRate", false},
	{"limit_connection_rate", "ConnRateLimit", false},
	{"max_connection_rate", "MaxConnRate", false},
	{"current_session_rate", "SessRate", false},
	{"limit_session_rate", "SessRateLimit", false},
	{"max_session_rate", "MaxSessRate", false},
	{"current_ssl_rate", "SslRate", false},
	{"limit_ssl_rate", "SslRateLimit", false},
	{"max_ssl_rate", "MaxSslRate", false},
	{"current_frontend_ssl_key_rate", "SslFrontendKeyRate", false},
	{"max_frontend_ssl_key_rate", "SslFrontendMaxKeyRate", false},
	{"frontend_ssl_reuse", "SslFrontendSessionReuse_pct", false},
	{"current_backend_ssl_key_rate", "SslBackendKeyRate", false},
	{"max_backend_ssl_key_rate", "SslBackendMaxKeyRate", false},
	{"ssl_cache_lookups_total", "SslCacheLookups", true},
	{"ssl_cache_misses_total", "SslCacheMisses", true},
	{"http_comp_bytes_in_total", "CompressBpsIn", true},
	{"http_comp_bytes_out_total", "CompressBpsOut", true},
	{"limit_http_comp", "CompressBpsRateLim", false},
	{"current_zlib_memory", "ZlibMemUsage", false},
	{"max_zlib_memory", "MaxZlibMemUsage", false},
	{"current_tasks", "Tasks", false},
	{"current_run_queue", "Run_queue", false},
	{"idle_time_percent", "Idle_pct", false},
	{"stopping", "Stopping", false},
	{"jobs", "Jobs", false},
	{"unstoppable_jobs", "Unstoppable Jobs", false},
	{"listeners", "Listeners", false},
	{"active_peers", "ActivePeers", false},
	{"connected_peers", "ConnectedPeers", false},
	{"dropped_logs_total", "DroppedLogs", true},
	{"busy_polling_enabled", "BusyPolling", false},
	{"failed_resolutions", "FailedResolutions", true},
	{"bytes_out_total", "TotalBytesOut", true},
	{"spliced_bytes_out_total", "TotalSplicdedBytesOut", true},
	{"bytes_out_rate", "BytesOutRate", false},
	{"recv_logs_total", "CumRecvLogs", true},
	{"build_info", "Build info", false},
	{"max_memory_bytes", "Memmax_bytes", false},
	{"pool_allocated_bytes", "PoolAlloc_bytes", false},
	{"pool_used_bytes", "PoolUsed_bytes", false},
	{"start_time_seconds", "Start_time_sec", false},
}

// AppendPrometheus writes the page in the text format, with the names and
// labels of HAProxy's exporter. What is empty in `show stat` has no line.
func AppendPrometheus(dst []byte, s *Snapshot, of Scopes) []byte {
	if of.Global {
		for i := range processMetrics {
			dst = appendProcess(dst, &processMetrics[i], &s.Info)
		}
	}
	for _, k := range []Kind{Frontend, Listener, Backend, Server} {
		for i := range metrics {
			if m := &metrics[i]; of.Kinds[k] && m.kinds>>k&1 != 0 {
				dst = appendFamily(dst, m, k, s, of.NoMaint)
			}
		}
	}
	if !of.Global {
		return dst
	}
	return appendHistograms(dst, s)
}

func appendProcess(dst []byte, m *processMetric, in *Info) []byte {
	for i := range infoFields {
		f := &infoFields[i]
		if f.name != m.field {
			continue
		}
		name := "haproxy_process_" + m.name
		dst = appendHelp(dst, name, f.help, m.counter)
		v := f.get(in)
		switch {
		case m.name == "build_info":
			dst = append(dst, name...)
			dst = appendLabel(dst, '{', "version", in.Version)
			return append(dst, "} 1\n"...)
		case v.typ == empty:
			v = gauge(0)
		}
		dst = append(dst, name...)
		dst = append(dst, ' ')
		dst = v.append(dst)
		return append(dst, '\n')
	}
	return dst
}

func appendHelp(dst []byte, name, help string, counter bool) []byte {
	dst = append(dst, "# HELP "...)
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = append(dst, help...)
	dst = append(dst, "\n# TYPE "...)
	dst = append(dst, name...)
	if counter {
		return append(dst, " counter\n"...)
	}
	return append(dst, " gauge\n"...)
}

func (k Kind) metricName() string {
	return [...]string{"frontend", "backend", "server", "listener"}[k]
}

// appendFamily writes one family for the rows of kind k.
func appendFamily(dst []byte, m *metric, k Kind, s *Snapshot, noMaint bool) []byte {
	name := "haproxy_" + k.metricName() + "_" + m.name
	var col *column
	for i := range columns {
		if columns[i].name == m.column {
			col = &columns[i]
		}
	}
	help := col.help
	if m.column == "hrsp_1xx" {
		help = "Responses by class of status"
	}
	dst = appendHelp(dst, name, help, strings.HasSuffix(m.name, "_total"))
	for i := range s.Rows {
		r := &s.Rows[i]
		if r.Kind != k || noMaint && k == Server && r.state() == "MAINT" {
			continue
		}
		switch m.name {
		case "http_responses_total":
			if r.HTTP {
				for class, n := range r.Resp {
					code := [...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"}[class]
					dst = appendSample(dst, name, r, "code", code)
					dst = strconv.AppendUint(dst, n, 10)
					dst = append(dst, '\n')
				}
			}
		case "status":
			for _, state := range r.states() {
				dst = appendState(dst, name, r, state, flag(state == r.state()))
			}
		case "check_status":
			if r.checked() {
				for _, state := range checkStates() {
					dst = appendState(dst, name, r, state, flag(state == r.CheckStatus))
				}
			}
		case "agg_server_status", "agg_server_check_status":
			for _, state := range serverStates() {
				dst = appendState(dst, name, r, state, s.countServers(r.Proxy, func(o *Row) bool { return o.state() == state }))
			}
		case "agg_check_status":
			for _, state := range checkStates() {
				dst = appendState(dst, name, r, state, s.countServers(r.Proxy, func(o *Row) bool { return o.checked() && o.CheckStatus == state }))
			}
		default:
			v := col.get(r)
			if v.typ == empty {
				continue
			}
			dst = appendSample(dst, name, r, "", "")
			if m.unit == millis {
				dst = strconv.AppendFloat(dst, float64(v.n)/1000, 'f', 6, 64)
			} else {
				dst = v.append(dst)
			}
			dst = append(dst, '\n')
		}
	}
	return dst
}

// appendSample writes a sample up to its value.
func appendSample(dst []byte, name string, r *Row, label, labelValue string) []byte {
	dst = append(dst, name...)
	dst = appendLabel(dst, '{', "proxy", r.Proxy)
	if r.Kind == Server || r.Kind == Listener {
		dst = appendLabel(dst, ',', r.Kind.metricName(), r.Name)
	}
	if label != "" {
		dst = appendLabel(dst, ',', label, labelValue)
	}
	return append(dst, '}', ' ')
}

func appendState(dst []byte, name string, r *Row, state string, n int) []byte {
	dst = appendSample(dst, name, r, "state", state)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '\n')
}

// appendLabel writes one label, escaped as the text format wants.
func appendLabel(dst []byte, before byte, name, v string) []byte {
	dst = append(dst, before)
	dst = append(dst, name...)
	dst = append(dst, '=', '"')
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case '\\', '"':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// state is the row's value of the label "state".
func (r *Row) state() string {
	switch r.Kind {
	case Frontend:
		if r.Status == "STOP" {
			return "DOWN"
		}
		return "UP"
	case Server:
		switch r.class() {
		case classMaint:
			return "MAINT"
		case classDown, classDownAgent, classGoingUp:
			return "DOWN"
		case classNoLB:
			return "NOLB"
		case classDrain:
			return "DRAIN"
		}
		return "UP"
	}
	return r.Status
}

// states the label "state" has for the row's kind.
func (r *Row) states() []string {
	switch r.Kind {
	case Listener:
		return []string{"WAITING", "OPEN", "FULL"}
	case Server:
		return serverStates()
	}
	return []string{"DOWN", "UP"}
}

func serverStates() []string { return []string{"DOWN", "UP", "MAINT", "DRAIN", "NOLB"} }

func checkStates() []string {
	return []string{
		"HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP",
		"L7TOUT", "L7RSP", "L7OK", "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
	}
}

// countServers of a backend that is holds for.
func (s *Snapshot) countServers(backend string, is func(*Row) bool) int {
	n := 0
	for i := range s.Rows {
		if r := &s.Rows[i]; r.Kind == Server && r.Proxy == backend && is(r) {
			n++
		}
	}
	return n
}
