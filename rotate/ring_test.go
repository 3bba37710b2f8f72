package rotate

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRingAgainstAModel pushes lines and pieces of lines of all sizes, takes some off the front, and compares with the end of what was pushed.
func TestRingAgainstAModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 / rare {
		memory := NewMemory(int64(r.IntN(4)) * ringStep)
		limit := 1 + r.IntN(3*ringStep)
		ring := ring{limit: limit, memory: memory}
		var all []byte // pushed and not taken or dropped
		lines := 0
		for range 60 {
			p := bytes.Repeat([]byte{'x'}, 1+r.IntN(limit/3+1))
			for range r.IntN(20) {
				p[r.IntN(len(p))] = '\n'
			}
			all = append(all, p...)
			lost, dropped := ring.push(p)
			if got := bytes.Count(all[:dropped], newline); got != lost {
				t.Fatalf("%d lines are lost; the ring says %d", got, lost)
			}
			all = all[dropped:]
			lines += lost
			if ring.size() > 0 && r.IntN(3) == 0 {
				front := ring.front(r.IntN(limit))
				if !bytes.HasPrefix(all, front) || front[len(front)-1] != '\n' && len(front) < len(all) {
					t.Fatalf("the front is %.40q of %.40q", front, all)
				}
				n := 1 + r.IntN(len(front))
				ring.pop(n)
				all = all[n:]
			}
			first, second := ring.parts(0, ring.kept)
			if string(first)+string(second) != string(all) || ring.lines() != bytes.Count(all, newline) || ring.room > limit {
				t.Fatalf("%d bytes are kept of %d, %d lines, in %d of %d", ring.size(), len(all), ring.lines(), ring.room, limit)
			}
			if used := memory.Used(); used > memory.limit.Load() || used != int64(max(ring.room-ringStep, 0)) {
				t.Fatalf("%d bytes are taken for %d", used, ring.room)
			}
		}
		if ring.release(); memory.Used() != 0 || ring.size() != 0 {
			t.Errorf("%d bytes are not given back", memory.Used())
		}
	}
}

// TestManyStalledWriters has many Writers of a disk that takes nothing: together they keep what Memory allows and their own first step, every loss
// has a number, and all of it is given back.
func TestManyStalledWriters(t *testing.T) {
	const writers = 20
	memory := NewMemory(4 * ringStep)
	var all []*Writer
	dir := t.TempDir()
	for i := range writers {
		w := open(t, dir+"/"+strings.Repeat("a", i+1)+".log", Options{Memory: memory, Ring: 8 * ringStep})
		write(t, w, "first\n")
		w.cur.out.Close()
		w.cur.out.Filename = "/dev/full"
		all = append(all, w)
	}
	const lines = 100_000
	text := []byte(strings.Repeat(numbered(1), 1000))
	for range lines / 1000 {
		for _, w := range all {
			if _, err := w.Write(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	total := 0
	for _, w := range all {
		s := w.Stats()
		if s.Lost == 0 || s.Lost+uint64(s.WaitingLines)+s.Lines != lines+1 {
			t.Errorf("%+v", s)
		}
		if s.Waiting < ringStep-100 {
			t.Errorf("a Writer keeps %d bytes", s.Waiting)
		}
		total += w.stall.ring.room
	}
	if most := 4*ringStep + writers*ringStep; total > most {
		t.Errorf("%d bytes are kept; want at most %d", total, most)
	}
	for _, w := range all {
		w.Close()
	}
	if memory.Used() != 0 {
		t.Errorf("%d bytes are not given back", memory.Used())
	}
}
