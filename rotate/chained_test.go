package rotate

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/rotate/chain"
	"lbsyslogd/test/wait"
)

// verified is what Verify finds, and notes.
func verified(t *testing.T, path string) (findings, notes string) {
	t.Helper()
	r, _, err := Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	text := func(all []chain.Finding) string {
		var b strings.Builder
		for _, f := range all {
			fmt.Fprintln(&b, f)
		}
		return b.String()
	}
	return text(r.Findings), text(r.Notes)
}

func mustVerify(t *testing.T, path string) {
	t.Helper()
	if findings, _ := verified(t, path); findings != "" {
		t.Errorf("a log that nobody has changed: %s", findings)
	}
}

// chainedLog writes a log of three rotated files of a hundred lines and a current one of fifty, and closes it.
func chainedLog(t *testing.T, o Options) (path string, rotated []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "app.log")
	o.Chain = true
	w := open(t, path, o)
	line := 0
	for i := range 4 {
		for range 100 - i/3*50 {
			write(t, w, numbered(line))
			line++
		}
		if i < 3 {
			r, err := w.Rotate()
			if err != nil {
				t.Fatal(err)
			}
			rotated = append(rotated, r.To)
		}
	}
	wait.Until(t, "all files are compressed", func() bool { return o.Compress == "" || o.Compress == None || w.Stats().Compressed == 3 })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, path)
	return path, rotated
}

