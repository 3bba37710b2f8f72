package rig

import (
	"net"
	"os"
	"testing"

	"lbsyslogd/test/ledger"
)

func TestSyslogdStartsReceivesAndStops(t *testing.T) {
	dir, err := os.MkdirTemp("", "rig-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	programs, err := Build(dir, "syslogd")
	if err != nil {
		t.Fatal(err)
	}
	s, err := StartSyslogd(t.Context(), programs.Syslogd, dir, "127.0.0.1", "{compress: none}")
	if err != nil {
		t.Fatal(err)
	}
	target, err := s.Target(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("logs go to %s", target)
	c, err := net.Dial("udp", s.UDP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("<134>Nov 21 03:04:05 rig[1]: hello"))
	err = Until(t.Context(), "the message", func() bool {
		if _, err := s.Verb(t.Context(), "flush"); err != nil {
			t.Fatal(err)
		}
		n, err := ledger.Count(s.Log, "rig[1]: hello")
		return err == nil && n == 1
	})
	if err != nil {
		t.Error(err)
	}
	for _, verb := range []string{"rotate", "reopen"} {
		if _, err := s.Verb(t.Context(), verb); err != nil {
			t.Error(err)
		}
	}
	if st, err := s.Status(t.Context()); err != nil || st.Total.Written != 1 || st.Total.Rotations != 1 || st.Total.Reopens != 1 {
		t.Errorf("%+v %v", st.Total, err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}
