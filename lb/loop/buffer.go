package loop

// BufferSize is what one Buffer holds, unless its pool says otherwise. It lies in
// Go's largest small size class.
const BufferSize = 32<<10 - 64

// Buffer is a pooled I/O buffer: Data[R:W] is unread. An idle connection holds
// none.
type Buffer struct {
	R, W int
	next *Buffer
	Data []byte
}

// Bytes is the unread part.
func (b *Buffer) Bytes() []byte { return b.Data[b.R:b.W] }

// Space is the free room after the unread part.
func (b *Buffer) Space() []byte { return b.Data[b.W:] }

// Len is the length of the unread part.
func (b *Buffer) Len() int { return b.W - b.R }

// Reset empties the buffer.
func (b *Buffer) Reset() { b.R, b.W = 0, 0 }

// Compact moves the unread part to the front.
func (b *Buffer) Compact() {
	b.W = copy(b.Data[:], b.Data[b.R:b.W])
	b.R = 0
}

// Pool is a last-in first-out stack of buffers, so the next one is still in
// the cache. Owned by a loop.
type Pool struct {
	free  *Buffer
	count int
	low   int // fewest free buffers since the last Trim
	size  int // 0 is BufferSize
}

// SetSize has buffers hold size bytes each, but no fewer than BufferSize. Call it
// before the first Get.
func (p *Pool) SetSize(size int) { p.size = max(size, BufferSize) }

// Size is what each buffer holds.
func (p *Pool) Size() int { return max(p.size, BufferSize) }

// Get gives an empty buffer. The caller must call Put exactly once.
func (p *Pool) Get() *Buffer {
	b := p.free
	if b == nil {
		return &Buffer{Data: make([]byte, p.Size())}
	}
	p.free = b.next
	p.count--
	p.low = min(p.low, p.count)
	b.next = nil
	b.R, b.W = 0, 0
	return b
}

// Put takes a buffer back.
func (p *Pool) Put(b *Buffer) {
	b.next = p.free
	p.free = b
	p.count++
}

// Trim gives what was not needed since the last Trim to the garbage
// collector; called every few seconds.
func (p *Pool) Trim() {
	for n := p.low; n > 0; n-- {
		p.free = p.free.next
		p.count--
	}
	p.low = p.count
}

// What a body of many buffers goes through instead: each read and each write has a price of its own, however much it moves, and wakes the peer. A body of
// 1 MiB took a third less processor time with 128 KiB than with 32 KiB, and a tenth less again with 256 KiB (docs/performance.md).
const (
	BulkSize = 256 << 10
	maxBulk  = 32 // buffers that a loop lends at once: a client that does not read keeps its own
)

// Bulk is a bounded stack of large buffers. Owned by a loop.
type Bulk struct {
	pool Pool
	lent int
}

// Get gives an empty buffer of BulkSize, or nil when all are lent. The caller must give it back with Loop.Put.
func (b *Bulk) Get() *Buffer {
	if b.lent == maxBulk {
		return nil
	}
	b.lent++
	b.pool.SetSize(BulkSize)
	return b.pool.Get()
}

// Lent is how many are not given back.
func (b *Bulk) Lent() int { return b.lent }

// Trim gives what was not needed since the last Trim to the garbage collector.
func (b *Bulk) Trim() { b.pool.Trim() }

// Put takes a buffer of Buffers or of Bulk back.
func (l *Loop) Put(b *Buffer) {
	if len(b.Data) == l.Buffers.Size() {
		l.Buffers.Put(b)
		return
	}
	l.Bulk.lent--
	l.Bulk.pool.Put(b)
}
