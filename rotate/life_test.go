package rotate

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnyLife does things to a file in an order that a seed decides: lines whole and in pieces, rotations, reopens, restarts with other
// options, and what others do to the file and next to it. In the end each line is there once.
func TestAnyLife(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { anyLife(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func anyLife(t *testing.T, r *rand.Rand) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	options := func() Options {
		pick := func(list ...Naming) Naming { return list[r.IntN(len(list))] }
		o := Options{Naming: pick(Numbered, Numbered, Dated), Size: int64(r.IntN(3)) * 200}
		o.Compress = []Compression{None, Gzip, Zstd}[r.IntN(3)]
		if r.IntN(4) == 0 {
			o.Hold = 1 << 20
		}
		return o
	}
	w := open(t, path, options())
	n, moved := 0, 0
	for range 80 {
		switch r.IntN(12) {
		default:
			var b strings.Builder
			for range 1 + r.IntN(20) {
				b.WriteString(numbered(n))
				n++
			}
			text := b.String()
			cut := r.IntN(len(text))
			write(t, w, text[:cut])
			write(t, w, text[cut:])
		case 0, 1:
			turn(t, w)
		case 2:
			if _, err := w.Reopen(); err != nil {
				t.Fatal(err)
			}
		case 3:
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			w = open(t, path, options())
		case 4: // logrotate under another name
			moved++
			if err := os.Rename(path, filepath.Join(dir, fmt.Sprintf("moved%d", moved))); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if _, err := w.Reopen(); err != nil {
				t.Fatal(err)
			}
		case 5: // somebody touches what lies there
			for _, name := range names(t, dir) {
				if name != "app.log" && r.IntN(4) == 0 {
					then := time.Now().Add(time.Duration(r.IntN(7200)-3600) * time.Second)
					os.Chtimes(filepath.Join(dir, name), then, then) // it may just be renamed or compressed
				}
			}
		case 6: // a name that is ours, and is nothing that can be rotated
			os.Mkdir(path+fmt.Sprintf(".%d", 1+r.IntN(3)), 0o700)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, path, Options{Naming: Numbered}) // tidies what the last one left
	w.Close()
	var all strings.Builder
	for _, name := range names(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(name, tmpSuffix) {
			all.WriteString(read(t, filepath.Join(dir, name)))
		}
	}
	once(t, all.String(), n)
}
