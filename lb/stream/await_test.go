package stream

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"lbsyslogd/lb/rule"
	"lbsyslogd/test/wait"
)

// TestAwaitBody: rules wait for bodies over HTTP/1 and HTTP/2, other requests are
// served meanwhile, and the server gets what the client sent.
func TestAwaitBody(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, req.Header.Get("X-Seen")+" ")
		io.Copy(w, req.Body)
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.fe.Rules[rule.Request] = rules(t, rule.Request, "set-header X-Seen before", "wait-for-body time 1h if { method POST }",
			"set-header X-Seen %[req.hdr(x-seen)],%[req.body_len],%[req.body_size]", "deny if { req.body -m sub evil }")
	})
	for _, p := range []protocol{http1Plain, http2Plain} {
		c := p.client(t)
		for _, chunked := range []bool{false, true} {
			body, in := io.Pipe()
			req, _ := http.NewRequest("POST", p.url(r)+"/", body)
			if !chunked {
				req.ContentLength = 10
			}
			got := make(chan string)
			go func() {
				resp, err := c.Do(req)
				if err != nil {
					got <- err.Error()
					return
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				got <- string(b)
			}()
			io.WriteString(in, "01234")
			wait.Until(t, "the request waits", func() bool { return r.Held() > 0 })
			if resp, err := c.Get(p.url(r) + "/"); err != nil { // whose head is the shard's meanwhile
				t.Error(err)
			} else {
				resp.Body.Close()
			}
			io.WriteString(in, "56789")
			in.Close()
			if text := <-got; text != "before,10,10 0123456789" {
				t.Errorf("%v, chunked %v: %q", p, chunked, text)
			}
		}
		resp, err := c.Post(p.url(r)+"/", "text/plain", strings.NewReader("something evil"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != 403 {
			t.Errorf("%v: %s", p, resp.Status)
		}
	}

	c, err := net.Dial("tcp", r.addr) // leaves while rules wait
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
	wait.Until(t, "the request waits", func() bool { return r.Held() > 0 })
	c.Close()
	wait.Until(t, "nothing is held any more", func() bool { return r.Held() == 0 })
	if got := talk(t, r.addr, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nx\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("%q", got)
	}
}
