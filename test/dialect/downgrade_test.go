package dialect

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A request over HTTP/2 becomes one of HTTP/1 on its way to the server, and what HTTP/2 can carry and HTTP/1 cannot must not become a request of its
// own. Each vector is sent to both balancers; the server records every byte.

// vector is one stream: what it sends, what the client gets from lb and from HAProxy ("=": the same), and after a 200 what the server got.
type vector struct {
	name        string
	fields      string // one a line, "name=value"; the usual four pseudo-fields stand before them unless there are others
	body        string // after the head; "" ends the stream with it
	trailers    string // as fields
	lb, haproxy string
}

const usual = ":method=POST\n:scheme=http\n:authority=a\n:path=/\n"

func with(pseudo, value string) string {
	var b strings.Builder
	for line := range strings.Lines(usual) {
		if name, _, _ := strings.Cut(line[1:], "="); name == pseudo {
			if value == "-" {
				continue
			}
			line = ":" + pseudo + "=" + value + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

var downgrades = []vector{
	{"nothing odd", usual + `x=y`, "", "", `200 POST / HTTP/1.1, host: a, x: y`, `=`},
	{"a body", usual + `content-length=5`, "12345", "", `200 POST / HTTP/1.1, content-length: 5, host: a + 12345`, `=`},
	{"a body of no length", usual + `x=y`, "12345", "", `200 POST / HTTP/1.1, host: a, transfer-encoding: chunked, x: y + 5\r\n12345\r\n0\r\n\r\n`, `=`},
	{"upper case", usual + `X=y`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a colon in a name", usual + `x:y=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a colon before a name", usual + `:x=y`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a blank in a name", usual + `x y=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a blank after a name", usual + `x =z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a blank before a name", usual + ` x=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a tab in a name", usual + `x\t=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"CR in a name", usual + `x\r=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"LF in a name", usual + `x\n=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a field in a name", usual + `x\r\ntransfer-encoding=chunked`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a field and its value in a name", usual + `x: a\r\ny=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"NUL in a name", usual + `x\0=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"DEL in a name", usual + `x\x=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a byte beyond ASCII in a name", usual + `x\8=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"an empty name", usual + `=z`, "", "", `reset PROTOCOL_ERROR`, `goaway COMPRESSION_ERROR`},
	{"a comma in a name", usual + `x,y=z`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"an underscore in a name", usual + `x_y=z`, "", "", `200 POST / HTTP/1.1, host: a, x_y: z`, `=`},
	{"CR in a value", usual + `x=a\rb`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"LF in a value", usual + `x=a\nb`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a field in a value", usual + `x=a\r\ntransfer-encoding: chunked`, "", "", `reset PROTOCOL_ERROR`, `goaway COMPRESSION_ERROR`},
	{"a request in a value", usual + `x=a\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"NUL in a value", usual + `x=a\0b`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a control character in a value", usual + `x=a\1b`, "", "", `400`, `200 malformed POST / HTTP/1.1, host: a, x: a\x01b`},
	{"DEL in a value", usual + `x=a\xb`, "", "", `400`, `200 malformed POST / HTTP/1.1, host: a, x: a\x7fb`},
	{"a tab in a value", usual + `x=a\tb`, "", "", `200 POST / HTTP/1.1, host: a, x: a\tb`, `=`},
	{"a byte beyond ASCII in a value", usual + `x=a\8b`, "", "", `200 POST / HTTP/1.1, host: a, x: a\xe9b`, `=`},
	{"blanks around a value", usual + `x= a `, "", "", `reset PROTOCOL_ERROR`, `200 POST / HTTP/1.1, host: a, x:  a `},
	{"an empty value", usual + `x=`, "", "", `200 POST / HTTP/1.1, host: a, x: `, `=`},
	{"transfer-encoding", usual + `transfer-encoding=chunked`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"transfer-encoding identity", usual + `transfer-encoding=identity`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"connection close", usual + `connection=close`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"connection that names a field", usual + `connection=x
x=y`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"keep-alive", usual + `keep-alive=timeout\e5`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"proxy-connection", usual + `proxy-connection=keep-alive`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"upgrade", usual + `upgrade=h2c`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"upgrade with connection", usual + `connection=upgrade
upgrade=websocket`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"http2-settings", usual + `http2-settings=AAMAAABkAAQAAP__`, "", "", `200 POST / HTTP/1.1, host: a, http2-settings: AAMAAABkAAQAAP__`, `=`},
	{"te trailers", usual + `te=trailers`, "", "", `200 POST / HTTP/1.1, host: a, te: trailers`, `=`},
	{"te gzip", usual + `te=gzip`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"te of both", usual + `te=trailers, gzip`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"te twice", usual + `te=trailers
te=gzip`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"an unknown pseudo-field", usual + `:x=y`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"the status of an answer", usual + `:status=200`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a method twice", usual + `:method=GET`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a path twice", usual + `:path=/hidden`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a path twice, equal", usual + `:path=/`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a scheme twice", usual + `:scheme=http`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"an authority twice", usual + `:authority=b`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a late pseudo-field", usual + `x=y
:path=/`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a protocol without CONNECT", usual + `:protocol=websocket`, "", "", `reset PROTOCOL_ERROR`, `200 POST / HTTP/1.1, host: a`},
	{"host that agrees", usual + `host=a`, "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"host that differs", usual + `host=b`, "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"host in another case", usual + `host=A`, "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"host with the port", usual + `host=a:80`, "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"two hosts", usual + `host=a
host=a`, "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"an empty host", usual + `host=`, "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"two different hosts", usual + `host=a
host=b`, "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"crumbs of a cookie", usual + `cookie=a\e1
cookie=b\e2
cookie=c\e3`, "", "", `200 POST / HTTP/1.1, cookie: a=1; b=2; c=3, host: a`, `=`},
	{"an empty crumb", usual + `cookie=
cookie=b\e2`, "", "", `200 POST / HTTP/1.1, cookie: b=2, host: a`, `200 POST / HTTP/1.1, cookie: ; b=2, host: a`},
	{"crumbs around a field", usual + `cookie=a\e1
x=y
cookie=b\e2`, "", "", `200 POST / HTTP/1.1, cookie: a=1; b=2, host: a, x: y`, `=`},
	{"CR LF in a crumb", usual + `cookie=a\e1
cookie=b\r\nx: y`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a semicolon in a crumb", usual + `cookie=a\e1;
cookie=; b\e2`, "", "", `200 POST / HTTP/1.1, cookie: a=1;; ; b=2, host: a`, `=`},
	{"expect", usual + `expect=100-continue`, "", "", `200 POST / HTTP/1.1, expect: 100-continue, host: a`, `=`},
	{"trailer", usual + `trailer=content-length`, "", "", `200 POST / HTTP/1.1, host: a, trailer: content-length`, `=`},
	{"many crumbs", usual + strings.Repeat("cookie=abcdefgh\n", 1000), "", "", `400`, `goaway COMPRESSION_ERROR`},
	{"more crumbs than a buffer holds", usual + strings.Repeat("cookie=abcdefgh\n", 4000), "", "", `400`, `goaway COMPRESSION_ERROR`},
	{"as many fields as a head may have", usual + strings.Repeat("x=y\n", 90), "", "", `200 POST / HTTP/1.1, host: a, x: y`, `=`},
	{"more fields than a head may have", usual + strings.Repeat("x=y\n", 150), "", "", `400`, `200 POST / HTTP/1.1, host: a, x: y`},
	{"a length that fits", usual + `content-length=5`, "12345", "", `200 POST / HTTP/1.1, content-length: 5, host: a + 12345`, `=`},
	{"a body longer than its length", usual + `content-length=3`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"a body shorter than its length", usual + `content-length=7`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"a length and no body", usual + `content-length=5`, "", "", `reset PROTOCOL_ERROR`, `200 POST / HTTP/1.1, host: a`},
	{"a length of nothing and a body", usual + `content-length=0`, "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", "", `reset PROTOCOL_ERROR`, `=`},
	{"two equal lengths", usual + `content-length=5
content-length=5`, "12345", "", `reset PROTOCOL_ERROR`, `200 POST / HTTP/1.1, content-length: 5, host: a + 12345`},
	{"two lengths", usual + `content-length=5
content-length=0`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"two lengths in one", usual + `content-length=5, 5`, "12345", "", `reset PROTOCOL_ERROR`, `200 POST / HTTP/1.1, content-length: 5, host: a + 12345`},
	{"a signed length", usual + `content-length=+5`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"a length with a blank", usual + `content-length=5 `, "12345", "", `reset PROTOCOL_ERROR`, `200 POST / HTTP/1.1, content-length: 5, host: a + 12345`},
	{"a hexadecimal length", usual + `content-length=0x5`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"an empty length", usual + `content-length=`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"a huge length", usual + `content-length=18446744073709551621`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"a length with a zero", usual + `content-length=05`, "12345", "", `200 POST / HTTP/1.1, content-length: 05, host: a + 12345`, `=`},
	{"a length of several", usual + `content-length=5 5`, "12345", "", `reset PROTOCOL_ERROR`, `=`},
	{"a length and a coding", usual + `content-length=5
transfer-encoding=chunked`, "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", "", `reset PROTOCOL_ERROR`, `=`},
	{"a coding", usual + `transfer-encoding=chunked`, "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", "", `reset PROTOCOL_ERROR`, `=`},
	{"chunks in a body", usual + `x=y`, "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", "", `200 POST / HTTP/1.1, host: a, transfer-encoding: chunked, x: y + 26\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n`, `=`},
	{"expect and a body", usual + `expect=100-continue
content-length=5`, "12345", "", `200 POST / HTTP/1.1, content-length: 5, expect: 100-continue, host: a + 12345`, `=`},
	{"no method", with("method", `-`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"no scheme", with("scheme", `-`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"no path", with("path", `-`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"no authority", with("authority", `-`), "", "", `400`, `200 POST / HTTP/1.1, `},
	{"an empty method", with("method", ``), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"an empty scheme", with("scheme", ``), "", "", `reset PROTOCOL_ERROR`, `400`},
	{"an empty path", with("path", ``), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"an empty authority", with("authority", ``), "", "", `400`, `200 POST / HTTP/1.1, host: `},
	{"a method in lower case", with("method", `post`), "", "", `200 post / HTTP/1.1, host: a`, `=`},
	{"a blank in the method", with("method", `GET /hidden`), "", "", `reset PROTOCOL_ERROR`, `400`},
	{"a request in the method", with("method", `GET / HTTP/1.1\r\nHost: a\r\n\r\nGET`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"NUL in the method", with("method", `G\0T`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"HTTPS in the clear", with("scheme", `https`), "", "", `200 POST / HTTP/1.1, host: a`, `=`},
	{"another scheme", with("scheme", `ftp`), "", "", `200 POST ftp://a/ HTTP/1.1, host: a`, `=`},
	{"CR LF in the scheme", with("scheme", `http\r\nx: y`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a host in the scheme", with("scheme", `http://b/`), "", "", `reset PROTOCOL_ERROR`, `400`},
	{"a path without a slash", with("path", `x`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a path that is a target", with("path", `http://b/x`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"an asterisk", with("path", `*`), "", "", `reset PROTOCOL_ERROR`, `200 POST / HTTP/1.1, host: a`},
	{"a blank in the path", with("path", `/ HTTP/1.1`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a request in the path", with("path", `/ HTTP/1.1\r\nHost: a\r\n\r\nGET /hidden`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"LF in the path", with("path", `/a\nb`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"NUL in the path", with("path", `/a\0b`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a tab in the path", with("path", `/a\tb`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a fragment", with("path", `/a#b`), "", "", `400`, `reset PROTOCOL_ERROR`},
	{"a byte beyond ASCII in the path", with("path", `/\8`), "", "", `400`, `200 POST /\xe9 HTTP/1.1, host: a`},
	{"DEL in the path", with("path", `/\x`), "", "", `reset PROTOCOL_ERROR`, `400`},
	{"two slashes", with("path", `//b/x`), "", "", `200 POST //b/x HTTP/1.1, host: a`, `=`},
	{"a query alone", with("path", `?x`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a user in the authority", with("authority", `u@a`), "", "", `400`, `200 POST / HTTP/1.1, host: u@a`},
	{"a path in the authority", with("authority", `a/b`), "", "", `400`, `200 POST /b/ HTTP/1.1, host: a/b`},
	{"a blank in the authority", with("authority", `a b`), "", "", `reset PROTOCOL_ERROR`, `400`},
	{"a field in the authority", with("authority", `a\r\nx: y`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"two names in the authority", with("authority", `a,b`), "", "", `200 POST / HTTP/1.1, host: a,b`, `=`},
	{"two ports in the authority", with("authority", `a:80:90`), "", "", `400`, `200 POST / HTTP/1.1, host: a:80:90`},
	{"an open bracket in the authority", with("authority", `[::1`), "", "", `400`, `200 POST / HTTP/1.1, host: [::1`},
	{"an address in the authority", with("authority", `[::1]:80`), "", "", `200 POST / HTTP/1.1, host: [::1]`, `=`},
	{"a question mark in the authority", with("authority", `a?b`), "", "", `400`, `200 POST / HTTP/1.1, host: a?b`},
	{"NUL in the authority", with("authority", `a\0`), "", "", `reset PROTOCOL_ERROR`, `=`},
	{"OPTIONS and an asterisk", `:method=OPTIONS
:scheme=http
:authority=a
:path=*`, "", "", `200 OPTIONS * HTTP/1.1, host: a`, `=`},
	{"host alone", `:method=GET
:scheme=http
:path=/
host=a`, "", "", `200 GET / HTTP/1.1, host: a`, `=`},
	{"two hosts alone", `:method=GET
:scheme=http
:path=/
host=a
host=b`, "", "", `reset PROTOCOL_ERROR`, `200 GET / HTTP/1.1, host: a`},
	{"a pseudo-field after a field", `:method=GET
:scheme=http
x=y
:authority=a
:path=/`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"a body for GET", `:method=GET
:scheme=http
:authority=a
:path=/`, "12345", "", `200 GET / HTTP/1.1, host: a, transfer-encoding: chunked + 5\r\n12345\r\n0\r\n\r\n`, `=`},
	{"CONNECT", `:method=CONNECT
:authority=a:1`, "", "", `400`, `200 CONNECT a:1 HTTP/1.1, host: a:1`},
	{"CONNECT with a path", `:method=CONNECT
:scheme=http
:authority=a:1
:path=/`, "", "", `400`, `reset PROTOCOL_ERROR`},
	{"CONNECT to nowhere", `:method=CONNECT`, "", "", `400`, `reset PROTOCOL_ERROR`},
	{"CONNECT to an empty authority", `:method=CONNECT
:authority=`, "", "", `400`, `reset PROTOCOL_ERROR`},
	{"CONNECT with a field in its authority", `:method=CONNECT
:authority=a:1\r\nx: y`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"CONNECT and a length", `:method=CONNECT
:authority=a:1
content-length=5`, "12345", "", `400`, `200 CONNECT a:1 HTTP/1.1, host: a:1`},
	{"a protocol that nobody speaks", `:method=CONNECT
:protocol=x
:scheme=http
:authority=a
:path=/`, "", "", `400`, `200 GET / HTTP/1.1, connection: upgrade, host: a, upgrade: x`},
	{"CR LF in the protocol", `:method=CONNECT
:protocol=websocket\r\nx: y
:scheme=http
:authority=a
:path=/`, "", "", `reset PROTOCOL_ERROR`, `=`},
	{"trailers", usual + `x=y`, "12345", `x=y`, `200 POST / HTTP/1.1, host: a, transfer-encoding: chunked, x: y + 5\r\n12345\r\n0\r\nx: y\r\n\r\n`, `=`},
	{"trailers, and a length", usual + `content-length=5`, "12345", `x=y`, `200 POST / HTTP/1.1, content-length: 5, host: a + 12345`, `=`},
	{"trailers without a body", usual + `x=y`, "", `x=y`, `200 POST / HTTP/1.1, host: a, transfer-encoding: chunked, x: y + 0\r\nx: y\r\n\r\n`, `=`},
	{"a pseudo-field in trailers", usual + `x=y`, "12345", `:path=/hidden`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a pseudo-field in trailers, and a length", usual + `content-length=5`, "12345", `:path=/hidden`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a status in trailers", usual + `x=y`, "12345", `:status=200`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a length in trailers", usual + `x=y`, "12345", `content-length=3`, `200 POST / HTTP/1.1, host: a, transfer-encoding: chunked, x: y + 5\r\n12345\r\n0\r\n\r\n`, `reset INTERNAL_ERROR`},
	{"a length in trailers, and a length", usual + `content-length=5`, "12345", `content-length=3`, `200 POST / HTTP/1.1, content-length: 5, host: a + 12345`, `reset INTERNAL_ERROR`},
	{"a coding in trailers", usual + `x=y`, "12345", `transfer-encoding=chunked`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a host in trailers", usual + `x=y`, "12345", `host=b`, `200 POST / HTTP/1.1, host: a, transfer-encoding: chunked, x: y + 5\r\n12345\r\n0\r\n\r\n`, `reset INTERNAL_ERROR`},
	{"upper case in trailers", usual + `x=y`, "12345", `X=y`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a field in trailers", usual + `x=y`, "12345", `x=a\r\ny: z`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a request in trailers", usual + `x=y`, "12345", `x=a\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a name with a colon in trailers", usual + `x=y`, "12345", `x:y=z`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"an empty name in trailers", usual + `x=y`, "12345", `=z`, `reset PROTOCOL_ERROR`, `goaway COMPRESSION_ERROR`},
	{"connection in trailers", usual + `x=y`, "12345", `connection=close`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"NUL in trailers", usual + `x=y`, "12345", `x=a\0b`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
	{"a blank after a name in trailers", usual + `x=y`, "12345", `x =y`, `reset PROTOCOL_ERROR`, `reset INTERNAL_ERROR`},
}

func TestDowngrade(t *testing.T) {
	rec := newRecorder(t)
	theirs, ours := both(t, preface("", "LINE %ST")+`
frontend f
  bind HTTP
  bind HTTP2 proto h2
  default_backend b
backend b
  http-reuse never
  server s `+rec.addr+"\n", nil)
	for i, v := range downgrades {
		drive := func(s *subject) string {
			id := fmt.Sprint(s.name, i)
			status := s.stream(v, id)
			if status == "200" {
				status += " " + rec.of(id)
			}
			return status
		}
		want, got := seen(theirs, drive), drive(ours)
		haproxy := v.haproxy
		if haproxy == "=" {
			haproxy = v.lb
		}
		if got != v.lb {
			t.Errorf("%s: lb: %s\nwant %s", v.name, got, v.lb)
		}
		if want != haproxy {
			t.Errorf("%s: HAProxy: %s\nwant %s", v.name, want, haproxy)
		}
	}
}

// recorder is a server that keeps what it gets, and answers what ends as HTTP/1 says.
type recorder struct {
	addr string
	mu   sync.Mutex
	got  map[string]string // by the field "id"
}

func newRecorder(t *testing.T) *recorder {
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	r := &recorder{addr: ln.Addr().String(), got: map[string]string{}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *recorder) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var raw bytes.Buffer
	br := bufio.NewReader(io.TeeReader(c, &raw))
	req, err := http.ReadRequest(br)
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	id, text := oneLine(raw.String())
	if err != nil {
		text = "malformed " + text
	} else if br.Buffered() > 0 {
		text = "more than " + text
	}
	r.mu.Lock()
	r.got[id] = text
	r.mu.Unlock()
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

// oneLine is what the server got, the names of its fields in lower case and in order, but for id.
func oneLine(raw string) (id, text string) {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	first, rest, _ := strings.Cut(head, "\r\n")
	fields := []string{}
	for f := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(f, ":")
		if name = strings.ToLower(name); name == "id" {
			id = strings.TrimSpace(value)
			continue
		}
		if len(value) > 100 {
			value = fmt.Sprintf(" %d bytes", len(value))
		}
		fields = append(fields, name+":"+value)
	}
	slices.Sort(fields)
	text = first + ", " + strings.Join(slices.Compact(fields), ", ")
	if body != "" {
		text += " + " + body
	}
	text = fmt.Sprintf("%q", text)
	return id, text[1 : len(text)-1]
}

// of is what came with an id.
func (r *recorder) of(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[id]
}

// stream sends a vector on a connection of its own, and gives what comes of it.
func (s *subject) stream(v vector, id string) string {
	c, err := net.Dial("tcp", s.fill("HTTP2"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	out := bytes.NewBufferString(http2.ClientPreface) // sent in one piece: nothing depends on what the server answers meanwhile
	fr := http2.NewFramer(out, c)
	fr.AllowIllegalWrites = true
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fr.WriteSettings()
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	block := func(fields string) []byte {
		buf.Reset()
		for _, line := range strings.Split(strings.TrimSuffix(fields, "\n"), "\n") {
			name, value, _ := strings.Cut(line, "=")
			enc.WriteField(hpack.HeaderField{Name: unescape.Replace(name), Value: unescape.Replace(value)})
		}
		return buf.Bytes()
	}
	head := block(strings.TrimSuffix(v.fields, "\n") + "\nid=" + id)
	for first := true; first || len(head) > 0; first = false {
		n := min(len(head), 16384)
		if first {
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head[:n], EndHeaders: n == len(head), EndStream: v.body == "" && v.trailers == ""})
		} else {
			fr.WriteContinuation(1, n == len(head), head[:n])
		}
		head = head[n:]
	}
	if v.body != "" {
		fr.WriteData(1, v.trailers == "", []byte(v.body))
	}
	if v.trailers != "" {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(v.trailers), EndHeaders: true, EndStream: true})
	}
	c.Write(out.Bytes())
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status != "100" {
				return status
			}
		case *http2.RSTStreamFrame:
			return "reset " + f.ErrCode.String()
		case *http2.GoAwayFrame:
			return "goaway " + f.ErrCode.String()
		}
	}
}

// unescape has in the vectors' text what a line cannot.
var unescape = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00", `\t`, "\t", `\e`, "=", `\x`, "\x7f", `\8`, "\xe9", `\1`, "\x01")
