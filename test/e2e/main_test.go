// Package e2e holds the project's promises against the real daemons: real processes, real sockets, real signals, and the tools that
// operators use (ab, curl, openssl, logrotate). Every test counts on both sides.
//
// E2E_LB=/usr/sbin/haproxy runs the tests of HTTP itself (http_test.go, tcp_test.go) against another balancer of the same language;
// where the two differ, the tests tell.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"lbsyslogd/test/rig"
)

// built holds the daemons under test. TestMain sets it; it is only read afterwards.
var built rig.Programs

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, tool := range []string{"ab", "curl", "openssl", "logrotate", "halog"} {
		if _, err := exec.LookPath(tool); err != nil {
			return 0, fmt.Errorf("%s is missing: test/setup installs what the tests need", tool)
		}
	}
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	names, other := []string{"syslogd", "lb"}, os.Getenv("E2E_LB")
	if other != "" {
		names = names[:1]
	}
	if built, err = rig.Build(dir, names...); err != nil {
		return 0, err
	}
	if other != "" {
		built.LB = other
	}
	return m.Run(), nil
}
