package rotate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// steps are the moments between two changes to the directory.
func steps() []string {
	return []string{
		"rotate: rename", "rotate: open", "rotate: swapped",
		"compress: write", "compress: sync", "compress: rename", "compress: remove", "compress: done",
	}
}

// TestKilledAtEveryStep runs a process that writes lines and rotates, kills it at one step after the other, and lets the next one
// go on. After the last each line is there once, and nothing half done is left.
func TestKilledAtEveryStep(t *testing.T) {
	for _, form := range []Compression{Gzip, Zstd} {
		dir := t.TempDir()
		line := 0
		for _, step := range append(steps(), "") {
			cmd := exec.Command(os.Args[0], "-test.run=^TestChildThatIsKilled$")
			cmd.Env = append(os.Environ(), "ROTATE_DIR="+dir, "ROTATE_FIRST="+strconv.Itoa(line), "ROTATE_STEP="+step, "ROTATE_FORM="+string(form))
			out, err := cmd.CombinedOutput()
			if step == "" && err != nil {
				t.Fatalf("the last process: %v\n%s", err, out)
			}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); step != "" && (!ok || status.Signal() != syscall.SIGKILL) {
				t.Fatalf("at %q: %v\n%s", step, err, out)
			}
			line += 10
		}
		for _, name := range names(t, dir) {
			if name != "app.log" && !strings.HasSuffix(name, form.suffix()) {
				t.Errorf("%s was left as it is", name)
			}
		}
		once(t, content(t, dir, "app"), line)
	}
}

// TestChildThatIsKilled is that process. Run as an ordinary test it writes to a directory of its own and is not killed.
func TestChildThatIsKilled(t *testing.T) {
	dir, step := os.Getenv("ROTATE_DIR"), os.Getenv("ROTATE_STEP")
	first, form := 0, Compression(os.Getenv("ROTATE_FORM"))
	if dir == "" {
		dir, form = t.TempDir(), Gzip
	} else {
		first, _ = strconv.Atoi(os.Getenv("ROTATE_FIRST"))
	}
	// Not before its lines are written: it also compresses what the one before left, and would take the step with that.
	var written atomic.Bool
	w := open(t, filepath.Join(dir, "app.log"), Options{Compress: form, step: func(name string) {
		if name == step && written.Load() {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
	}})
	for i := range 10 {
		write(t, w, numbered(first+i))
	}
	written.Store(true)
	if _, err := w.Rotate(); err != nil {
		t.Error(err)
	}
	until(t, "nothing but compressed files", func() bool {
		all, err := w.list()
		for _, b := range all {
			if b.form == None || b.tmp {
				return false
			}
		}
		return err == nil
	})
}

// TestCompressedTwinOfACrash puts a plain file beside a compressed one that does not hold the same: the plain one is the original.
func TestCompressedTwinOfACrash(t *testing.T) {
	dir := t.TempDir()
	name := namingOf("app.log").name(mustStamp(t, "2026-11-21T03-04-05.678"))
	for file, text := range map[string]string{name: numbered(0), name + ".gz": "cut off"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, filepath.Join(dir, "app.log"), Options{Compress: Gzip})
	until(t, "the file to be compressed again", func() bool { return w.Stats().Compressed == 1 })
	w.Close()
	once(t, content(t, dir, "app"), 1)
}
