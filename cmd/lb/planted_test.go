package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/cmd/internal/patience"
	"lbsyslogd/lb/safefile"
)

// Whoever may write the pid file's directory puts a link there and waits for
// the next start: root must not write through it.
func TestPidFileIsNotWrittenThroughALink(t *testing.T) {
	for _, mode := range [][]string{{"-D"}, {"-D", "-W"}, {"-db"}, {"-W"}} {
		s := newSite(t)
		victim := filepath.Join(s.dir, "victim")
		if err := os.WriteFile(victim, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(victim, s.pidfile); err != nil {
			t.Fatal(err)
		}
		if mode[0] == "-D" {
			if out, err := s.command(mode...).CombinedOutput(); err != nil {
				t.Fatalf("%q: %v\n%s", mode, err, out)
			}
		} else {
			cmd := s.start(mode...)
			defer func() { cmd.Process.Kill(); cmd.Wait() }()
		}
		if err := s.get(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(victim); err != nil || string(text) != "secret" {
			t.Errorf("%q: the victim holds %q, %v", mode, text, err)
		}
		if st, err := os.Lstat(s.pidfile); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%q: the pid file is %v, %v", mode, st, err)
		}
	}
}

func TestFailuresAreNotRememberedThroughALink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := patience.Patience{Path: filepath.Join(dir, "failures"), Write: safefile.Write}
	if err := os.Symlink(victim, p.Path); err != nil {
		t.Fatal(err)
	}
	p.Failed()
	if text, err := os.ReadFile(victim); err != nil || string(text) != "secret" {
		t.Errorf("the victim holds %q, %v", text, err)
	}
	if text, err := os.ReadFile(p.Path); err != nil || !strings.Contains(string(text), `"row":1`) {
		t.Errorf("remembered: %s, %v", text, err)
	}
}
