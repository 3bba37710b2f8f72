package http2

import (
	"hash/maphash"
	"math"

	"golang.org/x/net/http2/hpack"
)

// HPACK's writing side (RFC 7541). Each field of a block is looked up in the
// static table and in the dynamic one, which the peer keeps a copy of: most
// answers of a server have the fields of the one before, and each is one byte.

// staticTable is that of appendix A. Index 1 is its first entry.
var staticTable = [...]struct{ name, value string }{
	{":authority", ""}, {":method", "GET"}, {":method", "POST"}, {":path", "/"}, {":path", "/index.html"}, {":scheme", "http"},
	{":scheme", "https"}, {":status", "200"}, {":status", "204"}, {":status", "206"}, {":status", "304"}, {":status", "400"},
	{":status", "404"}, {":status", "500"}, {"accept-charset", ""}, {"accept-encoding", "gzip, deflate"}, {"accept-language", ""},
	{"accept-ranges", ""}, {"accept", ""}, {"access-control-allow-origin", ""}, {"age", ""}, {"allow", ""}, {"authorization", ""},
	{"cache-control", ""}, {"content-disposition", ""}, {"content-encoding", ""}, {"content-language", ""}, {"content-length", ""},
	{"content-location", ""}, {"content-range", ""}, {"content-type", ""}, {"cookie", ""}, {"date", ""}, {"etag", ""}, {"expect", ""},
	{"expires", ""}, {"from", ""}, {"host", ""}, {"if-match", ""}, {"if-modified-since", ""}, {"if-none-match", ""}, {"if-range", ""},
	{"if-unmodified-since", ""}, {"last-modified", ""}, {"link", ""}, {"location", ""}, {"max-forwards", ""}, {"proxy-authenticate", ""},
	{"proxy-authorization", ""}, {"range", ""}, {"referer", ""}, {"refresh", ""}, {"retry-after", ""}, {"server", ""}, {"set-cookie", ""},
	{"strict-transport-security", ""}, {"transfer-encoding", ""}, {"user-agent", ""}, {"vary", ""}, {"via", ""}, {"www-authenticate", ""},
}

// staticNames has the index of the first entry of each name.
var staticNames = func() map[string]int {
	first := map[string]int{}
	for i := len(staticTable) - 1; i >= 0; i-- {
		first[staticTable[i].name] = i + 1
	}
	return first
}()

// static finds a field in the static table: an index with its name, 0 if there
// is none, and whether the value is the same too.
func static(name, value []byte) (index int, whole bool) {
	first := staticNames[string(name)]
	if first == 0 {
		return 0, false
	}
	for i := first; i <= len(staticTable) && staticTable[i-1].name == string(name); i++ {
		if staticTable[i-1].value == string(value) {
			return i, true
		}
	}
	return first, false
}

// writer writes field blocks, and keeps the dynamic table that the peer has of
// them.
type writer struct {
	buf  []byte // the block
	line []byte // name and value of the field that is looked up

	// The entries, in a ring: number n is at n modulo its length, which is a
	// power of 2. Those from oldest on are in the table.
	ring         []written
	oldest, next uint32
	size         uint32         // of all entries, as section 4.1 counts
	newest       [chains]uint32 // by hash: the number after the newest entry
	max          uint32         // of size
	least        uint32         // of max since the last block
	resized      bool           // the peer is to be told max
}

// written is an entry of the table.
type written struct {
	text string // name, then value
	name int    // bytes of the name
	hash uint32
	prev uint32 // as writer.newest, of the entry before it with such a hash
}

// entryOverhead is what an entry counts besides its bytes (section 4.1).
const entryOverhead = 32

// chains is how many lists the entries are found by; a power of 2. A full table
// has tableSize / entryOverhead entries at most.
const chains = 32

// seed is of the hashes of fields, so that no server can choose what collides.
var seed = maphash.MakeSeed()

func (w *writer) init() { w.max, w.least = tableSize, math.MaxUint32 }

// resize sets the size that the table may have.
func (w *writer) resize(n uint32) {
	w.max, w.resized = n, true
	w.least = min(w.least, n)
	w.evict(0)
}

// evict makes room for an entry.
func (w *writer) evict(room uint32) {
	for w.size > 0 && w.size+room > w.max {
		e := &w.ring[w.oldest&uint32(len(w.ring)-1)]
		w.size -= uint32(len(e.text)) + entryOverhead
		e.text = ""
		w.oldest++
	}
}

