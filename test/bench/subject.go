package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/test/rig"
)

// peer programs that are measured, in the order of a round: lb stands next to those it is compared with first of all.
const (
	kindHAProxy = "haproxy"
	kindLB      = "lb"
	kindNginx   = "nginx"
)

// candidate is a program that may be a subject.
type candidate struct {
	label   string // haproxy, lb, before, nginx, haproxy34
	kind    string
	program string
	logger  string // syslogd's program, for pipelines
}

// subject is a program that is being measured, with all that belongs to its case.
type subject struct {
	candidate
	addr  *net.TCPAddr
	procs []*rig.Process
	dir   string
	lines string // the log file of a pipeline
	load  load
	count counter
}

// can reports whether a kind of program can do the case at all.
func (c benchCase) can(kind string) bool {
	if kind != kindNginx {
		return true
	}
	return !c.rules && !c.toHTTP2 && c.pipeline == "" && c.servers == 0 && c.proxies == 0 && c.reuse == ""
}

// start starts the program as it runs in production, as master and worker, pinned to core; with several threads it may also use core spare.
func (s *subject) start(ctx context.Context, c benchCase, backend, log string, core, spare int) error {
	ports, err := rig.FreePorts("127.0.0.1", 1)
	if err != nil {
		return err
	}
	s.addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[0]}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	certificate := s.dir + "/cert.pem"
	if c.tls {
		if err := writeCertificate(ctx, certificate, c.rsa); err != nil {
			return err
		}
	}
	if c.pipeline != "" {
		if log, err = s.startLogger(ctx, c.pipeline, core); err != nil {
			return err
		}
	}
	text, args := "", []string{"-W", "-S", s.dir + "/master.sock", "-f", s.dir + "/conf"}
	if s.kind == kindNginx {
		text = nginxConfig(c, s.dir, s.addr.String(), backend, log, certificate)
		args = []string{"-p", s.dir, "-c", s.dir + "/conf"}
	} else {
		text = config(c, log, s.addr.String(), backend, certificate)
	}
	if err := os.WriteFile(s.dir+"/conf", []byte(text), 0o600); err != nil {
		return err
	}
	cores := strconv.Itoa(core)
	if c.threads > 1 {
		cores = fmt.Sprintf("%d,%d", core, spare)
	}
	proc, err := rig.Start("taskset", append([]string{"-c", cores, s.program}, args...)...)
	if err != nil {
		return err
	}
	s.procs = append(s.procs, proc)
	return listening(ctx, s.program, s.addr.String(), proc)
}

// config is the same text for lb and HAProxy, but for ports and paths.
func config(c benchCase, log, addr, backend, certificate string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n    nbthread %d\n    maxconn %d\ndefaults\n    mode %s\n    timeout connect 5s\n    timeout client 300s\n    timeout server 300s\n",
		max(c.threads, 1), max(4000, c.conns+50), c.mode())
	if c.log || c.pipeline != "" {
		fmt.Fprintf(&b, "    log %s local0\n    option httplog\n", log)
	}
	bind, server := addr, backend
	if c.tls {
		bind += " ssl crt " + certificate + " alpn h2,http/1.1"
	}
	if c.toHTTP2 {
		server += " proto h2"
	}
	fmt.Fprintf(&b, "frontend fe\n    bind %s\n", bind)
	if c.rules {
		b.WriteString(tenRules)
	}
	b.WriteString("    default_backend be\nbackend be\n")
	if c.reuse != "" {
		fmt.Fprintf(&b, "    http-reuse %s\n", c.reuse)
	}
	for i := range max(c.servers, 1) {
		fmt.Fprintf(&b, "    server b%d %s\n", i+1, server)
	}
	for i := range max(c.proxies-2, 0) {
		fmt.Fprintf(&b, "backend be%d\n    server b1 %s\n", i+1, server)
	}
	return b.String()
}

func (c benchCase) mode() string {
	if c.tcp {
		return "tcp"
	}
	return "http"
}

