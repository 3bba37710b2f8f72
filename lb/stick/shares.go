package stick

import (
	"encoding/binary"
	"math"
	"slices"
)

// A table with Spec.Nodes is a cluster's: its rates and its conn_cur are what all
// nodes count together. This node counts into an entry's data as in any other table,
// and that is its share. Besides, it keeps the share of each other node as that node
// has told it (LearnShare), and what is read is the sum (value).
//
// Nobody but its owner changes a share, so two nodes that count one client at the
// same moment lose nothing. A share of a rate ends by itself, with its period. One of
// conn_cur counts while its node is there, and goneAfter longer (NodeGone). A node
// that has begun anew, or was away for so long that what it has said is not known to
// be all, says everything again: values have the number of the round that they came
// in, and those of former rounds count until the round is over (BeginShares,
// EndShares).

// maxNodes is how many other nodes a table may have: a record of shares has a bit for
// each.
const maxNodes = 63

// MaxNodes is the same for the configuration.
func MaxNodes() int { return maxNodes }

// goneAfter is how many milliseconds the connections of a node count that nothing is
// heard of: longer than it takes to connect again after a reload.
const goneAfter = 10_000

// shares is a cluster table's side of it. Table.mu guards the fields below the first
// block.
type shares struct {
	// Immutable.
	data   []Data       // that are added up
	offset [NumData]int // first word of each in a share; -1: it is not added up
	words  int          // of a share

	chunks [][]uint64 // the shares of the entries of each chunk of the table, a node's after another's
	nodes  []node
	taken  [][]uint64 // what Restore has added to the entries of each chunk, as a share; nil: nothing
	told   []byte     // what AppendChanges has for the section after the current one
}

// node is what is known of another node.
type node struct {
	round uint32 // of what comes now
	valid uint32 // of what counts, and those after it
	gone  int64  // since when nothing is heard of it; 0: it is there
}

// newShares gives nil for a table of one node.
func newShares(s *Spec) *shares {
	if len(s.Nodes) == 0 {
		return nil
	}
	sh := &shares{nodes: make([]node, len(s.Nodes))}
	for i := range sh.nodes {
		sh.nodes[i].gone = math.MinInt64 / 2 // it was never there
	}
	for d := range NumData {
		sh.offset[d] = -1
		if s.Stores[d] && d.IsShared() {
			sh.offset[d] = sh.words
			sh.data = append(sh.data, d)
			sh.words++
			if d.IsRate() {
				sh.words++
			}
		}
	}
	return sh
}

// AddsUp reports whether there is anything in a table that nodes can add up.
func (s *Spec) AddsUp() bool {
	for d := range NumData {
		if s.Stores[d] && d.IsShared() {
			return true
		}
	}
	return false
}

// IsShared reports whether the nodes of a cluster add d up.
func (d Data) IsShared() bool { return d.IsRate() || d == ConnCur }

// of is a node's share of an entry.
func (s *shares) of(i uint32, k int) []uint64 {
	n := (int(i%chunkSize)*len(s.nodes) + k) * s.words
	return s.chunks[i/chunkSize][n : n+s.words : n+s.words]
}

// grow keeps room for every chunk.
func (s *shares) grow(chunks int) {
	for len(s.chunks) < chunks {
		s.chunks = append(s.chunks, make([]uint64, chunkSize*len(s.nodes)*s.words))
	}
}

// clear forgets what was in an entry's place before.
func (s *shares) clear(i uint32) {
	n := len(s.nodes) * s.words
	clear(s.chunks[i/chunkSize][int(i%chunkSize)*n:][:n])
	if c := int(i / chunkSize); c < len(s.taken) && s.taken[c] != nil {
		clear(s.takenOf(i))
	}
}

// takenOf is what Restore has added to an entry.
func (s *shares) takenOf(i uint32) []uint64 {
	c := int(i / chunkSize)
	for len(s.taken) <= c {
		s.taken = append(s.taken, nil)
	}
	if s.taken[c] == nil {
		s.taken[c] = make([]uint64, chunkSize*s.words)
	}
	n := int(i%chunkSize) * s.words
	return s.taken[c][n : n+s.words : n+s.words]
}

// others is what the other nodes have of d. t.mu is held.
func (t *Table) others(i uint32, d Data, now int64) (sum uint64) {
	s := t.shares
	o := s.offset[d]
	if o < 0 {
		return 0
	}
	for k := range s.nodes {
		w := s.of(i, k)[o:]
		if d.IsRate() {
			sum += loadFreq(w).read(now, t.Period[d])
		} else {
			sum += s.nodes[k].connections(w[0], now)
		}
	}
	return sum
}