// begin begins a block.
func (w *writer) begin() { w.buf = w.buf[:0] }

// field writes a field; name is in lower case.
func (w *writer) field(name, value []byte) {
	w.line = append(append(w.line[:0], name...), value...)
	w.write(len(name), false)
}

// lowered writes a field whose name lower was called with just now.
func (w *writer) lowered(value []byte, secret bool) {
	n := len(w.line)
	w.line = append(w.line, value...)
	w.write(n, secret)
}

// lower puts a field's name in lower case, for lowered. It is valid until the
// next call.
func (w *writer) lower(name []byte) []byte {
	w.line = append(w.line[:0], name...)
	for i, c := range w.line {
		if 'A' <= c && c <= 'Z' {
			w.line[i] = c + 'a' - 'A'
		}
	}
	return w.line
}

// write writes the field in line, whose name has n bytes. A secret one is in no
// table of anybody (section 7.1.3).
func (w *writer) write(n int, secret bool) {
	if w.resized {
		w.sayResized()
	}
	hash := uint32(maphash.Bytes(seed, w.line))
	if !secret {
		if i := w.find(n, hash); i > 0 {
			w.buf = appendInt(w.buf, indexedField, 7, uint64(i))
			return
		}
	}
	name, value := w.line[:n], w.line[n:]
	index, whole := static(name, value)
	if whole && !secret {
		w.buf = appendInt(w.buf, indexedField, 7, uint64(index))
		return
	}
	if index == 0 {
		index = w.findName(name)
	}
	switch size := uint32(len(w.line)) + entryOverhead; {
	case secret:
		w.buf = appendInt(w.buf, neverIndexed, 4, uint64(index))
	case size > w.max:
		w.buf = appendInt(w.buf, 0, 4, uint64(index))
	default:
		w.buf = appendInt(w.buf, indexedByName, 6, uint64(index))
		w.add(n, hash)
	}
	if index == 0 {
		w.buf = appendString(w.buf, string(name))
	}
	w.buf = appendString(w.buf, string(value))
}

// sayResized tells the peer the table's size, and the least it had meanwhile,
// which is what was thrown out (section 4.2).
func (w *writer) sayResized() {
	if w.least < w.max {
		w.buf = appendInt(w.buf, tableUpdate, 5, uint64(w.least))
	}
	w.buf = appendInt(w.buf, tableUpdate, 5, uint64(w.max))
	w.resized, w.least = false, math.MaxUint32
}

// find finds the field in line, whose name has n bytes, in the dynamic table: its
// index, or 0.
func (w *writer) find(n int, hash uint32) int {
	for at := w.newest[hash%chains]; at-w.oldest-1 < w.next-w.oldest; {
		e := &w.ring[(at-1)&uint32(len(w.ring)-1)]
		if e.hash == hash && e.name == n && e.text == string(w.line) {
			return int(w.next-at) + firstDynamic
		}
		at = e.prev
	}
	return 0
}

// findName finds an entry of the dynamic table with the name: its index, or 0.
func (w *writer) findName(name []byte) int {
	for at := w.next; at != w.oldest; at-- {
		e := &w.ring[(at-1)&uint32(len(w.ring)-1)]
		if e.name == len(name) && e.text[:e.name] == string(name) {
			return int(w.next-at) + firstDynamic
		}
	}
	return 0
}

// add puts the field in line, whose name has n bytes, into the table. It fits.
func (w *writer) add(n int, hash uint32) {
	size := uint32(len(w.line)) + entryOverhead
	w.evict(size)
	if int(w.next-w.oldest) == len(w.ring) {
		w.grow()
	}
	chain := &w.newest[hash%chains]
	w.ring[w.next&uint32(len(w.ring)-1)] = written{text: string(w.line), name: n, hash: hash, prev: *chain}
	w.size += size
	w.next++
	*chain = w.next
}

// grow makes room in the ring.
func (w *writer) grow() {
	ring := make([]written, max(8, 2*len(w.ring)))
	for i := w.oldest; i != w.next; i++ {
		ring[i&uint32(len(ring)-1)] = w.ring[i&uint32(len(w.ring)-1)]
	}
	w.ring = ring
}

// appendString writes a string, by Huffman's code if that is shorter (section
// 5.2).
func appendString(dst []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		return hpack.AppendHuffmanString(appendInt(dst, huffman, 7, n), s)
	}
	return append(appendInt(dst, 0, 7, uint64(len(s))), s...)
}
