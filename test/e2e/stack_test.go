package e2e

import (
	"bufio"
	"cmp"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
)

// host is the loopback address of the tests: not 127.0.0.1, so that nothing else on the machine is in their way.
const host = "127.83.47.11"

// stack is a balancer, what stands behind it, and what it logs to.
type stack struct {
	t        *testing.T
	dir      string
	lb       *rig.LB
	log      *rig.Syslogd // nil without logs
	backends []*backend.Server
	echo     *backend.Echo

	http, https, tcp string // the balancer's addresses
	cert             string // the file of its certificate
	pool             *x509.CertPool
}

// options say what a test needs beyond the usual.
type options struct {
	log     bool   // start syslogd and log to it
	udp     bool   // over UDP whatever the kernel grants, with a socket that outlives syslogd
	unix    bool   // over the unix socket
	maxconn int    // 0 means 4000
	tls     string // words behind the TLS bind line
	fe, be  string // lines for the configuration's sections
}

// start brings a stack up; the test's end takes it down and, if the test failed, prints what the daemons said.
func start(t *testing.T, opt options) *stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, dir: dir, lb: rig.LBIn(dir), cert: filepath.Join(dir, "site.pem")}
	t.Cleanup(s.down)
	if s.pool, err = rig.WriteCertificate(s.cert, "lb.example", host); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		b, err := backend.Start(fmt.Sprintf("b%d", i+1), host+":0")
		if err != nil {
			t.Fatal(err)
		}
		s.backends = append(s.backends, b)
	}
	if s.echo, err = backend.StartEcho(host + ":0"); err != nil {
		t.Fatal(err)
	}
	ports, err := rig.FreePorts(host, 3)
	if err != nil {
		t.Fatal(err)
	}
	s.http, s.https, s.tcp = fmt.Sprintf("%s:%d", host, ports[0]), fmt.Sprintf("%s:%d", host, ports[1]), fmt.Sprintf("%s:%d", host, ports[2])
	if opt.log {
		// As by default, but not at midnight: some tests read one file.
		if s.log, err = rig.PrepareSyslogd(dir, host, "{size: 100MB, keep: 90, compress: zstd}"); err != nil {
			t.Fatal(err)
		}
		if opt.udp {
			if err := s.log.Hold(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.log.Start(t.Context(), built.Syslogd); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.lb.Start(t.Context(), built.LB, "-W", s.config(opt)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stack) config(opt options) string {
	log := ""
	if opt.log {
		target := s.logTarget()
		if opt.udp {
			target = s.log.UDP
		}
		if opt.unix {
			target = s.log.Unix
		}
		log = fmt.Sprintf("    log %s local0\n    option httplog\n", target)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `global
    stats socket %s mode 600 level admin
    maxconn %d
defaults
    mode http
%s    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option redispatch
frontend fe
    bind %s
    bind %s ssl crt %s %s
%s
    default_backend be
backend be
    balance roundrobin
%s
`, s.lb.Stats, cmp.Or(opt.maxconn, 4000), log, s.http, s.https, s.cert, opt.tls, opt.fe, opt.be)
	for i, server := range s.backends {
		fmt.Fprintf(&b, "    server b%d %s\n", i+1, server.Addr())
	}
	fmt.Fprintf(&b, "listen echo\n    mode tcp\n    bind %s\n    server e1 %s\n", s.tcp, s.echo.Addr())
	return b.String()
}

// logTarget is where the balancer logs to: UDP as in production, or the unix socket, which loses nothing, where the kernel has
// not granted syslogd a receive buffer that holds a burst.
func (s *stack) logTarget() string {
	target, err := s.log.Target(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return target
}

func (s *stack) down() {
	if text := s.lb.Leaks(); text != "" {
		s.t.Errorf("at the end, %s", text)
	}
	if s.lb.Process != nil {
		s.lb.Stop() // its status is a test of its own
	}
	if s.log != nil {
		if text := s.log.Leaks(); text != "" {
			s.t.Errorf("at the end, %s", text)
		}
		if err := s.log.Stop(); err != nil {
			s.t.Errorf("syslogd: %v", err)
		}
	}
	for _, b := range s.backends {
		b.Close()
	}
	if s.echo != nil {
		s.echo.Close()
	}
	if s.t.Failed() {
		if s.lb.Process != nil {
			s.t.Logf("the balancer said:\n%s", last(s.lb.Output()))
		}
		if s.log != nil {
			s.t.Logf("syslogd said:\n%s", last(s.log.Output()))
		}
	}
	os.RemoveAll(s.dir)
}

// last keeps a failure's report readable.
func last(text string) string {
	const most = 4000
	if len(text) > most {
		return "..." + text[len(text)-most:]
	}
	return text
}

// malformed is how many requests reached a backend that no backend should see.
func (s *stack) malformed() (n uint64) {
	for _, b := range s.backends {
		n += b.Counts.Malformed.Load()
	}
	return n
}

// requests is how many requests reached the backends.
func (s *stack) requests() (n uint64) {
	for _, b := range s.backends {
		n += b.Counts.Requests.Load()
	}
	return n
}

// raw is a client that writes what it likes.
type raw struct {
	t *testing.T
	*net.TCPConn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *raw {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // over five reloads too
	return &raw{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (c *raw) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one response to a request with method; its body is read whole.
func (c *raw) answer(method string) (*http.Response, string) {
	c.t.Helper()
	a, body, err := c.tryAnswer(method)
	if err != nil {
		c.t.Fatalf("read an answer: %v (%q)", err, body)
	}
	return a, body
}

func (c *raw) tryAnswer(method string) (*http.Response, string, error) {
	a, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(a.Body)
	return a, string(body), err
}

// want reads one response and compares it.
func (c *raw) want(method string, code int, body string) *http.Response {
	c.t.Helper()
	a, got := c.answer(method)
	if a.StatusCode != code || got != body {
		c.t.Fatalf("got %d with %d bytes %.80q, want %d with %d bytes %.80q", a.StatusCode, len(got), got, code, len(body), body)
	}
	return a
}

// ended waits until the other end closes, and fails if anything but the close comes.
func (c *raw) ended() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("want the connection to be closed, got %.200q and %v", rest, err)
	}
}

func pattern(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = backend.Pattern(i)
	}
	return string(b)
}

func small(path string) string { return string(backend.AppendSmall(nil, path, 0, 0)) }
