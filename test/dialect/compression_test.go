package dialect

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/test/accept"
)

// scripted is a server that gives each path the answer that is written for it, byte for byte, and closes after it if that has no length.
func scripted(t *testing.T, answers map[string]string) (addr string) {
	t.Helper()
	return accept.Each(t, host+":0", func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			answer, ok := answers[req.URL.Path]
			if !ok {
				answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
			}
			if req.URL.Path == "/accepts" {
				text := fmt.Sprintf("%q", req.Header["Accept-Encoding"])
				answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
			}
			if req.Method == "HEAD" {
				answer, _, _ = strings.Cut(answer, "\r\n\r\n")
				answer += "\r\n\r\n"
			}
			if _, err := io.WriteString(c, answer); err != nil || !strings.Contains(answer, "Content-Length") && !strings.Contains(answer, "chunked") {
				return
			}
		}
	})
}

// unpacked describes an answer whose body may be compressed: what a client that knows the coding makes of it.
func (s *subject) unpacked(addr, request string) string {
	s.t.Helper()
	c := s.dial(addr)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return "not sent"
	}
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return "no answer: " + err.Error()
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "broken: " + err.Error()
	}
	coding := r.Header.Get("Content-Encoding")
	var in io.Reader = bytes.NewReader(body)
	switch {
	case method == "HEAD":
	case coding == "gzip":
		in, err = gzip.NewReader(in)
	case coding == "deflate" && len(body) > 0 && body[0] == 0x78:
		coding = "deflate (zlib)"
		in, err = zlib.NewReader(in)
	case coding == "deflate":
		in = flate.NewReader(in)
	}
	if err != nil {
		return "not " + coding + ": " + err.Error()
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return "not " + coding + ": " + err.Error()
	}
	length := ""
	if coding == "" || method == "HEAD" {
		length = fmt.Sprint(r.ContentLength)
	}
	var fields []string
	for _, name := range []string{"Vary", "Etag", "Content-Type", "Accept-Ranges", "X-Comp"} {
		if v := r.Header[name]; v != nil {
			fields = append(fields, fmt.Sprintf("%s=%q", name, v))
		}
	}
	return fmt.Sprintf("%d %s [%s] %v %s %d %.30q %v", r.StatusCode, coding, length, r.TransferEncoding, strings.Join(fields, " "), len(text), text, r.Trailer)
}

