package health

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestChecksOverHTTP2 asks a server that speaks HTTP/2 alone, and judges what it says as over HTTP/1.
func TestChecksOverHTTP2(t *testing.T) {
	gone := make(chan bool)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.ProtoMajor != 2 || r.Method != "GET" || r.Host != "a.example":
			w.WriteHeader(400)
		case r.URL.Path == "/down":
			w.WriteHeader(503)
		case r.URL.Path == "/late":
			<-gone
		default:
			io.WriteString(w, "all is well")
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	defer close(gone)
	for path, want := range map[string]Status{"/": L7OK, "/down": L7STS, "/late": L7TOUT} {
		spec := Spec{
			Network: "tcp", Address: strings.TrimPrefix(s.URL, "http://"), Inter: 5 * time.Second, HTTP2: true,
			Script: Script{Kind: HTTP, Steps: []Step{
				{Request: &Request{Method: "GET", URI: path, Version: "HTTP/1.1", Headers: []string{"Host: a.example"}}}, {Expect: &Expect{}},
			}},
		}
		if path == "/late" {
			spec.Inter = 200 * time.Millisecond
		}
		c := &run{ctx: context.Background(), spec: &spec}
		if r := c.script(); r.status != want {
			t.Errorf("%s: %v %q, want %v", path, r.status, r.info, want)
		}
		c.close()
	}
}
