package write

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
	"lbsyslogd/test/wait"
)

func newSet(t *testing.T, dir string, limits Limits) *Set {
	t.Helper()
	s := NewSet("files", limits, func(file string) (*Output, error) {
		if strings.HasPrefix(file, "bad") {
			return nil, errors.New("no such luck")
		}
		w, err := rotate.Open(filepath.Join(dir, file), rotate.Options{})
		if err != nil {
			return nil, err
		}
		return New(file, w, 1<<20, nil), nil
	})
	return s
}

// TestSetUnderPressure has more files than may be open, several readers, and counts every line.
func TestSetUnderPressure(t *testing.T) {
	dir := t.TempDir()
	s := newSet(t, dir, Limits{Open: 3, Names: 1000, Other: "other"})
	const readers, files, rounds = 3, 20, 15
	var all sync.WaitGroup
	for r := range readers {
		all.Go(func() {
			for i := range rounds * files {
				s.Give(fmt.Sprint("f", i%files), fmt.Appendf(nil, "%d %d\n", r, i), 1)
			}
		})
	}
	all.Wait()
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if c := s.Counts(); c.Written != readers*files*rounds || c.Given != c.Written || c.Names != files || c.Open > 3+readers {
		t.Errorf("%+v", c)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if c := s.Counts(); c.Written != readers*files*rounds || c.Open != 0 {
		t.Errorf("%+v", c)
	}
	for i := range files {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("f", i)))
		if err != nil || strings.Count(string(text), "\n") != readers*rounds {
			t.Errorf("file %d has %d lines: %v", i, strings.Count(string(text), "\n"), err)
		}
	}
}

func TestSetRefusesNames(t *testing.T) {
	dir := t.TempDir()
	s := newSet(t, dir, Limits{Open: 10, Names: 2, Other: "other"})
	defer s.Close()
	for _, file := range []string{"a", "a-2026-11-21T03-04-05.678.log", "b.gz", "c", "d", "a"} {
		s.Give(file, []byte("line\n"), 1)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "other"))
	if c := s.Counts(); err != nil || len(text) != 4*5 || c.Renamed != 4 || c.Open != 2 || c.Written != 6 {
		t.Errorf("%q in the other file: %v; %+v", text, err, c)
	}
}

