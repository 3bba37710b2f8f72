package stream

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lbsyslogd/lb/backend"
	"lbsyslogd/test/wait"
)

// serveHTTP2 is serve for HTTP/2, with prior knowledge or agreed on over TLS; it counts connections.
func serveHTTP2(t *testing.T, secure bool, h http.HandlerFunc) (addr string, conns *atomic.Int32) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	conns = new(atomic.Int32)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	if secure {
		s.Config.Protocols.SetHTTP2(true)
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(s.Close)
	_, addr, _ = strings.Cut(s.URL, "://")
	return addr, conns
}

// speakHTTP2 has the rig speak HTTP/2 to its servers.
func speakHTTP2(r *rig, secure bool) {
	r.be.HTTP2 = map[*backend.Server]*ServerHTTP2{}
	for _, srv := range r.Servers {
		r.be.HTTP2[srv] = &ServerHTTP2{Agreed: secure}
		if secure {
			if r.be.TLS == nil {
				r.be.TLS = map[*backend.Server]*ServerTLS{}
			}
			name := func(uint16) string { return "-" }
			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
			r.be.TLS[srv] = &ServerTLS{Config: config, VersionName: name, CipherName: name}
		}
	}
}

// TestForwardHTTP2 is TestForward with a server of HTTP/2.
func TestForwardHTTP2(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	for _, secure := range []bool{false, true} {
		srv, conns := serveHTTP2(t, secure, func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("%s came over %s", r.URL, r.Proto)
			}
			switch r.URL.Path {
			case "/big":
				w.Header().Set("Content-Length", fmt.Sprint(len(big)))
				w.Write(big)
			case "/chunks":
				for i := range 100 {
					fmt.Fprintf(w, "%d\n", i)
					w.(http.Flusher).Flush()
				}
			case "/echo":
				io.Copy(w, r.Body)
			case "/close":
				fmt.Fprint(w, "bye")
			case "/empty":
				w.WriteHeader(204)
			default:
				fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, r.Header.Get("X-Forwarded-For"))
			}
		})
		for _, kind := range []protocol{http1Plain, http2Plain, http2TLS} {
			t.Run(fmt.Sprintf("%s, servers' TLS %v", kind, secure), func(t *testing.T) {
				r := newRig(t, true, []string{srv}, func(r *rig) {
					r.fe.ForwardFor = &AddressField{Name: []byte("X-Forwarded-For")}
					kind.adjust(t, r)
					speakHTTP2(r, secure)
				})
				was := conns.Load()
				forwards(t, kind.url(r), kind.client(t), big)
				if n := conns.Load() - was; n > 3 {
					t.Errorf("%d connections to the server", n)
				}
			})
		}
	}
}

// TestSharingLinks is http-reuse over HTTP/2: how many connections the server gets for two clients who ask one after the other, and for ten who
// ask at once after them.
func TestSharingLinks(t *testing.T) {
	for _, c := range []struct {
		reuse        Reuse
		apart, later int32 // connections of two clients, and of a second request of each
		crowd        int32 // and of ten at once, at most
	}{
		{ReuseNever, 2, 2, 12}, {ReuseSafe, 2, 2, 12}, {ReuseAggressive, 2, 2, 12}, {ReuseAlways, 1, 1, 1},
	} {
		gate := make(chan bool)
		srv, conns := serveHTTP2(t, false, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/crowd" {
				<-gate
			}
			io.WriteString(w, r.URL.Path)
		})
		r := newRig(t, true, []string{srv}, func(r *rig) {
			r.be.Reuse = c.reuse
			speakHTTP2(r, false)
		})
		one, two := http1Plain.client(t), http1Plain.client(t)
		get := func(client *http.Client, path string) {
			resp, err := client.Get("http://" + r.addr + path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != path {
				t.Errorf("%q, %v", b, err)
			}
		}
		get(one, "/")
		get(two, "/")
		if n := conns.Load(); n != c.apart {
			t.Errorf("reuse %d: %d connections for the first requests, want %d", c.reuse, n, c.apart)
		}
		get(one, "/")
		get(two, "/")
		if n := conns.Load(); n != c.later {
			t.Errorf("reuse %d: %d connections for the second requests, want %d", c.reuse, n, c.later)
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { get(http1Plain.client(t), "/crowd") })
		}
		wait.Until(t, "ten requests at the server", func() bool { return r.Servers[0].Load() == 10 })
		close(gate)
		all.Wait()
		if n := conns.Load(); n > c.crowd {
			t.Errorf("reuse %d: %d connections for a crowd, want %d at most", c.reuse, n, c.crowd)
		}
	}
}

// TestIdleLinks: clients whose first requests need connections of their own leave no more idle ones than were needed at once.
func TestIdleLinks(t *testing.T) {
	gate := make(chan bool)
	srv, conns := serveHTTP2(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/crowd" {
			<-gate
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) { speakHTTP2(r, false) })
	get := func(path string) {
		resp, err := http1Plain.client(t).Get("http://" + r.addr + path)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}
	idle := func(want int) {
		t.Helper()
		wait.Until(t, fmt.Sprintf("%d idle connections", want), func() bool { return r.Pulse().IdleServers == want })
		if pool, links := r.pooled(); links != want || pool.rested != want || pool.used != 0 {
			t.Errorf("%d links, %d rest, %d are used; want %d idle ones", links, pool.rested, pool.used, want)
		}
	}
	for range 20 {
		get("/")
	}
	if n := conns.Load(); n != 20 {
		t.Errorf("%d connections for 20 clients' first requests", n)
	}
	idle(1)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { get("/crowd") })
	}
	wait.Until(t, "three requests at the server", func() bool { return r.Servers[0].Load() == 3 })
	close(gate)
	all.Wait()
	idle(3)
	r.Still(func() { r.closeIdle(r.Servers[0]) })
	idle(0)
}

// pooled is what the only shard's pool counts of the only server, and how many links to it there are.
func (r *rig) pooled() (pool idlePool, links int) {
	sh := r.Shards[0]
	sh.Loop.Call(func() { pool, links = sh.pools[0], len(sh.links[0]) })
	return pool, links
}

// TestFallBackToHTTP1: a server that does not agree on h2 is spoken to in HTTP/1.1, and so is a WebSocket's.
func TestFallBackToHTTP1(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	defer s.Close()
	r := newRig(t, true, []string{strings.TrimPrefix(s.URL, "https://")}, func(r *rig) { speakHTTP2(r, true) })
	client := http1Plain.client(t)
	for range 3 {
		resp, err := client.Get("http://" + r.addr)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "HTTP/1.1" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
}