// TestCompression: what is compressed, with which algorithm and which head, is what HAProxy compresses.
func TestCompression(t *testing.T) {
	const text = "the body of an answer that can be compressed, as it says everything twice: the body of an answer that can be compressed"
	long := strings.Repeat(text, 2000)
	answer := func(status, fields, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s x\r\n%sContent-Length: %d\r\n\r\n%s", status, fields, len(body), body)
	}
	const plain = "Content-Type: text/plain\r\n"
	chunks := fmt.Sprintf("%x\r\n%s\r\n5;ext=1\r\nabcde\r\n0\r\nX-Trailer: 1\r\n\r\n", len(text), text)
	server := scripted(t, map[string]string{
		"/plain": answer("200", plain, text), "/long": answer("200", plain, long), "/empty": answer("200", plain, ""), "/one": answer("200", plain, "x"),
		"/chunks": "HTTP/1.1 200 OK\r\n" + plain + "Transfer-Encoding: chunked\r\n\r\n" + chunks,
		"/close":  "HTTP/1.1 200 OK\r\n" + plain + "\r\n" + text, "/old": "HTTP/1.0 200 OK\r\n" + plain + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(text)) + text,
		"/created": answer("201", plain, text), "/accepted": answer("202", plain, text), "/non": answer("203", plain, text), "/partial": answer("206", plain, text),
		"/missing": answer("404", plain, text), "/none": "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", "/same": "HTTP/1.1 304 x\r\nETag: \"a\"\r\nContent-Length: 0\r\n\r\n",
		"/etag": answer("200", plain+"ETag: \"abc\"\r\n", text), "/weak": answer("200", plain+"ETag: W/\"abc\"\r\n", text), "/bad": answer("200", plain+"ETag: abc\r\n", text),
		"/two": answer("200", plain+"ETag: \"a\"\r\nETag: \"b\"\r\n", text), "/done": answer("200", plain+"Content-Encoding: br\r\n", text),
		"/keep": answer("200", plain+"Cache-Control: max-age=3, No-Transform\r\n", text), "/vary": answer("200", plain+"Vary: Cookie\r\nAccept-Ranges: bytes\r\n", text),
		"/png": answer("200", "Content-Type: image/png\r\n", text), "/notype": answer("200", "", text), "/params": answer("200", "Content-Type: TEXT/Plain; charset=utf-8\r\n", text),
		"/multi": answer("200", "Content-Type: multipart/mixed\r\n", text), "/json": answer("200", "Content-Type: application/json\r\n", text),
	})
	theirs, ours := both(t, preface("", "LINE %ST %HU %ts %[res.comp] %[res.comp_algo]")+`
frontend fe
  bind HTTP
  compression algo gzip deflate
  compression type text/ multipart/
  use_backend own if { hdr(host) -m beg own }
  use_backend id if { hdr(host) -m beg id }
  use_backend raw if { hdr(host) -m beg raw }
  use_backend json if { hdr(host) -m beg json }
  default_backend be
backend be
  http-response set-header X-Comp %[res.comp]
  server s1 `+server+`
backend own
  compression offload
  server s1 `+server+`
backend id
  compression algo identity
  server s1 `+server+`
backend raw
  compression algo raw-deflate
  filter compression
  server s1 `+server+`
backend json
  compression type application/json
  server s1 `+server+`
listen any
  bind HTTP2
  compression algo gzip deflate
  server s1 `+server+`
`, nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		get := func(addr, method, path, version string, fields ...string) {
			requests++
			got = append(got, fmt.Sprint(method, " ", path, " ", version, " ", fields, ": ", s.unpacked(addr, method+" "+path+" HTTP/"+version+"\r\n"+strings.Join(append(fields, "Connection: close\r\n\r\n"), "\r\n"))))
		}
		for _, path := range []string{"/plain", "/long", "/empty", "/one", "/chunks", "/close", "/old", "/created", "/accepted", "/non", "/partial", "/missing", "/none", "/same", "/etag", "/weak", "/bad", "/two", "/done", "/keep", "/vary", "/png", "/notype", "/params", "/multi", "/json", "/accepts"} {
			for _, host := range []string{"site", "own", "json"} {
				get(s.addr, "GET", path, "1.1", "Host: "+host, "Accept-Encoding: gzip")
			}
			get(s.fill("HTTP2"), "GET", path, "1.1", "Host: a", "Accept-Encoding: gzip")
		}
		for _, accept := range []string{"deflate", "gzip;q=0.1, deflate;q=0.2", "*", "br", "", "identity", "deflate, gzip", "gzip;q=0", "x-gzip", "gzip;a=b;q=0.5, deflate;q=.9", "*;q=0.5, gzip;q=0.4", "GZIP"} {
			for _, host := range []string{"site", "raw", "id"} {
				get(s.addr, "GET", "/plain", "1.1", "Host: "+host, "Accept-Encoding: "+accept)
			}
		}
		for _, agent := range []string{"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)", "Mozilla/4.08", "Mozilla/5.0", "Mozilla/4.0 (compatible; MSIE 5.5; Windows 98)"} {
			get(s.addr, "GET", "/plain", "1.1", "Host: a", "Accept-Encoding: gzip", "User-Agent: "+agent)
		}
		get(s.addr, "HEAD", "/plain", "1.1", "Host: a", "Accept-Encoding: gzip")
		get(s.addr, "GET", "/plain", "1.0", "Host: a", "Accept-Encoding: gzip")
		get(s.addr, "POST", "/plain", "1.1", "Host: a", "Accept-Encoding: gzip", "Content-Length: 0")
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
	counters := func(s *subject) string {
		var list []string
		for _, line := range strings.Split(s.command("show stat typed"), "\n") {
			if f := strings.Split(line, ":"); len(f) > 3 && (strings.Contains(f[0], ".comp_in.") || strings.Contains(f[0], ".comp_byp.") || strings.Contains(f[0], ".comp_rsp.")) {
				n := f[len(f)-1]
				if len(n) > 3 { // HAProxy counts the end of a chunked body as a byte, and trailers
					n = n[:len(n)-3] + "xxx"
				}
				list = append(list, f[0]+"="+n)
			}
		}
		slices.Sort(list)
		return strings.Join(list, "\n")
	}
	same(t, "counter", strings.Split(counters(theirs), "\n"), strings.Split(counters(ours), "\n"))
}
