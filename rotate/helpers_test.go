package rotate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func open(t *testing.T, path string, o Options) *Writer {
	t.Helper()
	w, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); n != len(text) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", text, n, err)
	}
}

// numbered is line n in a form that shows when it is torn.
func numbered(n int) string { return fmt.Sprintf("line %07d end\n", n) }

// content is everything in the files of a directory whose names begin with prefix, oldest first, decompressed.
func content(t *testing.T, dir, prefix string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all, current strings.Builder
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if filepath.Ext(e.Name()) == ".tmp" {
			t.Errorf("%s was left behind", e.Name())
		}
		to := &all
		if e.Name() == prefix+".log" {
			to = &current
		}
		to.WriteString(read(t, filepath.Join(dir, e.Name())))
	}
	return all.String() + current.String()
}

// inOrder fails unless the files of app.log hold their lines in the order in which a list has the files.
func inOrder(t *testing.T, dir string) {
	t.Helper()
	w := Writer{dir: dir, series: seriesOf("app.log"), opt: Options{}.filled()}
	in, err := openFolder(dir, "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	w.folder.Store(in)
	all, err := w.list()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, b := range all {
		files = append(files, b.file())
	}
	last := -1
	for _, name := range append(files, "app.log") {
		text := read(t, filepath.Join(dir, name))
		for line := range strings.Lines(text) {
			var k int
			if _, err := fmt.Sscanf(line, "line %d end", &k); err != nil || k <= last {
				t.Fatalf("in %s, after line %d comes %q, %v; the files are %q", name, last, line, err, files)
			}
			last = k
		}
	}
}

// read is what a file holds, decompressed.
func read(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	switch filepath.Ext(path) {
	case ".gz":
		r, err = decompressor(f, Gzip)
	case ".zst":
		r, err = decompressor(f, Zstd)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return string(text)
}

// once fails unless text is the numbered lines 0 to n-1, each exactly once and none torn.
func once(t *testing.T, text string, n int) {
	t.Helper()
	seen := make([]int, n)
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		k, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(s.Text(), "line "), " end"))
		if err != nil || k >= n || s.Text()+"\n" != numbered(k) {
			t.Errorf("a line reads %q", s.Text())
			continue
		}
		seen[k]++
	}
	lost, twice := 0, 0
	for _, k := range seen {
		if k == 0 {
			lost++
		}
		if k > 1 {
			twice++
		}
	}
	if lost+twice > 0 {
		t.Errorf("of %d lines %d are lost and %d are there more than once", n, lost, twice)
	}
}

// child is this program as another process that runs one test.
func child(test string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// mustPass runs a child whose test must pass.
func mustPass(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: ")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
