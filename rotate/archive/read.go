package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	seekable "github.com/SaveTheRbtz/zstd-seekable-format-go/pkg"
	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// ErrPlain is what Open returns for a file that is not seekable: it can only be read from its beginning.
var ErrPlain = errors.New("the file has no seek table")

// File is what an archive is read from.
type File interface {
	io.ReadSeeker
	io.ReaderAt
}

// An Archive is a file that Write has made, or any of the zstd seekable format. It belongs to one goroutine.
type Archive struct {
	Blocks  []Block
	Indexed bool // the blocks have Spans

	file    File
	decoder decoder
	frames  []seekable.FrameOffsetEntry
	checked bool // the frames have checksums
	in, out []byte
}

// Open reads the tables of a file. The file stays the caller's. An index that is damaged is as none.
func Open(file File) (*Archive, error) {
	a := &Archive{file: file}
	r, err := seekable.NewReader(file, &a.decoder, seekable.WithReaderFrameCache(nil))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlain, err)
	}
	defer func() { _ = r.Close() }() // has nothing to do but to forget
	table, err := r.SeekTable()
	if err != nil {
		return nil, err
	}
	a.checked = table.HasChecksums()
	a.frames, a.Blocks = make([]seekable.FrameOffsetEntry, table.NumFrames()), make([]Block, table.NumFrames())
	for i := range a.frames {
		a.frames[i], _ = table.EntryByID(int64(i))
		a.Blocks[i] = Block{At: int64(a.frames[i].DecompressedOffset), Size: int(a.frames[i].DecompressedSize), Carry: NoTime}
	}
	if err := a.readIndex(); err != nil {
		for i := range a.Blocks {
			a.Blocks[i].Carry, a.Blocks[i].Spans = NoTime, nil
		}
	}
	return a, nil
}

// mostIndex bounds the index of a file: that of a terabyte has 50 MB.
const mostIndex = 64 << 20

// readIndex reads what stands between the last block and the seek table.
func (a *Archive) readIndex() error {
	end, err := a.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	start := int64(0)
	if n := len(a.frames); n > 0 {
		last := a.frames[n-1]
		start = int64(last.CompressedOffset) + int64(last.CompressedSize)
	}
	head := make([]byte, 8)
	if _, err := a.file.ReadAt(head, start); err != nil {
		return err
	}
	size := int64(8) + int64(binary.LittleEndian.Uint32(head[4:]))
	if binary.LittleEndian.Uint32(head) != indexMagic || size > end-start || size > mostIndex {
		return nil
	}
	frame := make([]byte, size)
	if _, err := a.file.ReadAt(frame, start); err != nil {
		return err
	}
	found, err := readIndex(frame, a.Blocks)
	a.Indexed = found && err == nil
	return err
}

// Read decompresses a block. It is valid until the next call.
func (a *Archive) Read(block int) ([]byte, error) {
	f := a.frames[block]
	if f.CompressedSize > 2*mostBlock || f.DecompressedSize > 2*mostBlock {
		return nil, fmt.Errorf("block %d has %d bytes, which is more than the most", block, f.DecompressedSize)
	}
	size := int(f.CompressedSize)
	if cap(a.in) < size {
		a.in = make([]byte, size)
	}
	if _, err := a.file.ReadAt(a.in[:size], int64(f.CompressedOffset)); err != nil {
		return nil, fmt.Errorf("block %d: %w", block, err)
	}
	out, err := a.decoder.DecodeAll(a.in[:size], a.out[:0])
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", block, err)
	}
	a.out = out
	if len(out) != int(f.DecompressedSize) || a.checked && uint32(xxhash.Sum64(out)) != f.Checksum {
		return nil, fmt.Errorf("block %d is damaged", block)
	}
	return out, nil
}

// Close gives back what the Archive holds. The file stays open.
func (a *Archive) Close() {
	if a.decoder.zstd != nil {
		a.decoder.zstd.Close()
	}
}

// A decoder is made when something is to be decompressed: of most files that a search opens it needs the index alone.
type decoder struct{ zstd *zstd.Decoder }

// DecodeAll appends what a frame holds.
func (d *decoder) DecodeAll(in, dst []byte) ([]byte, error) {
	if d.zstd == nil {
		var err error
		if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*mostBlock)); err != nil {
			return dst, err
		}
	}
	return d.zstd.DecodeAll(in, dst)
}
