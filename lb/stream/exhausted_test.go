package stream

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/test/wait"
)

// noFiles lowers the limit of open files so far that no socket can be opened; more ends it.
func noFiles(t *testing.T) (more func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	more = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(more)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	return more
}

// errorsOf are what is held against the server.
func (r *rig) errorsOf() (errs, retries uint64) {
	for _, sh := range r.Shards {
		sh.Loop.Call(func() {
			errs += sh.Server[0].ErrConn
			retries += sh.Server[0].Retries
		})
	}
	return errs, retries
}

// TestWithoutDescriptors has no descriptor for the connection to a server: the request waits until there is one, and the server is not blamed.
func TestWithoutDescriptors(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "here") })
	r := newRig(t, true, []string{srv}, nil)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wait.Until(t, "the client to be accepted", func() bool { return r.Conns() == 1 })
	more := noFiles(t)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the report", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.reports) > 3 && strings.Contains(r.reports[0], "raise LimitNOFILE")
	})
	more()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if errs, retries := r.errorsOf(); errs != 0 || retries != 0 {
		t.Errorf("%d errors and %d retries are held against the server", errs, retries)
	}
}

// TestWithoutDescriptorsForLong has none for longer than timeout connect.
func TestWithoutDescriptorsForLong(t *testing.T) {
	r := newRig(t, true, []string{"127.0.0.1:1"}, func(r *rig) { r.be.Timeouts.Connect = 100 })
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wait.Until(t, "the client to be accepted", func() bool { return r.Conns() == 1 })
	defer noFiles(t)()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	if errs, _ := r.errorsOf(); errs != 0 {
		t.Errorf("%d errors are held against the server", errs)
	}
}

// TestDropIdle closes an idle connection to a server, for its descriptor.
func TestDropIdle(t *testing.T) {
	here := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "here") }
	two, _ := serveHTTP2(t, false, here)
	for _, c := range []struct {
		name, srv string
		more      func(*rig)
	}{{"HTTP/1.1", serve(t, here), nil}, {"HTTP/2", two, func(r *rig) { speakHTTP2(r, false) }}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, true, []string{c.srv}, c.more)
			resp, err := http.Get("http://" + r.addr)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			sh := r.Shards[0]
			dropped := func() (yes bool) {
				sh.Loop.Call(func() { yes = sh.dropIdle() })
				return yes
			}
			wait.Until(t, "an idle connection", func() bool { return r.Pulse().IdleServers == 1 })
			if free := dropped(); free != (c.name == "HTTP/1.1") {
				t.Errorf("a descriptor is free at once: %v", free)
			}
			if dropped() {
				t.Error("another one was idle")
			}
			if n := r.Pulse().IdleServers; n != 0 {
				t.Errorf("%d are counted as idle", n)
			}
			wait.Until(t, "no connection to be left", func() bool {
				n := 0
				sh.Loop.Call(func() {
					if n = sh.pools[0].len; sh.links != nil {
						n += len(sh.links[0])
					}
				})
				return n == 0
			})
		})
	}
}

// TestUnixClientBeforeServer: a client on a unix socket sends something to a tunnel and closes while its server's connection is made; the server gets it.
func TestUnixClientBeforeServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := filepath.Join(t.TempDir(), "s")
	front, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(front, &unix.SockaddrUnix{Name: path}), unix.Listen(front, 10)); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, false, []string{ln.Addr().String()}, func(r *rig) {
		unix.Close(r.fe.Listeners[0].FD)
		r.fe.Listeners[0].FD, r.fe.Listeners[0].Unix = front, true
		name := func(uint16) string { return "-" }
		r.be.TLS = map[*backend.Server]*ServerTLS{r.Servers[0]: {Config: &tls.Config{InsecureSkipVerify: true}, VersionName: name, CipherName: name}}
	})
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("all of it")); err != nil {
		t.Fatal(err)
	}
	client.Close()
	server, err := ln.Accept() // its handshake begins when lb knows that the client has left
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	sh := r.Shards[0]
	wait.Until(t, "the client's end to be noticed", func() (known bool) {
		sh.Loop.Call(func() {
			s := sh.sessions.head.next
			if known = s == &sh.sessions.head; !known {
				s.watch()
				known = s.Broken()
			}
		})
		return known
	})
	server.SetDeadline(time.Now().Add(20 * time.Second))
	if got, err := io.ReadAll(tls.Server(server, certificate(t))); err != nil || string(got) != "all of it" {
		t.Errorf("the server got %q, %v", got, err)
	}
}
