package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/test/load"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestPathsThatWereRemoved: a cleaner of /run or /tmp removes the paths of unix sockets. The next reload opens them again, one with --if-changed too,
// and one that fails for another reason leaves everything as it was.
func TestPathsThatWereRemoved(t *testing.T) {
	s := start(t, options{})
	path := filepath.Join(s.dir, "u.sock")
	text, err := os.ReadFile(s.lb.Config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(s.lb.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := strings.Replace(string(text), "frontend fe\n", "frontend fe\n    bind "+path+" mode 600\n", 1)
	write(good)
	reload := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), built.LB, append([]string{"reload", "-S", s.lb.Master}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := reload(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	served := func(what string) {
		t.Helper()
		for _, p := range []string{path, s.lb.Stats} {
			c, err := net.Dial("unix", p)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			c.Close()
		}
	}
	served("at first")
	for _, args := range [][]string{nil, {"--if-changed"}} {
		os.Remove(path)
		os.Remove(s.lb.Stats)
		write(good + "nonsense\n")
		if out, err := reload(); err == nil {
			t.Errorf("a reload of nonsense: %s", out)
		}
		write(good)
		if out, err := reload(args...); err != nil {
			t.Fatalf("reload %v: %v: %s", args, err, out)
		}
		served(fmt.Sprintf("after reload %v", args))
	}
	if out, err := reload("--if-changed"); err != nil || !strings.Contains(out, "othing has changed") {
		t.Errorf("nothing has changed: %v: %s", err, out)
	}
}

// TestFormOfBindLines: the same address written in another way is the same socket, and where it is another that covers it, the old socket is retired
// before it is closed: no connection is lost.
func TestFormOfBindLines(t *testing.T) {
	s := start(t, options{})
	text, err := os.ReadFile(s.lb.Config)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.http)
	forms := []string{"*:" + port, "0.0.0.0:" + port, s.http, "ipv4@*:" + port + " interface lo", ":" + port}
	for i, form := range forms {
		s.loadWhileOnce(t, load.Options{Addr: s.http, Run: fmt.Sprintf("form%d", i), Requests: 2000, Conns: 30, PerConn: 1}, func() { s.rewrite(t, string(text), form) })
	}
}

// rewrite gives the plain bind line another form, and reloads.
func (s *stack) rewrite(t *testing.T, text, form string) {
	t.Helper()
	if err := os.WriteFile(s.lb.Config, []byte(strings.Replace(text, "bind "+s.http+"\n", "bind "+form+"\n", 1)), 0o600); err != nil {
		t.Error(err)
	}
	if out, err := s.lb.Reload(t.Context()); err != nil {
		t.Errorf("%s: %v: %s", form, err, out)
	}
}

// loadWhileOnce runs a load and calls disturb once in the middle of it.
func (s *stack) loadWhileOnce(t *testing.T, opt load.Options, disturb func()) {
	t.Helper()
	var r load.Result
	var run sync.WaitGroup
	before := s.requests()
	run.Go(func() { r = load.New(opt).Run(t.Context()) })
	wait.Until(t, "requests", func() bool { return s.requests() > before+uint64(opt.Requests)/4 })
	disturb()
	run.Wait()
	if r.OK() != uint64(opt.Requests) || r.Failed() > 0 {
		t.Errorf("%s: %v", opt.Run, r)
	}
}

// TestDeviceMadeAnew: a socket that is bound to a device, or to an address in its zone, hears nothing any more when the device is made anew, though
// name and address are the same. A reload opens it again; one while the device is gone fails and says why.
func TestDeviceMadeAnew(t *testing.T) {
	name := fmt.Sprintf("lbt%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		tape.Skipf(t, "a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", append([]string{"-n", name}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	makeDevice := func() {
		t.Helper()
		ip("link", "add", "lbt0", "type", "veth", "peer", "name", "lbt1")
		ip("addr", "add", "10.9.9.1/24", "dev", "lbt0")
		ip("addr", "add", "fe80::aa/64", "dev", "lbt0", "nodad")
		ip("link", "set", "lbt0", "up")
	}
	ip("link", "set", "lo", "up")
	makeDevice()
	dir := t.TempDir()
	box := rig.LBIn(dir)
	program := filepath.Join(dir, "lb")
	if err := os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\nexec ip netns exec %s %s \"$@\"\n", name, built.LB), 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`global
    stats socket %s level admin
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend fe
    bind 10.9.9.1:8080 interface lbt0
    bind [fe80::aa%%lbt0]:8081
    http-request return status 200
`, box.Stats)
	if err := box.Start(t.Context(), program, "-W", text); err != nil {
		t.Fatal(err)
	}
	defer box.Stop()
	bound := func() (indexes string) {
		out, err := exec.Command("ss", "-N", name, "-Hltn").CombinedOutput()
		if err != nil {
			t.Fatalf("ss: %v: %s", err, out)
		}
		return string(out)
	}
	if got := bound(); strings.Count(got, "%lbt0") != 2 {
		t.Fatalf("at first:\n%s", got)
	}
	ip("link", "del", "lbt0")
	if out, err := box.Reload(t.Context()); err == nil || !strings.Contains(out, "its device lbt0 is gone") {
		t.Errorf("a reload without the device: %v: %s", err, out)
	}
	makeDevice()
	if got := bound(); strings.Contains(got, "%lbt0") {
		t.Fatalf("nothing is wrong to begin with:\n%s", got)
	}
	if out, err := box.Reload(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wait.Until(t, "sockets on the device", func() bool { return strings.Count(bound(), "%lbt0") == 2 })
	if out, err := box.Reload(t.Context()); err != nil || strings.Count(bound(), "%lbt0") != 2 {
		t.Errorf("one more reload: %v: %s\n%s", err, out, bound())
	}
}
