package http2

import (
	"errors"

	"golang.org/x/net/http2/hpack"
)

// The dynamic tables of a connection that moves to another process (RFC 7541).
// What the decoder knows goes along as a field block that leaves a new decoder
// with the same table; the encoder begins anew, and says so.

// Representations of a field block (RFC 7541 section 6).
const (
	indexedField  = 0x80 // 7 bits of an index
	indexedByName = 0x40 // a literal with incremental indexing; 6 bits of the name's index
	tableUpdate   = 0x20 // 5 bits of a size
	neverIndexed  = 0x10 // a literal that nobody may index; 4 bits of the name's index
	huffman       = 0x80 // of a string's length: it is in Huffman's code
)

// firstDynamic is the index of the newest entry of the dynamic table.
const firstDynamic = 62

var errTableSize = errors.New("a size of the dynamic table that is cut short or too large")

// resize applies the updates of the table's size that a block begins with. The
// library would not say what the size is.
func (d *Decoder) resize(block []byte) (rest []byte, err error) {
	for len(block) > 0 && block[0]&0xe0 == tableUpdate {
		size, n := readInt(block, 5, tableSize)
		if n == 0 {
			return nil, errTableSize
		}
		d.table, block = uint32(size), block[n:]
		d.hp.SetMaxDynamicTableSize(d.table)
	}
	return block, nil
}

// AppendTable appends a field block that RestoreTable makes the same table of.
func (d *Decoder) AppendTable(dst []byte) []byte {
	var newestFirst []hpack.HeaderField
	d.hp.SetEmitFunc(func(f hpack.HeaderField) { newestFirst = append(newestFirst, f) })
	d.hp.SetEmitEnabled(true)
	var index [8]byte
	for i := uint64(firstDynamic); ; i++ { // an entry by its index is given and changes nothing
		if _, err := d.hp.Write(appendInt(index[:0], indexedField, 7, i)); err != nil {
			break
		}
	}
	_ = d.hp.Close() // nothing was cut short
	d.hp.SetEmitFunc(d.field)
	dst = appendInt(dst, tableUpdate, 5, uint64(d.table))
	for i := len(newestFirst) - 1; i >= 0; i-- {
		f := newestFirst[i]
		dst = append(dst, indexedByName)
		dst = append(appendInt(dst, 0, 7, uint64(len(f.Name))), f.Name...)
		dst = append(appendInt(dst, 0, 7, uint64(len(f.Value))), f.Value...)
	}
	return dst
}

// RestoreTable gives a new decoder the table of another.
func (d *Decoder) RestoreTable(block []byte) error {
	block, err := d.resize(block)
	if err != nil {
		return err
	}
	d.hp.SetEmitEnabled(false)
	if _, err := d.hp.Write(block); err != nil {
		return err
	}
	return d.hp.Close()
}

// TableSize is the size that the encoder's table may have.
func (e *Encoder) TableSize() uint32 { return e.w.max }

// Renew has a new encoder go on in place of another whose table is not known:
// the first block begins with an update to nothing, which empties the peer's
// table, and one to size (RFC 7541 section 4.2).
func (e *Encoder) Renew(size uint32) {
	e.w.resize(0)
	e.w.resize(min(size, tableSize))
}

// appendInt writes an integer with a prefix of some bits after those of first
// (RFC 7541 section 5.1).
func appendInt(dst []byte, first byte, bits int, v uint64) []byte {
	most := uint64(1)<<bits - 1
	if v < most {
		return append(dst, first|byte(v))
	}
	dst = append(dst, first|byte(most))
	for v -= most; v >= 0x80; v >>= 7 {
		dst = append(dst, 0x80|byte(v))
	}
	return append(dst, byte(v))
}

// readInt reads such an integer, and how many bytes it has: 0 when it is cut
// short or above limit.
func readInt(b []byte, bits int, limit uint64) (v uint64, n int) {
	most := uint64(1)<<bits - 1
	if v = uint64(b[0]) & most; v < most {
		if v > limit {
			return 0, 0
		}
		return v, 1
	}
	for i, shift := 1, 0; i < len(b) && shift < 28; i, shift = i+1, shift+7 {
		v += uint64(b[i]&0x7f) << shift
		if b[i] < 0x80 {
			if v > limit {
				return 0, 0
			}
			return v, i + 1
		}
	}
	return 0, 0
}
