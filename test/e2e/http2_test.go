package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/ledger"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestHTTP2 asks with curl and h2load, over TLS and with prior knowledge without it: the answers are those of HTTP/1.1, and each request has
// its line.
func TestHTTP2(t *testing.T) {
	tape.Require(t, "curl")
	tape.Require(t, "h2load")
	s := start(t, options{log: true, tls: "alpn h2,http/1.1"})
	name := filepath.Join(s.dir, "body")
	body := pattern(5_000_000)
	if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := 0
	row := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"-sS", "--fail", "--max-time", "30", "--cacert", s.cert, "-w", "HTTP/%{http_version}"}, args...)
		got, err := exec.Command("curl", args...).Output()
		if err != nil || string(got) != want+"HTTP/2" {
			t.Errorf("curl %v: %d bytes %.80q, %v", args, len(got), got, err)
		}
		asked++
	}
	for _, how := range []struct{ flag, url string }{{"--http2", "https://" + s.https}, {"--http2-prior-knowledge", "http://" + s.http}} {
		row(small("/r/curl/1"), how.flag, how.url+"/r/curl/1")
		row(body, how.flag, "--data-binary", "@"+name, how.url+"/echo")
		row(body, how.flag, "-H", "Content-Length:", "-H", "Transfer-Encoding: chunked", "--data-binary", "@"+name, how.url+"/echo")
		row(body, how.flag, how.url+"/bytes/5000000")
		row(body, how.flag, how.url+"/chunked/5000000")
		const requests = 20_000
		out, err := exec.Command("h2load", "-n", strconv.Itoa(requests), "-c", "10", "-m", "40", how.url+"/r/h2load/1").CombinedOutput()
		if want := fmt.Sprintf("%d succeeded, 0 failed, 0 errored, 0 timeout", requests); err != nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("h2load: %v\n%s", err, out)
		}
		asked += requests
	}
	var lines, http2 int
	wait.Until(t, "a line for each request", func() bool {
		if _, err := s.log.Verb(t.Context(), "flush"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(s.log.Log)
		if err != nil {
			t.Fatal(err)
		}
		lines, http2 = bytes.Count(text, []byte{'\n'}), bytes.Count(text, []byte(" HTTP/2.0\"\n"))
		return lines >= asked
	})
	if lines != asked || http2 != asked {
		t.Errorf("%d requests have %d lines, %d of them of HTTP/2", asked, lines, http2)
	}
	if n := s.requests(); n != uint64(asked) || s.malformed() > 0 {
		t.Errorf("%d requests, %d reached a server, %d of those malformed", asked, n, s.malformed())
	}
}

// TestReloadUnderHTTP2 reloads while clients send their requests on a few connections, many at once: GOAWAY tells them in time, so that
// nothing fails and nothing is asked twice.
func TestReloadUnderHTTP2(t *testing.T) {
	s := start(t, options{log: true, tls: "alpn h2,http/1.1"})
	const clients, streams, each = 4, 10, 1000
	var mu sync.Mutex
	failed := 0
	number := 0
	ask := func(c *http.Client, n int) {
		path := fmt.Sprintf("/r/h2/%d", n)
		resp, err := c.Get("https://" + s.https + path)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err != nil || string(got) != small(path) || resp.ProtoMajor != 2 {
			mu.Lock()
			defer mu.Unlock()
			if failed++; failed < 10 {
				t.Errorf("%s: %.80q, %v", path, got, err)
			}
		}
	}
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		done <- repeat(200*time.Millisecond, stop, func() {
			if err := s.lb.Signal(syscall.SIGUSR2); err != nil {
				t.Error(err)
			}
		})
	}()
	var all sync.WaitGroup
	for range clients {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool, ServerName: "lb.example"}, Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP2(true)
		c := &http.Client{Transport: tr, Timeout: 20 * time.Second}
		t.Cleanup(c.CloseIdleConnections)
		for range streams {
			first := number
			number += each
			all.Go(func() {
				for n := range each {
					ask(c, first+n)
				}
			})
		}
	}
	all.Wait()
	close(stop)
	t.Logf("%d requests, %d reloads", number, <-done)
	if failed > 0 {
		t.Fatalf("%d requests failed", failed)
	}
	var report ledger.Report
	wait.Until(t, "a balanced ledger", func() bool {
		if _, err := s.log.Verb(t.Context(), "flush"); err != nil {
			t.Fatal(err)
		}
		l := ledger.New("h2", number)
		if err := l.ReadAll(s.log.Log); err != nil {
			t.Fatal(err)
		}
		report = l.Report()
		return report.Lines >= report.Requests
	})
	if !report.Balanced() {
		t.Error(report)
	}
	if n := s.requests(); n != uint64(number) {
		t.Errorf("%d requests reached a server", n)
	}
	if out := s.lb.Output(); strings.Contains(out, "panic") {
		t.Error(out)
	}
}
