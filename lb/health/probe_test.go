package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/port"
)

// server answers every connection with serve, on a loopback port.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

// says reads a request's head, then answers.
func says(answer string) func(net.Conn) {
	return func(c net.Conn) {
		readHead(c)
		io.WriteString(c, answer)
	}
}

func readHead(c net.Conn) []byte {
	var head []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := c.Read(buf)
		head = append(head, buf[:n]...)
		if err != nil {
			break
		}
	}
	return head
}

// silent holds the connection until the other side ends it.
func silent(c net.Conn) { io.Copy(io.Discard, c) }

func reset(c net.Conn) {
	readHead(c)
	c.(*net.TCPConn).SetLinger(0)
}

// asks is a check of one request and one expectation.
func asks(q Request, e Expect) Script {
	return Script{Kind: HTTP, Steps: []Step{{Number: 1, Request: &q}, {Number: 2, Expect: &e}}}
}

// The outcomes are those of HAProxy 2.6 against the same servers.
func TestOutcomes(t *testing.T) {
	ok := says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	notFound := says("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc")
	run := func(name string, serve func(net.Conn), h Script, status Status, code int, info string) {
		t.Helper()
		spec := Spec{Network: "tcp", Address: server(t, serve), Inter: 5 * time.Second, Script: h}
		if status == L7TOUT || status == L6TOUT {
			spec.Connect, spec.Check = time.Second, 50*time.Millisecond
		}
		r := probe(t.Context(), &spec, true)
		if r.status != status || r.code != code || r.info != info {
			t.Errorf("%s: %v %d %q, want %v %d %q", name, r.status, r.code, r.info, status, code, info)
		}
	}
	httpchk := asks(Request{}, Expect{})
	expect := func(e Expect) Script { return asks(Request{Method: "GET", URI: "/x"}, e) }
	codes := func(s string) Statuses {
		set, err := ParseStatuses(s)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	run("tcp", silent, Script{}, L4OK, 0, "")
	run("200", ok, httpchk, L7OK, 200, "")
	run("302", says("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), httpchk, L7OK, 302, "")
	run("503", says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), httpchk, L7STS, 503, "Service Unavailable")
	run("no reason", says("HTTP/1.1 204 \r\n\r\n"), asks(Request{Method: "HEAD", Version: "HTTP/1.1"}, Expect{}), L7OK, 204, "")
	run("garbage", says("garbage\r\n\r\n"), httpchk, L7RSP, 0, "")
	run("closed", says(""), httpchk, L7RSP, 0, "")
	run("half a head", says("HTTP/1.1 200 OK\r\nContent-Le"), httpchk, L7RSP, 0, "")
	run("endless head", says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 200<<10)), httpchk, L7RSP, 0, "")
	run("silent", silent, httpchk, L7TOUT, 0, "")
	run("reset", reset, httpchk, SocketError, 0, "Connection reset by peer")
	run("status 200", ok, expect(Expect{Statuses: codes("200")}), L7OK, 200, "")
	run("status 200, got 404", notFound, expect(Expect{Statuses: codes("200-204,301")}), L7STS, 404, "Not Found")
	run("! status 404", notFound, expect(Expect{Statuses: codes("404"), Not: true}), L7STS, 404, "Not Found")
	run("! rstatus ^2", ok, expect(Expect{Status: regexp.MustCompile("^2"), Not: true}), L7STS, 200, "OK")
	run("rstatus ^4", notFound, expect(Expect{Status: regexp.MustCompile("^4")}), L7OK, 404, "")
	run("string hello", ok, expect(Expect{Text: []byte("hello")}), L7OK, 200, "")
	run("string hellu", ok, expect(Expect{Text: []byte("hellu")}), L7RSP, 0, "HTTP content check did not match")
	run("! string hello", ok, expect(Expect{Text: []byte("hello"), Not: true}), L7RSP, 0, "HTTP check matched unwanted content")
	run("rstring", ok, expect(Expect{Regexp: regexp.MustCompile("^hel+o$")}), L7OK, 200, "")
	run("string, body silent", func(c net.Conn) {
		says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")(c)
		silent(c)
	}, expect(Expect{Text: []byte("hello")}), L7TOUT, 0, "")
	run("string, body cut short", says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhellu"), expect(Expect{Text: []byte("hello")}), L7RSP, 0, "HTTP content check did not match")
	run("! string, body cut short", says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhellu"), expect(Expect{Text: []byte("hello"), Not: true}), L7OK, 200, "")
	run("string, body cut off", says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), expect(Expect{Text: []byte("hello")}), L7RSP, 0, "HTTP content check could not find a response body")
	run("string, chunks cut short", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhellu"), expect(Expect{Text: []byte("hello")}), L7RSP, 0, "HTTP content check did not match")
	run("string, no chunk", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhellu"), expect(Expect{Text: []byte("hello")}), L7RSP, 0, "")
	run("string longer than min-recv", func(c net.Conn) {
		says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")(c)
		<-time.After(20 * time.Millisecond) // so that they come one by one
		io.WriteString(c, "lo")
	}, expect(Expect{Text: []byte("hello"), MinRecv: 2}), L7OK, 200, "")
	run("reason with control characters", says("HTTP/1.1 500 a\x01\"b\r\n\r\n"), httpchk, L7STS, 500, "a\x01\"b")
}

// TestContentAfterInterimAnswers has answers of which an interim one comes first, and answers without a body: nothing is expected, or not
// expected, of a body that is not there, and the body that counts is the final answer's, whenever that comes.
func TestContentAfterInterimAnswers(t *testing.T) {
	const (
		interim = "HTTP/1.1 100 Continue\r\n\r\n"
		ready   = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nREADY"
		empty   = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
		noBody  = "HTTP content check could not find a response body"
	)
	apart := func(parts ...string) func(net.Conn) {
		return func(c net.Conn) {
			readHead(c)
			for _, part := range parts {
				io.WriteString(c, part)
			}
		}
	}
	run := func(name string, serve func(net.Conn), e Expect, status Status, code int, info string) {
		t.Helper()
		spec := Spec{Network: "tcp", Address: server(t, serve), Inter: 5 * time.Second, Script: asks(Request{Method: "GET", URI: "/x"}, e)}
		if r := probe(t.Context(), &spec, true); r.status != status || r.code != code || r.info != info {
			t.Errorf("%s: %v %d %q, want %v %d %q", name, r.status, r.code, r.info, status, code, info)
		}
	}
	want, unwanted := Expect{Text: []byte("READY")}, Expect{Text: []byte("READY"), Not: true}
	run("! string, no body", apart(empty), unwanted, L7RSP, 0, noBody)
	run("! string, 204", apart("HTTP/1.1 204 No Content\r\n\r\n"), unwanted, L7RSP, 0, noBody)
	run("! string, 100 and no body", apart(interim, empty), unwanted, L7RSP, 0, noBody)
	run("! string, 100 and the word", apart(interim, ready), unwanted, L7RSP, 0, "HTTP check matched unwanted content")
	run("string, 100 in the same packet", apart(interim+ready), want, L7OK, 100, "")
	run("string, 100 in a packet of its own", apart(interim, ready), want, L7OK, 100, "")
	run("string, two of them", apart(interim, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", ready), want, L7OK, 100, "")
	run("string, 100 alone", apart(interim), want, L7RSP, 0, "")
}

func TestNoListener(t *testing.T) {
	r := probe(t.Context(), &Spec{Network: "tcp", Address: port.Reserve(t)}, true)
	if r.status != L4CON || r.info != "Connection refused" {
		t.Errorf("%v %q", r.status, r.info)
	}
	r = probe(t.Context(), &Spec{Network: "unix", Address: filepath.Join(t.TempDir(), "none")}, true)
	if r.status != L4CON || r.info != "No such file or directory" {
		t.Errorf("unix: %v %q", r.status, r.info)
	}
}

// A server whose accept queue is full lets connections wait: L4TOUT.
func TestConnectTimeout(t *testing.T) {
	full := fullListener(t)
	r := probe(t.Context(), &Spec{Network: "tcp", Address: full, Inter: 5 * time.Second, Connect: 50 * time.Millisecond, Check: time.Second}, true)
	if r.status != L4TOUT {
		t.Errorf("%v %q, want L4TOUT", r.status, r.info)
	}
}

// What is sent: HAProxy's default, a request of the operator's, and what it
// adds to it.
func TestRequests(t *testing.T) {
	test := func(q Request, want string) {
		t.Helper()
		if got := string((&run{spec: &Spec{}}).request(&q)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	test(Request{}, "OPTIONS / HTTP/1.0\r\n\r\n")
	test(Request{Method: "GET", URI: "/x"}, "GET /x HTTP/1.0\r\n\r\n")
	test(Request{Method: "HEAD", URI: "/y", Version: "HTTP/1.1", Headers: []string{"host: foo"}},
		"HEAD /y HTTP/1.1\r\nhost: foo\r\nconnection: close\r\n\r\n")
	test(Request{Method: "POST", URI: "/z", Version: "HTTP/1.1", Headers: []string{"Connection: x"}, Body: "hello"},
		"POST /z HTTP/1.1\r\nconnection: x\r\ncontent-length: 5\r\n\r\nhello")
	test(Request{Method: "PUT", Version: "HTTP/1.1", Headers: []string{"X-One: 1", "Content-Length: 9", "Transfer-Encoding: chunked", "Connection: close, x", "Two: 2"}, Body: "hello"},
		"PUT / HTTP/1.1\r\nx-one: 1\r\nconnection: x\r\ntwo: 2\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
	test(Request{Version: "HTTP/1.1", Headers: []string{"Connection: Keep-Alive"}}, "OPTIONS / HTTP/1.1\r\n\r\n")
	test(Request{Headers: []string{"Connection: keep-alive"}}, "OPTIONS / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
	test(Request{Headers: []string{"Connection: close"}}, "OPTIONS / HTTP/1.0\r\n\r\n")
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	addr := s.Listener.Addr().String()
	run := func(name string, spec Spec, want Status) {
		t.Helper()
		spec.Network, spec.Inter, spec.Secure = "tcp", 5*time.Second, true
		if r := probe(t.Context(), &spec, true); r.status != want {
			t.Errorf("%s: %v %q, want %v", name, r.status, r.info, want)
		}
	}
	lax := &tls.Config{InsecureSkipVerify: true}
	run("handshake", Spec{Address: addr, TLS: lax}, L6OK)
	run("request over it", Spec{Address: addr, TLS: lax, Script: asks(Request{}, Expect{})}, L7OK)
	run("unknown authority", Spec{Address: addr, TLS: &tls.Config{ServerName: "example.com"}}, L6RSP)
	run("not TLS", Spec{Address: server(t, says("HTTP/1.0 400 Bad\r\n\r\n")), TLS: lax, Check: time.Second, Connect: 50 * time.Millisecond}, L6TOUT)
}

// A cancelled check ends at once, whatever it waits for, and leaves no file
// descriptor behind; nor do a thousand others.
func TestNothingLeft(t *testing.T) {
	addr := server(t, silent)
	ok := server(t, says("HTTP/1.0 200 OK\r\n\r\n"))
	before := countFDs(t)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			probe(ctx, &Spec{Network: "tcp", Address: addr, Inter: time.Hour, Script: asks(Request{}, Expect{})}, true)
			close(ended)
		}()
		cancel()
		<-ended
	}
	for range 200 {
		probe(t.Context(), &Spec{Network: "tcp", Address: ok, Script: asks(Request{}, Expect{})}, true)
	}
	// The servers' own ends close when they see ours closed.
	deadline := time.Now().Add(10 * time.Second)
	for countFDs(t) > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d file descriptors, %d before", countFDs(t), before)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
