package master

import (
	"testing"
	"time"
)

// TestPace runs requests for a reload, at their times in ms, against reloads of 200 ms, and says when each reload begins.
func TestPace(t *testing.T) {
	const took = 200
	every := func(step, n int) (times []int) {
		for i := range n {
			times = append(times, i*step)
		}
		return times
	}
	for _, c := range []struct {
		name   string
		asked  []int
		begins []int
	}{
		{"one after quiet is obeyed at once", []int{0, 1000}, []int{0, 1000}},
		{"one that comes meanwhile gets the next", []int{0, 50}, []int{0, 200}},
		{"so do a few", []int{0, 50, 60, 70, 80}, []int{0, 200}},
		{"a loop has one for each", every(200, 6), []int{0, 200, 400, 600, 800, 1000}},
		{"a crowd at once has two", append([]int{0}, make([]int, 199)...), []int{0, 500}},
		{"a crowd over two seconds has two", every(10, 200), []int{0, 1990 + 500}},
		{"a crowd over twelve seconds has six", every(60, 200), []int{0, 200, 400, 420 + 5000, 5460 + 5000, 60*199 + 500}},
		{"stragglers are waited for", []int{0, 1, 2, 3, 4, 5, 6, 7, 1000, 1300}, []int{0, 507, 1800}},
		{"after a crowd all is as before", []int{0, 1, 2, 3, 4, 5, 6, 7, 10_000, 10_010}, []int{0, 507, 10_000, 10_200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			begins := storm(c.asked, took)
			if len(begins) != len(c.begins) {
				t.Fatalf("reloads began at %v, want %v", begins, c.begins)
			}
			for i := range begins {
				if begins[i] != c.begins[i] {
					t.Errorf("reloads began at %v, want %v", begins, c.begins)
					break
				}
			}
		})
	}
}

// storm plays the master, one millisecond after the other.
func storm(asked []int, took int) (begins []int) {
	var p pace
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ends, running, waiting := -1, 0, 0
	for ms := 0; len(asked) > 0 || running > 0 || waiting > 0; ms++ {
		now := start.Add(time.Duration(ms) * time.Millisecond)
		if ms == ends {
			running = 0
		}
		for len(asked) > 0 && asked[0] <= ms {
			p.ask(now)
			asked = asked[1:]
			waiting++
			if running == 0 && p.rest(now) <= 0 {
				begins, ends, running, waiting = append(begins, ms), ms+took, waiting, 0
			}
		}
		if running == 0 && waiting > 0 && p.rest(now) <= 0 {
			begins, ends, running, waiting = append(begins, ms), ms+took, waiting, 0
		}
	}
	return begins
}
