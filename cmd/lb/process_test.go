package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/master"
	"lbsyslogd/test/port"
)

// asLB makes this test binary the program: the tests below run real processes.
const asLB = "LB_TEST_AS_LB"

func TestMain(m *testing.M) {
	if os.Getenv(asLB) != "" {
		main()
	}
	os.Exit(m.Run())
}

func splitLines(s string) []string { return strings.Split(s, "\n") }

// site is a directory with a configuration and the processes that run it.
type site struct {
	t       *testing.T
	dir     string
	addr    string
	config  string
	pidfile string
}

func newSite(t *testing.T, binds ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb") // a socket's path may not be long
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, config: filepath.Join(dir, "lb.cfg"), pidfile: filepath.Join(dir, "pid")}
	s.addr = port.Reserve(t)
	if len(binds) == 0 {
		binds = []string{s.addr}
	}
	s.configure(binds...)
	t.Cleanup(func() {
		if pid := s.pid(); pid > 0 {
			unix.Kill(pid, unix.SIGTERM)
			s.await("the last process leaves", func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
		}
		os.RemoveAll(dir)
	})
	return s
}

func (s *site) configure(binds ...string) {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "global\n  stats socket %s/admin level admin expose-fd listeners\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\nfrontend f\n  monitor-uri /\n", s.dir)
	for _, bind := range binds {
		fmt.Fprintf(&b, "  bind %s\n", bind)
	}
	if err := os.WriteFile(s.config, []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{"-f", s.config, "-p", s.pidfile, "-q"}, args...)...)
	cmd.Env = append(os.Environ(), asLB+"=1")
	return cmd
}

func (s *site) await(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("timed out: %s", what)
		}
	}
}

// pid is what the pid file says; 0 without one.
func (s *site) pid() int {
	text, err := os.ReadFile(s.pidfile)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// get asks for / over a fresh connection.
func (s *site) get() error {
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + s.addr + "/")
	if err != nil {
		return err
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return errors.New(r.Status)
	}
	return nil
}

// start runs a process in the foreground until it serves.
func (s *site) start(args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := s.command(args...)
	cmd.Stderr = s.t.Output()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ends(s.t, cmd)
	s.await("a process serves", func() bool { return s.pid() == cmd.Process.Pid })
	return cmd
}

// ends has a process end with the test at the latest, and what it has started with it.
func ends(t testing.TB, cmd *exec.Cmd) {
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM) // a master that is killed leaves its worker behind
		kill := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.WaitDelay = 5 * time.Second // for the output's end
		cmd.Wait()
	})
}

func status128(t *testing.T, cmd *exec.Cmd, want int) {
	t.Helper()
	cmd.Wait()
	got := cmd.ProcessState.ExitCode()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		got = 1000 + int(ws.Signal())
	}
	if got != want {
		t.Errorf("exit status %d, want %d", got, want)
	}
}

// A shell starts "lb &" with SIGINT ignored, and so it stays: what stops the script
// does not stop lb. SIGTERM does.
func TestBackgroundIgnoresInterrupt(t *testing.T) {
	s := newSite(t)
	lb := s.command("-db")
	cmd := exec.Command("sh", append([]string{"-c", `trap "" INT; exec "$@"`, "sh", lb.Path}, lb.Args[1:]...)...)
	cmd.Env, cmd.Stderr = lb.Env, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ends(t, cmd)
	s.await("a process serves", func() bool { return s.pid() == cmd.Process.Pid })
	cmd.Process.Signal(unix.SIGINT)
	cmd.Process.Signal(unix.SIGTERM)
	status128(t, cmd, 1000+int(unix.SIGTERM))
}

func TestForegroundSignals(t *testing.T) {
	if signal.Ignored(unix.SIGINT) { // children are to have it, whatever started this test
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, unix.SIGINT)
		defer signal.Ignore(unix.SIGINT)
	}
	for _, c := range []struct {
		sig    unix.Signal
		status int
	}{{unix.SIGUSR1, 0}, {unix.SIGTERM, 143}, {unix.SIGINT, 130}} {
		for _, mode := range []string{"-db", "-W"} {
			s := newSite(t)
			cmd := s.start(mode)
			if err := s.get(); err != nil {
				t.Error(err)
			}
			cmd.Process.Signal(c.sig)
			want := c.status
			switch {
			case mode == "-W" && c.sig == unix.SIGTERM:
				want = 0
			case mode == "-db" && c.status != 0:
				want = 1000 + int(c.sig) // it dies by the signal
			}
			status128(t, cmd, want)
			if s.pid() != 0 {
				t.Errorf("%s %v: the pid file is left", mode, c.sig)
			}
		}
	}
}

// The parent of a daemon ends when the daemon serves, and whoever reads its
// output sees the end of it then.
func TestDaemon(t *testing.T) {
	for _, mode := range [][]string{{"-D"}, {"-D", "-W"}} {
		s := newSite(t)
		out, err := s.command(mode...).CombinedOutput() // waits for the output's end too
		if err != nil {
			t.Fatalf("%q: %v\n%s", mode, err, out)
		}
		if err := s.get(); err != nil {
			t.Errorf("%q: the parent has ended, but: %v", mode, err)
		}
		other := s.command("-D")
		other.Args = append(other.Args, "-p", filepath.Join(s.dir, "other"))
		out, err = other.CombinedOutput()
		if err == nil || other.ProcessState.ExitCode() != 1 || !bytes.Contains(out, []byte(s.addr+" is taken by ")) {
			t.Errorf("%q: a second daemon on the same address: %v\n%s", mode, err, out)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "other")); err == nil {
			t.Errorf("%q: a daemon that did not start left a pid file", mode)
		}
	}
}

