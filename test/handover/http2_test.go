package handover

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/test/tape"
)

// TestToolsOverReloads is h2load, over TLS and in plain, and wrk on kept TLS connections, each over 20 reloads: no request fails, and each
// client has the connection that it began with.
func TestToolsOverReloads(t *testing.T) {
	for _, c := range []struct {
		name    string
		clients int
		command func(s *site, seconds int) []string
	}{
		{"h2load TLS", 20, func(s *site, seconds int) []string {
			return []string{"h2load", "-t1", "-c20", "-m20", "-D", strconv.Itoa(seconds), "https://" + s.https + "/bytes/200"}
		}},
		{"h2load plain", 20, func(s *site, seconds int) []string {
			return []string{"h2load", "-t1", "-c20", "-m20", "-D", strconv.Itoa(seconds), "http://" + s.http + "/bytes/200"}
		}},
		{"wrk TLS", 21, // it connects once before, to see whether it can
			func(s *site, seconds int) []string {
				return []string{"wrk", "-t1", "-c20", "-d", fmt.Sprintf("%ds", seconds), "--timeout", "20s", "https://" + s.https + "/bytes/200"}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tape.Require(t, strings.Fields(c.name)[0])
			s := start(t, "ssl crt", "ssl alpn h2,http/1.1 crt")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			reloads := make(chan int, 1)
			go func() {
				n := 0
				for ; n < 20 && ctx.Err() == nil; n++ {
					if out, err := s.lb.Reload(t.Context()); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				}
				reloads <- n
			}()
			words := c.command(s, sized(1, 20))
			out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
			cancel()
			n := <-reloads
			if err != nil {
				t.Fatalf("%v: %v\n%s", words, err, out)
			}
			s.alone()
			s.counted("fe", "FRONTEND", "conn_tot", c.clients)
			if m := regexp.MustCompile(`(\d+) failed, (\d+) errored, (\d+) timeout`).FindSubmatch(out); words[0] == "h2load" && (m == nil || !bytes.Equal(m[0], []byte("0 failed, 0 errored, 0 timeout"))) ||
				bytes.Contains(out, []byte("Socket errors")) || bytes.Contains(out, []byte("Non-2xx")) {
				t.Errorf("after %d reloads:\n%s", n, out)
			}
			t.Logf("%d reloads, %s", n, regexp.MustCompile(`(?m)^(finished in.*|requests:.*|Requests/sec:.*)$`).FindAll(out, -1))
		})
	}
}

// TestHTTP2ServersOverReloads: requests of HTTP/1.1 and HTTP/2 clients go over few HTTP/2 connections to servers, over TLS and in plain; with reloads all
// the time each has its whole answer, whatever its method is: the old worker's connections to servers end with their last request.
func TestHTTP2ServersOverReloads(t *testing.T) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	var others atomic.Int64 // requests that did not come over HTTP/2
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			others.Add(1)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprint(w, r.Method, len(body), r.URL.Path)
	})
	server := func() (*http.Server, net.Listener) {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: handler, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0)}
		t.Cleanup(func() { srv.Close() })
		return srv, l
	}
	plain, at := server()
	go plain.Serve(at)
	s := start(t, "ssl crt", "ssl alpn h2,http/1.1 crt", "server b1 BACKEND OPTIONS", "server b1 "+at.Addr().String()+" proto h2")
	secure, atTLS := server()
	go secure.ServeTLS(atTLS, s.cert, s.cert)
	s.configure(defaultConfig, "ssl crt", "ssl alpn h2,http/1.1 crt",
		"server b1 BACKEND OPTIONS", "server b1 "+at.Addr().String()+" proto h2\n    server b2 "+atTLS.Addr().String()+" ssl verify none alpn h2")
	s.reload()
	s.alone()
	ctx, cancel := context.WithCancel(t.Context())
	reloads := s.reloading(ctx, 100*time.Millisecond)
	var errs errorsOf
	rounds := sized(60, 2000)
	client := func(base string, tr *http.Transport) func(int) {
		return func(i int) {
			for k := range rounds {
				method, body := "GET", ""
				if k%3 == 0 {
					method, body = "POST", strings.Repeat("b", 1000*(k%50))
				}
				path := fmt.Sprintf("/c%d/%d", i, k)
				req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
				if err != nil {
					errs.add(err)
					return
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					errs.add(fmt.Errorf("%s %s: %w", method, path, err))
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := fmt.Sprint(method, len(body), path); err != nil || resp.StatusCode != 200 || string(got) != want {
					errs.add(fmt.Errorf("%s %s: %d %q, %w", method, path, resp.StatusCode, got, err))
				}
			}
		}
	}
	http2Transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer http2Transport.CloseIdleConnections()
	var both sync.WaitGroup
	both.Go(func() { each(16, client("https://"+s.https, http2Transport)) })
	http1Transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer http1Transport.CloseIdleConnections()
	both.Go(func() { each(16, client("http://"+s.http, http1Transport)) })
	both.Wait()
	cancel()
	n := <-reloads
	errs.report(t, fmt.Sprintf("%d reloads", n))
	if others.Load() > 0 {
		t.Errorf("%d requests did not come over HTTP/2", others.Load())
	}
	s.alone()
	s.counted("fe", "FRONTEND", "req_tot", 32*rounds)
	t.Logf("%d requests, %d reloads", 32*rounds, n)
}
