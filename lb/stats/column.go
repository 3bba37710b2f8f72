package stats

// tags say what a number is to a program that reads typed output: origin
// (Metric, Status, Key, Config, Product), nature (Gauge, Limit, Min, Max,
// Rate, Counter, Duration, Age, Time, Name, Output, average) and scope
// (Cluster, Process, Service, System), a letter each, as HAProxy writes them.
type tags string

// column is one column of `show stat`. get gives its value for a row, or the
// zero value where the cell is empty.
type column struct {
	name string
	tags tags
	back tags // when a backend's tags differ
	help string
	get  func(r *Row) value
}

// tagsOf the column in a row of that kind.
func (c *column) tagsOf(k Kind) tags {
	if k == Backend && c.back != "" {
		return c.back
	}
	return c.tags
}

// The kinds of rows that fill a column.
const (
	onF = 1 << Frontend
	onB = 1 << Backend
	onS = 1 << Server
	onL = 1 << Listener
	all = onF | onB | onS | onL
)

// count is a column that shows a counter on the given kinds of rows.
func count(kinds uint8, get func(r *Row) uint64) func(r *Row) value {
	return func(r *Row) value {
		if kinds>>r.Kind&1 == 0 {
			return value{}
		}
		return counter(get(r))
	}
}

// level is a column that shows a number that goes up and down.
func level(kinds uint8, get func(r *Row) int) func(r *Row) value {
	return func(r *Row) value {
		if kinds>>r.Kind&1 == 0 {
			return value{}
		}
		return gauge(get(r))
	}
}

// open is a column of what is open now, on frontends and backends.
func open(get func(r *Row) int) func(r *Row) value {
	return count(onF|onB, func(r *Row) uint64 { return uint64(max(get(r), 0)) })
}

// httpOnly empties a column in tcp mode.
func httpOnly(get func(r *Row) value) func(r *Row) value {
	return func(r *Row) value {
		if !r.HTTP {
			return value{}
		}
		return get(r)
	}
}

// checkOnly empties a column on servers whose check results are not shown.
func checkOnly(get func(r *Row) value) func(r *Row) value {
	return func(r *Row) value {
		if r.Kind != Server || !r.checked() {
			return value{}
		}
		return get(r)
	}
}

// agentOnly empties a column on servers without an agent that is asked.
func agentOnly(get func(r *Row) value) func(r *Row) value {
	return func(r *Row) value {
		if r.Kind != Server || !r.AgentConfigured || r.AgentStatus == "" {
			return value{}
		}
		return get(r)
	}
}

func checkCode(r *Row) value {
	if r.CheckHasCode {
		return gauge(int(uint32(r.CheckCode))) // -1, of a program that a signal ended, as HAProxy has it
	}
	return gaugeIf(r.CheckCode)
}

func agentCode(r *Row) value {
	if !r.AgentHasCode {
		return value{}
	}
	return gauge(r.AgentCode)
}

func agentDuration(r *Row) value {
	if r.AgentDuration < 0 {
		return value{}
	}
	return counter(uint64(r.AgentDuration))
}

// frames are those of a type that HTTP/2 connections were sent.
func frames(kind int) func(r *Row) value {
	return count(onF|onB, func(r *Row) uint64 { return r.H2.Frames[kind] })
}

func responses(class int) func(r *Row) value {
	return httpOnly(count(onF|onB|onS, func(r *Row) uint64 { return r.Resp[class] }))
}

func svname(r *Row) value {
	switch r.Kind {
	case Frontend:
		return str("FRONTEND")
	case Backend:
		return str("BACKEND")
	}
	return str(r.Name)
}

func slim(r *Row) value {
	if r.Kind == Server {
		return gaugeIf(r.SessLimit)
	}
	return gauge(r.SessLimit)
}

func chkdown(r *Row) value {
	if r.Kind == Backend || r.Kind == Server && r.CheckConfigured {
		return counter(r.CheckDown)
	}
	return value{}
}

