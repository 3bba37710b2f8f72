package queue

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
	"lbsyslogd/test/tape"
)

// TestPositionOfBefore reads what earlier versions have stored, and that they can read ours: JSON, and nothing after it.
func TestPositionOfBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	const old = `{"inode":12,"offset":345,"check":678,"after":"2026-11-21T03:04:05.678Z"}`
	if err := os.WriteFile(path, []byte(old+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Load(path)
	if err != nil || p.Inode != 12 || p.Offset != 345 || p.Check != 678 || p.After.IsZero() {
		t.Fatalf("%+v, %v", p, err)
	}
	p.Offset, p.Checked, p.Birth = 1<<62, 4096, 1<<62
	if err := store(path, *p, true); err != nil {
		t.Fatal(err)
	}
	again, err := Load(path)
	if err != nil || *again != *p {
		t.Errorf("%+v, %v", again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != recordSize {
		t.Errorf("%v, %v", info, err)
	}
}

// TestStoreOnAFullDisk overwrites a position where no byte is free.
func TestStoreOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		tape.Skipf(t, "mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "p")
	if err := store(path, rotate.Position{Inode: 1}, true); err != nil {
		t.Fatal(err)
	}
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for err == nil {
		_, err = io.WriteString(ballast, strings.Repeat("x", 4096))
	}
	for i := range int64(10) {
		want := rotate.Position{Inode: 2, Offset: i}
		if err := store(path, want, i%2 == 0); err != nil {
			t.Fatal(err)
		}
		if p, err := Load(path); err != nil || *p != want {
			t.Fatal(fmt.Sprintf("%+v", p), err)
		}
	}
}
