package archive

import (
	"bytes"
	"io"
	"time"

	seekable "github.com/SaveTheRbtz/zstd-seekable-format-go/pkg"
	"github.com/klauspost/compress/zstd"
)

// Clock reads when a line, which it gets without its newline, was written. ok is false for a line that does not say.
type Clock func(line []byte) (t time.Time, ok bool)

const (
	// blockSize is what a block has at least, but for the last one. docs/rotate.md has the measurements.
	blockSize = 256 << 10
	// mostBlock is where a block is cut though no line ends there.
	mostBlock = 32 << 20
	level     = zstd.SpeedFastest
)

// Write stores all that src has in dst. A nil clock makes no index of times; the blocks can be found all the same. It uses one processor and a few
// megabytes.
func Write(dst io.Writer, src io.Reader, clock Clock) error {
	return write(dst, src, clock, blockSize, level)
}

func write(dst io.Writer, src io.Reader, clock Clock, size int, level zstd.EncoderLevel) error {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithWindowSize(1<<20))
	if err != nil {
		return err
	}
	defer func() { _ = encoder.Close() }() // nothing is in it
	to, err := seekable.NewWriter(dst, encoder)
	if err != nil {
		return err
	}
	var blocks []Block
	carry := int64(NoTime)
	err = cut(src, size, func(lines []byte) error {
		b := Block{Size: len(lines), Carry: carry}
		if clock != nil {
			b.Spans, carry = spansOf(lines, clock, carry)
			blocks = append(blocks, b)
		}
		_, err := to.Write(lines)
		return err
	})
	if err != nil {
		return err
	}
	if clock != nil {
		if _, err := dst.Write(appendIndex(nil, blocks)); err != nil {
			return err
		}
	}
	return to.Close()
}

// cut hands on what src has in blocks of whole lines. Each is valid until the next.
func cut(src io.Reader, size int, do func(lines []byte) error) error {
	buf := make([]byte, size)
	have := 0
	for {
		n, err := io.ReadFull(src, buf[have:])
		have += n
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				return err
			}
			if have == 0 {
				return nil
			}
			return do(buf[:have])
		}
		end := bytes.LastIndexByte(buf[:have], '\n') + 1
		if end == 0 {
			if len(buf) < mostBlock {
				larger := make([]byte, 2*len(buf))
				copy(larger, buf)
				buf = larger
				continue
			}
			end = have
		}
		if err := do(buf[:end]); err != nil {
			return err
		}
		have = copy(buf, buf[end:have])
		if len(buf) > size && have <= size {
			buf = append(make([]byte, 0, size), buf[:have]...)[:size]
		}
	}
}

// spansOf is when lines were written, and the time of the last one that has one. carry is the time of the line before.
func spansOf(lines []byte, clock Clock, carry int64) ([]Span, int64) {
	spans := make([]Span, 0, mostSpans+1)
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, newline)
		lines = rest
		if t, ok := clock(line); ok {
			carry = t.UnixNano()
		}
		if k := len(spans) - 1; carry != NoTime && (k < 0 || carry < spans[k].From || carry > spans[k].To) {
			spans = add(spans, carry)
		}
	}
	return spans, carry
}

// newline is for bytes.Cut, which wants a slice.
var newline = []byte{'\n'}
