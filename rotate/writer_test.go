package rotate

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

func TestSizeIsNeverExceededAndNoLineIsCut(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "app.log"), Options{Size: 100})
	var batch strings.Builder
	for i := range 200 {
		batch.WriteString(numbered(i))
		if i%7 == 6 {
			write(t, w, batch.String())
			batch.Reset()
		}
	}
	write(t, w, batch.String())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > 100 || info.Size()%int64(len(numbered(0))) != 0 {
			t.Errorf("%s has %d bytes, %v", name, info.Size(), err)
		}
	}
	once(t, content(t, dir, "app"), 200)
}

func TestLineLargerThanTheSizeGetsItsOwnFile(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "app.log"), Options{Size: 10})
	long := strings.Repeat("x", 50) + "\n"
	write(t, w, "a\n"+long+"b\n")
	w.Close()
	if n := len(names(t, dir)); n != 3 {
		t.Errorf("%d files; want 3", n)
	}
	if got := content(t, dir, "app"); got != "a\n"+long+"b\n" {
		t.Errorf("the files hold %q", got)
	}
}

func TestLineInPiecesStaysTogether(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "app.log"), Options{Size: 20})
	for range 5 {
		write(t, w, "one ")
		write(t, w, "line in ")
		write(t, w, "pieces\n")
	}
	w.Close()
	for _, name := range names(t, dir) {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		if strings.Trim(strings.ReplaceAll(string(b), "one line in pieces\n", ""), "") != "" {
			t.Errorf("%s holds %q", name, b)
		}
	}
}

func TestManyWritersAndRotationsAtOnce(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "app.log"), Options{Size: 2000, Compress: Gzip})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				write(t, w, numbered(g*500+i))
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			if _, err := w.Rotate(); err != nil {
				t.Error(err)
			}
			if _, err := w.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if s := w.Stats(); s.Lines != 2000 || s.Reopens != 50 {
		t.Errorf("Stats: %d lines, %d reopens; want 2000, 50", s.Lines, s.Reopens)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(dir, "app.log"), Options{}).Close() // removes what a cut off compression left
	once(t, content(t, dir, "app"), 2000)
}

func TestRotateReturnsWhenTheOldFileIsDone(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "app.log"), Options{})
	if r, err := w.Rotate(); err != nil || r.To != "" {
		t.Errorf("an empty file was rotated: %+v, %v", r, err)
	}
	write(t, w, "one\n")
	r, err := w.Rotate()
	if err != nil || r.Bytes != 4 {
		t.Fatalf("Rotate() = %+v, %v", r, err)
	}
	if b, err := os.ReadFile(r.To); string(b) != "one\n" || err != nil {
		t.Errorf("%s holds %q, %v", r.To, b, err)
	}
	if openDescriptors(t, r.To) != 0 {
		t.Errorf("%s is still open", r.To)
	}
}

func TestReopenAfterARename(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := open(t, path, Options{})
	write(t, w, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, w, "two\n")
	r, err := w.Reopen()
	if err != nil || r.Bytes != 8 || r.OldInode == r.NewInode {
		t.Fatalf("Reopen() = %+v, %v", r, err)
	}
	write(t, w, "three\n")
	if openDescriptors(t, path+".1") != 0 {
		t.Error("the renamed file is still open")
	}
	if b, _ := os.ReadFile(path + ".1"); string(b) != "one\ntwo\n" {
		t.Errorf("the renamed file holds %q", b)
	}
	if b, _ := os.ReadFile(path); string(b) != "three\n" {
		t.Errorf("the new file holds %q", b)
	}
	if r, err := w.Reopen(); err != nil || r.OldInode != r.NewInode {
		t.Errorf("Reopen() of the same file = %+v, %v", r, err)
	}
}

// openDescriptors counts the descriptors this process has on a path.
func openDescriptors(t *testing.T, path string) int {
	t.Helper()
	n := 0
	for _, fd := range names(t, "/proc/self/fd") {
		if to, err := os.Readlink("/proc/self/fd/" + fd); err == nil && to == path {
			n++
		}
	}
	return n
}

func TestScheduleRotatesOnTheNextWriteAndAcrossARestart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	day, err := ParseSchedule("day")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	later := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }

	w := open(t, path, Options{Schedule: day, Now: clock})
	write(t, w, numbered(0))
	later(25 * time.Hour)
	write(t, w, numbered(1))
	if n := len(names(t, dir)); n != 2 {
		t.Errorf("a day later there are %d files; want 2", n)
	}
	w.Close()

	later(25 * time.Hour)
	w = open(t, path, Options{Schedule: day, Now: clock})
	write(t, w, numbered(2))
	w.Close()
	if n := len(names(t, dir)); n != 3 {
		t.Errorf("after a restart on another day there are %d files; want 3", n)
	}
	once(t, content(t, dir, "app"), 3)
}

func TestScheduleRotatesWithoutAWrite(t *testing.T) {
	dir := t.TempDir()
	day, _ := ParseSchedule("day")
	var mu sync.Mutex
	now := time.Now()
	w := open(t, filepath.Join(dir, "app.log"), Options{Schedule: day, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	write(t, w, "x\n")
	mu.Lock()
	now = now.Add(25 * time.Hour)
	mu.Unlock()
	wait.Until(t, "a rotation by time alone", func() bool { return w.Stats().Rotations == 1 })
}

func TestUnfinishedLineOfAnEarlierProcessIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, []byte("one\ntw"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, path, Options{})
	write(t, w, "three\n")
	if b, _ := os.ReadFile(path); string(b) != "one\ntw\nthree\n" {
		t.Errorf("the file holds %q", b)
	}
}

func TestModeAndClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "app.log")
	w := open(t, path, Options{Mode: 0o604})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o604 {
		t.Errorf("mode %v, %v; want 0604", info.Mode(), err)
	}
	w.Close()
	if _, err := w.Write([]byte("x\n")); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	_, err1 := w.Rotate()
	_, err2 := w.Reopen()
	for _, err := range []error{err1, err2, w.Flush(), w.Close()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v; want ErrClosed", err)
		}
	}
}

