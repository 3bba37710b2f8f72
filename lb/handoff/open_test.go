package handoff

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tcpWant is a want for a loopback port that the kernel chooses.
func tcpWant() Want { return Want{Network: "tcp", Address: "127.0.0.1:0", UID: -1, GID: -1} }

func mustOpen(t *testing.T, o *Opener, w Want) int {
	t.Helper()
	fd, err := o.Open(w)
	if err != nil {
		t.Fatalf("open %s: %v", w, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// boundTo returns the address a socket is bound to.
func boundTo(t *testing.T, fd int) string {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return fmt.Sprintf("%s:%d", net.IP(sa.Addr[:]), sa.Port)
	case *unix.SockaddrInet6:
		return fmt.Sprintf("[%s]:%d", net.IP(sa.Addr[:]), sa.Port)
	case *unix.SockaddrUnix:
		return sa.Name
	}
	t.Fatalf("unexpected address %T", sa)
	return ""
}

func option(t *testing.T, fd, level, option int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOpenTCP(t *testing.T) {
	var o Opener
	fd := mustOpen(t, &o, tcpWant())
	for _, c := range []struct {
		what          string
		level, option int
		want          int
	}{
		{"listens", unix.SOL_SOCKET, unix.SO_ACCEPTCONN, 1},
		{"NODELAY for what it accepts", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{"no shared port", unix.SOL_SOCKET, unix.SO_REUSEPORT, 0},
	} {
		if got := option(t, fd, c.level, c.option); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the socket blocks (flags %#x, %v)", flags, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the socket leaks into children (flags %#x, %v)", flags, err)
	}
}

func TestOpenV6(t *testing.T) {
	var o Opener
	for _, c := range []struct {
		w      Want
		v6only int
	}{
		{Want{Network: "tcp", Address: "[::]:0", V6Only: true, UID: -1, GID: -1}, 1},
		{Want{Network: "tcp6", Address: "*:0", UID: -1, GID: -1}, 1},
		{Want{Network: "tcp", Address: ":0", V4V6: true, UID: -1, GID: -1}, 0},
	} {
		fd := mustOpen(t, &o, c.w)
		if got := option(t, fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); got != c.v6only {
			t.Errorf("%s: IPV6_V6ONLY is %d, want %d", c.w.Key(), got, c.v6only)
		}
	}
}

func TestTakenPortNamesItsOwner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := tcpWant()
	w.Address = l.Addr().String()
	var o Opener
	_, err = o.Open(w)
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("open a taken port: %v, want EADDRINUSE", err)
	}
	if mine := fmt.Sprintf("(pid %d)", os.Getpid()); !strings.Contains(err.Error(), mine) {
		t.Errorf("%q does not name this process %s", err, mine)
	}
}

func TestUnixPathIsReplacedInOneStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	w := Want{Network: "unix", Address: path, Mode: 0o620, UID: -1, GID: -1}
	var first, second Opener
	a := mustOpen(t, &first, w)
	mustOpen(t, &second, w)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := st.Mode().Perm(); got != 0o620 {
		t.Errorf("mode %v, want 0620", got)
	}
	// The first one's path belongs to the second now.
	if err := first.Forget(w.Key()); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the new socket is gone: %v", err)
	}
	c.Close()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(a), Events: unix.POLLIN}}, 0); err != nil || n != 0 {
		t.Errorf("the connection came to the old socket (%d, %v)", n, err)
	}
	if err := second.Forget(w.Key()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path is still there: %v", err)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestUnixPathSparesOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	var o Opener
	if _, err := o.Open(Want{Network: "unix", Address: path, UID: -1, GID: -1}); err == nil {
		t.Fatal("a socket was put over a regular file")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q (%v)", b, err)
	}
}

func TestAbstractName(t *testing.T) {
	w := Want{Network: "abns", Address: fmt.Sprintf("lb-test-%d", os.Getpid())}
	var o Opener
	mustOpen(t, &o, w)
	_, err := o.Open(w)
	if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
		t.Errorf("the same name again: %v, want EADDRINUSE with this process", err)
	}
}