func downtime(r *Row) value {
	if r.Kind == Backend || r.Kind == Server && r.CheckConfigured {
		return gauge(r.Downtime)
	}
	return value{}
}

func throttle(r *Row) value {
	if r.Kind == Server && r.State == Starting && !r.Admin.Drain() {
		return gauge(r.Throttle)
	}
	return value{}
}

func sid(r *Row) int {
	if r.Kind == Server || r.Kind == Listener {
		return r.ID
	}
	return 0
}

func status(r *Row) value { return str(r.StatusText()) }

func checkStatus(r *Row) value {
	if r.CheckRunning {
		return str("* " + r.CheckStatus)
	}
	return str(r.CheckStatus)
}

func checkDuration(r *Row) value {
	if r.CheckDuration < 0 {
		return value{}
	}
	return counter(uint64(r.CheckDuration))
}

func lastsess(r *Row) value {
	if r.Kind == Backend || r.Kind == Server {
		return signed(r.LastSess)
	}
	return value{}
}

func mode(r *Row) value {
	if r.HTTP {
		return str("http")
	}
	return str("tcp")
}

func on(kinds uint8, get func(r *Row) value) func(r *Row) value {
	return func(r *Row) value {
		if kinds>>r.Kind&1 == 0 {
			return value{}
		}
		return get(r)
	}
}

func idleLimit(r *Row) value {
	if r.IdleLimit < 0 {
		return value{}
	}
	return gauge(r.IdleLimit)
}

