//go:build !race

package compress

import (
	"bytes"
	"testing"
)

// TestWriterAllocates: compressing keeps no memory and allocates none. (The race
// detector has pools drop what they hold.)
func TestWriterAllocates(t *testing.T) {
	p := bytes.Repeat([]byte("all work and no play "), 1000)
	w := &Writer{Algorithm: Gzip}
	dst := make([]byte, 0, 64<<10)
	if n := testing.AllocsPerRun(100, func() { dst = w.Append(dst[:0], p, false) }); n > 0 {
		t.Errorf("%v allocations a piece", n)
	}
}
