package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/message"
	"lbsyslogd/test/tape"
)

var now = time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, path string) *Book {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Book) count(key string, n uint64) {
	if a := b.Find([]byte(key)); a != nil {
		a.Count(n)
	}
}

// TestOnAFullDisk: a book that the disk has no room for is an error, and not the end of the process when it is written to.
func TestOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		tape.Skipf(t, "mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	path := filepath.Join(dir, "ledger")
	if b, err := Open(path); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v, %v", b, err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=2m"); err != nil {
		t.Fatal(err)
	}
	b := open(t, path)
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	for i := range slots { // on all pages
		b.Note(fmt.Appendf(nil, "udp://:514||%d", i), message.Beat{Instance: 1, Sent: 1}, now)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	b := open(t, path)
	beat := func(key string, instance, generation, sent, lost uint64, final bool) {
		t.Helper()
		b.Note([]byte(key), message.Beat{Instance: instance, Generation: generation, Sent: sent, Lost: lost, Final: final}, now)
	}
	check := func(what string, sent, received, missing uint64) {
		t.Helper()
		entries, past := b.Entries()
		for _, e := range entries {
			past.Sent += e.Sent
			past.Received += e.Received
			past.Missing += e.Missing
		}
		if past.Sent != sent || past.Received != received || past.Missing != missing {
			t.Errorf("%s: %d sent, %d received, %d missing; want %d, %d, %d", what, past.Sent, past.Received, past.Missing, sent, received, missing)
		}
	}
	const one, two = "udp://:514||41", "udp://:514||42"
	b.count(one, 7)
	check("of nobody", 0, 0, 0)
	beat(one, 1, 1, 100, 0, false) // it has sent before we were there
	b.count(one, 10)
	check("after the first beat", 0, 10, 0)
	beat(one, 1, 1, 110, 0, false)
	check("all came", 10, 10, 0)
	b.count(one, 5)
	beat(one, 1, 1, 125, 3, false)
	check("ten did not come", 25, 15, 10)
	beat(two, 2, 2, 0, 0, false)
	b.count(two, 1000)
	b.count(one, 10)
	beat(one, 1, 1, 125, 3, true)
	beat(one, 1, 1, 120, 3, false) // which was overtaken by the last
	beat(two, 2, 2, 1000, 0, false)
	check("those ten came late, and another process", 1025, 1025, 0)

	// The process is killed; the file stays.
	b = open(t, path)
	check("after a restart", 1025, 1025, 0)
	b.count(two, 3)
	beat(two, 2, 2, 1010, 0, false)
	check("of which seven lines were lost", 1035, 1028, 7)
	// The pid comes again.
	beat(two, 3, 3, 0, 0, false)
	b.count(two, 4)
	beat(two, 3, 3, 4, 0, true)
	check("another process with the same pid", 1039, 1032, 7)

	// Many others: those that have ended make room, and are still in the sum.
	for i := range 3 * slots {
		beat(fmt.Sprintf("udp://:514||%d", 1000+i), uint64(100+i), 9, 0, 0, false)
		beat(fmt.Sprintf("udp://:514||%d", 1000+i), uint64(100+i), 9, 1, 0, true)
	}
	check("many others", 1039+3*slots, 1032, 7+3*slots)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestForgedBeatsDriveNobodyOut: who speaks keeps its account.
func TestForgedBeatsDriveNobodyOut(t *testing.T) {
	b := open(t, "")
	b.Note([]byte("honest"), message.Beat{Instance: 1, Sent: 5}, now)
	for i := range 10 * slots {
		b.Note(fmt.Appendf(nil, "forged %d", i), message.Beat{Instance: 1}, now)
	}
	b.count("honest", 2)
	b.Note([]byte("honest"), message.Beat{Instance: 1, Sent: 7}, now)
	entries, _ := b.Entries()
	for _, e := range entries {
		if e.Sent == 2 && e.Received == 2 && e.Missing == 0 {
			return
		}
	}
	t.Errorf("the honest one is gone: %+v", entries)
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	torn := filepath.Join(dir, "torn")
	if err := os.WriteFile(torn, []byte("what is this"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, torn)
	b.Note([]byte("a"), message.Beat{Instance: 1, Sent: 5}, now)
	if b.Find([]byte("a")) == nil {
		t.Error("a torn file is not begun anew")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(torn, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, dir, filepath.Join(dir, "none", "x")} {
		if _, err := Open(path); err == nil {
			t.Errorf("%s is opened", path)
		}
	}
}
