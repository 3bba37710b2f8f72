package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
)

// TestNamespace: in a network namespace of its own a run has a congestion control without pacing, and a loopback interface.
func TestNamespace(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestNamespace$")
		cmd.Env = append(os.Environ(), insideVariable+"=bbr")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if out, err := cmd.CombinedOutput(); errors.Is(err, unix.EPERM) {
			tape.Skipf(t, "a network namespace takes root")
		} else if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := prepareNamespace(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(congestionFile); err != nil || !slices.Contains(unpaced, strings.TrimSpace(string(got))) {
		t.Errorf("the congestion control is %s, %v", got, err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
