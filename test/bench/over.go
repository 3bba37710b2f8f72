package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lbsyslogd/test/rig"
)

// Clients that are programs of their own, for what the loop does not speak. All run on the load's core, where the loop goes on as the backend.
const (
	byLoop    = iota
	byHTTP1   // h2load, one request at a time on each connection
	byHTTP2   // h2load, ten requests at a time
	byOpening // openssl s_time: handshakes without resumption, and nothing else
)

// offer has the case's client send one round, and returns how many requests, or handshakes, were served.
func (c benchCase) offer(ctx context.Context, l *loop, s *subject, core int) (int, error) {
	if c.client == byLoop {
		return c.requests, l.drive(s.addr, core)
	}
	end := l.serve(core)
	var args []string
	answer := regexp.MustCompile(`(\d+) succeeded, 0 failed`)
	switch c.client {
	case byHTTP1, byHTTP2:
		scheme := "http"
		if c.tls {
			scheme = "https"
		}
		args = []string{"h2load", "-n", strconv.Itoa(c.requests), "-c", strconv.Itoa(c.conns)}
		if c.client == byHTTP1 {
			args = append(args, "--h1")
		} else {
			args = append(args, "-m", "10")
		}
		args = append(args, fmt.Sprintf("%s://%s/%d", scheme, s.addr, c.size))
	case byOpening:
		answer = regexp.MustCompile(`(\d+) connections in \d+ real seconds`)
		args = []string{"openssl", "s_time", "-connect", s.addr.String(), "-new", "-tls1_3", "-time", strconv.Itoa(max(c.requests/1000, 1))}
	}
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(core)}, args...)...)
	out, err := cmd.CombinedOutput()
	if again := end(); err == nil {
		err = again
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", args[0], err, out)
	}
	found := answer.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("%s served not everything:\n%s", args[0], out)
	}
	return strconv.Atoi(string(found[1]))
}

// serve plays the backend until the function that it returns is called.
func (l *loop) serve(core int) (end func() error) {
	var stop atomic.Bool
	ended := make(chan error)
	go func() { ended <- l.attend(core, &stop) }()
	return func() error {
		stop.Store(true)
		return <-ended
	}
}

// startNginx starts a server of HTTP/2 without TLS in dir, whose files are of the case's size, and returns its address.
func startNginx(ctx context.Context, c benchCase, dir string, core int) (*rig.Process, string, error) {
	ports, err := rig.FreePorts("127.0.0.1", 1)
	if err != nil {
		return nil, "", err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	text := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
events { worker_connections 4096; }
http {
    access_log off; keepalive_requests 100000000; http2_max_concurrent_streams 128;
    server { listen %[2]s http2; location / { return 200 "%[3]s"; } }
}
`, dir, addr, strings.Repeat("x", c.size))
	path := dir + "/nginx.conf"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	proc, err := rig.Start("taskset", "-c", strconv.Itoa(core), "nginx", "-p", dir, "-c", path)
	if err != nil {
		return nil, "", err
	}
	if err := listening(ctx, "nginx", addr, proc); err != nil {
		proc.Stop()
		return nil, "", err
	}
	return proc, addr, nil
}

// idleCase is a row about connections that do nothing.
type idleCase struct {
	name, what string
	tls        bool
	promise    float64 // bytes
}

var idleCases = []idleCase{
	{name: "idle", what: "resident bytes of an idle connection"},
	{name: "idle-tls", what: "resident bytes of an idle TLS connection", tls: true, promise: 3000},
}

const (
	idleConns = 3000
	settling  = 6 * time.Second // what a process frees soon after is not what connections cost
)

// weigh opens connections, each for one request, and returns what the subject grew by for each.
func (i idleCase) weigh(l *loop, s *subject, core int) (float64, error) {
	end := l.serve(core)
	defer end()
	open := func(n int) (conns []net.Conn, err error) {
		for range n {
			conn, err := dial(s.addr, i.tls, true)
			if err != nil {
				return conns, err
			}
			conns = append(conns, conn)
			if err := exchange(conn, l.request); err != nil {
				return conns, err
			}
		}
		return conns, nil
	}
	first, err := open(100) // what a process needs once
	for _, conn := range first {
		conn.Close()
	}
	if err != nil {
		return 0, err
	}
	time.Sleep(settling)
	before, err := s.memory()
	if err != nil {
		return 0, err
	}
	conns, err := open(idleConns)
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	if err != nil {
		return 0, err
	}
	time.Sleep(settling)
	after, err := s.memory()
	return float64(after-before) / idleConns, err
}

// dial opens a connection, with TLS 1.3 if secure says so; nodelay is TCP_NODELAY.
func dial(addr *net.TCPAddr, secure, nodelay bool) (net.Conn, error) {
	conn, err := net.DialTCP("tcp", nil, addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetNoDelay(nodelay); err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(roundTime))
	if !secure {
		return conn, nil
	}
	t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err := t.Handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

// exchange sends a request and reads the answer, which must be smaller than a read.
func exchange(conn net.Conn, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	buf := make([]byte, 4<<10)
	n, err := conn.Read(buf)
	if err == nil && contentLength(buf[:n]) < 0 {
		err = fmt.Errorf("%w: %q", errAnswer, buf[:n])
	}
	return err
}

// nagle returns by how many ms a new TLS connection of a client with Nagle's algorithm on takes longer than one with TCP_NODELAY, up to its first answer: the
// difference of the medians.
func nagle(l *loop, s *subject, core int) (float64, error) {
	end := l.serve(core)
	defer end()
	var took [2][]time.Duration
	for range 200 {
		for i, nodelay := range []bool{true, false} {
			begin := time.Now()
			conn, err := dial(s.addr, true, nodelay)
			if err != nil {
				return 0, err
			}
			err = exchange(conn, l.request)
			took[i] = append(took[i], time.Since(begin))
			conn.Close()
			if err != nil {
				return 0, err
			}
		}
	}
	var mid [2]time.Duration
	for i := range took {
		slices.Sort(took[i])
		mid[i] = took[i][len(took[i])/2]
	}
	return float64((mid[1] - mid[0]).Microseconds()) / 1000, nil
}
