package rotate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/test/wait"
)

// TestPark parks a file between its writes, whatever happens to it meanwhile.
func TestPark(t *testing.T) {
	for _, sync := range []SyncPolicy{SyncOnRotate, SyncInterval, SyncNever} {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		w := open(t, path, Options{Sync: sync})
		n := 0
		line := func() {
			t.Helper()
			wait.Until(t, "the file to be parked", w.Park)
			write(t, w, numbered(n))
			n++
		}
		fds := func() (n int) { // those of this file and its directory
			for _, fd := range names(t, "/proc/self/fd") {
				if target, err := os.Readlink("/proc/self/fd/" + fd); err == nil && strings.HasPrefix(target, dir) {
					n++
				}
			}
			return n
		}
		line()
		before := fds()
		wait.Until(t, "the file to be parked", w.Park)
		wait.Until(t, fmt.Sprintf("less than %d descriptors to be open", before-1), func() bool { return fds() < before-1 })
		line()
		if err := w.Flush(); err != nil {
			t.Error(err)
		}
		wait.Until(t, "the file to be parked", w.Park)
		if r, err := w.Rotate(); err != nil || r.Bytes == 0 {
			t.Errorf("%+v, %v", r, err)
		}
		line()
		wait.Until(t, "the file to be parked", w.Park)
		if err := os.Rename(path, filepath.Join(dir, "app-moved.log")); err != nil {
			t.Fatal(err)
		}
		line()
		if s := w.Stats(); s.Followed != 1 {
			t.Errorf("%+v", s)
		}
		wait.Until(t, "the file to be parked", w.Park)
		if r, err := w.Reopen(); err != nil || r.OldInode != r.NewInode || r.Bytes == 0 {
			t.Errorf("%+v, %v", r, err)
		}
		line()
		wait.Until(t, "the file to be parked", w.Park)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		once(t, content(t, dir, "app"), n)
	}
}

// TestParkWaits keeps a file open that is in the middle of something, and one that takes nothing.
func TestParkWaits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub/app.log")
	w := open(t, path, Options{})
	write(t, w, "half")
	if w.Park() {
		t.Error("parked in the middle of a line")
	}
	write(t, w, " a line\n")
	wait.Until(t, "the file to be parked", w.Park)
	if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Dir(path), nil, 0o600); err != nil { // so that it cannot be made
		t.Fatal(err)
	}
	write(t, w, "waits\n")
	if s := w.Stats(); s.WaitingLines != 1 || s.WriteError == "" || w.Park() {
		t.Errorf("%+v", s)
	}
	if err := os.Remove(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the line to be written", func() bool { return w.Stats().WaitingLines == 0 })
	if got := read(t, path); got != "waits\n" {
		t.Errorf("%q", got)
	}
}

// BenchmarkParked writes a line to one after the other of many files, each of which is parked then.
func BenchmarkParked(b *testing.B) {
	dir := b.TempDir()
	var all []*Writer
	for i := range 300 {
		w, err := Open(filepath.Join(dir, fmt.Sprintf("%d.log", i)), Options{Size: 100 << 20, Keep: 5, Compress: Zstd})
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		all = append(all, w)
	}
	line := []byte("Nov 21 03:04:05 host app: a line of the usual length, which is about so much text\n")
	i := 0
	for b.Loop() {
		w := all[i%len(all)]
		i++
		if _, err := w.Write(line); err != nil {
			b.Fatal(err)
		}
		w.Park()
	}
}
