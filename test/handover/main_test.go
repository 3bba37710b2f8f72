// Package handover holds what a reload promises to connections that are open: they move to the next worker and lose nothing. Real
// daemons, real sockets, and a client that counts every byte.
//
//  1. A site (site_test.go) is a balancer, what stands behind it, and a receiver of its log that keeps every line.
//  2. Crowds (crowd_test.go) are many connections of one kind: idle, with slow requests, or tunnels with numbered payload.
//  3. The tests reload the balancer under them and compare what the clients counted with what the balancer says.
//
// LB_LONG=1 runs the crowds in the size the project promises: 10,000 idle connections and 20 reloads.
package handover

import (
	"os"
	"syscall"
	"testing"

	"lbsyslogd/test/rig"
)

// built holds the daemon under test. TestMain sets it; it is only read afterwards.
var built rig.Programs

func TestMain(m *testing.M) {
	raiseFiles()
	rig.Main(m, "handover", []string{"ab", "h2load", "openssl", "wrk"}, func(dir string) (err error) {
		built, err = rig.Build(dir, "lb")
		return err
	})
}

// raiseFiles makes room for both ends of every connection. Without the privilege for more, the hard limit has to do.
func raiseFiles() {
	const want = 64 << 10
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) != nil || lim.Cur >= want {
		return
	}
	most := syscall.Rlimit{Cur: want, Max: max(want, lim.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &most) != nil {
		lim.Cur = lim.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim)
	}
}

// long reports whether the crowds have their full size.
func long() bool { return os.Getenv("LB_LONG") != "" }

// sized is short ordinarily and full with LB_LONG.
func sized(short, full int) int {
	if long() {
		return full
	}
	return short
}
