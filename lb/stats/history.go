package stats

import (
	"slices"
	"sync"
	"time"
)

// Step is the time of one point of a History, and what it keeps is an hour.
const (
	Step   = 10 * time.Second
	points = int(time.Hour / Step)
	marks  = 50
)

// Point is what happened in one step.
type Point struct {
	At       int64   `json:"at"` // when it ended, as Unix time
	Requests float64 `json:"r"`  // in a second
	Errors   float64 `json:"e"`  // answers of the class 5xx, in a second
	P50      int     `json:"p50"`
	P99      int     `json:"p99"` // of the total times, ms; -1 without an exchange
	Conns    int     `json:"c"`   // at its end
}

// Mark is a reload that worked.
type Mark struct {
	At         int64 `json:"at"`
	Generation int   `json:"generation"`
	Moved      int   `json:"moved"` // connections that came from the generation before
}

// History is the last hour of a process and of those before it. The zero value
// is empty. Safe for concurrent use.
type History struct {
	mu   sync.Mutex
	past Past // mu guards it
}

// Past is what a History holds, oldest first.
type Past struct {
	Points []Point `json:"points,omitempty"`
	Marks  []Mark  `json:"marks,omitempty"`
}

// Add adds a point.
func (h *History) Add(p Point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.past.Points = latest(append(h.past.Points, p), points)
}

// Inherit goes on from what an earlier process had, with a mark. Where that process
// has more by now, it may be called again.
func (h *History) Inherit(p Past, m Mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.past.Points
	if n := len(p.Points); n > 0 {
		own = slices.DeleteFunc(own, func(o Point) bool { return o.At <= p.Points[n-1].At })
	}
	h.past.Points = latest(append(slices.Clone(p.Points), own...), points)
	h.past.Marks = latest(append(slices.Clone(p.Marks), m), marks)
}

// Past is a copy, whose last mark has moved connections.
func (h *History) Past(moved int) Past {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := Past{slices.Clone(h.past.Points), slices.Clone(h.past.Marks)}
	if n := len(p.Marks); n > 0 {
		p.Marks[n-1].Moved = max(moved, p.Marks[n-1].Moved)
	}
	return p
}

func latest[E any](list []E, n int) []E {
	if len(list) > n {
		return append(list[:0], list[len(list)-n:]...)
	}
	return list
}

// Since is what was counted after before; all of it when the counters were
// cleared meanwhile.
func (l Latency) Since(before Latency) Latency {
	now := l.Clone()
	if now.h == nil || before.h == nil {
		return now
	}
	for t := range now.h {
		for i := range now.h[t].hist {
			if now.h[t].hist[i] < before.h[t].hist[i] {
				return l
			}
			now.h[t].hist[i] -= before.h[t].hist[i]
		}
		now.h[t].sum -= min(before.h[t].sum, now.h[t].sum)
	}
	return now
}