// hammer asks over fresh connections until stop is closed and returns the
// number of requests and the first failure.
func (s *site) hammer(stop <-chan struct{}) (n int, err error) {
	for {
		select {
		case <-stop:
			return n, nil
		default:
		}
		if err := s.get(); err != nil {
			return n, err
		}
		n++
	}
}

// A restart by -sf loses no connection, with and without -x, from one mode to
// any other.
func TestReplaceOldProcesses(t *testing.T) {
	s := newSite(t)
	if out, err := s.command("-D").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stop := make(chan struct{})
	type result struct {
		n   int
		err error
	}
	results := make(chan result, 2)
	for range cap(results) {
		go func() {
			n, err := s.hammer(stop)
			results <- result{n, err}
		}()
	}
	for _, args := range [][]string{{"-D"}, {"-D", "-x", s.dir + "/admin"}, {"-D", "-W"}, {"-D"}, {"-D", "-W", "-x", s.dir + "/admin"}, {"-D", "-x", "/dev/null"}} {
		old := s.pid()
		out, err := s.command(append(args, "-sf", strconv.Itoa(old))...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
			break
		}
		if s.pid() == old {
			t.Errorf("%q: the pid file still names the old process", args)
		}
		s.await("the old process leaves", func() bool { return errors.Is(unix.Kill(old, 0), unix.ESRCH) })
	}
	close(stop)
	for range cap(results) {
		if r := <-results; r.err != nil || r.n == 0 {
			t.Errorf("after %d requests: %v", r.n, r.err)
		}
	}
	if out, err := s.command("-D", "-x", s.dir+"/nobody").CombinedOutput(); err == nil {
		t.Errorf("-x without anybody there is fatal without -W\n%s", out)
	}
}

// An inherited listener survives to the worker and over reloads.
func TestInheritedListener(t *testing.T) {
	for _, mode := range []string{"-W", "-db"} {
		s := newSite(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addr = l.Addr().String()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		s.configure("fd@${FD}")
		cmd := s.command(mode, "-S", s.dir+"/m")
		cmd.Env = append(cmd.Env, "FD=3")
		cmd.ExtraFiles = []*os.File{f}
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ends(t, cmd)
		f.Close()
		s.await("it serves", func() bool { return s.pid() == cmd.Process.Pid })
		if err := s.get(); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if mode == "-W" {
			for range 2 {
				if out, err := lb("reload", "-S", s.dir+"/m"); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
				if err := s.get(); err != nil {
					t.Error(err)
				}
			}
		}
		cmd.Process.Signal(unix.SIGUSR1)
		status128(t, cmd, 0)
	}
}

// lb runs the program with these arguments alone.
func lb(args ...string) (string, error) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asLB+"=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Drivers give the master's command socket as an inherited descriptor.
func TestInheritedCommandSocket(t *testing.T) {
	s := newSite(t)
	path := filepath.Join(s.dir, "cli")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	cmd := s.command("-W", "-S", "fd@3")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ends(t, cmd)
	f.Close()
	s.await("it serves", func() bool { return s.pid() == cmd.Process.Pid })
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "show proc;show version\n")
	answer, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(answer), strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("show proc answers %q, %v", answer, err)
	}
	cmd.Process.Signal(unix.SIGTERM)
	status128(t, cmd, 0)
}

func TestASecondMasterLeavesTheFirstAlone(t *testing.T) {
	s := newSite(t)
	cmd := s.start("-W", "-S", s.dir+"/m")
	second := s.command("-W", "-S", s.dir+"/m")
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), fmt.Sprintf("another master (pid %d)", cmd.Process.Pid)) {
		t.Errorf("a second master: %v\n%s", err, out)
	}
	if out, err := lb("reload", "--if-changed", "-S", s.dir+"/m"); err != nil || !strings.Contains(out, "Nothing has changed") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := lb("stop", "-S", s.dir+"/m"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	status128(t, cmd, 0)
}

// A worker that nobody could find again does not outlive its master.
func TestWorkersWithoutCommandSocketLeaveWithTheirMaster(t *testing.T) {
	s := newSite(t)
	cmd := s.start("-W")
	cmd.Process.Kill()
	cmd.Wait()
	s.await("the address is free", func() bool {
		l, err := net.Listen("tcp", s.addr)
		if err == nil {
			l.Close()
		}
		return err == nil
	})
	os.Remove(s.pidfile)
}

func TestConditions(t *testing.T) {
	for expr, want := range map[string]int{
		"version_atleast(2.4)": 0, "version_atleast(99)": 1, "feature(OPENSSL)": 0, "feature(PCRE) || feature(PCRE2)": 0, "streq(a,b)": 1, "no such(thing": 2,
	} {
		cmd := exec.Command(os.Args[0], "-cc", expr)
		cmd.Env = append(os.Environ(), asLB+"=1")
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("-cc %s: exit status %d, want %d", expr, got, want)
		}
	}
}

// The hidden command is of no use to people, and says so.
func TestWorkerByHand(t *testing.T) {
	out, err := lb(master.WorkerArg, "-f", "x")
	if err == nil || !strings.Contains(out, "not for people") {
		t.Errorf("%v\n%s", err, out)
	}
}
