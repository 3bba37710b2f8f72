// Package vtc runs what HAProxy's own regression tests are written in: scenarios for varnishtest, which starts a balancer with -d, -W or -D, hands it
// its sockets as descriptors (fd@), plays clients, servers and log receivers, and looks at exit statuses. The scenarios in testdata are ours, written
// from HAProxy's manual; haproxy passes each of them, too (LB_LONG=1 shows it).
package vtc

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// built holds the daemon under test. TestMain sets it; it is only read afterwards.
var built rig.Programs

func TestMain(m *testing.M) {
	rig.Main(m, "vtc", []string{"openssl", "socat"}, func(dir string) (err error) {
		built, err = rig.Build(dir, "lb")
		return err
	})
}

// TestScenarios plays each scenario with lb.
func TestScenarios(t *testing.T) { play(t, built.LB) }

// TestScenariosOfHAProxy plays them with haproxy: that they ask for nothing else than it does.
func TestScenariosOfHAProxy(t *testing.T) {
	if os.Getenv("LB_LONG") == "" {
		t.Skip("LB_LONG=1 plays the scenarios with haproxy, too")
	}
	play(t, tape.Require(t, "haproxy"))
}

func play(t *testing.T, program string) {
	player := tape.Require(t, "varnishtest")
	for _, tool := range []string{"openssl", "socat"} { // which scenarios call
		tape.Require(t, tool)
	}
	files, err := filepath.Glob("testdata/*.vtc")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".vtc"), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, player, "-v", "-k", "-t", "60", file)
			cmd.Env = append(os.Environ(), "HAPROXY_PROGRAM="+program, "HAPROXY_TEST_TIMEOUT=60s", "TMPDIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			text := string(out)
			if err != nil || !strings.Contains(text, "1 tests passed") { // a skipped one passes, too
				t.Errorf("%v\n%s", err, text[max(0, len(text)-8000):])
			}
		})
	}
}
