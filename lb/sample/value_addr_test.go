package sample

import (
	"net/netip"
	"testing"
)

// TestAddressOfAText has what HAProxy 2.6 makes of a text where an address is wanted (set-src, -m ip, ipmask, map_ip), and IPv6 in brackets, which
// it passes over.
func TestAddressOfAText(t *testing.T) {
	row := func(text, want string) {
		t.Helper()
		got := ""
		if a, ok := StrValue([]byte(text)).Address(); ok {
			got = a.String()
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{
		"10.0.0.1", "010.0.0.1", "10.0.0.01", "0010.0.0.1", "10.0.0.0000001", "10.0.0.1:80", "10.0.0.1 ", "10.0.0.1;x", "10.0.0.1x", "10.0.0.1%eth0", "10.0.0.1/8",
		"10.0.0.1,1.2.3.4", "10.0.0.1\x00", "10.0.0.1:x",
	} {
		row(text, "10.0.0.1")
	}
	for _, text := range []string{
		"", "10", "10.1", "10.0.0", "10.0.0.1.5", "10.0.0.1.", ".10.0.0.1", "10..0.0.1", "10.0.0.256", "999.0.0.1", "1e1.0.0.1", "-10.0.0.1", "+10.0.0.1", "\t10.0.0.1", "0x0a.0.0.1",
		"167772161", "[10.0.0.1]", "localhost", "2001:db8::1x", "2001:db8::1%e", "2001:db8::1/64", "[2001:db8::1", "[2001:db8::1]x", "x10.0.0.1",
	} {
		row(text, "")
	}
	row("2001:DB8::1", "2001:db8::1")
	row("[2001:db8::1]", "2001:db8::1")
	row("[2001:db8::1]:443", "2001:db8::1")
	if a, _ := StrValue([]byte("::ffff:10.0.0.1")).Address(); a.Unmap() != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("::ffff:10.0.0.1 is %s", a)
	}
}
