package handover

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

const chainDefaults = `global
    stats socket STATS mode 600 level admin
    maxconn 500
defaults
    mode http
    retries 0
    http-reuse always
    timeout connect 20s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
`

// chainBefore is HAProxy as lb's client: over TLS, in HTTP/1.1 and in HTTP/2.
const chainBefore = chainDefaults + `frontend f
    bind FRONT
    use_backend h1 if { path_beg /r/h1 }
    default_backend h2
backend h1
    server lb HTTPS ssl verify required ca-file CERT verifyhost lb.example alpn http/1.1
backend h2
    server lb HTTPS ssl verify required ca-file CERT verifyhost lb.example alpn h2
`

// chainBehind is HAProxy as lb's server.
const chainBehind = chainDefaults + `frontend f
    bind REAR ssl crt CERT alpn h2,http/1.1
    default_backend be
backend be
    server b1 BACKEND
`

// TestBetweenHAProxies: HAProxy is lb's client and HAProxy is its server, over TLS and in both versions of HTTP; lb is reloaded all the time. No request fails,
// though nobody tries twice, and HAProxy counts no error of lb.
func TestBetweenHAProxies(t *testing.T) {
	haproxy := tape.Require(t, "haproxy")
	ports, err := rig.FreePorts(host, 2)
	if err != nil {
		t.Fatal(err)
	}
	front, rear := fmt.Sprintf("%s:%d", host, ports[0]), fmt.Sprintf("%s:%d", host, ports[1])
	server := "server b1 BACKEND OPTIONS"
	servers := "server b1 " + rear + " ssl verify none alpn h2\n    server b2 " + rear + " ssl verify none alpn http/1.1\n    retries 0"
	s := start(t, "ssl crt", "ssl alpn h2,http/1.1 crt", server, servers)
	peer := func(config string) *rig.LB {
		dir, err := os.MkdirTemp("", "lb-")
		if err != nil {
			t.Fatal(err)
		}
		p := rig.LBIn(dir)
		t.Cleanup(func() {
			if p.Process != nil {
				p.Stop() // its status is HAProxy's affair
			}
			os.RemoveAll(dir)
		})
		words := strings.NewReplacer("FRONT", front, "REAR", rear, "STATS", p.Stats, "HTTPS", s.https, "CERT", s.cert, "BACKEND", s.backend.Addr())
		if err := p.Start(t.Context(), haproxy, "-W", words.Replace(config)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	peer(chainBehind)
	before := peer(chainBefore)

	var errs errorsOf
	var requests atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer tr.CloseIdleConnections()
			hc := &http.Client{Transport: tr, Timeout: 60 * time.Second}
			for n := 0; ctx.Err() == nil; n++ {
				path := fmt.Sprintf("/r/h%d/%d.%d", 1+i%2, i, n)
				if err := ask(hc, "http://"+front+path, path, n); err != nil {
					errs.add(err)
					return
				}
				requests.Add(1)
			}
		})
	}
	reloads := sized(6, 20)
	for range reloads {
		seen := requests.Load()
		s.reload()
		s.until("requests after a reload", func() bool { return requests.Load() > seen+20 || errs.n.Load() > 0 })
	}
	cancel()
	all.Wait()
	errs.report(t, fmt.Sprintf("%d requests, %d reloads", requests.Load(), reloads))
	s.alone()
	text, err := before.Command("show stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"h1", "h2"} {
		for _, column := range []string{"econ", "eresp", "wretr", "wredis", "srv_abrt"} {
			if n, err := statOf(text, name, "lb", column); n != 0 || err != nil {
				t.Errorf("HAProxy counts %s %d of lb in %s (%v)", column, n, name, err)
			}
		}
	}
	if got := s.stat("fe", "FRONTEND", "req_tot"); got != int(requests.Load()) {
		t.Errorf("%d requests are counted, %d were answered", got, requests.Load())
	}
	t.Logf("%d requests, %d reloads", requests.Load(), reloads)
}

// ask sends a request, every third with a body, and checks its answer.
func ask(hc *http.Client, url, path string, n int) error {
	method, body := "GET", ""
	if n%3 == 0 {
		method, body = "POST", strings.Repeat("b", 100*(n%200))
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	sum := uint32(0)
	if body != "" {
		sum = crc32.ChecksumIEEE([]byte(body))
	}
	if want := backend.AppendSmall(nil, path, sum, int64(len(body))); err != nil || resp.StatusCode != 200 || !bytes.Equal(got, want) {
		return fmt.Errorf("%s %s: %d %.80q, %v", method, path, resp.StatusCode, got, err)
	}
	return nil
}