// change rewrites a file, compressed or not.
func change(t *testing.T, path string, do func(text string) string) {
	t.Helper()
	text := do(read(t, path))
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyNamesTheLine that was changed, removed or inserted, and files that are not where they were.
func TestVerifyNamesTheLine(t *testing.T) {
	row := func(want string, do func(path string, rotated []string)) {
		t.Helper()
		path, rotated := chainedLog(t, Options{})
		do(path, rotated)
		findings, _ := verified(t, path)
		for i, name := range rotated {
			want = strings.ReplaceAll(want, "#"+strconv.Itoa(i), filepath.Base(name))
		}
		if findings != want {
			t.Errorf("found:\n%swant:\n%s", findings, want)
		}
	}
	at := func(n int, text string) int { return n * len(numbered(0)) }
	edit := func(file int, do func(text string) string) func(string, []string) {
		return func(path string, rotated []string) { change(t, append(rotated, path)[file], do) }
	}
	row("#1:43: this line was changed\n", edit(1, func(s string) string { return strings.Replace(s, "0000142", "0000942", 1) }))
	row("#0:1: this line was changed\n", edit(0, func(s string) string { return "L" + s[1:] }))
	row("#2:100: this line was changed\n", edit(2, func(s string) string { return s[:len(s)-2] + "x\n" }))
	row("#1:43: before this line 1 line was removed\n", edit(1, func(s string) string { return strings.Replace(s, numbered(142), "", 1) }))
	row("#1:43: before this line 7 lines were removed\n", edit(1, func(s string) string { return s[:at(42, s)] + s[at(49, s):] }))
	row("#1:43: 1 line was inserted here\n", edit(1, func(s string) string { return s[:at(42, s)] + "forged\n" + s[at(42, s):] }))
	row("#0:1: 2 lines were inserted here\n", edit(0, func(s string) string { return "a\nb\n" + s }))
	row("#0:91: the file ends before this line: 10 lines were removed at its end\n", edit(0, func(s string) string { return s[:at(90, s)] }))
	row("#0:101: 1 lines of 7 bytes were added at the end, after the file was rotated\n", edit(0, func(s string) string { return s + "forged\n" }))
	row("app.log:7: this line was changed\n", edit(3, func(s string) string { return strings.Replace(s, "0000306", "0000906", 1) }))
	row("#0: holds what was written to #1: the files were swapped or renamed\n#1: holds what was written to #0: the files were swapped or renamed\n",
		func(_ string, r []string) {
			for _, pair := range [][2]string{{r[0], r[0] + "x"}, {r[1], r[0]}, {r[0] + "x", r[1]}} {
				if err := os.Rename(pair[0], pair[1]); err != nil {
					t.Fatal(err)
				}
			}
		})
	row("#1: is missing, with 100 lines of 1700 bytes\n", func(_ string, r []string) { os.Remove(r[1]) })
	row("#0: is missing, with 100 lines of 1700 bytes\n", func(_ string, r []string) { os.Remove(r[0]) })
	row("app-2030-01-01T00-00-00.000.log: was called #2 when it was rotated\n", func(p string, r []string) {
		os.Rename(r[2], filepath.Join(filepath.Dir(p), "app-2030-01-01T00-00-00.000.log"))
	})
	row("app-2030-01-01T00-00-00.000.log: no journal knows this file: it was put there, or written without a chain\n", func(p string, _ []string) {
		os.WriteFile(filepath.Join(filepath.Dir(p), "app-2030-01-01T00-00-00.000.log"), []byte("forged\n"), 0o600)
	})
}

// TestVerifyOfNumbers: what says which file is which, its time, is changed with the file, and by whoever copies it.
func TestVerifyOfNumbers(t *testing.T) {
	row := func(want string, do func(path string)) {
		t.Helper()
		path, _ := chainedLog(t, Options{Naming: Numbered})
		do(path)
		if findings, _ := verified(t, path); findings != want {
			t.Errorf("found:\n%swant:\n%s", findings, want)
		}
	}
	edit := func(file string, do func(text string) string) func(string) {
		return func(path string) { change(t, path+file, do) }
	}
	touch := func(path string) {
		for _, file := range []string{".3", ".1", ".2"} {
			if err := os.Chtimes(path+file, time.Time{}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	row("app.log.2:43: this line was changed\n", edit(".2", func(s string) string { return strings.Replace(s, "0000142", "0000942", 1) }))
	row("app.log.3:1: this line was changed\n", edit(".3", func(s string) string { return "L" + s[1:] }))
	row("app.log.3:1: this line was changed\napp.log.2:1: this line was changed\napp.log.1:1: this line was changed\n", func(path string) {
		for _, file := range []string{".1", ".2", ".3"} {
			change(t, path+file, func(s string) string { return "L" + s[1:] })
		}
	})
	row("app.log.3:1: the file ends before this line: 100 lines were removed at its end\n", edit(".3", func(string) string { return "" }))
	row("the file of journal 00000002: is missing, with 100 lines of 1700 bytes\n", func(path string) { os.Remove(path + ".2") })
	row("the file of journal 00000001: is missing, with 100 lines of 1700 bytes\n", func(path string) { touch(path); os.Remove(path + ".3") })
	row("", touch)
	row("", func(path string) { // retention knows them too
		touch(path)
		w := open(t, path, Options{Naming: Numbered, Chain: true, Keep: 1})
		wait.Until(t, "retention", func() bool { return w.Stats().Removed == 2 })
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
	for _, before := range []func(string){touch, func(string) {}} {
		row("app.log.2: holds what was written after what app.log.1 holds: the files were swapped or renamed\n", func(path string) {
			before(path)
			if err := errors.Join(os.Rename(path+".1", path+".x"), os.Rename(path+".2", path+".1"), os.Rename(path+".x", path+".2")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestVerifyNamesTheJournal that was changed or taken away.
func TestVerifyNamesTheJournal(t *testing.T) {
	row := func(want string, do func(journal string)) {
		t.Helper()
		path, rotated := chainedLog(t, Options{})
		do(path + chainSuffix)
		for i, name := range rotated {
			want = strings.ReplaceAll(want, "#"+strconv.Itoa(i), filepath.Base(name))
		}
		if findings, _ := verified(t, path); !strings.HasPrefix(findings, want) && !strings.Contains(findings, "\n"+want) {
			t.Errorf("found:\n%swant:\n%s", findings, want)
		}
	}
	row("00000002: the journal was changed: record 2: ", func(j string) {
		change(t, j+"/00000002", func(s string) string { return strings.Replace(s, "\nl 1", "\nl 2", 1) })
	})
	row("00000003: the journal does not go on where the one before it ends", func(j string) {
		change(t, j+"/00000002", func(s string) string { return s[:strings.LastIndex(s, "\ne ")+1] })
	})
	row("00000003: the journals 00000002 to 00000002 before it are missing", func(j string) { os.Remove(j + "/00000002") })
	row("00000002: the journals and files before it are missing", func(j string) { os.Remove(j + "/00000001") })
	row("#1: no journal knows this file", func(j string) { os.Remove(j + "/00000002") })
}

// TestChainLivesOn over compression, numbered names, retention, restarts, reopening and a change of options.
func TestChainLivesOn(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		for _, form := range []Compression{None, Gzip, Zstd} {
			path, _ := chainedLog(t, Options{Naming: naming, Compress: form})
			o := Options{Naming: naming, Compress: form, Chain: true, Keep: 2}
			w := open(t, path, o)
			wait.Until(t, "retention", func() bool { return w.Stats().Removed == 1 })
			mustVerify(t, path) // while it is open
			write(t, w, "half a ")
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			write(t, w, "line\nand more\n")
			second := open(t, path, o)
			write(t, second, "of two\n")
			write(t, w, "of one\n")
			write(t, second, "of two\n")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			write(t, second, "the end\n")
			if _, err := second.Rotate(); err != nil {
				t.Fatal(err)
			}
			write(t, second, "the next\n")
			wait.Until(t, "retention", func() bool { return second.Stats().Removed >= 1 })
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			findings, notes := verified(t, path)
			if findings != "" || strings.Contains(notes, "found in the file") {
				t.Errorf("%s %s: %s%s", naming, form, findings, notes)
			}
		}
	}
}

// TestChainAfterKills kills a process at every step of a rotation, a compression and in the middle of lines. Nothing of that is a finding.
func TestChainAfterKills(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		dir := t.TempDir()
		line := 0
		for _, step := range append(steps(naming), "") {
			cmd := exec.Command(os.Args[0], "-test.run=^TestChildThatIsKilled$")
			cmd.Env = append(os.Environ(), "ROTATE_DIR="+dir, "ROTATE_FIRST="+strconv.Itoa(line), "ROTATE_STEP="+step,
				"ROTATE_FORM=zstd", "ROTATE_NAMING="+string(naming), "ROTATE_CHAIN=1")
			if out, err := cmd.CombinedOutput(); (err == nil) != (step == "") {
				t.Fatalf("at %q: %v\n%s", step, err, out)
			}
			line += 10
		}
		w := open(t, filepath.Join(dir, "app.log"), Options{Naming: naming, Chain: true})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, _, err := Verify(w.Path())
		if err != nil || len(r.Findings) > 0 || r.Lines != int64(line) {
			t.Errorf("%s: %d of %d lines are proved: %v %v, %v", naming, r.Lines, line, r.Findings, r.Notes, err)
		}
	}
}

// TestJournalThatCannotBeWritten stops no line, and goes on when it can be written again.
func TestJournalThatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path+chainSuffix, nil, 0o600); err != nil { // where the directory belongs
		t.Fatal(err)
	}
	w := open(t, path, Options{Chain: true})
	write(t, w, "one\n")
	if s := w.Stats(); s.ChainError == "" || s.Lines != 1 || s.Chain.Journal != "" || s.Chain.Failures == 0 || s.Chain.Waiting != 4 || s.Chain.Lines != 0 {
		t.Errorf("%+v", s)
	}
	if err := os.Remove(path + chainSuffix); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the journal to be written again", func() bool { return w.Stats().ChainError == "" })
	write(t, w, "two\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if findings, notes := verified(t, path); findings != "" || !strings.HasPrefix(notes, "app.log:1: 1 lines were found in the file") {
		t.Errorf("%s%s", findings, notes)
	}
	if s := w.Stats(); s.ChainError != "" || s.Chain.Journal != "00000001" || s.Chain.Lines != 2 || s.Chain.Adopted != 1 || s.Chain.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// TestJournalsThatAreMoved are no place to write to: the next one is where verify looks, and says that those before it are gone.
func TestJournalsThatAreMoved(t *testing.T) {
	for name, move := range map[string]func(dir string) error{
		"the directory is moved":   func(dir string) error { return os.Rename(dir, dir+".moved") },
		"the directory is removed": os.RemoveAll,
		"a journal is removed":     func(dir string) error { return os.Remove(filepath.Join(dir, "00000002")) },
		"another one is there": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".moved"), os.Mkdir(dir, 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "app.log")
			w := open(t, path, Options{Chain: true})
			write(t, w, "one\n")
			if _, err := w.Rotate(); err != nil {
				t.Fatal(err)
			}
			write(t, w, "two\n")
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := move(path + chainSuffix); err != nil {
				t.Fatal(err)
			}
			want := "00000003"
			if name == "a journal is removed" {
				want = "00000002" // it goes on with what is in the directory
			}
			write(t, w, "three\n")
			wait.Until(t, "another journal", func() bool {
				_, err := os.Stat(filepath.Join(path+chainSuffix, want))
				s := w.Stats()
				return err == nil && s.Chain.Journal == want && s.Chain.Waiting == 0
			})
			write(t, w, "four\n")
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			findings, notes := verified(t, path)
			if !strings.Contains(notes, "app.log:1: ") || strings.Contains(findings, "app.log:") {
				t.Errorf("%s%s", findings, notes)
			}
			if missing := strings.Contains(findings, want+": the journals and files before it are missing"); missing == (name == "a journal is removed") {
				t.Errorf("%s%s", findings, notes)
			}
			if old, _ := os.ReadFile(filepath.Join(path+chainSuffix+".moved", "00000002")); len(old) > 0 && strings.Contains(string(old), `"lines":3`) {
				t.Errorf("the old journal: %s", old)
			}
		})
	}
}

// TestARestoredLog is a copy of all of its files. Nothing of that is missing, although its current file is another one, and it is still found what was changed.
func TestARestoredLog(t *testing.T) {
	path, _ := chainedLog(t, Options{})
	restore := func() {
		dir := filepath.Dir(path)
		if err := errors.Join(os.CopyFS(dir+".copy", os.DirFS(dir)), os.RemoveAll(dir), os.Rename(dir+".copy", dir)); err != nil {
			t.Fatal(err)
		}
	}
	more := func(text string) *Writer {
		w := open(t, path, Options{Chain: true})
		write(t, w, text)
		return w
	}
	for _, text := range []string{"after the first\n", "after the second\n"} {
		restore()
		mustVerify(t, path)
		if err := more(text).Close(); err != nil {
			t.Fatal(err)
		}
		if findings, notes := verified(t, path); findings != "" || !strings.Contains(notes, "app.log:1: the first 50 lines are those of journal 00000004, unchanged") {
			t.Errorf("%s%s", findings, notes)
		}
	}
	w := more("the end\n")
	if _, err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	restore()
	mustVerify(t, path)
	rotated, err := filepath.Glob(strings.TrimSuffix(path, ".log") + "-*.log")
	if err != nil {
		t.Fatal(err)
	}
	change(t, rotated[3], func(s string) string { return strings.Replace(s, "0000306", "0000906", 1) })
	if findings, _ := verified(t, path); !strings.Contains(findings, filepath.Base(rotated[3])+":7: this line was changed") || !strings.Contains(findings, "is missing, with 50 lines") {
		t.Errorf("%s", findings)
	}
}

// TestFlushWithoutAJournal succeeds: the lines are on the disk, and the journal's trouble is the journal's, also where each write is synced.
func TestFlushWithoutAJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path+chainSuffix, nil, 0o600); err != nil { // where the directory belongs
		t.Fatal(err)
	}
	w := open(t, path, Options{Chain: true, Sync: SyncAlways, Ring: -1})
	write(t, w, "one\n")
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
	if s := w.Stats(); s.ChainError == "" || s.SyncError != "" || !w.Condition().Fine() {
		t.Errorf("%+v", s)
	}
}

// TestChainStats adds up over rotations and the Writers of a path, and knows the last record of an earlier process.
func TestChainStats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	now := time.Unix(1_800_000_000, 0)
	o := Options{Chain: true, Now: func() time.Time { return now }}
	w := open(t, path, o)
	stats := func(w *Writer, want ChainStats) {
		t.Helper()
		if got := w.Stats().Chain; got != want {
			t.Errorf("%+v, not %+v", got, want)
		}
	}
	write(t, w, "one\ntwo\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	stats(w, ChainStats{Kept: true, Journal: "00000001", Records: 2, Lines: 2, Last: now})
	write(t, w, "three\n")
	if _, err := w.Rotate(); err != nil { // lines or none, the end, and the next beginning
		t.Fatal(err)
	}
	stats(w, ChainStats{Kept: true, Journal: "00000002", Records: 5, Lines: 3, Last: now})

	next := open(t, path, o) // of a reload
	write(t, next, "four\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := next.Flush(); err != nil {
		t.Fatal(err)
	}
	stats(next, ChainStats{Kept: true, Journal: "00000002", Records: 6, Lines: 4, Last: now})
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}

	earlier := now
	now = now.Add(time.Hour)
	again := open(t, path, o)
	stats(again, ChainStats{Kept: true, Journal: "00000002", Last: earlier})
	plain := open(t, filepath.Join(t.TempDir(), "plain.log"), Options{})
	stats(plain, ChainStats{})
}

// TestChainSwitchedOn while another Writer of the path has none yet, as a reload does it.
func TestChainSwitchedOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	plain := open(t, path, Options{})
	write(t, plain, "one\n")
	chained := open(t, path, Options{Chain: true})
	write(t, plain, "two\n")
	write(t, chained, "three\n")
	write(t, plain, "four\n")
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, chained, "five\n")
	if err := chained.Close(); err != nil {
		t.Fatal(err)
	}
	if r, _, err := Verify(path); err != nil || len(r.Findings) > 0 || r.Lines != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestTruncationIsFound: somebody has emptied the file, and then the log goes on.
func TestTruncationIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	w := open(t, path, Options{Chain: true})
	write(t, w, "one\ntwo\n")
	if err := os.Truncate(path, 4); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the truncation to be noticed", func() bool { return w.Stats().Truncations == 1 })
	write(t, w, "three\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if findings, _ := verified(t, path); !strings.HasPrefix(findings, "app.log:1: the file was cut off here, from 8 to 4 bytes") || strings.Count(findings, "\n") != 1 {
		t.Error(findings)
	}
}

