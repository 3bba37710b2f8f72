package rotate

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"lbsyslogd/test/wait"
)

// steps are the moments between two changes to the directory, and how often each comes before the process is killed there.
func steps(form Naming) []string {
	list := []string{"rotate: rename 1", "rotate: open 1", "rotate: swapped 1"}
	if form == Numbered {
		// A shift needs files, as many as are to be shifted before it.
		list = append(list, "rotate: stamp 1", "rotate: shift 3", "rotate: stamp 1", "rotate: shift 2", "rotate: shift 1", "rotate: rename 1")
	}
	return append(list, "compress: write 1", "compress: sync 1", "compress: rename 1", "compress: remove 1", "compress: done 1")
}

// TestKilledAtEveryStep runs a process that writes lines and rotates, kills it at one step after the other, and lets the next one
// go on. After the last each line is there once, in the order of the names, and nothing half done is left.
func TestKilledAtEveryStep(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		for _, form := range []Compression{Gzip, Zstd} {
			t.Run(string(naming)+" "+string(form), func(t *testing.T) {
				dir := t.TempDir()
				line := 0
				for _, step := range append(steps(naming), "") {
					cmd := exec.Command(os.Args[0], "-test.run=^TestChildThatIsKilled$")
					cmd.Env = append(os.Environ(), "ROTATE_DIR="+dir, "ROTATE_FIRST="+strconv.Itoa(line), "ROTATE_STEP="+step,
						"ROTATE_FORM="+string(form), "ROTATE_NAMING="+string(naming))
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
				inOrder(t, dir)
			})
		}
	}
}

// TestFollowAfterKills kills at every step of a rotation, and then reads all of it again, in order.
func TestFollowAfterKills(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		t.Run(string(naming), func(t *testing.T) {
			dir := t.TempDir()
			line := 0
			for range 3 {
				for _, step := range append(steps(naming), "") {
					if strings.HasPrefix(step, "compress") {
						continue
					}
					cmd := exec.Command(os.Args[0], "-test.run=^TestChildThatIsKilled$")
					cmd.Env = append(os.Environ(), "ROTATE_DIR="+dir, "ROTATE_FIRST="+strconv.Itoa(line), "ROTATE_STEP="+step,
						"ROTATE_FORM=zstd", "ROTATE_NAMING="+string(naming), "ROTATE_HOLD=1")
					if out, err := cmd.CombinedOutput(); (err == nil) != (step == "") {
						t.Fatalf("at %q: %v\n%s", step, err, out)
					}
					line += 10
				}
			}
			w := open(t, filepath.Join(dir, "app.log"), Options{Hold: 1 << 30, Naming: naming, Compress: Gzip})
			f, found := followed(t, w, &Position{Inode: 1})
			var want strings.Builder
			for i := range line {
				want.WriteString(numbered(i))
			}
			if got := follow(t, f, want.Len()); found || got != want.String() {
				t.Errorf("%d bytes of %d, in order or not", len(got), want.Len())
			}
		})
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
	var mu sync.Mutex
	came := make(map[string]int)
	o := Options{Compress: form, Naming: Naming(os.Getenv("ROTATE_NAMING")), step: func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if !written.Load() {
			return
		}
		if came[name]++; step == name+" "+strconv.Itoa(came[name]) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
	}}
	o.Chain = os.Getenv("ROTATE_CHAIN") != ""
	if os.Getenv("ROTATE_HOLD") != "" {
		o.Hold = 1 << 30
	}
	w := open(t, filepath.Join(dir, "app.log"), o)
	for i := range 10 {
		write(t, w, numbered(first+i))
	}
	written.Store(true)
	if _, err := w.Rotate(); err != nil {
		t.Error(err)
	}
	if o.Hold > 0 {
		return // nothing is compressed before it was read
	}
	wait.Until(t, "nothing but compressed files", func() bool {
		all, err := w.list()
		for _, b := range all {
			if b.form == None || b.tmp {
				return false
			}
		}
		return err == nil
	})
}

// TestKilledAtAnyMoment kills a process that writes and rotates as fast as it can, again and again, wherever it happens to be. Each line
// that it had written is there once, in the order of the files.
func TestKilledAtAnyMoment(t *testing.T) {
	for _, naming := range []Naming{Dated, Numbered} {
		t.Run(string(naming), func(t *testing.T) {
			dir := t.TempDir()
			lines, r := 0, rand.New(rand.NewPCG(7, 7))
			for range 25 {
				cmd := exec.Command(os.Args[0], "-test.run=^TestChildThatNeverStops$")
				cmd.Env = append(os.Environ(), "ROTATE_DIR="+dir, "ROTATE_FIRST="+strconv.Itoa(lines), "ROTATE_NAMING="+string(naming))
				said, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				// It says each number when the line is written.
				in, stop := bufio.NewScanner(said), 1+r.IntN(2000)
				last := -1
				for in.Scan() {
					if k, err := strconv.Atoi(in.Text()); err == nil {
						last = k
					}
					if last >= lines+stop {
						break
					}
				}
				cmd.Process.Kill()
				for in.Scan() { // what it still said
					if k, err := strconv.Atoi(in.Text()); err == nil {
						last = k
					}
				}
				cmd.Wait()
				if last < lines {
					t.Fatalf("the process wrote nothing: %v", in.Err())
				}
				// One line more may be written and not said.
				all := last + 1
				if _, found := newest(t, dir, all); found {
					all++
				}
				lines = all
			}
			w := open(t, filepath.Join(dir, "app.log"), Options{Naming: naming, Compress: Gzip})
			left := func() (n int) {
				all, err := w.list()
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range all {
					if b.form == None || b.tmp {
						n++
					}
				}
				return n
			}
			for n := left(); n > 0; n = left() { // however slow the disk is
				wait.Until(t, fmt.Sprintf("one more of %d files to be compressed", n), func() bool { return left() < n })
			}
			w.Close()
			once(t, content(t, dir, "app"), lines)
			inOrder(t, dir)
		})
	}
}

// newest looks for line n where the newest lines are: in the current file, or in a plain rotated one.
func newest(t *testing.T, dir string, n int) (name string, found bool) {
	t.Helper()
	for _, name := range names(t, dir) {
		if ext := filepath.Ext(name); ext != ".gz" && ext != tmpSuffix && strings.Contains(read(t, filepath.Join(dir, name)), numbered(n)) {
			return name, true
		}
	}
	return "", false
}

// TestChildThatNeverStops is that process.
func TestChildThatNeverStops(t *testing.T) {
	dir := os.Getenv("ROTATE_DIR")
	if dir == "" {
		return
	}
	first, err := strconv.Atoi(os.Getenv("ROTATE_FIRST"))
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, filepath.Join(dir, "app.log"), Options{Naming: Naming(os.Getenv("ROTATE_NAMING")), Size: 3000, Compress: Gzip})
	for n := first; ; n++ {
		write(t, w, numbered(n))
		if _, err := fmt.Println(n); err != nil {
			return // the one who listened is gone
		}
	}
}

// TestCompressedTwinOfACrash puts a plain file next to a compressed one that does not hold the same: the plain one is the original.
func TestCompressedTwinOfACrash(t *testing.T) {
	dir := t.TempDir()
	name := seriesOf("app.log").dated(mustStamp(t, "2026-11-21T03-04-05.678"))
	for file, text := range map[string]string{name: numbered(0), name + ".gz": "cut off"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, filepath.Join(dir, "app.log"), Options{Compress: Gzip})
	wait.Until(t, "the file to be compressed again", func() bool { return w.Stats().Compressed == 1 })
	w.Close()
	once(t, content(t, dir, "app"), 1)
}
