package stream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/lb/rule"
)

// TestBodyUntilTheEnd: a body that ends with its connection ends with the
// client's, too, or with its stream.
func TestBodyUntilTheEnd(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
		head := readHead(br)
		switch path := strings.Fields(head + " x x")[1]; path {
		case "/empty":
			io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
		case "/pieces":
			io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
			for i := range 50 {
				fmt.Fprintf(c, "%d;", i)
			}
		default:
			io.WriteString(c, "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n"+long)
		}
	})
	for _, more := range []string{"X: y", "X-Long: " + strings.Repeat("x", 2000)} { // the head before the body, and in a buffer of its own
		r := newRig(t, true, []string{srv}, func(r *rig) {
			r.be.Rules[rule.Response] = rules(t, rule.Response, "set-header "+strings.Replace(more, ":", "", 1))
		})
		pieces := ""
		for i := range 50 {
			pieces += fmt.Sprintf("%d;", i)
		}
		for path, want := range map[string]string{"/": long, "/empty": "", "/pieces": pieces} {
			if body, resp := connect(t, r.addr).ask("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"); body != want || !resp.Close || len(resp.TransferEncoding) > 0 {
				t.Errorf("%s: %d bytes, close %v, %v", path, len(body), resp.Close, resp.TransferEncoding)
			}
			if got := talk(t, r.addr, "GET "+path+" HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\n"+want) || strings.Contains(got, "chunked") {
				t.Errorf("HTTP/1.0 %s: %.200q", path, got)
			}
			got, err := http2Plain.client(t).Get(http2Plain.url(r) + path)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(got.Body); err != nil || string(b) != want {
				t.Errorf("HTTP/2 %s: %d bytes, %v", path, len(b), err)
			}
			got.Body.Close()
		}
		if resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(talk(t, r.addr, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))), &http.Request{Method: "HEAD"}); err != nil || resp.StatusCode != 200 {
			t.Error(resp, err)
		}
	}
}

// TestAfterResponseFramesReplies: an answer of ours without a body that rules
// make one that has a body has a length.
func TestAfterResponseFramesReplies(t *testing.T) {
	for status, want := range map[string]string{
		"204": "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
		"304": "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
	} {
		r := newRig(t, true, []string{"127.0.0.1:1"}, func(r *rig) {
			r.fe.Rules[rule.Request] = rules(t, rule.Request, "return status "+status)
			r.fe.Rules[rule.AfterResponse] = rules(t, rule.AfterResponse, "set-status 200")
		})
		cl := connect(t, r.addr)
		for range 2 {
			cl.say(get)
			cl.hear(want)
		}
	}
}