// TestSignatures prove what was signed, and only with its key.
func TestSignatures(t *testing.T) {
	path, _ := chainedLog(t, Options{})
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, journal, err := Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := chain.Sign(private, "app.log", journal, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	row := func(key ed25519.PublicKey, text, want string) {
		t.Helper()
		r, journal, err := Verify(path)
		if err != nil {
			t.Fatal(err)
		}
		signed := r.VerifySignatures(key, "app.log", journal, []byte(text), "signatures")
		if want == "" && (signed.Signatures != 1 || len(r.Findings) > 0) || want != "" && (len(r.Findings) == 0 || !strings.Contains(r.Findings[0].String(), want)) {
			t.Errorf("%d are good: %v; want %q", signed.Signatures, r.Findings, want)
		}
	}
	good := string(line) + "\n"
	row(public, good, "")
	row(other, good, "no good signature")
	row(public, "", "no good signature")
	row(public, strings.Replace(good, `"journal":4`, `"journal":3`, 1), "the signature is false")
	w := open(t, path, Options{Chain: true})
	write(t, w, "more\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	row(public, good, "")
	// Somebody writes all of it anew, journals and files.
	for _, name := range names(t, path+chainSuffix) {
		os.Remove(filepath.Join(path+chainSuffix, name))
	}
	w = open(t, path, Options{Chain: true})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	row(public, good, "something is missing")
}
