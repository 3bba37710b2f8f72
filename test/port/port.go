// Package port gives tests an address that stays theirs. One that was found by listening and closing may belong to another process, or to some
// client's connection, by the time it is used.
package port

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Reserve returns an address of 127.0.0.1 with a TCP port that nobody else is given until the test has ended. Connections to it are refused
// until somebody listens there, which a socket with SO_REUSEADDR can.
func Reserve(t testing.TB) (address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
}
