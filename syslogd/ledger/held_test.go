package ledger

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

// TestWhatAKillTakes: lines that an output had and its file has not are known after a kill, wherever the kill came: before, in, and after a write, and after a
// rotation.
func TestWhatAKillTakes(t *testing.T) {
	for _, c := range []struct {
		what  string
		taken uint64
		file  string // that was marked with two lines, through
		new   string // what it, or its successor, has by now
		moved bool
		want  uint64
	}{
		{"nothing waited", 2, "a\nb\n", "a\nb\n", false, 0},
		{"lines waited", 7, "a\nb\n", "a\nb\n", false, 5},
		{"two of them were just written", 7, "a\nb\n", "a\nb\nc\nd\n", false, 3},
		{"one and a half of them were", 7, "a\nb\n", "a\nb\nc\nd", false, 3},
		{"two of them were, to another file", 7, "a\nb\n", "c\nd\n", true, 3},
		{"all of them were", 4, "a\nb\n", "a\nb\nc\nd\n", false, 0},
		{"more than all were", 4, "a\nb\n", "a\nb\nc\nd\ne\n", false, 0},
		{"the file was emptied", 7, "a\nb\n", "", false, 5},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "log")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		b := open(t, filepath.Join(dir, "ledger"))
		h := b.Hold(path)
		h.Mark(info.Sys().(*syscall.Stat_t).Ino, 0, 0)
		h.Take(c.taken)
		h.Mark(info.Sys().(*syscall.Stat_t).Ino, info.Size(), 2)
		if c.moved {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte(c.new), 0o600); err != nil {
			t.Fatal(err)
		}
		// The process is killed: nobody closes anything.
		for range 2 {
			if b = open(t, filepath.Join(dir, "ledger")); b.Killed() != c.want {
				t.Errorf("%s: %d lines were killed, want %d", c.what, b.Killed(), c.want)
			}
		}
	}
}

// TestPlacesComeBack: an output that is closed has nothing any more, and its place is another's.
func TestPlacesComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	b := open(t, path)
	for range 3 * heldSlots {
		h := b.Hold("/a")
		if h == nil {
			t.Fatal("there is no place")
		}
		h.Take(5)
		h.Release()
	}
	var all []*Held
	for range heldSlots + 3 {
		all = append(all, b.Hold("/a"))
	}
	if all[heldSlots] != nil {
		t.Error("there are more places than there are")
	}
	for _, h := range all {
		h.Release() // nil too
		h.Take(1)
		h.Mark(1, 1, 1)
	}
	all[0].Release()
	if b = open(t, path); b.Killed() != 0 {
		t.Errorf("%d lines were killed", b.Killed())
	}
}

// TestOlderBook: the accounts of a syslogd that noted less are kept.
func TestOlderBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	b := open(t, path)
	b.book.sent.Store(41)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(unsafe.Offsetof(book{}.before))); err != nil {
		t.Fatal(err)
	}
	b = open(t, path)
	if _, past := b.Entries(); past.Sent != 41 || past.Before != 0 || b.Hold("/a") == nil {
		t.Errorf("of the older book there is %+v", past)
	}
}
