package rotate

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gopkg.in/natefinch/lumberjack.v2"

	"lbsyslogd/test/wait"
)

// Each hazard of the bare library is shown on it first, so that the day it is gone there this test says so; then the same is
// done to a Writer.

func bare(t *testing.T, path string) *lumberjack.Logger {
	t.Helper()
	l := &lumberjack.Logger{Filename: path}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestHazardQuickRotationsShareAName(t *testing.T) {
	run := func(w interface{ Write([]byte) (int, error) }, rotate func() error) {
		for i := range 200 {
			write(t, w, numbered(i))
			if err := rotate(); err != nil {
				t.Fatal(err)
			}
		}
	}
	theirs, ours := t.TempDir(), t.TempDir()
	l := bare(t, filepath.Join(theirs, "app.log"))
	run(l, l.Rotate)
	if n := strings.Count(content(t, theirs, "app"), "\n"); n == 200 {
		t.Error("the bare library kept all lines of 200 quick rotations")
	}
	w := open(t, filepath.Join(ours, "app.log"), Options{})
	run(w, func() error { _, err := w.Rotate(); return err })
	once(t, content(t, ours, "app"), 200)
}

func TestHazardTruncationLeavesAHole(t *testing.T) {
	run := func(path string, w interface{ Write([]byte) (int, error) }, rotate func()) []byte {
		write(t, w, "before\n")
		rotate()
		write(t, w, "between\n")
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		write(t, w, "after\n")
		b, _ := os.ReadFile(path)
		return b
	}
	path := filepath.Join(t.TempDir(), "app.log")
	l := bare(t, path)
	if b := run(path, l, func() { l.Rotate() }); !bytes.Contains(b, []byte{0}) {
		t.Errorf("the bare library left %q", b)
	}
	path = filepath.Join(t.TempDir(), "app.log")
	w := open(t, path, Options{})
	if b := run(path, w, func() { w.Rotate() }); string(b) != "after\n" {
		t.Errorf("the Writer left %q", b)
	}
}

func TestHazardMovedFileIsNeverNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	l := bare(t, path)
	write(t, l, "one\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, l, "two\n") // succeeds, and is gone
	if _, err := os.Stat(path); err == nil {
		t.Error("the bare library noticed that its file was removed")
	}
	// That a Writer notices is TestMovedDeletedAndTruncatedFilesAreFollowed.
}

func TestHazardSymlinkPlantedForTheCompressedFile(t *testing.T) {
	// Each has a victim of its own: the library goes on writing to its after the test has seen enough.
	plant := func(dir string, rotated string) (victim string) {
		victim = filepath.Join(t.TempDir(), "victim")
		if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(victim, filepath.Join(dir, filepath.Base(rotated)+".gz")); err != nil {
			t.Fatal(err)
		}
		return victim
	}
	theirs := t.TempDir()
	old := filepath.Join(theirs, "app-2020-01-01T00-00-00.000.log")
	if err := os.WriteFile(old, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	victim := plant(theirs, old)
	l := bare(t, filepath.Join(theirs, "app.log"))
	l.Compress = true
	write(t, l, "y\n")
	wait.Until(t, "the bare library to overwrite the symlink's target", func() bool {
		b, _ := os.ReadFile(victim)
		return string(b) != "precious"
	})

	ours := t.TempDir()
	old = filepath.Join(ours, "app-2020-01-01T00-00-00.000.log")
	if err := os.WriteFile(old, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	victim = plant(ours, old)
	w := open(t, filepath.Join(ours, "app.log"), Options{Compress: Gzip})
	wait.Until(t, "the Writer to refuse", func() bool { return w.Stats().CleanError != "" })
	if b, _ := os.ReadFile(victim); string(b) != "precious" {
		t.Errorf("the symlink's target holds %q", b)
	}
	if b, _ := os.ReadFile(old); string(b) != "x\n" {
		t.Errorf("the rotated file holds %q", b)
	}
}

func TestHazardSymlinkAndFIFOAtThePath(t *testing.T) {
	dir := t.TempDir()
	link, fifo := filepath.Join(dir, "link.log"), filepath.Join(dir, "fifo.log")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l := bare(t, link)
	write(t, l, "x\n")
	socket := filepath.Join(dir, "socket.log")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if w, err := Open(socket, Options{}); err == nil || !strings.Contains(err.Error(), "regular file") {
		w.Close()
		t.Errorf("Open of a socket: %v", err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "elsewhere")); err != nil || info.Size() != 2 {
		t.Error("the bare library did not follow the symlink")
	}
	for _, path := range []string{link, fifo, dir} {
		if w, err := Open(path, Options{}); err == nil {
			w.Close()
			t.Errorf("Open(%s) worked", path)
		}
	}
	if err := l.Rotate(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the bare library left the symlink where it was: %v", err)
	}
	r, err := os.OpenFile(fifo, os.O_RDONLY|unix.O_NONBLOCK, 0) // with a reader, opening it for writing works
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if w, err := Open(fifo, Options{}); err == nil || !strings.Contains(err.Error(), "regular file") {
		w.Close()
		t.Errorf("Open of a FIFO with a reader: %v", err)
	}
}

func TestHazardWriteLargerThanTheSizeIsRefused(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 1<<20+1)
	big[len(big)-1] = '\n'
	l := bare(t, filepath.Join(t.TempDir(), "app.log"))
	l.MaxSize = 1
	if _, err := l.Write(big); err == nil {
		t.Error("the bare library took a write larger than its size")
	}
	w := open(t, filepath.Join(t.TempDir(), "app.log"), Options{Size: 1 << 20})
	if n, err := w.Write(big); n != len(big) || err != nil {
		t.Errorf("the Writer: %d, %v", n, err)
	}
}

func TestHazardWriteAfterCloseReopens(t *testing.T) {
	l := bare(t, filepath.Join(t.TempDir(), "app.log"))
	write(t, l, "x\n")
	l.Close()
	if _, err := l.Write([]byte("y\n")); err != nil {
		t.Error("the bare library refuses a write after Close")
	}
	// That a Writer refuses is TestModeAndClosed.
}

func TestHazardGoroutinesPileUp(t *testing.T) {
	cycle := func(name string, open func(path string) interface {
		Write([]byte) (int, error)
		Close() error
	},
	) int {
		before := runtime.NumGoroutine()
		for i := range 50 {
			w := open(filepath.Join(t.TempDir(), fmt.Sprintf("%s%d.log", name, i)))
			write(t, w, "x\n")
			w.Close()
		}
		return runtime.NumGoroutine() - before
	}
	type writeCloser = interface {
		Write([]byte) (int, error)
		Close() error
	}
	if n := cycle("bare", func(path string) writeCloser { return &lumberjack.Logger{Filename: path} }); n < 40 {
		// Goroutines of earlier tests may end meanwhile, so not each of the 50 shows.
		t.Errorf("the bare library left %d goroutines of 50", n)
	}
	n := cycle("ours", func(path string) writeCloser {
		w, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return w
	})
	if n > 2 {
		t.Errorf("50 Writers one after the other left %d goroutines; want at most 2", n)
	}
}

func TestHazardAgeIsWrongByTheZone(t *testing.T) {
	mustPass(t, child("TestBareLibraryInTheFarWest", "TZ=Etc/GMT+12", "ROTATE_ZONE=1"))

	// lumberjack with LocalTime reads its local stamps as UTC. Ours are UTC on both ways, whatever the clock's zone.
	dir := t.TempDir()
	now := time.Now().In(time.FixedZone("far east", 12*3600))
	n := seriesOf("app.log")
	young, aged := n.dated(now.Add(-50*time.Minute)), n.dated(now.Add(-70*time.Minute))
	for _, name := range []string{young, aged} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, filepath.Join(dir, "app.log"), Options{MaxAge: time.Hour, Now: func() time.Time { return now }})
	wait.Until(t, "the older file to go", func() bool { return w.Stats().Removed == 1 })
	if _, err := os.Stat(filepath.Join(dir, young)); err != nil {
		t.Errorf("the younger file: %v", err)
	}
}

// TestBareLibraryInTheFarWest wants a clock that is twelve hours behind UTC.
func TestBareLibraryInTheFarWest(t *testing.T) {
	if os.Getenv("ROTATE_ZONE") == "" {
		return
	}
	dir := t.TempDir()
	young := filepath.Join(dir, "app-"+time.Now().Add(-13*time.Hour).Format(stampLayout)+".log")
	if err := os.WriteFile(young, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := bare(t, filepath.Join(dir, "app.log"))
	l.LocalTime, l.MaxAge = true, 1
	write(t, l, "y\n")
	wait.Until(t, "the bare library to take 13 hours for more than a day", func() bool {
		_, err := os.Stat(young)
		return os.IsNotExist(err)
	})
}

func TestHazardErrorsAreSwallowed(t *testing.T) {
	put := func(dir string) {
		for _, name := range []string{"app-2020-01-01T00-00-00.000.log", "app-2020-01-02T00-00-00.000.log"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "app-2020-01-02T00-00-00.000.log.gz"), 0o700); err != nil { // in the way
			t.Fatal(err)
		}
	}
	compressed := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "app-2020-01-01T00-00-00.000.log.gz"))
		return err == nil
	}
	theirs, ours := t.TempDir(), t.TempDir()
	put(theirs)
	l := bare(t, filepath.Join(theirs, "app.log"))
	l.Compress = true
	write(t, l, "y\n")
	wait.Until(t, "the bare library to compress what it can", func() bool { return compressed(theirs) })
	write(t, l, "z\n") // and nobody hears of what it could not

	put(ours)
	w := open(t, filepath.Join(ours, "app.log"), Options{Compress: Gzip})
	wait.Until(t, "the Writer to tell", func() bool { return strings.Contains(w.Stats().CleanError, "app-2020-01-02T00-00-00.000.log") })
	wait.Until(t, "the other file to be compressed", func() bool { return compressed(ours) })
}

func TestHazardNewFilesAreForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, bare(t, path), "x\n")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bare library made a file with mode %v, %v", info.Mode(), err)
	}
	path = filepath.Join(t.TempDir(), "app.log")
	open(t, path, Options{})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the Writer made a file with mode %v, %v", info.Mode(), err)
	}
}

func TestHazardRotateAfterLogrotateLeavesAnEmptyFile(t *testing.T) {
	// What logrotate with "create" does before its postrotate.
	logrotate := func(path string) {
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "app.log")
	l := bare(t, path)
	write(t, l, "x\n")
	logrotate(path)
	if err := l.Rotate(); err != nil {
		t.Fatal(err)
	}
	if n := len(names(t, filepath.Dir(path))); n != 3 {
		t.Errorf("the bare library left %d files", n)
	}
	path = filepath.Join(t.TempDir(), "app.log")
	w := open(t, path, Options{})
	write(t, w, "x\n")
	logrotate(path)
	if _, err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	if n := len(names(t, filepath.Dir(path))); n != 2 {
		t.Errorf("the Writer left %d files", n)
	}
}

func TestHazardDirectoryThatCannotBeWrittenTo(t *testing.T) {
	mustPass(t, child("TestAsNobodyInAReadOnlyDirectory", "ROTATE_READONLY="+t.TempDir()))
}

