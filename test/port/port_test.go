package port

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReserve(t *testing.T) {
	address := Reserve(t)
	for range 3 {
		if c, err := net.Dial("tcp", address); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("nobody listens: %v %v", c, err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		l.Close()
	}
}
