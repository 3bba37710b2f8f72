package rotate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/natefinch/lumberjack.v2"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestSyncPolicies counts the fsyncs of a process that writes ten times, rotates, writes five times and closes.
func TestSyncPolicies(t *testing.T) {
	strace := tape.Require(t, "strace")
	row := func(policy string, least, most int) {
		t.Helper()
		trace := filepath.Join(t.TempDir(), "trace")
		traced := child("TestChildThatSyncs", "ROTATE_SYNC="+policy, "ROTATE_DIR="+t.TempDir())
		cmd := exec.Command(strace, append([]string{"-f", "-q", "-e", "trace=fsync,fdatasync", "-o", trace}, traced.Args...)...)
		cmd.Env = traced.Env
		mustPass(t, cmd)
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("sync(")); n < least || n > most {
			t.Errorf("%s: %d fsyncs; want %d to %d\n%s", policy, n, least, most, text)
		}
	}
	row("bare", 0, 0) // the library never does
	row("never", 0, 0)
	row("rotate", 3, 3)        // the old file, its directory, and the file that is closed
	row("interval", 4, 11+5+3) // and while lines came, at least once, and no more often than for each write
	row("always", 15+3, 15+3)  // and after each write
}

// TestChildThatSyncs is that process.
func TestChildThatSyncs(t *testing.T) {
	path := filepath.Join(os.Getenv("ROTATE_DIR"), "app.log")
	policy, known := map[string]SyncPolicy{"never": SyncNever, "rotate": SyncOnRotate, "interval": SyncInterval, "always": SyncAlways}[os.Getenv("ROTATE_SYNC")]
	if !known && os.Getenv("ROTATE_SYNC") == "" {
		return
	}
	lines := func(w interface{ Write([]byte) (int, error) }, n int) {
		for range n {
			write(t, w, strings.Repeat("x", 99)+"\n")
		}
	}
	if !known {
		l := &lumberjack.Logger{Filename: path}
		lines(l, 10)
		if err := l.Rotate(); err != nil {
			t.Fatal(err)
		}
		lines(l, 5)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	w := open(t, path, Options{Sync: policy})
	lines(w, 10)
	if policy == SyncInterval {
		begun := func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.dirty }
		wait.Until(t, "a sync", begun)
		lines(w, 1)
		wait.Until(t, "the next one, before which that has ended", begun)
	}
	turn(t, w)
	lines(w, 5)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
