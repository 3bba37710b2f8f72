package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
)

// Where root starts lb, `chroot` confines what serves, over a reload too, and
// the master stays outside: it has to find the configuration and the program.
func TestChroot(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root may chroot")
	}
	for _, mode := range []string{"-db", "-W"} {
		s := newSite(t)
		jail := filepath.Join(s.dir, "jail")
		if err := os.Mkdir(jail, 0o755); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(s.config)
		if err != nil {
			t.Fatal(err)
		}
		confined := strings.Replace(string(text), "global\n", fmt.Sprintf("global\n  chroot %s\n  uid 65534\n  gid 65534\n", jail), 1)
		if err := os.WriteFile(s.config, []byte(confined), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{mode}
		socket := filepath.Join(s.dir, "m")
		if mode == "-W" {
			args = append(args, "-S", socket)
		}
		cmd := s.start(args...)
		serving := cmd.Process.Pid
		look := func() {
			t.Helper()
			if err := s.get(); err != nil {
				t.Error(err)
			}
			if mode == "-W" {
				serving = child(t, cmd.Process.Pid)
			}
			s.await(mode+": what serves is confined", func() bool { // a process without a master is only after it has begun to serve
				root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", serving))
				return err == nil && root == jail
			})
			s.await(mode+": what serves has given up root", func() bool { // which it takes back for the last steps of its start
				status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", serving))
				return err == nil && strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534") &&
					strings.Contains(string(status), "Gid:\t65534\t65534\t65534\t65534") && !strings.Contains(string(status), "Groups:\t0")
			})
		}
		look()
		if mode == "-W" {
			first := serving
			reload := s.command()
			reload.Args = []string{os.Args[0], "reload", "-S", socket}
			if out, err := reload.CombinedOutput(); err != nil {
				t.Fatalf("reload: %v\n%s", err, out)
			}
			s.await("the first worker leaves", func() bool { return child(t, cmd.Process.Pid) != first })
			look()
		}
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
	}
}

// child is the last process that a process has started.
func child(t *testing.T, pid int) (last int) {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(all) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(text)) {
			var n int
			fmt.Sscan(word, &n)
			last = max(last, n)
		}
	}
	return last
}
