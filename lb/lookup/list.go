package lookup

import (
	"slices"
	"sort"
	"sync/atomic"
)

// List is lines that are tried one after the other while one goroutine at a time
// changes them. Readers never wait, and see it as it is at one moment. The zero value
// is empty.
type List[T, S any] struct {
	// Sum makes of some lines what is looked at in their place. Set before use.
	Sum func([]Item[T]) S

	now atomic.Pointer[[]*Part[T, S]]
}

// Item is one line.
type Item[T any] struct {
	ID    uint64
	Value T
}

// Part is some lines that follow each other. Immutable.
type Part[T, S any] struct {
	Items []Item[T]
	Sum   S
}

// partSize is how many lines one part has at most: a change copies one part, and the
// list of them.
const partSize = 64

// Parts are all lines, in their order.
func (l *List[T, S]) Parts() []*Part[T, S] {
	if p := l.now.Load(); p != nil {
		return *p
	}
	return nil
}

// Fill makes it the list of these lines alone; it owns them from now on.
func (l *List[T, S]) Fill(items []Item[T]) {
	var parts []*Part[T, S]
	for part := range slices.Chunk(items, partSize) {
		parts = append(parts, l.part(part))
	}
	l.now.Store(&parts)
}

func (l *List[T, S]) part(items []Item[T]) *Part[T, S] {
	p := &Part[T, S]{Items: items}
	if l.Sum != nil {
		p.Sum = l.Sum(items)
	}
	return p
}

// find gives the part in which a line stands, if it does.
func find[T, S any](parts []*Part[T, S], id uint64) int {
	return sort.Search(len(parts), func(i int) bool {
		return parts[i].Items[len(parts[i].Items)-1].ID >= id
	})
}

// Put appends a line, or gives the line of that ID another value.
func (l *List[T, S]) Put(item Item[T]) {
	parts := slices.Clone(l.Parts())
	if i := find(parts, item.ID); i < len(parts) {
		items := slices.Clone(parts[i].Items)
		for k := range items {
			if items[k].ID == item.ID {
				items[k] = item
			}
		}
		parts[i] = l.part(items)
	} else if last := len(parts) - 1; last >= 0 && len(parts[last].Items) < partSize {
		parts[last] = l.part(append(slices.Clip(parts[last].Items), item))
	} else {
		parts = append(parts, l.part([]Item[T]{item}))
	}
	l.now.Store(&parts)
}

// Remove takes a line out.
func (l *List[T, S]) Remove(id uint64) {
	parts := slices.Clone(l.Parts())
	i := find(parts, id)
	if i == len(parts) {
		return
	}
	items := slices.DeleteFunc(slices.Clone(parts[i].Items), func(one Item[T]) bool { return one.ID == id })
	if len(items) == 0 {
		parts = slices.Delete(parts, i, i+1)
	} else {
		parts[i] = l.part(items)
	}
	l.now.Store(&parts)
}
