package stick

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
)

// Filter wants a data type to compare in a way with a number. A rate compares
// as the rate.
type Filter struct {
	Data Data
	Op   Op
	N    int64
}

// Op is a comparison.
type Op uint8

// The comparisons.
const (
	EQ Op = iota
	NE
	LE
	GE
	LT
	GT
)

// ParseOp finds a comparison by its name.
func ParseOp(s string) (Op, bool) {
	i := slices.Index([]string{"eq", "ne", "le", "ge", "lt", "gt"}, s)
	return Op(max(i, 0)), i >= 0
}

func (o Op) holds(a, b int64) bool {
	c := cmp.Compare(a, b)
	return [...]bool{EQ: c == 0, NE: c != 0, LE: c <= 0, GE: c >= 0, LT: c < 0, GT: c > 0}[o]
}

// AppendTitle appends the line that stands above a table's entries.
func (t *Table) AppendTitle(dst []byte, now int64) []byte {
	t.Sweep(now)
	dst = append(dst, "# table: "...)
	dst = append(dst, t.Name...)
	dst = append(dst, ", type: "...)
	dst = append(dst, t.Type.String()...)
	dst = append(dst, ", size:"...)
	dst = strconv.AppendInt(dst, int64(t.Size), 10)
	dst = append(dst, ", used:"...)
	dst = strconv.AppendInt(dst, int64(t.Used(now)), 10)
	return append(dst, '\n')
}

// AppendEntry appends the line of a key's entry; nothing when there is none or
// a filter does not want it.
func (t *Table) AppendEntry(dst, key []byte, filters []Filter, now int64) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(key, now)
	if i == 0 || !t.wanted(i, filters, now) {
		return dst
	}
	return t.appendEntry(dst, i, now)
}

func (t *Table) wanted(i uint32, filters []Filter, now int64) bool {
	for _, f := range filters {
		if !t.Stores[f.Data] || !f.Op.holds(int64(t.value(i, f.Data, now)), f.N) {
			return false
		}
	}
	return true
}

// appendEntry appends a line. Where HAProxy shows an entry's address its number
// stands. mu is held.
func (t *Table) appendEntry(dst []byte, i uint32, now int64) []byte {
	e := t.head(i)
	dst = append(dst, "0x"...)
	dst = strconv.AppendUint(dst, uint64(i), 16)
	dst = append(dst, ": key="...)
	dst = t.AppendKey(dst, t.key(i))
	dst = append(dst, " use="...)
	dst = strconv.AppendUint(dst, uint64(e.refs), 10)
	dst = append(dst, " exp="...)
	dst = strconv.AppendInt(dst, t.remaining(i, now), 10)
	for _, d := range t.shown {
		dst = append(append(dst, ' '), d.String()...)
		if d.IsRate() {
			dst = append(strconv.AppendInt(append(dst, '('), t.Period[d], 10), ')')
		}
		dst = append(dst, '=')
		v := t.value(i, d, now)
		switch {
		case d != ServerKey:
			dst = strconv.AppendUint(dst, v, 10)
		case v == 0:
			dst = append(dst, '-')
		default:
			dst = append(dst, t.names[v]...)
		}
	}
	if t.shares != nil {
		for _, d := range t.shares.data {
			dst = append(append(dst, " here:"...), d.String()...)
			if d.IsRate() {
				dst = append(strconv.AppendInt(append(dst, '('), t.Period[d], 10), ')')
			}
			dst = strconv.AppendUint(append(dst, '='), t.own(i, d, now), 10)
		}
	}
	return append(dst, '\n')
}

// Keys are the keys of all entries that the filters want, in their order.
func (t *Table) Keys(filters []Filter, now int64) [][]byte {
	var flat []byte
	var ends []int
	for from, more := uint32(1), true; more; from += batch {
		t.mu.Lock()
		for i := from; i < min(from+batch, t.made); i++ {
			if e := t.head(i); e.live && !t.expired(i, now) && t.wanted(i, filters, now) {
				flat = append(flat, t.key(i)...)
				ends = append(ends, len(flat))
			}
		}
		more = from+batch < t.made
		t.mu.Unlock()
	}
	keys := make([][]byte, len(ends))
	for i, at := 0, 0; i < len(ends); i++ {
		keys[i] = flat[at:ends[i]:ends[i]]
		at = ends[i]
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys
}

// Clear removes the entry of a key; held says that it cannot be, because a
// connection is counted in it.
func (t *Table) Clear(key []byte, now int64) (held bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(key, now)
	if i == 0 {
		return false
	}
	if t.head(i).refs > 0 {
		return true
	}
	t.remove(i)
	return false
}
