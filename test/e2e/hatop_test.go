package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// TestHatop drives hatop, which many operators look at HAProxy with, in a terminal: it starts, shows its screens, and takes a server out
// and in again and changes its weight.
func TestHatop(t *testing.T) {
	for _, tool := range []string{"hatop", "tmux"} {
		tape.Require(t, tool)
	}
	dir, err := os.MkdirTemp("", "lb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports, err := rig.FreePorts("127.0.0.1", 3)
	if err != nil {
		t.Fatal(err)
	}
	lb := rig.LBIn(dir)
	config := fmt.Sprintf("global\n  stats socket %s level admin\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n"+
		"frontend web\n  bind 127.0.0.1:%d\n  default_backend app\nbackend app\n  server first 127.0.0.1:%d weight 10\n  server second 127.0.0.1:%d weight 10\n",
		lb.Stats, ports[0], ports[1], ports[2])
	if err := lb.Start(t.Context(), built.LB, "-W", config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lb.Stop() })
	tmux := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("tmux", append([]string{"-S", filepath.Join(dir, "tmux"), "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	tmux("new-session", "-d", "-x", "160", "-y", "40", "hatop -s "+lb.Stats+" 2>&1; echo hatop has ended; exec sleep 60")
	t.Cleanup(func() { tmux("kill-server") })
	await := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
			if time.Now().After(end) {
				t.Fatalf("timed out: %s; the screen:\n%s", what, tmux("capture-pane", "-p"))
			}
		}
	}
	screen := func(words ...string) func() bool {
		return func() bool {
			text := tmux("capture-pane", "-p")
			for _, w := range words {
				if !strings.Contains(text, w) {
					return false
				}
			}
			return true
		}
	}
	weight := func(want string) func() bool {
		return func() bool {
			got, err := lb.Command("get weight app/first")
			return err == nil && strings.HasPrefix(got, want)
		}
	}
	await("the first screen", screen("released: 2", "STATUS", ">>> web", ">>> app", "first", "second", "BACKEND"))
	for key, words := range map[string][]string{"2": {"LBTOT", "BIN"}, "3": {"1xx", "5xx"}, "4": {"ECONN", "DRSP"}} {
		tmux("send-keys", key)
		await("screen "+key, screen(words...))
	}
	tmux("send-keys", "1")
	await("the first screen again", screen("SCUR"))
	// The cursor begins at the top: downwards to the first server.
	at := func(word string) int {
		for i, line := range strings.Split(tmux("capture-pane", "-p"), "\n") {
			if strings.HasPrefix(line, word) {
				return i
			}
		}
		return -1
	}
	for range at("first") - at(">>> web") {
		tmux("send-keys", "Down")
	}
	tmux("send-keys", "F10")
	await("F10 puts the server in maintenance", func() bool {
		got, err := lb.Command("show servers state app")
		return err == nil && strings.Contains(got, " first 127.0.0.1 0 1 ")
	})
	await("and shows it", screen("MAINT"))
	tmux("send-keys", "F9")
	await("F9 brings it back", func() bool {
		got, err := lb.Command("show servers state app")
		return err == nil && strings.Contains(got, " first 127.0.0.1 2 0 ")
	})
	tmux("send-keys", "F7")
	await("F7 gives it another weight", func() bool { return !weight("10 ")() })
	tmux("send-keys", "F4")
	await("F4 gives it its own", weight("10 "))
	tmux("send-keys", "5")
	await("the command line", screen(">"))
	tmux("send-keys", "show version", "Enter")
	await("an answer on it", screen("show version"))
}
