package stick

import (
	"encoding/binary"
)

// What the next worker is sent. A section begins with the table's name, type
// and stores; records follow, one for each entry that is new to the listener
// or has changed since it last heard of it:
//
//	section = uvarint(length of all that follows), byte(version), text(name), byte(type), uvarint(len),
//	          uvarint(stores), uvarint(period) of each rate that is stored, records
//	record  = text(key), varint(last touch), uvarint(data types that follow), values
//	value   = varint(difference) of a count or a gauge; uvarint of a tag; text of a server;
//	          varint(tick), varint(events), varint(events of the period before) of a rate
//	text    = uvarint(length), bytes
//
// Counts and rates are sent as what was added since the last message, so that
// the listener can add them to what it has counted itself in the meantime.
const changesVersion = 1

// changeLog is a table's side of a handover. Table.mu guards it.
type changeLog struct {
	epoch uint32 // numbers the listeners; 0 while there is none
	last  uint32 // the epoch before
	next  uint32 // the first look at all entries has come here
	dirty []uint32
	// base has the values that the listener knows of the entries that have
	// changed since: where they begin in words.
	base  map[uint32]int
	words []uint64
}

// note keeps what the listener knows of an entry that is about to change.
func (l *changeLog) note(t *Table, i uint32) {
	e := t.head(i)
	if e.dirty {
		return
	}
	e.dirty = true
	l.dirty = append(l.dirty, i)
	if e.told == l.epoch {
		l.base[i] = len(l.words)
		l.words = append(l.words, t.data(i)...)
	}
}

// forget hears of an entry's end.
func (l *changeLog) forget(i uint32) {
	if l.epoch != 0 {
		delete(l.base, i)
	}
}

// BeginTelling begins anew, for a listener that knows nothing.
func (t *Table) BeginTelling() {
	t.EndTelling()
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.changeLog
	l.last++
	l.epoch, l.next, l.base = l.last, 1, map[uint32]int{}
}

// EndTelling forgets the listener.
func (t *Table) EndTelling() {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.changeLog
	for _, i := range l.dirty {
		t.head(i).dirty = false
	}
	*l = changeLog{last: l.last}
	if t.shares != nil {
		t.shares.told = nil
	}
}

// AppendChanges appends a section with what the listener does not know yet;
// nothing when there is nothing to tell. More says that there is more than fits
// into one section.
func (t *Table) AppendChanges(dst []byte) (all []byte, more bool) {
	const room = binary.MaxVarintLen64
	from := len(dst)
	dst = t.appendHead(append(dst, make([]byte, room)...), t.Name)
	records := len(dst)
	for n := 1; ; n++ {
		if dst, more = t.appendSome(dst); !more || len(dst)-from >= sectionSize {
			break
		}
		rest(n)
	}
	if len(dst) == records {
		return dst[:from], more
	}
	// The length, now that it is known, in front of the rest.
	var size [room]byte
	n := binary.PutUvarint(size[:], uint64(len(dst)-from-room))
	copy(dst[from:], size[:n])
	dst = append(dst[:from+n], dst[from+room:]...)
	if t.shares != nil {
		dst = t.appendShares(dst)
	}
	return dst, more
}

// sectionSize is about how many bytes a section has.
const sectionSize = 128 << 10

// appendHead appends what a section begins with; name is the table's, or one that is
// made of it.
func (t *Table) appendHead(dst []byte, name string) []byte {
	dst = append(dst, changesVersion)
	dst = appendBytes(dst, name)
	dst = append(dst, byte(t.Type))
	dst = binary.AppendUvarint(dst, uint64(t.Len))
	var stores uint64
	for d := range NumData {
		if t.Stores[d] {
			stores |= 1 << d
		}
	}
	dst = binary.AppendUvarint(dst, stores)
	for d := range NumData {
		if t.Stores[d] && d.IsRate() {
			dst = binary.AppendUvarint(dst, uint64(t.Period[d]))
		}
	}
	return dst
}

// appendSome appends the next records, as many as one short hold of the lock
// allows.
func (t *Table) appendSome(dst []byte) (all []byte, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.changeLog
	if l.epoch == 0 {
		return dst, false
	}
	for range batch {
		i := uint32(0)
		switch {
		case l.next < t.made:
			i = l.next
			l.next++
			if e := t.head(i); !e.live || e.told == l.epoch {
				continue
			}
		case len(l.dirty) > 0:
			n := len(l.dirty) - 1
			i, l.dirty = l.dirty[n], l.dirty[:n]
			if e := t.head(i); !e.live || !e.dirty {
				continue
			}
		default:
			clear(l.base)
			l.words = l.words[:0]
			return dst, false
		}
		dst = t.appendRecord(dst, i)
	}
	return dst, true
}

// appendRecord appends what is new of an entry. mu is held.
func (t *Table) appendRecord(dst []byte, i uint32) []byte {
	l, e, w := &t.changeLog, t.head(i), t.data(i)
	var base []uint64
	if at, ok := l.base[i]; ok {
		base = l.words[at : at+t.words]
		delete(l.base, i)
	}
	e.told, e.dirty = l.epoch, false
	if t.shares != nil {
		t.appendShareRecord(i)
	}
	dst = appendBytes(dst, t.key(i))
	dst = binary.AppendVarint(dst, e.at)
	var changed uint64
	for d := range NumData {
		if o := t.offset[d]; o >= 0 && (base == nil && w[o] != 0 || base != nil && w[o] != base[o] || d.IsRate() && base != nil && w[o+1] != base[o+1]) {
			changed |= 1 << d
		}
	}
	dst = binary.AppendUvarint(dst, changed)
	for d := range NumData {
		if changed&(1<<d) == 0 {
			continue
		}
		o := t.offset[d]
		switch dataRows[d].form {
		case count, gauge:
			n := int64(w[o])
			if base != nil {
				n -= int64(base[o])
			}
			dst = binary.AppendVarint(dst, n)
		case tag:
			dst = binary.AppendUvarint(dst, w[o])
		case server:
			dst = appendBytes(dst, t.names[w[o]])
		case rate:
			var before freq
			if base != nil {
				before = loadFreq(base[o:])
			}
			e := loadFreq(w[o:]).since(before, t.Period[d])
			dst = binary.AppendVarint(dst, e.tick)
			dst = binary.AppendVarint(dst, e.cur)
			dst = binary.AppendVarint(dst, e.prev)
		}
	}
	return dst
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
