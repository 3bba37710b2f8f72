package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/load"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestMigration holds that the listeners pass from a live HAProxy to lb and back, several times, while numbered requests come on fresh
// connections: none fails. Each takes them from the other's stats socket with -x and sends it away with -sf, as the manual says.
func TestMigration(t *testing.T) {
	haproxy := tape.Require(t, "haproxy")
	dir, err := os.MkdirTemp("", "lb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := backend.Start("b1", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("%s:%d", host, ports[0])
	box := rig.LBIn(dir)
	config, stats := filepath.Join(dir, "haproxy.cfg"), box.Stats
	text := fmt.Sprintf(`global
    stats socket %s mode 600 level admin expose-fd listeners
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend fe
    bind %s
    default_backend be
backend be
    server b1 %s
`, stats, addr, b.Addr())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	// serving reports whether the process answers on the stats socket: a new one replaces its path.
	serving := func(p *rig.Process) func() bool {
		return func() bool {
			pid, err := box.Info("Pid")
			return err == nil && pid == p.PID
		}
	}
	now, err := rig.Start(haproxy, "-db", "-f", config)
	if err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "HAProxy", serving(now))
	t.Cleanup(func() { now.Stop() }) // its status is another's business

	stop, done := make(chan struct{}), make(chan sent)
	go func() { done <- sendUntil(t.Context(), stop, addr) }()
	for i := range 4 {
		program := built.LB
		if i%2 == 1 {
			program = haproxy
		}
		next, err := rig.Start(program, "-db", "-f", config, "-x", stats, "-sf", strconv.Itoa(now.PID))
		if err != nil {
			t.Fatal(err)
		}
		wait.Until(t, program+" to take over", serving(next))
		wait.Until(t, "the one before to leave", func() bool { return !now.Running() })
		now = next
	}
	close(stop)
	r := <-done
	if len(r.failed) > 0 {
		t.Errorf("%v\n%s", r.failed, now.Output())
	}
	t.Logf("four switches under load: %d requests answered", r.ok)
}

// sent is what became of several runs.
type sent struct {
	ok     uint64
	failed []load.Result // the runs with failures
}

// sendUntil sends numbered requests on fresh connections, in runs, until stop is closed and at least 50,000 were answered.
func sendUntil(ctx context.Context, stop <-chan struct{}, addr string) (all sent) {
	const each, atLeast = 5000, 50_000
	for run := 0; ctx.Err() == nil && len(all.failed) == 0; run++ {
		r := load.New(load.Options{
			Addr: addr, Run: fmt.Sprintf("migrate%d", run), Requests: each, Conns: 20, PerConn: 1, PostEach: 5, Timeout: 20 * time.Second,
		}).Run(ctx)
		all.ok += r.OK()
		if r.Failed() > 0 {
			all.failed = append(all.failed, r)
		}
		select {
		case <-stop:
			if all.ok >= atLeast {
				return all
			}
		default:
		}
	}
	return all
}