// TestAsNobodyInAReadOnlyDirectory gives up root's rights, for good.
func TestAsNobodyInAReadOnlyDirectory(t *testing.T) {
	dir := os.Getenv("ROTATE_READONLY")
	if dir == "" {
		return
	}
	for _, at := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := errors.Join(os.Chown(dir, nobody, nobody), unix.Setgid(nobody), unix.Setuid(nobody)); err != nil {
			t.Fatal(err)
		}
	}
	l := &lumberjack.Logger{Filename: filepath.Join(dir, "bare.log"), MaxSize: 1}
	var journal wait.Buffer
	w, err := Open(filepath.Join(dir, "app.log"), Options{Size: 1 << 20, Log: slog.New(slog.NewTextHandler(&journal, nil))})
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 4999) + "\n")
	fail := func(to interface{ Write([]byte) (int, error) }) (n int) {
		for range 1000 {
			if _, err := to.Write(line); err != nil {
				n++
			}
		}
		return n
	}
	write(t, l, "first\n")
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if n := fail(l); n < 500 {
		t.Errorf("of the bare library's writes %d fail", n)
	}
	if n := fail(w); n > 0 {
		t.Errorf("%d writes fail", n)
	}
	// Reported once, and not tried with each write.
	if s := w.Stats(); s.RotateError == "" || s.Lines != 1000 || s.Failures > 20 || strings.Count(journal.String(), "level=ERROR") != 1 {
		t.Errorf("%+v, and the log says %s", s, &journal)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if s := w.Stats(); s.Failures > 2 {
		t.Errorf("it was tried %d times, with each line", s.Failures)
	}
	wait.Until(t, "the rotation to be tried again", func() bool { write(t, w, string(line)); return w.Stats().Rotations == 1 })
	if s := w.Stats(); s.RotateError != "" {
		t.Errorf("after that: %+v", s)
	}
	w.Close()

	// An owner that only root may give: the file is used all the same, and so is each new one.
	var another wait.Buffer
	w, err = Open(filepath.Join(dir, "theirs.log"), Options{Owner: &Owner{UID: 0, GID: 0}, Log: slog.New(slog.NewTextHandler(&another, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		write(t, w, numbered(i))
		if _, err := w.Rotate(); err != nil {
			t.Error(err)
		}
	}
	if s := w.Stats(); s.Rotations != 3 || s.Failures > 0 || strings.Count(another.String(), "level=") != 1 || !strings.Contains(another.String(), "chown") {
		t.Errorf("%+v, and the log says %s", s, &another)
	}
	w.Close()
}
