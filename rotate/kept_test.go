package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestFilesThatMayNotBeRemovedStayPlain, and are compressed once, not in each pass.
func TestFilesThatMayNotBeRemovedStayPlain(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root can have another user's files")
	}
	mustPass(t, child("TestAsNobodyBesideRoot", "ROTATE_STICKY="+t.TempDir()))
}

// TestAsNobodyBesideRoot has files of root's in a directory of root's with the sticky bit: the plain one of one rotation, both forms of another as a former
// process has left them, and a compressed one that is something else.
func TestAsNobodyBesideRoot(t *testing.T) {
	dir := os.Getenv("ROTATE_STICKY")
	if dir == "" {
		return
	}
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compressed := func(name string) {
		t.Helper()
		src, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		dst, err := os.OpenFile(src.Name()+".gz", os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(CompressInProcess(t.Context(), dst, src, Gzip), src.Close(), dst.Close()); err != nil {
			t.Fatal(err)
		}
	}
	const (
		alone = "app-2026-11-20T00-00-00.000.log"
		both  = "app-2026-11-20T00-00-01.000.log"
		other = "app-2026-11-20T00-00-02.000.log"
		own   = "app-2026-11-20T00-00-03.000.log"
	)
	put(alone, numbered(0))
	put(other, numbered(9))
	compressed(other)
	put(other, numbered(2))
	put(both, numbered(1))
	compressed(both)
	const nobody = 65534
	if err := errors.Join(os.Chown(filepath.Join(dir, both+".gz"), nobody, nobody), os.Chmod(filepath.Dir(dir), 0o755),
		os.Chmod(dir, 0o777|os.ModeSticky), unix.Setgid(nobody), unix.Setuid(nobody)); err != nil {
		t.Fatal(err)
	}
	put(own, numbered(3))

	var journal wait.Buffer
	tries := 0 // Owned by the janitor
	options := Options{Compress: Gzip, Log: slog.New(slog.NewTextHandler(&journal, nil)), Compressor: func(ctx context.Context, dst, src *os.File, form Compression) error {
		tries++
		return CompressInProcess(ctx, dst, src, form)
	}}
	w, err := Open(filepath.Join(dir, "app.log"), options)
	if err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the first pass", func() bool { return w.Stats().CleanError != "" })
	if err := w.Close(); err != nil { // and with it the janitor
		t.Fatal(err)
	}
	if tries != 2 { // alone, and own
		t.Errorf("compressed %d times", tries)
	}
	for range 3 {
		if _, err := w.pass(t.Context()); err == nil || strings.Count(err.Error(), alone) != 2 { // what stays, and the path
			t.Errorf("a pass that says %v", err)
		}
	}
	if tries != 2 {
		t.Errorf("compressed %d times with three more passes", tries)
	}
	if got, want := names(t, dir), []string{alone, both, other, other + ".gz", own + ".gz", "app.log"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	if n := strings.Count(journal.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors: %s", n, &journal)
	}
	// Somebody changes what may be done.
	for name := range w.janitor.kept {
		o := w.janitor.kept[name]
		o.rights.attributes++
		w.janitor.kept[name] = o
	}
	if _, err := w.pass(t.Context()); err == nil || tries != 4 { // alone, both
		t.Errorf("%v, and compressed %d times", err, tries)
	}
}

func TestASummaryHasEachProblemOnce(t *testing.T) {
	for _, row := range []struct {
		problems []error
		want     string
	}{
		{nil, ""},
		{[]error{nil, nil}, ""},
		{[]error{errors.New("a"), nil, errors.Join(errors.New("b"), errors.New("a"))}, "a b"},
		{[]error{errors.New("a"), fmt.Errorf("x: %w", errors.Join(errors.New("b"), errors.New("a")))}, "a x: b a"},
		{[]error{errors.New("a"), errors.New("b"), errors.New("c"), errors.New("d"), errors.New("d"), errors.New("e")}, "a b c and 2 more"},
	} {
		got := ""
		if err := summary(row.problems); err != nil {
			got = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		if got != row.want {
			t.Errorf("%v: %q, want %q", row.problems, got, row.want)
		}
	}
}
