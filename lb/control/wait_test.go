package control

import (
	"context"
	"net"
	"strings"
	"testing"

	"lbsyslogd/test/wait"
)

// wait holds a script until a server may be removed, says what will never be, and ends with its time or with the process.
func TestWait(t *testing.T) {
	f := newFake()
	path, _ := serve(t, &Server{Runtime: f, Level: Admin})
	row := func(command, want string) {
		t.Helper()
		if got := strings.TrimSpace(ask(t, path, command+"\n")); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	row("wait 1", "Done.")
	row("wait 1ms;show cli level", "Done.\n\nadmin")
	row("wait x", "Invalid wait delay.")
	row("wait 1 moon", "Unknown condition to wait for: 'moon'.")
	row("wait 1 srv-removable be", "Require 'backend/server'.")
	row("wait 1m srv-removable be/nope", "No such server.")
	row("wait 1m srv-removable be/s1", "Only servers in maintenance mode can be deleted.")
	ask(t, path, "set server be/s1 state maint\n")
	f.busy.Store(3)
	row("wait 1m srv-removable be/s1;del server be/s1", "Done.\n\nServer deleted.")
	ask(t, path, "set server be/s2 state maint\n")
	f.busy.Store(1 << 20)
	row("wait 50 srv-removable be/s2", "Wait delay expired.")
	if !strings.HasPrefix(ask(t, path, "wait -h\n"), "Usage: wait {-h|<duration>}") {
		t.Error("no help")
	}
}

// A process that ends does not wait for those who wait.
func TestWaitEnds(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	near, far := net.Pipe()
	s := &Server{Runtime: newFake(), Level: Admin}
	done := make(chan struct{})
	go func() { s.Converse(ctx, far); far.Close(); close(done) }()
	go near.Write([]byte("wait 20d\n"))
	end()
	buf := make([]byte, 100)
	n, _ := near.Read(buf)
	if got := strings.TrimSpace(string(buf[:n])); got != "Interrupted." {
		t.Errorf("%q", got)
	}
	near.Close()
	wait.Until(t, "the session to end", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}
