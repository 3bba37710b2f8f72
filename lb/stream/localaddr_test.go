package stream

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection's own address is asked for once: it is still known when the socket is gone.
func TestLocalAddrIsAskedOnce(t *testing.T) {
	fd, addr := listen(t)
	sh := &Shard{}
	var l localAddr
	want := netip.MustParseAddrPort(addr)
	if got := l.of(sh, fd); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
	unix.Close(fd)
	if got := l.of(sh, fd); got != want {
		t.Errorf("got %v, want %v: it was asked again", got, want)
	}
}
