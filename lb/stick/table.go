package stick

import (
	"bytes"
	"hash/maphash"
	"sync"
	"time"
)

// Table is one stick table. All methods may be called from any goroutine.
type Table struct {
	Spec // immutable after New

	shown  []Data       // what is stored, in the order in which HAProxy shows it
	offset [NumData]int // first word of each data type in an entry; -1 where it is not stored
	words  int          // of an entry
	keyCap int          // bytes kept for its key
	seed   maphash.Seed
	mask   uint32 // of buckets

	mu sync.Mutex
	// mu guards the fields below.
	buckets   []uint32 // first entry of each chain; 0 is none
	chunks    []*chunk
	made      uint32 // entries that exist, used or free; the first is the ends of the list below
	free      uint32 // first free one, linked by next
	used      int
	names     []string          // servers that entries know; number 0 is none
	numbers   map[string]uint64 // their numbers
	joined    bool              // has what the former worker sent
	changeLog changeLog
	updates   *updates // nil: no peer has this table
	shares    *shares  // nil: nothing is added up over nodes
}

// chunkSize is how many entries memory is taken for at once.
const chunkSize = 1024

// chunk holds entries. None of it holds pointers.
type chunk struct {
	heads [chunkSize]head
	data  []uint64
	keys  []byte
}

// head is what each entry has, whatever its table stores. Entries that nobody
// holds are linked by the time of their last touch.
type head struct {
	at           int64 // of the last touch, ms
	hash         uint32
	next         uint32 // in its chain, or in the free list
	older, newer uint32
	refs         uint32
	told         uint32 // the message in which the next worker heard of it
	keyLen       uint16
	live         bool
	dirty        bool // in changeLog.dirty
}

// New makes an empty table.
func New(s Spec) *Table {
	t := &Table{Spec: s, seed: maphash.MakeSeed(), keyCap: s.Len, names: []string{""}, numbers: map[string]uint64{"": 0}}
	if s.Shared {
		t.updates = &updates{}
	}
	t.shares = newShares(&t.Spec)
	for d := range NumData {
		t.offset[d] = -1
		if s.Stores[d] {
			t.offset[d] = t.words
			t.words++
			if d.IsRate() {
				t.words++
			}
		}
	}
	t.shown = s.order()
	n := uint32(16)
	for int(n) < s.Size && n < 1<<30 {
		n <<= 1
	}
	t.mask = n - 1
	t.buckets = make([]uint32, n)
	t.made = 1
	t.grow()
	return t
}

// grow makes room for the entry after the last one made.
func (t *Table) grow() {
	if int(t.made)/chunkSize == len(t.chunks) || len(t.chunks) == 0 {
		t.chunks = append(t.chunks, &chunk{
			data: make([]uint64, chunkSize*t.words), keys: make([]byte, chunkSize*t.keyCap),
		})
	}
	if t.updates != nil {
		t.updates.grow(len(t.chunks))
	}
	if t.shares != nil {
		t.shares.grow(len(t.chunks))
	}
}

func (t *Table) head(i uint32) *head { return &t.chunks[i/chunkSize].heads[i%chunkSize] }

func (t *Table) data(i uint32) []uint64 {
	n := int(i%chunkSize) * t.words
	return t.chunks[i/chunkSize].data[n : n+t.words : n+t.words]
}

func (t *Table) key(i uint32) []byte {
	n := int(i%chunkSize) * t.keyCap
	return t.chunks[i/chunkSize].keys[n : n+int(t.head(i).keyLen)]
}

// find looks a key up; 0 when it has no entry, or one whose time is over. mu
// is held.
func (t *Table) find(key []byte, now int64) uint32 {
	h := uint32(maphash.Bytes(t.seed, key))
	for i := t.buckets[h&t.mask]; i != 0; {
		e := t.head(i)
		if e.hash == h && bytes.Equal(t.key(i), key) {
			if t.expired(i, now) {
				t.remove(i)
				return 0
			}
			return i
		}
		i = e.next
	}
	return 0
}

// expired reports whether an entry's time is over; that of one that is held, here or
// on another node, never is.
func (t *Table) expired(i uint32, now int64) bool {
	return t.old(i, now) && !t.elsewhere(i, now)
}

