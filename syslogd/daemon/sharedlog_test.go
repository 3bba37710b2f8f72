package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
)

// TestManyFilesSpeakAsOne has a hundred files say the same, each of its own path: it is logged once, and again after a minute with how many said it.
func TestManyFilesSpeakAsOne(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	log := newSharedLog(slog.New(slog.NewTextHandler(&out, nil)))
	log.Handler().(*sharedLog).said.now = func() time.Time { return now }
	log = log.With("SYSLOGD_OUTPUT", "hosts")
	full := errors.New("write: no space left on device")
	for i := range 100 {
		path := fmt.Sprintf("/var/log/hosts/%d.log", i)
		log.Error("the disk takes no lines; they wait in memory", "path", path, "err", full)
		log.Error("rotate "+path, "err", fmt.Errorf("rename %s: permission denied", path))
	}
	log.Error("rotate /var/log/hosts/1.log", "err", errors.New("too many links"))
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d lines:\n%s", n, &out)
	}
	out.Reset()
	now = now.Add(logPause)
	log.Error("the disk takes no lines; they wait in memory", "path", "/var/log/hosts/7.log", "err", full)
	if s := out.String(); !strings.Contains(s, "path=/var/log/hosts/7.log") || !strings.Contains(s, "other_files=99") || !strings.Contains(s, "SYSLOGD_OUTPUT=hosts") {
		t.Errorf("after a minute: %q", s)
	}
}

// TestAFileThatCannotBeOpenedIsReported: a planted symbolic link takes no lines, and the journal says so once.
func TestAFileThatCannotBeOpenedIsReported(t *testing.T) {
	var out bytes.Buffer
	base := filepath.Join(t.TempDir(), "hosts")
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	o := config.Output{Name: "hosts", Files: &config.Files{Base: base, Template: "%tag%.log", Open: 10, Names: 10}}
	set, err := openSet(o, rotate.Options{Log: newSharedLog(slog.New(slog.NewTextHandler(&out, nil)))}, nil, (&Daemon{}).watched)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for _, name := range []string{"one.log", "two.log"} {
		if err := os.Symlink("/etc/passwd", filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
		set.Give(name, []byte("line\n"), 1)
	}
	set.Give("one.log", []byte("line\n"), 1)
	if c := set.Counts(); c.Lost != 3 || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "one.log") {
		t.Errorf("%+v, and the log says %q", c, &out)
	}
}
