package syslog

// backlog holds lines the kernel has not taken yet, oldest first, in one piece
// of memory. Owned by its target.
type backlog struct {
	buf   []byte
	lines []span // of buf
	first int    // lines before it are done
	bytes int    // of the lines from first on
	limit int
}

type span struct{ off, end int }

// keep is how much memory an empty backlog holds on to.
const keep = 256 << 10

func (b *backlog) len() int { return len(b.lines) - b.first }

func (b *backlog) line(i int) []byte {
	s := b.lines[b.first+i]
	return b.buf[s.off:s.end]
}

// all gives all lines in one piece, as end heard of them one after the
// other.
func (b *backlog) all() []byte { return b.buf[b.lines[b.first].off:b.lines[len(b.lines)-1].end] }

// begin makes room for a line of at most max bytes and gives the buffer to
// append it to. It returns how many old lines were dropped for it.
func (b *backlog) begin(max int) (dropped int) {
	for b.bytes+max > b.limit && b.len() > 0 {
		b.done(1)
		dropped++
	}
	if b.first > 0 && len(b.buf)+max > cap(b.buf) && b.lines[b.first].off >= len(b.buf)/2 {
		b.compact()
	}
	return dropped
}

// end takes what was appended to buf since from as one line.
func (b *backlog) end(from int) {
	b.lines = append(b.lines, span{from, len(b.buf)})
	b.bytes += len(b.buf) - from
}

// compact moves the waiting lines to the front. Done only when at least half
// of the memory is free, so that a byte is moved once on average.
func (b *backlog) compact() {
	from := b.lines[b.first].off
	b.buf = b.buf[:copy(b.buf, b.buf[from:])]
	b.lines = b.lines[:copy(b.lines, b.lines[b.first:])]
	for i := range b.lines {
		b.lines[i].off -= from
		b.lines[i].end -= from
	}
	b.first = 0
}

// done forgets the n oldest lines.
func (b *backlog) done(n int) {
	for range n {
		s := b.lines[b.first]
		b.bytes -= s.end - s.off
		b.first++
	}
	if b.first < len(b.lines) {
		return
	}
	b.buf, b.lines, b.first = b.buf[:0], b.lines[:0], 0
	if cap(b.buf) > keep {
		b.buf, b.lines = nil, nil
	}
}
