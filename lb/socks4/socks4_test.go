package socks4

import (
	"net/netip"
	"testing"
)

func TestRequest(t *testing.T) {
	const want = "\x04\x01\x1f\x90\x7f\x00\x00\x02HAProxy\x00"
	for _, at := range []string{"127.0.0.2:8080", "[::ffff:127.0.0.2]:8080"} {
		if b, ok := Request(netip.MustParseAddrPort(at)); !ok || string(b[:]) != want {
			t.Errorf("%s: %q %v", at, b, ok)
		}
	}
	to := netip.MustParseAddrPort("127.0.0.2:8080")
	if n := testing.AllocsPerRun(100, func() { Request(to) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for _, at := range []netip.AddrPort{netip.MustParseAddrPort("[::1]:80"), {}} {
		if b, ok := Request(at); ok {
			t.Errorf("%v: %q", at, b)
		}
	}
}

func TestGranted(t *testing.T) {
	for reply, want := range map[[ReplySize]byte]bool{{0, 90}: true, {4, 90, 1, 2}: true, {0, 91}: false, {90}: false, [8]byte([]byte("HTTP/1.1")): false} {
		if Granted(reply) != want {
			t.Errorf("%v: %v", reply, !want)
		}
	}
}
