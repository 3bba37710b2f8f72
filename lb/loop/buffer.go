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

// MostWide is how many buffers a Wide lends at once.
const MostWide = 32

// Wide is a Pool of few, large buffers: whoever gets none does with an ordinary one.
type Wide struct {
	Pool
	lent int
}

// Short reports that Get has none to give.
func (w *Wide) Short() bool { return w.lent == MostWide }

// Lent is how many are not given back.
func (w *Wide) Lent() int { return w.lent }

// Get gives an empty buffer, or nil when as many as may be are lent. The caller must call Put exactly once.
func (w *Wide) Get() *Buffer {
	if w.Short() {
		return nil
	}
	w.lent++
	return w.Pool.Get()
}

// Put takes a buffer back.
func (w *Wide) Put(b *Buffer) {
	w.lent--
	w.Pool.Put(b)
}
