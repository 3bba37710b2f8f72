package rotate

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkChain is what a line of 200 bytes costs with a chain and without, in processor time: batches of 20 KB, as a busy daemon writes them.
func BenchmarkChain(b *testing.B) {
	batch := []byte(strings.Repeat(strings.Repeat("x", 199)+"\n", 100))
	for name, chained := range map[string]bool{"without": false, "with": true} {
		b.Run(name, func(b *testing.B) {
			w, err := Open(filepath.Join(b.TempDir(), "app.log"), Options{Chain: chained, Size: 64 << 20, Keep: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			var before, after unix.Rusage
			unix.Getrusage(unix.RUSAGE_SELF, &before)
			lines := 0
			for b.Loop() {
				if _, err := w.Write(batch); err != nil {
					b.Fatal(err)
				}
				lines += 100
			}
			unix.Getrusage(unix.RUSAGE_SELF, &after)
			used := after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(time.Duration(used).Nanoseconds())/float64(lines), "cpu-ns/line")
		})
	}
}

// TestWritesAllocateNothing, with a chain or without: a record, now and then, does not count.
func TestWritesAllocateNothing(t *testing.T) {
	for _, chained := range []bool{false, true} {
		w := open(t, filepath.Join(t.TempDir(), "app.log"), Options{Chain: chained})
		line := bytes.Repeat([]byte("x"), 200)
		line[199] = '\n'
		for range 1000 { // until the buffers have their size
			if _, err := w.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(1000, func() { w.Write(line) }); n > 0 && rare == 1 {
			t.Errorf("with a chain %v: %v allocations for a line", chained, n)
		}
	}
}
