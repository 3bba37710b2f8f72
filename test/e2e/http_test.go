package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/tape"
)

// TestHTTP is HTTP/1 as a client sees it, over raw TCP, on one balancer.
func TestHTTP(t *testing.T) {
	s := start(t, options{})
	sub := func(name string, f func(t *testing.T, s *stack)) {
		t.Run(name, func(t *testing.T) {
			f(t, s)
			if n := s.malformed(); n > 0 {
				t.Errorf("%d malformed requests reached a backend", n)
			}
		})
	}
	sub("pipelining", pipelining)
	sub("head", head)
	sub("bodyless answers", bodyless)
	sub("chunked answers", chunkedAnswers)
	sub("chunked both ways", chunkedBothWays)
	sub("request in single bytes", singleBytes)
	sub("100-continue", expectContinue)
	sub("answer that ends with its connection", unsized)
	sub("HTTP/1.0", http10)
	sub("connection headers", connectionHeaders)
	sub("upgrade", upgrade)
	sub("head size", headSize)
	sub("cut answer", cutAnswer)
	sub("slow answer", slowAnswer)
	sub("curl", curl)
	sub("openssl", openssl)
}

func pipelining(t *testing.T, s *stack) {
	c := dial(t, s.http)
	const n = 50
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "GET /r/pipe/%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		fmt.Fprintf(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbody%d", i%10)
	}
	c.send("%s", b.String())
	for i := range n {
		c.want("GET", 200, small(fmt.Sprintf("/r/pipe/%d", i)))
		c.want("POST", 200, fmt.Sprintf("body%d", i%10))
	}
}

func head(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.send("HEAD /bytes/5000 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /chunked/5000 HTTP/1.1\r\nHost: a\r\n\r\nGET /r/head/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	if a := c.want("HEAD", 200, ""); a.ContentLength != 5000 {
		t.Errorf("content-length %d", a.ContentLength)
	}
	c.want("HEAD", 200, "")
	c.want("GET", 200, small("/r/head/1"))
}

func bodyless(t *testing.T, s *stack) {
	c := dial(t, s.http)
	for _, code := range []int{204, 304} {
		c.send("GET /status/%d HTTP/1.1\r\nHost: a\r\n\r\nGET /r/bodyless/1 HTTP/1.1\r\nHost: a\r\n\r\n", code)
		c.want("GET", code, "")
		c.want("GET", 200, small("/r/bodyless/1"))
	}
}

func chunkedAnswers(t *testing.T, s *stack) {
	c := dial(t, s.http)
	for _, n := range []int{0, 1, 200, 16383, 100_000, 3_000_000} {
		c.send("GET /chunked/%d HTTP/1.1\r\nHost: a\r\n\r\n", n)
		if a := c.want("GET", 200, pattern(n)); a.Trailer.Get("X-Length") != fmt.Sprint(n) {
			t.Errorf("%d bytes: trailer %v", n, a.Trailer)
		}
	}
}

func chunkedBothWays(t *testing.T, s *stack) {
	c := dial(t, s.http)
	for _, n := range []int{0, 1, 1000, 50_000, 2_000_000} {
		body := pattern(n)
		go func() {
			fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			for size := 1; len(body) > 0; size = size*5%30011 + 1 {
				chunk := body[:min(size, len(body))]
				body = body[len(chunk):]
				fmt.Fprintf(c, "%X;ext=\"a b\"\r\n%s\r\n", len(chunk), chunk)
			}
			fmt.Fprintf(c, "0\r\nX-Trailer: yes\r\n\r\n")
		}()
		c.want("POST", 200, pattern(n))
	}
}

func singleBytes(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.SetNoDelay(true)
	text := "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n" +
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n7 bytes"
	go func() {
		for i := range len(text) {
			io.WriteString(c, text[i:i+1])
		}
	}()
	c.want("POST", 200, "abc0123456789")
	c.want("POST", 200, "7 bytes")
}

func expectContinue(t *testing.T, s *stack) {
	for _, framing := range []string{"Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"} {
		c := dial(t, s.http)
		c.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n%s\r\n", framing)
		if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
			t.Fatalf("before the body: %q, %v", line, err)
		}
		if line, err := c.r.ReadString('\n'); err != nil || line != "\r\n" {
			t.Fatalf("after 100: %q, %v", line, err)
		}
		body := "body"
		if strings.HasPrefix(framing, "T") {
			body = "4\r\nbody\r\n0\r\n\r\n"
		}
		c.send("%s", body)
		c.want("POST", 200, "body")
		c.send("GET /r/continue/1 HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want("GET", 200, small("/r/continue/1"))
	}
}

