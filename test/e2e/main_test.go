// Package e2e holds the project's promises against the real daemons: real processes, real sockets, real signals, and the tools that
// operators use (ab, curl, openssl, logrotate). Every test counts on both sides.
//
// E2E_LB=/usr/sbin/haproxy runs the tests of HTTP itself (http_test.go, tcp_test.go) against another balancer of the same language;
// where the two differ, the tests tell.
package e2e

import (
	"os"
	"testing"

	"lbsyslogd/test/rig"
)

// built holds the daemons under test. TestMain sets it; it is only read afterwards.
var built rig.Programs

func TestMain(m *testing.M) {
	rig.Main(m, "e2e", []string{"ab", "curl", "h2load", "openssl", "logrotate"}, func(dir string) (err error) {
		names, other := []string{"syslogd", "lb"}, os.Getenv("E2E_LB")
		if other != "" {
			names = names[:1]
		}
		built, err = rig.Build(dir, names...)
		if other != "" {
			built.LB = other
		}
		return err
	})
}
