package http2

import "testing"

// TestAllowance: time and bytes fill it, and neither beyond what it holds.
func TestAllowance(t *testing.T) {
	terms := Terms{Burst: 10, Rate: 100, Worth: 50}
	var a Allowance
	spend := func(now, moved int64, n int) (left int) {
		for range n {
			if !a.Spend(terms, now, moved) {
				return left
			}
			left++
		}
		return left
	}
	for _, c := range []struct {
		now, moved int64
		want       int // of 100
	}{
		{1_000_000, 0, 10}, {1_000_000, 0, 0}, {1_000_050, 0, 5}, {1_000_050, 99, 1}, {1_000_050, 1000, 10}, {9_000_000, 1000, 10}, {9_000_000, 1 << 40, 10},
	} {
		if got := spend(c.now, c.moved, 100); got != c.want {
			t.Errorf("at %d with %d bytes: %d, want %d", c.now, c.moved, got, c.want)
		}
	}
}
