package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"lbsyslogd/test/rig"
)

// server is the nginx that stands behind the subjects.
type server struct {
	proc   *rig.Process
	addr   string // speaks HTTP/1.1
	http2  string // speaks HTTP/2 without TLS
	status string // tells how many requests it had
}

// path is what the case's clients ask for; the server has it.
func (c benchCase) path() string {
	if c.upload {
		return "/upload"
	}
	return fmt.Sprintf("/%d", c.size)
}

// startServer starts nginx with a file for each size, in dir.
func startServer(ctx context.Context, dir string, core int) (*server, error) {
	ports, err := rig.FreePorts("127.0.0.1", 3)
	if err != nil {
		return nil, err
	}
	at := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i])) }
	s := &server{addr: at(0), http2: at(1), status: at(2)}
	www := dir + "/www"
	if err := os.MkdirAll(www, 0o755); err != nil {
		return nil, err
	}
	for _, size := range []int{16 << 10, 1 << 20, 10 << 20} {
		if err := os.WriteFile(www+"/"+strconv.Itoa(size), bytes.Repeat([]byte("x"), size), 0o644); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(`daemon off; master_process off; worker_processes 1;
pid %[1]s/server.pid; error_log stderr crit;
events { worker_connections 65536; }
http {
    access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; sendfile on; open_file_cache max=100;
    client_max_body_size 0; client_body_buffer_size 2m; client_body_temp_path %[1]s/bodies; http2_max_concurrent_streams 128;
    root %[1]s/www;
    server {
        listen %[2]s backlog=4096;
        location = /200 { return 200 "%[5]s"; }
        location = /upload { mirror /mirror; error_page 404 405 =200 @thanks; } # mirror reads the body
        location = /mirror { internal; return 204; }
        location @thanks { return 200 "ok"; }
    }
    server { listen %[3]s http2; location = /200 { return 200 "%[5]s"; } }
    server { listen %[4]s; location / { stub_status; } }
}
`, dir, s.addr, s.http2, s.status, strings.Repeat("x", 200))
	path := dir + "/server.conf"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.proc, err = rig.Start("taskset", "-c", strconv.Itoa(core), "nginx", "-p", dir, "-c", path); err != nil {
		return nil, err
	}
	if err := listening(ctx, "nginx", s.addr, s.proc); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() { _ = s.proc.Stop() }

// count asks nginx how many requests it has had; the question is one of them.
func (s *server) count(ctx context.Context) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.status, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	// Active connections: 1\nserver accepts handled requests\n 1 1 1\nReading...
	in := bufio.NewScanner(answer.Body)
	for in.Scan() {
		if f := strings.Fields(in.Text()); len(f) == 3 && f[0][0] <= '9' {
			return strconv.ParseInt(f[2], 10, 64)
		}
	}
	return 0, fmt.Errorf("nginx's status has no number of requests: %w", in.Err())
}

// try sends one of the case's requests to addr: what is measured is to be the right answer.
func (c benchCase) try(ctx context.Context, addr string) error {
	method, scheme, body := "GET", "http", io.Reader(nil)
	if c.tls {
		scheme = "https"
	}
	want := c.size
	if c.upload {
		method, body, want = "POST", bytes.NewReader(make([]byte, c.size)), 2
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://"+addr+c.path(), body)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(), ForceAttemptHTTP2: c.client == byHTTP2, DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil || answer.StatusCode != 200 || n != int64(want) || (answer.ProtoMajor == 2) != (c.client == byHTTP2) {
		return fmt.Errorf("%s %s: %s %s, %d bytes: %w", method, req.URL, answer.Proto, answer.Status, n, err)
	}
	return nil
}
