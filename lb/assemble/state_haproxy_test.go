package assemble

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/tape"
)

// TestServersStateAsHAProxy compares `show servers state` after each of some
// commands, apart from the times and the ports.
func TestServersStateAsHAProxy(t *testing.T) {
	haproxy := tape.Open(t, "haproxy")
	dir := t.TempDir()
	up, agent := peer(t, talks("")), peer(t, shuts("up\n"))
	text := func(who string) string {
		return strings.NewReplacer("DIR", dir, "WHO", who, "UP", up, "GONE", peerGone(t), "AGENT", portOf(agent)).Replace(`global
  stats socket DIR/WHO.sock level admin
defaults
  timeout connect 2s
  timeout client 2s
  timeout server 2s
  default-server inter 100ms
frontend f
  bind DIR/WHO.front
  default_backend b
backend b
  server plain UP weight 7
  server off UP disabled
  server checked UP check
  server checkedoff UP check disabled
  server gone GONE check
  server agent UP agent-check agent-inter 100ms agent-port AGENT
  server both UP check agent-check agent-inter 100ms agent-port AGENT
  server tracks UP track b/checked
  server tracksgone UP track b/gone
  server tracksoff UP track b/checkedoff
  server backup UP backup
`)
	}
	ask := func(who, command string) string {
		c, err := net.Dial("unix", filepath.Join(dir, who+".sock"))
		if err != nil {
			return ""
		}
		defer c.Close()
		io.WriteString(c, command+"\n")
		b, _ := io.ReadAll(c)
		return string(b)
	}
	if haproxy.Live() {
		file := filepath.Join(dir, "h.cfg")
		if err := os.WriteFile(file, []byte(text("h")), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(haproxy.Program(), "-db", "-f", file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	begin(t, text("l"), nil)

	// lines are the servers' states without the address, the times and the ports.
	lines := func(who string) (list []string) {
		for line := range strings.Lines(ask(who, "show servers state b")) {
			if f := strings.Fields(line); len(f) > 18 && f[0] != "#" {
				f[0], f[4], f[9], f[18] = "", "", "", ""
				for _, i := range []int{13, 14} { // whether a check is under way
					if n, err := strconv.Atoi(f[i]); err == nil {
						f[i] = strconv.Itoa(n &^ 1)
					}
				}
				list = append(list, strings.Join(f[:min(len(f), 22)], " "))
			}
		}
		return list
	}
	// settled: what cannot be reached is not up, as it is for a moment after it was set ready, what is checked has been checked, and the agent,
	// which always says up, has said so again.
	settled := func(list []string) bool {
		return len(list) > 0 && !slices.ContainsFunc(list, func(line string) bool {
			f := strings.Fields(line)
			name, up, unchecked := f[2], f[3] != "0", f[7] == "1"
			return up && strings.HasSuffix(name, "gone") || up && unchecked && strings.HasPrefix(name, "checked") || name == "both" && (!up || unchecked)
		})
	}
	for _, command := range []string{
		"show version", "disable server b/plain", "set server b/off state ready", "set server b/checkedoff state ready", "set server b/checked state drain",
		"set server b/gone state maint", "set server b/both agent down", "set server b/checked state ready", "set weight b/plain 3", "disable agent b/agent",
		"set server b/agent state maint", "set server b/plain state ready", "set server b/both agent up", "set server b/gone state ready", "disable agent b/both",
	} {
		if haproxy.Live() {
			ask("h", command)
		}
		ask("l", command)
		var ours, theirs []string
		patience := time.Now().Add(time.Minute)
		for {
			ours = lines("l")
			theirs = nil
			if haproxy.Live() {
				theirs = lines("h")
			} else {
				theirs = tape.Observe(haproxy, command, func() []string { return nil })
			}
			if settled(theirs) && strings.Join(ours, "\n") == strings.Join(theirs, "\n") {
				break
			}
			if time.Now().After(patience) {
				for i := range theirs {
					if i < len(ours) && ours[i] != theirs[i] {
						t.Errorf("after %q:\n     lb %s\nhaproxy %s", command, ours[i], theirs[i])
					}
				}
				if len(ours) != len(theirs) {
					t.Errorf("after %q: %d lines, HAProxy has %d", command, len(ours), len(theirs))
				}
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if haproxy.Live() {
			tape.Observe(haproxy, command, func() []string { return theirs })
		}
	}
}
