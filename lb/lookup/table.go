package lookup

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
)

// Table finds lines by their key while one goroutine at a time changes it. Readers
// never wait: each change is one atomic store. The zero value is not ready; Fill makes
// it so.
//
// Invariant: the lines of one key stand in the order of the file, and the first counts.
type Table[V any] struct {
	now     atomic.Pointer[buckets[V]]
	sizes   atomic.Pointer[[]int]
	version atomic.Uint64

	// The fields below are the writer's.
	lines  int
	counts map[int]int // lines of each size
}

type buckets[V any] struct {
	seed maphash.Seed
	mask uint64
	list []atomic.Pointer[node[V]]
}

// node is one line. Immutable once it is in a table.
type node[V any] struct {
	id    uint64
	size  int
	key   string
	value V
	next  *node[V]
}

// Keyed is a line for a table.
type Keyed[V any] struct {
	ID    uint64
	Key   string
	Size  int // of the key, in the measure that Sizes lists
	Value V
}

// Fill makes it the table of that many lines alone, in their order.
func (t *Table[V]) Fill(lines int, line func(i int) Keyed[V]) {
	b := newBuckets[V](lines)
	slab := make([]node[V], lines)
	t.counts = map[int]int{}
	for i := lines - 1; i >= 0; i-- { // each goes before the later ones
		l := line(i)
		at := b.at(maphash.String(b.seed, l.Key))
		slab[i] = node[V]{l.ID, l.Size, l.Key, l.Value, at.Load()}
		at.Store(&slab[i])
		t.counts[l.Size]++
	}
	t.lines = lines
	t.storeSizes()
	t.now.Store(b)
	t.version.Add(1)
}

func newBuckets[V any](lines int) *buckets[V] {
	n := 8
	for n < lines {
		n *= 2
	}
	return &buckets[V]{seed: maphash.MakeSeed(), mask: uint64(n) - 1, list: make([]atomic.Pointer[node[V]], n)}
}

func (b *buckets[V]) at(hash uint64) *atomic.Pointer[node[V]] { return &b.list[hash&b.mask] }

// Put adds a line after all others, or gives the line of that ID another value.
func (t *Table[V]) Put(l Keyed[V]) {
	b := t.now.Load()
	at := b.at(maphash.String(b.seed, l.Key))
	made, added := at.Load().with(&node[V]{l.ID, l.Size, l.Key, l.Value, nil})
	if added {
		if t.counts[l.Size]++; t.counts[l.Size] == 1 {
			t.storeSizes() // first, or the line would not be looked for
		}
		t.lines++
	}
	at.Store(made)
	t.version.Add(1)
	if t.lines > 2*len(b.list) {
		t.grow()
	}
}

// with is the chain with one more line, or with another in its place.
func (n *node[V]) with(line *node[V]) (chain *node[V], added bool) {
	switch {
	case n == nil:
		return line, true
	case n.id == line.id:
		line.next = n.next
		return line, false
	}
	c := *n
	c.next, added = n.next.with(line)
	return &c, added
}

// Remove takes a line out.
func (t *Table[V]) Remove(id uint64, key string) {
	b := t.now.Load()
	at := b.at(maphash.String(b.seed, key))
	made, gone := at.Load().without(id)
	if gone == nil {
		return
	}
	at.Store(made)
	t.lines--
	if t.counts[gone.size]--; t.counts[gone.size] == 0 {
		delete(t.counts, gone.size)
		t.storeSizes()
	}
	t.version.Add(1)
}

func (n *node[V]) without(id uint64) (chain, gone *node[V]) {
	switch {
	case n == nil:
		return nil, nil
	case n.id == id:
		return n.next, n
	}
	rest, gone := n.next.without(id)
	if gone == nil {
		return n, nil
	}
	c := *n
	c.next = rest
	return &c, gone
}

// grow makes room: the lines are the same, so no reader sees a difference.
func (t *Table[V]) grow() {
	old, made := t.now.Load(), newBuckets[V](4*t.lines)
	slab := make([]node[V], 0, t.lines)
	var chain []*node[V]
	for i := range old.list {
		chain = chain[:0]
		for n := old.list[i].Load(); n != nil; n = n.next {
			chain = append(chain, n)
		}
		for _, n := range slices.Backward(chain) {
			at := made.at(maphash.String(made.seed, n.key))
			slab = append(slab, node[V]{n.id, n.size, n.key, n.value, at.Load()})
			at.Store(&slab[len(slab)-1])
		}
	}
	t.now.Store(made)
}

func (t *Table[V]) storeSizes() {
	list := make([]int, 0, len(t.counts))
	for n := range t.counts {
		list = append(list, n)
	}
	slices.Sort(list)
	slices.Reverse(list)
	t.sizes.Store(&list)
}

// Get finds the first line of a key; ID 0 is none.
func (t *Table[V]) Get(key []byte) (id uint64, v V) {
	b := t.now.Load()
	for n := b.at(maphash.Bytes(b.seed, key)).Load(); n != nil; n = n.next {
		if n.key == string(key) {
			return n.id, n.value
		}
	}
	return 0, v
}

// Sizes are those of the lines, each once, largest first.
func (t *Table[V]) Sizes() []int { return *t.sizes.Load() }

// Version grows with each change. What several calls of Get found belongs together
// if it is the same before and after them.
func (t *Table[V]) Version() uint64 { return t.version.Load() }