func unsized(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.send("GET /unsized/70000 HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 200, pattern(70000))
	old := dial(t, s.http)
	old.send("GET /unsized/70000 HTTP/1.0\r\n\r\n")
	old.want("GET", 200, pattern(70000))
	old.ended()
}

func http10(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.send("GET /r/old/1 HTTP/1.0\r\n\r\n")
	c.want("GET", 200, small("/r/old/1"))
	c.ended()

	kept := dial(t, s.http)
	for range 3 {
		kept.send("GET /r/old/2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		kept.want("GET", 200, small("/r/old/2"))
	}

	chunked := dial(t, s.http)
	chunked.send("GET /chunked/40000 HTTP/1.0\r\n\r\n")
	a := chunked.want("GET", 200, pattern(40000))
	if len(a.TransferEncoding) > 0 {
		t.Errorf("an HTTP/1.0 client got transfer-encoding %v", a.TransferEncoding)
	}
	chunked.ended()
}

// connectionHeaders holds that what concerns one connection stays on it: a server that closes its side does not close the client's,
// and a client's wish to close does not reach the next hop's pool.
func connectionHeaders(t *testing.T, s *stack) {
	c := dial(t, s.http)
	for i := range 3 {
		path := fmt.Sprintf("/close/%d", i)
		c.send("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		c.want("GET", 200, small(path))
	}
	c.send("GET /r/conn/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if a := c.want("GET", 200, small("/r/conn/1")); !a.Close {
		t.Errorf("the last answer does not say so: %v", a.Header)
	}
	c.ended()
}

func upgrade(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	a, err := http.ReadResponse(c.r, nil)
	if err != nil || a.StatusCode != 101 || !strings.EqualFold(a.Header.Get("Upgrade"), "websocket") {
		t.Fatalf("%+v %v", a, err)
	}
	text := pattern(1_000_000)
	go func() {
		io.WriteString(c, text)
		c.CloseWrite()
	}()
	if got, err := io.ReadAll(c.r); err != nil || string(got) != text {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(text), err)
	}
}

func headSize(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.send("GET /r/big/1 HTTP/1.1\r\nHost: a\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 14<<10))
	c.want("GET", 200, small("/r/big/1"))

	before := s.requests()
	c = dial(t, s.http)
	c.send("GET /r/big/2 HTTP/1.1\r\nHost: a\r\n")
	for range 40 { // stops early when the balancer has closed
		if _, err := fmt.Fprintf(c, "X-Big: %s\r\n", strings.Repeat("x", 1000)); err != nil {
			break
		}
	}
	if a, _, err := c.tryAnswer("GET"); err == nil && a.StatusCode != 400 && a.StatusCode != 431 {
		t.Errorf("a head of 40 KB was answered with %d", a.StatusCode)
	}
	if s.requests() != before {
		t.Errorf("a head of 40 KB reached a backend")
	}
}

// cutAnswer holds that half an answer never looks like a whole one.
func cutAnswer(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
	a, body, err := c.tryAnswer("GET")
	if err == nil && a.StatusCode == 200 {
		t.Errorf("an answer that was cut at 500 of 1000 bytes came as a whole one of %d bytes", len(body))
	}
}

func slowAnswer(t *testing.T, s *stack) {
	c := dial(t, s.http)
	c.send("GET /drip/20 HTTP/1.1\r\nHost: a\r\n\r\nGET /delay/30 HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 200, pattern(20))
	c.want("GET", 200, pattern(200))
}

func curl(t *testing.T, s *stack) {
	name := filepath.Join(s.dir, "body")
	body := pattern(5_000_000)
	if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	row := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"-sS", "--fail", "--max-time", "30", "--cacert", s.cert}, args...)
		got, err := exec.Command(tape.Require(t, "curl"), args...).Output()
		if err != nil || string(got) != want {
			t.Errorf("curl %v: %d bytes %.80q, %v", args, len(got), got, err)
		}
	}
	plain, secure := "http://"+s.http, "https://"+s.https
	row(small("/r/curl/1"), plain+"/r/curl/1")
	row(small("/r/curl/1"), secure+"/r/curl/1")
	row(small("/r/curl/1")+small("/r/curl/2"), plain+"/r/curl/1", plain+"/r/curl/2")
	row(body, "--data-binary", "@"+name, plain+"/echo") // waits for 100 (Continue)
	row(body, "--data-binary", "@"+name, secure+"/echo")
	row(body, "-H", "Transfer-Encoding: chunked", "--data-binary", "@"+name, plain+"/echo")
	row(body, secure+"/bytes/5000000")
	row(body, "--http1.0", plain+"/chunked/5000000")
}

func openssl(t *testing.T, s *stack) {
	row := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"s_client", "-connect", s.https, "-CAfile", s.cert, "-verify_return_error", "-servername", "lb.example"}, args...)
		cmd := exec.Command(tape.Require(t, "openssl"), args...)
		cmd.Stdin = strings.NewReader("GET /r/openssl/1 HTTP/1.0\r\n\r\n")
		cmd.WaitDelay = 10 * time.Second
		got, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(got), want) || !strings.Contains(string(got), small("/r/openssl/1")) {
			t.Errorf("openssl %v: %v, want %q in\n%s", args, err, want, got)
		}
	}
	row("TLSv1.2", "-tls1_2", "-ign_eof")
	row("TLSv1.3", "-tls1_3", "-ign_eof")
}
