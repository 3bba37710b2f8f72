package rotate

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// follow reads with f until it has seen n bytes.
func follow(t *testing.T, f *Follower, n int) string {
	t.Helper()
	var all bytes.Buffer
	wait.Until(t, "lines to follow", func() bool {
		for {
			lines, err := f.Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(lines) == 0 {
				return all.Len() >= n
			}
			all.Write(lines)
		}
	})
	return all.String()
}

func followed(t *testing.T, w *Writer, p *Position) (*Follower, bool) {
	t.Helper()
	f, found, err := w.Follow(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, found
}

// TestFollowThroughRotations reads while a thousand rotations, compressions and removals go on, and begins anew in the middle again
// and again, from a position that went through a restart.
func TestFollowThroughRotations(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		t.Run(string(naming), func(t *testing.T) { followThroughRotations(t, naming) })
	}
}

func followThroughRotations(t *testing.T, naming Naming) {
	path := filepath.Join(t.TempDir(), "a.log")
	o := Options{Size: 500, Keep: 2, Compress: Gzip, Hold: 1 << 30, Naming: naming}
	w := open(t, path, o)
	f, _ := followed(t, w, nil)
	const n = 20_000 / rare
	var writer sync.WaitGroup
	defer writer.Wait()
	writer.Go(func() {
		for i := range n {
			if _, err := w.Write([]byte(numbered(i))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var got strings.Builder
	size := len(numbered(0))
	last := time.Now()
	for step := 0; got.Len() < n*size; step++ {
		lines, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		switch now := time.Now(); {
		case len(lines) > 0:
			last = now
		case now.Sub(last) > time.Minute:
			t.Fatalf("after %d bytes of %d nothing came for a minute", got.Len(), n*size)
		}
		got.Write(lines)
		p := f.Position()
		f.Release(p)
		if step%50 == 0 {
			if found, err := f.Seek(p); !found || err != nil {
				t.Fatalf("%+v is not found again: %v", p, err)
			}
		}
	}
	writer.Wait()
	once(t, got.String(), n)
	if strings.Index(got.String(), numbered(100)) > strings.Index(got.String(), numbered(101)) {
		t.Error("out of order")
	}
	if s := w.Stats(); s.Unheld != 0 || s.Rotations < n/40 {
		t.Errorf("%+v", s)
	}
}

// TestFollowMissesNoRotation has two rotations come while the Follower looks for the next file: the first of them, which had no name yet
// when it began to look, is not passed over for the second.
func TestFollowMissesNoRotation(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		t.Run(string(naming), func(t *testing.T) {
			var meanwhile func()
			w := open(t, filepath.Join(t.TempDir(), "a.log"), Options{Hold: 1 << 20, Naming: naming, step: func(name string) {
				if name == "follow: list" && meanwhile != nil {
					do := meanwhile
					meanwhile = nil
					do()
				}
			}})
			f, _ := followed(t, w, nil)
			next := 0
			line := func() {
				write(t, w, numbered(next))
				next++
			}
			turn := func() {
				line()
				if _, err := w.Rotate(); err != nil {
					t.Fatal(err)
				}
			}
			turn()
			meanwhile = func() {
				turn()
				turn()
				line()
			}
			once(t, follow(t, f, 4*len(numbered(0))), 4)
		})
	}
}

// TestHold holds that nothing is compressed or removed before it is released, also over a restart, and that there is a limit.
func TestHold(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		t.Run(string(naming), func(t *testing.T) { holds(t, naming) })
	}
}

func holds(t *testing.T, naming Naming) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	o := Options{Keep: 1, Compress: Gzip, Hold: 1 << 20, Naming: naming}
	w := open(t, path, o)
	f, _ := followed(t, w, nil)
	start := f.Position()
	for i := range 5 {
		write(t, w, numbered(i))
		if _, err := w.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, path, o)
	f, found := followed(t, w, &start)
	if got := follow(t, f, 5*len(numbered(0))); !found || strings.Count(got, "\n") != 5 {
		t.Errorf("found %v: %q", found, got)
	}
	if behind, err := w.Behind(start); err != nil || behind != int64(5*len(numbered(0))) {
		t.Errorf("%d bytes after the start: %v", behind, err)
	}
	f.Release(f.Position())
	wait.Until(t, "retention to have its way", func() bool {
		left := names(t, dir)
		return len(left) == 2 && (strings.HasSuffix(left[0], ".gz") || strings.HasSuffix(left[1], ".gz"))
	})

	w.Close()
	o.Hold = int64(2 * len(numbered(0)))
	w = open(t, path, o)
	p := f.Position()
	f, _ = followed(t, w, &p)
	for i := range 5 {
		write(t, w, numbered(i))
		if _, err := w.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	wait.Until(t, "the oldest to be given up", func() bool {
		return w.Stats().Unheld == uint64(3*len(numbered(0))) && len(names(t, dir)) == 3
	})
	f.Close()
	f, found = followed(t, w, &Position{Inode: 1, After: p.After})
	if got := follow(t, f, 1); found || got != numbered(3)+numbered(4) {
		t.Errorf("found %v: %q", found, got)
	}
}

// TestFollowWhatOthersDo has somebody rename and truncate the file.
func TestFollowWhatOthersDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write := func(w *Writer, n int) { write(t, w, numbered(n)) }
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, path, Options{Hold: 1 << 20})
	f, _ := followed(t, w, nil)
	write(w, 0)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(w, 1)
	p := f.Position()
	if _, err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(w, 2)
	if got := follow(t, f, 1); got != numbered(0)+numbered(1)+numbered(2) {
		t.Errorf("got %q", got)
	}
	if found, err := f.Seek(p); !found || err != nil {
		t.Errorf("the renamed file: found %v, %v", found, err)
	}
	if got := follow(t, f, 1); strings.Count(got, "\n") != 3 {
		t.Errorf("got %q", got)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if lines, err := f.Next(); len(lines) > 0 || err != nil {
		t.Errorf("after a truncation: %q, %v", lines, err)
	}
	write(w, 3)
	if got := follow(t, f, 1); got != numbered(3) {
		t.Errorf("got %q", got)
	}
}

func TestFollowWantsAHold(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "a.log"), Options{})
	if _, _, err := w.Follow(nil); err == nil || !strings.Contains(err.Error(), "Hold") {
		t.Errorf("Follow() = %v", err)
	}
}

