package assemble

import (
	"testing"

	"lbsyslogd/lb/config"
)

// TestFirstAddress: a name without an address is an error where nothing looks for one later.
func TestFirstAddress(t *testing.T) {
	b := &builder{}
	s := &config.Server{Network: "tcp", Host: "a..b"} // no name server is asked for this
	if _, _, err := b.first(s); err == nil {
		t.Error("without resolvers: no error")
	}
	s.Resolve.Section = "r"
	if ip, ok, err := b.first(s); err != nil || ok {
		t.Errorf("with resolvers: %v, %v, %v", ip, ok, err)
	}
	s.InitAddr = "libc"
	if _, _, err := b.first(s); err == nil {
		t.Error("with resolvers and init-addr libc: no error")
	}
}
