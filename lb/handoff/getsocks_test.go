package handoff

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// runSelf runs one test of this binary in a process of its own.
func runSelf(t *testing.T, name string, env ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// serveSockets answers every _getsocks on a unix socket in dir.
func serveSockets(t *testing.T, set *Set) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ask := make([]byte, len("_getsocks\n"))
			if _, err := io.ReadFull(c, ask); err != nil || string(ask) != "_getsocks\n" {
				t.Errorf("asked %q (%v)", ask, err)
			} else if err := SendSockets(c.(*net.UnixConn), set); err != nil {
				t.Error(err)
			}
			c.Close()
		}
	}()
	return path
}

func TestSocketsGoFromOneToAnother(t *testing.T) {
	var o Opener
	dir := t.TempDir()
	set := new(Set)
	defer set.Close()
	var wants []Want
	for range 600 { // three messages
		fd := mustOpenLoose(t, &o, tcpWant())
		w := tcpWant()
		w.Address = boundTo(t, fd)
		set.Add(w.Key(), fd)
		wants = append(wants, w)
	}
	for _, w := range []Want{
		{Network: "unix", Address: filepath.Join(dir, "a"), UID: -1, GID: -1},
		{Network: "abns", Address: fmt.Sprintf("lb-give-%d", os.Getpid())},
	} {
		set.Add(w.Key(), mustOpenLoose(t, &o, w))
		wants = append(wants, w)
	}
	taken, err := TakeSockets(serveSockets(t, set))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if taken.Len() != len(wants) {
		t.Fatalf("took %d sockets, want %d", taken.Len(), len(wants))
	}
	taker := Opener{Taken: taken}
	for _, w := range wants {
		// The giver still holds the address, so only the taken socket can work.
		fd := mustOpen(t, &taker, w)
		if w.Network == "tcp" && boundTo(t, fd) != w.Address {
			t.Errorf("%s: got the socket of %s", w.Key(), boundTo(t, fd))
		}
	}
	if taken.Len() != 0 {
		t.Errorf("%d sockets were not recognised", taken.Len())
	}
}

// TestTakenPathIsReplacedWhenAllServes: a unix path that another process has leads to that one until the new one serves, and from
// then on to the new one, whatever the other one removes when it leaves.
func TestTakenPathIsReplacedWhenAllServes(t *testing.T) {
	for _, serves := range []bool{true, false} {
		var giver Opener
		gave := Want{Network: "unix", Address: filepath.Join(t.TempDir(), "gave"), Mode: 0o600, UID: -1, GID: -1}
		mustOpen(t, &giver, gave)
		giver.GaveAway(gave.Key())
		if err := giver.Forget(gave.Key()); err != nil {
			t.Error(err)
		}
		fileOf(t, gave.Address) // HAProxy listens there
		w := Want{Network: "unix", Address: filepath.Join(t.TempDir(), "s"), Mode: 0o600, UID: -1, GID: -1}
		set := new(Set)
		set.Add(w.Key(), mustOpenLoose(t, &giver, w))
		former := fileOf(t, w.Address)
		taken, err := TakeSockets(serveSockets(t, set))
		if err != nil {
			t.Fatal(err)
		}
		taker := Opener{Taken: taken}
		mustOpen(t, &taker, w)
		if now := fileOf(t, w.Address); now != former {
			t.Error("the path leads to a process that does not serve yet")
		}
		if serves {
			if err := taker.Settled(); err != nil {
				t.Fatal(err)
			}
			if err := giver.Forget(w.Key()); err != nil {
				t.Error(err)
			}
			if now := fileOf(t, w.Address); now == former {
				t.Error("the path leads to the process that leaves")
			}
			if err := taker.Forget(w.Key()); err != nil {
				t.Error(err)
			}
		} else {
			taker.Resume()
			if now := fileOf(t, w.Address); now != former {
				t.Error("a start that failed changed the path")
			}
			if err := giver.Forget(w.Key()); err != nil {
				t.Error(err)
			}
		}
		if left, err := os.ReadDir(filepath.Dir(w.Address)); err != nil || len(left) > 0 {
			t.Errorf("left: %v %v", left, err)
		}
	}
}

