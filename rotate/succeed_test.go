package rotate

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/test/wait"
)

// TestSecondWriterBeginsWhenTheFirstIsClosed opens a path anew with other options, as a reload does, while both get lines. Nothing is
// renamed or compressed before the first is closed, and then everything goes on.
func TestSecondWriterBeginsWhenTheFirstIsClosed(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		t.Run(string(naming), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			lines := func(w *Writer, from, to int) {
				for i := from; i < to; i++ {
					write(t, w, numbered(i))
				}
			}
			first := open(t, path, Options{Size: 100, Naming: Numbered, Compress: Gzip})
			lines(first, 0, 20)
			second := open(t, path, Options{Size: 200, Naming: naming, Compress: Zstd})
			rotated := first.Stats().Rotations
			lines(first, 20, 40)
			lines(second, 40, 60)
			if _, err := first.Rotate(); err == nil || !strings.Contains(err.Error(), "another Writer") {
				t.Errorf("the first one rotates: %v", err)
			}
			if a, b := first.Stats().Rotations, second.Stats().Rotations; a != rotated || b != 0 {
				t.Errorf("with two Writers there are %d and %d rotations", a-rotated, b)
			}
			var rotation sync.WaitGroup
			rotation.Go(func() {
				if r, err := second.Rotate(); err != nil || r.Bytes == 0 { // waits
					t.Errorf("the second one's rotation: %+v, %v", r, err)
				}
			})
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			rotation.Wait()
			lines(second, 60, 80)
			wait.Until(t, "compression", func() bool {
				all, err := second.list()
				plain := 0
				for _, b := range second.ours(all) {
					if b.form == None {
						plain++
					}
				}
				return err == nil && plain == 0 && second.Stats().Compressed > 0
			})
			second.Close()
			once(t, content(t, dir, "app"), 80)
		})
	}
}

// TestSecondWriterThatGoesFirst gives the path back, as a reload does that was refused.
func TestSecondWriterThatGoesFirst(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	first := open(t, path, Options{Compress: Gzip})
	second := open(t, path, Options{})
	third := open(t, path, Options{})
	if _, err := Open(path, Options{Owner: &Owner{UID: -1, GID: -1}, Keep: -1}); err == nil {
		t.Fatal("options that mean nothing")
	}
	write(t, first, numbered(0))
	second.Close() // in the middle
	if _, err := first.Rotate(); err == nil {
		t.Error("the first one rotates while the third is there")
	}
	third.Close()
	if _, err := first.Rotate(); err != nil {
		t.Error(err)
	}
	wait.Until(t, "the compression", func() bool { return first.Stats().Compressed == 1 })
	first.Close()
	if n := len(tenures.last); n != 0 {
		t.Errorf("%d paths are taken by nobody", n)
	}
	last := open(t, path, Options{})
	write(t, last, numbered(1))
	turn(t, last)
}

// TestSecondWriterSeesWholeLines opens a path anew and again while large writes are under way. Linux shows a file's size before such a write
// is through: a Writer that takes what it sees for half a line would end it, and leave an empty line after the write.
func TestSecondWriterSeesWholeLines(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	first := open(t, path, Options{})
	var lines strings.Builder
	for i := range 20_000 {
		lines.WriteString(numbered(i))
	}
	const writes = 20
	for range 20 {
		var writing sync.WaitGroup
		writing.Go(func() {
			for range writes {
				write(t, first, lines.String())
			}
		})
		second := open(t, path, Options{})
		third := open(t, path, Options{})
		third.Close()
		second.Close()
		writing.Wait()
		if n := len(read(t, path)); n != writes*lines.Len() {
			t.Fatalf("%d bytes were written, the file has %d", writes*lines.Len(), n)
		}
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
	}
}
