package daemon

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/receive"
)

// TestSystemdIsTold plays systemd: readiness, reloads with their outcome, the watchdog, the stop.
func TestSystemdIsTold(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "300000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	hear := func(want ...string) {
		t.Helper()
		var heard []string
		b := make([]byte, 4096)
		for deadline := time.Now().Add(20 * time.Second); ; {
			manager.SetReadDeadline(deadline)
			n, err := manager.Read(b)
			if err != nil {
				t.Fatalf("waited for %q and heard %q: %v", want, heard, err)
			}
			text := string(b[:n])
			heard = append(heard, text)
			for len(want) > 0 && strings.Contains(text, want[0]) {
				want = want[1:]
			}
			if len(want) == 0 {
				return
			}
		}
	}
	t.Run("life", func(t *testing.T) {
		const good = "listen: unix://DIR/a\noutputs: [{file: DIR/a.log}]\n"
		socket := run(t, dir, good)
		hear("READY=1", "STATUS=0 received, 0 written")
		hear("WATCHDOG=1", "WATCHDOG=1")
		if ask(t, socket, "reload") == "" {
			t.Error("the reload failed")
		}
		hear("RELOADING=1", "MONOTONIC_USEC=", "READY=1", "STATUS=0 received")
		configure(t, dir, good+"bogus: 1\n")
		ask(t, socket, "reload")
		hear("RELOADING=1", "READY=1", "STATUS=the new configuration was refused: ")
	})
	hear("STOPPING=1")
}

// a poorInput was granted less than was asked for.
type poorInput struct {
	source
	buffer int
}

func (p poorInput) Describe() receive.Description {
	return receive.Description{Name: "udp://x", Buffer: p.buffer}
}
func (p poorInput) Counts() receive.Counts        { return receive.Counts{} }
func (p poorInput) Barrier(context.Context) error { return nil }

func TestHintForASmallBuffer(t *testing.T) {
	row := func(granted, wanted int, hint bool) {
		t.Helper()
		i := inputStatus(&input{source: poorInput{buffer: granted}}, wanted)
		if (i.Hint != "") != hint || hint && (!strings.Contains(i.Hint, "CAP_NET_ADMIN") || !strings.Contains(i.Hint, "net.core.rmem_max to 67108864")) {
			t.Errorf("granted %d of %d: %q", granted, wanted, i.Hint)
		}
		s := control.Status{Inputs: []control.Input{i}}
		var out strings.Builder
		if err := s.WriteTable(&out, time.Now()); err != nil || strings.Contains(out.String(), "rmem_max") != hint {
			t.Errorf("the table: %v\n%s", err, out.String())
		}
	}
	row(212992, 64<<20, true)
	row(64<<20, 64<<20, false)
	row(4096, 4096, false) // as small as was asked for
	row(0, 64<<20, false)  // a unix socket
}
