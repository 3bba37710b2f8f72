package archive

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"
)

// A Span is a range of times, both ends included, in nanoseconds since 1970.
type Span struct{ From, To int64 }

const (
	// mostSpans is how many a block has: lines of a sender whose clock is wrong get a span of their own, so that the others' stays narrow.
	mostSpans = 4
	// near is how far a time may be from a span to widen it.
	near = int64(time.Minute)
)

// add takes a time into spans, which are in no order.
func add(spans []Span, t int64) []Span {
	for i := range spans {
		if s := &spans[i]; t >= s.From-near && t <= s.To+near {
			s.From, s.To = min(s.From, t), max(s.To, t)
			return spans
		}
	}
	spans = append(spans, Span{t, t})
	if len(spans) <= mostSpans {
		return spans
	}
	// The two that are nearest to each other become one.
	a, b, least := 0, 1, int64(math.MaxInt64)
	for i := range spans {
		for j := range i {
			if gap := max(spans[i].From, spans[j].From) - min(spans[i].To, spans[j].To); gap < least {
				a, b, least = j, i, gap
			}
		}
	}
	spans[a] = Span{min(spans[a].From, spans[b].From), max(spans[a].To, spans[b].To)}
	spans[b] = spans[len(spans)-1]
	return spans[:len(spans)-1]
}

// NoTime is the Carry of a block before which no line has a time.
const NoTime = math.MinInt64

// A Block is a part of a file: whole lines, compressed by themselves.
type Block struct {
	At   int64 // in the decompressed file
	Size int
	// Carry is the time of the last line before the block that has one, in nanoseconds since 1970, or NoTime. Lines without a time count as
	// written then.
	Carry int64
	Spans []Span // of its lines; nil with a file that has no index
}

// Within says whether the block may have lines from a time on and before another. In a file without an index every block may. Lines before the
// first time of a file are older than all others.
func (b Block) Within(from, before int64) bool {
	if b.Spans == nil || b.Carry == NoTime && from == NoTime {
		return true
	}
	for _, s := range b.Spans {
		if s.To >= from && s.From < before {
			return true
		}
	}
	return false
}

// The index of times is a skippable frame, right after the last block:
//
//	magic, length of the rest (4 bytes each, little-endian), as RFC 8878 wants
//	indexName
//	for each block: the number of its spans, its carry, and of each span the beginning and the length, as varints
//	xxHash64 of all that comes after the length
const (
	indexMagic = 0x184D2A55
	indexName  = "lbtimes1"
	indexFixed = 8 + len(indexName) + 8
)

func appendIndex(dst []byte, blocks []Block) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, indexMagic)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, indexName...)
	for _, b := range blocks {
		dst = binary.AppendUvarint(dst, uint64(len(b.Spans)))
		dst = binary.AppendVarint(dst, b.Carry)
		for _, s := range b.Spans {
			dst = binary.AppendVarint(dst, s.From)
			dst = binary.AppendUvarint(dst, uint64(s.To-s.From))
		}
	}
	dst = binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[start+8:]))
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-8))
	return dst
}

var errIndex = errors.New("the index of times is damaged")

// readIndex fills in what an index says of blocks. found is false when frame, a skippable frame, is something else.
func readIndex(frame []byte, blocks []Block) (found bool, err error) {
	if len(frame) < indexFixed || binary.LittleEndian.Uint32(frame) != indexMagic || string(frame[8:8+len(indexName)]) != indexName {
		return false, nil
	}
	end := len(frame) - 8
	if xxhash.Sum64(frame[8:end]) != binary.LittleEndian.Uint64(frame[end:]) {
		return true, errIndex
	}
	rest := frame[8+len(indexName) : end]
	number := func() uint64 {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			rest = nil
			return 0
		}
		rest = rest[n:]
		return v
	}
	signed := func() int64 {
		u := number()
		return int64(u>>1) ^ -int64(u&1)
	}
	spans := make([]Span, 0, len(blocks)) // most blocks have one
	for i := range blocks {
		n := int(number())
		if n < 0 || n > mostSpans || len(rest) == 0 {
			return true, errIndex
		}
		blocks[i].Carry = signed()
		if len(spans)+n > cap(spans) {
			spans = make([]Span, 0, n+len(blocks)-i)
		}
		blocks[i].Spans = spans[len(spans) : len(spans)+n : len(spans)+n]
		spans = spans[:len(spans)+n]
		for k := range blocks[i].Spans {
			from := signed()
			blocks[i].Spans[k] = Span{from, from + int64(number())}
		}
	}
	if len(rest) > 0 {
		return true, errIndex
	}
	return true, nil
}
