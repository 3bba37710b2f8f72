package cache

import "golang.org/x/sys/unix"

// blockSize is how much memory an object takes at least, and the unit of all more.
const blockSize = 1 << 10

// none is no block.
const none = ^uint32(0)

// blocks are the memory of a cache: a list of those that were given back, and
// the rest, which was never used and costs nothing yet. Guarded by Cache.mu, but
// for the bytes of a block, which belong to its object.
type blocks struct {
	memory []byte
	next   []uint32 // after a block: its object's next one, or the next free one
	free   uint32   // the first that was given back
	unused uint32   // those from here on were never used
	left   int      // how many are free
}

func newBlocks(size int64) (b blocks, err error) {
	n := size / blockSize
	b.memory, err = unix.Mmap(-1, 0, int(n*blockSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	b.next, b.free, b.left = make([]uint32, n), none, int(n)
	return b, err
}

// take gives a free block; there must be one.
func (b *blocks) take() (n uint32) {
	if n = b.free; n != none {
		b.free = b.next[n]
	} else {
		n = b.unused
		b.unused++
	}
	b.next[n] = none
	b.left--
	return n
}

// give returns a chain of blocks.
func (b *blocks) give(first uint32) {
	for n := first; n != none; {
		after := b.next[n]
		b.next[n], b.free = b.free, n
		b.left++
		n = after
	}
}

// bytes are those of a block.
func (b *blocks) bytes(n uint32) []byte {
	return b.memory[int(n)*blockSize : (int(n)+1)*blockSize]
}
