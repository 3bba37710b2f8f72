package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"lbsyslogd/test/tape"
)

// What root reads for -c is asked for with the rights of the user as whom lb serves: its groups count, and each directory on the path.
func TestRefusedTo(t *testing.T) {
	if os.Getuid() != 0 {
		tape.Skipf(t, "only root can take another user's place")
	}
	dir, err := os.MkdirTemp("/tmp", "lb-") // of which others may pass each directory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const user, group = 65533, 65532
	sleeper := exec.Command("sleep", "600")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user, Groups: []uint32{group}}}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleeper.Process.Kill(); sleeper.Wait() })
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	var all, want []string
	for _, f := range []struct {
		name    string
		mode    os.FileMode
		gid     int
		refused bool
	}{
		{"root's alone", 0o600, 0, true},
		{"the group's", 0o640, group, false},
		{"another group's", 0o640, 0, true},
		{"everybody's", 0o644, 0, false},
		{"closed/everybody's", 0o644, 0, true},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, nil, f.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 0, f.gid); err != nil {
			t.Fatal(err)
		}
		if all = append(all, path); f.refused {
			want = append(want, path)
		}
	}
	if got, err := refusedTo(sleeper.Process.Pid, all); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %q, want %q", err, got, want)
	}
	if !startedWith(sleeper.Process.Pid, []string{"/etc/lb/lb.cfg", "600"}) || startedWith(sleeper.Process.Pid, []string{"/etc/lb/lb.cfg"}) {
		t.Error("the command line is not read")
	}
}
