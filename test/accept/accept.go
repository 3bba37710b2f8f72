// Package accept is servers of tests that speak for themselves, byte by byte.
package accept

import (
	"net"
	"testing"
)

// Each listens on addr, host:port, until the test ends, and runs f for each connection, which is closed after it. It returns where it listens.
func Each(t testing.TB, addr string, f func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	On(t, l, f)
	return l.Addr().String()
}

// On is Each for a listener that stands.
func On(t testing.TB, l net.Listener, f func(c net.Conn)) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
}
