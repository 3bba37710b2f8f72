package handoff

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRetire: what has begun ends in the queue of a retired socket, and nothing begins any more until it is given back.
func TestRetire(t *testing.T) {
	o := Opener{}
	fd, err := o.Open(Want{Network: "tcp4", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	dial := func() (int, error) {
		t.Helper()
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		return c, unix.Connect(c, at)
	}
	waiting := func() uint32 {
		t.Helper()
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		return info.Unacked
	}
	before, _ := dial() // the handshake over loopback is over when the system call is
	if n := waiting(); n != 1 {
		t.Fatalf("%d wait before", n)
	}
	if !Retire(fd) {
		t.Fatal("not retired")
	}
	if _, err := dial(); !errors.Is(err, unix.EINPROGRESS) {
		t.Errorf("connect to a retired socket: %v", err)
	}
	if n := waiting(); n != 1 {
		t.Errorf("%d wait in a retired socket, want the one before", n)
	}
	got, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(got)
	if _, err := unix.Write(before, []byte("x")); err != nil {
		t.Error(err)
	}
	var b [1]byte
	if n, err := unix.Read(got, b[:]); n != 1 || err != nil {
		t.Errorf("the connection that had begun: %d, %v", n, err)
	}
	if err := Unretire(fd); err != nil {
		t.Fatalf("not given back: %v", err)
	}
	dial()
	if n := waiting(); n != 1 {
		t.Errorf("%d wait after it was given back", n)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if Retire(pair[0]) {
		t.Error("a unix socket is retired")
	}
}
