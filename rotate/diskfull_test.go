package rotate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// TestDiskFull runs TestOnASmallDisk in a process with a mount namespace of its own, where it may mount a small tmpfs. Whoever is not
// root gets a user namespace for it too.
func TestDiskFull(t *testing.T) {
	cmd := child("TestOnASmallDisk", "ROTATE_MOUNT="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	mustPass(t, cmd)
}

// TestOnASmallDisk has a disk of 2 MiB. Only TestDiskFull can give it that.
func TestOnASmallDisk(t *testing.T) {
	dir := os.Getenv("ROTATE_MOUNT")
	if dir == "" {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(t *testing.T, dir, ballast string){
		"lines wait in the ring": fillTheRing, "retention makes room": makeRoomByRetention, "bare": fillTheBareLibrary,
		"two Writers": fillWithAnother, "what waits is in the old file": rotateAfterwards, "chain": fillWithAChain,
	} {
		t.Run(name, func(t *testing.T) {
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
			ballast := filepath.Join(dir, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			test(t, dir, ballast)
		})
	}
}

// makeRoomByRetention rotates until only so much of the disk is free as must stay free; then the oldest files go.
func makeRoomByRetention(t *testing.T, dir, _ string) {
	const free, lines = 512 << 10, 5000
	w := open(t, filepath.Join(dir, "app.log"), Options{MinFree: free})
	for n := range 30 {
		var b strings.Builder
		for i := range lines {
			b.WriteString(numbered(n*lines + i))
		}
		write(t, w, b.String())
		if _, err := w.Rotate(); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "room", func() bool {
			var fs unix.Statfs_t
			return unix.Statfs(dir, &fs) == nil && int64(fs.Bavail)*fs.Bsize >= free
		})
	}
	all, err := w.list()
	if err != nil || len(all) < 3 || w.Stats().Removed != uint64(30-len(all)) {
		t.Fatalf("%d files are left, and %+v, %v", len(all), w.Stats(), err)
	}
	if text := read(t, filepath.Join(dir, all[0].file())); !strings.HasPrefix(text, numbered((30-len(all))*lines)) {
		t.Errorf("the oldest file left begins with %.20q", text)
	}
}

// fillTheBareLibrary shows what lumberjack does: the line after the one that was torn sticks to it.
func fillTheBareLibrary(t *testing.T, dir, ballast string) {
	path := filepath.Join(dir, "bare.log")
	l := bare(t, path)
	line := strings.Repeat("x", 4999) + "\n"
	var err error
	for err == nil {
		_, err = io.WriteString(l, line)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	write(t, l, "next\n")
	text := read(t, path)
	if last := text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]; last == "next\n" || !strings.HasSuffix(last, "xnext\n") {
		t.Errorf("after the torn line comes %.20q", last)
	}
}

// fillTheRing fills the disk, goes on writing until the ring has to drop lines, and makes room. The loss line then tells how many are
// missing, to the line.
func fillTheRing(t *testing.T, dir, ballast string) {
	w := open(t, filepath.Join(dir, "app.log"), Options{Ring: 256 << 10})
	n := 0
	batch := func() {
		var b strings.Builder
		for range 97 {
			b.WriteString(numbered(n))
			n++
		}
		write(t, w, b.String())
	}
	for w.Stats().Lost < 20_000 {
		batch()
	}
	s := w.Stats()
	if s.Stalls != 1 || !strings.Contains(s.WriteError, "no space left") {
		t.Errorf("%d stalls, error %q", s.Stalls, s.WriteError)
	}
	w.mu.Lock() // between two attempts of the keeper, whose half lines are cut off again
	text, err := os.ReadFile(filepath.Join(dir, "app.log"))
	w.mu.Unlock()
	if err != nil || len(text)%len(numbered(0)) != 0 {
		t.Errorf("the full file ends in a torn line: %d bytes, %v", len(text), err)
	}
	if err := w.Flush(); err == nil {
		t.Error("Flush says that all is well")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the ring to be written", func() bool { return w.Stats().Waiting == 0 })
	batch()
	lost := w.Stats().Lost
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	all := content(t, dir, "app")
	line := regexp.MustCompile(`(?m)^rotate: lost (\d+) lines .*no space left on device\n`).FindAllStringSubmatch(all, -1)
	if len(line) != 1 || line[0][1] != strconv.FormatUint(lost, 10) {
		t.Fatalf("the loss lines are %q; %d are lost", line, lost)
	}
	// The lines that are there are in order, with one gap, which is where the loss line stands and as large as it says.
	gap, next := 0, 0
	for _, l := range strings.SplitAfter(strings.TrimSuffix(all, "\n"), "\n") {
		if strings.HasPrefix(l, "rotate: ") {
			gap = next
			continue
		}
		var k int
		if _, err := fmt.Sscanf(l, "line %d end", &k); err != nil {
			t.Fatalf("a line reads %q", l)
		}
		if k != next {
			if next != gap || k-next != int(lost) {
				t.Fatalf("after line %d comes %d; the loss line is after %d and says %d", next-1, k, gap-1, lost)
			}
		}
		next = k + 1
	}
	if next != n {
		t.Errorf("the last line is %d of %d", next-1, n-1)
	}
}

// fillWithAnother has two Writers append to one file, as a reload does for a moment. When the disk takes a part of a line from one of them,
// it is not cut off what the other has written.
func fillWithAnother(t *testing.T, dir, ballast string) {
	path := filepath.Join(dir, "app.log")
	first := open(t, path, Options{})
	second := open(t, path, Options{})
	n := 0
	lines := func(w *Writer, k int) {
		var b strings.Builder
		for range k {
			b.WriteString(numbered(n))
			n++
		}
		write(t, w, b.String())
	}
	lines(first, 1000)
	lines(second, 1000)
	lines(first, 100_000) // more than there is room for
	if s := first.Stats(); s.Stalls != 1 {
		t.Errorf("%d stalls", s.Stalls)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the ring to be written", func() bool { return first.Stats().Waiting == 0 })
	if err := errors.Join(second.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	once(t, content(t, dir, "app"), n)
}

// TestRingCounts gives a ring lines in pieces of every size and compares it with what it should keep.
func TestRingCounts(t *testing.T) {
	for _, limit := range []int{0, 17, 18, 19, 100, 1000} {
		r := ring{limit: limit}
		defer r.release()
		var all strings.Builder
		for i := range 300 {
			all.WriteString(numbered(i))
		}
		text := all.String()
		lost, bytes := 0, 0
		for i, at := 1, 0; at < len(text); i++ {
			end := min(len(text), at+i%131+1)
			l, b := r.push([]byte(text[at:end]))
			lost, bytes, at = lost+l, bytes+b, end
		}
		first, second := r.parts(0, r.kept)
		if got := string(first) + string(second); got != text[bytes:] || lost != bytes/len(numbered(0)) || bytes%len(numbered(0)) != 0 || len(got) > limit {
			t.Errorf("limit %d: %d lines and %d bytes are lost, and %d bytes kept", limit, lost, bytes, len(got))
		}
	}
}

// TestWithoutARingTheErrorComesBack writes to the device that is always full.
func TestWithoutARingTheErrorComesBack(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "app.log"), Options{Ring: -1})
	write(t, w, "one\n")
	w.cur.out.Close()
	w.cur.out.Filename = "/dev/full"
	if n, err := w.Write([]byte("two\n")); n != 0 || err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("Write() = %d, %v", n, err)
	}
}

// rotateAfterwards fills the disk, makes room, and rotates or reopens at once, before the next attempt to write what waits is due: it has come
// before the command, so it belongs to the old file, which is on the disk when the command returns.
func rotateAfterwards(t *testing.T, dir, ballast string) {
	for _, how := range []string{"rotate", "reopen"} {
		w := open(t, filepath.Join(dir, how+".log"), Options{Ring: 1 << 20})
		n := 0
		for ; w.Stats().Waiting == 0; n++ {
			write(t, w, numbered(n))
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		old := filepath.Join(dir, how+".old")
		if how == "rotate" {
			r, err := w.Rotate()
			if err != nil {
				t.Fatal(err)
			}
			old = r.To
		} else {
			if err := os.Rename(w.path, old); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Reopen(); err != nil {
				t.Fatal(err)
			}
		}
		if text := read(t, old); !strings.HasSuffix(text, numbered(n-1)) {
			t.Errorf("%s: of %d lines the old file ends with %q", how, n, text[max(0, len(text)-30):])
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(old); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// fillWithAChain: the journal fills the disk together with the file, and both go on when there is room.
func fillWithAChain(t *testing.T, dir, ballast string) {
	w := open(t, filepath.Join(dir, "app.log"), Options{Chain: true})
	n := 0
	for w.Stats().Stalls == 0 {
		var b strings.Builder
		for range 100 {
			b.WriteString(numbered(n))
			n++
		}
		write(t, w, b.String())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the disk to take all", func() bool { s := w.Stats(); return s.Waiting == 0 && s.ChainError == "" })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if r, _, err := Verify(w.Path()); err != nil || len(r.Findings) > 0 || r.Lines != int64(n) {
		t.Errorf("%d of %d lines are proved: %v, %v", r.Lines, n, r.Findings, err)
	}
}
