package syslog

import "sync/atomic"

// Sample picks lines by their number: `log ... sample 1,3-5:10` takes the
// first and the third to fifth of ten. It is shared by the senders of a
// process.
type Sample struct {
	Ranges [][2]int // from 1, both ends belong to it
	Size   int

	seen atomic.Uint64
}

// take counts a line and reports whether it is picked.
func (s *Sample) take() bool {
	at := int((s.seen.Add(1)-1)%uint64(s.Size)) + 1
	for _, r := range s.Ranges {
		if at >= r[0] && at <= r[1] {
			return true
		}
	}
	return false
}
