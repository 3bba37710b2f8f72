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

	mu  sync.Mutex // guards buf
	buf []byte
}

// put takes whole lines and forgets the oldest for them.
func (r *Ring) put(lines []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
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

// Lines gives a copy of what the ring has, oldest first.
func (r *Ring) Lines() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.buf)
}