// fileOf is the inode at a path.
func fileOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func mustOpenLoose(t *testing.T, o *Opener, w Want) int {
	t.Helper()
	fd, err := o.Open(w)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestTakeSocketsExplainsRefusals(t *testing.T) {
	for _, answer := range []string{"", "Unknown command. Please enter one of the following commands only :\n"} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			if c, err := l.Accept(); err == nil {
				io.WriteString(c, answer)
				c.(*net.UnixConn).CloseWrite()
				io.Copy(io.Discard, c)
				c.Close()
			}
		}()
		if _, err := TakeSockets(path); err == nil || !strings.Contains(err.Error(), "expose-fd listeners") {
			t.Errorf("answer %.10q: %v, want a hint at expose-fd", answer, err)
		}
	}
}

// TestHAProxyTakesAndGives moves listeners from a live HAProxy to a set and
// from a set to a live HAProxy.
func TestHAProxyTakesAndGives(t *testing.T) {
	bin := tape.Require(t, "haproxy")
	dir := t.TempDir()
	fd := mustOpenLoose(t, new(Opener), tcpWant())
	addr := boundTo(t, fd)
	unix.Close(fd)
	abs := fmt.Sprintf("lb-ha-%d", os.Getpid())
	cfg := filepath.Join(dir, "h.cfg")
	text := fmt.Sprintf(`global
  stats socket %[1]s/admin mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend f
  bind %[2]s
  bind %[1]s/front
  bind abns@%[3]s
  monitor-uri /
`, dir, addr, abs)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(args ...string) *exec.Cmd {
		cmd := exec.Command(bin, append([]string{"-db", "-f", cfg}, args...)...)
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	stop := func(cmd *exec.Cmd) { cmd.Process.Kill(); cmd.Wait() }
	wants := []Want{
		{Network: "tcp", Address: addr, UID: -1, GID: -1},
		{Network: "unix", Address: dir + "/front", UID: -1, GID: -1},
		{Network: "abns", Address: abs},
		{Network: "unix", Address: dir + "/admin", Mode: 0o600, UID: -1, GID: -1},
	}

	giver := start()
	wait.Until(t, "haproxy's stats socket", func() bool { // its path is there before it listens
		c, err := net.Dial("unix", dir+"/admin")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	taken, err := TakeSockets(dir + "/admin")
	if err != nil {
		stop(giver)
		t.Fatal(err)
	}
	defer taken.Close()
	taker := Opener{Taken: taken}
	set := new(Set)
	defer set.Close()
	for _, w := range wants {
		set.Add(w.Key(), mustOpenLoose(t, &taker, w))
	}
	if taken.Len() != 0 {
		t.Errorf("%d of haproxy's sockets were not recognised", taken.Len())
	}
	stop(giver)

	// Nobody accepts now; a connection waits in the queue until haproxy is back.
	waiting, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("the taken socket does not listen: %v", err)
	}
	defer waiting.Close()
	back := start("-x", serveSockets(t, set))
	defer stop(back)
	io.WriteString(waiting, "GET / HTTP/1.0\r\n\r\n")
	waiting.SetDeadline(time.Now().Add(15 * time.Second))
	answer, err := io.ReadAll(waiting)
	if err != nil || !strings.Contains(string(answer), " 200 ") {
		t.Errorf("haproxy answers %q (%v) on the socket it was given", answer, err)
	}
}

func FuzzNextSocket(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0})
	f.Add([]byte{3, 'n', 'e', 't', 4, 'e', 't', 'h', '0', 0, 0, 0, 0})
	f.Add([]byte{255, 1})
	f.Add(append([]byte{255}, make([]byte, 300)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		iface, rest, err := nextSocket(data)
		if err == nil && len(rest)+len(iface)+6 > len(data) {
			t.Errorf("%q: %d bytes are left after interface %q", data, len(rest), iface)
		}
	})
}
