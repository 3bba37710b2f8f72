package stream

import (
	"io"
	"net"
	"net/http"
	"testing"

	"lbsyslogd/lb/rule"
	"lbsyslogd/test/wait"
)

// TestAwaitAnswer: rules wait for bodies of responses over HTTP/1 and HTTP/2, other
// answers pass meanwhile, and a client that leaves leaves nothing behind.
func TestAwaitAnswer(t *testing.T) {
	more := make(chan bool)
	srv := serve(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Path", req.URL.Path)
		if req.URL.Path == "/sized" {
			w.Header().Set("Content-Length", "10")
		}
		io.WriteString(w, "01234")
		if req.URL.Path == "/" {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-t.Context().Done():
		}
		io.WriteString(w, "56789")
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.fe.Rules[rule.Response] = rules(t, rule.Response, "set-header X-Seen before", "wait-for-body time 1h",
			"set-header X-Seen %[res.hdr(x-seen)],%[res.body_len],%[res.body]", "deny if { res.body -m sub evil }")
	})
	for _, p := range []protocol{http1Plain, http2Plain} {
		c := p.client(t)
		get := func(path string) string {
			resp, err := c.Get(p.url(r) + path)
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			return resp.Header.Get("X-Path") + " " + resp.Header.Get("X-Seen") + " " + string(b)
		}
		for _, path := range []string{"/sized", "/chunked"} {
			got := make(chan string)
			go func() { got <- get(path) }()
			wait.Until(t, "the rules wait", func() bool { return r.Held() > 0 })
			if text := get("/"); text != "/ before,5,01234 01234" { // whose head is the shard's meanwhile
				t.Errorf("%v: %q", p, text)
			}
			more <- true
			if text := <-got; text != path+" before,10,0123456789 0123456789" {
				t.Errorf("%v: %q", p, text)
			}
			wait.Until(t, "nothing is held any more", func() bool { return r.Held() == 0 })
		}
	}

	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /sized HTTP/1.1\r\nHost: a\r\n\r\n")
	wait.Until(t, "the rules wait", func() bool { return r.Held() > 0 })
	c.Close()
	more <- true
	wait.Until(t, "nothing is held any more", func() bool { return r.Held() == 0 })
}