// connections is what counts of a share of conn_cur: its round is in the high half.
func (n *node) connections(w uint64, now int64) uint64 {
	if uint32(w>>32) < n.valid || n.gone != 0 && now-n.gone > goneAfter {
		return 0
	}
	return uint64(uint32(w))
}

// elsewhere reports whether another node has connections that count in an entry. t.mu
// is held.
func (t *Table) elsewhere(i uint32, now int64) bool {
	return t.shares != nil && t.others(i, ConnCur, now) > 0
}

// sumRate is a rate of all nodes together as one, for whoever knows no shares. t.mu
// is held.
func (t *Table) sumRate(i uint32, d Data, now int64) freq {
	f := loadFreq(t.data(i)[t.offset[d]:])
	if t.shares == nil {
		return f
	}
	for k := range t.shares.nodes {
		if o := loadFreq(t.shares.of(i, k)[t.shares.offset[d]:]); o != (freq{}) {
			f.merge(events{o.tick, int64(o.cur), int64(o.prev)}, now, t.Period[d])
		}
	}
	return f
}

// LearnShare takes over what a node says of its share of an entry. False when there
// is no room for the entry, or the key is none of this table.
func (t *Table) LearnShare(k int, l *Lesson, now int64) bool {
	return t.taught(l, now, func(i uint32) {
		w := t.shares.of(i, k)
		for _, v := range l.Values {
			o := t.shares.offset[v.Data]
			switch {
			case o < 0:
			case v.Data.IsRate():
				freq{tick: now - v.Age, cur: v.Cur, prev: v.Prev}.store(w[o:])
			default:
				w[o] = uint64(t.shares.nodes[k].round)<<32 | min(v.N, math.MaxUint32)
			}
		}
	})
}

// Restore adds what this node had counted before it began anew, as another node
// remembers it, to what it has counted since. Of what several nodes remember only the
// most is added. Connections ended with the process that had them.
func (t *Table) Restore(l *Lesson, now int64) bool {
	return t.taught(l, now, func(i uint32) {
		w, taken := t.data(i), t.shares.takenOf(i)
		for _, v := range l.Values {
			o := t.shares.offset[v.Data]
			if o < 0 || !v.Data.IsRate() {
				continue
			}
			was, had, period := (freq{tick: now - v.Age, cur: v.Cur, prev: v.Prev}), loadFreq(taken[o:]), t.Period[v.Data]
			if was.read(now, period) <= had.read(now, period) {
				continue // another node knew as much
			}
			t.touch(i, t.head(i).at) // a third node may know less of it
			f := loadFreq(w[t.offset[v.Data]:])
			f.merge(was.since(had, period), now, period)
			f.store(w[t.offset[v.Data]:])
			was.store(taken[o:])
		}
	})
}

// BeginShares begins a round in which a node says all its shares.
func (t *Table) BeginShares(k int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shares.nodes[k].round++
}

// EndShares ends it: what did not come in it counts no longer.
func (t *Table) EndShares(k int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &t.shares.nodes[k]
	n.valid = n.round
}

// NodeHere notes that a node is connected, and NodeGone that it no longer is.
func (t *Table) NodeHere(k int) { t.setGone(k, 0) }

// NodeGone is explained with NodeHere.
func (t *Table) NodeGone(k int, now int64) { t.setGone(k, max(now, 1)) }

func (t *Table) setGone(k int, at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shares.nodes[k].gone = at
}

// Own is this node's share of conn_cur.
func (e Entry) Own(d Data) uint64 { return uint64(max(int64(e.Value(d)), 0)) }

// Idle reports whether this node's share of an entry says nothing: no connection, and
// no event of the last two periods.
func (e Entry) Idle(now int64) bool {
	for _, d := range e.t.shares.data {
		if d.IsRate() {
			if f := loadFreq(e.t.data(e.i)[e.t.offset[d]:]); (f.cur != 0 || f.prev != 0) && now-f.tick < 2*e.t.Period[d] {
				return false
			}
		} else if e.Own(d) != 0 {
			return false
		}
	}
	return true
}

// RateOf is a node's share of a rate; see Rate.
func (e Entry) RateOf(k int, d Data) (tick int64, cur, prev uint32) {
	f := loadFreq(e.t.shares.of(e.i, k)[e.t.shares.offset[d]:])
	return f.tick, f.cur, f.prev
}

