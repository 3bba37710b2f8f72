package kafka

import "slices"

// Spans are the parts of a file that were seen: sorted, apart from each other, so that a file without gaps is one span however long it is.
type spans []span

// span is bytes from one offset up to another.
type span struct{ from, to int64 }

// add joins a span in; again says that all of it was there before.
func (s *spans) add(from, to int64) (again bool) {
	list := *s
	// The first span that ends at or after the beginning of the new one.
	i, _ := slices.BinarySearchFunc(list, from, func(s span, from int64) int {
		if s.to < from {
			return -1
		}
		return 1
	})
	if i < len(list) && list[i].from <= from && to <= list[i].to {
		return true
	}
	j := i
	for ; j < len(list) && list[j].from <= to; j++ {
		from, to = min(from, list[j].from), max(to, list[j].to)
	}
	*s = slices.Replace(list, i, j, span{from, to})
	return false
}

// end is where the last span ends.
func (s spans) end() int64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].to
}
