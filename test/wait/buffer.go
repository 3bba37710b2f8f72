package wait

import (
	"strings"
	"sync"
)

// Buffer keeps what a logger or a process says, and may be read meanwhile. The zero value is empty.
type Buffer struct {
	// mu guards the field below.
	mu   sync.Mutex
	text strings.Builder
}

// Write appends to the Buffer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was written by now.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
