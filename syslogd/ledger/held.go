package ledger

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"
	"syscall"
)

// heldSlots is of how many outputs' files it is known what a kill took: of the first ones that were opened.
const heldSlots = 64

// Held is what an output has taken and its file does not have yet, in memory that outlives the process. It belongs to one output at a time.
type Held struct {
	path  [keySize]byte
	owned atomic.Uint64 // 1: by an output
	taken atomic.Uint64 // lines, so far

	// The file when done lines were through: whatever stands behind that is of the lines that follow. Of the two marks one is complete whenever
	// the process ends.
	current atomic.Uint64
	marks   [2]struct{ inode, size, done atomic.Uint64 }
}

// Hold gives an output of the file at path its own place; nil when there is none.
func (b *Book) Hold(path string) *Held {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(path) >= keySize {
		return nil
	}
	for i := range b.book.held {
		h := &b.book.held[i]
		if h.owned.CompareAndSwap(0, 1) {
			h.reset()
			h.path = [keySize]byte{}
			copy(h.path[:], path)
			return h
		}
	}
	return nil
}

// Take notes how many lines the output has taken so far. A Held that is nil notes nothing.
func (h *Held) Take(lines uint64) {
	if h != nil {
		h.taken.Store(lines)
	}
}

// Mark notes that so many lines are through when the file has this size.
func (h *Held) Mark(inode uint64, size int64, done uint64) {
	if h == nil {
		return
	}
	i := h.current.Load() & 1
	if m := &h.marks[i]; m.inode.Load() == inode && m.size.Load() == uint64(size) && m.done.Load() == done {
		return
	}
	m := &h.marks[i^1]
	m.inode.Store(inode)
	m.size.Store(uint64(size))
	m.done.Store(done)
	h.current.Store(i ^ 1)
}

// Release gives the place back: the output has nothing any more.
func (h *Held) Release() {
	if h == nil {
		return
	}
	h.reset()
	h.owned.Store(0)
}

func (h *Held) reset() {
	h.taken.Store(0)
	for i := range h.marks {
		m := &h.marks[i]
		m.inode.Store(0)
		m.size.Store(0)
		m.done.Store(0)
	}
}

// settle says how many lines an output held that was killed, and frees its place.
func (h *Held) settle() (killed uint64) {
	taken, m := h.taken.Load(), &h.marks[h.current.Load()&1]
	if h.owned.Load() == 1 && taken > m.done.Load() {
		path, _, _ := bytes.Cut(h.path[:], []byte{0})
		killed = taken - m.done.Load()
		killed -= min(killed, linesFrom(string(path), m.inode.Load(), int64(m.size.Load())))
	}
	h.Release()
	return killed
}

// linesFrom is how many lines the file has from there on; all, if it is another file by now. A line that was torn counts: what there is of it can
// be read.
func linesFrom(path string, inode uint64, from int64) (lines uint64) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Ino != inode || from > info.Size() {
		from = 0
	}
	buf, last := make([]byte, 256<<10), byte('\n')
	for {
		n, err := f.ReadAt(buf, from)
		lines += uint64(bytes.Count(buf[:n], []byte{'\n'}))
		from += int64(n)
		if n > 0 {
			last = buf[n-1]
		}
		if err == io.EOF && last != '\n' {
			lines++
		}
		if err != nil {
			return lines
		}
	}
}

// Killed is how many lines outputs held when syslogd was killed, over all kills.
func (b *Book) Killed() uint64 { return b.book.killed.Load() }