// TestFollowAsLogrotateRotates has logrotate rename the file again and again, each time after it was read: nothing is read twice, nor
// counted as if it were still to be read.
func TestFollowAsLogrotateRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	w := open(t, path, Options{Hold: 1 << 20})
	f, _ := followed(t, w, nil)
	var all strings.Builder
	const rotations = 5
	for n := range rotations {
		write(t, w, numbered(n))
		all.WriteString(follow(t, f, len(numbered(n))))
		for old := n; old > 0; old-- {
			rename(t, fmt.Sprint(path, ".", old), fmt.Sprint(path, ".", old+1))
		}
		rename(t, path, path+".1")
		if _, err := w.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	write(t, w, numbered(rotations))
	all.WriteString(follow(t, f, 1))
	once(t, all.String(), rotations+1)
	if behind, err := w.Behind(f.Position()); behind != 0 || err != nil {
		t.Errorf("%d bytes are after the last line: %v", behind, err)
	}
}

// TestFollowAFileTruncatedUnderASlowReader empties the file while much of it is unread, and lets it grow to more than it was before the reader
// looks again: each line that comes is whole, what was cut off is counted, and all that was written after it comes.
func TestFollowAFileTruncatedUnderASlowReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	w := open(t, path, Options{Hold: 1 << 30})
	f, _ := followed(t, w, nil)
	line := func(n int) string { return fmt.Sprintf("line %d %s end\n", n, strings.Repeat("x", n%97)) }
	n, size := 0, 0
	more := func(bytes int) {
		for size = 0; size < bytes; n++ {
			write(t, w, line(n))
			size += len(line(n))
		}
	}
	next := func() string {
		t.Helper()
		lines, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		return string(lines)
	}
	more(500_000)
	before := n
	f.Bound(1000)
	read := strings.Count(next(), "\n")
	behind, err := w.Behind(f.Position())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	more(700_000)
	f.Bound(0)
	want, got := "", ""
	for k := before; k < n; k++ {
		want += line(k)
	}
	wait.Until(t, "what was written after the truncation", func() bool {
		got += next()
		return len(got) >= len(want)
	})
	if got != want {
		t.Errorf("%d bytes came after the truncation, want %d; they begin %.60q", len(got), len(want), got)
	}
	if m := f.Missed(); m.Times != 1 || m.Bytes != uint64(behind) {
		t.Errorf("after %d of %d lines were read, missed is %+v; want %d bytes", read, before, m, behind)
	}
}

// TestFollowAnotherFileUnderTheSameInode has a position in a file whose inode another has by now, with lines of one length and the same end: the
// other one is read from its beginning.
func TestFollowAnotherFileUnderTheSameInode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	line := func(n int) string {
		return fmt.Sprintf("<13>1 2026-11-21T03:04:05.000000Z h app - - - number %07d %s end\n", n, strings.Repeat("x", 120))
	}
	w := open(t, path, Options{Hold: 1 << 30})
	f, _ := followed(t, w, nil)
	for n := range 100 {
		write(t, w, line(n))
	}
	follow(t, f, 100*len(line(0)))
	p := f.Position()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var others strings.Builder
	for n := range 150 {
		others.WriteString(line(1000 + n))
	}
	if err := os.WriteFile(path, []byte(others.String()), 0o600); err != nil { // keeps the inode
		t.Fatal(err)
	}
	w = open(t, path, Options{Hold: 1 << 30})
	f, found := followed(t, w, &p)
	if got := follow(t, f, others.Len()); found || got != others.String() {
		t.Errorf("found %v, and %d of %d bytes were read", found, len(got), others.Len())
	}
}

// TestFollowFilesThatAreRemoved has somebody remove the directory while a slow reader is in a file before: what was written meanwhile cannot be
// read, and is counted. A file that was read is not.
func TestFollowFilesThatAreRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "a.log")
	w := open(t, path, Options{Hold: 1 << 30})
	f, _ := followed(t, w, nil)
	remove := func() { // and waits until the Writer has another file
		t.Helper()
		before := w.Stats().Followed
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "a new file", func() bool { return w.Stats().Followed > before })
	}
	write(t, w, numbered(0))
	if got := follow(t, f, 1); got != numbered(0) {
		t.Fatalf("got %q", got)
	}
	remove()
	write(t, w, numbered(1))
	write(t, w, numbered(2))
	remove() // not read
	write(t, w, numbered(3))
	if got := follow(t, f, 1); got != numbered(3) {
		t.Errorf("got %q", got)
	}
	if m := f.Missed(); m.Times != 1 || m.Bytes != uint64(2*len(numbered(0))) {
		t.Errorf("missed is %+v after two lines were taken away", m)
	}
	remove()
	write(t, w, numbered(4))
	if got := follow(t, f, 1); got != numbered(4) || f.Missed().Times != 1 {
		t.Errorf("got %q, missed is %+v", got, f.Missed())
	}
}
