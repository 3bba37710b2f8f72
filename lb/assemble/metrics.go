package assemble

import (
	"fmt"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// SetReloads implements worker.Engine.
func (rt *Runtime) SetReloads(s handoff.Reloads) { rt.reloads.Store(&s) }

// metricsPage serves the metrics in Prometheus' text format: HAProxy's, and
// how reloads went.
func (rt *Runtime) metricsPage() *stream.StatsPage {
	return &stream.StatsPage{
		Name: "<PROMEX>",
		Serve: func(req stream.StatsRequest) stream.StatsReply {
			if req.Method != "GET" && req.Method != "HEAD" {
				return stream.StatsReply{Status: 405, Header: []byte("allow: GET, HEAD\r\n")}
			}
			of, ok := stats.ParseScopes(req.URI)
			if !ok {
				return stream.StatsReply{Status: 400}
			}
			return stream.StatsReply{
				Status: 200,
				Header: []byte("cache-control: no-cache\r\ncontent-type: text/plain; version=0.0.4\r\n"),
				Body:   rt.appendMetrics(nil, of),
			}
		},
	}
}

// appendMetrics writes what a scrape is for. What lb has besides HAProxy's metrics is global.
func (rt *Runtime) appendMetrics(dst []byte, of stats.Scopes) []byte {
	dst = stats.AppendPrometheus(dst, rt.Snapshot(), of)
	if of.Tables {
		dst = rt.appendTables(dst)
	}
	if of.Global {
		dst = rt.appendReloads(rt.appendHeld(rt.appendHandshakes(rt.appendLogs(dst))))
	}
	return dst
}

// appendLogs counts the log lines of this worker by their receiver.
func (rt *Runtime) appendLogs(dst []byte) []byte {
	if len(rt.receivers) == 0 {
		return dst
	}
	dst = append(dst, "# HELP lb_log_lines_total Log lines by receiver: sent, or lost because it did not take them\n# TYPE lb_log_lines_total counter\n"...)
	for _, h := range rt.receivers {
		dst = fmt.Appendf(dst, "lb_log_lines_total{target=%q,result=\"sent\"} %d\n", h.Address, h.Sent())
		dst = fmt.Appendf(dst, "lb_log_lines_total{target=%q,result=\"lost\"} %d\n", h.Address, h.Lost())
	}
	return dst
}

// appendHandshakes counts the TLS handshakes with clients that are under way.
func (rt *Runtime) appendHandshakes(dst []byte) []byte {
	computing, waiting := rt.eng.Handshakes()
	dst = append(dst, "# HELP lb_tls_handshakes TLS handshakes under way: being computed, or waiting for a core\n# TYPE lb_tls_handshakes gauge\n"...)
	return fmt.Appendf(dst, "lb_tls_handshakes{state=\"computing\"} %d\nlb_tls_handshakes{state=\"waiting\"} %d\n", computing, waiting)
}

// appendHeld is what is held for requests that wait.
func (rt *Runtime) appendHeld(dst []byte) []byte {
	now, budget := rt.Held()
	dst = append(dst, "# HELP lb_held_bytes Bytes that are held for requests that wait\n# TYPE lb_held_bytes gauge\n"...)
	dst = fmt.Appendf(dst, "lb_held_bytes %d\n", now)
	dst = append(dst, "# HELP lb_held_bytes_limit The most that may be held\n# TYPE lb_held_bytes_limit gauge\n"...)
	return fmt.Appendf(dst, "lb_held_bytes_limit %d\n", budget)
}

func (rt *Runtime) appendReloads(dst []byte) []byte {
	r := rt.reloads.Load()
	if r == nil {
		return dst
	}
	for _, m := range []struct {
		name, kind, help string
		value            int64
	}{
		{"reloads_total", "counter", "Reloads that were tried", int64(r.Total)},
		{"reload_failures_total", "counter", "Reloads that failed and left the worker before in service", int64(r.Failed)},
		{"last_reload_success_timestamp", "gauge", "Unix time of the last start or reload that worked", r.LastGood.Unix()},
	} {
		dst = fmt.Appendf(dst, "# HELP lb_%[1]s %[3]s\n# TYPE lb_%[1]s %[2]s\nlb_%[1]s %[4]d\n", m.name, m.kind, m.help, m.value)
	}
	return dst
}
