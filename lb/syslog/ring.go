package syslog

import (
	"bytes"
	"sync"
)

// Ring keeps the newest lines in memory, for whoever asks the stats socket. It
// is shared by the senders of a process, and ends with it.
type Ring struct {
	Name string
	Size int // bytes

	mu  sync.Mutex // guards the fields below
	buf []byte
	end uint64 // bytes that were put in so far
}

// put takes whole lines and forgets the oldest for them.
func (r *Ring) put(lines []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end += uint64(len(lines))
	if len(lines) > r.Size {
		lines = cutLines(lines, len(lines)-r.Size)
	}
	if over := len(r.buf) + len(lines) - r.Size; over > 0 {
		// By the quarter, so that a byte is moved a few times at most.
		rest := cutLines(r.buf, min(len(r.buf), max(over, r.Size/4)))
		r.buf = r.buf[:copy(r.buf, rest)]
	}
	r.buf = append(r.buf, lines...)
}

// cutLines takes at least n bytes of whole lines off the beginning of b.
func cutLines(b []byte, n int) []byte {
	i := bytes.IndexByte(b[max(n-1, 0):], '\n')
	if i < 0 {
		return nil
	}
	return b[max(n-1, 0)+i+1:]
}

// Lines gives a copy of what the ring has and was put in after the first after
// bytes, oldest first, and how many bytes were put in so far.
func (r *Ring) Lines(after uint64) (lines []byte, end uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := min(r.end-min(after, r.end), uint64(len(r.buf)))
	return bytes.Clone(r.buf[uint64(len(r.buf))-fresh:]), r.end
}
