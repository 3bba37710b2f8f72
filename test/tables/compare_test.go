package tables

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

const preface = `global
  stats socket STATS mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
`

// all is everything that a table can count but bytes: HAProxy counts those of its own form of a message, without Connection headers.
const all = "gpc0,gpc0_rate(600s),gpc1,gpc1_rate(600s),gpt0,conn_cnt,conn_cur,conn_rate(600s),sess_cnt,sess_rate(600s),http_req_cnt,http_req_rate(600s)," +
	"http_err_cnt,http_err_rate(600s),http_fail_cnt,http_fail_rate(600s)"

// TestCountsAsHAProxy sends the same requests to both: every table says the same afterwards, every answer was the same.
func TestCountsAsHAProxy(t *testing.T) {
	theirs, ours := both(t, preface+`
frontend fe
  bind HTTP
  stick-table type ip size 1k expire 100s store `+all+`
  tcp-request connection track-sc0 src
  tcp-request session track-sc1 src table sess unless { src 127.91.17.6 }
  tcp-request content track-sc2 hdr(key) table cont if { hdr(key) -m found }
  http-request track-sc2 path table paths
  http-request deny deny_status 403 if { path /denied }
  http-request return status 404 if { path /own404 }
  http-request sc-inc-gpc0(0) if { path /step }
  http-request sc-inc-gpc1(2) if { path /step }
  http-request sc-set-gpt0(0) 77 if { path /step }
  http-request sc-set-gpt0(1) req.hdr_cnt(host) if { path /step }
  acl stepped sc0_inc_gpc0 gt 3
  acl stepped sc_inc_gpc1(0) gt 0
  http-request deny deny_status 410 if { path /fetch } stepped
  http-request return status 429 if { path /clear } { sc0_clr_gpc0 ge 1 }
  http-request deny deny_status 405 if { path /source } { src_inc_gpc0(sess) eq 2 }
  http-request set-header X-Seen %[sc0_http_req_cnt]/%[sc_http_req_rate(1)]/%[sc0_conn_cur]/%[sc0_trackers]/%[sc1_tracked]/%[src_http_req_cnt(sess)]/%[src,table_conn_cnt(sess)]/%[src,in_table(paths)]/%[str(/nobody),in_table(paths)]/%[table_cnt(sess)]/%[table_avl(sess)]/%[sc0_get_gpt0]/%[sc1_http_err_cnt(sess)]/%[sc2_tracked(fe)]
  http-response track-sc1 res.hdr(x-backend) table answers
  http-response set-header X-After %[sc0_http_err_cnt]/%[sc0_http_fail_rate]
  default_backend be
backend sess
  stick-table type ip size 1k expire 100s store `+all+`
backend cont
  stick-table type string len 8 size 1k expire 100s store `+all+`
backend paths
  stick-table type string size 1k expire 100s store `+all+`
backend answers
  stick-table type string size 1k expire 100s store `+all+`
backend six
  stick-table type ipv6 size 1k expire 100s store http_req_cnt
backend number
  stick-table type integer size 1k expire 100s store http_req_cnt
backend block
  stick-table type binary len 6 size 1k expire 100s store http_req_cnt
backend be
  http-request track-sc1 src table six if { path /six }
  http-request track-sc1 hdr(key) table number if { path /number }
  http-request track-sc1 hdr(key),hex table block if { path /block }
  server s1 S1
`)
	drive := func(s *subject) (got []string) {
		short, long := s.client(host, false), s.client(host, true)
		get := func(c *client, path string, headers ...string) {
			status, server := c.get(path, headers...)
			got = append(got, fmt.Sprint(status, " ", server))
		}
		for _, path := range []string{"/r/a/1", "/status/403", "/status/500", "/status/501", "/status/505", "/denied", "/own404", "/step", "/headers", "/bytes/5000"} {
			get(short, path)
			get(long, path)
		}
		for range 6 {
			get(long, "/fetch")
		}
		for range 3 {
			get(long, "/clear")
			get(short, "/source")
		}
		get(long, "/r/a/1", "Key: a")
		other := s.client("127.91.17.6", false)
		for _, key := range []string{"a", "longer than eight", "with=and \\", "7", "-3", "4294967297", "12abc", "abc"} {
			for _, path := range []string{"/r/a/1", "/six", "/number", "/block", "/status/404", "/status/500"} {
				get(other, path, "Key: "+key)
			}
		}
		// What is no request counts as an error of the session's.
		c, err := net.Dial("tcp", s.http)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET / HTTP/1.1 and more\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		var b [1024]byte
		for err == nil {
			_, err = c.Read(b[:])
		}
		c.Close()
		long.http.CloseIdleConnections()
		s.released("fe", "sess", "cont", "paths", "answers", "six", "number", "block")
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	if !slices.Equal(got, want) {
		t.Errorf("the answers differ:\n got %v\nwant %v", got, want)
	}
	for _, name := range []string{"", "fe", "sess", "cont", "paths", "answers", "six", "block"} {
		if g, w := ours.table(name), theirs.table(name); g != w {
			t.Errorf("show table %s\n got %s\nwant %s", name, g, w)
		}
	}
	// HAProxy sorts integers by their bytes in memory.
	sorted := func(s string) string {
		lines := strings.Split(s, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	if g, w := sorted(ours.table("number")), sorted(theirs.table("number")); g != w {
		t.Errorf("show table number\n got %s\nwant %s", g, w)
	}
}

// TestBytesAsHAProxy: a body weighs the same, and so does a limit on bytes.
func TestBytesAsHAProxy(t *testing.T) {
	theirs, ours := both(t, preface+`
frontend fe
  bind HTTP
  stick-table type ip size 1k expire 100s store bytes_in_cnt,bytes_in_rate(600s),bytes_out_cnt,bytes_out_rate(600s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc0_bytes_out_rate gt 100000 }
  http-request return status 202 if { path /kb } { sc_kbytes_out(0) ge 50 } { src_kbytes_in lt 5 }
  default_backend be
backend be
  server s1 S1
`)
	drive := func(s *subject) (got []int) {
		c := s.client(host, true)
		for range 15 {
			status, _ := c.get("/bytes/10000")
			got = append(got, status)
		}
		status, _ := s.client("127.91.17.6", true).get("/bytes/60000")
		got = append(got, status)
		wait.Until(t, "the end of the request", func() bool { return s.data("fe", "127.91.17.6", "bytes_out_cnt") >= 60_000 })
		status, _ = s.client("127.91.17.6", true).get("/kb")
		return append(got, status)
	}
	want, got := seen(theirs, drive), drive(ours)
	if !slices.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
	for _, name := range []string{"bytes_in_cnt", "bytes_in_rate", "bytes_out_cnt", "bytes_out_rate"} {
		g, w := ours.data("fe", host, name), theirs.data("fe", host, name)
		if max(g-w, w-g)*100 > w*10 {
			t.Errorf("%s is %d, with HAProxy %d", name, g, w)
		}
	}
}

// TestLimitsAsHAProxy: a limit on requests, on connections at once and on the rate of connections lets through as many and refuses the same.
func TestLimitsAsHAProxy(t *testing.T) {
	theirs, ours := both(t, preface+`
frontend fe
  bind HTTP
  stick-table type ip size 1k expire 100s store http_req_rate(100s),conn_cur,conn_rate(100s),gpc0
  tcp-request connection reject if { src_get_gpc0 gt 0 }
  tcp-request connection track-sc0 src
  tcp-request connection reject if { sc0_conn_cur gt 3 }
  tcp-request session reject if { src 127.91.17.8 }
  tcp-request content reject if { path /rejected }
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }
  default_backend be
backend be
  server s1 S1
`)
	drive := func(s *subject) (got []int) {
		c := s.client(host, true)
		for range 30 {
			status, _ := c.get("/r/a/1")
			got = append(got, status)
		}
		for range 5 { // others are not limited
			status, _ := s.client("127.91.17.6", false).get("/r/a/1")
			got = append(got, status)
		}
		// The fourth connection at once is closed, and the fifth.
		var open []net.Conn
		for i := range 5 {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.91.17.7")}}
			conn, err := d.Dial("tcp", s.http)
			if err != nil && i >= 3 {
				continue // refused so quickly that there was no connection
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			open = append(open, conn)
			want := min(i+1, 3) // one that is refused is counted only while it is refused
			wait.Until(t, "the connection to be counted", func() bool { return s.data("fe", "127.91.17.7", "conn_cur") == want })
		}
		for i, conn := range open {
			fmt.Fprintf(conn, "GET /r/a/1 HTTP/1.1\r\nHost: a\r\n\r\n")
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, _ := conn.Read(make([]byte, 1)); n > 0 {
				got = append(got, i)
			}
		}
		for _, from := range []string{"127.91.17.8", "127.91.17.9"} {
			path := "/r/a/1"
			if from == "127.91.17.9" {
				path = "/rejected"
			}
			if status, _, err := s.client(from, false).try(path); err == nil {
				got = append(got, status)
			} else {
				got = append(got, -1)
			}
		}
		// An operator shuts a client out.
		if _, err := s.Command("set table fe key 127.91.17.10 data.gpc0 1"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.client("127.91.17.10", false).try("/r/a/1"); err != nil {
			got = append(got, -2)
		}
		if _, err := s.Command("clear table fe key 127.91.17.10"); err != nil {
			t.Fatal(err)
		}
		status, _ := s.client("127.91.17.10", false).get("/r/a/1")
		return append(got, status)
	}
	want, got := seen(theirs, drive), drive(ours)
	if !slices.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

// TestLogsAsHAProxy: what was counted shows in the log, of a request that was refused as well.
func TestLogsAsHAProxy(t *testing.T) {
	behind := servers(t)
	config := func(log net.PacketConn) string {
		return `global
  stats socket STATS mode 600 level admin
  log ` + log.LocalAddr().String() + ` local0
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend fe
  bind HTTP
  log global
  log-format "LINE %ST %ts %[sc0_http_req_cnt] %[sc0_http_err_cnt] %[sc1_http_req_rate] %[sc1_tracked] %[src_gpc0_rate(fe)] %[src,table_http_req_cnt(fe)]"
  stick-table type ip size 1k expire 100s store http_req_cnt,http_err_cnt,gpc0_rate(100s)
  tcp-request session track-sc0 src
  tcp-request content reject if { path /rejected }
  http-request track-sc1 path table paths if { path_beg /r/ }
  http-request sc-inc-gpc0(0)
  http-request deny if { sc0_http_req_cnt gt 6 }
  default_backend be
backend paths
  stick-table type string size 1k expire 100s store http_req_rate(100s)
backend be
  server s1 S1
`
	}
	drive := func(program string) (lines []string) {
		log, err := net.ListenPacket("udp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		s := start(t, program, config(log), behind)
		c := s.client(host, false) // one that keeps its connection tries again when that is closed
		log.SetReadDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 4096)
		for k, path := range []string{"/r/a/1", "/r/a/1", "/status/404", "/status/500", "/rejected", "/r/b/2", "/r/b/2"} {
			c.try(path) // what comes of it is in the log
			for len(lines) == k {
				n, _, err := log.ReadFrom(b)
				if err != nil {
					t.Fatal(s.name, err, lines)
				}
				if _, line, ok := strings.Cut(string(b[:n]), "LINE "); ok {
					lines = append(lines, strings.TrimSpace(line))
				}
			}
		}
		return lines
	}
	recording := tape.Open(t, "haproxy")
	want := tape.Observe(recording, "drive", func() []string { return drive(recording.Program()) })
	if got := drive(built.LB); !slices.Equal(got, want) {
		t.Errorf("\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// TestTunnelsAsHAProxy: in mode tcp sessions are counted, refused and stuck as well.
func TestTunnelsAsHAProxy(t *testing.T) {
	behind := servers(t)
	var echoes []*backend.Echo
	for range 2 {
		e, err := backend.StartEcho(host + ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		echoes = append(echoes, e)
	}
	config := strings.NewReplacer("ECHO1", echoes[0].Addr(), "ECHO2", echoes[1].Addr()).Replace(preface + `
frontend fe
  mode tcp
  bind HTTP
  stick-table type ip size 1k expire 100s store conn_cnt,conn_cur,sess_cnt,bytes_in_cnt,bytes_out_cnt,gpc0,http_req_cnt
  tcp-request connection track-sc0 src
  tcp-request content track-sc1 src table be
  tcp-request content sc-inc-gpc0(0)
  tcp-request content reject if { sc0_conn_cnt gt 6 }
  default_backend be
backend be
  mode tcp
  stick-table type ip size 1k expire 100s store conn_cnt,conn_cur,bytes_in_cnt,gpc1
  tcp-request content sc-inc-gpc1(1)
  stick on src
  server e1 ECHO1
  server e2 ECHO2
`)
	drive := func(s *subject) string {
		for _, from := range []string{"127.91.17.21", "127.91.17.22", "127.91.17.23"} {
			for i := range 8 {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				c, err := d.Dial("tcp", s.http)
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(10 * time.Second))
				if refused := i >= 6; !refused { // what it sent would be counted or not, by chance
					fmt.Fprint(c, "hello")
				}
				if n, _ := io.ReadFull(c, make([]byte, 5)); (n == 5) != (i < 6) {
					t.Errorf("%s: %s, session %d: %d bytes", s.name, from, i, n)
				}
				c.Close()
				s.released("fe", "be")
			}
		}
		// Which server was the first is chance.
		return regexp.MustCompile(`server_id=\d|server_key=e\d`).ReplaceAllString(s.table("fe")+s.table("be"), "")
	}
	want, got := seen(startHAProxy(t, config, behind), drive), drive(start(t, built.LB, config, behind))
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestMetricsAsHAProxy: the tables' metrics are HAProxy's.
func TestMetricsAsHAProxy(t *testing.T) {
	theirs, ours := both(t, preface+`
frontend fe
  bind HTTP
  stick-table type ip size 1k expire 100s store gpc0
  tcp-request connection track-sc0 src
  http-request use-service prometheus-exporter if { path /metrics }
backend names
  stick-table type string size 5 store gpc0
`)
	metrics := func(s *subject) (got []string) {
		if out, err := s.Command("set table names key a data.gpc0 1"); err != nil || strings.TrimSpace(out) != "" {
			t.Fatal(out, err)
		}
		res, err := http.Get("http://" + s.http + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		page, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(page)) {
			if strings.Contains(line, "sticktable") {
				got = append(got, line)
			}
		}
		return got
	}
	want, got := seen(theirs, metrics), metrics(ours)
	if !slices.Equal(got, want) || len(want) != 8 {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}
