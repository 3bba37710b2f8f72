package chain

import (
	"bytes"
	"crypto/sha256"
	"hash"

	"github.com/cespare/xxhash/v2"
)

// A Group gathers what the next record covers. The zero value is ready. It belongs to one goroutine.
type Group struct {
	sum   hash.Hash
	size  int64
	lines int64
	marks []byte
	line  xxhash.Digest // of the line that has begun, if open
	open  bool
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// mark is what is kept of a line: 12 bits of its hash, as two letters.
func mark(to []byte, hash uint64) []byte { return append(to, letters[hash>>6&63], letters[hash&63]) }

// markLen is how many bytes a line has in Record.Marks.
const markLen = 2

// Size is how many bytes were added since the last record.
func (g *Group) Size() int64 { return g.size }

// Add takes what was written to the file.
func (g *Group) Add(p []byte) {
	if g.sum == nil {
		g.sum = sha256.New()
	}
	g.sum.Write(p)
	g.size += int64(len(p))
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			if !g.open {
				g.line.Reset()
				g.open = true
			}
			g.line.Write(p)
			return
		}
		if g.open {
			g.line.Write(p[:end])
			g.marks = mark(g.marks, g.line.Sum64())
			g.open = false
		} else {
			g.marks = mark(g.marks, xxhash.Sum64(p[:end]))
		}
		g.lines++
		p = p[end+1:]
	}
}

// Take makes a record of what was added since the last one, from an offset of the file on. Its marks are valid until the next Add.
func (g *Group) Take(at int64) Record {
	r := Record{Kind: Lines, At: at, Size: g.size, Lines: g.lines, Marks: g.marks}
	if g.sum != nil {
		g.sum.Sum(r.Sum[:0])
		g.sum.Reset()
	}
	g.size, g.lines, g.marks = 0, 0, g.marks[:0]
	return r
}

// Reset forgets what was added, and the line that has begun.
func (g *Group) Reset() {
	if g.sum != nil {
		g.sum.Reset()
	}
	g.size, g.lines, g.marks, g.open = 0, 0, g.marks[:0], false
}