// Known reports whether anything of a node's rates is known that still counts.
func (e Entry) Known(k int, now int64) bool {
	for _, d := range e.t.shares.data {
		if tick, cur, prev := int64(0), uint32(0), uint32(0); d.IsRate() {
			if tick, cur, prev = e.RateOf(k, d); (cur != 0 || prev != 0) && now-tick < 2*e.t.Period[d] {
				return true
			}
		}
	}
	return false
}

// Added are the data types that the nodes of a cluster add up.
func (t *Table) Added() []Data {
	if t.shares == nil {
		return nil
	}
	return t.shares.data
}

// The next worker gets the shares with the entries, in a section of their own after
// each section of records. It is one of a table whose name no earlier release knows:
//
//	head of a section, uvarint(nodes), node of each, records
//	node   = text(name), uvarint(round), uvarint(valid), varint(gone)
//	record = text(key), varint(last touch), uvarint(a bit for each node of which there are shares), shares
//	share  = uvarint(round and connections), or varint(tick), uvarint(events of both periods) of a rate
const sharesMark = "\x00shares"

// appendShareRecord keeps the record of an entry for the section that follows. mu is
// held.
func (t *Table) appendShareRecord(i uint32) {
	s := t.shares
	var which uint64
	for k := range s.nodes {
		if slices.ContainsFunc(s.of(i, k), func(w uint64) bool { return w != 0 }) {
			which |= 1 << k
		}
	}
	if which == 0 {
		return
	}
	s.told = appendBytes(s.told, t.key(i))
	s.told = binary.AppendVarint(s.told, t.head(i).at)
	s.told = binary.AppendUvarint(s.told, which)
	for k := range s.nodes {
		if which&(1<<k) == 0 {
			continue
		}
		w := s.of(i, k)
		for _, d := range s.data {
			if o := s.offset[d]; d.IsRate() {
				s.told = binary.AppendVarint(s.told, int64(w[o]))
				s.told = binary.AppendUvarint(s.told, w[o+1])
			} else {
				s.told = binary.AppendUvarint(s.told, w[o])
			}
		}
	}
}

// appendShares appends the section that follows one of records.
func (t *Table) appendShares(dst []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.shares
	if len(s.told) == 0 {
		return dst
	}
	section := t.appendHead(nil, t.Name+sharesMark)
	section = binary.AppendUvarint(section, uint64(len(s.nodes)))
	for k, n := range s.nodes {
		section = appendBytes(section, t.Nodes[k])
		section = binary.AppendUvarint(section, uint64(n.round))
		section = binary.AppendUvarint(section, uint64(n.valid))
		section = binary.AppendVarint(section, n.gone)
	}
	section = append(section, s.told...)
	s.told = s.told[:0]
	return appendBytes(dst, section)
}

// loadShares takes over a section of shares. Once this worker speaks to the peers
// itself it knows more than the one before.
func (t *Table) loadShares(head *section, now int64) error {
	s := t.shares
	r := reader{rest: head.records}
	count := r.uvarint()
	if s == nil || count > maxNodes {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.updates.quiet {
		return nil
	}
	to := make([]int, count)
	for i := range to {
		to[i] = slices.Index(t.Nodes, string(r.bytes()))
		n := node{uint32(r.uvarint()), uint32(r.uvarint()), r.varint()}
		if n.gone == 0 {
			n.gone = now // until this worker has a connection to it
		}
		if to[i] >= 0 && !r.bad {
			s.nodes[to[i]] = n
		}
	}
	for len(r.rest) > 0 {
		key, at, which := r.bytes(), r.varint(), r.uvarint()
		i := uint32(0)
		if !r.bad && t.valid(key) {
			if i = t.find(key, now); i == 0 {
				i = t.make(key, at, true)
			}
		}
		for k, at := range to {
			if which&(1<<k) != 0 {
				t.loadShare(head, &r, i, at)
			}
		}
	}
	if r.bad {
		return errChanges
	}
	return nil
}

// loadShare reads a share into that of a node; below 0: one that is none here. i may
// be 0. mu is held.
func (t *Table) loadShare(head *section, r *reader, i uint32, node int) {
	for d := range NumData {
		if head.stores&(1<<d) == 0 || !d.IsShared() {
			continue
		}
		var a, b uint64
		if d.IsRate() {
			a, b = uint64(r.varint()), r.uvarint()
		} else {
			a = r.uvarint()
		}
		o := t.shares.offset[d]
		if r.bad || i == 0 || node < 0 || o < 0 || d.IsRate() && head.period[d] != t.Period[d] {
			continue
		}
		w := t.shares.of(i, node)[o:]
		w[0] = a
		if d.IsRate() {
			w[1] = b
		}
	}
}