func TestInherited(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var o Opener
	fd := mustOpen(t, &o, Want{Network: "fd", Address: fmt.Sprint(f.Fd())})
	if got := boundTo(t, fd); got != l.Addr().String() {
		t.Errorf("inherited %s, want %s", got, l.Addr())
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, bad := range []string{fmt.Sprint(r.Fd()), "100000", "-1", "x"} {
		if fd, err := o.Open(Want{Network: "fd", Address: bad}); err == nil {
			unix.Close(fd)
			t.Errorf("fd@%s was taken for a listener", bad)
		}
	}
}

func TestWantsThatCannotBe(t *testing.T) {
	var o Opener
	for _, w := range []Want{
		{Network: "tcp", Address: "127.0.0.1"},
		{Network: "tcp", Address: "localhost:80"},
		{Network: "unix", Address: ""},
		{Network: "unix", Address: "/" + strings.Repeat("x", 107)},
		{Network: "abns", Address: strings.Repeat("x", 108)},
		{Network: "carrier-pigeon", Address: "home"},
		{Network: "unix", Address: "/tmp/lb-nobodys", User: "no-such-user-here", UID: -1, GID: -1},
		{Network: "unix", Address: "/tmp/lb-nobodys", Group: "no-such-group-here", UID: -1, GID: -1},
	} {
		if fd, err := o.Open(w); err == nil {
			unix.Close(fd)
			t.Errorf("%s@%s was opened", w.Network, w.Address)
		}
	}
}

func TestKeys(t *testing.T) {
	a := Want{Network: "tcp", Address: "0.0.0.0:80"}
	same := Want{Network: "tcp", Address: "0.0.0.0:80", Backlog: 9, Mode: 0o600, Where: "x.cfg:1", DeferAccept: true}
	if a.Key() != same.Key() {
		t.Errorf("%s and %s differ, although only changeable options do", a.Key(), same.Key())
	}
	for _, b := range []Want{
		{Network: "tcp", Address: "0.0.0.0:81"},
		{Network: "tcp", Address: "0.0.0.0:80", Interface: "eth0"},
		{Network: "tcp", Address: "0.0.0.0:80", Transparent: true},
		{Network: "tcp", Address: "0.0.0.0:80", V6Only: true},
	} {
		if a.Key() == b.Key() {
			t.Errorf("%+v has the key of another socket", b)
		}
	}
}

// Options that connections inherit from their listener are set, and change with a reload.
func TestInheritedOptions(t *testing.T) {
	w := Want{Network: "tcp4", Address: "127.0.0.1:0", UserTimeout: 12000, MSS: 1000, KeepAlive: true, KeepIdle: 31, KeepIntvl: 7, KeepCount: 3}
	fd, err := openTCPIn(w, false)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	look := func(level, option int) int {
		t.Helper()
		v, err := unix.GetsockoptInt(fd, level, option)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got := [...]int{
		look(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT), look(unix.SOL_SOCKET, unix.SO_KEEPALIVE), look(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE),
		look(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), look(unix.IPPROTO_TCP, unix.TCP_KEEPCNT),
	}; got != [...]int{12000, 1, 31, 7, 3} {
		t.Errorf("options %v", got)
	}
	if err := (&Opener{}).Refresh(fd, Want{Network: "tcp4", Address: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	if a, b := look(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT), look(unix.SOL_SOCKET, unix.SO_KEEPALIVE); a != 0 || b != 0 {
		t.Errorf("after a reload without them: tcp-ut %d, keep-alive %d", a, b)
	}
	for _, name := range []string{"../x", "no-such-namespace"} {
		if _, err := openTCPIn(Want{Network: "tcp4", Address: "127.0.0.1:0", Namespace: name}, false); err == nil {
			t.Errorf("namespace %q: no error", name)
		}
	}
}
