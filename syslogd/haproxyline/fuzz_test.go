package haproxyline

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"
)

var seeds = []string{
	`10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu|00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01} {text/html} "GET /index.html HTTP/1.1"`,
	`10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0`,
	`::1:5 [06/Feb/2009:12:14:14.655] web~ app/s2 0/0/7/147/+154 200 +243 SID=7 SRV=2 --VN 5/4/3/2/+3 1/2 "GET /a?b=#22 HTTP/2.0" 0/00000000/0/0/1 1wt.eu/TLSv1.3/TLS_AES_256_GCM_SHA384`,
	`unix:1 [06/Feb/2009:12:14:14.655] http-in http-in/<NOSRV> -1/-1/-1/-1/10001 408 212 - - cR-- 1/1/0/0/0 0/0 "<BADREQ>"`,
	`127.0.0.1:56059 [03/Dec/2012:17:35:10.380] frt~/f1: SSL handshake failure`,
	`Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)`,
	`1.2.3.4:5 [06/Feb/2009:12:14:14.655] web app/s 1/2/3/4/5 200 5 a=b c d ---- 1/1/1/1/1 0/0 {x`,
	`{"client_ip": "127.0.0.1", "client_port": 50516, "frontend_name": "web~", "backend_name": "app", "status_code": 404, "retries": +1, "l": [{"x":"\u00e9"}], "http_request": "GET \/ HTTP/1.1", "captured_request_headers": "{a\\b|c}"}`,
}

// FuzzParse holds that what is found are views of the line, that numbers are none below Absent, and that a line written from what was found
// says the same.
func FuzzParse(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var l, again Line
		if !l.Parse(in) {
			return
		}
		for _, field := range l.AppendFields(nil) {
			switch {
			case field.Numeric && field.Number < 0:
				t.Fatalf("%s is %d", field.Name, field.Number)
			case !field.Numeric && field.Name != "kind" && !isView(field.Text, in) && !isView(field.Text, l.unescaped[:cap(l.unescaped)]):
				t.Fatalf("%s is no view of the line: %q", field.Name, field.Text)
			}
		}
		if in[0] == '{' || l.Kind == None {
			return // text has names in another order
		}
		line := write(&l)
		if !again.Parse(line) {
			t.Fatalf("%q is written as %q, which is no line", in, line)
		}
		if told(&again) != told(&l) {
			t.Fatalf("%q gives\n%s\nand then %q\n%s", in, told(&l), line, told(&again))
		}
	})
}

// isView says whether part lies in whole.
func isView(part, whole []byte) bool {
	if len(part) == 0 {
		return true
	}
	if len(whole) == 0 {
		return false
	}
	from, at := uintptr(unsafe.Pointer(&whole[0])), uintptr(unsafe.Pointer(&part[0]))
	return at >= from && at+uintptr(len(part)) <= from+uintptr(len(whole))
}

// write is the line again, as HAProxy would write it.
func write(l *Line) []byte {
	var b bytes.Buffer
	if l.Kind == Connect {
		fmt.Fprintf(&b, "Connect from %s:%d to %s:%d (%s/HTTP)", l.Client, l.ClientPort, l.Destination, l.DestinationPort, l.Frontend)
		return b.Bytes()
	}
	mark := func(set bool, text string) string {
		if set {
			return text
		}
		return ""
	}
	dash := func(text []byte) []byte {
		if text == nil {
			return []byte("-")
		}
		return text
	}
	fmt.Fprintf(&b, "%s:%d [%s] %s%s", l.Client, l.ClientPort, l.Date, l.Frontend, mark(l.TLS, "~"))
	early := mark(l.Early, "+")
	switch l.Kind {
	case Failed:
		fmt.Fprintf(&b, "/%s: %s", l.Bind, l.Reason)
		return b.Bytes()
	case HTTP:
		fmt.Fprintf(&b, " %s/%s %d/%d/%d/%d/%s%d %d %d %s %s ", l.Backend, l.Server, l.Timers.Request, l.Timers.Wait, l.Timers.Connect, l.Timers.Response, early, l.Timers.Active,
			l.Status, l.Bytes, dash(l.RequestCookie), dash(l.ResponseCookie))
	default:
		fmt.Fprintf(&b, " %s/%s %d/%d/%s%d %d ", l.Backend, l.Server, l.Timers.Wait, l.Timers.Connect, early, l.Timers.Total, l.Bytes)
	}
	fmt.Fprintf(&b, "%s %d/%d/%d/%d/%s%d %d/%d", l.Termination, l.Connections.Process, l.Connections.Frontend, l.Connections.Backend, l.Connections.Server,
		mark(l.Redispatched, "+"), l.Retries, l.ServerQueue, l.BackendQueue)
	if l.RequestHeaders != nil {
		fmt.Fprintf(&b, " {%s}", l.RequestHeaders)
	}
	if l.ResponseHeaders != nil {
		fmt.Fprintf(&b, " {%s}", l.ResponseHeaders)
	}
	if l.Request == nil {
		return b.Bytes()
	}
	fmt.Fprintf(&b, " %q", "")
	b.Truncate(b.Len() - 1)
	b.Write(l.Request)
	if l.Cut {
		return b.Bytes()
	}
	b.WriteByte('"')
	if s := l.SSL; s.Version != nil || s.Cipher != nil || s.SNI != nil || s.FrontendError != nil || s.ConnectionError != Absent || s.VerifyError != Absent || s.AuthorityError != Absent || s.Resumed != Absent {
		fmt.Fprintf(&b, " %d/%s/%d/%d/%d %s/%s/%s", s.ConnectionError, dash(s.FrontendError), s.VerifyError, s.AuthorityError, s.Resumed, dash(s.SNI), dash(s.Version), dash(s.Cipher))
	}
	return b.Bytes()
}