func (t *Table) old(i uint32, now int64) bool {
	e := t.head(i)
	return t.Expire > 0 && e.refs == 0 && now-e.at >= t.Expire
}

// make makes an entry; 0 when there is no room for it. The key has no entry.
// force takes the place of the oldest even where nopurge is set. mu is held.
func (t *Table) make(key []byte, now int64, force bool) uint32 {
	if t.used >= t.Size {
		t.sweep(now, 1)
	}
	if t.used >= t.Size {
		oldest := t.head(0).newer
		if oldest == 0 || t.NoPurge && !force {
			return 0
		}
		t.remove(oldest)
	}
	i := t.free
	if i != 0 {
		t.free = t.head(i).next
	} else {
		t.grow()
		i = t.made
		t.made++
	}
	e := t.head(i)
	*e = head{hash: uint32(maphash.Bytes(t.seed, key)), at: now, keyLen: uint16(len(key)), live: true}
	copy(t.key(i), key)
	clear(t.data(i))
	if t.shares != nil {
		t.shares.clear(i)
	}
	b := &t.buckets[e.hash&t.mask]
	e.next, *b = *b, i
	t.link(i)
	t.used++
	return i
}

// remove frees an entry that nobody holds. mu is held.
func (t *Table) remove(i uint32) {
	e := t.head(i)
	p := &t.buckets[e.hash&t.mask]
	for *p != i {
		p = &t.head(*p).next
	}
	*p = e.next
	t.unlink(i)
	t.changeLog.forget(i)
	if t.updates != nil {
		t.updates.forget(i)
	}
	e.live, e.dirty, e.told = false, false, 0
	e.next, t.free = t.free, i
	t.used--
}

// link puts an entry in its place at the end of those touched last: what peers
// and workers send may be a little older than the last ones there.
func (t *Table) link(i uint32) {
	e := t.head(i)
	before := t.head(0).older
	for n := 0; n < outOfOrder && before != 0 && t.head(before).at > e.at; n++ {
		before = t.head(before).older
	}
	e.older, e.newer = before, t.head(before).newer
	t.head(e.newer).older = i
	t.head(before).newer = i
}

// outOfOrder is how many entries link looks at to find the place of one that was
// touched before them. One that is put too far back goes late, and that is all.
const outOfOrder = 16

func (t *Table) unlink(i uint32) {
	e := t.head(i)
	t.head(e.older).newer = e.newer
	t.head(e.newer).older = e.older
	e.older, e.newer = 0, 0
}

// touch notes that an entry is about to change. mu is held.
func (t *Table) touch(i uint32, now int64) {
	if t.updates != nil {
		t.updates.note(i)
	}
	t.touchQuietly(i, now)
}

// touchQuietly is touch for a change that the peers need not hear of. mu is held.
func (t *Table) touchQuietly(i uint32, now int64) {
	e := t.head(i)
	if t.changeLog.epoch != 0 && !e.dirty {
		t.changeLog.note(t, i)
	}
	e.at = max(e.at, now)
	if e.refs == 0 {
		t.unlink(i)
		t.link(i)
	}
}

// sweep removes entries whose time is over, at most n; it reports whether more
// may be there. mu is held.
func (t *Table) sweep(now int64, n int) (more bool) {
	if t.Expire == 0 {
		return false
	}
	for range n {
		i := t.head(0).newer
		if i == 0 || !t.old(i, now) {
			return false
		}
		if t.elsewhere(i, now) { // it is in use, on another node
			t.head(i).at = now
			t.unlink(i)
			t.link(i)
			continue
		}
		t.remove(i)
	}
	return true
}

// batch is how many entries a long walk looks at before it gives the lock to
// others: some ten microseconds.
const batch = 256

// rest is called after each batch of a long walk, the n-th. One that never
// rested would be preempted in the middle of a batch sooner or later, and on a
// busy machine all loops would then wait for its next turn.
func rest(n int) {
	const work = 16
	if n%work == 0 {
		time.Sleep(100 * time.Microsecond)
	}
}

// Sweep removes all entries whose time is over.
func (t *Table) Sweep(now int64) {
	for n, more := 1, true; more; n++ {
		t.mu.Lock()
		more = t.sweep(now, batch)
		t.mu.Unlock()
		rest(n)
	}
}

// Used is how many entries there are.
func (t *Table) Used(now int64) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now, batch)
	return t.used
}
