package compress

import (
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"

	"github.com/klauspost/compress/flate"
)

// Writer compresses one body, piece by piece. The zero value but for its
// algorithm is ready.
type Writer struct {
	Algorithm Algorithm

	weakened bool // the entity tag of the head, by Mark

	begun bool
	sum   uint32 // CRC-32 or Adler-32 of all that came
	size  uint32 // of gzip's end
	out   sink
}

// sink collects what the compressor writes.
type sink []byte

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

// Growth is how many bytes more than it was given one Append may give at most,
// as long as it gets no more than 32 KiB: the head and end of the format, and
// blocks that cannot be compressed.
const Growth = 64

// Append compresses p and appends it to dst. A receiver can read all of it at
// once. last completes the body.
func (w *Writer) Append(dst, p []byte, last bool) []byte {
	if w.Algorithm == Identity {
		return append(dst, p...)
	}
	if !w.begun {
		w.begun = true
		switch w.Algorithm {
		case Gzip: // no time, an unknown system
			dst = append(dst, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255)
		case Deflate: // a window of 32 KiB, the fastest method
			dst = append(dst, 0x78, 0x01)
			w.sum = 1
		}
	}
	switch w.Algorithm {
	case Gzip:
		w.sum = crc32.Update(w.sum, crc32.IEEETable, p)
		w.size += uint32(len(p))
	case Deflate:
		w.sum = adler(w.sum, p)
	}
	if len(p) > 0 || last {
		w.out = dst
		// It fails only if sink does.
		_ = flate.StatelessDeflate(&w.out, p, last, nil)
		dst, w.out = w.out, nil
	}
	if !last {
		return dst
	}
	switch w.Algorithm {
	case Gzip:
		dst = binary.LittleEndian.AppendUint32(dst, w.sum)
		dst = binary.LittleEndian.AppendUint32(dst, w.size)
	case Deflate:
		dst = binary.BigEndian.AppendUint32(dst, w.sum)
	}
	return dst
}

// adler goes on with an Adler-32 checksum over p (RFC 1950 section 9).
func adler(sum uint32, p []byte) uint32 {
	const mod = 65521
	if sum == 1 {
		return adler32.Checksum(p)
	}
	// Two sums combine: that of p alone is one that began with 1.
	one := adler32.Checksum(p)
	a, b, n := sum&0xffff, sum>>16, uint32(len(p)%mod)
	a2, b2 := one&0xffff, one>>16
	return (b+b2+n*((a+mod-1)%mod)%mod)%mod<<16 | (a+a2+mod-1)%mod
}
