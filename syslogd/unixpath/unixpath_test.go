package unixpath

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
)

// bound is a socket of some type at a path, closed with the test; listen has it listen.
func bound(t *testing.T, path string, kind int, listen bool) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil && listen {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestOnlyTheDeadAreRemoved(t *testing.T) {
	row := func(what string, removed, fine bool, make func(path string)) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "s")
		make(path)
		if err := RemoveDead(path); (err == nil) != fine {
			t.Errorf("%s: %v", what, err)
		}
		if exists(path) == removed {
			t.Errorf("%s: removed is %v", what, !removed)
		}
	}
	row("nothing", true, true, func(string) {})
	row("a dead datagram socket", true, true, func(p string) { unix.Close(dupe(t, p, unix.SOCK_DGRAM)) })
	row("a dead stream socket", true, true, func(p string) { unix.Close(dupe(t, p, unix.SOCK_STREAM)) })
	row("a datagram socket", false, false, func(p string) { bound(t, p, unix.SOCK_DGRAM, false) })
	row("a listening stream socket", false, false, func(p string) { bound(t, p, unix.SOCK_STREAM, true) })
	row("a listening seqpacket socket", false, false, func(p string) { bound(t, p, unix.SOCK_SEQPACKET, true) })
	row("a stream socket that does not listen yet", false, false, func(p string) { bound(t, p, unix.SOCK_STREAM, false) })
	row("a file", false, false, func(p string) { os.WriteFile(p, nil, 0o600) })
	row("a link to a dead socket", false, false, func(p string) {
		unix.Close(dupe(t, p+"x", unix.SOCK_DGRAM))
		os.Symlink(p+"x", p)
	})
	row("a link that leads nowhere", false, false, func(p string) { os.Symlink(p+"x", p) })
}

// dupe is a socket that the caller closes.
func dupe(t *testing.T, path string, kind int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestAnotherUsersSocketIsNotTouched(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "needs root, to be somebody else")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	bound(t, path, unix.SOCK_DGRAM, false)
	if err := errors.Join(os.Chmod(path, 0o600), os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { // a thread of its own, which ends with the goroutine as it stays locked
		if err := asNobody(); err != nil {
			t.Log(err)
			done <- unix.EACCES
			return
		}
		done <- RemoveDead(path)
	}()
	if err := <-done; err == nil || !exists(path) {
		t.Errorf("root's socket: %v, and is there: %v", err, exists(path))
	}
}

func TestOwn(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "s"), filepath.Join(dir, "other")
	bound(t, path, unix.SOCK_DGRAM, false)
	id, _, err := Own(path, 0o666)
	if info, statErr := os.Lstat(path); err != nil || statErr != nil || info.Mode().Perm() != 0o666 {
		t.Fatalf("mode %v: %v %v", info.Mode(), err, statErr)
	}
	// Somebody puts a link to a file in its place.
	if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Remove(path), os.Symlink(other, path)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Own(path, 0o666); err == nil {
		t.Error("a link is taken for our socket")
	}
	if info, _ := os.Stat(other); info.Mode().Perm() != 0o600 {
		t.Errorf("the link's target has mode %v", info.Mode())
	}
	if err := Remove(path, id); err != nil || !exists(path) {
		t.Errorf("the link: %v, and is there: %v", err, exists(path))
	}
	// Or a second name of another socket.
	os.Remove(path)
	bound(t, other+"2", unix.SOCK_DGRAM, false)
	if err := errors.Join(os.Chmod(other+"2", 0o600), os.Link(other+"2", path)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Own(path, 0o666); err == nil {
		t.Error("a second name is taken for our socket")
	}
	if err := Remove(path, id); err != nil || !exists(path) {
		t.Errorf("another socket: %v, and is there: %v", err, exists(path))
	}
	if now, err := Of(path); err != nil || Remove(path, now) != nil || exists(path) {
		t.Errorf("our own: %v, and is there: %v", err, exists(path))
	}
}
