//go:build race

package rule

// raced says that the race detector is on: sync.Pool forgets a quarter of what it is given then, and allocations are no measure where it is used.
const raced = true
