package rotate

import (
	"bytes"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Memory bounds what several Writers keep in their rings together, and whatever else a program counts in it. A nil Memory is no bound.
type Memory struct {
	limit atomic.Int64
	used  atomic.Int64
}

// NewMemory is a bound of so many bytes.
func NewMemory(limit int64) *Memory {
	m := new(Memory)
	m.SetLimit(limit)
	return m
}

// SetLimit changes the bound. What is taken above it stays until it is given back.
func (m *Memory) SetLimit(limit int64) { m.limit.Store(limit) }

// Take takes n bytes, if there are as many.
func (m *Memory) Take(n int) bool {
	if m == nil {
		return true
	}
	if m.used.Add(int64(n)) <= m.limit.Load() {
		return true
	}
	m.used.Add(-int64(n))
	return false
}

// Give gives back what was taken.
func (m *Memory) Give(n int) {
	if m != nil {
		m.used.Add(-int64(n))
	}
}

// Used is how much is taken.
func (m *Memory) Used() int64 {
	if m == nil {
		return 0
	}
	return m.used.Load()
}

// ringStep is by how much a ring grows. The first step is every Writer's own: one that stalls while others have taken all of Memory keeps
// something too.
const ringStep = 256 << 10

// A ring keeps the newest bytes of up to limit, cut at line borders. It lies outside of Go's heap, which would hold twice as much before it
// looks, and gives all of it back at once. The zero value with a limit is ready.
type ring struct {
	limit  int
	memory *Memory

	buf     []byte // limit bytes of address space, of which the first room are used
	room    int
	head    int  // where the oldest byte is
	kept    int  // bytes from there on, around the end
	rows    int  // lines in them
	skip    bool // the beginning of the next line was dropped, so its rest is too
	scratch []byte
}

func (r *ring) size() int { return r.kept }

func (r *ring) lines() int { return r.rows }

// parts is n bytes from offset at of what is kept, which may come around the end.
func (r *ring) parts(at, n int) (first, second []byte) {
	from := r.head + at
	if from >= r.room {
		from -= r.room
	}
	if over := from + n - r.room; over > 0 {
		return r.buf[from:r.room], r.buf[:over]
	}
	return r.buf[from : from+n], nil
}

// grow makes room for so many bytes, if it may.
func (r *ring) grow(want int) {
	for r.room < min(want, r.limit) && r.head+r.kept <= r.room { // while nothing comes around the end
		step := min(ringStep, r.limit-r.room)
		if r.room > 0 && !r.memory.Take(step) {
			return
		}
		if r.buf == nil {
			buf, err := unix.Mmap(-1, 0, r.limit, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
			if err != nil {
				r.limit = 0 // no address space: nothing can be kept
				return
			}
			r.buf = buf
		}
		r.room += step
	}
}

// release gives all of it back.
func (r *ring) release() {
	if r.buf != nil {
		unix.Munmap(r.buf)
		r.memory.Give(max(r.room-ringStep, 0))
	}
	*r = ring{limit: r.limit, memory: r.memory}
}

// push adds p and drops the oldest whole lines that have no room. It says how many lines and bytes were dropped; a line that
// is dropped in two pieces counts with the second.
func (r *ring) push(p []byte) (lines, dropped int) {
	if r.skip && len(p) > 0 {
		n := endOfLine(p)
		dropped += n
		if p[n-1] == '\n' {
			lines++
			r.skip = false
		}
		p = p[n:]
	}
	r.grow(r.kept + len(p))
	if over := r.kept + len(p) - r.room; over > 0 {
		if over >= r.kept { // all that is kept goes, and something of p
			cut := over - r.kept
			lines += r.rows
			dropped += r.kept
			r.head, r.kept, r.rows = 0, 0, 0
			if cut > 0 {
				end := cut - 1 + endOfLine(p[cut-1:])
				lines += bytes.Count(p[:end], newline)
				dropped += end
				r.skip = p[end-1] != '\n'
				p = p[end:]
			}
		} else {
			n := r.lineAt(over - 1)
			dropped += n
			lines += r.discard(n)
		}
	}
	first, second := r.parts(r.kept, len(p))
	copy(second, p[copy(first, p):])
	r.kept += len(p)
	r.rows += bytes.Count(p, newline)
	return lines, dropped
}

// lineAt is where the line that has byte at ends, or everything.
func (r *ring) lineAt(at int) int {
	first, second := r.parts(at, r.kept-at)
	if i := bytes.IndexByte(first, '\n'); i >= 0 {
		return at + i + 1
	}
	return at + len(first) + endOfLine(second)
}

// discard takes n bytes off the front and says how many lines ended in them.
func (r *ring) discard(n int) (lines int) {
	first, second := r.parts(0, n)
	lines = bytes.Count(first, newline) + bytes.Count(second, newline)
	r.rows -= lines
	r.kept -= n
	if r.head += n; r.head >= r.room {
		r.head -= r.room
	}
	if r.kept == 0 {
		r.head = 0
	}
	return lines
}

// front is the oldest whole lines of together up to n bytes, at least one. It is valid until the next call of a method.
func (r *ring) front(n int) []byte {
	first, second := r.parts(0, r.kept)
	if len(second) == 0 && len(first) <= n {
		return first
	}
	if end := bytes.LastIndexByte(first[:min(n, len(first))], '\n') + 1; end > 0 {
		return first[:end]
	}
	if i := bytes.IndexByte(first, '\n'); i >= 0 {
		return first[:i+1]
	}
	// A line that comes around the end.
	r.scratch = append(append(r.scratch[:0], first...), second[:endOfLine(second)]...)
	return r.scratch
}

// pop removes n bytes from the front, which were written.
func (r *ring) pop(n int) {
	if n > 0 {
		r.discard(n)
	}
}
