package handover

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
)

// host is the loopback address of the tests: not 127.0.0.1, so that nothing else on the machine is in their way.
const host = "127.83.49.21"

// site is a balancer, what stands behind it, and what it logs.
type site struct {
	t       testing.TB
	dir     string
	lb      *rig.LB
	backend *backend.Server
	echo    *backend.Echo
	log     *logbook

	http, https, tcp string // the balancer's addresses
	cert             string
}

// defaultConfig is the site of most tests. %[1]s and the following are filled in by fill.
const defaultConfig = `global
    stats socket STATS mode 600 level admin
    maxconn MAXCONN
GLOBAL
defaults
    mode http
    log LOG local0
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 20s
    log-format "%f %ci:%cp %U %B %Tt %ts %ST %HU"
frontend fe
    bind HTTP
    bind HTTPS ssl crt CERT
    default_backend be
backend be
    server b1 BACKEND OPTIONS
listen echo
    mode tcp
    bind TCP
    log-format "%f %ci:%cp %U %B %Tt %ts"
    server e1 ECHO
`

// start brings a site up; the test's end takes it down and, if the test failed, prints what the balancer said. extra are pairs of
// a word of the configuration and what stands in its place.
func start(t testing.TB, extra ...string) *site {
	t.Helper()
	return startProgram(t, built.LB, extra...)
}

// startProgram is start with a certain build.
func startProgram(t testing.TB, program string, extra ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, lb: rig.LBIn(dir), cert: filepath.Join(dir, "site.pem")}
	t.Cleanup(s.down)
	if _, err = rig.WriteCertificate(s.cert, "lb.example", host); err != nil {
		t.Fatal(err)
	}
	if s.backend, err = backend.Start("b1", host+":0"); err != nil {
		t.Fatal(err)
	}
	if s.echo, err = backend.StartEcho(host + ":0"); err != nil {
		t.Fatal(err)
	}
	if s.log, err = openLogbook(filepath.Join(dir, "log.sock")); err != nil {
		t.Fatal(err)
	}
	ports, err := rig.FreePorts(host, 3)
	if err != nil {
		t.Fatal(err)
	}
	addr := func(i int) string { return fmt.Sprintf("%s:%d", host, ports[i]) }
	s.http, s.https, s.tcp = addr(0), addr(1), addr(2)
	if err := s.lb.Start(t.Context(), program, "-W", s.fill(defaultConfig, extra...)); err != nil {
		t.Fatal(err)
	}
	return s
}

// fill puts the site's addresses into a configuration.
func (s *site) fill(text string, extra ...string) string {
	words := append(extra, "STATS", s.lb.Stats, "LOG", s.log.path, "HTTPS", s.https, "HTTP", s.http, "TCP", s.tcp, "CERT", s.cert,
		"BACKEND", s.backend.Addr(), "ECHO", s.echo.Addr(), "MAXCONN", strconv.Itoa(sized(9000, 14_000)), "GLOBAL\n", "", "OPTIONS", "")
	return strings.NewReplacer(words...).Replace(text)
}

func (s *site) down() {
	if text := s.lb.Leaks(); text != "" {
		s.t.Errorf("at the end, %s", text)
	}
	if s.lb.Process != nil {
		s.lb.Stop() // its status is a test of its own
	}
	if s.backend != nil {
		s.backend.Close()
	}
	if s.echo != nil {
		s.echo.Close()
	}
	if s.log != nil {
		s.log.close()
	}
	if s.t.Failed() && s.lb.Process != nil {
		const most = 4000
		text := s.lb.Output()
		s.t.Logf("the balancer said:\n%s", text[max(0, len(text)-most):])
	}
	os.RemoveAll(s.dir)
}

// configure replaces the configuration; extra is as with start.
func (s *site) configure(text string, extra ...string) {
	s.t.Helper()
	if err := s.lb.Configure(s.fill(text, extra...)); err != nil {
		s.t.Fatal(err)
	}
}

// reload reloads the balancer, and returns the worker that serves from now on.
func (s *site) reload() (worker int) {
	s.t.Helper()
	if out, err := s.lb.Reload(s.t.Context()); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return s.worker()
}

// worker is the pid of the worker that serves.
func (s *site) worker() int {
	s.t.Helper()
	serving, _, err := s.lb.Workers()
	if err != nil {
		s.t.Fatal(err)
	}
	return serving
}

// gone waits until a process has ended, and returns when it had.
func (s *site) gone(pid int) time.Time {
	s.t.Helper()
	s.until(fmt.Sprintf("worker %d to leave", pid), func() bool { return !rig.Alive(pid) })
	return time.Now()
}

// alone waits until no worker but the serving one is left.
func (s *site) alone() {
	s.t.Helper()
	s.until("the old workers to leave", func() bool {
		_, leaving, err := s.lb.Workers()
		return err == nil && len(leaving) == 0
	})
}

// until waits for cond, and fails the test when it does not hold within a minute.
func (s *site) until(what string, cond func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := rig.Until(ctx, what, cond); err != nil {
		s.t.Fatal(err)
	}
}

// rss is the memory of all of the balancer's processes, in KiB.
func (s *site) rss() int {
	s.t.Helper()
	serving, leaving, err := s.lb.Workers()
	if err != nil {
		s.t.Fatal(err)
	}
	sum := 0
	for _, pid := range append(leaving, serving, s.lb.PID) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, rest, ok := strings.Cut(string(text), "VmRSS:")
		if (err != nil || !ok) && pid != serving { // it has left meanwhile
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		kib, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			s.t.Fatal(err)
		}
		sum += kib
	}
	return sum
}
