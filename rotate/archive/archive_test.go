package archive

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"lbsyslogd/test/tape"
)

// seconds reads lines that begin with seconds since 1970.
func seconds(line []byte) (time.Time, bool) {
	word, _, _ := bytes.Cut(line, []byte{' '})
	n, err := strconv.ParseInt(string(word), 10, 64)
	return time.Unix(n, 0), err == nil
}

// stored is text as an archive with blocks of about a kilobyte, in a file.
func stored(t *testing.T, text string, clock Clock) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "a.zst"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := write(f, strings.NewReader(text), clock, 1<<10, level); err != nil {
		t.Fatal(err)
	}
	return f
}

func opened(t *testing.T, f *os.File) *Archive {
	t.Helper()
	a, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// some is lines of which most have a time, in order or not, and some none.
func some(r *rand.Rand, n int) string {
	var b strings.Builder
	now := 1_700_000_000
	for i := range n {
		now += r.IntN(20)
		switch r.IntN(40) {
		case 0:
			fmt.Fprintf(&b, "no time %d\n", i)
		case 1:
			fmt.Fprintf(&b, "%d a wrong clock %d\n", r.IntN(2_000_000_000), i)
		default:
			fmt.Fprintf(&b, "%d line %d %s\n", now-r.IntN(30), i, strings.Repeat("x", r.IntN(60)))
		}
	}
	return b.String()
}

// TestBlocksHoldAllLinesOfATime: what the index rules out has no line of the time, and all blocks together are the text.
func TestBlocksHoldAllLinesOfATime(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := some(r, 200+r.IntN(800))
		a := opened(t, stored(t, text, seconds))
		if !a.Indexed {
			t.Fatal("there is no index")
		}
		var all strings.Builder
		carry := int64(NoTime)
		for i, b := range a.Blocks {
			lines, err := a.Read(i)
			if err != nil || int64(all.Len()) != b.At || b.Carry != carry {
				t.Fatalf("block %d at %d, carry %d: %v; want %d and %d", i, b.At, b.Carry, err, all.Len(), carry)
			}
			all.Write(lines)
			for line := range strings.Lines(string(lines)) {
				if at, ok := seconds([]byte(strings.TrimSuffix(line, "\n"))); ok {
					carry = at.UnixNano()
				}
				if !b.Within(carry, carry+1) {
					t.Errorf("seed %d: block %d, %v, does not show %q", seed, i, b.Spans, line)
				}
			}
		}
		if all.String() != text {
			t.Errorf("seed %d: %d bytes came back of %d", seed, all.Len(), len(text))
		}
	}
}

// TestIndexIsNarrow although some clocks are wrong in every block.
func TestIndexIsNarrow(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "%d line %d\n", 1_700_000_000+i, i)
		if i%10 == 0 {
			fmt.Fprintf(&b, "%d from 1970\n", i)
		}
	}
	a := opened(t, stored(t, b.String(), seconds))
	from := time.Unix(1_700_002_500, 0)
	wanted := 0
	for _, block := range a.Blocks {
		if block.Within(from.UnixNano(), from.Add(time.Second).UnixNano()) {
			wanted++
		}
	}
	if wanted == 0 || wanted > 5 {
		t.Errorf("%d of %d blocks may have one second", wanted, len(a.Blocks))
	}
}

// TestOtherProgramsReadIt as what it was made of.
func TestOtherProgramsReadIt(t *testing.T) {
	text := some(rand.New(rand.NewPCG(1, 2)), 2000)
	f := stored(t, text, seconds)
	tape.Require(t, "zstd")
	for _, program := range [][]string{{"zstd", "-dc"}, {"zstdcat"}} {
		out, err := exec.Command(program[0], append(program[1:], f.Name())...).Output()
		if err != nil || string(out) != text {
			t.Errorf("%v makes %d bytes of it: %v; want %d", program, len(out), err, len(text))
		}
	}
	if out, err := exec.Command("zstd", "-t", f.Name()).CombinedOutput(); err != nil {
		t.Errorf("zstd -t: %v: %s", err, out)
	}
}

func TestEmptyAndLongLines(t *testing.T) {
	for _, text := range []string{"", "x", "\n", strings.Repeat("y", 100_000), "a\n" + strings.Repeat("y", 5000) + "\nb\n"} {
		a := opened(t, stored(t, text, seconds))
		var all strings.Builder
		for i := range a.Blocks {
			lines, err := a.Read(i)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(lines)
		}
		if all.String() != text {
			t.Errorf("%d bytes came back as %d", len(text), all.Len())
		}
	}
}

// TestDamage: what is no archive is ErrPlain, a damaged index is none, and a damaged block is an error.
func TestDamage(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "b.zst")
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, e.EncodeAll([]byte("1 x\n"), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{plain, os.DevNull} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := Open(f); !errors.Is(err, ErrPlain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := stored(t, some(rand.New(rand.NewPCG(1, 2)), 2000), seconds)
	a := opened(t, f)
	last := a.frames[len(a.frames)-1]
	flip := func(at int64) {
		t.Helper()
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0x10
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
	flip(int64(last.CompressedOffset) + int64(last.CompressedSize) + 20)
	if b := opened(t, f); b.Indexed || len(b.Blocks) != len(a.Blocks) || !b.Blocks[0].Within(0, 1) {
		t.Error("an index that is damaged is believed")
	}
	flip(int64(last.CompressedOffset) + int64(last.CompressedSize)/2)
	if _, err := a.Read(len(a.Blocks) - 1); err == nil {
		t.Error("a block that is damaged is read")
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(appendIndex(nil, []Block{{Carry: NoTime, Spans: []Span{{1, 2}}}, {Carry: 5, Spans: []Span{}}}), 2)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, frame []byte, n int) {
		if n < 0 || n > 100 {
			return
		}
		blocks := make([]Block, n)
		if found, err := readIndex(frame, blocks); !found || err != nil {
			return
		}
		again := make([]Block, n)
		if found, err := readIndex(appendIndex(nil, blocks), again); !found || err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
		for i := range blocks {
			if blocks[i].Carry != again[i].Carry || fmt.Sprint(blocks[i].Spans) != fmt.Sprint(again[i].Spans) {
				t.Errorf("block %d is %v, and then %v", i, blocks[i], again[i])
			}
		}
	})
}
