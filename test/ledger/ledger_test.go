package ledger

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func line(n int) string {
	return fmt.Sprintf("Nov 21 03:04:05 host lb[12]: 127.0.0.1:4 [21/Nov/2026:03:04:05.678] fe be/b1 0/0/0/1/1 200 312 - - ---- 1/1/0/0/0 0/0 \"GET /r/run/%d HTTP/1.1\"\n", n)
}

func TestReport(t *testing.T) {
	row := func(name, text string, want Report) {
		t.Helper()
		l := New("run", 3)
		if err := l.Read("lb.log", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		got := l.Report()
		examples := got.Examples
		got.Examples, want.Files, want.Requests = nil, 1, 3
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v\nwant %v", name, got, want)
		}
		if got.Balanced() != (len(examples) == 0) {
			t.Errorf("%s: balanced %v, examples %q", name, got.Balanced(), examples)
		}
	}
	whole := line(2) + line(0) + line(1)
	row("each once", whole, Report{Lines: 3})
	row("among other lines", "Nov 21 03:04:05 host x: y\n"+whole+"z", Report{Lines: 3})
	row("one missing", line(0)+line(2), Report{Lines: 2, Missing: 1})
	row("one double", whole+line(1), Report{Lines: 4, Double: 1})
	row("one foreign", whole+line(3), Report{Lines: 4, Foreign: 1})
	row("torn at the end", line(0)+line(1)+strings.TrimSuffix(line(2), "1.1\"\n"), Report{Lines: 3, Missing: 1, Torn: 1})
	row("torn at the start", line(0)+line(1)+line(2)[5:], Report{Lines: 3, Missing: 1, Torn: 1})
	row("glued", line(0)+strings.TrimSuffix(line(1), "\n")+line(2), Report{Lines: 2, Missing: 2, Torn: 1})
	row("torn in the number", line(0)+line(1)+strings.Replace(line(2), "/2 HTTP", "/", 1), Report{Lines: 3, Missing: 1, Torn: 1})
}

func TestFilesAreReadOnceInWhateverForm(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		switch filepath.Ext(name) {
		case ".gz":
			z := gzip.NewWriter(f)
			defer z.Close()
			fmt.Fprint(z, text)
		case ".zst":
			z, err := zstd.NewWriter(f)
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			fmt.Fprint(z, text)
		default:
			fmt.Fprint(f, text)
		}
	}
	write("lb.log", line(0))
	write("lb-2026-11-21T03-04-05.678.log", line(1))
	write("lb-2026-11-21T03-04-06.678.log.gz", line(2))
	write("lb-2026-11-21T03-04-07.678.log.zst", line(3))
	write("lb-2026-11-21T03-04-07.678.log", line(3)) // just compressed, not yet removed
	write("lb.log.1", line(4))
	write("lb.log.2.gz", line(5))
	write("lb-2026-11-21T03-04-08.678.log.gz.tmp", line(5))
	write("other.log", line(0))
	write("lb.log.1.bak", line(0))

	l := New("run", 6)
	if err := l.ReadAll(filepath.Join(dir, "lb.log")); err != nil {
		t.Fatal(err)
	}
	if r := l.Report(); !r.Balanced() || r.Files != 6 {
		t.Errorf("%v", r)
	}
	if n, err := Count(filepath.Join(dir, "lb.log"), "/r/run/"); n != 6 || err != nil {
		t.Errorf("counted %d lines, %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lb.log.3.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := Count(filepath.Join(dir, "lb.log"), "/r/run/"); n != 6 || err != nil {
		t.Errorf("with an empty file counted %d lines, %v", n, err)
	}
}

// FuzzLine holds that every line that names the run is counted, in exactly one way.
func FuzzLine(f *testing.F) {
	f.Add(line(0))
	f.Add(line(2) + line(2))
	f.Add("/r/run/99999999999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		l := New("run", 3)
		l.Read("x", strings.NewReader(text))
		r := l.Report()
		if good := r.Requests - r.Missing; r.Lines != good+r.Double+r.Foreign+r.Torn {
			t.Errorf("the parts do not add up: %v", r)
		}
	})
}