// tenRules are what many an operator's frontend holds; each is run for each request, and none ends it.
const tenRules = `    acl admin src 10.0.0.0/8
    acl api path_beg /api/
    acl static path_end .css .js .png
    http-request set-var(txn.host) req.hdr(host),lower
    http-request deny if api !admin
    http-request redirect location /new code 301 if { path /old }
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[var(txn.host)]
    http-request del-header X-Debug
    http-request add-header X-Request-Start t=%[date()]
    http-request set-var(req.static) bool(true) if static
    http-response set-header Strict-Transport-Security max-age=31536000
    http-response del-header Server
`

// nginxConfig makes nginx the same proxy.
func nginxConfig(c benchCase, dir, addr, backend, log, certificate string) string {
	modules, listen := "", addr+" backlog=4096"
	if c.tcp {
		modules = "load_module " + nginxStream + ";"
	}
	if c.tls {
		listen += " ssl http2"
	}
	head := fmt.Sprintf("daemon off; worker_processes %d; pid %s/pid; error_log stderr crit; %s\nevents { worker_connections 50000; }\n", max(c.threads, 1), dir, modules)
	if c.tcp {
		return head + fmt.Sprintf("stream { server { listen %s; proxy_pass %s; proxy_timeout 300s; } }\n", listen, backend)
	}
	access := "off"
	if c.log {
		access = "syslog:server=" + log + " combined"
	}
	tls := ""
	if c.tls {
		tls = fmt.Sprintf("ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %s; ssl_certificate_key %s; ssl_session_cache shared:s:10m;", certificate, certificate)
	}
	return head + fmt.Sprintf(`http {
    access_log %s; keepalive_requests 1000000000; keepalive_timeout 300s; %s
    client_body_temp_path %[5]s/bodies; proxy_temp_path %[5]s/answers;
    upstream be { server %[3]s; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 300s; }
    server {
        listen %[4]s;
        location / {
            proxy_pass http://be; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
            proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_max_temp_file_size 0; proxy_request_buffering off; client_max_body_size 0;
        }
    }
}
`, access, tls, backend, listen, dir)
}

const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// writeCertificate writes a self-signed certificate and its key to path.
func writeCertificate(ctx context.Context, path string, rsa bool) error {
	if !rsa {
		_, err := rig.WriteCertificate(path, "www.example.org")
		return err
	}
	cmd := exec.CommandContext(ctx, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=www.example.org", "-days", "2", "-out", path, "-keyout", path+".key")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("openssl req: %w\n%s", err, out)
	}
	key, err := os.ReadFile(path + ".key")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	return errors.Join(err, f.Close())
}

// listening waits until a process that was started accepts connections.
func listening(ctx context.Context, program, addr string, proc *rig.Process) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := rig.Until(ctx, program+" to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil || !proc.Running()
	})
	if err == nil && !proc.Running() {
		err = fmt.Errorf("%s ended: %v", program, proc.Err())
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, proc.Output())
	}
	return nil
}

// stop ends the load and then the subject. Its error is the load's: answers that were wrong.
func (s *subject) stop() (err error) {
	if s.load != nil {
		err = s.load.stop()
	}
	for i := range s.procs {
		_ = s.procs[len(s.procs)-1-i].Stop() // clients that were paused may keep it waiting until it is killed
	}
	return err
}

// cpu returns what the subject's processes have used since they began, in user space and in the kernel.
func (s *subject) cpu() (time.Duration, error) {
	total := time.Duration(0)
	err := s.each(func(pid int) error {
		used, err := processCPU(pid)
		total += used
		return err
	})
	return total, err
}

// memory returns how many bytes of the subject's processes are resident.
func (s *subject) memory() (int, error) {
	total := 0
	err := s.each(func(pid int) error {
		used, err := processMemory(pid)
		total += used
		return err
	})
	return total, err
}

func (s *subject) each(f func(pid int) error) error {
	for _, p := range s.procs {
		if err := family(p.PID, f); err != nil {
			return err
		}
	}
	return nil
}
