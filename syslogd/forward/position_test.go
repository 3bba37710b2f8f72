package forward

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/queue"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestABrokenPosition begins with whatever may be found in the place of a position. Nothing of it is a reason not to forward: everything that
// waits is sent, and what was wrong is said.
func TestABrokenPosition(t *testing.T) {
	text := func(s string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(s), 0o600) }
	}
	for name, put := range map[string]func(path string) error{
		"empty": text(""), "half": text(`{"inode": 12, "off`), "zeros": text(strings.Repeat("\x00", 512)), "object": text("{}"), "null": text("null"),
		"list": text("[]"), "text": text("x"), "negative": text(`{"inode": 1, "offset": -1}`), "sum": text(`{"inode": 1, "offset": 1, "sum": 5}`),
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link":      func(path string) error { return os.Symlink("/etc/passwd", path) },
		"tmp":       func(path string) error { return os.Mkdir(path+".tmp", 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.log")
			w := open(t, path)
			defer w.Close()
			write(t, w, 0, 500) // with rotations
			if err := put(path + queue.Suffix); err != nil {
				t.Fatal(err)
			}
			p := newPeer(t, nil)
			f := start(t, w, p, time.Millisecond)
			defer f.Close()
			want := 500
			if name == "tmp" { // nothing is wrong
				write(t, w, 500, 510)
				want = 510
			} else if s := f.Counts().LastError; !strings.Contains(s, "position") {
				t.Errorf("the last error is %q", s)
			}
			wait.Until(t, "the lines", func() bool { return p.has(want) })
			wait.Until(t, "the confirmation", func() bool { return f.Counts().Confirmed == uint64(want) })
			c := f.Counts()
			if c.Missed != 0 {
				t.Errorf("%+v", c)
			}
			if repaired := name != "directory" && name != "pipe" && name != "link"; repaired != (c.Error == "") {
				t.Errorf("the error is %q", c.Error)
			}
		})
	}
}

// TestABrokenPositionStaysInSight: that nobody answers does not hide that everything will be sent again.
func TestABrokenPositionStaysInSight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	w := open(t, path)
	defer w.Close()
	if err := os.WriteFile(path+queue.Suffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, nil)
	p.kill()
	f := start(t, w, p, time.Millisecond)
	defer f.Close()
	wait.Until(t, "nobody to answer", func() bool { return strings.Contains(f.Counts().Error, "refused") })
	if s := f.Counts().Error; !strings.Contains(s, "position") {
		t.Errorf("the error is %q", s)
	}
}

// TestFullDisk fills a disk while the peer is away. When it is back and has taken everything, the disk gets room, although there was none for
// a position; a Forwarder also starts on the full disk.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		tape.Skipf(t, "mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	p := newPeer(t, nil)
	p.kill()
	path := filepath.Join(dir, "a.log")
	w, err := rotate.Open(path, rotate.Options{Size: 50_000, Keep: 2, Hold: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// The position has no block yet, and gets none.
	n := 0
	for w.Stats().Stalls == 0 {
		write(t, w, n, n+100)
		n += 100
	}
	f := start(t, w, p, time.Millisecond)
	defer f.Close()
	s := f.Queue.Storing() // Counts would show the peer's trouble
	if !strings.Contains(s, "no space left") {
		t.Errorf("storing the position: %q", s)
	}
	p.start()
	wait.Until(t, "the disk to take lines", func() bool { return w.Stats().Waiting == 0 && w.Stats().WriteError == "" })
	write(t, w, n, n+1)
	wait.Until(t, "the position to be stored", func() bool { return f.Counts().Error == "" && f.Counts().Behind == 0 })
	if _, err := queue.Load(path + queue.Suffix); err != nil {
		t.Error(err)
	}
	wait.Until(t, "the old files to be removed", func() bool { // the file in use, two old ones and the positions
		entries, err := os.ReadDir(dir)
		return err == nil && len(entries) <= 5
	})
}
