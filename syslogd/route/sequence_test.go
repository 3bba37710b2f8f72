package route

import (
	"fmt"
	"testing"
)

func TestSequences(t *testing.T) {
	row := func(why string, numbers []uint32, gaps, late uint64) {
		t.Helper()
		var s Sequences
		for _, n := range numbers {
			s.note([]byte("a"), n)
			s.note([]byte("b"), 1) // somebody else's are somebody else's
		}
		if g, l := s.Totals(); g != gaps || l != late {
			t.Errorf("%s: %d gaps, %d late; want %d, %d", why, g, l, gaps, late)
		}
		worst := s.Worst(10)
		if missing := gaps > late; missing != (len(worst) == 1) || missing && worst[0] != (Numbered{"a", uint64(len(numbers)), gaps, late}) {
			t.Errorf("%s: %+v", why, worst)
		}
	}
	row("complete, from anywhere", []uint32{7, 8, 9}, 0, 0)
	row("three are missing", []uint32{1, 2, 4, 7}, 3, 0)
	row("one comes late", []uint32{1, 2, 4, 3, 5}, 1, 1)
	row("two come late", []uint32{1, 4, 2, 3, 5}, 2, 2)
	row("doubled", []uint32{1, 2, 2, 3}, 0, 0)
	row("begins anew at one", []uint32{500, 501, 1, 2, 4}, 1, 0)
	row("begins anew, and one is not there", []uint32{500, 501, 2, 3, 4, 6}, 1, 0)
	row("begins anew far back", []uint32{5000, 3, 4}, 0, 0)
	row("wraps around", []uint32{1<<31 - 1, 1, 2}, 0, 0)
	row("leaps", []uint32{1, 1 << 30, 1<<30 + 1}, 0, 0)
}

func TestSequencesOfManySenders(t *testing.T) {
	var s Sequences
	for i := range 3 * maxNumbered {
		name := fmt.Append(nil, i)
		s.note(name, 1)
		s.note(name, 3)
	}
	if gaps, _ := s.Totals(); gaps != 3*maxNumbered || len(s.senders) > maxNumbered {
		t.Errorf("%d gaps of %d senders", gaps, len(s.senders))
	}
	name := []byte("a")
	s.note(name, 1)
	n := uint32(1)
	if a := testing.AllocsPerRun(100, func() { n++; s.note(name, n) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
}
