package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/syslogd/daemon"
)

// TestFailedStartsAreRemembered where a service manager tries them again, so that the next one can wait, and forgotten after one that works.
func TestFailedStartsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	conf, memory := filepath.Join(dir, "conf"), filepath.Join(dir, "failed-starts")
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "nobody"))
	t.Setenv("RUNTIME_DIRECTORY", dir)
	errs := &console.Writer{File: os.Stderr, Prefix: "SYSLOGD_", IDs: daemon.MessageIDs()}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(conf, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for row, text := range []string{
		"bogus: 1\n",
		"listen: systemd:none\ncontrol: DIR/ctl\noutputs: [{file: DIR/a.log}]\n",
	} {
		write(text)
		if err := serve([]string{"-f", conf}, os.Stdout, errs); err == nil {
			t.Fatalf("%s runs", text)
		}
		if text, err := os.ReadFile(memory); err != nil || !strings.Contains(string(text), `"row":`) {
			t.Errorf("start %d: remembered is %s, %v", row, text, err)
		}
	}
	write("listen: unix://DIR/s\ncontrol: DIR/ctl\noutputs: [{file: DIR/a.log}]\n")
	ended := false
	if err := start(conf, errs, nil, func() {
		ended = true
		p, err := os.FindProcess(os.Getpid())
		if err != nil || p.Signal(os.Interrupt) != nil {
			t.Error("no signal")
		}
	}); err != nil || !ended {
		t.Errorf("a start that works: %v, ready %v", err, ended)
	}
}