// columns of `show stat`, in HAProxy 2.6's order. Never written after init.
var columns = [...]column{
	{"pxname", "KNS", "", "Name of the proxy", func(r *Row) value { return str(r.Proxy) }},
	{"svname", "KNS", "", "FRONTEND, BACKEND, or the name of the server or listener", svname},
	{"qcur", "MGP", "", "Requests waiting in the queue now", level(onB|onS, func(r *Row) int { return r.QueueCur })},
	{"qmax", "MMP", "", "Most requests that ever waited in the queue", level(onB|onS, func(r *Row) int { return r.QueueMax })},
	{"scur", "MGP", "", "Sessions now", level(all, func(r *Row) int { return r.SessCur })},
	{"smax", "MMP", "", "Most sessions there ever were", level(all, func(r *Row) int { return r.SessMax })},
	{"slim", "CLP", "", "Limit of sessions (maxconn, or fullconn of a backend)", slim},
	{"stot", "MCP", "", "Sessions since the counters were cleared", count(all, func(r *Row) uint64 { return r.SessTotal })},
	{"bin", "MCP", "", "Bytes from clients", count(all, func(r *Row) uint64 { return r.BytesIn })},
	{"bout", "MCP", "", "Bytes to clients", count(all, func(r *Row) uint64 { return r.BytesOut })},
	{"dreq", "MCP", "", "Requests denied by a rule", count(onF|onB|onL, func(r *Row) uint64 { return r.DeniedReq })},
	{"dresp", "MCP", "", "Responses denied by a rule", count(all, func(r *Row) uint64 { return r.DeniedResp })},
	{"ereq", "MCP", "", "Requests that were invalid or never complete", count(onF|onL, func(r *Row) uint64 { return r.ErrReq })},
	{"econ", "MCP", "", "Failed connections to servers", count(onB|onS, func(r *Row) uint64 { return r.ErrConn })},
	{"eresp", "MCP", "", "Invalid or broken responses", count(onB|onS, func(r *Row) uint64 { return r.ErrResp })},
	{"wretr", "MCP", "", "Connections tried again", count(onB|onS, func(r *Row) uint64 { return r.Retries })},
	{"wredis", "MCP", "", "Requests given to another server", count(onB|onS, func(r *Row) uint64 { return r.Redispatches })},
	{"status", "SGP", "", "State", status},
	{"weight", "MaP", "", "Effective weight, or the sum over usable servers", level(onB|onS, func(r *Row) int { return r.Weight })},
	{"act", "SGP", "MGP", "Usable active servers, or 1 for an active server", level(onB|onS, func(r *Row) int { return r.Active })},
	{"bck", "SGP", "MGP", "Usable backup servers, or 1 for a backup server", level(onB|onS, func(r *Row) int { return r.Backup })},
	{"chkfail", "MCP", "", "Failed checks while the server was up", func(r *Row) value {
		if r.Kind != Server || !r.CheckConfigured {
			return value{}
		}
		return counter(r.CheckFail)
	}},
	{"chkdown", "MCP", "", "Transitions from up to down", chkdown},
	{"lastchg", "MAP", "", "Seconds since the last transition", level(onB|onS, func(r *Row) int { return r.LastChange })},
	{"downtime", "MCP", "", "Seconds of downtime", downtime},
	{"qlimit", "CGS", "", "Limit of the queue", on(onS, func(r *Row) value { return gaugeIf(r.QLimit) })},
	{"pid", "KGP", "", "Number of the process, always 1", level(all, func(*Row) int { return 1 })},
	{"iid", "KGS", "", "Number of the proxy", level(all, func(r *Row) int { return r.ProxyID })},
	{"sid", "KGS", "", "Number of the server or listener", level(all, sid)},
	{"throttle", "MaP", "", "Slow start, percent of the weight", throttle},
	{"lbtot", "MCP", "", "Times chosen by the balancing", count(onB|onS, func(r *Row) uint64 { return r.LBTotal })},
	{"tracked", "CNS", "", "The server whose state this one follows", on(onS, func(r *Row) value { return strIf(r.Tracked) })},
	{"type", "CGS", "", "0 frontend, 1 backend, 2 server, 3 listener", level(all, func(r *Row) int { return int(r.Kind) })},
	{"rate", "MRP", "MGP", "Sessions in the last second", level(onF|onB|onS, func(r *Row) int { return r.SessRate })},
	{"rate_lim", "CLP", "", "Limit of sessions per second", level(onF, func(r *Row) int { return r.SessRateLimit })},
	{"rate_max", "MMP", "MGP", "Most sessions in one second", level(onF|onB|onS, func(r *Row) int { return r.SessRateMax })},
	{"check_status", "MOP", "", "Result of the last health check", checkOnly(checkStatus)},
	{"check_code", "MOP", "", "Status code of the last health check", checkOnly(checkCode)},
	{"check_duration", "MDP", "", "Milliseconds the last health check took", checkOnly(checkDuration)},
	{"hrsp_1xx", "MCP", "", "Responses with a 1xx status", responses(0)},
	{"hrsp_2xx", "MCP", "", "Responses with a 2xx status", responses(1)},
	{"hrsp_3xx", "MCP", "", "Responses with a 3xx status", responses(2)},
	{"hrsp_4xx", "MCP", "", "Responses with a 4xx status", responses(3)},
	{"hrsp_5xx", "MCP", "", "Responses with a 5xx status", responses(4)},
	{"hrsp_other", "MCP", "", "Responses with another status", responses(5)},
	{"hanafail", "MCP", "", "Rows of errors of the traffic", func(r *Row) value {
		if r.Kind != Server || !r.Observed {
			return value{}
		}
		return counter(r.HanaFail)
	}},
	{"req_rate", "MRP", "", "Requests in the last second", level(onF, func(r *Row) int { return r.ReqRate })},
	{"req_rate_max", "MMP", "", "Most requests in one second", level(onF, func(r *Row) int { return r.ReqRateMax })},
	{"req_tot", "MCP", "", "HTTP requests", func(r *Row) value {
		if r.Kind == Listener || !r.HTTP && r.Kind != Frontend {
			return value{}
		}
		return counter(r.ReqTotal)
	}},
	{"cli_abrt", "MCP", "", "Transfers the client gave up", count(onB|onS, func(r *Row) uint64 { return r.CliAborts })},
	{"srv_abrt", "MCP", "", "Transfers the server gave up", count(onB|onS, func(r *Row) uint64 { return r.SrvAborts })},
	{"comp_in", "MCP", "", "Bytes given to compression", count(onF|onB, func(r *Row) uint64 { return r.CompIn })},
	{"comp_out", "MCP", "", "Bytes compression made of them", count(onF|onB, func(r *Row) uint64 { return r.CompOut })},
	{"comp_byp", "MCP", "", "Bytes compression passed over", count(onF|onB, func(r *Row) uint64 { return r.CompByp })},
	{"comp_rsp", "MCP", "", "Compressed responses", count(onF|onB, func(r *Row) uint64 { return r.CompRsp })},
	{"lastsess", "MAP", "", "Seconds since the last session, -1 never", lastsess},
	{"last_chk", "MOP", "", "Detail of the last health check", checkOnly(func(r *Row) value { return str(r.CheckInfo) })},
	{"last_agt", "MOP", "", "Detail of the last agent check", agentOnly(func(r *Row) value { return str(r.AgentInfo) })},
	{"qtime", "MaP", "", "Average queue time in ms", level(onB|onS, func(r *Row) int { return r.QueueTime })},
	{"ctime", "MaP", "", "Average connect time in ms", level(onB|onS, func(r *Row) int { return r.ConnectTime })},
	{"rtime", "MaP", "", "Average response time in ms", level(onB|onS, func(r *Row) int { return r.ResponseTime })},
	{"ttime", "MaP", "", "Average total time in ms", level(onB|onS, func(r *Row) int { return r.TotalTime })},
	{"agent_status", "MOP", "", "Result of the last agent check", agentOnly(func(r *Row) value { return str(r.AgentStatus) })},
	{"agent_code", "MOP", "", "Status code of the last agent check, 0", agentOnly(agentCode)},
	{"agent_duration", "MDP", "", "Milliseconds the last agent check took", agentOnly(agentDuration)},
	{"check_desc", "MOP", "", "Meaning of check_status", checkOnly(func(r *Row) value { return str(r.CheckDesc) })},
	{"agent_desc", "MOP", "", "Meaning of agent_status", agentOnly(func(r *Row) value { return str(r.AgentDesc) })},
	{"check_rise", "CGS", "", "Checks that must succeed to go up", checkOnly(func(r *Row) value { return gauge(r.CheckRise) })},
	{"check_fall", "CGS", "", "Checks that must fail to go down", checkOnly(func(r *Row) value { return gauge(r.CheckFall) })},
	{"check_health", "CGS", "", "Health from 0 to rise+fall-1, up from rise on", checkOnly(func(r *Row) value { return gauge(r.CheckHealth) })},
	{"agent_rise", "CGS", "", "Agent's rise", agentOnly(func(r *Row) value { return gauge(r.AgentRise) })},
	{"agent_fall", "CGS", "", "Agent's fall", agentOnly(func(r *Row) value { return gauge(r.AgentFall) })},
	{"agent_health", "CGS", "", "Agent's health", agentOnly(func(r *Row) value { return gauge(r.AgentHealth) })},
	{"addr", "CGS", "", "Address and port", on(onS|onL, func(r *Row) value { return strIf(r.Addr) })},
	{"cookie", "CNS", "", "Cookie's name, or the server's value of it", on(onB|onS, func(r *Row) value { return strIf(r.Cookie) })},
	{"mode", "CGS", "", "http or tcp", mode},
	{"algo", "CGS", "", "Balance algorithm", on(onB, func(r *Row) value { return strIf(r.Algo) })},
	{"conn_rate", "MRP", "", "Connections in the last second", level(onF, func(r *Row) int { return r.ConnRate })},
	{"conn_rate_max", "MMP", "", "Most connections in one second", level(onF, func(r *Row) int { return r.ConnRateMax })},
	{"conn_tot", "MCP", "", "Connections", count(onF, func(r *Row) uint64 { return r.ConnTotal })},
	{"intercepted", "MCP", "", "Requests answered by the balancer itself", httpOnly(count(onF, func(r *Row) uint64 { return r.Intercepted }))},
	{"dcon", "MCP", "", "Connections denied by a rule", count(onF|onL, func(r *Row) uint64 { return r.DeniedConn })},
	{"dses", "MCP", "", "Sessions denied by a rule", count(onF|onL, func(r *Row) uint64 { return r.DeniedSess })},
	{"wrew", "MCP", "", "Header rewrites that failed", count(all, func(r *Row) uint64 { return r.FailedRewrites })},
	{"connect", "MCP", "", "Connection attempts to servers", count(onB|onS, func(r *Row) uint64 { return r.Connects })},
	{"reuse", "MCP", "", "Requests on a kept server connection", count(onB|onS, func(r *Row) uint64 { return r.Reuses })},
	{"cache_lookups", "MCP", "", "Cache lookups", httpOnly(count(onF|onB, func(r *Row) uint64 { return r.CacheLookups }))},
	{"cache_hits", "MCP", "", "Cache hits", httpOnly(count(onF|onB, func(r *Row) uint64 { return r.CacheHits }))},
	{"srv_icur", "MGP", "", "Idle connections to the server", level(onS, func(r *Row) int { return r.IdleConns })},
	{"src_ilim", "CLP", "", "Limit of idle connections", on(onS, idleLimit)},
	{"qtime_max", "MMP", "", "Longest queue time in ms", level(onB|onS, func(r *Row) int { return r.QueueTimeMax })},
	{"ctime_max", "MMP", "", "Longest connect time in ms", level(onB|onS, func(r *Row) int { return r.ConnectTimeMax })},
	{"rtime_max", "MMP", "", "Longest response time in ms", level(onB|onS, func(r *Row) int { return r.ResponseTimeMax })},
	{"ttime_max", "MMP", "", "Longest total time in ms", level(onB|onS, func(r *Row) int { return r.TotalTimeMax })},
	{"eint", "MCP", "", "Internal errors", count(all, func(r *Row) uint64 { return r.InternalErrors })},
	{"idle_conn_cur", "MGP", "", "Idle connections that are not safe to reuse", level(onS, func(r *Row) int { return r.UnsafeConns })},
	{"safe_conn_cur", "MGP", "", "Idle connections that are safe to reuse", level(onS, func(r *Row) int { return r.SafeConns })},
	{"used_conn_cur", "MGP", "", "Connections with a request on them", level(onS, func(r *Row) int { return r.UsedConns })},
	{"need_conn_est", "MGP", "", "Estimated need of connections", level(onS, func(r *Row) int { return r.NeedConns })},
	{"uweight", "MaP", "", "Weight as an operator set it, or the sum", level(onB|onS, func(r *Row) int { return r.UserWeight })},
	{"agg_server_status", "MGP", "", "Servers by state", level(onB, func(*Row) int { return 0 })},
	{"agg_server_check_status", "MGP", "", "Servers by state, older name", level(onB, func(*Row) int { return 0 })},
	{"agg_check_status", "MGP", "", "Servers by result of the last check", level(onB, func(*Row) int { return 0 })},
	{"-", "", "", "", func(*Row) value { return str("-") }}, // parts HAProxy's own columns from its modules'
	{"ssl_sess", "MCP", "", "TLS handshakes", count(all, func(r *Row) uint64 { return r.SSLSessions })},
	{"ssl_reused_sess", "MCP", "", "TLS sessions resumed", count(all, func(r *Row) uint64 { return r.SSLReused })},
	{"ssl_failed_handshake", "MCP", "", "TLS handshakes that failed", count(all, func(r *Row) uint64 { return r.SSLFailed })},
	{"h2_headers_rcvd", "MCP", "", "HTTP/2 HEADERS frames", frames(1)},
	{"h2_data_rcvd", "MCP", "", "HTTP/2 DATA frames", frames(0)},
	{"h2_settings_rcvd", "MCP", "", "HTTP/2 SETTINGS frames", frames(4)},
	{"h2_rst_stream_rcvd", "MCP", "", "HTTP/2 RST_STREAM frames received", frames(3)},
	{"h2_goaway_rcvd", "MCP", "", "HTTP/2 GOAWAY frames received", frames(7)},
	{"h2_detected_conn_protocol_errors", "MCP", "", "HTTP/2 connection errors", count(onF|onB, func(r *Row) uint64 { return r.H2.ConnErrors })},
	{"h2_detected_strm_protocol_errors", "MCP", "", "HTTP/2 stream errors", count(onF|onB, func(r *Row) uint64 { return r.H2.StreamErrors })},
	{"h2_rst_stream_resp", "MCP", "", "HTTP/2 RST_STREAM frames sent", count(onF|onB, func(r *Row) uint64 { return r.H2.Resets })},
	{"h2_goaway_resp", "MCP", "", "HTTP/2 GOAWAY frames sent", count(onF|onB, func(r *Row) uint64 { return r.H2.GoAways })},
	{"h2_open_connections", "MGP", "", "HTTP/2 connections now", open(func(r *Row) int { return r.Open.H2Conns })},
	{"h2_backend_open_streams", "MGP", "", "HTTP/2 streams now", open(func(r *Row) int { return r.Open.H2Streams })},
	{"h2_total_connections", "MCP", "", "HTTP/2 connections", count(onF|onB, func(r *Row) uint64 { return r.H2.Conns })},
	{"h2_backend_total_streams", "MCP", "", "HTTP/2 streams", count(onF|onB, func(r *Row) uint64 { return r.H2.Streams })},
	{"h1_open_connections", "MGP", "", "HTTP/1 connections now", open(func(r *Row) int { return r.Open.H1Conns })},
	{"h1_open_streams", "MGP", "", "HTTP/1 streams now", open(func(r *Row) int { return r.Open.H1Streams })},
	{"h1_total_connections", "MCP", "", "HTTP/1 connections", count(onF|onB, func(r *Row) uint64 { return r.H1.Conns })},
	{"h1_total_streams", "MCP", "", "HTTP/1 streams", count(onF|onB, func(r *Row) uint64 { return r.H1.Streams })},
	{"h1_bytes_in", "MCP", "", "HTTP/1 bytes received", count(onF|onB, func(r *Row) uint64 { return r.H1.In })},
	{"h1_bytes_out", "MCP", "", "HTTP/1 bytes sent", count(onF|onB, func(r *Row) uint64 { return r.H1.Out })},
	{"h1_spliced_bytes_in", "MCP", "", "HTTP/1 bytes received by splice", count(onF|onB, func(r *Row) uint64 { return r.H1.SplicedIn })},
	{"h1_spliced_bytes_out", "MCP", "", "HTTP/1 bytes sent by splice", count(onF|onB, func(r *Row) uint64 { return r.H1.SplicedOut })},
	// HAProxy's columns end here.
	quantile("qtime_p50", "Median queue time in ms", onB|onS, QueueTime, 0.5),
	quantile("qtime_p90", "Queue time in ms that 90% did not exceed", onB|onS, QueueTime, 0.9),
	quantile("qtime_p99", "Queue time in ms that 99% did not exceed", onB|onS, QueueTime, 0.99),
	quantile("ctime_p50", "Median connect time in ms", onB|onS, ConnectTime, 0.5),
	quantile("ctime_p90", "Connect time in ms that 90% did not exceed", onB|onS, ConnectTime, 0.9),
	quantile("ctime_p99", "Connect time in ms that 99% did not exceed", onB|onS, ConnectTime, 0.99),
	quantile("rtime_p50", "Median response time in ms", onF|onB|onS, ResponseTime, 0.5),
	quantile("rtime_p90", "Response time in ms that 90% did not exceed", onF|onB|onS, ResponseTime, 0.9),
	quantile("rtime_p99", "Response time in ms that 99% did not exceed", onF|onB|onS, ResponseTime, 0.99),
	quantile("ttime_p50", "Median total time in ms", onF|onB|onS, TotalTime, 0.5),
	quantile("ttime_p90", "Total time in ms that 90% did not exceed", onF|onB|onS, TotalTime, 0.9),
	quantile("ttime_p99", "Total time in ms that 99% did not exceed", onF|onB|onS, TotalTime, 0.99),
}
