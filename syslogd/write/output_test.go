package write

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"lbsyslogd/rotate"
)

func output(t *testing.T, limit int) (*Output, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.log")
	file, err := rotate.Open(path, rotate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return New("x", file, limit, nil), path
}

func TestLinesOfSeveralReadersArriveOnceAndWhole(t *testing.T) {
	o, path := output(t, 1<<20)
	var readers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			var buf []byte
			for i := range 1000 {
				n := 0
				for range 1 + i%7 {
					buf = fmt.Appendf(buf, "reader %d line %d of %d\n", r, i, 1+i%7)
					n++
				}
				buf = o.Give(buf, n)
				if len(buf) != 0 {
					t.Error("Give returned a buffer that is not empty")
				}
			}
		})
	}
	readers.Wait()
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := o.Counts()
	if c.Given != c.Written || c.Waiting+c.Overflow+c.Lost != 0 {
		t.Errorf("counts %+v", c)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || uint64(strings.Count(string(text), "\n")) != c.Given {
		t.Errorf("%d lines, %v; want %d", strings.Count(string(text), "\n"), err, c.Given)
	}
	for r := range 4 {
		at := 0
		for i := range 1000 { // each reader's lines are in its order
			for range 1 + i%7 {
				want := fmt.Sprintf("reader %d line %d of %d\n", r, i, 1+i%7)
				k := strings.Index(string(text[at:]), want)
				if k < 0 {
					t.Fatalf("%q is missing or late", want)
				}
				at += k + len(want)
			}
		}
	}
}

func TestBatchLargerThanAPieceIsCutAtLines(t *testing.T) {
	o, path := output(t, 16<<20)
	var buf []byte
	const n = 50_000
	for i := range n {
		buf = fmt.Appendf(buf, "line %d %s\n", i, strings.Repeat("x", i%50))
	}
	want := string(buf)
	o.Give(buf, n)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%d bytes arrived of %d, %v", len(text), len(want), err)
	}
}

func TestSlowDiskOverflowsWithANumber(t *testing.T) {
	// Somebody writes and does not come to an end, which is as slow as a disk can be.
	o := &Output{name: "x", limit: 100, wake: make(chan struct{}, 1), busy: true}
	line := []byte(strings.Repeat("x", 39) + "\n")
	for range 10 {
		o.Give(append([]byte(nil), line...), 1)
	}
	if o.given != 10 || o.overflow != 8 || o.lines != 2 || !o.late {
		t.Errorf("given %d, overflow %d, waiting %d", o.given, o.overflow, o.lines)
	}
}

// TestMemoryIsWhatTheBuffersHold has many outputs of a disk that hangs. Lines come in buffers much larger than they are: what counts is how much
// memory waits for the disk, and it is the bound of all and each one's own part.
func TestMemoryIsWhatTheBuffersHold(t *testing.T) {
	const limit, outputs = 8 << 20, 20
	memory := rotate.NewMemory(limit)
	held := 0
	for range outputs {
		o := &Output{name: "x", limit: 64 << 20, memory: memory, wake: make(chan struct{}, 1), busy: true, late: true}
		for _, size := range []int{100, 30_000, 60_000, 130_000, 250_000} {
			for range 20 {
				o.Give(make([]byte, size, 300_000), 1)
			}
		}
		for _, buf := range o.queue {
			held += cap(buf)
		}
		if o.overflow == 0 {
			t.Error("the outputs are given less than they may hold")
		}
	}
	if held > limit+outputs*ownQueue || held < limit {
		t.Errorf("%d outputs hold %d KiB; the bound of all is %d KiB, and %d KiB for each", outputs, held>>10, limit>>10, ownQueue>>10)
	}
}

// TestEmptyBuffersAreBounded as those in the queue are.
func TestEmptyBuffersAreBounded(t *testing.T) {
	o, _ := output(t, 64<<20)
	o.mu.Lock()
	for range 20 {
		o.queue = append(o.queue, append(make([]byte, 0, 100<<10), "line\n"...))
		o.lines++
	}
	o.given, o.taken = 20, 20
	o.mu.Unlock()
	o.ring()
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, buf := range o.free {
		kept += cap(buf)
	}
	if kept != o.spare || kept > ownQueue || kept == 0 {
		t.Errorf("%d bytes of empty buffers are kept, and %d are counted", kept, o.spare)
	}
}

// TestDrainWaitsForWhatWasTaken drops lines while others that came before them wait: the dropped ones do not stand for those.
func TestDrainWaitsForWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &Output{name: "x", limit: 100, wake: make(chan struct{}, 1), busy: true, late: true}
		o.idle = sync.NewCond(&o.mu)
		give := func() { o.Give([]byte(strings.Repeat("x", 39)+"\n"), 1) }
		give()
		give()
		ctx, cancel := context.WithCancel(t.Context())
		drained := make(chan error, 1)
		go func() { drained <- o.Drain(ctx) }()
		synctest.Wait()
		for range 10 {
			give()
		}
		o.idle.Broadcast()
		synctest.Wait()
		cancel()
		if err := <-drained; err == nil || !strings.Contains(err.Error(), "2 lines still wait") {
			t.Errorf("Drain() = %v", err)
		}
		if c := o.overflow; c != 10 {
			t.Errorf("%d lines are dropped", c)
		}
	})
}

// TestLossLineStandsWhereLinesAreMissing holds up the writing until lines are dropped, twice.
func TestLossLineStandsWhereLinesAreMissing(t *testing.T) {
	o, path := output(t, 100)
	line := func(n int) []byte { return fmt.Appendf(nil, "line %034d\n", n) } // 40 bytes
	for round := range 2 {
		o.mu.Lock()
		for o.busy { // Drain does not wait for the line about the loss
			o.idle.Wait()
		}
		o.busy = true
		o.late = true // nobody waits for room
		o.mu.Unlock()
		for i := range 10 {
			o.Give(line(10*round+i), 1)
		}
		o.mu.Lock()
		o.busy = false
		o.idle.Broadcast()
		o.mu.Unlock()
		if err := o.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c := o.Counts()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lost := `rotate: lost 8 lines \(320 bytes\) between \S+ and \S+: the disk is too slow, and the queue is full\n`
	want := regexp.MustCompile("^" + string(line(0)) + string(line(1)) + lost + string(line(10)) + string(line(11)) + lost + "$")
	if c.Given != 20 || c.Written != 4 || c.Overflow != 16 || !want.Match(text) {
		t.Errorf("%+v, and the file holds\n%s", c, text)
	}
}

func TestGivingAllocatesNothing(t *testing.T) {
	o, _ := output(t, 16<<20)
	defer o.Close()
	line := []byte(strings.Repeat("x", 199) + "\n")
	buf := make([]byte, 0, 64<<10)
	give := func() {
		for range 100 {
			buf = append(buf, line...)
		}
		buf = o.Give(buf, 100)
		if err := o.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for range 10 {
		give()
	}
	// Drain allocates to watch its ctx; a hundred lines cost nothing besides.
	if n := testing.AllocsPerRun(100, give); n > 8 {
		t.Errorf("a batch costs %v allocations", n)
	}
}