func TestMovedDeletedAndTruncatedFilesAreFollowed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := open(t, path, Options{})
	write(t, w, "one\n")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "a new file after the move", func() bool { return w.Stats().Followed == 1 })
	write(t, w, "two\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "a new file after the removal", func() bool { return w.Stats().Followed == 2 })
	write(t, w, "three\n")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the truncation", func() bool { return w.Stats().Truncations == 1 })
	write(t, w, "four\n")
	if b, _ := os.ReadFile(path); string(b) != "four\n" {
		t.Errorf("after the truncation the file holds %q", b)
	}
	if b, _ := os.ReadFile(path + ".moved"); string(b) != "one\n" {
		t.Errorf("the moved file holds %q", b)
	}
	if err := os.WriteFile(path+".new", []byte("somebody's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the file that took its place", func() bool { return w.Stats().Followed == 3 })
	write(t, w, "five\n")
	if b, _ := os.ReadFile(path); string(b) != "somebody's\nfive\n" {
		t.Errorf("after the replacement the file holds %q", b)
	}
}

// TestDeletedFileThatCannotBeReplaced removes the file with its directory and puts something in the way of another: what comes then waits, as it
// would go where nobody can read it, and is written when the way is free.
func TestDeletedFileThatCannotBeReplaced(t *testing.T) {
	for _, hold := range []int64{0, 1 << 20} {
		var journal wait.Buffer
		logs := filepath.Join(t.TempDir(), "logs")
		w := open(t, filepath.Join(logs, "app.log"), Options{Hold: hold, Log: slog.New(slog.NewTextHandler(&journal, nil))})
		write(t, w, numbered(0))
		if err := errors.Join(os.Rename(logs, logs+".away"), os.WriteFile(logs, nil, 0o600), os.RemoveAll(logs+".away")); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "the loss of the file to be noticed", func() bool { return strings.Contains(w.Stats().WriteError, "deleted") })
		write(t, w, numbered(1)+numbered(2))
		if s := w.Stats(); s.Waiting != len(numbered(1)+numbered(2)) || s.Lines != 1 || s.ReopenError != "" {
			t.Errorf("%+v", s)
		}
		if err := w.Flush(); err == nil {
			t.Error("Flush says that all is well")
		}
		if err := os.Remove(logs); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "what waits to be written", func() bool { return w.Stats().Waiting == 0 && w.Stats().WriteError == "" })
		write(t, w, numbered(3))
		if got, want := content(t, logs, "app"), numbered(1)+numbered(2)+numbered(3); got != want {
			t.Errorf("the new file has %q; want %q", got, want)
		}
		if n := strings.Count(journal.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors were logged:\n%s", n, &journal)
		}
	}
}

// TestOwnerAndModeGoAlong wants them on the file, on the next one and on the compressed one.
func TestOwnerAndModeGoAlong(t *testing.T) {
	dir := t.TempDir()
	owner := &Owner{UID: -1, GID: os.Getegid()}
	if os.Geteuid() == 0 {
		owner = &Owner{UID: 12345, GID: 23456}
	}
	w := open(t, filepath.Join(dir, "app.log"), Options{Owner: owner, Mode: 0o660, Compress: Zstd, Naming: Numbered})
	write(t, w, "one\n")
	if _, err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the compression", func() bool { return w.Stats().Compressed == 1 })
	for _, name := range []string{"app.log", "app.log.1.zst"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if info.Mode().Perm() != 0o660 || int(st.Gid) != owner.GID || owner.UID >= 0 && int(st.Uid) != owner.UID {
			t.Errorf("%s: mode %v, owner %d:%d", name, info.Mode(), st.Uid, st.Gid)
		}
	}
}

func TestRotationThatCannotOpenANewFileGoesOnInTheOld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := open(t, path, Options{step: func(name string) {
		if name == "rotate: open" { // somebody puts a symlink where the new file should be
			if err := os.Symlink("/dev/null", path); err != nil {
				t.Error(err)
			}
		}
	}})
	write(t, w, "one\n")
	if _, err := w.Rotate(); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("Rotate() = %v; want an error that names the symbolic link", err)
	}
	write(t, w, "two\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, w, "three\n")
	if got := content(t, dir, "app"); got != "one\ntwo\nthree\n" {
		t.Errorf("the files hold %q", got)
	}
}

func TestOptionsThatMeanNothing(t *testing.T) {
	row := func(o Options, want string) {
		t.Helper()
		if _, err := Open(filepath.Join(t.TempDir(), "app.log"), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%+v) = %v; want %q", o, err, want)
		}
	}
	row(Options{Naming: "roman"}, `"roman" is not a naming; dated and numbered are`)
	row(Options{Compress: "bzip2"}, `"bzip2" is not a compression; none, gzip and zstd are`)
	row(Options{Keep: -1}, "negative")
	row(Options{MaxAge: -time.Hour}, "negative")
}

func TestWriteAllocatesNothing(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "app.log"), Options{Size: 1 << 40})
	p := []byte(strings.Repeat(numbered(1), 100))
	if n := testing.AllocsPerRun(100, func() { w.Write(p) }); n != 0 {
		t.Errorf("a Write costs %v allocations; want 0", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	w, err := Open(filepath.Join(b.TempDir(), "app.log"), Options{Size: 100 << 20, Keep: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	p := []byte(strings.Repeat(numbered(1), 1000))
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		w.Write(p)
	}
}
