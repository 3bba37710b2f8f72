package rotate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// files is the directory as "name: text", in the order of the names.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	for _, name := range names(t, dir) {
		list = append(list, name+": "+strings.TrimSpace(read(t, filepath.Join(dir, name))))
	}
	return list
}

func turn(t *testing.T, w *Writer) Rotation {
	t.Helper()
	r, err := w.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNumbersCountUp(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "app.log"), Options{Naming: Numbered})
	for _, text := range []string{"one", "two", "three"} {
		write(t, w, text+"\n")
		if r := turn(t, w); r.To != filepath.Join(dir, "app.log.1") {
			t.Errorf("rotated to %s", r.To)
		}
	}
	write(t, w, "four\n")
	want := []string{"app.log: four", "app.log.1: three", "app.log.2: two", "app.log.3: one"}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
	all, err := w.list()
	if err != nil || len(all) != 3 || all[0].number != 3 || !all[0].stamp.Before(all[1].stamp) || !all[1].stamp.Before(all[2].stamp) {
		t.Errorf("the list is %+v, %v", all, err)
	}
}

// TestNumbersTakeOverFromLogrotate has files as logrotate leaves them: some compressed, a gap, one number twice, names that only look
// like it, and a directory in the way.
func TestNumbersTakeOverFromLogrotate(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, age time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	const nothing = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00" // gzip of no bytes
	put("app.log", "current\n", 0)
	put("app.log.1", "newest\n", time.Hour)
	put("app.log.1.gz", nothing, 2*time.Hour) // of a run that was broken off: another file than the plain one
	put("app.log.2.gz", nothing, 3*time.Hour)
	put("app.log.4", "old\n", 4*time.Hour)
	put("app.log.05", "not ours\n", 0)
	put("app.log.1.bak", "not ours\n", 0)
	if err := os.Mkdir(filepath.Join(dir, "app.log.5"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := open(t, filepath.Join(dir, "app.log"), Options{Naming: Numbered, Keep: 4})
	got := names(t, dir)
	want := []string{"app.log", "app.log.05", "app.log.1", "app.log.1.bak", "app.log.2.gz", "app.log.3.gz", "app.log.4", "app.log.5"}
	if !slices.Equal(got, want) {
		t.Errorf("opened, there are %q; want %q", got, want)
	}
	turn(t, w)
	want = []string{"app.log", "app.log.05", "app.log.1", "app.log.1.bak", "app.log.2", "app.log.3.gz", "app.log.4.gz", "app.log.6"}
	wait.Until(t, "the oldest file to go", func() bool { return w.Stats().Removed == 1 })
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("after a rotation there are %q; want %q", got, want)
	}
	if got := read(t, filepath.Join(dir, "app.log.2")); got != "newest\n" {
		t.Errorf("number 2 holds %q", got)
	}
}

// TestNumbersWhileTheyAreCompressed rotates as fast as it goes, so that each file's number changes while it is compressed.
func TestNumbersWhileTheyAreCompressed(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "app.log"), Options{Naming: Numbered, Size: 2000, Compress: Gzip})
	var wg sync.WaitGroup
	const n = 4000
	wg.Go(func() {
		for i := range n {
			write(t, w, numbered(i))
		}
	})
	wg.Go(func() {
		for range 30 {
			if _, err := w.Rotate(); err != nil {
				t.Error(err)
			}
			if _, err := w.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	wait.Until(t, "all of them to be compressed", func() bool {
		all, err := w.list()
		s := w.Stats()
		return err == nil && !slices.ContainsFunc(all, func(b backup) bool { return b.form == None }) && s.Compressed == s.Rotations
	})
	if s := w.Stats(); s.CleanError != "" || s.RotateError != "" {
		t.Errorf("%+v", s)
	}
	w.Close()
	once(t, content(t, dir, "app"), n)
	inOrder(t, dir)
}

// TestOtherKindOfNames changes the naming: numbers take the dated files along, and dates leave numbers alone, which may be logrotate's.
func TestOtherKindOfNames(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	for i, naming := range []Naming{Dated, Numbered, Dated} {
		w := open(t, path, Options{Naming: naming})
		for k := range 2 {
			write(t, w, numbered(2*i+k))
			turn(t, w)
		}
		w.Close()
	}
	inOrder(t, dir)
	w := open(t, path, Options{Naming: Dated, Keep: 1})
	wait.Until(t, "the dates to go", func() bool { return w.Stats().Removed == 3 })
	w.Close()
	if got := files(t, dir); len(got) != 4 || got[2] != "app.log.1: line 0000003 end" || got[3] != "app.log.2: line 0000002 end" {
		t.Errorf("left are %q", got)
	}
	w = open(t, path, Options{Naming: Numbered, Keep: 1})
	wait.Until(t, "the numbers to go", func() bool { return w.Stats().Removed == 2 })
	if got := files(t, dir); len(got) != 2 || !strings.HasSuffix(got[0], ": line 0000005 end") {
		t.Errorf("left are %q", got)
	}
}

// TestOrderOfNumbersBeatsTheirTimes has somebody touch an old file, and copy one without its time.
func TestOrderOfNumbersBeatsTheirTimes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	w := open(t, path, Options{Naming: Numbered, Hold: 1 << 20})
	for i := range 4 {
		write(t, w, numbered(i))
		turn(t, w)
	}
	w.Close()
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path+".3", later, later); err != nil {
		t.Fatal(err)
	}
	inOrder(t, dir)
	w = open(t, path, Options{Naming: Numbered, Hold: 1 << 20})
	write(t, w, numbered(4))
	turn(t, w)
	inOrder(t, dir)
	var st unix.Stat_t
	if err := unix.Stat(path+".1", &st); err != nil || !time.Unix(st.Mtim.Unix()).After(later) {
		t.Errorf("the newest file's time is %v, %v; want it after the touched one's", time.Unix(st.Mtim.Unix()), err)
	}
	w.Close()
	// A crash before the newest got its time.
	if err := os.Chtimes(path+".1", later, later.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	w = open(t, path, Options{Naming: Numbered, Hold: 1 << 20})
	if all, err := w.list(); err != nil || !all[len(all)-1].time.After(later) || !w.last.Equal(all[len(all)-1].stamp) {
		t.Errorf("the list is %+v, %v", all, err)
	}
}
