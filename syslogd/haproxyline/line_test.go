package haproxyline

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// told is what a line says, as "name=value" with blanks between.
func told(l *Line) string {
	var b strings.Builder
	for _, f := range l.AppendFields(nil) {
		if f.Numeric {
			fmt.Fprintf(&b, "%s=%d ", f.Name, f.Number)
		} else {
			fmt.Fprintf(&b, "%s=%s ", f.Name, f.Text)
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

func TestParse(t *testing.T) {
	var l Line
	row := func(line, want string) {
		t.Helper()
		got := ""
		if l.Parse([]byte(line)) {
			got = told(&l)
		}
		if got != want {
			t.Errorf("%s\n gives %s\n want  %s", line, got, want)
		}
	}
	// The examples of HAProxy's manual.
	row(`10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"`,
		`kind=http client_ip=10.0.1.2 client_port=33317 request_date=06/Feb/2009:12:14:14.655 frontend_name=http-in backend_name=static server_name=srv1 `+
			`time_request=10 time_wait=0 time_connect=30 time_response=69 time_active=109 status_code=200 bytes_read=2750 termination_state=---- `+
			`actconn=1 feconn=1 beconn=1 srv_conn=1 retries=0 srv_queue=0 backend_queue=0 captured_request_headers=1wt.eu `+
			`http_request=GET /index.html HTTP/1.1 http_method=GET http_uri=/index.html http_version=HTTP/1.1`)
	row(`10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0`,
		`kind=tcp client_ip=10.0.1.2 client_port=33313 accept_date=06/Feb/2009:12:12:51.443 frontend_name=fnt backend_name=bck server_name=srv1 `+
			`time_wait=0 time_connect=0 time_total=5007 bytes_read=212 termination_state=-- actconn=0 feconn=0 beconn=0 srv_conn=0 retries=3 srv_queue=0 backend_queue=0`)
	row(`127.0.0.1:56059 [03/Dec/2012:17:35:10.380] frt/f1: Connection error during SSL handshake`,
		`kind=failed client_ip=127.0.0.1 client_port=56059 accept_date=03/Dec/2012:17:35:10.380 frontend_name=frt bind_name=f1 reason=Connection error during SSL handshake`)
	row(`Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)`,
		`kind=connect client_ip=10.0.1.2 client_port=33312 destination_ip=10.0.3.31 destination_port=8012 frontend_name=www`)
	row(`10.0.1.2:33317 [06/Feb/2009:12:14:14.655] https-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1" 0/00000000/0/0/1 1wt.eu/TLSv1.3/TLS_AES_256_GCM_SHA384`,
		`kind=http client_ip=10.0.1.2 client_port=33317 request_date=06/Feb/2009:12:14:14.655 frontend_name=https-in frontend_tls=1 backend_name=static server_name=srv1 `+
			`time_request=10 time_wait=0 time_connect=30 time_response=69 time_active=109 status_code=200 bytes_read=2750 termination_state=---- `+
			`actconn=1 feconn=1 beconn=1 srv_conn=1 retries=0 srv_queue=0 backend_queue=0 captured_request_headers=1wt.eu `+
			`http_request=GET /index.html HTTP/1.1 http_method=GET http_uri=/index.html http_version=HTTP/1.1 `+
			`ssl_version=TLSv1.3 ssl_cipher=TLS_AES_256_GCM_SHA384 ssl_fc_sni=1wt.eu fc_err=0 ssl_fc_err=00000000 ssl_c_err=0 ssl_c_ca_err=0 ssl_fc_is_resumed=1`)
	// logasap, a redispatch, cookies, a traceparent, IPv6.
	row(`2001:db8::1:33317 [06/Feb/2009:12:14:14.655] web app/s2 0/0/7/147/+154 200 +243 SID=7 x=a b SRV=2 --VN 5/4/3/2/+3 1/2 `+
		`{1wt.eu|00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01} {text/html} "GET /a?b=#22 HTTP/2.0"`,
		`kind=http client_ip=2001:db8::1 client_port=33317 request_date=06/Feb/2009:12:14:14.655 frontend_name=web backend_name=app server_name=s2 `+
			`time_request=0 time_wait=0 time_connect=7 time_response=147 time_active=154 logged_early=1 status_code=200 bytes_read=243 `+
			`captured_request_cookie=SID=7 x=a b captured_response_cookie=SRV=2 termination_state=--VN actconn=5 feconn=4 beconn=3 srv_conn=2 retries=3 redispatched=1 `+
			`srv_queue=1 backend_queue=2 captured_request_headers=1wt.eu|00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 captured_response_headers=text/html `+
			`http_request=GET /a?b=#22 HTTP/2.0 http_method=GET http_uri=/a?b=#22 http_version=HTTP/2.0 trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331`)
	// What never came is left out.
	row(`unix:1 [06/Feb/2009:12:14:14.655] http-in http-in/<NOSRV> -1/-1/-1/-1/10001 408 212 - - cR-- 1/1/0/0/0 0/0 "<BADREQ>"`,
		`kind=http client_ip=unix client_port=1 request_date=06/Feb/2009:12:14:14.655 frontend_name=http-in backend_name=http-in server_name=<NOSRV> time_active=10001 `+
			`status_code=408 bytes_read=212 termination_state=cR-- actconn=1 feconn=1 beconn=0 srv_conn=0 retries=0 srv_queue=0 backend_queue=0 http_request=<BADREQ>`)
	// JSON, as HAProxy's own example names it, and with types, nesting and escapes.
	row(`{"client_ip": "127.0.0.1", "client_port": 50516, "frontend_name": "web~", "backend_name": "app", "server_name": "s1", "time_active": +51, "status_code": "404", `+
		`"retries": +1, "request_headers": "{a\"b|c}", "tags": ["x", {"y": "]"}], "http_request": "GET \/\u00e9\ud83d\ude00 HTTP/1.1", "ssl_fc_is_resumed": true, "none": null}`,
		`kind=http client_ip=127.0.0.1 client_port=50516 frontend_name=web frontend_tls=1 backend_name=app server_name=s1 time_active=51 logged_early=1 status_code=404 `+
			`retries=1 redispatched=1 captured_request_headers=a"b|c http_request=GET /é😀 HTTP/1.1 http_method=GET http_uri=/é😀 http_version=HTTP/1.1 ssl_fc_is_resumed=1`)
}

func TestNotHAProxys(t *testing.T) {
	var l Line
	for _, line := range []string{
		"", " ", "{", "{}", "{}x", `{"client_ip":"1.2.3.4"}`, `{"client_ip":"1.2.3.4","frontend_name":"f"`, `{"client_ip":"1.2.3.4","frontend_name":"\x"}`,
		"Server app/s1 is DOWN, reason: Layer4 connection problem", "Proxy web started.", "session opened for user root", "Connect from here to there",
		"1.2.3.4:5", "1.2.3.4:5 [06/Feb/2009:12:14:14.655]", "1.2.3.4:5 [06/Feb/2009:12:14:14.655] web", "1.2.3.4:5 [06/Feb/2009:12:14:14.655] web app",
		"1.2.3.4:5 [06/Feb/2009:12:14:14.655] web app/s 1/2/3/4/5", "1.2.3.4:5 [06/Feb/2009:12:14:14.655] web app/s 1/2/3/4 5",
		"1.2.3.4:5 [2009-02-06 12:14:14.65500] web app/s 1/2/3/4/5 200 5 - - ---- 1/1/1/1/1 0/0 \"GET / HTTP/1.1\"",
		"[::1]:x [06/Feb/2009:12:14:14.655] web/1: reason", "host:5 [06/Feb/2009:12:14:14.655] web/1: reason", "1.2.3.4:5 [06/Feb/2009:12:14:14.655] web/1 reason",
		strings.Repeat("1", 100) + ":5 [06/Feb/2009:12:14:14.655] web/1: reason",
	} {
		if l.Parse([]byte(line)) {
			t.Errorf("%q is taken for a line of kind %s: %s", line, l.Kind, told(&l))
		}
		if l.Kind != None || l.Client != nil || l.Status != Absent {
			t.Errorf("%q leaves %s", line, told(&l))
		}
	}
}

// A line that was cut, by log ... len or by a receiver, has what was left of it.
func TestCut(t *testing.T) {
	line := []byte(`10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {x} "GET /index.html HTTP/1.1"`)
	var l Line
	least := len(`10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0`)
	for n := least; n <= len(line); n++ {
		if !l.Parse(line[:n]) || l.Kind != HTTP || l.Bytes != 2750 {
			t.Fatalf("%q gives %s", line[:n], told(&l))
		}
		if l.Cut != (n < len(line)) {
			t.Fatalf("%q: cut %t", line[:n], l.Cut)
		}
	}
}

func TestTime(t *testing.T) {
	l := Line{Date: []byte("06/Feb/2009:12:14:14.655")}
	got, ok := l.Time(time.UTC)
	if want := time.Date(2009, 2, 6, 12, 14, 14, 655e6, time.UTC); !ok || !got.Equal(want) {
		t.Errorf("%v %t, want %v", got, ok, want)
	}
	l.Date = []byte("06/Foo/2009:12:14:14.655")
	if _, ok := l.Time(time.UTC); ok {
		t.Error("a month Foo")
	}
}

func TestTrace(t *testing.T) {
	row := func(header, id string) {
		t.Helper()
		l := Line{RequestHeaders: []byte(header)}
		l.trace()
		if string(l.Trace.ID) != id {
			t.Errorf("%q gives %q, want %q", header, l.Trace.ID, id)
		}
	}
	const id, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	row("00-"+id+"-"+span+"-01", id)
	row("a|00-"+id+"-"+span+"-00|b", id)
	row("cc-"+id+"-"+span+"-01-more", id)
	row("00-"+id+"-"+span+"-01-more", "")
	row("ff-"+id+"-"+span+"-01", "")
	row("00-"+strings.ToUpper(id)+"-"+span+"-01", "")
	row("00-"+strings.Repeat("0", 32)+"-"+span+"-01", "")
	row("00-"+id+"-"+strings.Repeat("0", 16)+"-01", "")
	row("00-"+id+"-"+span+"-0", "") // len of the capture too short
}

func TestNoAllocation(t *testing.T) {
	var l Line
	var fields []Field
	for _, line := range seeds {
		text := []byte(line)
		run := func() {
			l.Parse(text)
			fields = l.AppendFields(fields[:0])
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, line string }{{"http", seeds[0]}, {"tcp", seeds[1]}, {"json", seeds[len(seeds)-1]}, {"other", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"}} {
		b.Run(c.name, func(b *testing.B) {
			var l Line
			text := []byte(c.line)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				l.Parse(text)
			}
		})
	}
}
