package haproxyline

// A Field is one fact of a line. Number counts if Numeric is set, and Text if not.
type Field struct {
	Name    string
	Text    []byte
	Number  int64
	Numeric bool
}

// AppendFields appends everything that the line has, in the order of HAProxy's lines and with the names of its manual (sections 8.2.2 to 8.2.4).
// Texts are valid until the next Parse. Timers that a request did not get to, and a status that was never sent, are left out, as -1 would
// spoil each average.
func (l *Line) AppendFields(dst []Field) []Field {
	date := "request_date"
	if l.Kind != HTTP {
		date = "accept_date"
	}
	dst = text(dst, "kind", kinds[l.Kind])
	dst = text(dst, "client_ip", l.Client)
	dst = numeric(dst, "client_port", l.ClientPort)
	dst = text(dst, "destination_ip", l.Destination)
	dst = numeric(dst, "destination_port", l.DestinationPort)
	dst = text(dst, date, l.Date)
	dst = text(dst, "frontend_name", l.Frontend)
	dst = flag(dst, "frontend_tls", l.TLS)
	dst = text(dst, "bind_name", l.Bind)
	dst = text(dst, "reason", l.Reason)
	dst = text(dst, "backend_name", l.Backend)
	dst = text(dst, "server_name", l.Server)
	dst = numeric(dst, "time_request", l.Timers.Request)
	dst = numeric(dst, "time_wait", l.Timers.Wait)
	dst = numeric(dst, "time_connect", l.Timers.Connect)
	dst = numeric(dst, "time_response", l.Timers.Response)
	dst = numeric(dst, "time_active", l.Timers.Active)
	dst = numeric(dst, "time_total", l.Timers.Total)
	dst = flag(dst, "logged_early", l.Early)
	dst = numeric(dst, "status_code", l.Status)
	dst = numeric(dst, "bytes_read", l.Bytes)
	dst = text(dst, "captured_request_cookie", l.RequestCookie)
	dst = text(dst, "captured_response_cookie", l.ResponseCookie)
	dst = text(dst, "termination_state", l.Termination)
	dst = numeric(dst, "actconn", l.Connections.Process)
	dst = numeric(dst, "feconn", l.Connections.Frontend)
	dst = numeric(dst, "beconn", l.Connections.Backend)
	dst = numeric(dst, "srv_conn", l.Connections.Server)
	dst = numeric(dst, "retries", l.Retries)
	dst = flag(dst, "redispatched", l.Redispatched)
	dst = numeric(dst, "srv_queue", l.ServerQueue)
	dst = numeric(dst, "backend_queue", l.BackendQueue)
	dst = text(dst, "captured_request_headers", l.RequestHeaders)
	dst = text(dst, "captured_response_headers", l.ResponseHeaders)
	dst = text(dst, "http_request", l.Request)
	dst = text(dst, "http_method", l.Method)
	dst = text(dst, "http_uri", l.URI)
	dst = text(dst, "http_version", l.Version)
	dst = text(dst, "ssl_version", l.SSL.Version)
	dst = text(dst, "ssl_cipher", l.SSL.Cipher)
	dst = text(dst, "ssl_fc_sni", l.SSL.SNI)
	dst = numeric(dst, "fc_err", l.SSL.ConnectionError)
	dst = text(dst, "ssl_fc_err", l.SSL.FrontendError)
	dst = numeric(dst, "ssl_c_err", l.SSL.VerifyError)
	dst = numeric(dst, "ssl_c_ca_err", l.SSL.AuthorityError)
	dst = numeric(dst, "ssl_fc_is_resumed", l.SSL.Resumed)
	dst = text(dst, "trace_id", l.Trace.ID)
	return text(dst, "span_id", l.Trace.Span)
}

var kinds = [...][]byte{HTTP: []byte("http"), TCP: []byte("tcp"), Failed: []byte("failed"), Connect: []byte("connect")}

func text(dst []Field, name string, value []byte) []Field {
	if len(value) == 0 {
		return dst
	}
	return append(dst, Field{Name: name, Text: value})
}

func numeric(dst []Field, name string, value int64) []Field {
	if value == Absent {
		return dst
	}
	return append(dst, Field{Name: name, Number: value, Numeric: true})
}

// flag appends a 1 for what is so, and nothing for the usual case.
func flag(dst []Field, name string, set bool) []Field {
	if !set {
		return dst
	}
	return append(dst, Field{Name: name, Number: 1, Numeric: true})
}