// TestSetThatCannotOpen: each file that cannot be opened is named until it can be, whatever happens with the others, and so is each that is open and does not
// work; but of many, a few and their number.
func TestSetThatCannotOpen(t *testing.T) {
	dir := t.TempDir()
	var luck atomic.Bool
	s := NewSet("files", Limits{Open: 30, Names: 100, Other: "other"}, func(file string) (*Output, error) {
		if strings.HasPrefix(file, "bad") && !luck.Load() {
			return nil, errors.New("no such luck: " + file)
		}
		w, err := rotate.Open(filepath.Join(dir, file), rotate.Options{Size: 10, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		return New(file, w, 1<<20, nil), nil
	})
	errs := func(want ...string) {
		t.Helper()
		if c := s.Counts(); !slices.Equal(c.Errors, want) {
			t.Errorf("the errors are %q, want %q", c.Errors, want)
		}
	}
	give := func(files ...string) {
		for _, file := range files {
			s.Give(file, []byte("a line\n"), 1)
		}
	}
	give("bad1", "bad2")
	if c := s.Counts(); c.Given != 2 || c.Lost != 2 {
		t.Errorf("%+v", c)
	}
	errs("no such luck: bad1", "no such luck: bad2")
	give("good", "bad2")
	errs("no such luck: bad1", "no such luck: bad2") // that others are fine does not help
	luck.Store(true)
	give("bad2")
	errs("no such luck: bad1")
	s.sweep(time.Now().Add(idleTime / 2))
	errs("no such luck: bad1")
	s.sweep(time.Now().Add(idleTime + time.Second))
	errs()
	luck.Store(false)
	for i := range 15 {
		give(fmt.Sprintf("bad-%02d", i))
	}
	if c := s.Counts(); len(c.Errors) != mostTroubles+1 || c.Errors[0] != "no such luck: bad-00" || c.Errors[mostTroubles] != "and 5 more" {
		t.Errorf("of many: %q", c.Errors)
	}
	s.sweep(time.Now().Add(idleTime + time.Second))

	// Two files that are open, with a directory in the place of each.
	give("bad1", "good", "well")
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"good", "well"} {
		path := filepath.Join(dir, file)
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	wait.Until(t, "both files to be missed", func() bool {
		c := s.Counts()
		return len(c.Errors) == 3 && c.Errors[0] == "no such luck: bad1" && strings.Contains(c.Errors[1], filepath.Join(dir, "good"))
	})
	for _, file := range []string{"good", "well"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	wait.Until(t, "both files to be there again", func() bool { return len(s.Counts().Errors) == 1 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestSetWithoutDescriptors: where clients have taken most of them, fewer files are open at a time, and no line is lost.
func TestSetWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Error(err)
		}
		return len(list)
	}
	most, refused := descriptors()+15, 0
	s := NewSet("files", Limits{Open: 100, Names: 100, Other: "other"}, func(file string) (*Output, error) {
		if descriptors() > most {
			refused++
			return nil, &os.PathError{Op: "open", Path: file, Err: unix.EMFILE}
		}
		w, err := rotate.Open(filepath.Join(dir, file), rotate.Options{})
		if err != nil {
			return nil, err
		}
		return New(file, w, 1<<20, nil), nil
	})
	s.Failed = func(file string, err error) { t.Errorf("%s: %v", file, err) }
	const files, rounds = 30, 3
	for i := range files * rounds {
		s.Give(fmt.Sprint("f", i%files), []byte("a line\n"), 1)
		if err := s.Drain(t.Context()); err != nil { // what has lines on the way is not parked
			t.Fatal(err)
		}
	}
	if c := s.Counts(); c.Written != files*rounds || c.Lost > 0 || len(c.Errors) > 0 || c.Open > 10 || refused == 0 {
		t.Errorf("%+v, and %d were refused", c, refused)
	}
	for range 10 {
		s.sweep(time.Now())
	}
	if s.room != 0 {
		t.Errorf("minutes later there is room for %d", s.room)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestSetForgets(t *testing.T) {
	s := newSet(t, t.TempDir(), Limits{Open: 10, Names: 10, Other: "other"})
	defer s.Close()
	s.Give("a", []byte("line\n"), 1)
	s.sweep(time.Now())
	if c := s.Counts(); c.Open != 1 {
		t.Errorf("%+v", c)
	}
	s.sweep(time.Now().Add(2 * idleTime))
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if c := s.Counts(); c.Open != 0 || c.Names != 1 || c.Written != 1 {
		t.Errorf("%+v", c)
	}
	s.sweep(time.Now().Add(2 * forgetTime))
	if c := s.Counts(); c.Names != 0 {
		t.Errorf("%+v", c)
	}
}

// TestSetDrainsWhatLeavesMeanwhile has files idle for long while Drain waits for another: they are not put out before it has looked at them,
// and when Each returns, nobody has those open that were on their way out.
func TestSetDrainsWhatLeavesMeanwhile(t *testing.T) {
	s := newSet(t, t.TempDir(), Limits{Open: 10, Names: 10, Other: "other"})
	defer s.Close()
	stuck := make(map[string]*Output)
	for _, name := range []string{"a", "b", "c"} {
		s.Give(name, []byte("first\n"), 1)
		o := s.members[name].Output
		stuck[name] = o
		o.mu.Lock()
		o.busy = true
		o.mu.Unlock()
		s.Give(name, []byte("second\n"), 1)
	}
	loosen := func(name string) {
		o := stuck[name]
		o.mu.Lock()
		defer o.mu.Unlock()
		o.busy = false
		o.idle.Broadcast()
	}
	evict := func(name string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.evict(name, s.members[name])
	}
	evict("a")
	drained := make(chan error)
	go func() { drained <- s.Drain(t.Context()) }()
	wait.Until(t, "Drain to wait", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.members["b"].users+s.members["c"].users > 0
	})
	s.sweep(time.Now().Add(2 * idleTime))
	if b, c := s.members["b"], s.members["c"]; b.closed != nil || c.closed != nil {
		t.Error("a file is put out that Drain waits for")
	}
	for name := range stuck {
		loosen(name)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	evict("b")
	if err := s.Each(func(*Output) error { return nil }); err != nil {
		t.Error(err)
	}
	if c := s.Counts(); c.Open != 1 || c.Written != 6 {
		t.Errorf("%+v", c)
	}
}

// TestSetOfDates has names with a date in them: those of the next day take the place of those of the last, and others are kept to the limit.
func TestSetOfDates(t *testing.T) {
	s := newSet(t, t.TempDir(), Limits{Open: 20, Names: 10, Other: "_other"})
	defer s.Close()
	for _, day := range []int{21, 22, 23} {
		for host := range 8 {
			s.Give(fmt.Sprintf("h%d-%d", host, day), []byte("line\n"), 1)
		}
	}
	if c := s.Counts(); c.Renamed != 14-10 { // as many in an hour
		t.Errorf("%+v", c)
	}
	s = newSet(t, t.TempDir(), Limits{Open: 20, Names: 10, Other: "_other"})
	defer s.Close()
	for _, day := range []int{21, 22} {
		for host := range 8 {
			s.Give(fmt.Sprintf("h%d-%d", host, day), []byte("line\n"), 1)
		}
	}
	if c := s.Counts(); c.Renamed != 0 || c.Names != 10 {
		t.Errorf("%+v", c)
	}
	for _, name := range []string{"x", "y"} {
		s.Give(name, []byte("line\n"), 1)
	}
	if c := s.Counts(); c.Renamed != 2 {
		t.Errorf("%+v", c)
	}
}

// TestSetParks writes to more files than may be open, and finds no more descriptors than that.
func TestSetParks(t *testing.T) {
	const files, open, rounds = 60, 10, 20
	s := newSet(t, t.TempDir(), Limits{Open: open, Names: 1000, Other: "other"})
	defer s.Close()
	before := descriptors(t)
	for i := range files * rounds {
		s.Give(fmt.Sprint("f", i%files), []byte("line\n"), 1)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	// A file has two descriptors, and its directory one. One that was in the middle of something is parked when another is used.
	wait.Until(t, "the files to be parked", func() bool {
		if descriptors(t) <= before+3*open {
			return true
		}
		s.Give("f0", []byte("line\n"), 1)
		return false
	})
	c := s.Counts()
	if c.Written != c.Given || c.Given < files*rounds || c.Open > open+2 || c.Names != files {
		t.Errorf("%+v", c)
	}
	n := 0
	if err := s.Each(func(o *Output) error { n++; return o.File().Flush() }); err != nil || n != files {
		t.Errorf("%d files are flushed: %v", n, err)
	}
	if n := descriptors(t); n > before+3*open {
		t.Errorf("%d descriptors are open after a flush, and %d before", n, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// BenchmarkManyFiles is a line for each of 300 files in turn, of which 100 are open.
func BenchmarkManyFiles(b *testing.B) {
	dir := b.TempDir()
	s := NewSet("files", Limits{Open: 100, Names: 1000, Other: "other"}, func(file string) (*Output, error) {
		w, err := rotate.Open(filepath.Join(dir, file), rotate.Options{Size: 100 << 20, Keep: 5, Compress: rotate.Zstd})
		if err != nil {
			return nil, err
		}
		return New(file, w, 8<<20, nil), nil
	})
	defer s.Close()
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprintf("host%d.log", i))
	}
	buf := make([]byte, 0, 64<<10)
	const line = "Nov 21 03:04:05 host app: a line of the usual length, which is about so much text\n"
	i := 0
	for b.Loop() {
		buf = s.Give(names[i%300], append(buf, line...), 1)
		i++
	}
}
