package stream

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	if r := NewRate(0); r.wait(time.Now()) != 0 {
		t.Error("no limit, and yet one has to wait")
	}
	r := NewRate(10)
	now := time.Now()
	taken := func(from, to int) (n int) { // ms, an attempt in each
		for ms := from; ms < to; ms++ {
			if at := now.Add(time.Duration(ms) * time.Millisecond); r.wait(at) == 0 {
				r.count(at)
				n++
			}
		}
		return n
	}
	if n := taken(0, 1000); n != 10 {
		t.Errorf("%d of 10 in the first second", n)
	}
	if n := taken(1000, 3000); n < 15 || n > 21 {
		t.Errorf("%d in the two seconds after, of some 20", n)
	}
	if w := r.wait(now.Add(2999 * time.Millisecond)); w < 0 || w > 100 {
		t.Errorf("to wait %d ms", w)
	}
	if n := taken(10000, 10010); n != 10 {
		t.Errorf("%d of 10 after a pause", n)
	}
}
