package rotate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// What follows has something happen between two steps of another goroutine, or of somebody else, where only bad luck would put it.

// rename is somebody else's.
func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// alone ends a Writer's goroutines, so that nobody comes between the test's own steps.
func alone(w *Writer) {
	w.cancel()
	w.tasks.Wait()
}

// TestMovedFileIsNotRotatedYet has somebody give the current file the name of a rotated one, as logrotate does, and the janitor come
// before the Writer has noticed: what is written until then is not lost with it.
func TestMovedFileIsNotRotatedYet(t *testing.T) {
	for what, o := range map[string]Options{"compress": {Naming: Numbered, Compress: Gzip}, "remove": {Naming: Numbered, MaxTotal: 1}} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			w := open(t, path, o)
			write(t, w, numbered(0))
			rename(t, path, path+".1")
			if _, err := w.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			write(t, w, numbered(1))
			if what == "remove" {
				once(t, content(t, dir, "app"), 2)
				return
			}
			if _, err := w.Reopen(); err != nil {
				t.Fatal(err)
			}
			wait.Until(t, "the compression", func() bool { return w.Stats().Compressed == 1 })
			w.Close()
			once(t, content(t, dir, "app"), 2)
		})
	}
}

// TestRetentionDuringACompression has a compression wait for the processor, as one of low priority does on a busy machine, while files are
// rotated: the old ones go all the same.
func TestRetentionDuringACompression(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(end) })
	w := open(t, filepath.Join(t.TempDir(), "app.log"), Options{
		Keep: 2, Compress: Gzip,
		Compressor: func(ctx context.Context, dst, src *os.File, form Compression) error {
			select {
			case begun <- struct{}{}:
			case <-end:
			}
			<-end
			return CompressInProcess(ctx, dst, src, form)
		},
	})
	t.Cleanup(goOn)
	write(t, w, numbered(0))
	turn(t, w)
	<-begun
	for i := range 9 {
		write(t, w, numbered(i+1))
		turn(t, w)
	}
	wait.Until(t, "retention", func() bool { return w.Stats().Removed == 8 })
	goOn()
	wait.Until(t, "the compression of those that are left", func() bool { return w.Stats().Compressed == 2 })
	if s := w.Stats(); s.Removed != 8 || s.CleanError != "" {
		t.Errorf("%+v", s)
	}
}

// TestLateLinesAreNotCompressedAway has another process append to a rotated file while it is compressed.
func TestLateLinesAreNotCompressedAway(t *testing.T) {
	dir := t.TempDir()
	var late *os.File
	w := open(t, filepath.Join(dir, "app.log"), Options{Compress: Gzip, step: func(name string) {
		if name == "compress: rename" && late != nil {
			_, err := late.WriteString(numbered(1))
			if late = nil; err != nil {
				t.Error(err)
			}
		}
	}})
	write(t, w, numbered(0))
	file, err := os.OpenFile(filepath.Join(dir, "app.log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	late = file
	turn(t, w)
	wait.Until(t, "the compression", func() bool { return w.Stats().Compressed == 1 })
	w.Close()
	once(t, content(t, dir, "app"), 2)
}

// TestFollowWhileOthersRename has logrotate rename files while the Follower reads the directory, so that one of them has neither its old
// name nor its new one there.
func TestFollowWhileOthersRename(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	var meanwhile func()
	w := open(t, path, Options{Hold: 1 << 20, step: func(name string) {
		if name == "list: read" && meanwhile != nil {
			do := meanwhile
			meanwhile = nil
			do()
		}
	}})
	alone(w)
	f, _ := followed(t, w, nil)
	next := 0
	line := func() {
		write(t, w, numbered(next))
		next++
	}
	shift := func(n int) {
		for ; n > 0; n-- {
			rename(t, path+"."+string(rune('0'+n)), path+"."+string(rune('1'+n)))
		}
	}
	for n := range 3 { // as logrotate does
		line()
		shift(n)
		rename(t, path, path+".1")
		if _, err := w.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	line()
	start := f.Position()
	id, err := identify(path + ".2")
	if err != nil {
		t.Fatal(err)
	}
	size := len(numbered(0))
	if lines, err := f.Next(); string(lines) != numbered(0) || err != nil {
		t.Fatalf("%q, %v", lines, err)
	}
	if err := os.Remove(path + ".3"); err != nil { // it was read
		t.Fatal(err)
	}
	meanwhile = func() { shift(2) } // the next file is not seen
	rest := follow(t, f, 3*size)
	once(t, numbered(0)+rest, 4)

	second := Position{Inode: id.ino, After: start.After}
	meanwhile = func() { // nor is the one to begin with
		rename(t, path+".3", path+".4")
		rename(t, path+".2", path+".3")
	}
	if found, err := f.Seek(second); !found || err != nil {
		t.Fatalf("found %v, %v", found, err)
	}
	if again := follow(t, f, 3*size); again != rest {
		t.Errorf("from the second file on: %q", again)
	}
	if b, err := w.Behind(f.Position()); b != 0 || err != nil {
		t.Errorf("%d bytes are after the last line: %v", b, err)
	}
}

// TestClockSetBack has the clock wrong by years when a rotation comes: the one after it does not wait for them.
func TestClockSetBack(t *testing.T) {
	hourly, err := ParseSchedule("hour")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2040, 1, 1, 12, 30, 0, 0, time.UTC)
	w := open(t, filepath.Join(t.TempDir(), "app.log"), Options{Schedule: hourly, Now: func() time.Time { return now }})
	alone(w)
	w.look()
	now = time.Date(2026, 11, 21, 12, 30, 0, 0, time.UTC)
	w.look()
	if want := time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC); !w.next.Equal(want) {
		t.Errorf("the next rotation is at %v; want %v", w.next, want)
	}
	next := w.next
	now = now.Add(time.Minute)
	w.look()
	if !w.next.Equal(next) {
		t.Errorf("with a clock that goes on, the next rotation is at %v", w.next)
	}
}

// TestCloseThatLosesLines closes a Writer whose disk takes nothing: what waited is lost, and not waiting any more.
func TestCloseThatLosesLines(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "app.log"), Options{Ring: 5 * len(numbered(0))})
	write(t, w, numbered(0))
	w.cur.out.Close()
	w.cur.out.Filename = "/dev/full"
	for i := range 8 {
		write(t, w, numbered(i+1))
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "8 lines are lost") {
		t.Errorf("Close() = %v", err)
	}
	if s := w.Stats(); s.Lines != 1 || s.Lost != 8 || s.LostBytes != uint64(8*len(numbered(0))) || s.Waiting != 0 || s.WaitingLines != 0 {
		t.Errorf("%+v", s)
	}
}
